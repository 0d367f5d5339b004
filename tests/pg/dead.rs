//! What nobody would move: rows too late, claims of the dead, claims that were forgotten.

use std::time::Duration;

use punctual::message::{Capabilities, MessageId, ProviderCapabilities};
use punctual::policy::{self, Rules, Verdict};
use punctual::store::{Store, TimesAhead};
use uuid::Uuid;

use crate::ours::{LATE, accepted, ledger, now, recorded, rules, store, won};
use crate::rows::{World, one, run};

const SILENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_is_too_late_is_cancelled_with_its_reason() {
    let world = World::new().await;
    let store = store(&world);
    let hours = |n: u32| format!("now() - interval '{n} h'");
    for (status, at, columns, values, becomes) in [
        ("pending", hours(2), "", String::new(), "cancelled"),
        (
            "pending",
            "'-infinity'".into(),
            "",
            String::new(),
            "cancelled",
        ),
        (
            "pending",
            "'4713-01-01 BC'".into(),
            "",
            String::new(),
            "cancelled",
        ),
        // A backoff that is over does not make it younger; one that is not, spares it for now.
        (
            "pending",
            hours(5),
            ", next_attempt_at",
            hours(2),
            "cancelled",
        ),
        (
            "pending",
            hours(5),
            ", next_attempt_at",
            "now()".into(),
            "pending",
        ),
        (
            "pending",
            hours(5),
            ", deferred_until",
            "now() + interval '1 h'".into(),
            "pending",
        ),
        (
            "pending",
            hours(5),
            ", requeued_at",
            "now()".into(),
            "pending",
        ),
        ("pending", "now()".into(), "", String::new(), "pending"),
        ("pending", "'infinity'".into(), "", String::new(), "pending"),
        ("sending", hours(2), "", String::new(), "sending"),
        ("failed", hours(2), "", String::new(), "failed"),
        ("unconfirmed", hours(2), "", String::new(), "unconfirmed"),
    ] {
        run(&world.unseen, "delete from scheduled_messages").await;
        let value = if values.is_empty() {
            values
        } else {
            format!(", {values}")
        };
        let id = world.row_with(status, columns, &value).await;
        run(
            &world.unseen,
            &format!("update scheduled_messages set scheduled_at = {at}"),
        )
        .await;
        let expired = store
            .expire(LATE, None, 1_000)
            .await
            .unwrap_or_else(|e| panic!("{at}: {e}"));
        assert_eq!(world.status(id).await, becomes, "{at} {columns}");
        let is_expired = expired == [MessageId(id)];
        assert_eq!(is_expired, becomes == "cancelled");
        if is_expired {
            let reason = "cancelled_at is not null and cancel_reason ~ '^too late: .*more than the 3600 s allowed$'";
            assert!(world.get::<bool>(id, reason).await, "{at}");
        }
    }
}

/// Two rows alike, one for the sweep and one for the judge, who may be asked of it by now: both say
/// the same.
#[tokio::test]
async fn what_is_past_its_send_before_is_cancelled_in_the_judges_words() {
    let world = World::new().await;
    let store = store(&world);
    let long = Duration::from_secs(10 * 24 * 3600);
    for (scheduled_at, send_before, lateness, becomes) in [
        (
            "now() - interval '2 h'",
            "now() - interval '1 h'",
            long,
            "cancelled",
        ),
        (
            "now() - interval '2 h'",
            "now() - interval '3 h'",
            long,
            "cancelled",
        ),
        (
            "now() - interval '2 h'",
            "'2026-01-02 03:04:05.006+01'",
            long,
            "cancelled",
        ),
        ("now() - interval '2 h'", "'-infinity'", long, "cancelled"),
        ("'-infinity'", "'-infinity'", LATE, "cancelled"),
        (
            "now() - interval '2 h'",
            "now() + interval '1 min'",
            long,
            "pending",
        ),
        ("now() - interval '2 h'", "'infinity'", long, "pending"),
        // Which of the two ends came first, is the reason.
        (
            "now() - interval '3 h'",
            "now() - interval '150 min'",
            LATE,
            "cancelled",
        ),
        (
            "now() - interval '3 h'",
            "now() - interval '90 min'",
            LATE,
            "cancelled",
        ),
    ] {
        run(&world.unseen, "delete from scheduled_messages").await;
        let sql = format!(
            "update scheduled_messages set scheduled_at = {scheduled_at}, send_before = {send_before}"
        );
        let (swept, judged) = (world.row("pending").await, world.row("pending").await);
        run(&world.unseen, &sql).await;
        let claim = won(&store, &[judged]).await.remove(0);
        let judge = Rules {
            max_lateness: lateness,
            ..rules()
        };
        let verdict = policy::judge(
            &claim,
            &judge,
            &ProviderCapabilities::all(Capabilities::SENDS_ONLY),
            now(&store).await,
        );
        store.expire(lateness, None, 1_000).await.unwrap();
        let case = format!("{scheduled_at} {send_before}");
        assert_eq!(world.status(swept).await, becomes, "{case}");
        let said: Option<String> = world.get(swept, "cancel_reason").await;
        let said_by_judge = match verdict {
            Verdict::Cancel { reason } => Some(reason.text),
            _ => None,
        };
        assert_eq!(said.is_some(), becomes == "cancelled", "{case}");
        // The seconds go on between the two.
        let lasting = |said: Option<String>| {
            said.map(|said| match said.split_once(" s after") {
                Some((_, rest)) => rest.to_owned(),
                None => said,
            })
        };
        assert_eq!(lasting(said), lasting(said_by_judge), "{case}");
    }
}

