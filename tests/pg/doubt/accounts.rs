//! Look-ups of several accounts: none waits for another, and an account that is missing in the settings ends none.

use futures_util::future::{BoxFuture, FutureExt as _};
use punctual::message::{Capabilities, Routes};
use punctual::policy::{Cleared, Rules};
use punctual::provider::{Fetched, Listed, Query};

use super::*;

/// An account whose requests are all refused, or throttled.
struct Refused {
    is_throttled: bool,
}

impl Refused {
    fn reason(&self) -> String {
        let code = if self.is_throttled { 429 } else { 401 };
        format!("HTTP {code}")
    }
}

impl Provider for Refused {
    fn send<'a>(&'a self, _: &'a Cleared, _: Duration) -> BoxFuture<'a, Outcome> {
        unreachable!("it is only queried")
    }

    fn prewarm(&self, _: usize) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            look_up: true,
            ..Capabilities::SENDS_ONLY
        }
    }

    fn fetch<'a>(&'a self, _: &'a punctual::message::ProviderSid) -> BoxFuture<'a, Fetched> {
        let fetched = Fetched::NotNow {
            reason: self.reason(),
            is_throttled: self.is_throttled,
        };
        std::future::ready(fetched).boxed()
    }

    fn list<'a>(&'a self, _: &'a Query) -> BoxFuture<'a, Listed> {
        let listed = Listed::NotNow {
            reason: self.reason(),
            is_throttled: self.is_throttled,
        };
        std::future::ready(listed).boxed()
    }
}

impl Case {
    /// The same, with an account `eu` that rows can name.
    async fn with_eu(policy: InDoubt) -> Self {
        let mut case = Self::with(policy).await;
        let mut routes = Routes::default();
        routes.add("eu", None, &[]).unwrap();
        case.look_ups.store = case.store.clone().with_rules(&Rules {
            routes: Arc::new(routes),
            ..Rules::default()
        });
        case
    }

    /// Whom the account `eu` is queried by.
    fn queries_eu_by(&mut self, provider: Arc<dyn Provider>) {
        let own = Providers::texts(Arc::clone(&self.client) as Arc<dyn Provider>);
        self.look_ups.providers = own.with_account("eu", Providers::texts(provider));
    }

    /// The row is one of the account `eu`, and its attempts went through this one; null: unknown.
    async fn of_eu(&self, id: Uuid, through: &str) {
        let sql = format!(
            "update scheduled_messages set account = 'eu' where id = '{id}';
             update punctual.attempts set account = {through} where message_id = '{id}'"
        );
        run(&self.world.unseen, &sql).await;
    }
}

#[tokio::test]
async fn an_account_that_is_refused_stops_no_look_up_of_another() {
    for is_throttled in [false, true] {
        let mut case = Case::with_eu(InDoubt::Hold).await;
        case.queries_eu_by(Arc::new(Refused { is_throttled }));
        // One after the other, so that a request to one account follows one to the other, in whatever order.
        (
            case.look_ups.limits.at_once,
            case.look_ups.limits.at_once_max,
        ) = (1, 1);
        let mut ids = Vec::new();
        for n in 0..8 {
            let id = case.row_of(&format!("text {n}")).await;
            // Its list is its own.
            let to = format!(
                "update scheduled_messages set to_number = '+1310555010{n}' where id = '{id}'"
            );
            run(&case.world.unseen, &to).await;
            case.sends(id, LOST_ANSWER).await;
            if n % 2 == 0 {
                case.of_eu(id, "'eu'").await;
            }
            ids.push(id);
        }
        case.asked().await;
        let mut requests = 0;
        for (n, id) in ids.iter().enumerate() {
            let row = case.row(*id).await;
            if n % 2 == 0 {
                assert_eq!(row, "unconfirmed");
                requests += usize::from(case.note(*id).await.contains("HTTP 4"));
                assert_eq!(case.attempts(*id).await, "unknown 0 again");
            } else {
                assert!(row.ends_with("sid"), "{row}: {}", case.note(*id).await);
            }
        }
        assert_eq!(requests, 1, "the others of that account are not made");
    }
}

/// As after a start with faulty settings: whatever falls due then is looked up once they are fixed.
#[tokio::test]
async fn an_account_that_is_not_configured_ends_no_look_up_and_sends_nothing_again() {
    let mut case = Case::with_eu(InDoubt::Resend).await;
    let unconfirmed = case.row_of("its answer was lost").await;
    case.sends(unconfirmed, LOST_ANSWER).await;
    let unheard = case.row_of("nothing is heard of it").await;
    case.sends(unheard, ends(End::Delivered)).await;
    for id in [unconfirmed, unheard] {
        case.of_eu(id, "null").await;
    }
    case.twilio
        .until("it is over", |book| {
            let mut all = book.messages().iter();
            all.any(|sent| sent.status == "delivered").then_some(())
        })
        .await;
    for _ in 0..2 {
        case.asked().await;
        assert_eq!(case.row(unconfirmed).await, "unconfirmed");
        assert_eq!(case.attempts(unconfirmed).await, "unknown 0 again");
        assert_eq!(case.row(unheard).await, "sent sid");
        assert_eq!(case.attempts(unheard).await, "accepted 0 again");
        for id in [unconfirmed, unheard] {
            let note = case.note(id).await;
            assert!(note.contains("no provider is configured"), "{note}");
        }
    }
    case.queries_eu_by(Arc::clone(&case.client) as Arc<dyn Provider>);
    case.asked().await;
    assert!(case.row(unconfirmed).await.ends_with("sid"));
    assert_eq!(case.row(unheard).await, "delivered sid");
}

/// Its row was moved to another account since: that one knows nothing of it.
#[tokio::test]
async fn an_attempt_is_looked_up_at_the_account_through_which_it_went() {
    let mut case = Case::with_eu(InDoubt::Hold).await;
    case.queries_eu_by(Arc::new(Refused {
        is_throttled: false,
    }));
    let moved = case.row_of("moved to eu").await;
    case.sends(moved, LOST_ANSWER).await;
    case.of_eu(moved, "'default'").await;
    let stayed = case.row_of("its sender is of another account now").await;
    case.sends(stayed, LOST_ANSWER).await;
    case.of_eu(stayed, "'eu'").await;
    let back = format!("update scheduled_messages set account = null where id = '{stayed}'");
    run(&case.world.unseen, &back).await;
    case.asked().await;
    assert!(case.row(moved).await.ends_with("sid"));
    assert_eq!(case.row(stayed).await, "unconfirmed");
    assert!(case.note(stayed).await.contains("HTTP 401"));
}
