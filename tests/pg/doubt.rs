//! Unconfirmed messages, and messages of which nothing is heard: what the provider says when it is
//! asked, against a stand-in that really took them or did not.

use punctual::provider::Providers;
use std::sync::Arc;
use std::time::Duration;

use punctual::limits::daemon::LookUpLimits;
use punctual::message::{Claim, InDoubt, InstanceId, Moment, Outcome};
use punctual::metrics::{Counter, Metrics};
use punctual::provider::Provider;
use punctual::provider::console::Console;
use punctual::provider::twilio::{Credentials, Twilio as Client, TwilioConfig};
use punctual::receipt::look_up::{LookUps, Pace};
use punctual::schedule::LookUpPlan;
use punctual::settle::{AttemptBudget, SendResult, Settlement};
use punctual::store::Store;
use uuid::Uuid;

use crate::ours::{LATE, cleared, record, won};
use crate::rows::{World, one, run};
use crate::twilio::{End, Fault, Habits, Plan, Twilio, When};

mod accounts;
mod again;
mod asked;
mod backlog;
mod whatsapp;

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const AUTH_TOKEN: &str = "feedfacefeedfacefeedfacefeedface";

/// A daemon's hands, a provider, and the rows.
struct Case {
    world: World,
    twilio: Twilio,
    client: Arc<Client>,
    store: Store,
    look_ups: LookUps,
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
            .with_look_ups(Some(LookUpPlan::UNHEARD.first()));
        let look_ups = LookUps {
            metrics: Arc::default(),
            clock: Arc::default(),
            store: store.clone(),
            providers: Providers::texts(Arc::clone(&client) as Arc<dyn Provider>),
            policy,
            max_lateness: LATE,
            unheard: LookUpPlan::UNHEARD,
            pace: Pace::default(),
            limits: LookUpLimits::default(),
            group: 500,
        };
        Self {
            world,
            twilio,
            client,
            store,
            look_ups,
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
        let tries = AttemptBudget {
            number: claim.number,
            before: claim.attempts_before,
            max: claim.max_attempts,
            expires: Moment::MAX,
        };
        let now = self.store.now().await.unwrap();
        let answer = SendResult {
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
                set next_lookup_at = now(), finished_at = finished_at - interval '{minutes} min'
              where next_lookup_at is not null"
        );
        run(&self.world.unseen, &sql).await;
    }

    /// Everything that is to be asked is due, and asked.
    async fn asked(&self) {
        self.later(0).await;
        self.look_ups.round().await.unwrap();
    }

    async fn row(&self, id: Uuid) -> String {
        let what =
            "concat_ws(' ', status, error_code, case when twilio_sid is not null then 'sid' end)";
        self.world.get(id, what).await
    }

    /// The attempts, oldest first: outcome, how often asked, whether it will be again.
    async fn attempts(&self, id: Uuid) -> String {
        let sql = format!(
            "select string_agg(concat_ws(' ', outcome, receipt_status, lookups,
                                         case when next_lookup_at is not null then 'again' end, settled_by),
                               ', ' order by number)
               from punctual.attempts where message_id = '{id}'"
        );
        one(&self.world.unseen, &sql).await
    }

    async fn note(&self, id: Uuid) -> String {
        let sql = format!(
            "select coalesce(lookup_note, '') from punctual.attempts where message_id = '{id}'
              order by number limit 1"
        );
        one(&self.world.unseen, &sql).await
    }

    /// The one open claim is that of an instance that died.
    async fn reaped(&self) {
        // Its instance never was, the database and the reaper are old.
        let reaper = Store::new(self.world.db.dsn().pool(1), InstanceId::fresh());
        reaper.instance_start("notify").await.unwrap();
        run(
            &self.world.unseen,
            "update punctual.instances set started_at = started_at - interval '1 h';
             update punctual.attempts set lease_until = now() - interval '1 s'",
        )
        .await;
        crate::rows::until(
            &self.world.unseen,
            "pg_postmaster_start_time() < clock_timestamp() - interval '100 ms'",
        )
        .await;
        assert_eq!(
            reaper
                .reap(Duration::from_millis(100), 1_000)
                .await
                .unwrap(),
            1
        );
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
    case.look_ups.round().await.unwrap();
    assert_eq!(case.attempts(id).await, "unknown 0 again");
    // An edit changes nothing of what was sent.
    let edit = "update scheduled_messages set body = 'another'";
    run(&case.world.unseen, edit).await;

    case.asked().await;
    let status = case.row(id).await;
    assert!(
        ["sent sid", "delivered sid"].contains(&&*status),
        "{status}"
    );
    let sql = "select count(*) from messages where twilio_sid is not null";
    assert_eq!(one::<i64>(&case.world.unseen, sql).await, 1);
    // What the ledger keeps of number and text is gone with the doubt.
    let sql = "select num_nonnulls(lookup_to, lookup_from, lookup_text) from punctual.attempts";
    assert_eq!(one::<i32>(&case.world.unseen, sql).await, 0);
    assert_eq!(case.store.take_duplicates(), 0);
}

#[tokio::test]
async fn two_equal_texts_are_distinguished_by_nobody() {
    let case = Case::new().await;
    let (one, other) = (case.row_of("twins").await, case.row_of("twins").await);
    case.sends(one, LOST_ANSWER).await;
    case.sends(other, LOST_REQUEST).await;
    case.later(20).await;
    case.look_ups.round().await.unwrap();
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
        "update punctual.attempts set outcome = 'accepted', provider_sid = '{sid}', lookup_text = null
          where message_id = '{one}'"
    );
    run(&case.world.unseen, &sql).await;
    case.asked().await;
    assert_eq!(case.row(other).await, "unconfirmed");
    assert!(
        case.note(other)
            .await
            .contains("not on the provider's list")
    );
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
async fn the_claims_of_the_dead_are_looked_for_from_their_claim_on() {
    let case = Case::new().await;
    let id = case.row_of("begun by the dead").await;
    let claim = won(&case.store, &[id]).await.remove(0);
    let _ = case.asks(&claim, LOST_ANSWER).await;
    case.reaped().await;
    assert_eq!(case.row(id).await, "unconfirmed");
    case.look_ups.round().await.unwrap();
    assert!(
        case.row(id).await.ends_with("sid"),
        "{}",
        case.row(id).await
    );
}

#[tokio::test]
async fn a_text_that_only_the_dead_knew_is_not_searched_for_nor_called_absent() {
    let case = Case::with(InDoubt::ResendIfAbsent).await;
    let id = case.row_of("Dear {name}").await;
    run(
        &case.world.unseen,
        "update scheduled_messages set template_vars = '{}'",
    )
    .await;
    let _ = won(&case.store, &[id]).await;
    case.reaped().await;
    case.later(20).await;
    case.look_ups.round().await.unwrap();
    assert_eq!(case.row(id).await, "unconfirmed");
    assert!(case.note(id).await.contains("is not known"));
    assert!(case.twilio.book().others().is_empty());
}
