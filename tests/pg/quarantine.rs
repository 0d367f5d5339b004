//! What is held after a restore, looked for on the list of a stand-in that really has it or not.

use punctual::provider::Providers;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use punctual::limits::daemon::RecoveryLimits;
use punctual::message::{
    AttemptToken, Capabilities, InstanceId, MessageId, Moment, Outcome, Part, ProviderSid, Routes,
};
use punctual::policy::{Cleared, Rules};
use punctual::proof::matching::ABSENT_AFTER;
use punctual::proof::quarantine::{Reconciliation, StayReason};
use punctual::provider::console::Console;
use punctual::provider::twilio::{Credentials, Twilio as Client, TwilioConfig};
use punctual::provider::{Listed, Provider, Query};
use punctual::receipt::reconcile::Reconciler;
use punctual::schedule::LookUpPlan;
use punctual::settle::{Record, Settlement};
use punctual::store::Store;
use uuid::Uuid;

use crate::ours::{cleared, ledger, now, won};
use crate::rows::{World, one, run};
use crate::twilio::{Fault, Habits, Twilio};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const AUTH_TOKEN: &str = "feedfacefeedfacefeedfacefeedface";

fn client(twilio: &Twilio) -> Client {
    let config = TwilioConfig {
        account_sid: ACCOUNT.parse().unwrap(),
        credentials: Credentials::AuthToken(AUTH_TOKEN.to_owned().into()),
        base_url: twilio.url().parse().unwrap(),
        send_timeout: Duration::from_secs(20),
        max_in_flight: 8.try_into().unwrap(),
        status_callback: None,
    };
    Client::new(&config).unwrap()
}

/// A database that came back as it was before anything was sent.
struct Case {
    world: World,
    twilio: Twilio,
    client: Arc<Client>,
    store: Store,
    free: BTreeSet<MessageId>,
}

impl Case {
    async fn new() -> Self {
        Self::with(Habits::default()).await
    }

    async fn with(habits: Habits) -> Self {
        let twilio = Twilio::start(ACCOUNT, AUTH_TOKEN, habits).await;
        let client = client(&twilio);
        let world = World::new().await;
        let store = Store::new(world.db.dsn().pool(3), InstanceId::fresh())
            .with_look_ups(Some(LookUpPlan::UNHEARD.first()));
        Self {
            world,
            twilio,
            client: Arc::new(client),
            store,
            free: BTreeSet::new(),
        }
    }

    /// A row with this text, written two hours ago and due one ago.
    async fn row(&self, body: &str) -> Uuid {
        let id = self.world.row("pending").await;
        self.set(id, &format!("body = '{body}', created_at = now() - interval '2 h', scheduled_at = now() - interval '1 h'")).await;
        id
    }

    async fn set(&self, id: Uuid, what: &str) {
        let sql = format!("update scheduled_messages set {what} where id = '{id}'");
        run(&self.world.unseen, &sql).await;
    }

    /// The row is sent, and the database comes back as it was before.
    async fn sent_and_forgotten(&self, id: Uuid) {
        self.sent(id).await;
        run(
            &self.world.unseen,
            &format!(
                "delete from punctual.attempts where message_id = '{id}';
                 delete from messages where metadata->>'scheduled_message_id' = '{id}'"
            ),
        )
        .await;
        self.set(id, "status = 'pending', attempts = 0").await;
    }

    async fn sent(&self, id: Uuid) {
        let claim = won(&self.store, &[id]).await.remove(0);
        self.twilio.script([Fault::None]);
        self.client
            .send(&cleared(&claim), Duration::from_secs(60))
            .await;
    }

    /// Looks, so long after the hold began, for all that is due by now.
    async fn look(&self, age: Duration) -> Reconciliation {
        // The hold cannot have begun before what was sent was due; so the rows are older.
        self.look_before(now(&self.store).await - age).await
    }

    async fn look_before(&self, before: Moment) -> Reconciliation {
        let reconciler = Reconciler {
            clock: Arc::default(),
            store: self.store.clone(),
            providers: Providers::texts(Arc::clone(&self.client) as Arc<dyn Provider>),
            limits: RecoveryLimits::default(),
        };
        reconciler.reconcile(before, &self.free).await.unwrap()
    }

    async fn standing(&self, id: Uuid) -> String {
        let what = "concat_ws(' ', status, case when twilio_sid is not null then 'sid' end)";
        self.world.get(id, what).await
    }
}

