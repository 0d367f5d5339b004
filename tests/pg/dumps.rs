//! A dump of the data alone, restored into a database that has been migrated: every row comes back as
//! it was, for the guards and the triggers that follow people and events know a restore.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio_postgres::Client;

use crate::harness::{TestDb, cluster};
use crate::rows::server_version;

/// Rows that no app could insert, and such as a trigger would change at once: pending for a user who
/// has opted out, cancelled with an event that is there.
const ROWS: &str = "
  set session_replication_role = replica;
  insert into scheduled_messages (to_number, body, scheduled_at, status, attempts, version, next_attempt_at,
                                  deferred_until, deferred_reason, requeued_at, twilio_sid, sent_at, delivered_at,
                                  cancelled_at, cancel_reason, error_message, user_id, calendar_event_id, event_start)
  select '+1555010000' || n, 'text ' || n, now() + interval '1 hour', s, n % 3, n, now(), now(), 'quiet hours', now(),
         'SM' || n, now(), now(), now(), 'Calendar event deleted', 'no answer',
         '11111111-1111-4111-8111-111111111111', 'event', now() + interval '2 hours'
    from unnest(array['pending', 'sending', 'sent', 'delivered', 'failed', 'cancelled', 'unconfirmed'])
         with ordinality as u (s, n);
  insert into user_sms_preferences (user_id, opted_out) values ('11111111-1111-4111-8111-111111111111', true);
  insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start)
  values ('event', '11111111-1111-4111-8111-111111111111', 'moved', now() + interval '3 hours');
  insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, user_id, day)
  select gen_random_uuid(), id, 1, gen_random_uuid(), now(), case status when 'failed' then 'refused' when 'unconfirmed' then 'unknown' end,
         user_id, current_date
    from scheduled_messages where status in ('sending', 'failed', 'unconfirmed');
  insert into punctual.notes (message_id, note) select id, 'a note' from scheduled_messages;
  insert into punctual.deleted_events (calendar_event_id, user_id) values ('event', '11111111-1111-4111-8111-111111111111');
  set session_replication_role = default";

/// One of Postgres's own tools; `None`: the machine has only the server.
fn tool(name: &str) -> Option<PathBuf> {
    let asked_for = std::env::var_os(punctual::demo::postgres::BIN_VARIABLE).map(PathBuf::from);
    let config = Command::new("pg_config").arg("--bindir").output().ok();
    let config = config.map(|out| PathBuf::from(String::from_utf8_lossy(&out.stdout).trim()));
    let dirs = asked_for.into_iter().chain(config);
    dirs.chain([PathBuf::from("/usr/bin"), PathBuf::from("/usr/local/bin")])
        .map(|dir| dir.join(name))
        .find(|tool| tool.is_file())
}

/// Whether it is of the server's major version or a later one: it refuses newer servers.
async fn reads_its_own(dump: &Path, client: &Client) -> bool {
    let of = run(Command::new(dump).arg("--version"), b"");
    let of = String::from_utf8(of).unwrap();
    let major = of.split_whitespace().find_map(|word| {
        let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<i32>().ok()
    });
    major.expect("it says its version") >= server_version(client).await
}

/// Every row of every table but the record of migrations, which each database has its own of.
async fn rows(client: &Client) -> String {
    let tables = "select oid::regclass::text from pg_class
                   where relkind = 'r' and relnamespace in ('public'::regnamespace, 'punctual'::regnamespace)
                     and oid not in ('punctual.migrations'::regclass, 'punctual.triggers'::regclass)
                   order by 1";
    let mut all = String::new();
    for row in client.query(tables, &[]).await.unwrap() {
        let table: String = row.get(0);
        let sql = format!(
            "select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from {table} t"
        );
        let rows: String = client.query_one(&sql, &[]).await.unwrap().get(0);
        let _ = writeln!(all, "{table}\n{rows}");
    }
    all
}

