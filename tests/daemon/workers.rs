//! The app's own sender, which takes reminders by their rows, and its worker of jobs, beside a whole daemon: each text
//! is sent by one of the three.

use std::collections::HashMap;

use tokio_postgres::Client;
use uuid::Uuid;

use crate::daemon::until;
use crate::world::{World, called, environment, url};

/// A user of the app's who may be texted.
const USER: &str = "
  insert into user_sms_preferences (user_id, phone_number, phone_verified, event_reminders_enabled, quiet_hours_start,
                                    quiet_hours_end, daily_sms_limit)
  values ('11111111-1111-4111-8111-111111111111', '+13105551234', true, true, null, null, null)";

/// By turns a reminder alone, one with its record and its job, and a record that stands alone with its job.
const TEXTS: &str = "
  begin;
  insert into scheduled_sms_messages (id, user_id, message_content, message_type, scheduled_for, timezone, status, generated_via)
  select md5('ROUND row ' || n)::uuid, '11111111-1111-4111-8111-111111111111', 'ROUND text ' || n, 'custom',
         timestamptz 'BEGINS' + n * interval '5 ms', 'UTC', 'scheduled', 'template'
    from generate_series(1, COUNT) n where n % 3 < 2;
  insert into sms_messages (id, user_id, phone_number, message_content, status, scheduled_for, metadata)
  select md5('ROUND record ' || n)::uuid, '11111111-1111-4111-8111-111111111111', '+13105551234', 'ROUND text ' || n,
         'scheduled', timestamptz 'BEGINS' + n * interval '5 ms',
         case when n % 3 = 1 then jsonb_build_object('scheduled_sms_id', md5('ROUND row ' || n)::uuid) else '{}' end
    from generate_series(1, COUNT) n where n % 3 > 0;
  update scheduled_sms_messages s set sms_message_id = m.id
    from sms_messages m where m.metadata ->> 'scheduled_sms_id' = s.id::text and s.message_content like 'ROUND %';
  insert into queue_jobs (user_id, job_type, queue_job_id, priority, scheduled_for, dedup_key, metadata)
  select '11111111-1111-4111-8111-111111111111', 'send_sms', 'ROUND job ' || n, 5,
         timestamptz 'BEGINS' + n * interval '5 ms', 'ROUND job ' || n,
         jsonb_build_object('message_id', md5('ROUND record ' || n)::uuid, 'message', 'ROUND text ' || n)
         || case when n % 3 = 1 then jsonb_build_object('scheduled_sms_id', md5('ROUND row ' || n)::uuid) else '{}' end
    from generate_series(1, COUNT) n where n % 3 > 0;
  commit";

/// Reminders that are due as the app's sender sees it: a little ahead, as they are for the daemon, which claims them at
/// most 50 ms before their time, and is quicker.
const ROWS: &str = "
  select id, message_content from scheduled_sms_messages
   where status = 'scheduled' and scheduled_for <= clock_timestamp() + interval '120 ms'
   order by scheduled_for limit 8";

/// The same of jobs, which its worker takes.
const JOBS: &str = "
  update queue_jobs set status = 'processing', attempts = attempts + 1
   where id in (select j.id from queue_jobs j
                 where j.job_type = 'send_sms' and j.status in ('pending', 'retrying')
                   and j.scheduled_for <= clock_timestamp() + interval '120 ms'
                 order by j.scheduled_for limit 8 for update skip locked)
  returning id, metadata ->> 'message', (metadata ->> 'scheduled_sms_id')::uuid, (metadata ->> 'message_id')::uuid";

/// What the app writes of a text that it has sent: to the reminder and its record, or to a record that stands alone.
const SENT: &str = "
  with row as (
    update scheduled_sms_messages
       set status = 'sent', sent_at = now(), twilio_sid = 'theirs', send_attempts = send_attempts + 1, updated_at = now()
     where id = $1)
  update sms_messages set status = 'sent', sent_at = now(), twilio_sid = 'theirs', updated_at = now()
   where id = $1 or metadata ->> 'scheduled_sms_id' = $1::text";

/// A part of the app with a connection of its own, and the texts that it has sent.
struct Part {
    session: Client,
    sent: Vec<String>,
    /// How often a daemon was first.
    refused: usize,
}

impl Part {
    async fn of(world: &World) -> Self {
        Self {
            session: world.db.client().await,
            sent: Vec::new(),
            refused: 0,
        }
    }

    /// Takes a row by this word, as before there was a daemon. `None`: one is sending it.
    async fn takes(&mut self, table: &str, id: Uuid, word: &str) -> Option<bool> {
        let sql =
            format!("update {table} set status = '{word}' where id = $1 and status = 'scheduled'");
        match self.session.execute(&sql, &[&id]).await {
            Ok(rows) => Some(rows == 1),
            Err(error) => {
                let code = error.code().map(tokio_postgres::error::SqlState::code);
                assert_eq!(code, Some("PT409"), "{error:?}");
                self.refused += 1;
                None
            }
        }
    }

    /// It has taken the row, so it sends the text.
    async fn sends(&mut self, id: Uuid, text: String) {
        self.sent.push(text);
        self.session.execute(SENT, &[&id]).await.unwrap();
    }

    async fn is_left(&self, what: &str) -> bool {
        let sql = format!("select exists (select from {what})");
        self.session.query_one(&sql, &[]).await.unwrap().get(0)
    }

