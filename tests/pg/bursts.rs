//! Texts that say the same to new numbers: so many go out, whatever instance counts them, and a pause holds the others
//! until a person ends it.

use std::collections::BTreeMap;
use std::time::Duration;

use punctual::message::filter::Search;
use punctual::message::{
    ClaimResponse, Filter, MessageId, Moment, PauseKey, PauseScope, RowState, Status,
};
use punctual::policy::{Burst, TextWords};
use punctual::settle::Settlement;
use punctual::store::operator::{Act, Actor, OperatorError};
use punctual::store::{Equal, Store};
use uuid::Uuid;

use crate::ours::{LATE, claim, now, record, store, won};
use crate::rows::{World, one, run};
use crate::window::loaded;

const fn burst(most: u32) -> Burst {
    Burst {
        most,
        span: Duration::from_secs(3_600),
    }
}

fn says(text: &str) -> TextWords {
    TextWords::of_texts(&[text.to_owned()], 0)
}

fn pause(text: &str) -> PauseKey {
    PauseKey {
        scope: PauseScope::Text,
        what: says(text).as_str().to_owned(),
    }
}

/// What becomes of each, to numbers of their own.
async fn counted(store: &Store, ids: &[Uuid], text: &str, most: u32) -> Vec<&'static str> {
    let numbers: Vec<String> = (0..ids.len()).map(|n| format!("+1310555{n:04}")).collect();
    let asked: Vec<_> = ids
        .iter()
        .zip(&numbers)
        .map(|(id, to)| (MessageId(*id), says(text), to.as_str()))
        .collect();
    let equal = store.count_texts(&asked, burst(most)).await.unwrap();
    let equal: BTreeMap<_, _> = equal.into_iter().collect();
    let word = |id: &Uuid| match equal.get(&MessageId(*id)) {
        None => "sent",
        Some(Equal::Held { has_begun: true }) => "begins",
        Some(Equal::Held { has_begun: false }) => "held",
        Some(Equal::LetGo) => "free",
    };
    ids.iter().map(word).collect()
}

async fn forget(store: &Store) {
    while store.free_texts(2).await.unwrap().0 + store.forget_texts(2).await.unwrap() > 0 {}
}

async fn is_paused(store: &Store, id: Uuid) -> bool {
    match claim(store, &[id]).await.remove(0) {
        ClaimResponse::Paused(RowState::Pending { due, .. }) => due == Moment::MAX,
        _ => false,
    }
}

