//! The contract of every provider, as the built daemon keeps it: never early, never a blind second time, and never
//! called unsent what was sent. What follows an uncertain outcome comes from what the provider can do, so what is
//! expected here is worked out from its capabilities. `docs/providers.md` has the table.

use std::time::Duration;

use punctual::message::{Capabilities, Channel, LaneKey};
use punctual::provider::console::Console;
use punctual::provider::{in_app, modem, smtp, twilio as client, webhook, webpush};
use rustix::process::Signal;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::gsm::Gsm;
use crate::harness::TestDb;
use crate::mail::Mail;
use crate::push_service::{AUTH, P256DH, PushService};
use crate::table::Table;
use crate::twilio::{Fault, Habits, Text, Twilio, When};
use crate::world::{ACCOUNT, AUTH_TOKEN, TO, environment, heartbeats, url};

const MS: Duration = Duration::from_millis(1);

/// Those with a peer.
const PROVIDERS: [(&str, Capabilities); 6] = [
    ("twilio", client::CAPABILITIES),
    ("webhook", webhook::CAPABILITIES),
    ("modem", modem::CAPABILITIES),
    ("smtp", smtp::CAPABILITIES),
    ("webpush", webpush::CAPABILITIES),
    ("in_app", in_app::CAPABILITIES),
];

/// What a provider talks to.
pub(crate) enum Peer {
    Http(Twilio),
    Modem(Gsm),
    Mail(Mail),
    Table(Table),
    Push(PushService),
}

impl Peer {
    pub(crate) fn with_text(&self, text: &str, faults: [Fault; 2]) {
        match self {
            Self::Http(peer) => peer.with_text(text, faults),
            Self::Modem(peer) => peer.with_text(text, faults),
            Self::Mail(peer) => peer.with_text(text, faults),
            Self::Table(peer) => peer.with_text(text, faults),
            Self::Push(peer) => peer.with_text(text, faults),
        }
    }

    pub(crate) fn text(&self, text: &str) -> Text {
        match self {
            Self::Http(peer) => peer.book().text(text),
            Self::Modem(peer) => peer.text(text),
            Self::Mail(peer) => peer.text(text),
            Self::Table(peer) => peer.asked(text),
            Self::Push(peer) => peer.text(text),
        }
    }

    /// The same, with what is in the table.
    async fn known(&self, text: &str) -> Text {
        match self {
            Self::Table(peer) => peer.text(text).await,
            _ => self.text(text),
        }
    }

    pub(crate) async fn hang_up(&mut self) {
        match self {
            Self::Http(peer) => peer.hang_up().await,
            Self::Modem(peer) => peer.hang_up().await,
            Self::Mail(peer) => peer.hang_up().await,
            Self::Table(peer) => peer.hang_up().await,
            Self::Push(peer) => peer.hang_up().await,
        }
    }

    pub(crate) async fn pick_up(&mut self) {
        match self {
            Self::Http(peer) => peer.pick_up().await,
            Self::Modem(peer) => peer.pick_up().await,
            Self::Mail(peer) => peer.pick_up().await,
            Self::Table(peer) => peer.pick_up(),
            Self::Push(peer) => peer.pick_up().await,
        }
    }
}

/// One provider with what it talks to.
pub(crate) struct Subject {
    can: Capabilities,
    pub(crate) channel: Channel,
    pub(crate) to: String,
    pub(crate) app: Client,
    pub(crate) peer: Peer,
    env: Vec<(String, String)>,
    _db: TestDb,
    _state: tempfile::TempDir,
}

