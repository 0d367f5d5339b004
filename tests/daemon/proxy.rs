//! A way to the server that can go dead without a word: connections stay open, their bytes are
//! not passed on. So does a firewall that forgot a connection, or a machine that lost its power.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Which direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the daemon to the server.
    Up,
    /// From the server to the daemon.
    Down,
}

/// One connection through the proxy.
struct Link {
    up: watch::Sender<bool>,
    down: watch::Sender<bool>,
    /// It has said LISTEN.
    listens: watch::Receiver<bool>,
}

pub(crate) struct Proxy {
    port: u16,
    links: Links,
    target: Arc<Mutex<String>>,
    /// New connections are silent from the start.
    closed: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

type Links = Arc<Mutex<Vec<Link>>>;

impl Proxy {
    pub(crate) async fn to(target: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        Self::over(listener, target)
    }

    /// Accepts on this socket and passes on to `host:port`.
    pub(crate) fn over(listener: TcpListener, target: String) -> Self {
        let links = Links::default();
        let closed = Arc::<AtomicBool>::default();
        let target = Arc::new(Mutex::new(target));
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(
            listener,
            Arc::clone(&target),
            Arc::clone(&links),
            Arc::clone(&closed),
        ));
        Self {
            port,
            links,
            target,
            closed,
            _tasks: tasks,
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// New connections lead to another `host:port`; those there are stay where they are.
    pub(crate) fn lead_to(&self, target: String) {
        *self.target.lock().unwrap() = target;
    }

    /// The connections there are now pass nothing on any more, those that LISTEN or the others.
    /// New ones are not touched. How many they were.
    pub(crate) fn silence(&self, listeners: bool, ways: &[Way]) -> usize {
        let mut silenced = 0;
        for link in self.links.lock().unwrap().iter() {
            if *link.listens.borrow() != listeners {
                continue;
            }
            // Of a connection that has ended nobody hears it.
            let open = ways.iter().all(|way| match way {
                Way::Up => link.up.send(true).is_ok(),
                Way::Down => link.down.send(true).is_ok(),
            });
            silenced += usize::from(open);
        }
        silenced
    }

    /// Nothing passes on any connection, new ones included, until [`Self::open`].
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.set_all(true);
    }

    /// Everything passes again, what was held up first: so does TCP, which sends again what
    /// was not acknowledged, even of a connection that its owner has left meanwhile.
    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        self.set_all(false);
    }

    fn set_all(&self, dead: bool) {
        for link in self.links.lock().unwrap().iter() {
            link.up.send_replace(dead);
            link.down.send_replace(dead);
        }
    }
}

async fn accept(
    listener: TcpListener,
    target: Arc<Mutex<String>>,
    links: Links,
    closed: Arc<AtomicBool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let target = target.lock().unwrap().clone();
        let Ok(far) = TcpStream::connect(target).await else {
            continue;
        };
        for socket in [&near, &far] {
            socket.set_nodelay(true).unwrap();
        }
        let silent = closed.load(Ordering::SeqCst);
        let (up, up_dead) = watch::channel(silent);
        let (down, down_dead) = watch::channel(silent);
        let (heard, listens) = watch::channel(false);
        links.lock().unwrap().push(Link { up, down, listens });
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        connections.spawn(pass(near_read, far_write, up_dead, Some(heard)));
        connections.spawn(pass(far_read, near_write, down_dead, None));
    }
}

/// Passes bytes on while the way is not dead; meanwhile it holds on to them and to both sockets.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut dead: watch::Receiver<bool>,
    heard: Option<watch::Sender<bool>>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut bytes).await {
        if let Some(heard) = &heard
            && bytes[..n].windows(15).any(|w| w == b"listen punctual")
        {
            heard.send_replace(true);
        }
        if dead.wait_for(|dead| !*dead).await.is_err() || to.write_all(&bytes[..n]).await.is_err() {
            break;
        }
    }
    // Nor does it learn that the other side has gone.
    let _ = dead.wait_for(|dead| !*dead).await;
}
