//! Claims: one winner, a reason for everybody else, and a ledger that counts.

use std::sync::Arc;

use punctual::message::{
    AttemptToken, Channel, ClaimResponse, LaneKey, MessageId, Moment, Part, Priority, Routes,
    RowState, Sender, Status,
};
use punctual::policy::{Cleared, Rules};
use punctual::schedule::LEAD_MAX;
use punctual::settle::{Record, Settlement};
use punctual::store::Store;
use uuid::Uuid;

use crate::ours::{LATE, LEASE, claim, ledger, now, record, rules, store, won};
use crate::rows::{World, one, run};
use crate::window::loaded;

fn lost(answers: &[ClaimResponse<punctual::message::Claim>]) -> Vec<RowState> {
    let of = |answer: &ClaimResponse<_>| match answer {
        ClaimResponse::Lost(state) => state.clone(),
        other => panic!("{other:?}"),
    };
    answers.iter().map(of).collect()
}

const fn gone(status: Option<Status>) -> RowState {
    RowState::Gone { status }
}

#[tokio::test]
async fn what_is_won_is_what_the_row_says() {
    let world = World::new().await;
    let columns = ", from_number, deferred_until, next_attempt_at, requeued_at, send_before, max_attempts, attempts";
    let values = ", '+15005550006', 'epoch', 'epoch', '2020-01-01 00:00:00+00', 'infinity', 7, 2";
    let full = world.row_with("pending", columns, values).await;
    run(
        &world.unseen,
        "update scheduled_messages set scheduled_at = '-infinity'",
    )
    .await;
    let bare = world.row_with("pending", ", max_attempts", ", null").await;
    let store = store(&world);
    let claims = won(&store, &[full, bare]).await;

    let c = &claims[0];
    assert_eq!(
        (c.id.0, c.number, c.attempts_before, c.max_attempts),
        (full, 1, 2, 7)
    );
    assert_eq!(c.due, Moment::from_micros(0));
    assert_eq!(c.wanted_at, Moment::from_micros(1_577_836_800_000_000));
    assert_eq!(c.send_before, Some(Moment::MAX));
    assert_eq!(
        (c.to_number.as_str(), c.body.as_str()),
        ("+13105550100", "hello")
    );
    assert_eq!(c.from_number.as_deref(), Some("+15005550006"));
    let c = &claims[1];
    assert_eq!(
        (c.attempts_before, c.max_attempts, c.send_before),
        (0, 3, None)
    );
    assert_eq!((c.due, c.from_number.as_deref()), (c.wanted_at, None));

    assert_eq!(world.tally().await, "sending 2");
    assert_eq!(world.get::<i32>(full, "attempts").await, 3);
    let entry = &ledger(&world, full).await[0];
    assert_eq!(entry.get::<_, Uuid>("token"), claims[0].token.0);
    assert_eq!(entry.get::<_, Uuid>("instance"), store.instance().0);
    assert_eq!(entry.get::<_, Option<String>>("outcome"), None);
}

/// The window, a read, a claim, and what is left after a record: all say which way a row goes.
#[tokio::test]
async fn whatever_returns_a_row_returns_its_lane() {
    let world = World::new().await;
    let store = store(&world);
    for (word, channel) in [
        ("null", Channel::Sms),
        ("'sms'", Channel::Sms),
        ("' Webhook '", Channel::Webhook),
        ("'carrier pigeon'", Channel::Other),
    ] {
        let id = world
            .row_with("pending", ", channel", &format!(", {word}"))
            .await;
        let lane = LaneKey::of(channel);
        let is_of = |state: &RowState| match state {
            RowState::Pending { lane: own, .. } | RowState::Sending { lane: own, .. } => {
                *own == lane
            }
            RowState::Gone { .. } => false,
        };
        let upcoming = loaded(&store, Moment::MAX, LATE).await;
        let found = upcoming.iter().find(|row| row.id.0 == id);
        assert_eq!(found.map(|row| &row.lane), Some(&lane), "{word}");
        let read = async || store.read(&[MessageId(id)]).await.unwrap().remove(0).1;
        assert!(is_of(&read().await), "{word}");
        let claim = won(&store, &[id]).await.remove(0);
        assert_eq!(claim.lane, lane, "{word}");
        assert!(is_of(&read().await), "{word}");
        // Two of these could not be sent, so there is nothing that was prepared.
        let settled: Record<Arc<Cleared>> = Record {
            id: claim.id,
            token: claim.token,
            settlement: Settlement::returned("not needed"),
            started: None,
            finished: None,
            payload: None,
            tries: 0,
            part: Part::ONLY,
        };
        let done = store.record(&[&settled]).await.unwrap();
        assert!(done[&claim.token].as_ref().is_some_and(is_of), "{word}");
    }
}

