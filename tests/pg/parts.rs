//! Messages of several parts in a real database: between their parts, and whatever may happen there.

use std::sync::Arc;
use std::time::Duration;

use punctual::message::{
    AttemptToken, Claim, ClaimResponse, Delivery, Failure, LaneKey, MessageId, Part, ProviderSid,
};
use punctual::policy::{Cleared, Reason, ReasonKind, Rules};
use punctual::proof::{About, ProviderStatus, Report};
use punctual::settle::{Record, Settlement};
use punctual::store::Store;
use punctual::store::resolve::Decision;
use tokio_postgres::AsyncMessage;
use uuid::Uuid;

use crate::ours::{
    LATE, accepted, claim, cleared, ledger, record, recorded, rules, sid, store, won,
};
use crate::rows::{World, count, hearing, one, refused, run};

const THREE: &str = "one[BUBBLE] two [BUBBLE]three";

/// A store that waits for no gap.
fn at_once(world: &World) -> Store {
    store(world).with_rules(&Rules {
        part_gap: Duration::ZERO,
        ..rules()
    })
}

async fn three(world: &World) -> Uuid {
    world
        .row_with("pending", ", from_number", ", '+15005550006'")
        .await
}

async fn of_three(world: &World) -> Uuid {
    let id = three(world).await;
    run(
        &world.unseen,
        &format!("update scheduled_messages set body = '{THREE}' where id = '{id}'"),
    )
    .await;
    id
}

/// Claims the part that is next, with what the dispatch does before its request.
async fn begun(store: &Store, id: Uuid) -> Claim {
    let claim = won(store, &[id]).await.remove(0);
    let texts = cleared(&claim).texts().to_vec();
    if !texts.is_empty() {
        let kept = store.keep_texts(&[(claim.id, claim.token, texts)]).await;
        assert!(kept.unwrap().contains(&claim.token));
    }
    claim
}

/// The provider takes it, at its time.
fn taken(claim: &Claim) -> Record<Arc<Cleared>> {
    Record {
        finished: Some(claim.due),
        ..accepted(claim)
    }
}

/// Claims the part that is next, and sends it.
async fn sent(store: &Store, id: Uuid) -> Claim {
    let claim = begun(store, id).await;
    assert_eq!(recorded(store, &[taken(&claim)]).await, 1);
    claim
}

/// The row in one line.
async fn row(world: &World, id: Uuid) -> String {
    let what = "format('%s %s/%s attempts=%s', status, parts_done, coalesce(parts_total::text, '-'), attempts)";
    world.get(id, what).await
}

/// The app's rows, in their order.
async fn messages(world: &World) -> Vec<String> {
    let sql = "select coalesce(array_agg(format('%s %s', body, status) order by created_at, id), '{}') from messages";
    one(&world.unseen, sql).await
}

/// What the provider says of an attempt.
fn report(claim: &Claim, delivery: Delivery) -> Report {
    Report {
        lane: LaneKey::default(),
        about: About::Attempt {
            message: claim.id,
            token: claim.token,
        },
        sid: ProviderSid(sid(claim)),
        status: ProviderStatus {
            delivery,
            word: delivery.stage().as_str(),
            code: None,
            error: delivery.failure().map(|_| "did not arrive".to_owned()),
        },
        from: None,
        to: None,
    }
}

async fn hears(store: &Store, claim: &Claim, delivery: Delivery) {
    store
        .receive(&[report(claim, delivery)], LATE)
        .await
        .unwrap();
}

