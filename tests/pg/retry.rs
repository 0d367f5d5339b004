//! What a retry leaves in the row: when it is tried again, how many attempts counted, and why.

use std::sync::Arc;
use std::time::Duration;

use punctual::clock::{Clock, reading};
use punctual::message::{
    AttemptToken, Category, Claim, Delivery, Failure, LaneKey, MessageId, Moment, Outcome, Part,
    ProviderSid, Retry, RowState,
};
use punctual::policy::{Reason, ReasonKind};
use punctual::proof::{About, ProviderStatus, Report};
use punctual::settle::{AttemptBudget, Record, SendResult, Settlement};
use punctual::store::Store;
use punctual::store::look_ups::LookUpNote;

use crate::ours::{LATE, accepted, claim, ledger, now, record, recorded, sid, store, won};
use crate::rows::{World, one, run};

const MINUTE: Duration = Duration::from_secs(60);

fn refused(code: i32, category: Category, retry: Retry) -> Outcome {
    Outcome::Refused {
        code: Some(code),
        category,
        text: "not now".into(),
        retry,
    }
}

fn out_of_reach() -> Outcome {
    let retry = Retry::after(MINUTE);
    refused(30003, Category::Unreachable, retry)
}

/// Records this answer to a claim, and returns how the row is left.
async fn answered(store: &Store, claim: &Claim, outcome: Outcome) -> RowState {
    let tries = AttemptBudget {
        number: claim.number,
        before: claim.attempts_before,
        max: claim.max_attempts,
        expires: Moment::MAX,
    };
    let answer = SendResult {
        outcome,
        started: Some(claim.due),
        finished: claim.due,
    };
    let settled = record(claim, Settlement::of(answer, claim.id, tries));
    let done = store.record(&[&settled]).await.unwrap();
    done[&claim.token].clone().expect("the row was moved")
}

#[tokio::test]
async fn a_refusal_that_may_pass_is_tried_again_as_often_as_the_row_allows() {
    let world = World::new().await;
    let store = store(&world);
    let id = world.row("pending").await;
    for (attempts, most) in [(1, 60), (2, 120)] {
        let recording = std::time::Instant::now();
        let claim = won(&store, &[id]).await.remove(0);
        let state = answered(&store, &claim, out_of_reach()).await;
        let RowState::Pending {
            attempts: counted, ..
        } = state
        else {
            panic!("{state:?}");
        };
        assert_eq!(counted, attempts);
        // From the response on: the test says that it came at the due time.
        let passed = recording.elapsed().as_millis() + 1_000;
        let stands = format!(
            "status = 'pending' and attempts = {attempts} and error_code = 30003
             and error_message = 'not now (Code: 30003)'
             and next_attempt_at <= clock_timestamp() + interval '{most} s'
             and next_attempt_at >= updated_at + 0.75 * interval '{most} s' - interval '{passed} ms'"
        );
        assert!(world.get::<bool>(id, &stands).await, "attempt {attempts}");
        // Not before its time, whoever asks.
        let answer = claim_one(&store, id).await;
        assert!(matches!(answer, RowState::Pending { .. }), "{answer:?}");
        let sql =
            format!("update scheduled_messages set next_attempt_at = now() where id = '{id}'");
        run(&world.unseen, &sql).await;
    }
    let claim = won(&store, &[id]).await.remove(0);
    answered(&store, &claim, out_of_reach()).await;
    let stands = "status = 'failed' and attempts = 3 and next_attempt_at is null
                  and error_code = 30003 and error_message = 'not now (Code: 30003)'";
    assert!(world.get::<bool>(id, stands).await);
    let entries = ledger(&world, id).await;
    let outcomes: Vec<&str> = entries.iter().map(|e| e.get("outcome")).collect();
    assert_eq!(outcomes, ["refused"; 3]);
}

