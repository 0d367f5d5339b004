//! Rates of senders in the database: a token bucket of segments, over all that a sender sends.

use std::time::Duration;

use punctual::message::segments::Segments;
use punctual::message::{
    AttemptToken, Claim, ClaimResponse, Moment, PaceId, PaceKey, PaceScope, PacedClaim, RowState,
    Sender,
};
use punctual::schedule::RATE_SLACK;
use punctual::schedule::pace::{after_charge, room_at};
use punctual::settle::Settlement;
use punctual::store::{Store, paces};
use uuid::Uuid;

use crate::ours::{LATE, LEASE, accepted, claim, now, record, recorded, store};
use crate::rows::{World, one, run, said};
use crate::window::loaded;

const SENDER: &str = "+15005550009";
const EACH: Duration = Duration::from_secs(30);

fn key() -> PaceKey {
    PaceKey {
        scope: PaceScope::Sender,
        what: SENDER.to_owned(),
    }
}

/// A rate with room for a burst of so many.
async fn rated(world: &World, burst: i32) -> PaceId {
    paces::set(&world.user, &key(), (EACH, EACH), burst)
        .await
        .unwrap();
    run(
        &world.unseen,
        "update punctual.paces set next_at = now() - interval '1 hour'",
    )
    .await;
    PaceId(
        one(
            &world.unseen,
            "select id from punctual.paces where scope = 'sender'",
        )
        .await,
    )
}

/// A pending text of this sender, due so many seconds ago.
async fn text(world: &World, from: Option<&str>, body: &str, ago: i32) -> Uuid {
    let id = world.row("pending").await;
    let sql = "update scheduled_messages
                  set from_number = $2, body = $3, scheduled_at = now() - $4::int * interval '1 s' where id = $1";
    let changed = world.unseen.execute(sql, &[&id, &from, &body, &ago]).await;
    assert_eq!(changed.unwrap(), 1);
    id
}

async fn take(store: &Store, pace: PaceId) -> Option<PacedClaim<Claim>> {
    let asks = [(pace, AttemptToken::fresh(), RATE_SLACK)];
    let claimed = store.claim_paced(&asks, &[None], LEASE, 0).await.unwrap();
    let won = claimed.won.into_iter().next();
    won.map(|(of, claim)| {
        assert_eq!(of, pace);
        claim
    })
}

async fn waits_until(store: &Store, pace: PaceId) -> Option<Moment> {
    let until = now(store).await + LATE;
    let wait = store.paces(Some(&[pace]), until).await.unwrap().pop();
    wait.map(|due| due.at)
}

#[tokio::test]
async fn a_burst_goes_at_once_and_then_one_segment_at_a_time() {
    let world = World::new().await;
    let store = store(&world);
    let pace = rated(&world, 3).await;
    let mut rows = Vec::new();
    for ago in (1..=5).rev() {
        rows.push(text(&world, Some(SENDER), "short", ago).await);
    }
    let other = text(&world, Some("+15005550001"), "short", 9).await;
    let mut last = None;
    for row in &rows[..3] {
        let paced = take(&store, pace).await.unwrap();
        assert_eq!(
            (paced.id.0, paced.rate, paced.charged),
            (*row, Some(pace), Some(1))
        );
        assert_eq!(paced.latest, paced.claim.due + RATE_SLACK);
        if last.is_none() {
            assert_eq!(
                paced.waited,
                Duration::ZERO,
                "there was room when it was due"
            );
        }
        last = Some(paced);
    }
    let last = last.unwrap();
    // Whoever asks learns when there is room again.
    assert!(take(&store, pace).await.is_none());
    let next = waits_until(&store, pace).await.unwrap();
    assert_eq!(next, last.next);
    let ahead = next.since(now(&store).await);
    assert!(ahead > EACH * 4 / 5 && ahead <= EACH, "{ahead:?}");
    // By its id none is won, and none of them is armed; those of others are.
    match claim(&store, &[rows[3]]).await.remove(0) {
        ClaimResponse::Paced(RowState::Pending {
            pace: Some(own), ..
        }) => {
            let masked = SENDER.parse::<Sender>().unwrap().masked();
            assert_eq!((own.id, &*own.scope, own.what), (pace, "sender", masked));
        }
        answer => panic!("{answer:?}"),
    }
    let found = loaded(&store, now(&store).await, LATE).await;
    assert_eq!(
        found.iter().map(|row| row.id.0).collect::<Vec<_>>(),
        [other]
    );
    let answer = claim(&store, &[other]).await.remove(0);
    assert!(matches!(answer, ClaimResponse::Won(_)), "{answer:?}");
    // A segment later one more goes.
    run(
        &world.unseen,
        "update punctual.paces set next_at = next_at - interval '30 s'",
    )
    .await;
    assert_eq!(take(&store, pace).await.unwrap().id.0, rows[3]);
    assert!(take(&store, pace).await.is_none());
}