impl Subject {
    pub(crate) async fn new(name: &'static str) -> Self {
        let server = Twilio::start(ACCOUNT, AUTH_TOKEN, Habits::default()).await;
        let gsm = Gsm::tcp().await;
        let mail = Mail::start().await;
        let (can, channel, to) = match name {
            "twilio" => (client::CAPABILITIES, Channel::Sms, TO.to_owned()),
            "webhook" => (
                webhook::CAPABILITIES,
                Channel::Webhook,
                format!("{}/jobs", server.url()),
            ),
            "modem" => (modem::CAPABILITIES, Channel::Sms, TO.to_owned()),
            "smtp" => (
                smtp::CAPABILITIES,
                Channel::Email,
                "ada@example.com".to_owned(),
            ),
            // Each message has an endpoint of its own, because its text is encrypted.
            "webpush" => (webpush::CAPABILITIES, Channel::Push, String::new()),
            "in_app" => (
                in_app::CAPABILITIES,
                Channel::InApp,
                Uuid::new_v4().to_string(),
            ),
            _ => {
                let can = Console::on(std::io::sink()).capabilities(&LaneKey::default());
                (can, Channel::Sms, TO.to_owned())
            }
        };
        let db = TestDb::new().await;
        let app = db.client().await;
        let state = tempfile::tempdir().unwrap();
        let table = Table::of(&db).await;
        let push = PushService::start().await;
        let mut env = environment(&url(&app).await, &server.url());
        if name == "in_app" {
            let url = table.on_the_way(&url(&app).await);
            set(&mut env, "DATABASE_URL", &url);
        }
        if name == "webpush" {
            for (name, value) in push.settings() {
                set(&mut env, name, &value);
            }
        }
        for (name, value) in [
            ("PUNCTUAL_PROVIDER", name),
            ("PUNCTUAL_MODEM", &*gsm.port()),
            ("PUNCTUAL_SMTP", &*mail.url()),
            ("PUNCTUAL_SMTP_FROM", "bot@example.com"),
            (
                "PUNCTUAL_WEBHOOK_SECRET",
                "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IQ==",
            ),
            ("PUNCTUAL_WEBHOOK_ALLOW", "127.0.0.1, localhost"),
            ("PUNCTUAL_SEND_TIMEOUT", "1s"),
            ("PUNCTUAL_LEASE", "2050ms"),
            ("PUNCTUAL_STATE_DIR", state.path().to_str().unwrap()),
        ] {
            set(&mut env, name, value);
        }
        let peer = match name {
            "modem" => Peer::Modem(gsm),
            "smtp" => Peer::Mail(mail),
            "in_app" => Peer::Table(table),
            "webpush" => Peer::Push(push),
            _ => Peer::Http(server),
        };
        Self {
            can,
            channel,
            to,
            app,
            peer,
            env,
            _db: db,
            _state: state,
        }
    }

    pub(crate) fn with(&mut self, name: &str, value: &str) {
        set(&mut self.env, name, value);
    }

    pub(crate) async fn daemon(&self) -> Daemon {
        let mut daemon = Daemon::start(&self.env);
        daemon.ready().await;
        daemon
    }

    /// Schedules one that meets this fault, and then none.
    pub(crate) async fn insert(&self, text: &str, fault: Fault) -> Uuid {
        self.peer.with_text(text, [fault, Fault::None]);
        let sql = "insert into scheduled_messages (channel, to_number, body, scheduled_at)
                   values ($1, $2, $3, clock_timestamp() + interval '300 ms') returning id";
        let channel = self.channel.as_str();
        let to = match &self.peer {
            Peer::Push(service) => self.subscribed(&service.endpoint(text)).await,
            _ => self.to.clone(),
        };
        let row = self.app.query_one(sql, &[&channel, &to, &text]).await;
        row.unwrap().get(0)
    }

    async fn subscribed(&self, endpoint: &str) -> String {
        let sql = "insert into punctual_api.push_subscriptions (user_id, endpoint, p256dh, auth)
                   values (gen_random_uuid(), $1, $2, $3)";
        let made = self.app.execute(sql, &[&endpoint, &P256DH, &AUTH]).await;
        assert_eq!(made.unwrap(), 1);
        endpoint.to_owned()
    }

