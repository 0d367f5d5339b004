//! A daemon with small limits: what takes tens of thousands of messages with its own ones, a few dozen do here. The
//! limits are drawn from a seed; `PUNCTUAL_SMALL_SEED=7 cargo test --test daemon small::` runs a day with others.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, ready};
use punctual::daemon::{Parts, RunError, SumUp};
use punctual::http::{Endpoint, Tokens};
use punctual::limits::Limits;
use punctual::limits::daemon::{
    ChoreLimits, HeartbeatLimits, LookUpLimits, LoopLimits, ReceiptLimits,
};
use punctual::limits::{ClaimLimits, DaemonLimits, EventLimits, IntakeLimits, RecordLimits};
use punctual::message::{Capabilities, Category, Outcome, ProviderSid, Retry};
use punctual::policy::{Cleared, Rules};
use punctual::provider::{Fetched, Listed, Provider, Providers, Query};
use punctual::reactor::Settings;
use punctual::schedule::LeadSetting;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::daemon::until;
use crate::dice::Dice;
use crate::harness::TestDb;
use crate::world::{FROM, heartbeats};

const SECOND: Duration = Duration::from_secs(1);

/// Each limit is one to five.
fn small(seed: u64) -> Limits {
    let mut dice = Dice::new(seed, "small");
    let mut few = || 1 + dice.below(5);
    let own = Limits::default();
    let every = SECOND / 5;
    let step = |few: usize| u32::try_from(few).unwrap();
    let at_once = few();
    Limits {
        intake: IntakeLimits {
            notified_max: few(),
            read_batch: few(),
            stretch: few(),
            ..own.intake
        },
        claims: ClaimLimits {
            batch: few(),
            at_once: few(),
            ahead_max: few(),
            ahead_urgent: few(),
            herd: few(),
            ..own.claims
        },
        records: RecordLimits {
            batch: few(),
            unrecorded_max: few(),
            ..own.records
        },
        events: EventLimits {
            agenda_max: few(),
            max: few(),
        },
        daemon: DaemonLimits {
            event_loop: LoopLimits {
                inputs: few(),
                questions: few(),
                inputs_per_turn: few(),
                ..own.daemon.event_loop
            },
            heartbeat: HeartbeatLimits {
                every,
                silence: 2 * SECOND,
                ..own.daemon.heartbeat
            },
            chores: ChoreLimits {
                every,
                expired: step(few()),
                reaped: step(few()),
                times_ahead: step(few()),
                followed: step(few()),
                outbox: step(few()),
                ..own.daemon.chores
            },
            receipts: ReceiptLimits {
                group: few(),
                ..own.daemon.receipts
            },
            look_ups: LookUpLimits {
                pause: every,
                round: few(),
                at_once,
                at_once_max: at_once.max(few()),
                ..own.daemon.look_ups
            },
            ..own.daemon
        },
        ..own
    }
}

/// Takes texts, but for recipients who have opted out; and knows nothing of them afterwards.
#[derive(Default)]
struct Forgetful {
    /// Requests by their text.
    requests: Mutex<BTreeMap<String, usize>>,
}

impl Provider for Forgetful {
    fn send<'a>(&'a self, message: &'a Cleared, _: Duration) -> BoxFuture<'a, Outcome> {
        let body = message.body().to_owned();
        let has_opted_out = body.starts_with("out");
        *self.requests.lock().unwrap().entry(body).or_default() += 1;
        let outcome = if has_opted_out {
            Outcome::Refused {
                code: Some(21_610),
                category: Category::OptedOut,
                text: "no".into(),
                retry: Retry::No,
            }
        } else {
            let sid = ProviderSid(format!("SM{}", message.token().0.simple()));
            Outcome::Accepted { sid }
        };
        ready(outcome).boxed()
    }

