//! A stand-in for a push service, behind TLS: it counts how often each message came, by the path of its endpoint, keeps
//! the requests, and fails by script.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::twilio::{Fault, Text};

/// Keys of subscriptions of which nobody has the private one: of RFC 8291, appendix A.
pub(crate) const P256DH: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
pub(crate) const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

/// The sender's, of the same appendix.
const PRIVATE: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
pub(crate) const PUBLIC: &str =
    "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";

/// One request.
#[derive(Clone)]
pub(crate) struct Pushed {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
struct Desk {
    by_path: HashMap<String, VecDeque<Fault>>,
    /// In place of 201, once each.
    statuses: HashMap<String, VecDeque<&'static str>>,
    known: HashMap<String, Text>,
    pushed: Vec<Pushed>,
}

pub(crate) struct PushService {
    desk: Arc<Mutex<Desk>>,
    addr: SocketAddr,
    tls: TlsAcceptor,
    certificate: PathBuf,
    _dir: tempfile::TempDir,
    tasks: JoinSet<()>,
}

/// Of a text: the last part of its endpoint.
pub(crate) fn path_of(text: &str) -> String {
    let hex = text
        .bytes()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!("/send/{hex}")
}

impl PushService {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = dir.path().join("cert.pem");
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let desk = Arc::<Mutex<Desk>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls.clone(), Arc::clone(&desk)));
        Self {
            desk,
            addr,
            tls,
            certificate,
            _dir: dir,
            tasks,
        }
    }

    /// With which a daemon sends to it.
    pub(crate) fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("PUNCTUAL_VAPID_PRIVATE_KEY", PRIVATE.to_owned()),
            ("PUNCTUAL_VAPID_PUBLIC_KEY", PUBLIC.to_owned()),
            (
                "PUNCTUAL_VAPID_SUBJECT",
                "mailto:push@example.com".to_owned(),
            ),
            ("PUNCTUAL_PUSH_ALLOW", "127.0.0.1, localhost".to_owned()),
            ("SSL_CERT_FILE", self.certificate.display().to_string()),
        ]
    }

    /// Where messages of a text go.
    pub(crate) fn endpoint(&self, text: &str) -> String {
        format!("https://localhost:{}{}", self.addr.port(), path_of(text))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap()
    }

    pub(crate) fn with_text(&self, text: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        self.desk().by_path.insert(path_of(text), faults);
    }

    /// Its next responses are of these statuses, with headers if need be.
    pub(crate) fn responds(&self, text: &str, statuses: impl IntoIterator<Item = &'static str>) {
        let statuses = statuses.into_iter().collect();
        self.desk().statuses.insert(path_of(text), statuses);
    }

    pub(crate) fn text(&self, text: &str) -> Text {
        let known = self.desk().known.get(&path_of(text)).cloned();
        known.unwrap_or_default()
    }

    /// The requests for a text.
    pub(crate) fn pushed(&self, text: &str) -> Vec<Pushed> {
        let path = path_of(text);
        let all = self.desk().pushed.clone();
        all.into_iter().filter(|one| one.path == path).collect()
    }

    pub(crate) async fn hang_up(&mut self) {
        self.tasks.shutdown().await;
    }

    pub(crate) async fn pick_up(&mut self) {
        let listener = loop {
            match TcpListener::bind(self.addr).await {
                Ok(listener) => break listener,
                // Connections that were never accepted may hold it for a moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(4)).await,
            }
        };
        let (tls, desk) = (self.tls.clone(), Arc::clone(&self.desk));
        self.tasks.spawn(accept(listener, tls, desk));
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, desk: Arc<Mutex<Desk>>) {
    let mut connections = JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let (tls, desk) = (tls.clone(), Arc::clone(&desk));
        connections.spawn(async move {
            tcp.set_nodelay(true).unwrap();
            if let Ok(stream) = tls.accept(tcp).await {
                let mut wire = BufReader::new(stream);
                while let Ok(true) = serve(&mut wire, &desk).await {}
            }
        });
    }
}

type Wire = BufReader<TlsStream<TcpStream>>;

/// One request; `None`: there is none any more.
async fn read(wire: &mut Wire) -> std::io::Result<Option<Pushed>> {
    let mut first = String::new();
    if wire.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        wire.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").map_or("0", String::as_str);
    let mut body = vec![0; length.parse().unwrap()];
    wire.read_exact(&mut body).await?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok(Some(Pushed {
        path,
        headers,
        body,
    }))
}

fn response(status: &str) -> String {
    let (status, headers) = status.split_once('\n').unwrap_or((status, ""));
    let headers = headers.replace('\n', "\r\n");
    format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n{headers}\r\n")
}

/// Whether the connection goes on.
async fn serve(wire: &mut Wire, desk: &Mutex<Desk>) -> std::io::Result<bool> {
    let Some(pushed) = read(wire).await? else {
        return Ok(false);
    };
    let (fault, status) = {
        let mut desk = desk.lock().unwrap();
        let faults = desk.by_path.get_mut(&pushed.path);
        let fault = faults.and_then(VecDeque::pop_front).unwrap_or(Fault::None);
        let statuses = desk.statuses.get_mut(&pushed.path);
        let status = statuses.and_then(VecDeque::pop_front).unwrap_or("201");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let known = desk.known.entry(pushed.path.clone()).or_default();
        known.asked.push(now);
        if fault.takes_it_in() {
            let topic = pushed.headers.get("topic").cloned();
            known.sids.push(topic.unwrap_or_default());
        }
        desk.pushed.push(pushed);
        (fault, status)
    };
    let created = response(status);
    match fault {
        Fault::None => wire.write_all(created.as_bytes()).await?,
        Fault::Slow(pause) => {
            tokio::time::sleep(pause).await;
            wire.write_all(created.as_bytes()).await?;
        }
        Fault::Refuse(_) => wire.write_all(response("413").as_bytes()).await?,
        Fault::Busy(_) => {
            let busy = response("429\nretry-after: 1\n");
            wire.write_all(busy.as_bytes()).await?;
        }
        Fault::Error(..) => wire.write_all(response("500").as_bytes()).await?,
        Fault::Garbage(_) => {
            wire.write_all(b"Welcome to the wrong port\r\n\r\n").await?;
            wire.flush().await?;
            return Ok(false);
        }
        Fault::Drip(pause) => {
            for byte in created.bytes() {
                wire.write_all(&[byte]).await?;
                wire.flush().await?;
                tokio::time::sleep(pause).await;
            }
        }
        Fault::Silence(_) => {
            // Until the other side has had enough.
            while wire.read(&mut [0; 64]).await? > 0 {}
            return Ok(false);
        }
        Fault::Cut => {
            wire.write_all(b"HTTP/1.1 2").await?;
            wire.flush().await?;
            return Ok(false);
        }
        Fault::Reset(_) => {
            wire.get_ref().get_ref().0.set_zero_linger()?;
            return Ok(false);
        }
    }
    wire.flush().await?;
    Ok(true)
}