    /// Its status, and how many look-ups of it had a response.
    pub(crate) async fn standing(&self, id: Uuid) -> (String, i32) {
        let sql = "select m.status, coalesce(sum(a.lookups), 0)::int
                     from scheduled_messages m left join punctual.attempts a on a.message_id = m.id
                    where m.id = $1 group by m.id";
        let row = self.app.query_one(sql, &[&id]).await.unwrap();
        (row.get(0), row.get(1))
    }

    /// Checks what must hold whatever happened, and returns what the peer has of it.
    pub(crate) async fn judged(&self, id: Uuid, text: &str, case: &str) -> Text {
        let sql = "select (extract(epoch from scheduled_at) * 1000000)::bigint from scheduled_messages where id = $1";
        let due: i64 = self.app.query_one(sql, &[&id]).await.unwrap().get(0);
        let due = Duration::from_micros(due.unsigned_abs());
        let known = self.peer.known(text).await;
        // The clocks are read one after the other.
        let early = known.asked.iter().any(|at| *at + MS / 5 < due);
        assert!(!early, "{case}: early");
        assert!(known.sids.len() <= 1, "{case}: {:?}", known.sids);
        let (status, _) = self.standing(id).await;
        let unsent = ["failed", "cancelled"].contains(&&*status);
        assert!(
            known.sids.is_empty() || !unsent,
            "{case}: called unsent, and it was sent"
        );
        known
    }
}

/// What an outcome is, whatever the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Accepted,
    Refused,
    Throttled,
    Uncertain(When),
    /// The response comes after the time-out.
    Late,
}

/// The end of a message: its status, and how often the peer was asked.
fn expected(kind: Kind, can: &Capabilities) -> (&'static str, usize) {
    match kind {
        Kind::Accepted => ("sent", 1),
        Kind::Refused => ("failed", 1),
        Kind::Throttled => ("sent", 2),
        // It has it by our id.
        Kind::Uncertain(When::After) | Kind::Late if can.knows_ids => ("sent", 1),
        // The same id again.
        Kind::Uncertain(_) | Kind::Late if can.idempotent => ("sent", 2),
        // Its list proves it.
        Kind::Uncertain(When::After) | Kind::Late if can.look_up => ("sent", 1),
        // It hears the response all the same.
        Kind::Late if can.receipts => ("sent", 1),
        Kind::Uncertain(_) | Kind::Late => ("unconfirmed", 1),
    }
}

pub(crate) fn faults() -> Vec<(Fault, Kind)> {
    use Kind::{Accepted, Late, Refused, Throttled, Uncertain};
    use When::{After, Before};
    vec![
        (Fault::None, Accepted),
        (Fault::Slow(300 * MS), Accepted),
        (Fault::Refuse(21211), Refused),
        (Fault::Busy(Some(1)), Throttled),
        (Fault::Silence(Before), Uncertain(Before)),
        (Fault::Silence(After), Uncertain(After)),
        (Fault::Garbage(Before), Uncertain(Before)),
        (Fault::Garbage(After), Uncertain(After)),
        (Fault::Drip(200 * MS), Late),
        (Fault::Reset(Before), Uncertain(Before)),
        (Fault::Reset(After), Uncertain(After)),
        (Fault::Cut, Uncertain(After)),
    ]
}

/// What the peer does, for people.
fn words(fault: Fault) -> String {
    let when = |when: When| match when {
        When::Before => "it was not taken in",
        When::After => "it was taken in",
    };
    match fault {
        Fault::None => "accepted".into(),
        Fault::Slow(after) => format!("accepted, after {after:?}"),
        Fault::Refuse(_) => "refused for good".into(),
        Fault::Busy(_) => "too many requests, once".into(),
        Fault::Silence(at) => format!("no response in time; {}", when(at)),
        Fault::Garbage(at) => format!("a response that means nothing; {}", when(at)),
        Fault::Drip(_) => "a response that drips beyond the deadline".into(),
        Fault::Reset(at) => format!("the connection is reset; {}", when(at)),
        Fault::Cut => "the response breaks off".into(),
        Fault::Error(..) => "an error of the peer".into(),
    }
}