/// The text was changed between two attempts at the first part, and the first of them turns out to be accepted: its
/// other parts go on, and the message's history shows them.
#[tokio::test]
async fn the_parts_of_the_accepted_attempt_go_on() {
    let world = World::new().await;
    let store = at_once(&world);
    let id = of_three(&world).await;
    let first = begun(&store, id).await;
    let refused = record(&first, Settlement::returned("the request failed"));
    recorded(&store, &[refused]).await;
    run(
        &world.unseen,
        "update scheduled_messages set body = 'new one[BUBBLE]new two[BUBBLE]new three', next_attempt_at = null",
    )
    .await;
    let second = begun(&store, id).await;
    let refused = record(&second, Settlement::returned("the request failed"));
    recorded(&store, &[refused]).await;
    run(
        &world.unseen,
        "update scheduled_messages set next_attempt_at = null",
    )
    .await;
    // The record of the first was late.
    assert_eq!(recorded(&store, &[taken(&first)]).await, 1);
    let next = won(&store, &[id]).await.remove(0);
    assert_eq!(next.part_text.as_deref(), Some("two"));
    assert_eq!(cleared(&next).body(), "two");
    let history = store
        .story(MessageId(id), &crate::forecast::assumed())
        .await
        .unwrap();
    let row = history.row.unwrap();
    assert_eq!(row.characters, "onetwothree".len());
}

#[tokio::test]
async fn each_part_is_a_claim_of_its_own_and_the_last_one_ends_the_message() {
    let world = World::new().await;
    let store = at_once(&world);
    let id = of_three(&world).await;
    for (before, text) in [(0, "one"), (1, "two"), (2, "three")] {
        let claim = sent(&store, id).await;
        let payload = cleared(&claim);
        assert_eq!(
            (payload.part(), payload.body()),
            (Part { before, of: 3 }, text)
        );
        assert_eq!(
            (claim.number, claim.attempts_before),
            (i32::from(before) + 1, 0)
        );
        let expected = match before {
            2 => "sent 3/3 attempts=1".to_owned(),
            _ => format!("pending {}/3 attempts=0", before + 1),
        };
        assert_eq!(row(&world, id).await, expected);
        let is_last: bool = world
            .get(id, "twilio_sid is not null and sent_at is not null")
            .await;
        assert_eq!(is_last, before == 2);
    }
    assert_eq!(
        messages(&world).await,
        ["one sent", "two sent", "three sent"]
    );
    let ledger: Vec<String> = one(
        &world.unseen,
        "select array_agg(format('%s %s %s %s', number, part, body, outcome) order by number) from punctual.attempts",
    )
    .await;
    assert_eq!(
        ledger,
        ["1 0 one accepted", "2 1 two accepted", "3 2 three accepted"]
    );
}

/// A record that is repeated, and one that comes late, change nothing.
#[tokio::test]
async fn the_next_part_is_due_a_gap_after_the_acceptance() {
    let world = World::new().await;
    let store = store(&world);
    let id = of_three(&world).await;
    let claim = sent(&store, id).await;
    let gap = Part { before: 0, of: 3 }.gap(rules().part_gap, MessageId(id));
    let due = claim.due + gap;
    let is_then = format!(
        "next_attempt_at = to_timestamp({}::numeric / 1000000)",
        due.as_micros()
    );
    assert!(world.get::<bool>(id, &is_then).await);
    let [answer] = &claim_of(&store, id).await[..] else {
        panic!("one answer");
    };
    assert!(
        matches!(answer, ClaimResponse::Lost(state) if state.is_due_at(due)),
        "{answer:?}"
    );
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    assert_eq!(row(&world, id).await, "pending 1/3 attempts=0");
    // Neither is it too late, however long it waits.
    run(
        &world.unseen,
        &format!("update scheduled_messages set scheduled_at = now() - interval '2 days' where id = '{id}'"),
    )
    .await;
    assert_eq!(store.expire(LATE, None, 100).await.unwrap().len(), 0);
}

async fn claim_of(store: &Store, id: Uuid) -> Vec<ClaimResponse<Claim>> {
    claim(store, &[id]).await
}