/// Whoever is asked takes so long that a user's statement runs meanwhile.
struct Slow {
    client: Arc<Client>,
    user: tokio_postgres::Client,
    sql: String,
}

impl Provider for Slow {
    fn send<'a>(&'a self, message: &'a Cleared, valid_for: Duration) -> BoxFuture<'a, Outcome> {
        self.client.send(message, valid_for)
    }

    fn prewarm(&self, connections: usize) -> BoxFuture<'_, ()> {
        self.client.prewarm(connections)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            look_up: true,
            ..Capabilities::SENDS_ONLY
        }
    }

    fn list<'a>(&'a self, sought: &'a Query) -> BoxFuture<'a, Listed> {
        Box::pin(async {
            run(&self.user, &self.sql).await;
            self.client.list(sought).await
        })
    }
}

fn held(of: impl IntoIterator<Item = (StayReason, usize)>) -> BTreeMap<StayReason, usize> {
    of.into_iter().collect()
}

const SOON: Duration = Duration::from_secs(60);
const LATE: Duration = ABSENT_AFTER;

#[tokio::test]
async fn what_is_listed_is_recorded_as_sent_and_what_is_not_is_cleared_late() {
    let case = Case::new().await;
    let (sent, not) = (case.row("it was sent").await, case.row("it was not").await);
    case.set(not, "to_number = ' +13105550199'").await;
    case.sent_and_forgotten(sent).await;
    let looked = case.look(SOON).await;
    assert_eq!((looked.sent, &looked.unsent), (1, &vec![]));
    assert_eq!(looked.remaining, held([(StayReason::Early, 1)]));
    assert_eq!(case.standing(sent).await, "sent sid");
    assert_eq!(case.standing(not).await, "pending");
    let [entry] = &ledger(&case.world, sent).await[..] else {
        panic!("one attempt");
    };
    let (sid, outcome): (String, &str) = (entry.get("provider_sid"), entry.get("outcome"));
    assert_eq!(outcome, "accepted");
    assert_eq!(sid, case.world.get::<String>(sent, "twilio_sid").await);
    let known = "select count(*) from messages m, punctual.attempts a where m.twilio_sid = a.provider_sid
                  and a.recovered and a.next_lookup_at is not null and a.started_at < a.claimed_at + interval '1 s'";
    assert_eq!(
        one::<i64>(&case.world.unseen, known).await,
        1,
        "the app's row"
    );

    let looked = case.look(LATE).await;
    assert_eq!(looked.unsent, [MessageId(not)]);
    assert!(looked.is_over());
    // What was cleared is not looked up again.
    let asked = case.twilio.book().others().len();
    let case = Case {
        free: [MessageId(not)].into(),
        ..case
    };
    let looked = case.look(LATE).await;
    assert_eq!(looked.cleared, case.free);
    assert!(looked.is_over());
    assert_eq!(case.twilio.book().others().len(), asked);
}

#[tokio::test]
async fn a_list_that_lags_makes_nothing_absent_before_its_time() {
    let case = Case::with(Habits {
        list_lag: Duration::from_secs(3600),
        ..Habits::default()
    })
    .await;
    let id = case.row("it was sent").await;
    case.sent_and_forgotten(id).await;
    for _ in 0..2 {
        let looked = case.look(LATE.saturating_sub(SOON)).await;
        assert_eq!(looked.remaining, held([(StayReason::Early, 1)]));
    }
    assert_eq!(case.standing(id).await, "pending");
}

#[tokio::test]
async fn twins_are_settled_if_as_many_are_listed() {
    let case = Case::new().await;
    let twins = [case.row("twin").await, case.row("twin").await];
    case.sent_and_forgotten(twins[0]).await;
    let looked = case.look(LATE).await;
    assert_eq!(looked.remaining, held([(StayReason::Shared, 2)]));
    case.sent_and_forgotten(twins[1]).await;
    let looked = case.look(LATE).await;
    assert!(looked.is_over());
    assert_eq!(looked.sent, 2);
    let sql = "select count(distinct twilio_sid) from scheduled_messages where status = 'sent'";
    assert_eq!(one::<i64>(&case.world.unseen, sql).await, 2);
    assert_eq!(case.store.take_duplicates(), 0);
}

