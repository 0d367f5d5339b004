//! Callbacks over real HTTP into a real database, in every order in which they may come.

use punctual::message::ProviderCapabilities;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use punctual::http::{bind, serve_public};
use punctual::limits::HttpLimits;
use punctual::message::{
    AttemptToken, Capabilities, Claim, ClaimResponse, InstanceId, MessageId, Moment, Part,
    ProviderSid,
};
use punctual::policy::{Cleared, Rules, Verdict, judge};
use punctual::provider::twilio::TwilioCallbacks;
use punctual::receipt::CallbackHandler;
use punctual::settle::{Record, Settlement};
use punctual::store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::TestDb;

const PUBLIC: &str = "https://sms.example.com";
const AUTH_TOKEN: &str = "feedfacefeedfacefeedfacefeedface";
const SID: &str = "SM0123456789abcdef0123456789abcdef";
const OTHER_SID: &str = "SMfedcba9876543210fedcba9876543210";
pub(crate) const TO: &str = "+13105551234";
pub(crate) const FROM: &str = "+15005550006";

/// One message, claimed and on its way, and the route that hears of it.
pub(crate) struct World {
    db: TestDb,
    pub(crate) app: Client,
    pub(crate) store: Store,
    addr: SocketAddr,
    pub(crate) claim: Claim,
    _served: tokio_util::sync::DropGuard,
}

impl World {
    pub(crate) async fn new() -> Self {
        let db = TestDb::new().await;
        let app = db.client().await;
        let store = Store::new(db.dsn().pool(4), InstanceId::fresh())
            .with_default_sender(Some(&FROM.parse().unwrap()));
        store.instance_start("notify").await.unwrap();
        let public = PUBLIC.parse().unwrap();
        let callbacks = Arc::new(TwilioCallbacks::new(&public, AUTH_TOKEN.to_owned().into()));
        let listener = bind("127.0.0.1:0".parse().unwrap(), "a test")
            .await
            .unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let handler = CallbackHandler::new(
            vec![callbacks],
            store.clone(),
            Arc::default(),
            Arc::default(),
        );
        tokio::spawn(serve_public(
            listener,
            handler,
            None,
            HttpLimits::default(),
            stop.clone(),
        ));
        let id: Uuid = app
            .query_one(
                "insert into scheduled_messages (to_number, from_number, body, scheduled_at)
                 values ($1, $2, 'good morning', now()) returning id",
                &[&TO, &FROM],
            )
            .await
            .unwrap()
            .get(0);
        let claim = claim(&store, id).await;
        Self {
            db,
            app,
            store,
            addr,
            claim,
            _served: stop.drop_guard(),
        }
    }

    /// What our own request's answer leads to.
    pub(crate) async fn record(&self, settlement: Settlement) {
        let record = Record {
            id: self.claim.id,
            token: self.claim.token,
            settlement,
            started: Some(self.claim.due),
            finished: Some(self.claim.due),
            payload: Some(Arc::new(cleared(&self.claim))),
            tries: 0,
            part: Part::ONLY,
        };
        let done = self.store.record(&[&record]).await.unwrap();
        assert!(done.contains_key(&self.claim.token));
    }

    pub(crate) async fn accepted(&self) {
        let sid = ProviderSid(SID.into());
        self.record(Settlement::Accepted { sid }).await;
    }

    fn ids(&self) -> String {
        let (message, token) = (self.claim.id, self.claim.token);
        format!("?message={message}&token={token}")
    }

    /// A callback with this query; the answer's status.
    async fn post(&self, query: &str, parameters: &[(&str, &str)]) -> u16 {
        let path = format!("/webhooks/twilio/status{query}");
        self.post_to(&path, parameters).await
    }