async fn url(client: &Client) -> String {
    let row = client
        .query_one("select current_database()::text", &[])
        .await;
    cluster().url(row.unwrap().get(0))
}

/// What a tool says, which is to end well, given that as its input.
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = std::thread::spawn(move || pipe.write_all(&input));
    let out = child.wait_with_output().unwrap();
    writing.join().unwrap().ok();
    assert!(
        out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    out.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn data_restored_into_a_migrated_database_is_what_it_was() {
    let (Some(dump), Some(restore), Some(psql)) =
        (tool("pg_dump"), tool("pg_restore"), tool("psql"))
    else {
        eprintln!("there is no pg_dump here: the dumps were not tried");
        return;
    };
    let source = TestDb::new().await;
    let client = source.client().await;
    if !reads_its_own(&dump, &client).await {
        eprintln!(
            "{} is older than the server: the dumps were not tried",
            dump.display()
        );
        return;
    }
    client.batch_execute(ROWS).await.unwrap();
    let wanted = rows(&client).await;
    let from = url(&client).await;
    for way in [
        &["--format=plain"][..],
        &["--format=plain", "--inserts"],
        &["--format=custom"],
    ] {
        let target = TestDb::new().await;
        let client = target.client().await;
        let to = url(&client).await;
        let record = ["migrations", "triggers"]
            .map(|table| format!("--exclude-table-data=punctual.{table}"));
        let dumped = run(
            Command::new(&dump)
                .args(["--data-only", "--dbname", &from])
                .args(record)
                .args(way),
            b"",
        );
        if way == ["--format=custom"] {
            run(
                Command::new(&restore).args(["--data-only", "--exit-on-error", "--dbname", &to]),
                &dumped,
            );
        } else {
            run(
                Command::new(&psql).args(["--quiet", "--set=ON_ERROR_STOP=1", "--dbname", &to]),
                &dumped,
            );
        }
        assert_eq!(rows(&client).await, wanted, "{way:?}");
    }
}

/// A session that only resembles that of a restore is the app's: with one of the settings alone, and with both for a
/// role that is not one of the table's owner.
#[tokio::test]
async fn the_settings_of_a_restore_open_nothing_to_the_app() {
    let target = TestDb::new().await;
    let client = target.client().await;
    let role = "do $$ begin create role restores_nothing; exception when duplicate_object or unique_violation then null; end $$;
                grant all on scheduled_messages, user_sms_preferences to restores_nothing;
                alter table scheduled_messages disable row level security;
                alter table user_sms_preferences disable row level security";
    client.batch_execute(role).await.unwrap();
    let user = "11111111-1111-4111-8111-111111111111";
    for resembling in [
        "set row_security = off",
        "set row_security = off; set check_function_bodies = off; set role restores_nothing",
    ] {
        client.batch_execute(resembling).await.unwrap();
        let delivered = "insert into scheduled_messages (to_number, body, scheduled_at, status)
                         values ('+15550100001', 'x', now(), 'delivered')";
        let refused = client.execute(delivered, &[]).await;
        assert_eq!(
            refused.unwrap_err().code().unwrap().code(),
            "PT409",
            "{resembling}"
        );
        // In functions that have their owner's rights too.
        let opted_out = format!(
            "insert into scheduled_messages (to_number, body, scheduled_at, user_id)
             values ('+15550100001', 'x', now() + interval '1 hour', '{user}');
             insert into user_sms_preferences (user_id, opted_out) values ('{user}', true)
             on conflict (user_id) do update set opted_out = false;
             update user_sms_preferences set opted_out = true"
        );
        client.batch_execute(&opted_out).await.unwrap();
        let pending = "select count(*) from scheduled_messages where status = 'pending'";
        let pending: i64 = client.query_one(pending, &[]).await.unwrap().get(0);
        assert_eq!(pending, 0, "{resembling}");
    }
    let gone = "reset role; drop owned by restores_nothing; drop role restores_nothing";
    client.batch_execute(gone).await.unwrap();
}