#[tokio::test]
async fn a_part_waits_for_every_request_before_it() {
    let world = World::new().await;
    let store = at_once(&world);
    let id = of_three(&world).await;
    let first = begun(&store, id).await;
    // The callback comes before the answer, which is on its way.
    hears(&store, &first, Delivery::Sent).await;
    assert_eq!(row(&world, id).await, "pending 1/3 attempts=0");
    assert_eq!(messages(&world).await, ["one sent"]);
    // Proven, so it is not open any more. Another one at it is.
    let other = format!(
        "insert into punctual.attempts (token, message_id, number, instance, lease_until)
         values (gen_random_uuid(), '{id}', 9, gen_random_uuid(), now() + interval '1 h')"
    );
    run(&world.unseen, &other).await;
    let lost = claim_of(&store, id).await;
    assert!(matches!(lost[0], ClaimResponse::Lost(_)), "{lost:?}");
    run(
        &world.unseen,
        "update punctual.attempts set outcome = 'returned' where number = 9",
    )
    .await;
    assert_eq!(recorded(&store, &[accepted(&first)]).await, 1);
    assert_eq!(row(&world, id).await, "pending 1/3 attempts=0");
    assert_eq!(messages(&world).await, ["one sent"]);
    let second = sent(&store, id).await;
    assert_eq!(cleared(&second).body(), "two");
}

#[tokio::test]
async fn from_the_first_part_on_it_can_only_be_cancelled() {
    let world = World::new().await;
    let store = at_once(&world);
    let (id, fresh) = (of_three(&world).await, of_three(&world).await);
    sent(&store, id).await;
    sent(&store, id).await;
    let its = |set: &str| format!("update scheduled_messages set {set} where id = '{id}'");
    for set in [
        "body = 'other'",
        "scheduled_at = scheduled_at + interval '1 h'",
        "to_number = '+13105550101'",
        "send_before = now()",
        "status = 'cancelled', body = 'other'",
    ] {
        assert_eq!(
            refused(&world.user, &its(set)).await,
            format!("message {id} is pending, 2 of 3 parts sent; it is too late to change it")
        );
    }
    // Nor what only Punctual writes.
    run(
        &world.user,
        &its("parts_done = 0, parts_total = 9, metadata = '{\"a\": 1}'"),
    )
    .await;
    assert_eq!(row(&world, id).await, "pending 2/3 attempts=0");
    // A statement over many rows skips it, and says so.
    let (app, mut heard) = hearing(&world.db).await;
    let all = format!("update scheduled_messages set body = 'x' where id in ('{id}', '{fresh}')");
    assert_eq!(count(&app, &all, &[]).await, 1);
    let Some(AsyncMessage::Notice(warning)) = heard.recv().await else {
        panic!("no warning");
    };
    assert!(
        warning.message().contains("pending, 2 of 3 parts sent"),
        "{warning}"
    );
    run(&world.user, &its("status = 'cancelled'")).await;
    assert_eq!(
        world.get::<String>(id, "cancel_reason").await,
        "2 of 3 parts sent"
    );
    // Sent again, it goes on where it was.
    let moved = its("status = 'pending', scheduled_at = now()");
    refused(&world.user, &moved).await;
    run(&world.user, &its("status = 'pending'")).await;
    assert_eq!(row(&world, id).await, "pending 2/3 attempts=0");
    sent(&store, id).await;
    assert_eq!(
        messages(&world).await,
        ["one sent", "two sent", "three sent"]
    );
    // Of this one nothing is left.
    run(&world.unseen, &its("status = 'failed'")).await;
    assert_eq!(
        refused(&world.user, &its("status = 'pending'")).await,
        format!("message {id} cannot be sent again: 3 of 3 parts sent")
    );
}

