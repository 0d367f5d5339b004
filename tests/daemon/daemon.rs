//! A running `punctual run`, and what can be seen of it from outside.

use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Nothing here takes this long on a machine that is merely busy.
const AMPLE: Duration = Duration::from_secs(60);

/// Between two checks of a condition that nothing reports: a thirtieth of the time that it was waited for, within
/// these. Ten tests wait at once, and each check costs a query or a request.
const CHECK_PAUSE_MIN: Duration = Duration::from_millis(5);
const CHECK_PAUSE_MAX: Duration = Duration::from_millis(100);

/// So many checks are made at least: on a machine with so much other load that each takes long, so do the
/// processes under test.
const CHECKS_MIN: u32 = 800;

/// Checks again and again until there is a result.
pub(crate) async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    let mut checks = 0;
    loop {
        if let Some(seen) = check().await {
            return seen;
        }
        checks += 1;
        let took = began.elapsed();
        assert!(
            checks < CHECKS_MIN || took < AMPLE,
            "not within {took:?} and {checks} checks: {what}"
        );
        tokio::time::sleep((took / 30).clamp(CHECK_PAUSE_MIN, CHECK_PAUSE_MAX)).await;
    }
}

/// The command with nothing but these variables set, in a directory without a `punctual.toml`.
pub(crate) fn punctual(args: &[&str], env: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
    command
        .current_dir("/")
        .env_clear()
        .env("XDG_RUNTIME_DIR", RUNTIME_DIR)
        .envs(env.iter().map(|(k, v)| (k, v)))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // Any test, with daemons that poll.
    if let Ok(changes) = std::env::var("PUNCTUAL_TESTED_CHANGES") {
        let is_set = env.iter().any(|(name, _)| name == "PUNCTUAL_CHANGES");
        if args.first() == Some(&"run") && !is_set {
            command.env("PUNCTUAL_CHANGES", changes);
            let every = format!("{}ms", poll_every().as_millis());
            command.env("PUNCTUAL_POLL_EVERY", every);
        }
    }
    command
}

/// How often daemons of any test look for changes: soon enough for tests that insert what is due in a moment, unless it
/// is said otherwise.
fn poll_every() -> Duration {
    let every = std::env::var("PUNCTUAL_TESTED_POLL_MS");
    let every = every.map_or(100, |every| every.parse().expect("it is a number"));
    Duration::from_millis(every)
}

/// How long daemons of any test take to find what was inserted.
pub(crate) fn found_within() -> Duration {
    let changes = std::env::var("PUNCTUAL_TESTED_CHANGES");
    if changes.is_ok_and(|changes| changes == "poll") {
        poll_every()
    } else {
        Duration::ZERO
    }
}

/// A loopback address that is nobody else's: a port found free on the one everybody uses may
/// be somebody's before it is bound again.
pub(crate) fn own_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let own = NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let ip = std::net::Ipv4Addr::new(127, own, high, low.max(2));
    let found = std::net::TcpListener::bind((ip, 0)).unwrap();
    found.local_addr().unwrap().to_string()
}

/// `name` is set to `value`, whatever stood there.
pub(crate) fn set(env: &mut Vec<(String, String)>, name: &str, value: &str) {
    env.retain(|(n, _)| n != name);
    env.push((name.to_owned(), value.to_owned()));
}

/// What every daemon of the tests has been set to, unless its test sets another one.
pub(crate) const TOKEN: &str = "the-token-of-the-tests";

/// For tests that set `PUNCTUAL_OPERATOR_TOKEN`.
pub(crate) const OPERATOR_TOKEN: &str = "the-operators-token-of-the-tests";

/// The directory of tokens and sockets of daemons that have no state directory.
pub(crate) const RUNTIME_DIR: &str = env!("CARGO_TARGET_TMPDIR");

pub(crate) struct Daemon {
    child: Child,
    addr: String,
    token: String,
    said: Arc<Mutex<String>>,
    /// Read its output, until it ends.
    readers: [JoinHandle<()>; 2],
}

impl Daemon {
    /// Starts it; it need not be ready yet.
    pub(crate) fn start(env: &[(String, String)]) -> Self {
        Self::start_with(&["run"], env)
    }

    pub(crate) fn start_with(args: &[&str], env: &[(String, String)]) -> Self {
        let mut env = env.to_vec();
        let given = env.iter().find(|(name, _)| name == "PUNCTUAL_HTTP_ADDR");
        let addr = given.map_or_else(own_address, |(_, addr)| addr.clone());
        set(&mut env, "PUNCTUAL_HTTP_ADDR", &addr);
        let given = env.iter().find(|(name, _)| name == "PUNCTUAL_DEBUG_TOKEN");
        // Set and empty: it is to make one itself.
        let token = given.map_or_else(|| TOKEN.to_owned(), |(_, token)| token.clone());
        set(&mut env, "PUNCTUAL_DEBUG_TOKEN", &token);
        let mut child = punctual(args, &env).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let readers = [
            listen_to(child.stdout.take().unwrap(), Arc::clone(&said)),
            listen_to(child.stderr.take().unwrap(), Arc::clone(&said)),
        ];
        Self {
            child,
            addr,
            token,
            said,
            readers,
        }
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// Everything it has written so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has written this.
    pub(crate) async fn says(&mut self, words: &str) {
        until(words, async || {
            let said = self.said();
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("ended by {status} without saying {words:?}:\n{said}");
            }
            said.contains(words).then_some(())
        })
        .await;
    }

