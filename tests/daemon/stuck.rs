//! What keeps messages from going, planted one by one under a running daemon: it goes on, `/readyz`
//! says why, and `punctual doctor` finds it.

use crate::daemon::{Daemon, set, until};
use crate::harness::TestDb;
use crate::standin::{Act, StandIn};
use crate::world::World;

/// A fault, what `/readyz` says of it, what `punctual doctor` does, and how it is undone.
struct Case {
    plant: &'static str,
    readyz: &'static [&'static str],
    doctor: &'static str,
    undo: &'static str,
}

async fn check(case: Case) {
    check_in(&World::new([]).await, case).await;
}

/// The same for a daemon with a role of its own, `DAEMON` in the case.
async fn check_as_role(case: Case) {
    let mut world = World::new([]).await;
    let name = world.app.query_one("select current_database()::text", &[]);
    let name: String = name.await.unwrap().get(0);
    let role = format!("daemon_{name}");
    let grants = "create role DAEMON login password 'w0rd';
                  grant usage on schema punctual, public to DAEMON;
                  grant all on all tables in schema punctual, public to DAEMON;
                  grant all on all sequences in schema punctual, public to DAEMON;
                  grant execute on all functions in schema punctual to DAEMON";
    let grants = grants.replace("DAEMON", &role);
    world.app.batch_execute(&grants).await.unwrap();
    let port = crate::harness::cluster().port();
    let url = format!("postgres://{role}:w0rd@127.0.0.1:{port}/{name}");
    set(&mut world.env, "DATABASE_URL", &url);
    let (plant, undo) = (
        case.plant.replace("DAEMON", &role),
        case.undo.replace("DAEMON", &role),
    );
    let of_role = Case {
        plant: plant.leak(),
        undo: undo.leak(),
        ..case
    };
    let app = world.db.client().await;
    check_in(&world, of_role).await;
    let drop = format!("drop owned by {role}; drop role {role}");
    app.batch_execute(&drop).await.unwrap();
}

async fn check_in(world: &World, case: Case) {
    let mut daemon = world.daemon().await;
    let before = world.insert("before", 0).await;
    world.arrived_once(before).await;
    // Later than what was sent: nothing has gone since.
    world
        .app
        .execute("select pg_sleep(0.1)", &[])
        .await
        .unwrap();
    world.app.batch_execute(case.plant).await.unwrap();
    // The fault may be in the way of the app as well: then nothing is inserted.
    let insert = "insert into scheduled_messages (to_number, scheduled_at, body)
                  select '+13105551234', clock_timestamp(), 'stuck ' || n from generate_series(1, 3) n";
    let _ = world.app.execute(insert, &[]).await;
    let reason = until(case.plant, async || {
        let (status, body) = daemon.get("/readyz").await?;
        let says_it = case.readyz.iter().all(|words| body.contains(words));
        (status == 503 && says_it).then_some(body)
    })
    .await;
    assert_eq!(daemon.get("/healthz").await.unwrap().0, 200);
    daemon
        .says("due messages are not sent, or their results are not recorded")
        .await;
    let (_, found, _) = world.call(&["doctor"]).await;
    assert!(
        found.contains(case.doctor),
        "{}\n{reason}\n{found}",
        case.plant
    );
    world.app.batch_execute(case.undo).await.unwrap();
    daemon.ready().await;
    let after = world.insert("after", 0).await;
    world.arrived_once(after).await;
    let kept = "select body from scheduled_messages where body like 'stuck %'";
    for row in world.app.query(kept, &[]).await.unwrap() {
        let body: String = row.get(0);
        until("what was stuck goes", async || {
            (!world.requests(&body).is_empty()).then_some(())
        })
        .await;
    }
    daemon.stop().await;
    for n in 1..=3 {
        assert!(world.requests(&format!("stuck {n}")).len() <= 1);
    }
}

#[tokio::test]
async fn a_trigger_that_returns_null_is_found() {
    check(Case {
        plant: "create function swallow() returns trigger language plpgsql as
                  $$ begin if new.status = 'sending' then return null; end if; return new; end $$;
                create trigger swallow before update on scheduled_messages
                  for each row execute function swallow()",
        readyz: &["claims take no effect", "swallow"],
        doctor: "trigger swallow may drop changes",
        undo: "drop trigger swallow on scheduled_messages",
    })
    .await;
}