#[tokio::test]
async fn who_loses_learns_why() {
    let world = World::new().await;
    let (ours, theirs) = (store(&world), store(&world));
    for (status, state) in [
        ("sent", Status::Sent),
        ("delivered", Status::Delivered),
        ("failed", Status::Failed),
        ("cancelled", Status::Cancelled),
        ("unconfirmed", Status::Unconfirmed),
    ] {
        let id = world.row(status).await;
        assert_eq!(lost(&claim(&ours, &[id]).await), [gone(Some(state))]);
    }
    assert_eq!(lost(&claim(&ours, &[Uuid::new_v4()]).await), [gone(None)]);

    // Moved, and so not due yet: by any of the three times.
    for column in ["scheduled_at", "deferred_until", "next_attempt_at"] {
        let id = world
            .row_with("pending", ", attempts, version", ", 2, 9")
            .await;
        run(
            &world.unseen,
            &format!(
                "update scheduled_messages set {column} = 'infinity', created_at = 'infinity'
                  where id = '{id}'"
            ),
        )
        .await;
        let due = RowState::Pending {
            due: Moment::MAX,
            version: 9,
            attempts: 2,
            priority: Priority::Normal,
            lane: LaneKey::default(),
            written: Some(Moment::MAX),
            pace: None,
        };
        assert_eq!(lost(&claim(&ours, &[id]).await), [due]);
        assert!(ledger(&world, id).await.is_empty());
    }

    // A colleague has it; the answer says until when.
    let id = world.row("pending").await;
    won(&theirs, &[id]).await;
    let before = now(&ours).await;
    let [RowState::Sending { lease_until, .. }] = lost(&claim(&ours, &[id]).await)[..] else {
        panic!("not sending");
    };
    assert!(lease_until > before && lease_until <= before + LEASE);
    // Somebody set it to sending by hand: nothing is known of a lease.
    let id = world.row("sending").await;
    assert_eq!(
        lost(&claim(&ours, &[id]).await),
        [RowState::Sending {
            lease_until: Moment::MIN,
            lane: LaneKey::default(),
        }]
    );

    // Held by a transaction that changes nothing yet: it is as due as before.
    let id = world.row("pending").await;
    run(
        &world.user,
        &format!("begin; update scheduled_messages set body = 'x' where id = '{id}'"),
    )
    .await;
    let free = world.row("pending").await;
    let answers = claim(&ours, &[id, free]).await;
    assert!(
        matches!(answers[1], ClaimResponse::Won(_)),
        "the other is not held up"
    );
    let before = now(&ours).await;
    assert!(matches!(lost(&answers[..1])[..], [RowState::Pending { due, .. }] if due < before));
    run(&world.user, "rollback").await;
    won(&ours, &[id]).await;
}

/// The database judges, and nobody is early by more than the longest lead.
#[tokio::test]
async fn a_claim_may_come_a_lead_before_the_time_and_no_sooner() {
    let world = World::new().await;
    let store = store(&world);
    let id = world.row("pending").await;
    let mut before_due = false;
    // A machine that is busy elsewhere may be too slow for a try; so there are many.
    for lead_ms in (40..=60).chain(40..=60).chain(40..=60) {
        let set = "update scheduled_messages set status = 'pending',
                     scheduled_at = clock_timestamp() + interval";
        run(&world.unseen, &format!("{set} '{lead_ms} ms'")).await;
        let asks = [(MessageId(id), AttemptToken::fresh(), None)];
        let claimed = store.claim(&asks, LEASE).await.unwrap();
        match &claimed.answers[0].1 {
            ClaimResponse::Won(claim) => {
                let now = claimed.now.unwrap();
                assert!(claim.due <= now + LEAD_MAX);
                before_due |= claim.due > now;
            }
            ClaimResponse::Lost(state)
            | ClaimResponse::Paused(state)
            | ClaimResponse::Paced(state) => {
                assert!(matches!(state, RowState::Pending { .. }));
            }
            ClaimResponse::OptedOut => panic!("nobody has opted out"),
        }
    }
    assert!(before_due, "never before its time");
    let set =
        "update scheduled_messages set status = 'pending', scheduled_at = now() + interval '1 min'";
    run(&world.unseen, set).await;
    assert!(matches!(
        lost(&claim(&store, &[id]).await)[..],
        [RowState::Pending { .. }]
    ));
}