/// What each provider's message ends as, by what its peer does: the table of `docs/providers.md`.
fn table() -> String {
    let killed = |when| {
        let words =
            words(Fault::Silence(when)).replace("no response in time", "the daemon is killed");
        (words, Kind::Uncertain(when))
    };
    let mut rows: Vec<(String, Kind)> = faults()
        .into_iter()
        .map(|(fault, kind)| (words(fault), kind))
        .collect();
    rows.push(("nobody is there, and later somebody".into(), Kind::Accepted));
    rows.extend([killed(When::Before), killed(When::After)]);
    let names = PROVIDERS.map(|(name, _)| format!(" `{name}` |")).concat();
    let head = format!("| the peer, or what happens |{names}");
    let line = format!("|---|{}", "---|".repeat(PROVIDERS.len()));
    let rows = rows.into_iter().map(|(what, kind)| {
        let cells = PROVIDERS.map(|(_, can)| {
            let (status, asked) = expected(kind, &can);
            let requests = if asked == 1 { "" } else { ", two requests" };
            format!(" `{status}`{requests} |")
        });
        format!("| {what} |{}", cells.concat())
    });
    let lines: Vec<String> = [head, line].into_iter().chain(rows).collect();
    lines.join("\n")
}

#[test]
fn the_docs_have_the_table_that_the_contract_is_tested_by() {
    let (docs, table) = (include_str!("../../docs/providers.md"), table());
    assert!(docs.contains(&table), "docs/providers.md lacks:\n{table}");
}

/// Waits until it has ended as expected; what is to stay unconfirmed, until a look-up has changed nothing.
async fn ends(subject: &Subject, id: Uuid, text: &str, kind: Kind, case: &str) {
    let (status, asked) = expected(kind, &subject.can);
    until(&format!("{case}: {status}"), async || {
        let (now, look_ups) = subject.standing(id).await;
        let is_final = status != "unconfirmed" || look_ups > 0 || !subject.can.look_up;
        // A list shows how far it has come, too.
        let is_it = now == status || (status, &*now) == ("sent", "delivered");
        (is_it && is_final).then_some(())
    })
    .await;
    let known = subject.judged(id, text, case).await;
    assert_eq!(known.asked.len(), asked, "{case}");
    let took_it_in = !matches!(kind, Kind::Refused | Kind::Uncertain(When::Before));
    let has_it = took_it_in || status == "sent";
    assert_eq!(known.sids.len(), usize::from(has_it), "{case}");
}

async fn all_end(subject: &Subject, messages: &mut Vec<(Uuid, String, Kind)>, name: &str) {
    for (id, text, kind) in messages.drain(..) {
        ends(subject, id, &text, kind, &format!("{name}, {text}")).await;
    }
}