    pub(crate) async fn post_to(&self, path: &str, parameters: &[(&str, &str)]) -> u16 {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let mut sorted = parameters.to_vec();
        sorted.sort_unstable();
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(AUTH_TOKEN.as_bytes()).unwrap();
        mac.update(format!("{PUBLIC}{path}").as_bytes());
        for (name, value) in sorted {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let raw = format!(
            "POST {path} HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             X-Twilio-Signature: {signature}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(raw.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) async fn call(&self, status: &str, code: &str) {
        let parameters = report(SID, status, code);
        assert_eq!(self.post(&self.ids(), &parameters).await, 204, "{status}");
    }

    pub(crate) async fn post_status(&self, query: &str, status: &str) -> u16 {
        self.post(query, &report(SID, status, "")).await
    }

    pub(crate) async fn post_sid(&self, query: &str, sid: &str, status: &str, code: &str) -> u16 {
        self.post(query, &report(sid, status, code)).await
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        let row = self.app.query_one(sql, &[]).await.unwrap();
        row.get::<_, Option<String>>(0).unwrap_or_default()
    }

    /// How row, attempt, the app's rows and the kept callbacks stand.
    pub(crate) async fn standing(&self) -> [String; 4] {
        [
            self.text(
                "select concat_ws(' ', status, error_code, error_message, twilio_sid = 'SM0123456789abcdef0123456789abcdef')
                   from scheduled_messages",
            )
            .await,
            self.text("select concat_ws(' ', outcome, receipt_status) from punctual.attempts")
                .await,
            self.text("select string_agg(status, ' ') from messages").await,
            self.text(
                "select string_agg(concat(case effect when 'contradicted' then '!' end, status), ' ' order by id)
                   from punctual.receipts",
            )
            .await,
        ]
    }
}

fn report<'a>(sid: &'a str, status: &'a str, code: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("MessageSid", sid),
        ("MessageStatus", status),
        ("ErrorCode", code),
        ("From", FROM),
        ("To", TO),
        ("AccountSid", "AC1"),
    ]
}

pub(crate) async fn claim(store: &Store, id: Uuid) -> Claim {
    let asks = [(MessageId(id), AttemptToken::fresh(), None)];
    let claimed = store.claim(&asks, Duration::from_secs(30)).await.unwrap();
    match claimed.answers.into_iter().next().unwrap().1 {
        ClaimResponse::Won(claim) => claim,
        other => panic!("{other:?}"),
    }
}

fn cleared(claim: &Claim) -> Cleared {
    let rules = Rules {
        default_sender: None,
        max_lateness: Duration::from_secs(3600),
        ..Rules::default()
    };
    match judge(
        claim,
        &rules,
        &ProviderCapabilities::all(Capabilities::SENDS_ONLY),
        claim.due,
    ) {
        Verdict::Send(cleared) => cleared,
        other => panic!("{other:?}"),
    }
}

fn unknown() -> Settlement {
    let outcome = punctual::message::Outcome::Unknown {
        reason: "no answer".into(),
    };
    let answer = punctual::settle::SendResult {
        outcome,
        started: None,
        finished: punctual::message::Moment::from_micros(0),
    };
    let tries = punctual::settle::AttemptBudget {
        number: 1,
        before: 0,
        max: 3,
        expires: punctual::message::Moment::MAX,
    };
    Settlement::of(answer, MessageId(Uuid::nil()), tries)
}

/// What happens, a word each: `own` is our own record of acceptance, `doubt` our record of no
/// answer, anything else a callback, with its code after a colon.
async fn check(events: &str, expected: [&str; 4]) {
    let world = World::new().await;
    for event in events.split_whitespace() {
        match event.split_once(':').unwrap_or((event, "")) {
            ("own", _) => world.accepted().await,
            ("doubt", _) => world.record(unknown()).await,
            (status, code) => world.call(status, code).await,
        }
    }
    assert_eq!(world.standing().await, expected, "{events}");
}

const LOST: &str = "failed 30005 undelivered: the number cannot be texted (Code: 30005) t";

#[tokio::test]
async fn after_our_own_record() {
    let all = "queued sent delivered";
    check("own", ["sent t", "accepted", "sent", ""]).await;
    check(
        "own queued sent delivered",
        ["delivered t", "accepted delivered", "delivered", all],
    )
    .await;
    check(
        "own undelivered:30005",
        [LOST, "accepted undelivered", "undelivered", "undelivered"],
    )
    .await;
}