/// Rows that name no sender are in one queue with those that name the sender of their account: of the default one, or
/// of another.
#[tokio::test]
async fn what_names_no_sender_has_the_rate_of_its_accounts() {
    let world = World::new().await;
    let senders = format!(
        "insert into punctual.settings (account_senders) values ('{{\"eu\": \"{SENDER}\"}}')
         on conflict (one) do nothing"
    );
    let (own, other): (Sender, Sender) = (SENDER.parse().unwrap(), "+15005550008".parse().unwrap());
    for (default, accounts, others) in [
        (own, [None, Some("default")], "eu"),
        (other, [Some("eu"), Some(" eu ")], "default"),
    ] {
        let ours = store(&world).with_default_sender(Some(&default));
        let pace = rated(&world, 9).await;
        let first = text(&world, None, "short", 30).await;
        let second = text(&world, Some(" +15005550009 "), "short", 20).await;
        let third = text(&world, Some(""), "short", 10).await;
        let elsewhere = text(&world, None, "short", 40).await;
        let [one, two] = accounts;
        for (id, account) in [(first, one), (third, two), (elsewhere, Some(others))] {
            let sql = "update scheduled_messages set account = $2 where id = $1";
            world.unseen.execute(sql, &[&id, &account]).await.unwrap();
        }
        for row in [first, second, third] {
            assert_eq!(take(&ours, pace).await.unwrap().id.0, row);
        }
        assert_eq!(waits_until(&ours, pace).await, None, "nothing is left");
        // The other one's row has no pace, and is claimed by its id.
        let answer = claim(&ours, &[elsewhere]).await.remove(0);
        assert!(matches!(answer, ClaimResponse::Won(_)), "{answer:?}");
        run(&world.unseen, "delete from punctual.paces").await;
        run(&world.unseen, &senders).await;
    }
}

/// Of a campaign with a pace of its own more texts are due than a claim passes over, and they wait for that pace.
#[tokio::test]
async fn the_texts_of_a_paced_campaign_hide_no_other_of_their_sender() {
    let world = World::new().await;
    let store = store(&world);
    let pace = rated(&world, 1).await;
    let campaign = "00000000-0000-0000-0000-0000000000cd";
    let many = format!(
        "insert into punctual.paces (what, gap_min, gap_max, next_at)
         values ('{campaign}', '1 hour', '1 hour', now() + interval '1 hour');
         insert into scheduled_messages (to_number, from_number, body, scheduled_at, campaign_id)
         select '+13105550100', '{SENDER}', 'hello', now() - interval '1 min', '{campaign}' from generate_series(1, 10000)"
    );
    run(&world.unseen, &many).await;
    let other = text(&world, Some(SENDER), "hello", 1).await;
    assert!(waits_until(&store, pace).await.is_some());
    let won = take(&store, pace)
        .await
        .expect("the one without a campaign");
    assert_eq!(won.id.0, other);
}

