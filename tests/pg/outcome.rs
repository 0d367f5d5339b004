//! What is recorded: proof counts whenever it comes, everything else only while it is fenced.

use std::time::Duration;

use punctual::message::{
    AttemptToken, Category, Claim, Delivery, LaneKey, LedgerOutcome, MessageId, Moment,
    ProviderSid, RowState, Status,
};
use punctual::policy::{Reason, ReasonKind};
use punctual::proof::{About, ProviderStatus, Report};
use punctual::settle::{Next, Record, Settled, Settlement, Wait};
use punctual::store::Store;
use uuid::Uuid;

use crate::ours::{accepted, ledger, now, record, recorded, sid, store, won};
use crate::rows::{World, one, run};

/// A settlement with everything in it, so that what is not kept is missed.
fn settled(next: Next, outcome: LedgerOutcome, counts: bool) -> Settlement {
    Settlement::Settled(Settled {
        next,
        outcome,
        code: Some(30003),
        category: Some(Category::Unreachable),
        verdict: None,
        reason: Some("because".into()),
        lawful: Some("marketing to US-FL".into()),
        counts,
    })
}

async fn claimed(world: &World, store: &Store) -> Claim {
    let id = world.row("pending").await;
    won(store, &[id]).await.remove(0)
}

async fn app_rows(world: &World, id: Uuid) -> i64 {
    let sql =
        format!("select count(*) from messages where metadata->>'scheduled_message_id' = '{id}'");
    one(&world.unseen, &sql).await
}

#[tokio::test]
async fn proof_is_recorded_and_repeating_it_changes_nothing() {
    let world = World::new().await;
    let store = store(&world);
    let claim = claimed(&world, &store).await;
    let (id, proof) = (claim.id.0, accepted(&claim));
    assert_eq!(recorded(&store, std::slice::from_ref(&proof)).await, 1);
    let sent_at = format!(
        "status = 'sent' and twilio_sid = '{}' and error_message is null
        and sent_at = scheduled_at + interval '70 ms' and attempts = 1",
        sid(&claim)
    );
    assert!(world.get::<bool>(id, &sent_at).await);
    let whole = |id| world.get::<String>(id, "scheduled_messages::text");
    let before = whole(id).await;
    assert_eq!(recorded(&store, std::slice::from_ref(&proof)).await, 1);
    assert_eq!(whole(id).await, before);
    assert_eq!(app_rows(&world, id).await, 1);
    let entry = &ledger(&world, id).await[0];
    assert_eq!(entry.get::<_, &str>("outcome"), "accepted");
    assert_eq!(entry.get::<_, String>("provider_sid"), sid(&claim));
}

#[tokio::test]
async fn late_proof_is_merged_into_every_state_but_delivered() {
    let world = World::new().await;
    let store = store(&world);
    for status in [
        "sending",
        "unconfirmed",
        "pending",
        "failed",
        "cancelled",
        "sent",
        "delivered",
    ] {
        let claim = claimed(&world, &store).await;
        let id = claim.id.0;
        // As the reaper, a person or the user left it; the app has its row if it was sent.
        run(&world.unseen, &format!(
            "update scheduled_messages set status = '{status}', error_message = 'no', error_code = 1,
               cancel_reason = 'late', cancelled_at = now(), next_attempt_at = 'infinity', twilio_sid = 'SMold'
             where id = '{id}';
             update punctual.attempts set outcome = 'unknown', error = 'no', code = 1 where message_id = '{id}'"
        )).await;
        assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
        let over = matches!(status, "sent" | "delivered");
        let expected = if status == "delivered" {
            "delivered"
        } else {
            "sent"
        };
        assert_eq!(world.status(id).await, expected, "{status}");
        let clean = "error_message is null and error_code is null and cancel_reason is null
                     and cancelled_at is null and next_attempt_at is null and twilio_sid <> 'SMold'";
        assert_eq!(world.get::<bool>(id, clean).await, !over, "{status}");
        assert_eq!(app_rows(&world, id).await, i64::from(!over), "{status}");
        let entry = &ledger(&world, id).await[0];
        assert_eq!(entry.get::<_, &str>("outcome"), "accepted", "{status}");
        assert_eq!(entry.get::<_, Option<String>>("error"), None);
    }
}

