//! A stand-in for Twilio that behaves as Twilio does: it takes messages in, keeps them, lists
//! and fetches them, lives through their statuses and calls back, signed. And it does what
//! networks and servers do to all of that, by a script or by chance from a seed.
//!
//! It is an endpoint of webhooks too, with the same faults.
//!
//! It counts how often each text went out, so texts with an id of their own in them make it
//! the judge of "sent twice".
//!
//! For other test binaries too, by `#[path]`; at their root it expects `standin` (whose bytes it
//! reads and writes) and `dice`:
//!
//! ```ignore
//! #[path = "../sim/dice.rs"]
//! mod dice;
//! #[path = "../wire/standin.rs"]
//! mod standin;
//! #[path = "../wire/twilio/mod.rs"]
//! mod twilio;
//! ```

#![allow(dead_code, unused_imports, reason = "each binary uses a part of it")]

mod book;
mod callback;
mod habits;
mod list;
mod serve;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use book::{Book, CallbackMade, Message, Text};
pub(crate) use callback::sign;
pub(crate) use habits::{End, Fault, Habits, Odds, Plan, When};

/// Nothing here takes this long on a machine that is merely busy.
const AMPLE: Duration = Duration::from_secs(60);

/// How long a connection that a full listener does not answer is waited for.
const DEAF: Duration = Duration::from_millis(40);

/// What its tasks share.
struct Desk {
    book: Mutex<Book>,
    /// The messages that are on their way.
    lives: Mutex<JoinSet<()>>,
    changes: watch::Sender<u64>,
}

impl Desk {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// Those that have arrived are forgotten in passing.
    fn lives(&self) -> MutexGuard<'_, JoinSet<()>> {
        let mut lives = self.lives.lock().unwrap();
        while lives.try_join_next().is_some() {}
        lives
    }

    fn changed(&self) {
        self.changes.send_modify(|n| *n += 1);
    }
}

/// The running stand-in; it goes with its value.
pub(crate) struct Twilio {
    addr: SocketAddr,
    desk: Arc<Desk>,
    acceptor: JoinSet<()>,
    /// While deaf: the full listener and what fills it.
    deaf: Option<(TcpListener, Vec<TcpStream>)>,
}

impl Twilio {
    /// For this account; callbacks are signed with its token.
    pub(crate) async fn start(account: &str, auth_token: &str, habits: Habits) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let desk = Arc::new(Desk {
            book: Mutex::new(Book::new(account, auth_token, habits)),
            lives: Mutex::new(JoinSet::new()),
            changes: watch::Sender::new(0),
        });
        let mut acceptor = JoinSet::new();
        acceptor.spawn(serve::accept(listener, Arc::clone(&desk)));
        Self {
            addr,
            desk,
            acceptor,
            deaf: None,
        }
    }

    /// What to give as `TWILIO_API_BASE_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it knows. Not to be held over an `await`.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.desk.book()
    }

    /// What it does with the next requests, whatever they are for; then its habits.
    pub(crate) fn script(&self, plans: impl IntoIterator<Item = impl Into<Plan>>) {
        let plans = plans.into_iter().map(Into::into);
        self.book().script.extend(plans);
    }

    /// What it does with the next requests for this text.
    pub(crate) fn with_text(&self, text: &str, plans: impl IntoIterator<Item = impl Into<Plan>>) {
        let plans: VecDeque<Plan> = plans.into_iter().map(Into::into).collect();
        self.book().by_text.insert(text.to_owned(), plans);
    }

    /// From here on.
    pub(crate) fn habits(&self, habits: Habits) {
        self.book().habits = habits;
    }

    /// Callbacks go to the first of these addresses where somebody is, whatever host they name.
    pub(crate) fn call_back_to(&self, hooks: impl IntoIterator<Item = String>) {
        self.book().hooks = hooks.into_iter().collect();
    }

    /// Waits until there is something to be seen in the book: however long that takes, as long as the book changes.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut(&Book) -> Option<T>) -> T {
        let mut changes = self.desk.changes.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(seen) = look(&self.book()) {
                return seen;
            }
            let more = tokio::time::timeout(AMPLE, changes.changed()).await;
            assert!(more.is_ok(), "nothing came for {AMPLE:?}: {what}");
        }
    }

    /// Closes the listener and every connection: whoever comes now is refused. What was taken
    /// in lives on.
    pub(crate) async fn hang_up(&mut self) {
        self.acceptor.shutdown().await;
        self.deaf = None;
    }

    /// The same, and then a listener that is full: connections are neither made nor refused.
    pub(crate) async fn turn_deaf(&mut self) {
        self.hang_up().await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.addr).unwrap();
        let listener = socket.listen(0).unwrap();
        let mut filling = Vec::new();
        // The kernel takes one or two beyond the backlog of nought; then it is silent.
        while let Ok(made) = tokio::time::timeout(DEAF, TcpStream::connect(self.addr)).await {
            filling.push(made.unwrap());
            assert!(filling.len() < 16, "the listener does not fill up");
        }
        self.deaf = Some((listener, filling));
    }

    /// Answers again, at the same address.
    pub(crate) async fn pick_up(&mut self) {
        self.hang_up().await;
        let mut tries = 0;
        let listener = loop {
            match TcpListener::bind(self.addr).await {
                Ok(listener) => break listener,
                // Connections that were never accepted may hold it for a moment.
                Err(error) if error.kind() == ErrorKind::AddrInUse && tries < 100 => tries += 1,
                Err(error) => panic!("{}: {error}", self.addr),
            }
            tokio::time::sleep(DEAF / 10).await;
        };
        self.acceptor
            .spawn(serve::accept(listener, Arc::clone(&self.desk)));
    }
}

impl Drop for Twilio {
    fn drop(&mut self) {
        self.desk.lives().abort_all();
    }
}