/// One sender of the default account and of five others: each of their rows is found, whichever account is first by
/// name.
#[tokio::test]
async fn a_sender_of_several_accounts_has_one_queue() {
    let world = World::new().await;
    let senders: serde_json::Map<_, _> = ["e", "d", "c", "b", "a"]
        .map(|name| (name.to_owned(), SENDER.into()))
        .into_iter()
        .collect();
    let senders = format!(
        "insert into punctual.settings (account_senders) values ('{}')
         on conflict (one) do update set account_senders = excluded.account_senders",
        serde_json::Value::from(senders)
    );
    run(&world.unseen, &senders).await;
    let own: Sender = SENDER.parse().unwrap();
    let ours = store(&world).with_default_sender(Some(&own));
    let pace = rated(&world, 9).await;
    let mut rows = Vec::new();
    for (ago, account) in (10..).zip([Some("e"), None, Some("c"), Some("a"), Some("d"), Some("b")])
    {
        let id = text(&world, None, "short", ago).await;
        let sql = "update scheduled_messages set account = $2 where id = $1";
        world.unseen.execute(sql, &[&id, &account]).await.unwrap();
        rows.push(id);
    }
    rows.push(text(&world, Some(SENDER), "short", 30).await);
    for row in rows.into_iter().rev() {
        assert_eq!(take(&ours, pace).await.unwrap().id.0, row);
    }
    assert_eq!(waits_until(&ours, pace).await, None, "nothing is left");
}

/// Corrections that name the same rates in another order wait for each other, and end.
#[tokio::test]
async fn corrections_of_the_same_rates_do_not_deadlock() {
    let world = World::new().await;
    let stores = [store(&world), store(&world)];
    let pace = rated(&world, 9).await;
    run(
        &world.unseen,
        "insert into punctual.paces (scope, what, gap_min, gap_max) values ('sender', '+15005550007', '1 s', '1 s')",
    )
    .await;
    let other = PaceId(
        one(
            &world.unseen,
            "select id from punctual.paces where what = '+15005550007'",
        )
        .await,
    );
    let one = async |store: &Store, order: [PaceId; 2]| {
        for _ in 0..200 {
            let corrections = order.map(|rate| (rate, AttemptToken::fresh(), 1));
            assert_eq!(store.charge(&corrections).await.unwrap().len(), 2);
        }
    };
    tokio::join!(
        one(&stores[0], [pace, other]),
        one(&stores[1], [other, pace])
    );
}

/// A long text takes its segments, and waits until there is room for all of them, or for a burst.
#[tokio::test]
async fn each_segment_is_charged() {
    let world = World::new().await;
    let store = store(&world);
    let pace = rated(&world, 3).await;
    text(&world, Some(SENDER), &"x".repeat(300), 9).await;
    text(&world, Some(SENDER), &"x".repeat(1_000), 8).await;
    let paced = take(&store, pace).await.unwrap();
    assert_eq!(paced.charged, Some(2));
    let slot = paced.claim.due;
    assert_eq!(
        paced.next,
        after_charge(slot - EACH * 100, slot, 2, 3, EACH)
    );
    // Seven segments wait for a whole burst.
    let at = waits_until(&store, pace).await.unwrap();
    assert_eq!(at, room_at(paced.next, 7, 3, EACH));
    assert!(take(&store, pace).await.is_none());
    // It has turned out to be one segment less. What is not the latest any more gets nothing back, but may cost more.
    let corrected = store.charge(&[(pace, paced.claim.token, -1)]).await;
    assert_eq!(corrected.unwrap(), [(pace, paced.next - EACH)]);
    let corrected = store.charge(&[(pace, AttemptToken::fresh(), -1)]).await;
    assert_eq!(corrected.unwrap(), []);
    let corrected = store.charge(&[(pace, AttemptToken::fresh(), 1)]).await;
    assert_eq!(corrected.unwrap(), [(pace, paced.next)]);
}

/// Several texts of one sender are corrected in one statement: none is lost.
#[tokio::test]
async fn all_corrections_of_a_rate_count() {
    let world = World::new().await;
    let store = store(&world);
    let pace = rated(&world, 3).await;
    text(&world, Some(SENDER), &"x".repeat(300), 9).await;
    let paced = take(&store, pace).await.unwrap();
    let (latest, other) = (paced.claim.token, AttemptToken::fresh());
    let corrected = store.charge(&[(pace, other, 2), (pace, latest, 3)]).await;
    let next = paced.next + EACH * 5;
    assert_eq!(corrected.unwrap(), [(pace, next)]);
    // Of those that are too much only the latest one's counts.
    let three = [(pace, other, -4), (pace, latest, -3), (pace, other, 1)];
    let corrected = store.charge(&three).await;
    assert_eq!(corrected.unwrap(), [(pace, next - EACH * 2)]);
}