#[tokio::test]
async fn a_restrictive_policy_is_found() {
    check_as_role(Case {
        plant: "alter table scheduled_messages enable row level security;
                create policy everything on scheduled_messages using (true) with check (true);
                create policy hidden on scheduled_messages as restrictive to DAEMON using (false)",
        readyz: &["restrictive policy hidden"],
        doctor: "restrictive policy hidden",
        undo: "drop policy hidden on scheduled_messages",
    })
    .await;
}

#[tokio::test]
async fn a_revoked_right_is_found() {
    check_as_role(Case {
        plant: "revoke update on scheduled_messages from DAEMON",
        readyz: &["permission denied", "scheduled_messages"],
        doctor: "scheduled_messages",
        undo: "grant update on scheduled_messages to DAEMON",
    })
    .await;
}

#[tokio::test]
async fn a_do_instead_rule_is_found() {
    check(Case {
        plant: "create rule aside as on update to scheduled_messages do instead nothing",
        readyz: &["rule aside"],
        doctor: "rule aside rewrites changes",
        undo: "drop rule aside on scheduled_messages",
    })
    .await;
}

#[tokio::test]
async fn a_renamed_column_is_found() {
    check(Case {
        plant: "alter table scheduled_messages rename column max_attempts to most_attempts",
        readyz: &["max_attempts"],
        doctor: "max_attempts",
        undo: "alter table scheduled_messages rename column most_attempts to max_attempts",
    })
    .await;
}

#[tokio::test]
async fn a_renamed_ledger_is_found() {
    check(Case {
        plant: "alter table punctual.attempts rename to tries",
        readyz: &["attempts"],
        doctor: "attempts",
        undo: "alter table punctual.tries rename to attempts",
    })
    .await;
}

#[tokio::test]
async fn a_dropped_function_is_found() {
    check(Case {
        plant: "create table kept as
                  select pg_get_functiondef(oid) as definition, oid::regprocedure::text as name
                    from pg_proc where proname = 'reserve_quota' and pronamespace = 'punctual'::regnamespace;
                do $$ begin execute (select string_agg('drop function ' || name, '; ') from kept); end $$",
        readyz: &["reserve_quota"],
        doctor: "reserve_quota",
        undo: "do $$ begin execute (select string_agg(definition, '; ') from kept); end $$",
    })
    .await;
}

#[tokio::test]
async fn a_table_swapped_for_a_copy_is_found() {
    // As the owner: to another role the copy would have to be granted first.
    let world = World::over(TestDb::new().await, []).await;
    check_in(
        &world,
        Case {
            plant: "begin;
                alter table scheduled_messages rename to scheduled_messages_old;
                create table scheduled_messages (like scheduled_messages_old including all);
                commit",
            readyz: &["trigger", "is missing"],
            doctor: "is missing",
            undo: "begin;
               drop table scheduled_messages;
               alter table scheduled_messages_old rename to scheduled_messages;
               commit",
        },
    )
    .await;
}

/// The claim has its effect, and the result has none: the provider has the message, and its row says nothing of it.
#[tokio::test]
async fn a_trigger_that_returns_null_for_results_is_found() {
    check(Case {
        plant: "create function swallow() returns trigger language plpgsql as
                  $$ begin if new.status = 'sent' then return null; end if; return new; end $$;
                create trigger swallow before update on scheduled_messages
                  for each row execute function swallow()",
        readyz: &["in the ledger and did not change", "swallow"],
        doctor: "trigger swallow may drop changes",
        undo: "drop trigger swallow on scheduled_messages",
    })
    .await;
}