async fn over_the_network(name: &'static str) {
    let mut subject = Subject::new(name).await;
    let daemon = subject.daemon().await;
    let mut messages = Vec::new();
    for (fault, kind) in faults() {
        let text = format!("{fault:?}");
        let id = subject.insert(&text, fault).await;
        messages.push((id, text, kind));
        // Of one that sends one at a time the next waits for what this one meets; and of those that are put into a
        // table together each would meet it.
        if subject.can.max_in_flight == 1 || subject.channel == Channel::InApp {
            all_end(&subject, &mut messages, name).await;
        }
    }
    all_end(&subject, &mut messages, name).await;

    // Nobody is there: nothing was sent, and it is tried again.
    subject.peer.hang_up().await;
    let id = subject.insert("nobody is there", Fault::None).await;
    until("it was not sent", async || {
        let sql = "select from punctual.attempts where message_id = $1 and outcome = 'unsent'";
        let found = subject.app.query(sql, &[&id]).await.unwrap();
        (!found.is_empty()).then_some(())
    })
    .await;
    subject.peer.pick_up().await;
    let case = format!("{name}, nobody was there");
    ends(&subject, id, "nobody is there", Kind::Accepted, &case).await;

    // Killed, once the peer has it and once while it does not.
    let mut running = daemon;
    for when in [When::Before, When::After] {
        let text = format!("killed {when:?}");
        let id = subject.insert(&text, Fault::Silence(when)).await;
        until("it is asked", async || {
            (subject.peer.known(&text).await.asked.len() == 1).then_some(())
        })
        .await;
        running.signal(Signal::KILL);
        running.ended().await;
        running = subject.daemon().await;
        let case = format!("{name}, {text}");
        ends(&subject, id, &text, Kind::Uncertain(when), &case).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn texts_keep_the_contract() {
    over_the_network("twilio").await;
}

#[tokio::test]
async fn a_modem_keeps_the_contract() {
    over_the_network("modem").await;
}

#[tokio::test]
async fn emails_keep_the_contract() {
    over_the_network("smtp").await;
}

#[tokio::test]
async fn messages_in_the_app_keep_the_contract() {
    over_the_network("in_app").await;
}

#[tokio::test]
async fn push_messages_keep_the_contract() {
    over_the_network("webpush").await;
}

#[tokio::test]
async fn webhooks_keep_the_contract() {
    over_the_network("webhook").await;
}

/// It has no peer: what can go wrong is that its process is killed, before the line or after it.
#[tokio::test]
async fn the_console_keeps_the_contract() {
    let subject = Subject::new("console").await;
    assert!(!subject.can.idempotent && !subject.can.look_up);
    let mut daemon = subject.daemon().await;
    let id = subject.insert("said once", Fault::None).await;
    daemon.says("said once").await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    let before = daemon.said();
    let daemon = subject.daemon().await;
    let status = until("it has ended", async || {
        let (status, _) = subject.standing(id).await;
        ["sent", "unconfirmed"]
            .contains(&&*status)
            .then_some(status)
    })
    .await;
    heartbeats(&subject.app, 1).await;
    assert_eq!(subject.standing(id).await.0, status);
    let said = before + &daemon.stop().await;
    assert_eq!(said.matches(&format!("{TO}: said once")).count(), 1);
}

/// Of a thousand at one instant a fifth of the answers are lost.
#[tokio::test]
async fn a_thousand_webhooks_with_lost_answers_arrive_with_one_id_each() {
    const MANY: i32 = 1_000;
    let subject = Subject::new("webhook").await;
    let Peer::Http(peer) = &subject.peer else {
        panic!("webhooks have endpoints")
    };
    peer.habits(Habits {
        seed: 7,
        faults: vec![(200, Fault::Reset(When::After))],
        ..Habits::default()
    });
    let daemon = subject.daemon().await;
    let sql = "insert into scheduled_messages (channel, to_number, body, scheduled_at)
               select 'webhook', $1, 'job ' || n, date_trunc('second', clock_timestamp()) + interval '2 s'
                 from generate_series(1, $2::int) n";
    subject
        .app
        .execute(sql, &[&subject.to, &MANY])
        .await
        .unwrap();
    // Three attempts, and five seconds between two.
    until("all have ended", async || {
        let sql = "select count(*) from scheduled_messages m
                    where status = 'sent'
                       or status = 'unconfirmed' and attempts = 3
                          and not exists (select from punctual.attempts a
                                           where a.message_id = m.id and a.outcome is null)";
        let ended: i64 = subject.app.query_one(sql, &[]).await.unwrap().get(0);
        (ended == i64::from(MANY)).then_some(())
    })
    .await;
    let rows = subject
        .app
        .query("select id, body, status from scheduled_messages", &[]);
    let (mut sent, mut asked) = (0, 0);
    for row in rows.await.unwrap() {
        let (id, text): (Uuid, String) = (row.get(0), row.get(1));
        let known = subject.peer.known(&text).await;
        assert_eq!(known.sids, [id.to_string()], "{text}");
        sent += usize::from(row.get::<_, &str>(2) == "sent");
        asked += known.asked.len();
    }
    println!("figure: {sent} of {MANY} sent, the others unconfirmed; {asked} requests");
    assert!(asked > 1_100, "{asked}: too few answers were lost");
    daemon.stop().await;
}