#[tokio::test]
async fn a_message_of_a_campaign_takes_the_later_of_both_slots() {
    let world = World::new().await;
    let store = store(&world);
    let rate = rated(&world, 1).await;
    let campaign = PaceKey {
        scope: PaceScope::Campaign,
        what: Uuid::from_u128(0xCD).to_string(),
    };
    paces::set(&world.user, &campaign, (EACH, EACH), 1)
        .await
        .unwrap();
    let pace = PaceId(
        one(
            &world.unseen,
            "select id from punctual.paces where scope = 'campaign'",
        )
        .await,
    );
    let of_campaign = text(&world, Some(SENDER), "short", 20).await;
    let plain = text(&world, Some(SENDER), "short", 10).await;
    let join = format!(
        "update scheduled_messages set campaign_id = '{}' where id = '{of_campaign}'",
        campaign.what
    );
    run(&world.unseen, &join).await;
    // It is in the queue of its campaign, and in no other. In one statement a sender is charged once.
    let asks = [rate, pace].map(|id| (id, AttemptToken::fresh(), RATE_SLACK));
    let won = store
        .claim_paced(&asks, &[None; 2], LEASE, 0)
        .await
        .unwrap()
        .won;
    assert_eq!(won.len(), 1);
    let paced = &won[&pace];
    assert_eq!(
        (paced.id.0, paced.rate, paced.charged),
        (of_campaign, Some(rate), Some(1))
    );
    assert_eq!(paced.latest, paced.claim.due + RATE_SLACK);
    let at = waits_until(&store, rate).await.unwrap();
    assert_eq!(at, paced.claim.due + EACH, "both slots are taken");
    // No request used them: both are returned.
    let mut released = record(&paced.claim, Settlement::returned("paused"));
    released.started = None;
    recorded(&store, &[released]).await;
    run(
        &world.unseen,
        "update scheduled_messages set next_attempt_at = null",
    )
    .await;
    assert!(waits_until(&store, rate).await.unwrap() <= now(&store).await);
    // The rate is used up by another: the campaign waits for that.
    assert_eq!(take(&store, rate).await.unwrap().id.0, plain);
    assert!(take(&store, pace).await.is_none());
    let at = waits_until(&store, pace).await.unwrap();
    assert!(at > now(&store).await + EACH / 2, "{at}");
}

/// Each part takes the rate of its sender, and between them the message is in its queue.
#[tokio::test]
async fn each_part_takes_the_rate() {
    let world = World::new().await;
    let store = store(&world);
    let pace = rated(&world, 9).await;
    let id = text(
        &world,
        Some(SENDER),
        &format!("one[BUBBLE]{}", "x".repeat(200)),
        9,
    )
    .await;
    let first = take(&store, pace).await.unwrap();
    // Before its text is divided, by the longest of them.
    assert_eq!((first.id.0, first.charged), (id, Some(2)));
    let texts = vec!["one".to_owned(), "x".repeat(200)];
    store
        .keep_texts(&[(first.id, first.claim.token, texts)])
        .await
        .unwrap();
    assert_eq!(recorded(&store, &[accepted(&first.claim)]).await, 1);
    run(
        &world.unseen,
        "update scheduled_messages set next_attempt_at = null",
    )
    .await;
    let answer = claim(&store, &[id]).await.remove(0);
    assert!(matches!(answer, ClaimResponse::Paced(_)), "{answer:?}");
    let second = take(&store, pace).await.unwrap();
    assert_eq!((second.claim.part.before, second.charged), (1, Some(2)));
}

/// What there is room for stays as it is when the rate changes.
#[tokio::test]
async fn another_rate_gives_no_second_burst() {
    let world = World::new().await;
    let store = store(&world);
    let pace = rated(&world, 2).await;
    for ago in 1..=3 {
        text(&world, Some(SENDER), "short", ago).await;
    }
    for _ in 0..2 {
        take(&store, pace).await.unwrap();
    }
    paces::set(&world.user, &key(), (EACH * 2, EACH * 2), 5)
        .await
        .unwrap();
    assert!(take(&store, pace).await.is_none());
    let ahead = waits_until(&store, pace)
        .await
        .unwrap()
        .since(now(&store).await);
    assert!(ahead > EACH && ahead <= EACH * 2, "{ahead:?}");
    // The same again changes nothing.
    let before = waits_until(&store, pace).await;
    paces::set(&world.user, &key(), (EACH * 2, EACH * 2), 5)
        .await
        .unwrap();
    assert_eq!(waits_until(&store, pace).await, before);
}

