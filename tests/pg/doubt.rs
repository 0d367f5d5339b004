//! Messages in doubt, and messages of which nothing is heard: what the provider says when it is
//! asked, against a stand-in that really took them or did not.

use std::sync::Arc;
use std::time::Duration;

use punctual::message::{Claim, InDoubt, InstanceId, Moment, Outcome};
use punctual::metrics::{Counter, Metrics};
use punctual::provider::Provider;
use punctual::provider::console::Console;
use punctual::provider::twilio::{Credentials, Twilio as Client, TwilioConfig};
use punctual::reactor::{Answer, Settlement, Tries};
use punctual::receipt::enquire::Enquirer;
use punctual::schedule::Enquiry;
use punctual::store::Store;
use uuid::Uuid;

use crate::ours::{LATE, cleared, record, won};
use crate::rows::{World, one, run};
use crate::twilio::{End, Fault, Habits, Plan, Twilio, When};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const AUTH_TOKEN: &str = "feedfacefeedfacefeedfacefeedface";

/// A daemon's hands, a provider, and the rows.
struct Case {
    world: World,
    twilio: Twilio,
    client: Arc<Client>,
    store: Store,
    enquirer: Enquirer,
}

impl Case {
    async fn new() -> Self {
        Self::with(InDoubt::Hold).await
    }

    async fn with(policy: InDoubt) -> Self {
        let habits = Habits {
            pace: Duration::ZERO,
            ..Habits::default()
        };
        let twilio = Twilio::start(ACCOUNT, AUTH_TOKEN, habits).await;
        let client = Arc::new(
            Client::new(&TwilioConfig {
                account_sid: ACCOUNT.parse().unwrap(),
                credentials: Credentials::AuthToken(AUTH_TOKEN.to_owned().into()),
                base_url: twilio.url().parse().unwrap(),
                send_timeout: Duration::from_secs(20),
                max_in_flight: 8.try_into().unwrap(),
                status_callback: None,
            })
            .unwrap(),
        );
        let world = World::new().await;
        let store = Store::new(world.db.dsn().pool(3), InstanceId::fresh())
            .with_enquiries(Some(Enquiry::UNHEARD.first()));
        let enquirer = Enquirer {
            metrics: Arc::default(),
            store: store.clone(),
            provider: Arc::clone(&client) as Arc<dyn Provider>,
            policy,
            max_lateness: LATE,
            unheard: Enquiry::UNHEARD,
        };
        Self {
            world,
            twilio,
            client,
            store,
            enquirer,
        }
    }

    /// Claims a pending row and makes the request; what it came to is recorded.
    async fn sends(&self, id: Uuid, plan: impl Into<Plan>) -> Claim {
        let claim = won(&self.store, &[id]).await.remove(0);
        let outcome = self.asks(&claim, plan).await;
        self.records(&claim, outcome).await;
        claim
    }

    async fn asks(&self, claim: &Claim, plan: impl Into<Plan>) -> Outcome {
        self.twilio.script([plan]);
        self.client
            .send(&cleared(claim), Duration::from_secs(60))
            .await
    }

    async fn records(&self, claim: &Claim, outcome: Outcome) {
        let tries = Tries {
            number: claim.number,
            before: claim.attempts_before,
            max: claim.max_attempts,
            expires: Moment::MAX,
        };
        let now = self.store.now().await.unwrap();
        let answer = Answer {
            outcome,
            started: Some(now),
            finished: now,
        };
        let mut settled = record(claim, Settlement::of(answer, claim.id, tries));
        settled.started = Some(now);
        settled.finished = Some(now);
        self.store.record(&[&settled]).await.unwrap();
    }

    /// As if so much time had passed since the requests, and everything is due to be asked.
    async fn later(&self, minutes: u32) {
        let sql = format!(
            "update punctual.attempts
                set next_ask_at = now(), finished_at = finished_at - interval '{minutes} min'
              where next_ask_at is not null"
        );
        run(&self.world.unseen, &sql).await;
    }

    /// Everything that is to be asked is due, and asked.
    async fn asked(&self) {
        self.later(0).await;
        self.enquirer.round().await.unwrap();
    }

    async fn row(&self, id: Uuid) -> String {
        let what =
            "concat_ws(' ', status, error_code, case when twilio_sid is not null then 'sid' end)";
        self.world.get(id, what).await
    }

