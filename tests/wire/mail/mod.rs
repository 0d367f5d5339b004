//! A stand-in for an SMTP server: it counts how often each text was sent to it and accepted, and fails by script.
//!
//! For other test binaries too, by `#[path]`; at their root it expects `twilio`, whose faults it has.

#![allow(dead_code, reason = "each binary uses a part of it")]

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::twilio::{Fault, Text};

/// What it knows and does.
#[derive(Default)]
pub(crate) struct Desk {
    texts: HashMap<String, Text>,
    by_text: HashMap<String, VecDeque<Fault>>,
    /// Each command with the response in place of the usual one, once.
    pub(crate) refusals: Vec<(&'static str, &'static str)>,
    /// Commands after which the connection ends, once.
    pub(crate) ends_after: Vec<&'static str>,
    pub(crate) commands: Vec<String>,
    pub(crate) mails: Vec<String>,
    pub(crate) connections: usize,
    /// In place of the usual response to a mail that is accepted.
    pub(crate) acceptance: Option<&'static str>,
}

/// The running stand-in; it ends with its value.
pub(crate) struct Mail {
    desk: Arc<Mutex<Desk>>,
    addr: SocketAddr,
    tasks: JoinSet<()>,
}

impl Mail {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (desk, addr) = (Arc::default(), listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&desk)));
        Self { desk, addr, tasks }
    }

    /// The setting that names it.
    pub(crate) fn url(&self) -> String {
        format!("smtp+plain://{}", self.addr)
    }

    /// Not to be held over an `await`.
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap()
    }

    /// What it does with the next mails of this text.
    pub(crate) fn with_text(&self, text: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        self.desk().by_text.insert(text.to_owned(), faults);
    }

    /// What became of a text.
    pub(crate) fn text(&self, text: &str) -> Text {
        self.desk().texts.get(text).cloned().unwrap_or_default()
    }

    /// Nobody is there.
    pub(crate) async fn hang_up(&mut self) {
        self.tasks.shutdown().await;
    }

    /// It is there again.
    pub(crate) async fn pick_up(&mut self) {
        self.hang_up().await;
        let listener = loop {
            match TcpListener::bind(self.addr).await {
                Ok(listener) => break listener,
                // Connections that were never accepted may hold it for a moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(4)).await,
            }
        };
        self.tasks.spawn(accept(listener, Arc::clone(&self.desk)));
    }
}

async fn accept(listener: TcpListener, desk: Arc<Mutex<Desk>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((tcp, _)) = listener.accept() => {
                desk.lock().unwrap().connections += 1;
                connections.spawn(serve(tcp, Arc::clone(&desk)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until it ends.
async fn serve(tcp: TcpStream, desk: Arc<Mutex<Desk>>) {
    let _ = tcp.set_nodelay(true);
    let mut tcp = BufReader::new(tcp);
    let _ = dialogue(&mut tcp, &desk).await;
}

async fn dialogue(tcp: &mut BufReader<TcpStream>, desk: &Mutex<Desk>) -> std::io::Result<()> {
    tcp.write_all(b"220 stand-in ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if tcp.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_owned();
        let (refusal, ends) = {
            let mut desk = desk.lock().unwrap();
            desk.commands.push(command.clone());
            let at = desk
                .refusals
                .iter()
                .position(|(of, _)| command.starts_with(of));
            let refusal = at.map(|at| desk.refusals.remove(at).1);
            let at = desk
                .ends_after
                .iter()
                .position(|of| command.starts_with(of));
            (refusal, at.map(|at| desk.ends_after.remove(at)).is_some())
        };
        if ends {
            return Ok(());
        }
        let response = match (
            refusal,
            command.split([' ', ':']).next().unwrap_or_default(),
        ) {
            (Some(refusal), _) => refusal,
            (None, "EHLO") => "250-stand-in\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES",
            (None, "MAIL" | "RCPT" | "RSET" | "NOOP") => "250 2.0.0 Ok",
            (None, "DATA") => {
                tcp.write_all(b"354 go on\r\n").await?;
                if content(tcp, desk).await? {
                    return Ok(());
                }
                continue;
            }
            (None, "QUIT") => {
                return tcp.write_all(b"221 2.0.0 Bye\r\n").await;
            }
            (None, _) => "502 5.5.1 what?",
        };
        // In Latin-1, as servers of some age write.
        let bytes = response.chars().map(|c| u8::try_from(c).unwrap());
        let bytes: Vec<u8> = bytes.chain(*b"\r\n").collect();
        tcp.write_all(&bytes).await?;
    }
}

const ACCEPTED: &[u8] = b"250 2.0.0 Ok: queued as 4711\r\n";

/// Reads a mail and responds to it; whether the connection ends then.
async fn content(tcp: &mut BufReader<TcpStream>, desk: &Mutex<Desk>) -> std::io::Result<bool> {
    let mut mail = String::new();
    loop {
        let mut line = String::new();
        if tcp.read_line(&mut line).await? == 0 {
            return Ok(true);
        }
        if line == ".\r\n" {
            break;
        }
        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
    let text = mail.split_once("\r\n\r\n").map_or("", |(_, text)| text);
    let text = text.trim_end().to_owned();
    let fault = {
        let mut desk = desk.lock().unwrap();
        let fault = desk.by_text.get_mut(&text).and_then(VecDeque::pop_front);
        let fault = fault.unwrap_or(Fault::None);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let known = desk.texts.entry(text).or_default();
        known.asked.push(now);
        if fault.takes_it_in() {
            known.sids.push(message_id(&mail));
            desk.mails.push(mail);
        }
        fault
    };
    let accepted = desk.lock().unwrap().acceptance;
    let accepted = accepted.map_or(ACCEPTED, str::as_bytes);
    match fault {
        Fault::None => tcp.write_all(accepted).await?,
        Fault::Slow(pause) => {
            tokio::time::sleep(pause).await;
            tcp.write_all(accepted).await?;
        }
        Fault::Refuse(_) => tcp.write_all(b"554 5.6.0 not this\r\n").await?,
        Fault::Busy(_) => tcp.write_all(b"451 4.7.1 later\r\n").await?,
        Fault::Error(..) => tcp.write_all(b"451 4.3.0 lost it\r\n").await?,
        Fault::Garbage(_) => tcp.write_all(b"how do you do\r\n").await?,
        Fault::Silence(_) => {
            // Until the other side gives up.
            let mut line = String::new();
            while tcp.read_line(&mut line).await? > 0 {}
            return Ok(true);
        }
        Fault::Drip(pause) => {
            for byte in ACCEPTED {
                tcp.write_all(&[*byte]).await?;
                tokio::time::sleep(pause).await;
            }
        }
        Fault::Cut => {
            tcp.write_all(&ACCEPTED[..7]).await?;
            return Ok(true);
        }
        Fault::Reset(_) => {
            tcp.get_ref().set_zero_linger().unwrap();
            return Ok(true);
        }
    }
    Ok(false)
}

fn message_id(mail: &str) -> String {
    let id = mail
        .lines()
        .find_map(|line| line.strip_prefix("Message-ID: "));
    id.unwrap_or_default().to_owned()
}