#[tokio::test]
async fn what_can_only_be_too_late_is_cancelled_before_its_time_and_an_edit_spares_it() {
    let world = World::new().await;
    let store = store(&world);
    let hopeless = world
        .row_with("pending", ", send_before", ", now() - interval '1 min'")
        .await;
    run(
        &world.unseen,
        "update scheduled_messages set scheduled_at = now() + interval '1 day'",
    )
    .await;
    let spared = world
        .row_with("pending", ", send_before", ", now() - interval '1 min'")
        .await;
    let held =
        format!("begin; update scheduled_messages set send_before = null where id = '{spared}'");
    run(&world.user, &held).await;
    assert_eq!(store.expire(LATE, None, 1_000).await.unwrap().len(), 1);
    let why: String = world.get(hopeless, "cancel_reason").await;
    assert!(why.starts_with("too late: send_before was 20"), "{why}");
    run(&world.user, "commit").await;
    assert_eq!(store.expire(LATE, None, 1_000).await.unwrap().len(), 0);
    assert_eq!(world.status(spared).await, "pending");
}

/// The oldest are locked, or have missed a change of their event, and are as many as one pass takes.
#[tokio::test]
async fn what_cannot_be_cancelled_now_delays_no_other_that_is_too_late() {
    let world = World::new().await;
    let store = store(&world);
    let row = async |ago: &str| -> Uuid {
        let value = format!(", now() + interval '1 h' - interval '{ago}'");
        let id = world.row_with("pending", ", send_before", &value).await;
        let sql = format!(
            "update scheduled_messages set scheduled_at = now() - interval '{ago}' where id = '{id}'"
        );
        run(&world.unseen, &sql).await;
        id
    };
    let (locked, missed, free) = (row("5 h").await, row("4 h").await, row("3 h").await);
    let note = format!(
        "insert into punctual.missed_event_changes (message_id, calendar_event_id, user_id)
         values ('{missed}', 'event', gen_random_uuid())"
    );
    run(&world.unseen, &note).await;
    let hold = format!("begin; select from scheduled_messages where id = '{locked}' for update");
    run(&world.user, &hold).await;
    assert_eq!(store.expire(LATE, None, 1).await.unwrap().len(), 1);
    assert_eq!(world.status(free).await, "cancelled");
    run(&world.user, "rollback").await;
    assert_eq!(store.expire(LATE, None, 1).await.unwrap().len(), 1);
    assert_eq!(world.status(locked).await, "cancelled");
    assert_eq!(world.status(missed).await, "pending");
}

/// Whatever the sweep has read of a row: what the user wrote before the row was held, counts.
#[tokio::test]
async fn an_edit_that_meets_the_sweep_wins_or_comes_too_late_and_nothing_between() {
    let world = World::new().await;
    let store = store(&world);
    for _ in 0..20 {
        run(
            &world.unseen,
            "truncate scheduled_messages;
             insert into scheduled_messages (to_number, body, scheduled_at)
             select '+13105550100', 'hello', now() - interval '2 h' from generate_series(1, 300)",
        )
        .await;
        let edit = "update scheduled_messages set scheduled_at = now() + interval '1 day' where status = 'pending'";
        let (expired, ()) = tokio::join!(store.expire(LATE, None, 1_000), run(&world.user, edit));
        expired.unwrap();
        let wrong = "select count(*) from scheduled_messages where status = 'cancelled' and scheduled_at > now()";
        assert_eq!(one::<i64>(&world.unseen, wrong).await, 0);
    }
}

