//! A stand-in for a GSM modem: it speaks AT commands over TCP or a pseudo-terminal, takes messages in as PDUs, counts
//! how often each text went out, reports on them, receives replies, and fails by script.
//!
//! For other test binaries too, by `#[path]`; at their root it expects `twilio`, whose faults it has.

#![allow(dead_code, reason = "each binary uses a part of it")]

pub(crate) mod pdu;
pub(crate) mod phone;
mod wire;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::net::TcpListener;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub(crate) use pdu::{deliver, status_report};
pub(crate) use phone::{Break, Phone};

use crate::twilio::{Fault, Text};

/// What its tasks share.
struct Desk {
    phone: Mutex<Phone>,
    /// There is something to say without being asked.
    unasked: Notify,
}

impl Desk {
    fn phone(&self) -> MutexGuard<'_, Phone> {
        self.phone.lock().unwrap()
    }
}

/// The running stand-in; it goes with its value.
pub(crate) struct Gsm {
    desk: Arc<Desk>,
    place: Place,
    tasks: JoinSet<()>,
}

enum Place {
    Tcp(std::net::SocketAddr),
    /// A link to the pseudo-terminal that there is now.
    Serial(PathBuf),
}

impl Gsm {
    /// Behind a TCP server.
    pub(crate) async fn tcp() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let place = Place::Tcp(listener.local_addr().unwrap());
        let desk = desk();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&desk)));
        Self { desk, place, tasks }
    }

    /// On a pseudo-terminal, by a link in this directory.
    pub(crate) fn serial(dir: &Path) -> Self {
        let link = dir.join("modem");
        let desk = desk();
        let mut tasks = JoinSet::new();
        tasks.spawn(plugged(link.clone(), Arc::clone(&desk)));
        let place = Place::Serial(link);
        Self { desk, place, tasks }
    }

    /// The setting that names it.
    pub(crate) fn port(&self) -> String {
        match &self.place {
            Place::Tcp(addr) => format!("tcp:{addr}"),
            Place::Serial(link) => link.to_str().unwrap().to_owned(),
        }
    }

    /// What it knows and does. Not to be held over an `await`.
    pub(crate) fn phone(&self) -> MutexGuard<'_, Phone> {
        self.desk.phone()
    }

    /// What it does with the next messages of this text.
    pub(crate) fn with_text(&self, text: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults: VecDeque<Fault> = faults.into_iter().collect();
        self.phone().by_text.insert(text.to_owned(), faults);
    }

    /// What became of a text.
    pub(crate) fn text(&self, text: &str) -> Text {
        self.phone().texts.get(text).cloned().unwrap_or_default()
    }

    /// It says this by itself.
    pub(crate) fn says(&self, lines: &str) {
        self.phone().unasked.push_back(format!("\r\n{lines}\r\n"));
        self.desk.unasked.notify_one();
    }

    /// It receives a PDU into its memory, and says so.
    pub(crate) fn stores(&self, pdu: &str, indication: &str) {
        let index = self.phone().store(pdu);
        self.says(&format!("{indication}: \"SM\",{index}"));
    }

    /// Nobody is there.
    pub(crate) async fn hang_up(&mut self) {
        self.tasks.shutdown().await;
    }

    /// It is there again.
    pub(crate) async fn pick_up(&mut self) {
        self.hang_up().await;
        let desk = Arc::clone(&self.desk);
        match &self.place {
            Place::Serial(link) => {
                self.tasks.spawn(plugged(link.clone(), desk));
            }
            Place::Tcp(addr) => {
                let listener = loop {
                    match TcpListener::bind(addr).await {
                        Ok(listener) => break listener,
                        // Connections that were never accepted may hold it for a moment.
                        Err(_) => tokio::time::sleep(std::time::Duration::from_millis(4)).await,
                    }
                };
                self.tasks.spawn(accept(listener, desk));
            }
        }
    }
}

fn desk() -> Arc<Desk> {
    Arc::new(Desk {
        phone: Mutex::default(),
        unasked: Notify::new(),
    })
}

/// One connection after the other.
async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            continue;
        };
        tcp.set_nodelay(true).unwrap();
        let (mut read, mut write) = tcp.into_split();
        let end = wire::serve(&mut read, &mut write, &desk).await;
        if end == wire::End::Reset {
            let tcp = read.reunite(write).unwrap();
            tcp.set_zero_linger().unwrap();
        }
    }
}

/// One pseudo-terminal after the other: whenever the modem is unplugged, another one is plugged in.
async fn plugged(link: PathBuf, desk: Arc<Desk>) {
    loop {
        let (master, _slave) = pseudo_terminal(&link);
        let mut read =
            pipe::Receiver::from_owned_fd_unchecked(master.try_clone().unwrap()).unwrap();
        let mut write = pipe::Sender::from_owned_fd_unchecked(master).unwrap();
        wire::serve(&mut read, &mut write, &desk).await;
    }
}

/// The modem's end, and one more of the other end: without one the modem's would be closed between two processes.
fn pseudo_terminal(link: &Path) -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    rustix::fs::fcntl_setfl(&master, OFlags::NONBLOCK).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
    // Until a program has set it up, it would return what the modem says.
    let mut settings = rustix::termios::tcgetattr(&slave).unwrap();
    settings.make_raw();
    rustix::termios::tcsetattr(&slave, rustix::termios::OptionalActions::Now, &settings).unwrap();
    let next = link.with_extension("next");
    let _ = std::fs::remove_file(&next);
    std::os::unix::fs::symlink(name.to_str().unwrap(), &next).unwrap();
    std::fs::rename(&next, link).unwrap();
    (master, slave)
}
