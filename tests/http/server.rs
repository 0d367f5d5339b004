//! A served router whose questions are answered by a script, and a client that sends bytes.

use std::sync::Arc;
use std::time::Duration;

use punctual::http::{Endpoint, HttpState, Question, RuntimeDir, Socket, Tokens, bind, serve};
use punctual::limits::HttpLimits;
use punctual::message::{InstanceId, MessageId, Moment};
use punctual::metrics::Metrics;
use punctual::reactor::report::{
    BreakerReport, ClockReport, DatabaseReport, DensityReport, JournalReport, LaneReport,
    LatenessReport, ListenerReport, LoadReport, Missing, Overview, PaceReport, PauseReport,
    Readiness, Remark, RestoreReport, SlowedReport, TimerKind, TimerReport, TimerState,
    TimersQuery, TimersReport, WheelLevel, WindowReport,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How the one in the reactor's place behaves.
#[derive(Clone)]
pub(crate) enum Reactor {
    /// Answers at once; what is missing for readiness is given.
    Answers(Vec<Missing>),
    /// Is ready, with these remarks.
    Remarks(Vec<Remark>),
    /// Takes questions and keeps them.
    Hangs,
    /// Is not there any more.
    Gone,
}

/// The token to look with.
pub(crate) const TOKEN: &str = "s3cret-of-the-tests";

/// The token to act with.
pub(crate) const OPERATOR_TOKEN: &str = "s3cret-of-the-operator";

pub(crate) struct Server {
    pub(crate) addr: std::net::SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    /// What the routes read.
    pub(crate) metrics: Arc<Metrics>,
    /// The queries that reached the reactor.
    pub(crate) asked: mpsc::UnboundedReceiver<TimersQuery>,
    /// Where its socket is.
    pub(crate) dir: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start(reactor: Reactor, limits: HttpLimits) -> Self {
        Self::start_with(reactor, limits, |state| state).await
    }

    /// The same with more among its routes.
    pub(crate) async fn start_with(
        reactor: Reactor,
        limits: HttpLimits,
        more: impl FnOnce(HttpState) -> HttpState,
    ) -> Self {
        let (questions, inbox) = mpsc::channel(1);
        let (asked_tx, asked) = mpsc::unbounded_channel();
        tokio::spawn(play(reactor, inbox, asked_tx));
        let loopback = "127.0.0.1:0".parse().unwrap();
        let listener = bind(loopback, "PUNCTUAL_HTTP_ADDR").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::default());
        let tokens = Tokens::new(TOKEN.into(), OPERATOR_TOKEN.into());
        let state = HttpState::new(questions, Arc::clone(&metrics), tokens.clone());
        let state = more(state.with_limits(limits));
        let dir = tempfile::TempDir::new().unwrap();
        let endpoint = Endpoint {
            tcp: listener,
            socket: Some(Socket::open(&RuntimeDir::State(dir.path().to_owned())).unwrap()),
            tokens,
        };
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve(endpoint, state, shutdown.clone()));
        Self {
            addr,
            shutdown,
            served,
            metrics,
            asked,
            dir,
        }
    }

    pub(crate) async fn ready() -> Self {
        Self::start(Reactor::Answers(vec![]), HttpLimits::default()).await
    }

    /// Sends one request with the token, and with these header lines next to `Connection: close`.
    pub(crate) async fn send(&self, request_line: &str, headers: &[&str]) -> Response {
        let token = format!("Authorization: Bearer {TOKEN}");
        let headers = [headers, &[token.as_str()]].concat();
        self.send_bare(request_line, &headers).await
    }

    /// The same without a token.
    pub(crate) async fn send_bare(&self, request_line: &str, headers: &[&str]) -> Response {
        let mut raw = format!("{request_line} HTTP/1.1\r\nConnection: close\r\n");
        for header in headers {
            raw += header;
            raw += "\r\n";
        }
        self.send_raw(&(raw + "\r\n")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(&format!("GET {path}"), &["Host: localhost"])
            .await
    }

    pub(crate) async fn send_raw(&self, raw: &str) -> Response {
        let mut stream = self.connect().await;
        stream.write_all(raw.as_bytes()).await.unwrap();
        Response::read(stream).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Sends by the socket in the file system.
    pub(crate) async fn send_by_socket(&self, request_line: &str, headers: &[&str]) -> Response {
        let path = self.dir.path().join("http.sock");
        let mut stream = UnixStream::connect(path).await.unwrap();
        let headers = headers.join("\r\n");
        let end = if headers.is_empty() { "" } else { "\r\n" };
        let raw = format!("{request_line} HTTP/1.1\r\nConnection: close\r\n{headers}{end}\r\n");
        stream.write_all(raw.as_bytes()).await.unwrap();
        Response::read(stream).await
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// Reads until the server closes.
    pub(crate) async fn read(mut stream: impl AsyncRead + Unpin) -> Self {
        let mut bytes = Vec::new();
        // A reset after an early refusal still leaves what came before it.
        let _ = stream.read_to_end(&mut bytes).await;
        let raw = String::from_utf8(bytes).unwrap();
        let (head, body) = raw.split_once("\r\n\r\n").unwrap_or((&raw, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }
}

async fn play(
    reactor: Reactor,
    mut inbox: mpsc::Receiver<Question>,
    asked: mpsc::UnboundedSender<TimersQuery>,
) {
    let (missing, remarks) = match reactor {
        Reactor::Answers(missing) => (missing, Vec::new()),
        Reactor::Remarks(remarks) => (Vec::new(), remarks),
        Reactor::Gone => return,
        Reactor::Hangs => {
            let mut kept = Vec::new();
            while let Some(question) = inbox.recv().await {
                if let Question::Timers { query, .. } = &question {
                    let _ = asked.send(*query);
                }
                kept.push(question);
            }
            return;
        }
    };
    while let Some(question) = inbox.recv().await {
        match question {
            Question::Timers { query, reply } => {
                let _ = asked.send(query);
                let _ = reply.send(report());
            }
            Question::Overview { timers, reply } => {
                let _ = reply.send(overview(timers));
            }
            Question::Ready { reply } => {
                let _ = reply.send(Readiness {
                    missing: missing.clone(),
                    held_before: None,
                    remarks: remarks.clone(),
                });
            }
        }
    }
}

pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// 2026-01-01T09:00:00Z and so many microseconds.
pub(crate) fn at(us: i64) -> Moment {
    Moment::from_micros(1_767_258_000_000_000 + us)
}

/// The example of the interface.
pub(crate) fn report() -> TimersReport {
    TimersReport {
        now: at(0),
        instance: InstanceId(id(7)),
        ready: true,
        clock: ClockReport {
            offset_us: Some(-120),
            uncertainty_us: Some(300),
        },
        listener: ListenerReport {
            connected: true,
            since: Some(at(-60_000_000)),
            last_notice_at: None,
            resyncs: 1,
        },
        window: WindowReport {
            until: Some(at(3_600_000_000)),
            armed: 2,
            waiting: Some(1_002),
            beyond: Some(140),
        },
        breaker: BreakerReport::default(),
        lanes: vec![LaneReport {
            account: "default".to_owned(),
            channel: "sms",
            lanes: 1,
            armed: 2,
            permits: 64,
            ..LaneReport::default()
        }],
        slowed: SlowedReport {
            senders: 1,
            ..SlowedReport::default()
        },
        pauses: vec![PauseReport {
            scope: "lane",
            what: Some("sms".to_owned()),
            until: Moment::MAX,
        }],
        paces: vec![PaceReport {
            scope: "campaign".to_owned(),
            what: "00000000-0000-0000-0000-00000000000c".to_owned(),
            next_at: at(240_000_000),
            channel: "sms",
            refused: true,
        }],
        restore: RestoreReport::default(),
        journal: Some(JournalReport {
            path: "/var/lib/punctual/journal/0-app/0".to_owned(),
            writable: true,
            reason: None,
        }),
        lead_us: 4200,
        lateness_us: LatenessReport {
            count: 10,
            p50: 310,
            p99: 900,
            max: 1200,
        },
        wheel: vec![WheelLevel {
            level: 0,
            slot_us: 1000,
            occupied: 1,
        }],
        timers: vec![TimerReport {
            id: MessageId(id(1)),
            due_at: at(81_000_000),
            due_in_us: 81_000_000,
            kind: TimerKind::Message,
            state: TimerState::Armed,
            attempt: 0,
            part: None,
            version: 3,
            owner: InstanceId(id(7)),
            lane: "default/sms".to_owned(),
            forecast: None,
        }],
    }
}

/// The same with what the page and the metrics show as well.
pub(crate) fn overview(timers: usize) -> Overview {
    let mut report = report();
    report.timers.truncate(timers);
    Overview {
        timers: report,
        missing: Vec::new(),
        density: DensityReport {
            from: at(0),
            bucket_us: 5_000_000,
            counts: vec![0, 1, 0, 1],
        },
        load: LoadReport {
            max_in_flight: 256,
            permits: 256,
            ..LoadReport::default()
        },
        database: DatabaseReport {
            open: 4,
            idle: 3,
            waiting: 0,
            max: 4,
        },
    }
}

/// Limits so short that running into one takes no time worth mentioning, and all others long.
pub(crate) fn impatient() -> HttpLimits {
    HttpLimits {
        answer: Duration::from_millis(20),
        head: Duration::from_millis(50),
        drain: Duration::from_millis(50),
        ..HttpLimits::default()
    }
}