    fn prewarm(&self, _: usize) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            look_up: true,
            ..Capabilities::SENDS_ONLY
        }
    }

    fn fetch<'a>(&'a self, _: &'a ProviderSid) -> BoxFuture<'a, Fetched> {
        ready(Fetched::Absent).boxed()
    }

    fn list<'a>(&'a self, _: &'a Query) -> BoxFuture<'a, Listed> {
        let (messages, whole) = (Vec::new(), true);
        ready(Listed::Shown { messages, whole }).boxed()
    }
}

/// The log as a person reads it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self, words: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
        let lines = text.lines().filter(|line| line.contains(words));
        lines.map(str::to_owned).collect()
    }
}

struct Small {
    db: TestDb,
    app: Client,
    provider: Arc<Forgetful>,
    at: std::net::SocketAddr,
    token: String,
    stop: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

impl Small {
    async fn start(limits: Limits) -> Self {
        let db = TestDb::new().await;
        let app = db.client().await;
        let provider = Arc::new(Forgetful::default());
        let tcp = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (at, tokens) = (tcp.local_addr().unwrap(), Tokens::fresh());
        let token = tokens.debug().expose_secret().to_owned();
        let parts = Parts {
            dsn: db.dsn().clone(),
            providers: Providers::texts(Arc::clone(&provider) as Arc<dyn Provider>),
            rules: Rules {
                default_sender: FROM.parse().ok(),
                ..Rules::default()
            },
            settings: Settings {
                horizon: 3_600 * SECOND,
                lead: LeadSetting::Auto,
                max_in_flight: 4,
                lease: 30 * SECOND,
                send_timeout: 5 * SECOND,
                limits: Arc::new(limits),
            },
            http: Endpoint {
                tcp,
                socket: None,
                tokens,
            },
            callbacks: None,
            state_dir: None,
            sources: Vec::new(),
            app_tables: None,
            writer: None,
            planning: None,
            accept_restore: false,
            accept_clock: false,
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(punctual::daemon::run(parts, stop.clone()));
        Self {
            db,
            app,
            provider,
            at,
            token,
            stop,
            running,
        }
    }

    async fn run(&self, sql: &str) {
        self.app.batch_execute(sql).await.unwrap();
    }

    /// Messages with these texts, due then, each to a number of its own. What is to come later goes to those who opt
    /// out.
    async fn insert(&self, text: &str, many: usize, due: &str, columns: (&str, &str)) {
        let (names, values) = columns;
        let first = if matches!(text, "out" | "later") {
            2_000
        } else {
            1_000
        };
        self.run(&format!(
            "insert into scheduled_messages (to_number, body, scheduled_at {names})
             select '+1310555' || ({first} + i), '{text} ' || i, {due} {values} from generate_series(1, {many}) i"
        ))
        .await;
    }

    /// How many messages whose texts begin so have this status.
    async fn count(&self, text: &str, status: &str) -> i64 {
        let sql =
            "select count(*) from scheduled_messages where body like $1 || ' %' and status = $2";
        let row = self.app.query_one(sql, &[&text, &status]).await;
        row.unwrap().get(0)
    }

    async fn become_all(&self, text: &str, status: &str, many: i64) {
        until(&format!("{many} {text} become {status}"), async || {
            (self.count(text, status).await == many).then_some(())
        })
        .await;
    }

    /// A metric without labels; `None`: there is none yet.
    async fn metric(&self, name: &str) -> Option<f64> {
        let mut stream = TcpStream::connect(self.at).await.ok()?;
        let (host, token) = (self.at, &self.token);
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.ok()?;
        let value = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
        text.lines().find_map(value)
    }

    async fn armed(&self, many: usize) {
        let many = f64::from(u32::try_from(many).unwrap());
        until(&format!("{many} are armed"), async || {
            (self.metric("punctual_armed_timers").await == Some(many)).then_some(())
        })
        .await;
    }

    async fn sweeps(&self) -> f64 {
        until("the metrics", async || {
            self.metric("punctual_resyncs_total").await
        })
        .await
    }
}

#[tokio::test]
async fn a_small_day_reaches_every_limit_and_nothing_is_lost_or_repeated() {
    let log = Log::default();
    let to = log.clone();
    let lines = fmt::layer()
        .with_writer(move || to.clone())
        .with_ansi(false)
        .with_filter(LevelFilter::WARN.and(SumUp));
    let subscriber = tracing_subscriber::registry().with(lines);
    let _logging = tracing::subscriber::set_default(subscriber);
    let seed = std::env::var("PUNCTUAL_SMALL_SEED").map_or(0, |seed| seed.parse().unwrap());
    let limits = small(seed);
    println!("seed {seed}: {limits:?}");
    let day = Small::start(limits).await;

    // Three times what can be noted, or more: armed, cancelled, moved.
    day.insert("far", 15, "now() + interval '30 minutes'", ("", ""))
        .await;
    day.armed(15).await;
    let sweeps = day.sweeps().await;
    day.run("update scheduled_messages set status = 'cancelled' where body like 'far%'")
        .await;
    day.armed(0).await;
    day.insert("moved", 15, "now() + interval '30 minutes'", ("", ""))
        .await;
    day.armed(15).await;
    day.run("update scheduled_messages set scheduled_at = clock_timestamp() + interval '300 ms'")
        .await;
    day.become_all("moved", "sent", 15).await;

    // Four claims full at one moment, or more, something urgent beside it, and recipients who have opted out.
    let due = "clock_timestamp() + interval '1 second'";
    day.insert("out", 14, due, ("", "")).await;
    day.insert("herd", 12, due, ("", "")).await;
    day.insert("urgent", 1, due, (", priority", ", 'urgent'"))
        .await;
    day.insert("later", 4, "now() + interval '20 minutes'", ("", ""))
        .await;
    day.become_all("herd", "sent", 12).await;
    day.become_all("urgent", "sent", 1).await;
    day.become_all("out", "failed", 14).await;
    day.become_all("later", "cancelled", 4).await;

    // More than one step: what is too late, and claims of an instance that is dead.
    day.insert("late", 7, "now() - interval '3 hours'", ("", ""))
        .await;
    day.become_all("late", "cancelled", 7).await;
    day.run(
        "set session_replication_role = replica;
         insert into scheduled_messages (to_number, body, scheduled_at, status, attempts)
         select '+13105551234', 'dead ' || i, now() - interval '1 minute', 'sending', 1 from generate_series(1, 5) i;
         insert into punctual.attempts (token, message_id, number, instance, claimed_at, lease_until)
         select gen_random_uuid(), m.id, 1, gen_random_uuid(), now() - interval '1 minute', now() - interval '30 s'
           from scheduled_messages m where m.body like 'dead%';
         reset session_replication_role",
    )
    .await;
    day.become_all("dead", "unconfirmed", 5).await;

    // A provider that knows no sid.
    day.run("update punctual.attempts set next_lookup_at = clock_timestamp() where outcome = 'accepted'")
        .await;
    let looked_up =
        "select count(*) from punctual.attempts where outcome = 'accepted' and lookups > 0";
    until("all are looked up", async || {
        let row = day.app.query_one(looked_up, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 28).then_some(())
    })
    .await;

    // Each of these eleven changes may cause a sweep, and nothing else does.
    let after = day.sweeps().await;
    assert!(after - sweeps <= 11.0, "{} sweeps", after - sweeps);
    heartbeats(&day.app, 10).await;
    assert!(day.sweeps().await <= after + 1.0);
    day.stop.cancel();
    day.running.await.unwrap().unwrap();

    let requests = day.provider.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 15 + 14 + 12 + 1, "{requests:?}");
    assert!(requests.values().all(|n| *n == 1), "{requests:?}");
    // Lines by cause, and not by message.
    for (words, most) in [("opted_out", 11), ("does not know this sid", 3), ("", 24)] {
        let lines = log.lines(words);
        assert!((1..=most).contains(&lines.len()), "{words}: {lines:#?}");
    }
    drop(day.db);
}
