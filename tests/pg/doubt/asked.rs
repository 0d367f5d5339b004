//! How it is asked: by the sid, in turns, at little cost, and on past what does not answer.

use super::*;

#[tokio::test]
async fn what_no_callback_reported_is_looked_up_by_its_sid() {
    for (end, then, attempts) in [
        (End::Delivered, "delivered sid", "accepted delivered 0"),
        (End::Failed(30005), "failed 30005 sid", "accepted failed 0"),
        // Worth another attempt, and everybody is notified.
        (
            End::Undelivered(30003),
            "pending 30003",
            "accepted undelivered 0",
        ),
        (End::NoReceipt, "sent sid", "accepted sent 1 again"),
    ] {
        let case = Case::new().await;
        let id = case.world.row("pending").await;
        case.sends(id, ends(end)).await;
        assert_eq!(case.row(id).await, "sent sid");
        case.twilio
            .until("it is over", |book| {
                let status = book.messages()[0].status;
                let last = ["delivered", "failed", "undelivered"].contains(&status)
                    || (end == End::NoReceipt && status == "sent");
                last.then_some(())
            })
            .await;
        // Its time has not come.
        case.look_ups.round().await.unwrap();
        assert_eq!(case.attempts(id).await, "accepted 0 again");
        case.asked().await;
        assert_eq!(case.row(id).await, then, "{end:?}");
        assert_eq!(case.attempts(id).await, attempts, "{end:?}");
        let sql = "select string_agg(m.status, ' ') = max(a.message_status) from messages m, punctual.attempts a";
        assert!(one::<bool>(&case.world.unseen, sql).await, "{end:?}");
        if let End::Undelivered(_) = end {
            let next = "next_attempt_at > now() and attempts = 1 and sent_at is null
                        and error_message = 'undelivered: the phone is off or out of reach (Code: 30003)'";
            assert!(case.world.get::<bool>(id, next).await);
            run(
                &case.world.unseen,
                "update scheduled_messages set next_attempt_at = now()",
            )
            .await;
            case.sends(id, Fault::None).await;
            assert_eq!(case.row(id).await, "sent sid");
            assert_eq!(case.store.take_duplicates(), 0, "the first never arrived");
        }
    }
}

#[tokio::test]
async fn a_sid_the_provider_does_not_know_is_asked_for_a_few_times_and_changes_nothing() {
    let case = Case::new().await;
    let id = case.world.row("pending").await;
    let claim = won(&case.store, &[id]).await.remove(0);
    let sid = punctual::message::ProviderSid("SM00000000000000000000000000000009".into());
    case.records(&claim, Outcome::Accepted { sid }).await;
    for asked in 1..=5 {
        case.asked().await;
        let again = if asked < 5 { " again" } else { "" };
        assert_eq!(case.attempts(id).await, format!("accepted {asked}{again}"));
    }
    case.asked().await;
    assert_eq!(case.row(id).await, "sent sid");
    assert_eq!(case.twilio.book().others().len(), 5);
    assert!(case.note(id).await.contains("does not know this sid"));
}

#[tokio::test]
async fn a_provider_that_is_silent_is_spared_and_asked_again() {
    let mut case = Case::with(InDoubt::ResendIfAbsent).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let id = case.row_of(&format!("text {n}")).await;
        case.sends(id, LOST_ANSWER).await;
        ids.push(id);
    }
    case.twilio.hang_up().await;
    case.later(20).await;
    case.look_ups.round().await.unwrap();
    for id in &ids {
        assert_eq!(case.row(*id).await, "unconfirmed");
        assert_eq!(case.attempts(*id).await, "unknown 0 again");
        assert!(case.note(*id).await.contains("no response"));
    }
    case.twilio.pick_up().await;
    case.asked().await;
    for id in ids {
        assert!(case.row(id).await.ends_with("sid"));
    }
}

#[tokio::test]
async fn several_instances_ask_each_thing_once() {
    let case = Case::new().await;
    let mut ids = Vec::new();
    for n in 0..12 {
        let id = case.row_of(&format!("text {n}")).await;
        case.sends(id, LOST_ANSWER).await;
        ids.push(id);
    }
    case.later(0).await;
    let rounds = (0..4).map(|_| {
        let store = Store::new(case.world.db.dsn().pool(2), InstanceId::fresh());
        let look_ups = LookUps {
            store,
            metrics: Arc::new(Metrics::default()),
            ..case.look_ups.clone()
        };
        async move { look_ups.round().await.unwrap() }
    });
    futures_util::future::join_all(rounds).await;
    // One list for those that an instance took.
    let lists = case.twilio.book().others().len();
    assert!((1..=4).contains(&lists), "{lists}");
    for id in ids {
        assert!(case.row(id).await.ends_with("sid"));
    }
}

#[tokio::test]
async fn a_row_that_lets_nobody_move_it_does_not_hold_up_the_others() {
    let case = Case::new().await;
    let (bad, good) = (case.row_of("bad").await, case.row_of("good").await);
    for id in [bad, good] {
        case.sends(id, LOST_ANSWER).await;
    }
    let sql = format!(
        "create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
         create trigger no before update on scheduled_messages for each row
           when (old.id = '{bad}') execute function no()"
    );
    run(&case.world.unseen, &sql).await;
    case.asked().await;
    assert!(case.row(good).await.ends_with("sid"));
    assert_eq!(case.row(bad).await, "unconfirmed");
    assert!(case.attempts(bad).await.starts_with("unknown 0 again"));
}

#[tokio::test]
async fn to_look_for_what_is_due_costs_little_however_much_is_not() {
    let case = Case::new().await;
    if crate::rows::server_version(&case.world.unseen).await < 15 {
        eprintln!("a server older than PostgreSQL 15 counts what is read too late: not tried");
        return;
    }
    // A day's messages that wait for their receipts, and some that are done with.
    run(
        &case.world.unseen,
        "insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, next_lookup_at)
         select gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now(), 'accepted',
                case when n % 2 = 0 then now() + n * interval '1 s' end
           from generate_series(3600, 63600) n;
         analyze punctual.attempts",
    )
    .await;
    let id = case.row_of("the one").await;
    case.sends(id, LOST_ANSWER).await;
    let sql =
        format!("update punctual.attempts set next_lookup_at = now() where message_id = '{id}'");
    run(&case.world.unseen, &sql).await;
    let read = "select coalesce(sum(idx_tup_read), 0)::bigint from pg_stat_user_indexes
                 where indexrelname = 'attempts_next_lookup_idx'";
    let stats = "select pg_stat_force_next_flush(), pg_stat_clear_snapshot()";
    run(&case.world.unseen, stats).await;
    let before: i64 = one(&case.world.unseen, read).await;
    for _ in 0..20 {
        case.look_ups.round().await.unwrap();
    }
    assert!(case.row(id).await.ends_with("sid"));
    // The pool's sessions report what they read when they end.
    drop(case.look_ups);
    drop(case.store);
    crate::rows::until(
        &case.world.unseen,
        "(select count(*) from pg_stat_activity where datname = current_database()) <= 2",
    )
    .await;
    run(&case.world.unseen, stats).await;
    let after: i64 = one(&case.world.unseen, read).await;
    assert!(after - before < 1_000, "{} entries read", after - before);
}