#[tokio::test]
async fn of_many_at_once_each_row_has_one_winner() {
    let world = World::new().await;
    let mut ids = world.rows(60, "pending").await;
    let stores: Vec<Store> = (0..4).map(|_| store(&world)).collect();
    let mut racers = tokio::task::JoinSet::new();
    for (n, store) in stores.into_iter().enumerate() {
        // Each asks in an order of its own.
        ids.rotate_left(n * 7);
        if n % 2 == 1 {
            ids.reverse();
        }
        let ids = ids.clone();
        racers.spawn(async move {
            let mut won = Vec::new();
            for part in ids.chunks(20) {
                for answer in claim(&store, part).await {
                    match answer {
                        ClaimResponse::Won(claim) => won.push((claim.id.0, claim.token.0)),
                        // Its winner has it, or is about to: the read may be before its commit.
                        ClaimResponse::Lost(
                            RowState::Sending { .. } | RowState::Pending { .. },
                        ) => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
            won
        });
    }
    let mut won = racers.join_all().await.concat();
    won.sort_unstable();
    ids.sort_unstable();
    assert_eq!(won.iter().map(|w| w.0).collect::<Vec<_>>(), ids);
    for (id, token) in won {
        let entries = ledger(&world, id).await;
        assert_eq!(entries.len(), 1);
        assert_eq!(
            entries[0].get::<_, Uuid>("token"),
            token,
            "the token of who won"
        );
    }
}

#[tokio::test]
async fn the_ledger_counts_up_and_what_was_unsent_costs_nothing() {
    let world = World::new().await;
    let (one, other) = (store(&world), store(&world));
    let id = world.row("pending").await;
    for (n, store) in [&one, &other, &one].into_iter().enumerate() {
        let claims = won(store, &[id]).await;
        assert_eq!(claims[0].number, i32::try_from(n).unwrap() + 1);
        assert_eq!(claims[0].attempts_before, 0);
        let back = record(&claims[0], punctual::settle::Settlement::returned("test"));
        store.record(&[&back]).await.unwrap();
    }
    // The user's put-back starts the attempts from zero, the ledger goes on.
    run(
        &world.user,
        "update scheduled_messages set status = 'cancelled'",
    )
    .await;
    run(
        &world.user,
        "update scheduled_messages set status = 'pending'",
    )
    .await;
    assert_eq!(won(&one, &[id]).await[0].number, 4);
}

/// The ledger has the account that the daemon sends by.
#[tokio::test]
async fn an_attempt_notes_the_account_that_its_message_goes_by() {
    let world = World::new().await;
    let sender = |text: &str| text.parse::<Sender>().unwrap();
    let mut routes = Routes::new(Some(&sender("+15005550006")));
    let of_eu = [sender("+4915112345678"), sender("ACME")];
    routes.add("eu", None, &of_eu).unwrap();
    routes.add("us", None, &[]).unwrap();
    let store = store(&world).with_rules(&Rules {
        routes: Arc::new(routes),
        ..rules()
    });
    let columns = ", channel, account, from_number, subject";
    let mut cases = Vec::new();
    for (values, expected) in [
        ("null, null, null", "default"),
        ("null, 'us', 'ACME'", "us"),
        ("'sms', E' \t', E'\u{2003}+4915112345678\n'", "eu"),
        ("'SMS ', null, 'ACME'", "eu"),
        ("null, ' default ', 'ACME'", "default"),
        ("null, null, '+15005550006'", "default"),
        ("null, null, 'acme'", "default"),
        // Senders of texts choose no account of e-mails.
        ("'email', null, 'ACME'", "default"),
        ("'email', E'eu\n', 'a@example.com'", "eu"),
    ] {
        let id = world
            .row_with("pending", columns, &format!(", {values}, null"))
            .await;
        cases.push((id, values, expected));
    }
    for (id, values, expected) in cases {
        let claim = won(&store, &[id]).await.remove(0);
        let sql = format!(
            "select account from punctual.attempts where token = '{}'",
            claim.token
        );
        let noted: String = one(&world.unseen, &sql).await;
        assert_eq!(
            (claim.lane.account(), &*noted),
            (expected, expected),
            "{values}"
        );
    }
}

/// Then a report of any account counts.
#[tokio::test]
async fn of_too_many_senders_none_goes_with_a_claim() {
    let world = World::new().await;
    let mut routes = Routes::default();
    let of_eu: Vec<Sender> = (0..501)
        .map(|n| format!("+4915112345{n:03}").parse().unwrap())
        .collect();
    routes.add("eu", None, &of_eu).unwrap();
    let store = store(&world).with_rules(&Rules {
        routes: Arc::new(routes),
        ..rules()
    });
    for (values, expected) in [
        ("null, null", Some("default")),
        ("'eu', '+4915112345007'", Some("eu")),
        ("null, '+4915112345007'", None),
    ] {
        let columns = ", account, from_number";
        let id = world
            .row_with("pending", columns, &format!(", {values}"))
            .await;
        let claim = won(&store, &[id]).await.remove(0);
        let sql = format!(
            "select account from punctual.attempts where token = '{}'",
            claim.token
        );
        let noted: Option<String> = one(&world.unseen, &sql).await;
        assert_eq!(noted.as_deref(), expected, "{values}");
    }
}