/// How many due messages wait for this cause, once there are any.
async fn waiting(daemon: &Daemon, cause: &str) -> f64 {
    until(cause, async || {
        let (_, metrics) = daemon.get("/metrics").await?;
        let gauge = format!("punctual_due_waiting{{cause=\"{cause}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&gauge))?;
        line.parse().ok().filter(|messages| *messages > 0.0)
    })
    .await
}

async fn not_ready(daemon: &Daemon, words: &str) -> String {
    until(words, async || {
        let (status, body) = daemon.get("/readyz").await?;
        (status == 503 && body.contains(words)).then_some(body)
    })
    .await
}

/// Each try moves the due time, so the message is never due and not claimed.
#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_found() {
    let mut world = World::new([]).await;
    let mut daemon = world.daemon().await;
    let before = world.insert("before", 0).await;
    world.arrived_once(before).await;
    world.phone.stop().await;
    for n in 0..3 {
        world.insert(&format!("stuck {n}"), 0).await;
    }
    daemon
        .says("a request failed before the provider accepted anything")
        .await;
    let reason = not_ready(&daemon, "no request has been accepted for").await;
    assert!(reason.contains("(sms)"), "{reason}");
    assert!(waiting(&daemon, "provider").await <= 3.0);
    // Once nothing waits for the provider, nothing is wrong.
    let cancel = "update scheduled_messages set status = 'cancelled' where status = 'pending'";
    world.app.execute(cancel, &[]).await.unwrap();
    daemon.ready().await;
    let said = daemon.stop().await;
    let lines = said.lines().filter(|line| line.contains(" WARN "));
    let lines = lines.filter(|line| line.contains("a request failed before"));
    let firsts = lines.filter(|line| !line.contains("again: ")).count();
    assert!(firsts <= 3, "by cause and not by try: {said}");
}

async fn webhook(world: &World, url: &str, kind: &str) {
    let sql =
        "insert into scheduled_messages (channel, to_number, message_type, body, scheduled_at)
               values ('webhook', $1, $2, '{}', clock_timestamp())";
    world.app.execute(sql, &[&url, &kind]).await.unwrap();
}

/// The account of text messages is refused, which explains nothing about webhooks. And of a stop that concerns some
/// webhooks only, `/readyz` and the log say that.
#[tokio::test]
async fn what_is_stuck_is_found_beside_a_refused_account_and_beside_what_is_sent() {
    let world = World::new([Act::refuse(401, 20003, "Authenticate")]).await;
    let world = world.with(&[
        (
            "PUNCTUAL_WEBHOOK_SECRET",
            "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IQ==",
        ),
        ("PUNCTUAL_WEBHOOK_ALLOW", "127.0.0.1, localhost"),
    ]);
    let endpoint = StandIn::start([]).await;
    let mut daemon = world.daemon().await;
    let swallow = |which: &str| {
        format!(
            "create or replace function swallow() returns trigger language plpgsql as
               $$ begin if new.status = 'sending' and {which} then return null; end if; return new; end $$;
             create or replace trigger swallow before update on scheduled_messages
               for each row execute function swallow()"
        )
    };
    let all = swallow("new.channel = 'webhook'");
    world.app.batch_execute(&all).await.unwrap();
    for n in 0..2 {
        world.insert(&format!("refused {n}"), 0).await;
    }
    daemon.says("the provider refuses the account").await;
    webhook(&world, &endpoint.url(), "job").await;
    let reason = not_ready(&daemon, "claims take no effect").await;
    assert!(reason.contains("1 message (webhook)"), "{reason}");
    assert!(waiting(&daemon, "no_effect").await <= 1.0);
    assert!(waiting(&daemon, "breaker").await <= 2.0);

    let some = swallow("new.message_type = 'brief'");
    world.app.batch_execute(&some).await.unwrap();
    daemon.ready().await;
    crate::world::asked(&endpoint, 1).await;
    webhook(&world, &endpoint.url(), "brief").await;
    until("it has been due for a moment", async || {
        let sql = "select from scheduled_messages where message_type = 'brief'
                    and scheduled_at < clock_timestamp() - interval '100 ms'";
        (!world.app.query(sql, &[]).await.unwrap().is_empty()).then_some(())
    })
    .await;
    webhook(&world, &endpoint.url(), "job").await;
    crate::world::asked(&endpoint, 2).await;
    let words = "not claimed, while others are";
    // Its trigger has been named in the log just before.
    let status = until(words, async || {
        let (status, body) = daemon.get("/readyz").await?;
        body.contains(words).then_some(status)
    })
    .await;
    assert_eq!(status, 200);
    daemon.stop().await;
}