#[tokio::test]
async fn before_our_own_record() {
    // The callback is proof, writes what our record would have, and the record adds nothing.
    check("queued", ["sent t", "accepted queued", "queued", "queued"]).await;
    check(
        "queued own",
        ["sent t", "accepted queued", "queued", "queued"],
    )
    .await;
    check(
        "delivered own",
        [
            "delivered t",
            "accepted delivered",
            "delivered",
            "delivered",
        ],
    )
    .await;
    check(
        "undelivered:30005 own",
        [LOST, "accepted undelivered", "undelivered", "undelivered"],
    )
    .await;
    // Nor does one that knows less.
    check("sent doubt", ["sent t", "accepted sent", "sent", "sent"]).await;
}

#[tokio::test]
async fn a_callback_settles_a_doubt() {
    check(
        "doubt sent delivered",
        [
            "delivered t",
            "accepted delivered",
            "delivered",
            "sent delivered",
        ],
    )
    .await;
    check(
        "doubt undelivered:30005",
        [LOST, "accepted undelivered", "undelivered", "undelivered"],
    )
    .await;
}

#[tokio::test]
async fn the_apps_row_has_the_text_that_was_sent() {
    let world = World::new().await;
    world.record(unknown()).await;
    // As the record of a rendered template leaves it.
    let ledger = "update punctual.attempts set body = 'Dear Ada'";
    world.app.execute(ledger, &[]).await.unwrap();
    world.call("sent", "").await;
    assert_eq!(world.text("select body from messages").await, "Dear Ada");
}