async fn claim_one(store: &Store, id: uuid::Uuid) -> RowState {
    match claim(store, &[id]).await.remove(0) {
        punctual::message::ClaimResponse::Lost(state) => state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_account_is_refused_for_costs_no_attempt_and_stays_recorded() {
    let world = World::new().await;
    let store = store(&world);
    let id = world.row_with("pending", ", max_attempts", ", 1").await;
    let claim = won(&store, &[id]).await.remove(0);
    let retry = Retry::HoldAccount { probe: MINUTE * 5 };
    let unpaid = refused(20003, Category::AccountIssue, retry);
    answered(&store, &claim, unpaid).await;
    let stands = "status = 'pending' and attempts = 0 and error_code = 20003
                  and next_attempt_at > updated_at + interval '4 min'";
    assert!(world.get::<bool>(id, stands).await);
    assert_eq!(ledger(&world, id).await[0].get::<_, i32>("code"), 20003);

    // Too late at its next turn: the row says both why, and why it came to that.
    let sql = format!("update scheduled_messages set next_attempt_at = now() where id = '{id}'");
    run(&world.unseen, &sql).await;
    let claim = won(&store, &[id]).await.remove(0);
    let too_late = record(
        &claim,
        Settlement::cancelled(Reason::new(ReasonKind::TooLate, "too late")),
    );
    store.record(&[&too_late]).await.unwrap();
    let stands = "status = 'cancelled' and cancel_reason = 'too late' and error_code = 20003
                  and error_message = 'not now (Code: 20003)'";
    assert!(world.get::<bool>(id, stands).await);
}

#[tokio::test]
async fn what_a_callback_says_was_not_delivered_is_tried_again_whoever_was_first() {
    for callback_first in [true, false] {
        let world = crate::receipts::World::new().await;
        let sid = ProviderSid("SM0123456789abcdef0123456789abcdef".into());
        let accepted = Settlement::Accepted { sid };
        if !callback_first {
            world.record(accepted.clone()).await;
        }
        world.call("undelivered", "30003").await;
        if callback_first {
            world.record(accepted).await;
        }
        let row = "select concat_ws(' ', status, attempts, error_code, twilio_sid, sent_at,
                                    next_attempt_at > now() + interval '40 s') from scheduled_messages";
        assert_eq!(
            world.text(row).await,
            "pending 1 30003 t",
            "{callback_first}"
        );
        let statuses = "select string_agg(status, ' ') from messages";
        assert_eq!(
            world.text(statuses).await,
            "undelivered",
            "{callback_first}"
        );
        // A repeat, and words that come late, change nothing.
        for status in ["undelivered", "sent", "queued"] {
            world.call(status, "").await;
        }
        assert_eq!(
            world.text(row).await,
            "pending 1 30003 t",
            "{callback_first}"
        );
        assert_eq!(world.store.take_duplicates(), 0);
    }
}

/// As for the sweep and the claim, lateness counts from the end of a pause.
#[tokio::test]
async fn what_waited_for_a_pause_is_retried_when_it_did_not_arrive() {
    for (ended, becomes) in [
        ("10 minutes", "pending"),
        ("2 hours", "failed"),
        ("-1 hour", "pending"),
    ] {
        let world = crate::receipts::World::new().await;
        let sid = ProviderSid("SM0123456789abcdef0123456789abcdef".into());
        world.record(Settlement::Accepted { sid }).await;
        run(
            &world.app,
            &format!(
                "set session_replication_role = replica;
                 update scheduled_messages set scheduled_at = now() - interval '5 hours';
                 insert into punctual.pauses (scope, what, until)
                 values ('sender', '{}', now() - interval '{ended}')",
                crate::receipts::FROM
            ),
        )
        .await;
        world.call("undelivered", "30003").await;
        let status = world.text("select status from scheduled_messages").await;
        assert_eq!(status, becomes, "{ended}");
    }
}

/// The try that followed may have been sent, and its record lost with the restore.
#[tokio::test]
async fn what_was_sent_before_a_restore_is_not_retried_when_it_did_not_arrive() {
    let world = crate::receipts::World::new().await;
    let sid = ProviderSid("SM0123456789abcdef0123456789abcdef".into());
    world.record(Settlement::Accepted { sid }).await;
    assert_eq!(world.store.mark_restored().await.unwrap(), 1);
    world.call("undelivered", "30003").await;
    let row = "select concat_ws(' ', status, attempts, error_code, next_attempt_at) from scheduled_messages";
    assert_eq!(world.text(row).await, "failed 1 30003");
    let error = world
        .text("select error_message from scheduled_messages")
        .await;
    let why = "not retried, because the database was restored after this attempt";
    assert!(error.starts_with(why), "{error}");
}

/// What did not arrive has used up nothing: the try that follows takes the quota again, and is not
/// over the limit for its own sake.
#[tokio::test]
async fn what_was_not_delivered_returns_its_quota_of_the_day() {
    let world = crate::receipts::World::new().await;
    let sid = ProviderSid("SM0123456789abcdef0123456789abcdef".into());
    world.record(Settlement::Accepted { sid }).await;
    run(
        &world.app,
        "set punctual.writer = 'on';
         insert into punctual.daily_counts (user_id, day, count)
         values ('11111111-1111-1111-1111-111111111111', '2026-01-01', 1);
         update punctual.attempts set user_id = '11111111-1111-1111-1111-111111111111', day = '2026-01-01'",
    )
    .await;
    for status in ["sent", "undelivered", "undelivered", "failed"] {
        world.call(status, "30003").await;
        let count = "select concat_ws(' ', (select count from punctual.daily_counts),
                                      (select status from scheduled_messages))";
        let expected = if status == "sent" {
            "1 sent"
        } else {
            "0 pending"
        };
        assert_eq!(world.text(count).await, expected, "{status}");
    }
}