/// Of the daemon's own cancels each says how far the message had come.
#[tokio::test]
async fn every_cancel_between_parts_says_how_many_were_sent() {
    let world = World::new().await;
    let store = at_once(&world);
    let user = Uuid::new_v4();
    run(
        &world.user,
        &format!(
            "insert into user_sms_preferences (user_id, phone_verified, daily_sms_limit, quiet_hours_start) values ('{user}', true, 1, null);
             insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start)
             values ('e', '{user}', 'x', now() + interval '1 h')"
        ),
    )
    .await;
    let ids = [
        of_three(&world).await,
        of_three(&world).await,
        of_three(&world).await,
    ];
    let all = "update scheduled_messages set";
    run(
        &world.unseen,
        &format!(
            "{all} user_id = '{user}', calendar_event_id = 'e' where id = '{}'",
            ids[0]
        ),
    )
    .await;
    let quota = || {
        one::<Option<i32>>(
            &world.unseen,
            "select max(count) from punctual.daily_counts",
        )
    };
    for id in ids {
        sent(&store, id).await;
    }
    // The message counts once, and its second part is within the limit of one.
    assert_eq!(quota().await, Some(1));
    let second = begun(&store, ids[0]).await;
    assert_eq!(cleared(&second).body(), "two");
    assert_eq!(recorded(&store, &[taken(&second)]).await, 1);
    assert_eq!(quota().await, Some(1));
    // Its event moves, and takes what has begun along no more; then it is deleted.
    let before: i64 = world
        .get(ids[0], "extract(epoch from scheduled_at)::bigint")
        .await;
    run(
        &world.user,
        "update task_calendar_events set event_start = event_start + interval '1 h'",
    )
    .await;
    assert_eq!(
        world
            .get::<i64>(ids[0], "extract(epoch from scheduled_at)::bigint")
            .await,
        before
    );
    assert_eq!(
        one::<i64>(
            &world.unseen,
            "select count(*) from punctual.missed_event_changes"
        )
        .await,
        0
    );
    run(&world.user, "delete from task_calendar_events").await;
    // A verdict of the policy, and a reply STOP.
    let claim = begun(&store, ids[1]).await;
    let verdict = record(
        &claim,
        Settlement::cancelled(Reason::new(ReasonKind::QuietHours, "a verdict")),
    );
    assert_eq!(recorded(&store, &[verdict]).await, 1);
    run(
        &world.unseen,
        "insert into punctual.suppressions (our_number, their_number, reason) values (null, '+13105550100', 'STOP')",
    )
    .await;
    claim_of(&store, ids[2]).await;
    let mut reasons = Vec::new();
    for id in ids {
        assert_eq!(world.status(id).await, "cancelled");
        reasons.push(world.get::<String>(id, "cancel_reason").await);
    }
    assert_eq!(
        reasons,
        [
            "Calendar event deleted; 2 of 3 parts sent",
            "a verdict; 1 of 3 parts sent",
            "STOP; 1 of 3 parts sent"
        ]
    );
}

#[tokio::test]
async fn an_uncertain_part_holds_the_rest_until_it_is_settled() {
    let world = World::new().await;
    let store = at_once(&world);
    let id = of_three(&world).await;
    sent(&store, id).await;
    let second = begun(&store, id).await;
    let unsure = record(&second, Settlement::uncertain("no answer".into()));
    assert_eq!(recorded(&store, &[unsure]).await, 1);
    assert_eq!(row(&world, id).await, "unconfirmed 1/3 attempts=1");
    // It is looked for by the text of the part.
    let key = "select lookup_text = sha256('two') from punctual.attempts where outcome = 'unknown'";
    assert!(one::<bool>(&world.unseen, key).await);
    let lost = claim_of(&store, id).await;
    assert!(matches!(lost[0], ClaimResponse::Lost(_)), "{lost:?}");
    // A person says that it is to go again: the same part, and not the next.
    let done = store.resolve(MessageId(id), &Decision::Resend, "ada").await;
    done.unwrap();
    let again = begun(&store, id).await;
    assert_eq!(cleared(&again).body(), "two");
    let unsure = record(&again, Settlement::uncertain("no answer".into()));
    assert_eq!(recorded(&store, &[unsure]).await, 1);
    // That it was sent: the next one.
    let sent_it = Decision::Sent(Some(ProviderSid(sid(&again))));
    store.resolve(MessageId(id), &sent_it, "ada").await.unwrap();
    assert_eq!(row(&world, id).await, "pending 2/3 attempts=0");
    assert_eq!(messages(&world).await, ["one sent", "two sent"]);
    // The first try has arrived all the same: it is known as sent twice, and moves nothing.
    hears(&store, &second, Delivery::Delivered).await;
    assert_eq!(store.take_duplicates(), 1);
    assert_eq!(row(&world, id).await, "pending 2/3 attempts=0");
    let third = begun(&store, id).await;
    assert_eq!(cleared(&third).body(), "three");
    let unsure = record(&third, Settlement::uncertain("no answer".into()));
    assert_eq!(recorded(&store, &[unsure]).await, 1);
    store
        .resolve(MessageId(id), &Decision::Cancel, "ada")
        .await
        .unwrap();
    let reason: String = world.get(id, "cancel_reason").await;
    assert!(reason.ends_with("; 2 of 3 parts sent"), "{reason}");
    // It was sent, so nothing is left.
    hears(&store, &third, Delivery::Delivered).await;
    assert_eq!(row(&world, id).await, "sent 3/3 attempts=1");
}