/// What began counts as late once; what was released before it began does not, and a new wish starts over.
#[tokio::test]
async fn a_claim_says_whether_a_request_began_before() {
    let world = World::new().await;
    let store = store(&world);
    let first = claimed(&world, &store).await;
    let id = first.id.0;
    assert!(!first.is_retry);
    let again = async |claim: &Claim, began: bool| {
        let back = settled(Next::Back(Wait::No), LedgerOutcome::Throttled, false);
        let started = if began { Some(now(&store).await) } else { None };
        let record = Record {
            started,
            ..record(claim, back)
        };
        assert_eq!(recorded(&store, &[record]).await, 1);
        won(&store, &[id]).await.remove(0)
    };
    let second = again(&first, false).await;
    assert!(!second.is_retry, "no request began");
    let third = again(&second, true).await;
    assert!(third.is_retry);
    let fourth = again(&third, false).await;
    assert!(fourth.is_retry, "still");
    let back = settled(Next::Failed, LedgerOutcome::Refused, true);
    assert_eq!(recorded(&store, &[record(&fourth, back)]).await, 1);
    let put_back = format!("update scheduled_messages set status = 'pending' where id = '{id}'");
    world.user.batch_execute(&put_back).await.unwrap();
    assert!(
        !won(&store, &[id]).await[0].is_retry,
        "since then it is wanted again"
    );
}

