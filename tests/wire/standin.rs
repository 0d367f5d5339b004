//! A stand-in for Twilio on loopback: it keeps what it accepted, remembers what it was asked,
//! and does to each message what its script says.
//!
//! It speaks HTTP/1.1 on bare sockets, because what is tested is mostly what happens between
//! a request's bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What is done with one request that creates a message.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Keeps it and answers 201 with its sid. The default when the script has run out.
    Accept,
    /// The same, after a while.
    AcceptAfter(Duration),
    /// The same, once this is notified.
    #[allow(
        dead_code,
        reason = "only tests of daemons, which share this file, need it"
    )]
    AcceptWhen(Arc<Notify>),
    /// Keeps it, and answers 201 so slowly that there is this long between two bytes.
    AcceptDripping(Duration),
    /// Answers something else: status, headers, body.
    Answer(u16, &'static str, String),
    /// Reads the request and says nothing, ever.
    Silence,
    /// Waits for the first bytes and closes without reading them. For fresh connections.
    CloseUnread,
    /// Reads the request and closes.
    Close,
    /// Reads the request and resets the connection.
    Reset,
    /// Keeps it, sends part of a 201 and closes.
    CutShort,
}

impl Act {
    /// A refusal in Twilio's form.
    pub(crate) fn refuse(status: u16, code: i32, message: &str) -> Self {
        let body = serde_json::json!({
            "code": code,
            "message": message,
            "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
            "status": status,
        });
        Self::Answer(status, JSON, body.to_string())
    }
}

pub(crate) const JSON: &str = "content-type: application/json\r\n";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// When its last byte was read.
    pub(crate) at: Instant,
    /// On which connection, from 0.
    pub(crate) connection: usize,
    /// `POST /path HTTP/1.1`.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Decoded, in the order received.
    pub(crate) form: Vec<(String, String)>,
    /// As received.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        lookup(&self.headers, name)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        lookup(&self.form, name)
    }

    /// The id of a webhook.
    pub(crate) fn webhook_id(&self) -> Option<&str> {
        self.header("webhook-id")
    }

    /// The text that is sent: of a form, or of a webhook.
    pub(crate) fn text(&self) -> String {
        if self.webhook_id().is_none() {
            return self.field("Body").unwrap_or_default().to_owned();
        }
        let payload: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        payload["data"]["body"].as_str().unwrap().to_owned()
    }

    pub(crate) fn is_create(&self) -> bool {
        self.line.starts_with("POST ")
    }
}

fn lookup<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let (_, value) = pairs.iter().find(|(key, _)| key == name)?;
    Some(value)
}

#[derive(Default)]
struct State {
    script: VecDeque<Act>,
    seen: Vec<Seen>,
    accepted: Vec<(String, Seen)>,
    connections: usize,
    /// What its clock is ahead of this machine's; `None`: its answers have no date.
    ahead: Option<TimeDelta>,
}

/// The running stand-in; it goes with its value.
pub(crate) struct StandIn {
    addr: SocketAddr,
    root: &'static str,
    state: Arc<Mutex<State>>,
    acceptor: JoinSet<()>,
}

impl StandIn {
    pub(crate) async fn start(script: impl IntoIterator<Item = Act>) -> Self {
        Self::listen(script, None).await
    }

    pub(crate) async fn start_tls(tls: TlsAcceptor) -> Self {
        Self::listen([], Some(tls)).await
    }