    /// The attempts, oldest first: outcome, how often asked, whether it will be again.
    async fn attempts(&self, id: Uuid) -> String {
        let sql = format!(
            "select string_agg(concat_ws(' ', outcome, receipt_status, asked,
                                         case when next_ask_at is not null then 'again' end, settled_by),
                               ', ' order by number)
               from punctual.attempts where message_id = '{id}'"
        );
        one(&self.world.unseen, &sql).await
    }

    async fn note(&self, id: Uuid) -> String {
        let sql = format!(
            "select coalesce(ask_note, '') from punctual.attempts where message_id = '{id}'
              order by number limit 1"
        );
        one(&self.world.unseen, &sql).await
    }

    /// A row of its own text.
    async fn row_of(&self, body: &str) -> Uuid {
        let id = self.world.row("pending").await;
        let sql = format!("update scheduled_messages set body = '{body}' where id = '{id}'");
        run(&self.world.unseen, &sql).await;
        id
    }
}

const LOST_ANSWER: Fault = Fault::Reset(When::After);
const LOST_REQUEST: Fault = Fault::Reset(When::Before);

fn ends(end: End) -> Plan {
    Plan {
        end,
        ..Plan::from(Fault::None)
    }
}

#[tokio::test]
async fn the_list_proves_what_the_answer_did_not() {
    let case = Case::new().await;
    let id = case.row_of("one of its kind").await;
    case.sends(id, LOST_ANSWER).await;
    assert_eq!(case.row(id).await, "unconfirmed");
    assert_eq!(case.attempts(id).await, "unknown 0 again");
    // Not before its time.
    case.enquirer.round().await.unwrap();
    assert_eq!(case.attempts(id).await, "unknown 0 again");
    // An edit changes nothing of what was sent.
    run(
        &case.world.user,
        "update scheduled_messages set body = 'another'",
    )
    .await;

    case.asked().await;
    let status = case.row(id).await;
    assert!(
        ["sent sid", "delivered sid"].contains(&&*status),
        "{status}"
    );
    let sql = "select count(*) from messages where twilio_sid is not null";
    assert_eq!(one::<i64>(&case.world.unseen, sql).await, 1);
    // What the ledger keeps of number and text is gone with the doubt.
    let sql = "select num_nonnulls(sought_to, sought_from, sought_text) from punctual.attempts";
    assert_eq!(one::<i32>(&case.world.unseen, sql).await, 0);
    assert_eq!(case.store.take_duplicates(), 0);
}

#[tokio::test]
async fn two_equal_texts_are_told_apart_by_nobody() {
    let case = Case::new().await;
    let (one, other) = (case.row_of("twins").await, case.row_of("twins").await);
    case.sends(one, LOST_ANSWER).await;
    case.sends(other, LOST_REQUEST).await;
    case.later(20).await;
    case.enquirer.round().await.unwrap();
    for id in [one, other] {
        assert_eq!(case.row(id).await, "unconfirmed");
        assert!(
            case.note(id).await.contains("another attempt"),
            "{}",
            case.note(id).await
        );
    }
    // One finds its owner by a callback, as it were: then the other's absence is plain.
    let sid = case.twilio.book().messages()[0].sid.clone();
    let sql = format!(
        "update punctual.attempts set outcome = 'accepted', provider_sid = '{sid}', sought_text = null
          where message_id = '{one}'"
    );
    run(&case.world.unseen, &sql).await;
    case.asked().await;
    assert_eq!(case.row(other).await, "unconfirmed");
    assert!(case.note(other).await.contains("does not show it"));
}