#[tokio::test]
async fn each_settlement_leaves_the_row_as_it_says() {
    let world = World::new().await;
    let store = store(&world);
    let pause = Next::Back(Wait::Pause(Duration::from_secs(600)));
    let at_once = Next::Back(Wait::No);
    for (next, outcome, counts, row) in [
        (pause, LedgerOutcome::Throttled, false,
         "attempts = 0 and error_message = 'because' and error_code = 30003 and cancelled_at is null
          and next_attempt_at between clock_timestamp() + interval '9 min' and clock_timestamp() + interval '11 min'"),
        (at_once, LedgerOutcome::Returned, false, "attempts = 0 and next_attempt_at is null"),
        (pause, LedgerOutcome::Refused, true, "attempts = 1 and next_attempt_at is not null"),
        (Next::Failed, LedgerOutcome::Refused, true,
         "attempts = 1 and error_message = 'because' and error_code = 30003 and next_attempt_at is null"),
        (Next::Failed, LedgerOutcome::Rejected, false, "attempts = 0 and error_message = 'because'"),
        (Next::Unconfirmed, LedgerOutcome::Unknown, true, "attempts = 1 and error_message = 'because'"),
        (Next::Cancelled, LedgerOutcome::Cancelled, false,
         "attempts = 0 and cancel_reason = 'because' and cancelled_at is not null and error_message is null"),
    ] {
        let claim = claimed(&world, &store).await;
        let id = claim.id.0;
        let settlement = settled(next, outcome, counts);
        let Settlement::Settled(of) = &settlement else {
            unreachable!()
        };
        let (to, ended) = (of.status(), outcome.as_str());
        let result = record(&claim, settlement);
        let done = store.record(&[&result]).await.unwrap();
        let left = done[&claim.token].clone().expect("it was moved");
        match (to, left) {
            (Status::Pending, RowState::Pending { due, attempts, .. }) => {
                let waits = due > now(&store).await + Duration::from_secs(300);
                assert_eq!((waits, attempts), (next == pause, i32::from(counts)));
            }
            (to, left) => assert_eq!(left, RowState::Gone { status: Some(to) }),
        }
        let is_as_said = format!("status = '{}' and {row}", to.as_str());
        let whole: String = world.get(id, "scheduled_messages::text").await;
        assert!(world.get::<bool>(id, &is_as_said).await, "{ended}: {whole}");
        let entry = &ledger(&world, id).await[0];
        assert_eq!(entry.get::<_, &str>("outcome"), ended);
        assert_eq!(entry.get::<_, Option<&str>>("error"), Some("because"));
        assert_eq!(app_rows(&world, id).await, 0);

        // Again, by a daemon that missed the answer: done with, and nothing changes.
        let whole = world.get::<String>(id, "scheduled_messages::text").await;
        let again = store.record(&[&result]).await.unwrap();
        assert_eq!(again[&claim.token], None);
        assert_eq!(world.get::<String>(id, "scheduled_messages::text").await, whole);
    }
}

/// A trigger of the app's that returns null for it. The ledger has the outcome, so nothing is sent again.
#[tokio::test]
async fn a_result_that_does_not_change_its_row_is_noticed() {
    let world = World::new().await;
    let store = store(&world);
    run(
        &world.unseen,
        "create function public.swallow() returns trigger language plpgsql as
           $$ begin if new.body = 'swallowed' and new.status <> 'sending' then return null; end if; return new; end $$;
         create trigger swallow before update on scheduled_messages for each row execute function public.swallow()",
    )
    .await;
    let swallowed = async || {
        let claim = claimed(&world, &store).await;
        let body = format!(
            "set session_replication_role = replica;
             update scheduled_messages set body = 'swallowed' where id = '{}';
             set session_replication_role = default",
            claim.id.0
        );
        run(&world.unseen, &body).await;
        claim
    };
    let seen = || {
        store
            .results_without_effect()
            .map(|seen| (seen.results, seen.is_partial))
    };
    assert_eq!(
        recorded(&store, &[accepted(&claimed(&world, &store).await)]).await,
        1
    );
    assert_eq!(seen(), None);
    let failed = settled(Next::Failed, LedgerOutcome::Refused, true);
    let back = settled(Next::Back(Wait::No), LedgerOutcome::Returned, false);
    let (first, second, third) = (swallowed().await, swallowed().await, swallowed().await);
    for (n, result) in [
        accepted(&first),
        record(&second, failed),
        record(&third, back),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(recorded(&store, std::slice::from_ref(&result)).await, 1);
        assert_eq!(seen(), Some((n as u64 + 1, false)));
        assert_eq!(world.get::<String>(result.id.0, "status").await, "sending");
        assert!(
            !ledger(&world, result.id.0).await[0]
                .get::<_, String>("outcome")
                .is_empty()
        );
    }
    // Those of others are.
    let (first, other) = (swallowed().await, claimed(&world, &store).await);
    assert_eq!(
        recorded(&store, &[accepted(&first), accepted(&other)]).await,
        2
    );
    assert_eq!(seen(), Some((4, true)));
    // What the provider reports of them is in the ledger too.
    let reported = swallowed().await;
    assert_eq!(recorded(&store, &[accepted(&other)]).await, 1);
    let before = seen();
    let report = Report {
        lane: LaneKey::default(),
        about: About::Attempt {
            message: reported.id,
            token: reported.token,
        },
        sid: ProviderSid(sid(&reported)),
        status: ProviderStatus {
            delivery: Delivery::Delivered,
            word: "delivered",
            code: None,
            error: None,
        },
        from: None,
        to: None,
    };
    let lateness = Duration::from_secs(3600);
    store.receive(&[report], lateness).await.unwrap();
    assert_eq!(seen().map(|seen| seen.0), before.map(|_| 1));
    assert_eq!(
        world.get::<String>(reported.id.0, "status").await,
        "sending"
    );
    let kept = format!(
        "select count(*) from punctual.receipts where message_id = '{}'",
        reported.id.0
    );
    assert_eq!(one::<i64>(&world.unseen, &kept).await, 1);
    // What was recorded before is no result without an effect.
    run(&world.unseen, "drop trigger swallow on scheduled_messages").await;
    assert_eq!(recorded(&store, &[accepted(&other)]).await, 1);
    assert_eq!(seen(), Some((1, true)));
}

#[tokio::test]
async fn proof_counts_though_the_ledger_has_lost_the_claim() {
    let world = World::new().await;
    let store = store(&world);
    let claim = claimed(&world, &store).await;
    let id = claim.id.0;
    // As a standby that took over before the claim had come to it.
    run(
        &world.unseen,
        "delete from punctual.attempts; update scheduled_messages set status = 'pending', attempts = 0",
    )
    .await;
    // Twice: it is entered once.
    for _ in 0..2 {
        assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
        assert_eq!(world.status(id).await, "sent", "it would be sent twice");
        assert_eq!(world.get::<String>(id, "twilio_sid").await, sid(&claim));
        let [entry] = &ledger(&world, id).await[..] else {
            panic!("one attempt");
        };
        assert_eq!(entry.get::<_, i32>("number"), 1);
        assert_eq!(entry.get::<_, Uuid>("token"), claim.token.0);
        assert_eq!(entry.get::<_, &str>("outcome"), "accepted");
        assert_eq!(entry.get::<_, String>("provider_sid"), sid(&claim));
        assert_eq!(entry.get::<_, Uuid>("instance"), store.instance().0);
        assert!(
            entry
                .get::<_, &str>("error")
                .contains("had lost this attempt")
        );
    }
    assert_eq!(app_rows(&world, id).await, 1);
    assert_eq!(store.take_duplicates(), 0);
}

/// What was sent stays known, whether its row came back with the backup or not; the same message
/// by another token is no second one, and a second message is one.
#[tokio::test]
async fn what_the_ledger_recovers_has_its_number_and_is_distinguished_from_others() {
    let world = World::new().await;
    let store = store(&world);
    let claim = claimed(&world, &store).await;
    let id = claim.id.0;
    let (again, second, gone) = (
        Claim {
            token: AttemptToken::fresh(),
            ..claim.clone()
        },
        Claim {
            token: AttemptToken::fresh(),
            ..claim.clone()
        },
        Claim {
            id: MessageId(Uuid::from_u128(77)),
            token: AttemptToken::fresh(),
            ..claim.clone()
        },
    );
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    let same = Record {
        settlement: accepted(&claim).settlement,
        ..accepted(&again)
    };
    assert_eq!(recorded(&store, &[same]).await, 1, "done with");
    assert_eq!(ledger(&world, id).await.len(), 1);
    assert_eq!(store.take_duplicates(), 0);

    assert_eq!(recorded(&store, &[accepted(&second)]).await, 1);
    let entries = ledger(&world, id).await;
    let numbers: Vec<i32> = entries.iter().map(|entry| entry.get("number")).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(store.take_duplicates(), 1, "two texts went out");

    assert_eq!(recorded(&store, &[accepted(&gone)]).await, 1);
    let entry = &ledger(&world, gone.id.0).await[0];
    assert_eq!(entry.get::<_, String>("provider_sid"), sid(&gone));
}

#[tokio::test]
async fn a_denial_by_another_attempt_moves_nothing() {
    let world = World::new().await;
    let store = store(&world);
    let failed = || settled(Next::Failed, LedgerOutcome::Refused, true);
    let first = claimed(&world, &store).await;
    let id = first.id.0;
    recorded(&store, &[record(&first, Settlement::returned("test"))]).await;
    let second = won(&store, &[id]).await.remove(0);

    // The first is over; a token nobody has is no attempt at all.
    let unknown = Claim {
        token: AttemptToken::fresh(),
        ..first.clone()
    };
    for stranger in [&first, &unknown] {
        assert_eq!(
            recorded(&store, &[record(stranger, failed())]).await,
            1,
            "done with"
        );
        assert_eq!(world.status(id).await, "sending");
    }
    // A token of another message.
    let other = claimed(&world, &store).await;
    let crossed = Claim {
        token: other.token,
        ..second.clone()
    };
    recorded(&store, &[record(&crossed, failed())]).await;
    assert_eq!(world.status(id).await, "sending");
    let entry = &ledger(&world, other.id.0).await[0];
    assert_eq!(
        entry.get::<_, Option<&str>>("outcome"),
        None,
        "an attempt closed for another's row would leave its own sending for ever"
    );

    recorded(&store, &[record(&second, failed())]).await;
    assert_eq!(world.status(id).await, "failed");
    // Nor after somebody else has moved it.
    for status in ["pending", "unconfirmed", "sent", "delivered", "cancelled"] {
        let claim = claimed(&world, &store).await;
        let id = claim.id.0;
        run(
            &world.unseen,
            &format!("update scheduled_messages set status = '{status}' where id = '{id}'"),
        )
        .await;
        recorded(&store, &[record(&claim, failed())]).await;
        assert_eq!(world.status(id).await, status);
    }
    // The first attempt's proof comes while the second is in flight: both are in the ledger.
    let first = claimed(&world, &store).await;
    let id = first.id.0;
    recorded(
        &store,
        &[record(
            &first,
            settled(Next::Back(Wait::No), LedgerOutcome::Unsent, false),
        )],
    )
    .await;
    let second = won(&store, &[id]).await.remove(0);
    recorded(&store, &[accepted(&first)]).await;
    assert_eq!(world.status(id).await, "sent");
    recorded(&store, &[accepted(&second)]).await;
    let entries = ledger(&world, id).await;
    assert!(
        entries
            .iter()
            .all(|entry| entry.get::<_, &str>("outcome") == "accepted")
    );
    assert_eq!((entries.len(), app_rows(&world, id).await), (2, 1));
}

#[tokio::test]
async fn what_somebody_holds_is_left_for_later_and_what_is_deleted_is_done() {
    let world = World::new().await;
    let store = store(&world);
    let claims = [
        claimed(&world, &store).await,
        claimed(&world, &store).await,
        claimed(&world, &store).await,
        claimed(&world, &store).await,
    ];
    let ids = claims.each_ref().map(|claim| claim.id.0);
    let records = [
        accepted(&claims[0]),
        accepted(&claims[1]),
        record(
            &claims[2],
            Settlement::rejected(Reason::new(ReasonKind::Text, "no")),
        ),
        record(
            &claims[3],
            Settlement::rejected(Reason::new(ReasonKind::Text, "no")),
        ),
    ];
    run(&world.user, &format!(
        "begin; update scheduled_messages set metadata = '{{\"held\":1}}' where id in ('{}', '{}')", ids[0], ids[2]
    )).await;
    run(
        &world.unseen,
        &format!(
            "delete from scheduled_messages where id in ('{}', '{}')",
            ids[1], ids[3]
        ),
    )
    .await;
    let all: Vec<_> = records.iter().collect();
    let done = store.record(&all).await.unwrap();
    let mut tokens: Vec<_> = done.keys().copied().collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [claims[1].token, claims[3].token]);
    let open = |id: Uuid| {
        let world = &world;
        async move { ledger(world, id).await[0].get::<_, Option<String>>("outcome") }
    };
    assert_eq!(open(ids[0]).await, None);
    assert_eq!(
        open(ids[1]).await.as_deref(),
        Some("accepted"),
        "the proof outlives the row"
    );
    assert_eq!(open(ids[3]).await.as_deref(), Some("rejected"));

    run(&world.user, "commit").await;
    assert_eq!(recorded(&store, &records).await, 4);
    assert_eq!(world.tally().await, "failed 1, sent 1");
    assert!(
        world.get::<bool>(ids[0], "metadata ? 'held'").await,
        "the user's note stands"
    );
}