#[tokio::test]
async fn what_cannot_be_known_stays_held_and_says_why() {
    let case = Case::new().await;
    // Its user edited it after the backup: what was sent reads otherwise.
    let edited = case.row("as it was sent").await;
    case.sent_and_forgotten(edited).await;
    case.set(edited, "body = 'as the backup has it'").await;
    // The text of a template is unknown.
    let template = case.row("of a template").await;
    case.set(template, "to_number = '+13105550177'").await;
    case.sent_and_forgotten(template).await;
    case.set(template, "template_vars = '{}'").await;
    // Unconfirmed, with the same text: the message may be either's.
    let (doubtful, twin) = (case.row("rival").await, case.row("rival").await);
    for id in [doubtful, twin] {
        case.set(id, "to_number = '+13105550188'").await;
    }
    case.sent(doubtful).await;
    case.set(doubtful, "status = 'sending'").await;
    let looked = case.look(LATE).await;
    assert_eq!(
        looked.remaining,
        held([(StayReason::Shared, 1), (StayReason::Unlike, 2)])
    );
    assert_eq!((looked.sent, looked.unsent), (0, vec![]));
    for id in [edited, template, twin] {
        assert_eq!(case.standing(id).await, "pending");
    }
    // What a person says of it stands.
    case.set(edited, "status = 'cancelled'").await;
    let looked = case.look(LATE).await;
    assert_eq!(
        looked.remaining,
        held([(StayReason::Shared, 1), (StayReason::Unlike, 1)])
    );
}

/// Twins, of which the provider has one, and whose it is stands in the app's table, or in the
/// ledger: another instance has merged its journal, and the row is not there (any more).
#[tokio::test]
async fn what_the_app_or_another_instance_sent_is_nobody_elses_proof() {
    for by_another_instance in [false, true] {
        let case = Case::new().await;
        let (ours, theirs) = (case.row("the same").await, case.row("the same").await);
        case.sent_and_forgotten(theirs).await;
        let sid = case.twilio.book().messages()[0].sid.clone();
        run(
            &case.world.unseen,
            &format!("delete from scheduled_messages where id = '{theirs}'"),
        )
        .await;
        if by_another_instance {
            let proof = Record {
                id: MessageId(theirs),
                token: AttemptToken::fresh(),
                settlement: Settlement::Accepted {
                    sid: ProviderSid(sid),
                },
                started: None,
                finished: None,
                payload: None,
                tries: 0,
                part: Part::ONLY,
            };
            let other = Store::new(case.world.db.dsn().pool(1), InstanceId::fresh());
            assert_eq!(other.record(&[&proof]).await.unwrap().len(), 1);
        } else {
            let sql = format!(
                "insert into messages (direction, body, from_number, to_number, twilio_sid, status)
                 values ('outbound', 'the same', '+15005550006', '+13105550100', '{sid}', 'sent')"
            );
            run(&case.world.unseen, &sql).await;
        }
        let looked = case.look(LATE).await;
        assert_eq!(looked.unsent, [MessageId(ours)], "{by_another_instance}");
        assert_eq!(case.standing(ours).await, "pending");
    }
}

#[tokio::test]
async fn what_was_written_after_the_hold_and_what_is_no_number_is_cleared_without_a_look_up() {
    let case = Case::new().await;
    let (old, fresh) = (case.row("old").await, case.row("fresh").await);
    let (again, no_number) = (case.row("again").await, case.row("no number").await);
    case.set(fresh, "created_at = now()").await;
    case.set(again, "requeued_at = now()").await;
    case.set(no_number, "to_number = 'nobody'").await;
    let before = now(&case.store).await - SOON * 2;
    let looked = case.look_before(before).await;
    let absent: BTreeSet<_> = looked.unsent.iter().map(|id| id.0).collect();
    assert_eq!(absent, [fresh, again, no_number].into());
    assert_eq!(looked.remaining, held([(StayReason::Early, 1)]));
    assert_eq!(case.standing(old).await, "pending");
    let reconciler = Reconciler {
        clock: Arc::default(),
        store: case.store.clone(),
        providers: Console::on(std::io::sink()),
        limits: RecoveryLimits::default(),
    };
    let found = BTreeSet::from([fresh, again].map(MessageId));
    // Who cannot be asked shows nothing.
    let looked = reconciler.reconcile(before, &found).await.unwrap();
    assert_eq!(looked.remaining, held([(StayReason::Unasked, 1)]));
    assert_eq!(looked.cleared, found);
}