#[tokio::test]
async fn reports_of_parts_move_the_row_only_as_far_as_they_may() {
    let world = World::new().await;
    let store = at_once(&world);
    let id = of_three(&world).await;
    let first = sent(&store, id).await;
    hears(&store, &first, Delivery::Delivered).await;
    assert_eq!(row(&world, id).await, "pending 1/3 attempts=0");
    let second = sent(&store, id).await;
    // It is tried again, for no later one was accepted.
    let unreachable = Failure {
        category: punctual::message::Category::Unreachable,
        retry: punctual::message::Retry::after(Duration::from_millis(1)),
    };
    hears(&store, &second, Delivery::Undelivered(unreachable)).await;
    assert_eq!(row(&world, id).await, "pending 1/3 attempts=1");
    run(
        &world.unseen,
        "update scheduled_messages set next_attempt_at = now()",
    )
    .await;
    let again = sent(&store, id).await;
    assert_eq!((cleared(&again).body(), again.attempts_before), ("two", 1));
    assert_eq!(store.take_duplicates(), 0);
    let third = sent(&store, id).await;
    assert_eq!(row(&world, id).await, "sent 3/3 attempts=1");
    hears(&store, &third, Delivery::Delivered).await;
    assert_eq!(row(&world, id).await, "sent 3/3 attempts=1");
    hears(&store, &again, Delivery::Delivered).await;
    assert_eq!(row(&world, id).await, "delivered 3/3 attempts=1");
    assert_eq!(
        messages(&world).await,
        [
            "one delivered",
            "two undelivered",
            "two delivered",
            "three delivered"
        ]
    );
}

/// After a restore the journals know which parts were sent.
#[tokio::test]
async fn parts_that_the_database_lost_are_entered_again_in_any_order() {
    let world = World::new().await;
    let store = at_once(&world);
    let (whole, begun_there) = (of_three(&world).await, of_three(&world).await);
    let first = sent(&store, begun_there).await;
    let lost = |id: Uuid, before: i16| Record {
        id: MessageId(id),
        token: AttemptToken::fresh(),
        part: Part { before, of: 3 },
        payload: None,
        settlement: Settlement::Accepted {
            sid: ProviderSid(format!("SM{id}{before}")),
        },
        ..accepted(&first)
    };
    // Nothing of the first is known, and of the second only its first part.
    assert_eq!(
        recorded(&store, &[lost(whole, 1), lost(begun_there, 2)]).await,
        2
    );
    assert_eq!(row(&world, whole).await, "pending 2/3 attempts=0");
    assert_eq!(row(&world, begun_there).await, "sent 3/3 attempts=0");
    assert_eq!(
        recorded(&store, &[lost(whole, 0), lost(begun_there, 1)]).await,
        2
    );
    assert_eq!(row(&world, whole).await, "pending 2/3 attempts=0");
    let of_second: Vec<String> = one(
        &world.unseen,
        &format!(
            "select array_agg(body order by body) from messages where metadata ->> 'scheduled_message_id' = '{begun_there}'"
        ),
    )
    .await;
    assert_eq!(of_second, ["one", "three", "two"]);
    assert_eq!(
        one::<i64>(&world.unseen, "select count(*) from messages").await,
        5
    );
    let third = sent(&store, whole).await;
    assert_eq!(cleared(&third).body(), "three");
    assert_eq!(row(&world, whole).await, "sent 3/3 attempts=1");
    assert_eq!(ledger(&world, whole).await.len(), 3);
}