/// What was sent has given its key free, and a newer message may have it by the time it turns out
/// that the first did not arrive. The callback is taken all the same.
#[tokio::test]
async fn what_did_not_arrive_is_not_tried_again_beside_a_newer_one_of_its_key() {
    for (index, why) in [
        ("", "not retried: a newer message with the same dedup_key is in progress: "),
        (
            "drop index scheduled_messages_dedup_key;
             create unique index apps_own on scheduled_messages (dedup_key) where status = 'pending'",
            "not retried: the table's own index apps_own has no room for it: ",
        ),
    ] {
        let world = crate::receipts::World::new().await;
        run(&world.app, index).await;
        let sid = ProviderSid("SM0123456789abcdef0123456789abcdef".into());
        run(&world.app, "set punctual.writer = 'on'; update scheduled_messages set dedup_key = 'k'").await;
        world.record(Settlement::Accepted { sid }).await;
        run(
            &world.app,
            "reset punctual.writer;
             insert into scheduled_messages (to_number, body, scheduled_at, dedup_key)
             values ('+13105550100', 'newer', now() + interval '1 day', 'k')",
        )
        .await;
        for status in ["undelivered", "undelivered", "sent"] {
            world.call(status, "30003").await;
        }
        let first = "select concat_ws(' ', status, attempts, error_code, sent_at is not null, next_attempt_at is null,
                                      starts_with(error_message, '{why}') and error_message ~ '[(]Code: 30003[)]$')
                       from scheduled_messages where body <> 'newer'";
        assert_eq!(
            world.text(&first.replace("{why}", &why.replace('\'', "''"))).await,
            "failed 1 30003 t t t"
        );
        let statuses = "select concat_ws(' ', (select string_agg(status, ' ') from messages),
                                     (select string_agg(concat_ws(' ', status, row_status), ', ') from punctual.receipts),
                                     (select string_agg(receipt_status, ' ') from punctual.attempts),
                                     (select status from scheduled_messages where body = 'newer'))";
        assert_eq!(
            world.text(statuses).await,
            "undelivered undelivered failed undelivered pending"
        );
    }
}