#[tokio::test]
async fn the_equal_texts_that_are_too_many_are_held_until_a_person_lets_them_go() {
    let world = World::new().await;
    let (one_of_two, other) = (store(&world), store(&world));
    let ids = world.rows(9, "pending").await;
    let begins = counted(&one_of_two, &ids[..5], "code 1", 3).await;
    assert_eq!(begins, ["sent", "sent", "sent", "begins", "begins"]);
    // No instance claims what is held, whatever it counts; and what was counted and is tried again is held by then too.
    for store in [&one_of_two, &other] {
        assert!(is_paused(store, ids[3]).await && is_paused(store, ids[4]).await);
    }
    assert_eq!(counted(&other, &ids[..2], "code 1", 3).await, ["held"; 2]);
    let (why, who): (String, String) = {
        let sql = "select why, who from punctual.pauses where until = 'infinity'";
        let row = world.unseen.query_one(sql, &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    let key = pause("code 22");
    assert!(
        why.ends_with(&format!("punctual resume text={}", key.what)) && who == "burst guard",
        "{why} {who}"
    );
    // Other texts are not held, nor is this one to a known number, or of a campaign that a person has approved.
    assert_eq!(counted(&other, &ids[5..6], "word 1", 3).await, ["sent"]);
    run(
        &world.unseen,
        "insert into conversations (phone_number) values ('+13105550000')",
    )
    .await;
    assert_eq!(counted(&other, &ids[6..7], "code 1", 3).await, ["sent"]);
    let approved = format!(
        "delete from conversations;
         insert into punctual.campaign_messages (campaign_id, position, phone_number, content, status, decided_by, decided_at, message_id)
         select gen_random_uuid(), 1, to_number, body, 'SCH', 'ann', now(), id from scheduled_messages where id in ('{}', '{}')",
        ids[6], ids[8]
    );
    run(&world.unseen, &approved).await;
    assert_eq!(counted(&other, &ids[6..7], "code 1", 3).await, ["sent"]);
    assert_eq!(counted(&other, &ids[7..8], "code 1", 3).await, ["held"]);
    // It has another text, or number, than was approved.
    for edit in [
        "body = body || '!'",
        "body = 'hello', to_number = '+13105550101'",
        "to_number = '+13105550100', template_vars = '{}'",
    ] {
        let id = ids[8];
        let sql = format!("update scheduled_messages set {edit} where id = '{id}'");
        run(&world.unseen, &sql).await;
        let becomes = counted(&other, &[id], "code 1", 3).await;
        assert_eq!(becomes, ["held"], "{edit}");
    }

    // Those that are held are listed, and cancelled together.
    let held = Filter {
        statuses: vec![Status::Pending],
        search: Some(format!("text={}", key.what).parse::<Search>().unwrap()),
        ..Filter::default()
    };
    let ann = Actor::named(Some("ann"), "x");
    let all = async |n| other.act_on_all(&held, &Act::Cancel, &ann, n).await;
    let Err(OperatorError::Count { messages, .. }) = all(None).await else {
        panic!("a number is to be confirmed");
    };
    assert_eq!(messages, 6);
    let back = format!(
        "update punctual.bursts set is_held = message_id in ('{}', '{}')",
        ids[3], ids[7]
    );
    run(&world.unseen, &back).await;
    assert_eq!(all(Some(2)).await.unwrap().changed, 2);

    // Whom a person lets go, and what says the same on that day, is not held again, unless it is paused again.
    assert!(other.resume(&key, "ann").await.unwrap());
    won(&other, &ids[4..5]).await;
    let free = counted(&other, &ids[4..6], "code 1", 3).await;
    assert_eq!(free, ["free"; 2]);
    other.pause(&key, Moment::MAX, None, "ann").await.unwrap();
    assert_eq!(counted(&other, &ids[4..5], "code 1", 3).await, ["held"]);
    assert!(other.resume(&key, "ann").await.unwrap());
    let later = "update punctual.pauses set until = until - interval '25 hours';
                 update punctual.bursts set at = at - interval '25 hours'";
    run(&world.unseen, later).await;
    // A day later what was counted is forgotten, but not what was freed and still waits, for whatever reason.
    forget(&other).await;
    let freed = "update punctual.bursts set freed_at = freed_at - interval '25 hours'";
    run(&world.unseen, freed).await;
    forget(&other).await;
    let left: i64 = one(&world.unseen, "select count(*) from punctual.bursts").await;
    assert_eq!(left, 1);
    run(&world.unseen, "delete from punctual.pauses").await;
    let known = "insert into conversations (phone_number) values ('+13105550000')";
    run(&world.unseen, known).await;
    assert_eq!(counted(&other, &ids[4..5], "code 1", 3).await, ["free"]);
    run(
        &world.unseen,
        "delete from conversations; delete from punctual.bursts",
    )
    .await;
    // And new ones are counted as before.
    let again = world.rows(4, "pending").await;
    assert_eq!(
        counted(&other, &again, "code 1", 3).await,
        ["sent", "sent", "sent", "begins"]
    );
    // What is held is not forgotten.
    run(
        &world.unseen,
        "update punctual.bursts set at = at - interval '25 hours'",
    )
    .await;
    forget(&other).await;
    assert!(is_paused(&other, again[3]).await && !is_paused(&other, again[2]).await);
}

/// However many they are, they cost the reads of what is upcoming nothing, and no message of their sender waits.
#[tokio::test]
async fn what_is_held_is_not_due_and_no_later_than_the_end_of_its_pause() {
    let world = World::new().await;
    let store = store(&world);
    let ids = world.rows(4, "pending").await;
    let late = "update scheduled_messages set scheduled_at = scheduled_at - interval '2 h'";
    run(&world.unseen, late).await;
    let claims = won(&store, &ids).await;
    let words = ["sent", "begins", "begins", "begins"];
    assert_eq!(counted(&store, &ids, "code 1", 1).await, words);
    let held = |claim| record(claim, Settlement::held(burst(1).held(&says("code 1"))));
    // The last was not recorded, as by a daemon that was killed.
    let back = record(&claims[3], Settlement::returned("killed"));
    let records = [&held(&claims[1]), &held(&claims[2]), &back];
    store.record(&records).await.unwrap();
    let due = async |id| -> String {
        let due = "greatest(scheduled_at, deferred_until, next_attempt_at)";
        let is_late = format!("({due} < now() - interval '1 h')::text");
        let what = format!("case when {due} = 'infinity' then 'never' else {is_late} end");
        world.get(id, &what).await
    };
    let dues = [due(ids[1]).await, due(ids[2]).await, due(ids[3]).await];
    assert_eq!(dues, ["never", "never", "true"]);
    assert_eq!(store.free_texts(10).await.unwrap(), (0, true));

    // After a restore it is due as before: the pause may have ended in what was lost.
    let begun = store.quarantine_begin(Moment::MAX, &[], None, burst(1).span);
    begun.await.unwrap();
    assert_eq!(due(ids[1]).await, "true");
    let again = "delete from punctual.quarantine; update scheduled_messages set deferred_until = 'infinity'
                 where id in (select message_id from punctual.bursts where is_held) and status = 'pending'";
    run(&world.unseen, again).await;

    // It waited for a person: that is not lateness.
    assert!(store.resume(&pause("code 1"), "ann").await.unwrap());
    assert_eq!(store.free_texts(2).await.unwrap(), (2, true));
    assert_eq!(store.free_texts(2).await.unwrap(), (1, true));
    assert_eq!(store.free_texts(2).await.unwrap(), (0, false));
    assert!(store.expire(LATE, None, 10).await.unwrap().is_empty());
    for id in &ids[1..] {
        assert_eq!(due(*id).await, "false");
    }
    let window = loaded(&store, now(&store).await, LATE).await;
    assert_eq!(window.len(), 3);
    won(&store, &ids[1..]).await;
}

#[tokio::test]
async fn instances_that_count_equal_texts_at_once_keep_one_bound() {
    let world = World::new().await;
    let (one, two) = (store(&world), store(&world));
    let fresh = || (0..20).map(|_| Uuid::new_v4()).collect::<Vec<_>>();
    let mut sent = 0;
    for _ in 0..3 {
        let (a, b) = (fresh(), fresh());
        let (a, b) = tokio::join!(
            counted(&one, &a, "equal", 33),
            counted(&two, &b, "equal", 33)
        );
        sent += a.iter().chain(&b).filter(|word| **word == "sent").count();
    }
    assert_eq!(sent, 33);
}

/// What is to be true of one text, step by step.
#[derive(Default)]
struct Model {
    /// Each message: how many half hours ago it was counted, whether it is held, and whether it was and is freed.
    messages: Vec<(Uuid, u32, bool, bool)>,
    /// Half hours since the pause ended; `None`: there is none.
    ended: Option<u32>,
    is_paused: bool,
}

impl Model {
    fn count(&mut self, id: Uuid, most: usize) -> &'static str {
        let known = self.messages.iter_mut().find(|(own, ..)| *own == id);
        let (is_new, was_held) = (
            known.is_none(),
            known.as_ref().is_some_and(|own| own.2 || own.3),
        );
        let recent = self
            .messages
            .iter()
            .filter(|own| own.1 < 2 && !own.2)
            .count();
        let is_free = self.ended.is_some_and(|since| since < 48);
        let word = if self.is_paused {
            "held"
        } else if is_free || was_held {
            "free"
        } else if is_new && recent >= most {
            (self.is_paused, self.ended) = (true, None);
            "begins"
        } else {
            "sent"
        };
        let is_held = matches!(word, "held" | "begins");
        match self.messages.iter_mut().find(|(own, ..)| *own == id) {
            Some(own) => {
                own.3 |= own.2 && !is_held;
                own.2 = is_held;
            }
            None => self.messages.push((id, 0, is_held, false)),
        }
        word
    }
}

#[tokio::test]
async fn whatever_comes_in_whatever_order_the_bound_is_kept() {
    let world = World::new().await;
    let store = store(&world);
    let mut models = [Model::default(), Model::default()];
    let mut seed = 0x5eed_u64;
    let mut drawn = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    for step in 0..150 {
        let which = usize::from(drawn(3) == 0);
        let (text, model) = (["one", "two"][which], &mut models[which]);
        match drawn(12) {
            0 => {
                let aged = "update punctual.bursts set at = at - interval '30 min';
                            update punctual.pauses set until = until - interval '30 min' where until < 'infinity'";
                run(&world.unseen, aged).await;
                for model in &mut models {
                    for own in &mut model.messages {
                        own.1 += 1;
                    }
                    model.ended = model.ended.map(|since| since + 1);
                }
            }
            1 => {
                let was = store.resume(&pause(text), "ann").await.unwrap();
                assert_eq!(was, model.is_paused, "step {step}");
                if was {
                    (model.is_paused, model.ended) = (false, Some(0));
                }
            }
            2 | 3 if !model.messages.is_empty() => {
                let n = usize::try_from(drawn(model.messages.len() as u64)).unwrap();
                let id = model.messages[n].0;
                let expected = model.count(id, 4);
                assert_eq!(
                    counted(&store, &[id], text, 4).await,
                    [expected],
                    "step {step}"
                );
            }
            _ => {
                let id = Uuid::new_v4();
                let expected = model.count(id, 4);
                assert_eq!(
                    counted(&store, &[id], text, 4).await,
                    [expected],
                    "step {step}"
                );
            }
        }
    }
    assert!(models.iter().all(|model| model.messages.len() > 5));
}