#[tokio::test]
async fn a_row_without_an_end_of_time_is_recorded_like_any_other() {
    let world = World::new().await;
    let store = store(&world);
    let id = world.row("pending").await;
    run(
        &world.unseen,
        "update scheduled_messages set scheduled_at = '-infinity', send_before = 'infinity'",
    )
    .await;
    let claim = won(&store, &[id]).await.remove(0);
    assert_eq!(
        (claim.id, claim.due, claim.send_before),
        (MessageId(id), Moment::MIN, Some(Moment::MAX))
    );
    let back = record(&claim, Settlement::returned("test"));
    let done = store.record(&[&back]).await.unwrap();
    assert!(done[&claim.token].as_ref().unwrap().is_due_at(Moment::MIN));
}

#[tokio::test]
async fn an_attempt_has_the_severity_of_its_refusal() {
    let world = World::new().await;
    for (category, severity) in [
        ("'account_issue'", Some("critical")),
        ("'carrier_issue'", Some("medium")),
        ("'quiet_hours'", None),
        ("null", None),
    ] {
        let sql = format!(
            "insert into punctual.attempts as a (token, message_id, number, instance, lease_until, category)
             values (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now(), {category}) returning punctual.severity(a)"
        );
        let is: Option<String> = one(&world.unseen, &sql).await;
        assert_eq!(is.as_deref(), severity, "{category}");
    }
}