/// The first try did not arrive and the second did; then the database comes back as it was between
/// the first request and what was heard of it. A journal has the second.
#[tokio::test]
async fn what_a_later_try_has_sent_is_not_tried_again_for_an_earlier_one() {
    let world = crate::receipts::World::new().await;
    let sid = "SM0123456789abcdef0123456789abcdef".to_owned();
    world
        .record(Settlement::Accepted {
            sid: ProviderSid(sid),
        })
        .await;
    let id: uuid::Uuid = world
        .text("select id::text from scheduled_messages")
        .await
        .parse()
        .unwrap();
    let now = now(&world.store).await;
    let proof = Record {
        id: MessageId(id),
        token: AttemptToken::fresh(),
        settlement: Settlement::Accepted {
            sid: ProviderSid("SMsecond".into()),
        },
        started: Some(now),
        finished: Some(now),
        payload: None,
        tries: 0,
        part: Part::ONLY,
    };
    assert_eq!(world.store.record(&[&proof]).await.unwrap().len(), 1);
    world.call("undelivered", "30003").await;
    assert_eq!(
        world
            .text("select concat_ws(' ', status, twilio_sid) from scheduled_messages")
            .await,
        "sent SMsecond"
    );
}

/// The database's clock has jumped against the daemon's: what is written then is neither late nor early by that.
#[tokio::test]
async fn what_is_due_again_is_so_by_the_clock_of_the_daemon() {
    const HOUR_US: i64 = 3_600_000_000;
    for hours in [1, -1] {
        let world = World::new().await;
        let own = store(&world);
        let clock = Arc::new(Clock::accepting());
        let read = reading();
        let database = now(&own).await.as_micros();
        clock.measured(read, Moment::from_micros(database + hours * HOUR_US));
        let steady = own.clone().with_clock(Arc::clone(&clock));
        let is_by_it = async |at: &str, of: &str| {
            let sql = format!(
                "select {at} - clock_timestamp() between interval '{hours} h -5 min' and interval '{hours} h 5 min'
                   from {of}"
            );
            assert!(one::<bool>(&world.unseen, &sql).await, "{hours} h: {of}");
        };

        // A retry that a callback asks for.
        let id = world.row("pending").await;
        let claim = won(&own, &[id]).await.remove(0);
        recorded(&own, &[accepted(&claim)]).await;
        let delivery = Delivery::Undelivered(Failure {
            category: Category::Unreachable,
            retry: Retry::after(MINUTE),
        });
        let report = Report {
            lane: LaneKey::default(),
            about: About::Attempt {
                message: claim.id,
                token: claim.token,
            },
            sid: ProviderSid(sid(&claim)),
            status: ProviderStatus {
                delivery,
                word: "undelivered",
                code: None,
                error: Some("out of reach".to_owned()),
            },
            from: None,
            to: None,
        };
        steady.receive(&[report], LATE).await.unwrap();
        assert_eq!(world.status(id).await, "pending");
        is_by_it("next_attempt_at", "scheduled_messages").await;

        // Look-ups, and what they are reserved for. By the database's clock the first is due in half an hour, or
        // was so long ago.
        let half = hours * 30;
        let look_up = format!(
            "update punctual.attempts set outcome = 'unknown', provider_sid = null,
                    next_lookup_at = clock_timestamp() + interval '{half} min'"
        );
        run(&world.unseen, &look_up).await;
        let due = steady.look_ups(10, 10, MINUTE, clock.now().db);
        let due = due.await.unwrap();
        assert_eq!(due.len(), usize::from(hours > 0), "{hours} h");
        for look_up in &due {
            is_by_it("next_lookup_at", "punctual.attempts").await;
            let noted = LookUpNote {
                asked: 1,
                next: Some(MINUTE),
                note: "not found".to_owned(),
            };
            steady.looked_up(&[(look_up, noted)]).await.unwrap();
            is_by_it("next_lookup_at", "punctual.attempts").await;
            is_by_it("looked_up_at", "punctual.attempts").await;
        }

        // The outbox, with a write that nobody understands.
        let write = format!(
            "insert into punctual.outbox (message_id, write, last_error, next_attempt_at)
             values (gen_random_uuid(), '{{}}', 'refused', clock_timestamp() + interval '{half} min')"
        );
        run(&world.unseen, &write).await;
        let tried = steady.outbox_next().await.unwrap();
        assert_eq!(tried, (hours > 0).then_some(false), "{hours} h");
        if tried.is_some() {
            is_by_it("next_attempt_at", "punctual.outbox").await;
        }
    }
}