    async fn listen(script: impl IntoIterator<Item = Act>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let state = Arc::new(Mutex::new(State {
            script: script.into_iter().collect(),
            ..State::default()
        }));
        let addr = listener.local_addr().unwrap();
        // Certificates are for the name. Without it no resolver's threads are in the way, and
        // connections opened at once are made at once.
        let root = match tls {
            Some(_) => "https://localhost",
            None => "http://127.0.0.1",
        };
        let mut acceptor = JoinSet::new();
        acceptor.spawn(accept(listener, Arc::clone(&state), tls));
        Self {
            addr,
            root,
            state,
            acceptor,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What to give as `TWILIO_API_BASE_URL`.
    pub(crate) fn url(&self) -> String {
        format!("{}:{}", self.root, self.addr.port())
    }

    /// The requests for messages, in order.
    pub(crate) fn creates(&self) -> Vec<Seen> {
        let state = self.state();
        let creates = state.seen.iter().filter(|seen| seen.is_create());
        creates.cloned().collect()
    }

    /// All other requests.
    pub(crate) fn others(&self) -> Vec<Seen> {
        let state = self.state();
        let others = state.seen.iter().filter(|seen| !seen.is_create());
        others.cloned().collect()
    }

    /// The messages it holds, by sid.
    pub(crate) fn accepted(&self) -> Vec<(String, Seen)> {
        self.state().accepted.clone()
    }

    /// From now on its answers have a date, by a clock that is ahead by this.
    pub(crate) fn dated(&self, ahead: TimeDelta) {
        self.state().ahead = Some(ahead);
    }

    /// From now on requests that create messages are answered so, and then accepted.
    #[allow(dead_code, reason = "only tests of the page need it")]
    pub(crate) fn answers(&self, script: impl IntoIterator<Item = Act>) {
        self.state().script = script.into_iter().collect();
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    /// Closes the listener and every connection, and returns when they are closed.
    pub(crate) async fn stop(&mut self) {
        self.acceptor.shutdown().await;
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let number = {
            let mut state = state.lock().unwrap();
            state.connections += 1;
            state.connections - 1
        };
        let (state, tls) = (Arc::clone(&state), tls.clone());
        connections.spawn(async move {
            // Errors are the client's going away, which it may.
            let _ = match tls {
                None => serve(tcp, number, &state).await,
                Some(tls) => match tls.accept(tcp).await {
                    Ok(stream) => serve(stream, number, &state).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

/// A connection whose socket can be got at.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

async fn serve(wire: impl Wire, number: usize, state: &Mutex<State>) -> std::io::Result<()> {
    if matches!(state.lock().unwrap().script.front(), Some(Act::CloseUnread)) {
        state.lock().unwrap().script.pop_front();
        return wire.socket().peek(&mut [0]).await.map(drop);
    }
    let mut wire = BufReader::new(wire);
    while let Some(seen) = read(&mut wire, number).await? {
        let act = {
            let mut state = state.lock().unwrap();
            state.seen.push(seen.clone());
            let next = |state: &mut State| state.script.pop_front().unwrap_or(Act::Accept);
            seen.is_create().then(|| next(&mut state))
        };
        if let Some(act) = act {
            if !perform(act, &mut wire, seen, state).await? {
                break;
            }
        } else {
            let date = state.lock().unwrap().ahead.map(date).unwrap_or_default();
            let answer = answer(401, &format!("{JSON}{date}"), "{}");
            wire.write_all(answer.as_bytes()).await?;
        }
    }
    Ok(())
}

/// Does one act; `false` ends the connection.
async fn perform(
    act: Act,
    wire: &mut BufReader<impl Wire>,
    seen: Seen,
    state: &Mutex<State>,
) -> std::io::Result<bool> {
    match act {
        Act::Accept => {
            let answer = keep(seen, state);
            wire.write_all(answer.as_bytes()).await?;
        }
        Act::AcceptAfter(delay) => {
            tokio::time::sleep(delay).await;
            let answer = keep(seen, state);
            wire.write_all(answer.as_bytes()).await?;
        }
        Act::AcceptWhen(signal) => {
            signal.notified().await;
            let answer = keep(seen, state);
            wire.write_all(answer.as_bytes()).await?;
        }
        Act::AcceptDripping(gap) => {
            for byte in keep(seen, state).bytes() {
                wire.write_all(&[byte]).await?;
                tokio::time::sleep(gap).await;
            }
        }
        Act::Answer(status, headers, body) => {
            let answer = answer(status, headers, &body);
            wire.write_all(answer.as_bytes()).await?;
        }
        Act::Silence => std::future::pending().await,
        Act::CloseUnread => unreachable!("decided before the request is read"),
        Act::Close => return Ok(false),
        Act::Reset => {
            wire.get_ref().socket().set_zero_linger()?;
            return Ok(false);
        }
        Act::CutShort => {
            let answer = keep(seen, state);
            let most = answer.len() - 10;
            wire.write_all(&answer.as_bytes()[..most]).await?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes a message in, and returns the answer that names it.
fn keep(seen: Seen, state: &Mutex<State>) -> String {
    let mut state = state.lock().unwrap();
    let sid = format!("SM{:032x}", state.accepted.len() + 1);
    let body = serde_json::json!({
        "sid": sid,
        "status": "queued",
        "to": seen.field("To"),
        "from": seen.field("From"),
        "messaging_service_sid": seen.field("MessagingServiceSid"),
        "body": seen.field("Body"),
        "direction": "outbound-api",
        "num_segments": "1",
        "error_code": null,
        "error_message": null,
    });
    state.accepted.push((sid, seen));
    answer(201, JSON, &body.to_string())
}

/// The header line of a clock that is ahead by this.
fn date(ahead: TimeDelta) -> String {
    let at = Utc::now() + ahead;
    at.format("date: %a, %d %b %Y %H:%M:%S GMT\r\n").to_string()
}

/// An answer as it goes over the wire.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// The next request; `None`: there is none any more.
pub(crate) async fn read(
    wire: &mut BufReader<impl Wire>,
    connection: usize,
) -> std::io::Result<Option<Seen>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if wire.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    let mut lines = head.trim_end().lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = lookup(&headers, "content-length").map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    wire.read_exact(&mut body).await?;
    Ok(Some(Seen {
        at: Instant::now(),
        connection,
        line,
        headers,
        form: url::form_urlencoded::parse(&body).into_owned().collect(),
        body,
    }))
}