#[tokio::test]
async fn what_another_instance_clears_is_read_in_pages() {
    let case = Case::new().await;
    let other = Store::new(case.world.db.dsn().pool(1), InstanceId::fresh());
    let ids = [1, 2, 3].map(|n| MessageId(Uuid::from_u128(n)));
    // Two at a time, so that the order is known; again, which changes nothing.
    for ids in [&ids[2..], &ids[..2], &ids] {
        other.quarantine_clear(ids).await.unwrap();
    }
    let (mut seen, mut last) = (Vec::new(), None);
    loop {
        let page = case.store.quarantine_cleared(last, 1).await.unwrap();
        let Some(next) = page.last() else { break };
        last = Some(*next);
        seen.extend(page.iter().map(|cleared| cleared.id));
    }
    assert_eq!(seen.first(), Some(&ids[2]));
    assert_eq!(BTreeSet::from_iter(seen), ids.into());
}

/// Its user writes another text, or means it for another time, while the provider is asked: what
/// the list shows is the old one, and the new one is not lost by it.
#[tokio::test]
async fn what_its_user_changes_meanwhile_is_not_taken_for_sent() {
    for what in [
        "body = 'another text'",
        "scheduled_at = now() + interval '1 day'",
    ] {
        let case = Case::new().await;
        let id = case.row("it was sent").await;
        case.sent_and_forgotten(id).await;
        let sql = format!("update scheduled_messages set {what} where id = '{id}'");
        let reconciler = Reconciler {
            clock: Arc::default(),
            store: case.store.clone(),
            providers: Providers::texts(Arc::new(Slow {
                client: Arc::clone(&case.client),
                user: case.world.db.client().await,
                sql,
            })),
            limits: RecoveryLimits::default(),
        };
        let before = now(&case.store).await - SOON;
        let looked = reconciler.reconcile(before, &case.free).await.unwrap();
        assert_eq!(case.standing(id).await, "pending", "{what}");
        assert_eq!(
            (looked.sent, looked.remaining),
            (0, held([(StayReason::Locked, 1)]))
        );
    }
}

#[tokio::test]
async fn a_provider_that_gives_no_answer_is_spared_and_a_row_that_is_held_comes_later() {
    let mut case = Case::new().await;
    let ids = [case.row("one").await, case.row("two").await];
    for (id, n) in ids.iter().zip(0..) {
        case.set(*id, &format!("to_number = '+1310555020{n}'"))
            .await;
        case.sent_and_forgotten(*id).await;
    }
    case.twilio.hang_up().await;
    let looked = case.look(LATE).await;
    assert_eq!(looked.remaining, held([(StayReason::NoResponse, 2)]));
    case.twilio.pick_up().await;
    let hold = format!(
        "begin; select from scheduled_messages where id = '{}' for update",
        ids[0]
    );
    run(&case.world.user, &hold).await;
    let looked = case.look(LATE).await;
    assert_eq!(
        (looked.sent, looked.remaining),
        (1, held([(StayReason::Locked, 1)]))
    );
    run(&case.world.user, "rollback").await;
    assert_eq!(case.look(LATE).await.sent, 1);
    assert!(case.look(LATE).await.is_over());
}

#[tokio::test]
async fn many_numbers_are_read_to_the_end_and_too_many_of_one_are_left_to_people() {
    let case = Case::new().await;
    run(
        &case.world.unseen,
        "insert into scheduled_messages (to_number, body, scheduled_at, created_at)
         select '+1310' || 5550000 + n, 'hello', now() - interval '1 h', now() - interval '2 h'
           from generate_series(1, 450) n
         union all
         select '+13105559999', 'hello', now() - interval '1 h', now() - interval '2 h'
           from generate_series(1, 200)",
    )
    .await;
    // More than are read at once, of a number that begins on the first page and ends on the next.
    run(
        &case.world.unseen,
        "insert into scheduled_messages (to_number, body, scheduled_at, created_at)
         select 'no number', 'hello', now() - interval '1 h', now() - interval '2 h'
           from generate_series(1, 4600) n",
    )
    .await;
    // Some were sent.
    let sql = "select array_agg(id) from (select id from scheduled_messages where to_number < '+13105550031') s";
    let sent: Vec<Uuid> = one(&case.world.unseen, sql).await;
    for id in &sent {
        case.sent_and_forgotten(*id).await;
    }
    let looked = case.look(LATE).await;
    let numbers = looked.unsent.len() + looked.unsent_more - 4_600;
    assert_eq!((numbers, looked.sent, sent.len()), (420, 30, 30));
    let right = "select count(*) from scheduled_messages where status = 'sent'
                   and twilio_sid is not null and to_number < '+13105550031'";
    assert_eq!(one::<i64>(&case.world.unseen, right).await, 30);
    assert_eq!(looked.remaining, held([(StayReason::Partial, 200)]));
    assert_eq!(case.twilio.book().others().len(), 450, "each number once");
}