#[tokio::test]
async fn thousands_are_cancelled_and_what_is_held_comes_next_time() {
    let world = World::new().await;
    let store = store(&world);
    run(
        &world.unseen,
        "insert into scheduled_messages (to_number, body, scheduled_at)
         select '+13105550100', 'hello', now() - n * interval '1 h' from generate_series(2, 2502) n",
    )
    .await;
    run(&world.user, "begin; select from scheduled_messages where scheduled_at > now() - interval '3 h' for update").await;
    let mut steps = Vec::new();
    while steps.last() != Some(&0) {
        steps.push(store.expire(LATE, None, 1_000).await.unwrap().len());
    }
    assert_eq!(steps, [1_000, 1_000, 500, 0]);
    assert_eq!(world.tally().await, "cancelled 2500, pending 1");
    run(&world.user, "commit").await;
    assert_eq!(store.expire(LATE, None, 1_000).await.unwrap().len(), 1);
}

async fn start(store: &Store) {
    store.instance_start("notify").await.unwrap();
}

/// Makes it look as if the instance had started and last beaten so long ago.
async fn aged(world: &World, store: &Store, started: &str, beat: &str) {
    run(
        &world.unseen,
        &format!(
            "update punctual.instances set started_at = now() - interval '{started}',
           heartbeat_at = now() - interval '{beat}' where id = '{}'",
            store.instance()
        ),
    )
    .await;
}

async fn lease_over(world: &World, id: Uuid) {
    let set = "update punctual.attempts set lease_until = now() - interval '1 s' where message_id";
    run(&world.unseen, &format!("{set} = '{id}'")).await;
}

#[tokio::test]
async fn a_claim_is_reaped_only_if_all_of_it_says_that_its_instance_is_dead() {
    let world = World::new().await;
    let (reaper, dead) = (store(&world), store(&world));
    for store in [&reaper, &dead] {
        start(store).await;
    }
    let id = world.row("pending").await;
    let claim = won(&dead, &[id]).await.remove(0);
    // The server itself must have been up for longer than that.
    let silence = Duration::from_millis(100);
    let up = "clock_timestamp() - pg_postmaster_start_time() > interval '200 ms'";
    crate::rows::until(&world.unseen, up).await;
    let count = || async { reaper.reap(silence, 1_000).await.unwrap() };

    aged(&world, &reaper, "1 h", "0").await;
    aged(&world, &dead, "1 h", "1 h").await;
    assert_eq!(count().await, 0, "its lease is not over");
    lease_over(&world, id).await;
    aged(&world, &dead, "1 h", "-1 h").await;
    assert_eq!(count().await, 0, "it beats");
    aged(&world, &dead, "1 h", "1 h").await;
    aged(&world, &reaper, "-1 h", "0").await;
    assert_eq!(count().await, 0, "the reaper has only just come");
    aged(&world, &reaper, "1 h", "0").await;
    let ages = Duration::from_secs(3600 * 24 * 365);
    aged(&world, &dead, "10 years", "10 years").await;
    aged(&world, &reaper, "10 years", "0").await;
    assert_eq!(
        reaper.reap(ages, 1_000).await.unwrap(),
        0,
        "the database has only just come"
    );
    assert_eq!(
        dead.reap(silence, 1_000).await.unwrap(),
        0,
        "nobody reaps himself"
    );
    run(
        &world.user,
        &format!("begin; update scheduled_messages set metadata = '{{}}' where id = '{id}'"),
    )
    .await;
    assert_eq!(count().await, 0, "somebody holds the row");
    run(&world.user, "rollback").await;
    assert_eq!(world.status(id).await, "sending");

    assert_eq!(count().await, 1);
    assert_eq!(world.status(id).await, "unconfirmed");
    assert_eq!(
        ledger(&world, id).await[0].get::<_, &str>("outcome"),
        "unknown"
    );
    assert_eq!(count().await, 0, "once is enough");
    // It was not dead, only slow: its proof still counts.
    recorded(&dead, &[accepted(&claim)]).await;
    assert_eq!(world.status(id).await, "sent");
}