    /// The sender: until no reminder waits.
    async fn send_rows(&mut self) {
        let words = ["sending", "queued"];
        for word in words.iter().cycle() {
            let took = until("a reminder that is due, or none that is left", async || {
                let mut took = 0;
                for row in self.session.query(ROWS, &[]).await.unwrap() {
                    let (id, text) = (row.get(0), row.get(1));
                    if self.takes("scheduled_sms_messages", id, word).await == Some(true) {
                        self.sends(id, text).await;
                        took += 1;
                    }
                }
                let is_left = async || {
                    self.is_left("scheduled_sms_messages where status = 'scheduled'")
                        .await
                };
                (took > 0 || !is_left().await).then_some(took)
            })
            .await;
            if took == 0 {
                return;
            }
        }
    }

    /// The worker: until every job is done. What another one has sent is nothing to do for it.
    async fn run_jobs(&mut self) {
        loop {
            let did = until("a job that is due, or none that is left", async || {
                let mut did = 0;
                for job in self.session.query(JOBS, &[]).await.unwrap() {
                    let (id, text): (Uuid, String) = (job.get(0), job.get(1));
                    let (row, record): (Option<Uuid>, Uuid) = (job.get(2), job.get(3));
                    let (table, key) = row.map_or(("sms_messages", record), |row| {
                        ("scheduled_sms_messages", row)
                    });
                    let takes = self.takes(table, key, "queued").await;
                    if takes == Some(true) {
                        self.sends(key, text).await;
                    }
                    let word = if takes.is_some() { "completed" } else { "retrying" };
                    did += usize::from(takes.is_some());
                    // As workers do after an error, it waits before it tries again.
                    let sql = format!(
                        "update queue_jobs set status = '{word}', scheduled_for = clock_timestamp() + interval '50 ms'
                          where id = $1"
                    );
                    self.session.execute(&sql, &[&id]).await.unwrap();
                }
                let is_left = async || self.is_left("queue_jobs where status <> 'completed'").await;
                (did > 0 || !is_left().await).then_some(did)
            })
            .await;
            if did == 0 {
                return;
            }
        }
    }
}

/// Everything says that it was sent, and by whom: `text theirs`.
async fn recorded(world: &World) -> HashMap<String, bool> {
    let open = "select (select count(*) from scheduled_sms_messages where status <> 'sent')
                     + (select count(*) from sms_messages where status <> 'sent')
                     + (select count(*) from queue_jobs where status <> 'completed')";
    until("every row, record and job has its outcome", async || {
        let open: i64 = world.app.query_one(open, &[]).await.unwrap().get(0);
        (open == 0).then_some(())
    })
    .await;
    let by =
        "select message_content, bool_and(twilio_sid = 'theirs'), bool_or(twilio_sid = 'theirs')
                from (select message_content, twilio_sid from scheduled_sms_messages
                      union all select message_content, twilio_sid from sms_messages) t
               group by 1";
    let rows = world.app.query(by, &[]).await.unwrap();
    let read = |row: &tokio_postgres::Row| {
        let (text, all, any): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(all, any, "{text}: the reminder and its record");
        (text, all)
    };
    rows.iter().map(read).collect()
}

/// Texts that are inserted together.
const ROUND: usize = 90;

/// So many texts at least with `SOURCE_ROWS`.
#[tokio::test(flavor = "multi_thread")]
async fn the_apps_sender_its_worker_and_a_daemon_send_each_text_once_between_them() {
    let least: usize = std::env::var("SOURCE_ROWS").map_or(ROUND, |n| n.parse().unwrap());
    let world = World::new([]).await;
    let owner = environment(&url(&world.app).await, &world.phone.url());
    let (code, _, said) = called(&["migrate", "--preset", "buildos"], &owner).await;
    assert_eq!(code, Some(0), "{said}");
    world.app.batch_execute(USER).await.unwrap();
    let daemon = world.daemon().await;
    let (mut sender, mut worker) = (Part::of(&world).await, Part::of(&world).await);
    let mut texts = 0;
    // Until each of the three was first once: which is first is up to the machine.
    for round in 1.. {
        let is_enough = round <= 30 + least / ROUND;
        assert!(is_enough, "one of the three is never first");
        let begins = "select (clock_timestamp() + interval '400 ms')::text";
        let begins: String = world.app.query_one(begins, &[]).await.unwrap().get(0);
        let insert = TEXTS
            .replace("ROUND", &format!("round {round}"))
            .replace("COUNT", &ROUND.to_string())
            .replace("BEGINS", &begins);
        world.app.batch_execute(&insert).await.unwrap();
        texts += ROUND;
        tokio::join!(sender.send_rows(), worker.run_jobs());
        let theirs = recorded(&world).await;
        assert_eq!(theirs.len(), texts);
        let mut times: HashMap<String, usize> = HashMap::new();
        let accepted = world.phone.accepted();
        let ours = accepted.iter().map(|(_, seen)| seen.field("Body").unwrap());
        for text in ours.clone() {
            assert!(!theirs[text], "{text} is recorded as sent by the app");
        }
        let all = sender.sent.iter().chain(&worker.sent).map(String::as_str);
        for text in all.chain(ours) {
            *times.entry(text.to_owned()).or_default() += 1;
        }
        assert_eq!(times.len(), texts, "each was sent");
        let twice: Vec<_> = times.iter().filter(|(_, n)| **n > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
        println!(
            "{texts} texts: {} by the daemon, {} by the sender (refused {}), {} by the worker (refused {})",
            accepted.len(),
            sender.sent.len(),
            sender.refused,
            worker.sent.len(),
            worker.refused
        );
        let is_one_never_first =
            accepted.is_empty() || sender.sent.is_empty() || worker.sent.is_empty();
        if texts >= least && !is_one_never_first {
            break;
        }
    }
    daemon.stop().await;
}