#[tokio::test]
async fn what_is_held_is_not_cancelled_as_too_late_and_what_came_after_is() {
    let case = Case::new().await;
    let (held, later) = (case.row("held").await, case.row("due after the hold").await);
    let past = "send_before = now() - interval '1 min'";
    let both = [held, case.row("held, and past its end").await];
    case.set(both[1], past).await;
    case.set(later, "scheduled_at = now() - interval '20 min'")
        .await;
    let before = now(&case.store).await - SOON * 30;
    let expired = async |lateness, before| {
        let expired = case.store.expire(lateness, before, 1_000).await;
        expired.unwrap().len()
    };
    assert_eq!(expired(SOON, Some(before)).await, 1);
    assert_eq!(case.standing(later).await, "cancelled");
    for id in both {
        assert_eq!(case.standing(id).await, "pending");
    }
    assert_eq!(expired(SOON, None).await, 2);
}

/// The soonest were written after the hold, and are more than are read at once.
#[tokio::test]
async fn what_is_not_read_of_one_number_is_not_taken_for_settled() {
    let case = Case::new().await;
    let insert = |n: i32, due: &str, made: &str| {
        format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, created_at)
         select '+13105559999', 'hello', now() - interval '{due}', {made} from generate_series(1, {n})")
    };
    run(&case.world.unseen, &insert(5_000, "2 h", "now()")).await;
    run(
        &case.world.unseen,
        &insert(1, "1 h", "now() - interval '3 h'"),
    )
    .await;
    let looked = case.look(LATE).await;
    assert_eq!(looked.unsent.len() + looked.unsent_more, 5_000);
    assert!(!looked.is_over());
}

/// The rows of one number are settled by the list of the account of each, and an account that does not respond keeps
/// no row of another.
#[tokio::test]
async fn each_account_is_queried_for_its_own_rows() {
    let case = Case::new().await;
    let sent = case.row("by the default account").await;
    case.sent_and_forgotten(sent).await;
    let [absent, silent] = [case.row("by eu").await, case.row("by us").await];
    case.set(absent, "account = 'eu'").await;
    // Before the others.
    case.set(silent, "account = 'us', to_number = '+13105550099'")
        .await;
    let mut routes = Routes::default();
    let texts = |twilio: &Twilio| {
        let client = client(twilio);
        Providers::texts(Arc::new(client) as Arc<dyn Provider>)
    };
    let eu = Twilio::start(ACCOUNT, AUTH_TOKEN, Habits::default()).await;
    let mut us = Twilio::start(ACCOUNT, AUTH_TOKEN, Habits::default()).await;
    let mut providers = texts(&case.twilio);
    for (name, twilio) in [("eu", &eu), ("us", &us)] {
        routes.add(name, None, &[]).unwrap();
        providers = providers.with_account(name, texts(twilio));
    }
    us.hang_up().await;
    let reconciler = Reconciler {
        clock: Arc::default(),
        store: case.store.clone().with_rules(&Rules {
            routes: Arc::new(routes),
            ..Rules::default()
        }),
        providers,
        // One after the other: the account that does not respond is the first.
        limits: RecoveryLimits {
            queries: 1,
            ..RecoveryLimits::default()
        },
    };
    let before = now(&case.store).await - LATE;
    let looked = reconciler.reconcile(before, &case.free).await.unwrap();
    assert_eq!(looked.remaining, held([(StayReason::NoResponse, 1)]));
    assert_eq!(
        looked.reasons.get(&MessageId(silent)),
        Some(&StayReason::NoResponse)
    );
    assert_eq!((looked.sent, looked.unsent), (1, vec![MessageId(absent)]));
    assert_eq!(case.standing(sent).await, "sent sid");
}