#[tokio::test]
async fn who_signed_off_or_never_signed_on_is_dead_too() {
    let world = World::new().await;
    let (reaper, stopped, stranger) = (store(&world), store(&world), store(&world));
    start(&reaper).await;
    start(&stopped).await;
    aged(&world, &reaper, "1 h", "0").await;
    let silence = Duration::from_millis(100);
    let up = "clock_timestamp() - pg_postmaster_start_time() > interval '200 ms'";
    crate::rows::until(&world.unseen, up).await;
    let mut ids = Vec::new();
    for store in [&stopped, &stranger] {
        let id = world.row("pending").await;
        won(store, &[id]).await;
        lease_over(&world, id).await;
        ids.push(id);
    }
    stopped.instance_stop().await.unwrap();
    run(&world.unseen, "update punctual.instances set stopped_at = now() - interval '1 h' where stopped_at is not null").await;
    // A row that was deleted, and one that somebody moved: their attempts are closed all the same.
    for change in [
        "delete from scheduled_messages",
        "update scheduled_messages set status = 'sent'",
    ] {
        let id = world.row("pending").await;
        won(&stranger, &[id]).await;
        lease_over(&world, id).await;
        run(&world.unseen, &format!("{change} where id = '{id}'")).await;
    }
    assert_eq!(reaper.reap(silence, 1_000).await.unwrap(), 2);
    assert_eq!(world.tally().await, "sent 1, unconfirmed 2");
    let open = "select count(*) from punctual.attempts where outcome is null";
    assert_eq!(one::<i64>(&world.unseen, open).await, 0);
}

#[tokio::test]
async fn orphaned_claims_are_ones_own_open_claims_whose_lease_is_over() {
    let world = World::new().await;
    let (ours, theirs) = (store(&world), store(&world));
    let ids = world.rows(4, "pending").await;
    let mine = won(&ours, &ids[..3]).await;
    won(&theirs, &ids[3..]).await;
    assert!(ours.orphaned_claims().await.unwrap().is_empty());
    for id in [ids[0], ids[1], ids[3]] {
        lease_over(&world, id).await;
    }
    recorded(&ours, &[accepted(&mine[1])]).await;
    assert_eq!(
        ours.orphaned_claims().await.unwrap(),
        [(mine[0].id, mine[0].token)]
    );
    assert_eq!(ours.reap(SILENCE, 1_000).await.unwrap(), 0);
}

/// Claims are as long, and later than now is nothing: else a dead instance counts as running for an hour.
#[tokio::test]
async fn what_a_clock_that_ran_ahead_has_left_in_the_future_is_corrected() {
    let world = World::new().await;
    let (reaper, dead) = (store(&world), store(&world));
    for store in [&reaper, &dead] {
        start(store).await;
    }
    let (id, right) = (world.row("pending").await, world.row("pending").await);
    won(&dead, &[id]).await;
    won(&dead, &[right]).await;
    let ahead = format!(
        "update punctual.instances
            set started_at = started_at + interval '1 h', heartbeat_at = heartbeat_at + interval '1 h';
         update punctual.attempts
            set claimed_at = claimed_at + interval '1 h', lease_until = lease_until + interval '1 h'
          where message_id = '{id}';
         insert into punctual.paces (what, gap_min, gap_max, slot, next_at)
         select gen_random_uuid(), interval '5 s', interval '9 s', clock_timestamp(), clock_timestamp() + ahead
           from unnest(array[interval '1 h', interval '9 s']) as ahead;
         insert into punctual.outbox (message_id, write, last_error, created_at, next_attempt_at)
         select gen_random_uuid(), '{{}}', 'refused', clock_timestamp() + ahead, clock_timestamp() + interval '1 h 1 s'
           from unnest(array[interval '1 h', interval '-1 min']) as ahead"
    );
    run(&world.unseen, &ahead).await;
    let claimed_at = async || {
        let sql = "select claimed_at::text from punctual.attempts where message_id = $1";
        let row = world.unseen.query_one(sql, &[&right]).await;
        row.unwrap().get::<_, String>(0)
    };
    let before = claimed_at().await;
    let corrected = reaper.correct_times_ahead(100).await.unwrap();
    let expected = TimesAhead {
        instances: 2,
        claims: 1,
        paces: 1,
        outbox: 1,
    };
    assert_eq!(corrected, expected);
    let again = reaper.correct_times_ahead(100).await.unwrap();
    assert_eq!(again, TimesAhead::default());
    let wrong = "select count(*) from (
        select 1 from punctual.instances where greatest(started_at, heartbeat_at) > clock_timestamp()
        union all
        select 1 from punctual.attempts
         where lease_until > clock_timestamp() + interval '1 min'
        union all
        select 1 from punctual.paces where next_at > clock_timestamp() + gap_max
        union all
        select 1 from punctual.outbox
         where (next_attempt_at > clock_timestamp()) = (created_at > clock_timestamp() - interval '30 s')) wrong";
    let wrong: i64 = world.unseen.query_one(wrong, &[]).await.unwrap().get(0);
    assert_eq!(wrong, 0);
    assert_eq!(claimed_at().await, before, "what was right stays");
}