#[tokio::test]
async fn out_of_order_and_twice() {
    check(
        "own delivered sent queued delivered",
        [
            "delivered t",
            "accepted delivered",
            "delivered",
            "delivered",
        ],
    )
    .await;
    check(
        "own delivered read delivered",
        [
            "delivered t",
            "accepted delivered",
            "delivered",
            "delivered",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_failure_that_comes_after_arrival_is_kept_once() {
    check(
        "own delivered failed:30008 failed:30008",
        [
            "delivered t",
            "accepted delivered",
            "delivered",
            "delivered !failed",
        ],
    )
    .await;
    check(
        "delivered undelivered:30003 own",
        [
            "delivered t",
            "accepted delivered",
            "delivered",
            "delivered !undelivered",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_not_known_changes_nothing() {
    let world = World::new().await;
    world.accepted().await;
    let before = world.standing().await;
    let (message, token) = (world.claim.id, world.claim.token);
    let other = Uuid::from_u128(9);
    for query in [
        format!("?message={message}&token={other}"),
        format!("?message={other}&token={token}"),
        format!("?message={other}&token={other}"),
    ] {
        let parameters = report(SID, "delivered", "");
        assert_eq!(world.post(&query, &parameters).await, 204, "{query}");
    }
    let unheard_of = report(OTHER_SID, "delivered", "");
    assert_eq!(world.post("", &unheard_of).await, 204);
    let unheard_of = report(SID, "teleported", "");
    assert_eq!(world.post(&world.ids(), &unheard_of).await, 204);
    assert_eq!(world.standing().await, before);

    // Without our ids the sid shows which it is.
    assert_eq!(world.post("", &report(SID, "delivered", "")).await, 204);
    assert_eq!(world.standing().await[0], "delivered t");
}

/// After a restore the ledger has neither claim nor token: the proof enters it again, and callbacks
/// find it, by the ids they carry or, where the proof was the provider's list, by the sid.
#[tokio::test]
async fn what_the_ledger_had_lost_is_found_by_callbacks_once_it_is_proven() {
    for listed in [false, true] {
        let mut world = World::new().await;
        let lost = "delete from punctual.attempts;
                    set punctual.writer = 'on';
                    update scheduled_messages set status = 'pending'";
        world.app.batch_execute(lost).await.unwrap();
        let query = world.ids();
        let delivered = report(SID, "delivered", "");
        assert_eq!(world.post(&query, &delivered).await, 204);
        let status = "select status from scheduled_messages";
        assert_eq!(world.text(status).await, "pending", "nobody's yet");
        if listed {
            world.claim.token = punctual::message::AttemptToken::fresh();
        }
        world.accepted().await;
        assert_eq!(world.post(&query, &delivered).await, 204);
        let [row, attempt, messages, _] = world.standing().await;
        assert_eq!(
            [&*row, &*attempt, &*messages],
            ["delivered t", "accepted delivered", "delivered"],
            "{listed}"
        );
    }
}

#[tokio::test]
async fn a_second_text_by_one_attempt_is_kept_as_a_contradiction() {
    let world = World::new().await;
    world.accepted().await;
    let second = report(OTHER_SID, "delivered", "");
    assert_eq!(world.post(&world.ids(), &second).await, 204);
    let [row, attempt, messages, receipts] = world.standing().await;
    assert_eq!(
        [&*row, &*attempt, &*messages],
        ["sent t", "accepted", "sent"]
    );
    assert_eq!(receipts, "!delivered");
}

#[tokio::test]
async fn a_deleted_row_still_has_its_attempt_updated() {
    let world = World::new().await;
    world.accepted().await;
    let delete = "delete from scheduled_messages";
    world.app.batch_execute(delete).await.unwrap();
    world.call("delivered", "").await;
    let attempt = "select concat_ws(' ', outcome, receipt_status) from punctual.attempts";
    assert_eq!(world.text(attempt).await, "accepted delivered");
    assert_eq!(world.text("select status from messages").await, "delivered");
}

const REFUSE: &str = "create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'not today'; end $$;
    create trigger refuse before insert or update on messages
    for each row execute function refuse()";

async fn retry_the_outbox(world: &World) {
    let now = "drop trigger refuse on messages;
               update punctual.outbox set next_attempt_at = clock_timestamp()";
    world.app.batch_execute(now).await.unwrap();
    while let Some(went) = world.store.outbox_next().await.unwrap() {
        assert!(went);
    }
}

#[tokio::test]
async fn the_apps_refusal_loses_no_receipt() {
    let world = World::new().await;
    world.accepted().await;
    world.app.batch_execute(REFUSE).await.unwrap();
    world.call("delivered", "").await;
    let [row, _, messages, _] = world.standing().await;
    assert_eq!([&*row, &*messages], ["delivered t", "sent"]);
    retry_the_outbox(&world).await;
    assert_eq!(world.standing().await[2], "delivered");
}

#[tokio::test]
async fn a_row_of_messages_that_comes_late_comes_right() {
    let world = World::new().await;
    world.app.batch_execute(REFUSE).await.unwrap();
    world.accepted().await;
    assert_eq!(world.standing().await[2], "");
    world.call("delivered", "").await;
    retry_the_outbox(&world).await;
    assert_eq!(world.standing().await[2], "delivered");
}

#[tokio::test]
async fn who_holds_the_row_is_waited_for_by_asking_again() {
    let world = World::new().await;
    world.accepted().await;
    let mut other = world.db.client().await;
    let holder = other.transaction().await.unwrap();
    let hold = "select from scheduled_messages for update";
    holder.query(hold, &[]).await.unwrap();
    let parameters = report(SID, "delivered", "");
    assert_eq!(world.post(&world.ids(), &parameters).await, 503);
    holder.rollback().await.unwrap();
    world.call("delivered", "").await;
    assert_eq!(world.standing().await[0], "delivered t");
}

#[tokio::test]
async fn a_flood_of_repeats_leaves_connections_for_others() {
    let world = World::new().await;
    let parameters = report(SID, "delivered", "");
    let query = world.ids();
    let flood = (0..40).map(|_| world.post(&query, &parameters));
    let ids = [world.claim.id];
    let (answers, read) = tokio::join!(
        futures_util::future::join_all(flood),
        world.store.read(&ids)
    );
    assert!(read.is_ok());
    assert!(answers.iter().all(|status| *status == 204), "{answers:?}");
    let [row, _, messages, receipts] = world.standing().await;
    assert_eq!(
        [&*row, &*messages, &*receipts],
        ["delivered t", "delivered", "delivered"]
    );
    let delivered_at: Option<chrono::DateTime<chrono::Utc>> = world
        .app
        .query_one("select delivered_at from scheduled_messages", &[])
        .await
        .unwrap()
        .get(0);
    assert!(Moment::from(delivered_at.unwrap()) >= world.claim.due);
}