/// One that names a number on WhatsApp is for what is sent there, and not for texts from the same number.
#[tokio::test]
async fn a_sender_on_whatsapp_has_a_rate_of_its_own() {
    let world = World::new().await;
    let store = store(&world);
    let whatsapp = format!("whatsapp:{SENDER}");
    let key = PaceKey {
        scope: PaceScope::Sender,
        what: whatsapp.clone(),
    };
    paces::set(&world.user, &key, (EACH, EACH), 1)
        .await
        .unwrap();
    let pace = PaceId(one(&world.unseen, "select id from punctual.paces").await);
    let first = text(&world, Some(&whatsapp), "first", 20).await;
    let second = text(&world, Some(&whatsapp), "second", 10).await;
    let plain = text(&world, Some(SENDER), "a text", 30).await;
    let claimed = take(&store, pace).await.unwrap();
    assert_eq!(claimed.id.0, first);
    assert!(take(&store, pace).await.is_none());
    let wait = waits_until(&store, pace).await.unwrap();
    assert!(wait.since(now(&store).await) > EACH / 2);
    // By its id alone, one with a rate is not claimed, and the text has none.
    let answers = claim(&store, &[second, plain]).await;
    assert!(matches!(answers[0], ClaimResponse::Paced(_)), "{answers:?}");
    assert!(matches!(answers[1], ClaimResponse::Won(_)), "{answers:?}");
}

#[tokio::test]
async fn what_is_no_rate_is_refused() {
    let world = World::new().await;
    for (values, why) in [
        (
            "'sender', 'nobody of this name', '1 s', '1 s', 1",
            "as from_number does",
        ),
        ("'sender', '+15005550009', '1 s', '2 s', 1", "one gap"),
        (
            "'sender', '+15005550009', '1 s', '1 s', 0",
            "paces_burst_check",
        ),
        (
            "'campaign', '00000000-0000-0000-0000-0000000000cd', '1 s', '1 s', 2",
            "has a burst",
        ),
        ("'lane', 'sms', '1 s', '1 s', 1", "paces_scope_check"),
    ] {
        let sql = format!(
            "insert into punctual.paces (scope, what, gap_min, gap_max, burst) values ({values})"
        );
        let refused = world.user.batch_execute(&sql).await.unwrap_err();
        assert!(said(&refused).contains(why), "{sql}: {}", said(&refused));
    }
}

/// What SQL charges before a text is rendered is no less than what it has.
#[tokio::test]
async fn no_text_has_more_segments_than_are_charged() {
    let world = World::new().await;
    let count = "select punctual.segments_at_most($1)";
    let count = world.unseen.prepare(count).await.unwrap();
    let units = [
        "x",
        "é",
        "`",
        "€",
        "{",
        "\\",
        "[]^~|}",
        "\n",
        "日",
        "😀",
        "👨‍👩‍👧‍👦",
        "e\u{301}",
    ];
    for unit in units {
        for mixed in ["", "😀", "é"] {
            for times in [0, 1, 30, 66, 67, 70, 71, 134, 153, 160, 161, 306, 307, 400] {
                let text = format!("{}{mixed}", unit.repeat(times));
                let charged: i32 = world
                    .unseen
                    .query_one(&count, &[&text])
                    .await
                    .unwrap()
                    .get(0);
                let has = Segments::of(&text).count;
                assert!(
                    usize::try_from(charged).unwrap() >= has,
                    "{times} of {unit:?} and {mixed:?}: {charged} for {has}"
                );
                // Of ASCII it is exact for all that is not at the end of a segment.
                if text.is_ascii() && unit == "x" {
                    assert!(charged.unsigned_abs() as usize <= has + 1, "{text}");
                }
            }
        }
    }
}