/// The part after it may have been sent in the history that was lost: it is due when the message was, so that it is in
/// quarantine, which does not end before the outcome is known.
#[tokio::test]
async fn a_part_that_was_open_before_a_restore_is_followed_by_none_that_is_out_of_quarantine() {
    let world = World::new().await;
    let store = store(&world);
    let (open, uncertain) = (three(&world).await, of_three(&world).await);
    let _single = begun(&store, open).await;
    let claim = begun(&store, uncertain).await;
    assert_eq!(store.mark_restored().await.unwrap(), 2);
    let looked_up = async || store.quarantined_parts(10).await.unwrap();
    assert_eq!(looked_up().await, [MessageId(uncertain)]);
    let lost = Record {
        settlement: Settlement::uncertain("the database lost the outcome of the request".into()),
        ..taken(&claim)
    };
    assert_eq!(recorded(&store, &[lost]).await, 1);
    assert_eq!(looked_up().await, [MessageId(uncertain)]);

    hears(&store, &claim, Delivery::Sent).await;
    assert_eq!(row(&world, uncertain).await, "pending 1/3 attempts=0");
    let is_retried: bool = world.get(uncertain, "next_attempt_at is not null").await;
    assert!(!is_retried);
    assert_eq!(looked_up().await, []);
}

#[tokio::test]
async fn erasing_blanks_the_texts_of_all_parts() {
    let world = World::new().await;
    let store = at_once(&world);
    let id = of_three(&world).await;
    sent(&store, id).await;
    run(
        &world.user,
        &format!("update scheduled_messages set status = 'cancelled' where id = '{id}'; select punctual.erase('{id}')"),
    )
    .await;
    let left = "select count(*) from punctual.attempts where body is not null or texts is not null";
    assert_eq!(one::<i64>(&world.unseen, left).await, 0);
    assert_eq!(row(&world, id).await, "cancelled 1/3 attempts=0");
}

/// The first part has the quota of all: it is returned if nothing of the message arrives.
#[tokio::test]
async fn the_quota_stays_used_while_another_part_was_sent() {
    let world = World::new().await;
    let store = at_once(&world);
    let failed = || {
        Delivery::Undelivered(Failure {
            category: punctual::message::Category::Unreachable,
            retry: punctual::message::Retry::No,
        })
    };
    let quota = "select sum(count)::int from punctual.daily_counts";
    for (parts, used) in [(1, 0), (2, 1)] {
        let user = Uuid::new_v4();
        run(
            &world.user,
            &format!(
                "insert into user_sms_preferences (user_id, phone_verified, daily_sms_limit, quiet_hours_start)
                 values ('{user}', true, 9, null)"
            ),
        )
        .await;
        let id = of_three(&world).await;
        let whose = format!("update scheduled_messages set user_id = '{user}' where id = '{id}'");
        run(&world.unseen, &whose).await;
        let first = sent(&store, id).await;
        assert_eq!(one::<i32>(&world.unseen, quota).await, 1);
        if parts == 2 {
            sent(&store, id).await;
        }
        hears(&store, &first, failed()).await;
        assert_eq!(one::<i32>(&world.unseen, quota).await, used, "{parts} sent");
        let clean = "delete from scheduled_messages; delete from punctual.daily_counts";
        run(&world.unseen, clean).await;
    }
}

#[tokio::test]
async fn the_reason_of_a_cancel_counts_a_part_that_turns_out_to_be_sent() {
    let world = World::new().await;
    let store = at_once(&world);
    let id = of_three(&world).await;
    sent(&store, id).await;
    let second = begun(&store, id).await;
    let unsure = record(&second, Settlement::uncertain("no answer".into()));
    assert_eq!(recorded(&store, &[unsure]).await, 1);
    let cancel = store.resolve(MessageId(id), &Decision::Cancel, "ada").await;
    cancel.unwrap();
    let before: String = world.get(id, "cancel_reason").await;
    assert!(before.ends_with("; 1 of 3 parts sent"), "{before}");
    hears(&store, &second, Delivery::Delivered).await;
    assert!(row(&world, id).await.starts_with("cancelled 2/3"));
    let after: String = world.get(id, "cancel_reason").await;
    assert_eq!(after, before.replace("1 of 3", "2 of 3"));
}