#[tokio::test]
async fn a_message_that_is_somebodys_is_nobody_elses_proof() {
    let case = Case::new().await;
    for owner in ["attempt", "receipt", "app", "in flight"] {
        let body = format!("owned by {owner}");
        let id = case.row_of(&body).await;
        case.sends(id, LOST_REQUEST).await;
        let other = case.row_of(&body).await;
        let claim = won(&case.store, &[other]).await.remove(0);
        let Outcome::Accepted { sid } = case.asks(&claim, Fault::None).await else {
            panic!("not accepted");
        };
        let sid = sid.0;
        match owner {
            "attempt" => {
                let outcome = Outcome::Accepted {
                    sid: punctual::message::ProviderSid(sid),
                };
                case.records(&claim, outcome).await;
            }
            "in flight" => {}
            owner => {
                let (table, columns, values) = match owner {
                    "app" => (
                        "messages",
                        "direction, body, to_number, twilio_sid",
                        format!("'outbound', 'x', '+1', '{sid}'"),
                    ),
                    _ => (
                        "punctual.receipts",
                        "message_id, token, provider_sid, status, effect",
                        format!(
                            "gen_random_uuid(), gen_random_uuid(), '{sid}', 'sent', 'advanced'"
                        ),
                    ),
                };
                let sql = format!(
                    "delete from punctual.attempts where message_id = '{other}';
                     insert into {table} ({columns}) values ({values})"
                );
                run(&case.world.unseen, &sql).await;
            }
        }
        case.asked().await;
        assert_eq!(case.row(id).await, "unconfirmed", "{owner}");
    }
}