    /// Status and body of `GET path` with the token; `None`: nobody answers.
    pub(crate) async fn get(&self, path: &str) -> Option<(u16, String)> {
        let bearer = format!("authorization: Bearer {}\r\n", self.token);
        let (head, body) = self.ask(path, &bearer, None).await?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body))
    }

    /// Status and body of `POST path` with the operator's token, which its test has set.
    pub(crate) async fn act(&self, path: &str) -> (u16, serde_json::Value) {
        let headers = format!("authorization: Bearer {OPERATOR_TOKEN}\r\ncontent-length: 0\r\n");
        let answer = self.request(&format!("POST {path}"), &headers, None).await;
        let (head, body) = answer.expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }

    /// The cookie of a login with the operator's token, which its test has set.
    pub(crate) async fn log_in(&self) -> String {
        let target = format!("/login?token={OPERATOR_TOKEN}");
        let (head, _) = self.ask(&target, "", None).await.expect("an answer");
        let cookie = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = cookie.unwrap_or_else(|| panic!("no cookie: {head}"));
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Status and body of `POST path` as the live page sends it: with a login's cookie, and proof of its own origin.
    pub(crate) async fn act_on_page(&self, cookie: &str, path: &str) -> (u16, serde_json::Value) {
        let headers = format!(
            "cookie: {cookie}\r\norigin: http://{}\r\nsec-fetch-site: same-origin\r\npunctual-act: 1\r\n\
             content-length: 0\r\n",
            self.addr
        );
        let answer = self.request(&format!("POST {path}"), &headers, None).await;
        let (head, body) = answer.expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Head and body of `GET path` with more header lines, to its end, or to where it has said
    /// this; `None`: nobody answers.
    pub(crate) async fn ask(
        &self,
        path: &str,
        headers: &str,
        until: Option<&str>,
    ) -> Option<(String, String)> {
        self.request(&format!("GET {path}"), headers, until).await
    }

    async fn request(
        &self,
        line: &str,
        headers: &str,
        until: Option<&str>,
    ) -> Option<(String, String)> {
        let asking = async {
            let mut stream = TcpStream::connect(&self.addr).await.ok()?;
            let request = format!(
                "{line} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\r\n",
                self.addr
            );
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = Vec::new();
            let said = |answer: &[u8]| String::from_utf8_lossy(answer).into_owned();
            while stream.read_buf(&mut answer).await.ok()? > 0 {
                if until.is_some_and(|words| said(&answer).contains(words)) {
                    break;
                }
            }
            let answer = said(&answer);
            let (head, body) = answer.split_once("\r\n\r\n")?;
            Some((head.to_owned(), body.to_owned()))
        };
        tokio::time::timeout(AMPLE, asking).await.ok().flatten()
    }

    /// `GET /readyz` says this, with its reason.
    pub(crate) async fn readyz(&self, status: u16) -> String {
        let what = format!("/readyz answers {status}");
        until(&what, async || match self.get("/readyz").await {
            Some((seen, body)) if seen == status => Some(body),
            _ => None,
        })
        .await
    }

    pub(crate) async fn ready(&mut self) {
        let what = format!("ready on {}", self.addr);
        until(&what, async || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("ended by {status} before it was ready:\n{}", self.said());
            }
            let answer = self.get("/readyz").await;
            answer.filter(|(status, _)| *status == 200)
        })
        .await;
    }

    /// The timers, as its debug page has them.
    pub(crate) async fn timers(&self, query: &str) -> serde_json::Value {
        let (status, body) = self.answer(&format!("/debug/timers?{query}")).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// What it answers once it has the time: on a busy machine it may say first that it is not done yet.
    pub(crate) async fn answer(&self, path: &str) -> (u16, String) {
        until(path, async || {
            let answer = self.get(path).await?;
            (!matches!(answer.0, 408 | 503)).then_some(answer)
        })
        .await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it runs").cast_signed();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = until("it ends", async || self.child.try_wait().unwrap()).await;
        // Its last lines may still be in the pipes.
        for reader in &mut self.readers {
            if !reader.is_finished() {
                reader.await.unwrap();
            }
        }
        status
    }

    /// Asks it to stop; it must do so in good order.
    pub(crate) async fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{}", self.said());
        self.said()
    }
}

/// Shown when a test fails: what the daemon said is most of the reason.
impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.addr, self.said());
        }
    }
}

fn listen_to(
    stream: impl AsyncRead + Unpin + Send + 'static,
    said: Arc<Mutex<String>>,
) -> JoinHandle<()> {
    let mut lines = BufReader::new(stream).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let mut said = said.lock().unwrap();
            said.push_str(&line);
            said.push('\n');
        }
    })
}