#[tokio::test]
async fn a_miss_is_held_or_sent_again_late_or_at_once_as_the_row_or_the_setting_says() {
    use InDoubt::{Hold, Resend, ResendIfAbsent};
    for (setting, own, minutes, sent_again) in [
        (Hold, None, 61, None),
        (ResendIfAbsent, Some("hold"), 61, None),
        (ResendIfAbsent, None, 14, None),
        (ResendIfAbsent, None, 16, Some("resend_if_absent")),
        (Hold, Some("resend_if_absent"), 16, Some("resend_if_absent")),
        (Resend, None, 0, Some("resend")),
        (Hold, Some("resend"), 0, Some("resend")),
    ] {
        let case = Case::with(setting).await;
        let id = case.world.row("pending").await;
        if let Some(own) = own {
            let sql = format!("update scheduled_messages set in_doubt = '{own}'");
            run(&case.world.unseen, &sql).await;
        }
        let (listening, mut notices) = crate::rows::hearing(&case.world.db).await;
        run(&listening, "listen punctual").await;
        case.sends(id, LOST_REQUEST).await;
        case.later(minutes).await;
        case.enquirer.round().await.unwrap();
        let said = format!("{setting:?} {own:?} {minutes}");
        match sent_again {
            None => assert_eq!(case.row(id).await, "unconfirmed", "{said}"),
            Some(policy) => {
                assert_eq!(case.row(id).await, "pending", "{said}");
                let attempts = case.attempts(id).await;
                assert!(attempts.ends_with(policy), "{said}: {attempts}");
                // Every instance is told.
                let heard = tokio::time::timeout(Duration::from_secs(20), notices.recv()).await;
                let heard = format!("{:?}", heard.unwrap());
                assert!(heard.contains(&format!("ids {id}")), "{heard}");
                case.sends(id, Fault::None).await;
                assert_eq!(case.row(id).await, "sent sid", "{said}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_again_too_late_or_too_often() {
    for (column, value) in [
        ("send_before", "clock_timestamp()"),
        ("scheduled_at", "clock_timestamp() - interval '61 min'"),
        ("max_attempts", "1"),
    ] {
        let case = Case::with(InDoubt::Resend).await;
        let id = case.world.row("pending").await;
        case.sends(id, LOST_REQUEST).await;
        let sql = format!("update scheduled_messages set {column} = {value}");
        run(&case.world.unseen, &sql).await;
        case.asked().await;
        assert_eq!(case.row(id).await, "unconfirmed", "{column}");
    }
}

#[tokio::test]
async fn proof_that_comes_after_a_second_text_is_recorded_counted_and_told() {
    let case = Case::with(InDoubt::Resend).await;
    let id = case.row_of("said twice").await;
    // It takes a while to show, as lists do.
    let lag = Duration::from_secs(3_600);
    case.twilio.habits(Habits {
        list_lag: lag,
        pace: Duration::ZERO,
        ..Habits::default()
    });
    case.sends(id, LOST_ANSWER).await;
    case.asked().await;
    assert_eq!(case.row(id).await, "pending");
    case.sends(id, Fault::None).await;
    assert_eq!(case.row(id).await, "sent sid");
    assert_eq!(case.twilio.book().text("said twice").sids.len(), 2);
    case.twilio.habits(Habits::default());
    case.asked().await;
    let sql = "select count(*) from punctual.attempts where outcome = 'accepted' and provider_sid is not null";
    assert_eq!(one::<i64>(&case.world.unseen, sql).await, 2);
    assert_eq!(case.enquirer.metrics.counted(Counter::Duplicates), 1);
    // Once.
    case.asked().await;
    assert_eq!(case.enquirer.metrics.counted(Counter::Duplicates), 1);
}

#[tokio::test]
async fn our_own_late_answer_after_a_second_text_is_counted_too() {
    let case = Case::with(InDoubt::Resend).await;
    let id = case.world.row("pending").await;
    let claim = won(&case.store, &[id]).await.remove(0);
    let late = case.asks(&claim, Fault::None).await;
    let silence = Outcome::Unknown {
        reason: "stopped".into(),
    };
    case.records(&claim, silence).await;
    case.twilio.habits(Habits {
        list_lag: LATE,
        ..Habits::default()
    });
    case.asked().await;
    case.sends(id, Fault::None).await;
    assert_eq!(case.store.take_duplicates(), 0);
    case.records(&claim, late.clone()).await;
    case.records(&claim, late).await;
    assert_eq!(case.store.take_duplicates(), 1);
    assert_eq!(case.row(id).await, "sent sid");
}

#[tokio::test]
async fn what_no_callback_told_is_asked_for_by_its_sid() {
    for (end, then, attempts) in [
        (End::Delivered, "delivered sid", "accepted delivered 0"),
        (End::Failed(30005), "failed 30005 sid", "accepted failed 0"),
        // Worth another attempt, and everybody is told.
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
        case.enquirer.round().await.unwrap();
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
    assert!(case.note(id).await.contains("no such message"));
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
    case.enquirer.round().await.unwrap();
    for id in &ids {
        assert_eq!(case.row(*id).await, "unconfirmed");
        assert_eq!(case.attempts(*id).await, "unknown 0 again");
        assert!(case.note(*id).await.contains("no answer"));
    }
    case.twilio.pick_up().await;
    case.asked().await;
    for id in ids {
        assert!(case.row(id).await.ends_with("sid"));
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_leaves_it_to_the_policy() {
    for (policy, becomes) in [
        (InDoubt::Hold, "unconfirmed"),
        (InDoubt::ResendIfAbsent, "unconfirmed"),
        (InDoubt::Resend, "pending"),
    ] {
        let mut case = Case::with(policy).await;
        case.enquirer.provider = Arc::new(Console::on(std::io::sink()));
        let id = case.world.row("pending").await;
        case.sends(id, LOST_ANSWER).await;
        case.later(20).await;
        case.enquirer.round().await.unwrap();
        assert_eq!(case.row(id).await, becomes);
        assert!(!case.attempts(id).await.contains("again"));
        assert!(case.twilio.book().others().is_empty());
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
        let enquirer = Enquirer {
            store,
            metrics: Arc::new(Metrics::default()),
            ..case.enquirer.clone()
        };
        async move { enquirer.round().await.unwrap() }
    });
    futures_util::future::join_all(rounds).await;
    assert_eq!(case.twilio.book().others().len(), ids.len());
    for id in ids {
        assert!(case.row(id).await.ends_with("sid"));
    }
}

#[tokio::test]
async fn the_claims_of_the_dead_are_looked_for_from_their_claim_on() {
    let case = Case::new().await;
    let id = case.row_of("begun by the dead").await;
    let claim = won(&case.store, &[id]).await.remove(0);
    let _ = case.asks(&claim, LOST_ANSWER).await;
    // Its instance never was, the database and the reaper are old.
    let reaper = Store::new(case.world.db.dsn().pool(1), InstanceId::fresh());
    reaper.instance_start().await.unwrap();
    run(
        &case.world.unseen,
        "update punctual.instances set started_at = started_at - interval '1 h';
         update punctual.attempts set lease_until = now() - interval '1 s'",
    )
    .await;
    crate::rows::until(
        &case.world.unseen,
        "pg_postmaster_start_time() < clock_timestamp() - interval '100 ms'",
    )
    .await;
    assert_eq!(reaper.reap(Duration::from_millis(100)).await.unwrap(), 1);
    assert_eq!(case.row(id).await, "unconfirmed");
    case.enquirer.round().await.unwrap();
    assert!(
        case.row(id).await.ends_with("sid"),
        "{}",
        case.row(id).await
    );
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
