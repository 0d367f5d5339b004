//! The way to the table of what an app shows, with all that can go wrong on it: it passes a daemon's connections on to
//! the server, and fails by script at the requests that put a row there. What is there is read from the table itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::harness::{TestDb, cluster};
use crate::twilio::{Fault, Text};

/// What a connection that sends to the table prepares.
const MARK: &str = "punctual.put_in_app(a.message";

/// The server is done with a request.
const READY: &[u8] = b"Z\0\0\0\x05I";

#[derive(Default)]
struct Desk {
    by_text: HashMap<String, VecDeque<Fault>>,
    asked: HashMap<String, Vec<Duration>>,
}

/// It ends with its value.
pub(crate) struct Table {
    desk: Arc<Mutex<Desk>>,
    port: u16,
    /// Whether it passes on what is sent to the table, and how many connections do that.
    is_there: watch::Sender<bool>,
    open: watch::Sender<usize>,
    app: Client,
    _tasks: JoinSet<()>,
}

impl Table {
    pub(crate) async fn of(db: &TestDb) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_there, there) = watch::channel(true);
        let open = watch::Sender::new(0);
        let desk = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&desk), there, open.clone()));
        Self {
            desk,
            port,
            is_there,
            open,
            app: db.client().await,
            _tasks: tasks,
        }
    }

    /// The same URL, by this way.
    pub(crate) fn on_the_way(&self, url: &str) -> String {
        url.replace(
            &format!(":{}/", cluster().port()),
            &format!(":{}/", self.port),
        )
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap()
    }

    pub(crate) fn with_text(&self, text: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        self.desk().by_text.insert(text.to_owned(), faults);
    }

    /// When it was sent.
    pub(crate) fn asked(&self, text: &str) -> Text {
        Text {
            asked: self.desk().asked.get(text).cloned().unwrap_or_default(),
            ..Text::default()
        }
    }

    /// The same, and the rows that there are of it.
    pub(crate) async fn text(&self, text: &str) -> Text {
        let sql = "select id::text from punctual_api.in_app_messages where body = $1";
        let rows = self.app.query(sql, &[&text]).await.unwrap();
        Text {
            sids: rows.iter().map(|row| row.get(0)).collect(),
            ..self.asked(text)
        }
    }

    /// Connections that send to the table end, and no others do.
    pub(crate) async fn hang_up(&self) {
        self.is_there.send_replace(false);
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open == 0).await.unwrap();
    }

    pub(crate) fn pick_up(&self) {
        self.is_there.send_replace(true);
    }
}

async fn accept(
    listener: TcpListener,
    desk: Arc<Mutex<Desk>>,
    there: watch::Receiver<bool>,
    open: watch::Sender<usize>,
) {
    let mut links = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let (desk, there, open) = (Arc::clone(&desk), there.clone(), open.clone());
        links.spawn(async move {
            let far = TcpStream::connect(("127.0.0.1", cluster().port())).await;
            let (near, far) = (near, far.unwrap());
            for socket in [&near, &far] {
                socket.set_nodelay(true).unwrap();
            }
            let link = Link {
                near,
                far,
                desk,
                open,
                is_marked: false,
            };
            // It ends with either side.
            let _ = link.pass(there).await;
        });
    }
}

struct Link {
    near: TcpStream,
    far: TcpStream,
    desk: Arc<Mutex<Desk>>,
    open: watch::Sender<usize>,
    /// It sends to the table.
    is_marked: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.is_marked {
            self.open.send_modify(|open| *open -= 1);
        }
    }
}

impl Link {
    async fn pass(mut self, mut there: watch::Receiver<bool>) -> std::io::Result<()> {
        let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            tokio::select! {
                read = self.near.read(&mut up) => {
                    let said = &up[..read?];
                    if said.is_empty() {
                        return Ok(());
                    }
                    if !self.is_marked && has(said, MARK.as_bytes()) {
                        self.is_marked = true;
                        self.open.send_modify(|open| *open += 1);
                    }
                    if self.is_marked && !*there.borrow() {
                        return self.hang_up().await;
                    }
                    match self.fault(said) {
                        None | Some(Fault::None) => self.far.write_all(said).await?,
                        Some(fault) => {
                            let said = said.to_vec();
                            if !self.fail(fault, &said).await? {
                                return Ok(());
                            }
                        }
                    }
                }
                read = self.far.read(&mut down) => {
                    let said = &down[..read?];
                    if said.is_empty() {
                        return Ok(());
                    }
                    self.near.write_all(said).await?;
                }
                _ = there.changed() => {
                    if self.is_marked && !*there.borrow() {
                        return self.hang_up().await;
                    }
                }
            }
        }
    }

    /// Notes the request, if this is one.
    fn fault(&self, said: &[u8]) -> Option<Fault> {
        if !self.is_marked {
            return None;
        }
        let mut desk = self.desk.lock().unwrap();
        let text = desk.by_text.keys().find(|text| has(said, text.as_bytes()));
        let text = text.cloned()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        desk.asked.entry(text.clone()).or_default().push(now);
        desk.by_text.get_mut(&text)?.pop_front()
    }

    /// Whether the connection goes on.
    async fn fail(&mut self, fault: Fault, said: &[u8]) -> std::io::Result<bool> {
        let response = if fault.takes_it_in() {
            self.far.write_all(said).await?;
            self.response().await?
        } else {
            Vec::new()
        };
        match fault {
            Fault::None => self.near.write_all(&response).await?,
            Fault::Slow(pause) => {
                tokio::time::sleep(pause).await;
                self.near.write_all(&response).await?;
            }
            // A constraint of the app's; a lock that somebody holds; no room.
            Fault::Refuse(_) => self.near.write_all(&error("23514")).await?,
            Fault::Busy(_) => self.near.write_all(&error("55P03")).await?,
            Fault::Error(..) => self.near.write_all(&error("53100")).await?,
            Fault::Garbage(_) => {
                self.near.write_all(b"how do you do\r\n").await?;
                self.until_it_leaves().await;
                return Ok(false);
            }
            Fault::Silence(_) => {
                self.until_it_leaves().await;
                return Ok(false);
            }
            Fault::Drip(pause) => {
                for byte in response {
                    self.near.write_all(&[byte]).await?;
                    tokio::time::sleep(pause).await;
                }
            }
            Fault::Cut => {
                self.near.write_all(&response[..response.len() / 2]).await?;
                return Ok(false);
            }
            Fault::Reset(_) => {
                self.near.set_zero_linger()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The whole of the server's: what it has taken in is committed then.
    async fn response(&mut self) -> std::io::Result<Vec<u8>> {
        let mut response = Vec::new();
        while !response.ends_with(READY) {
            if self.far.read_buf(&mut response).await? == 0 {
                break;
            }
        }
        Ok(response)
    }

    /// Ends the connection, and waits until the other side has noticed.
    async fn hang_up(&mut self) -> std::io::Result<()> {
        self.near.shutdown().await?;
        self.until_it_leaves().await;
        Ok(())
    }

    async fn until_it_leaves(&mut self) {
        let mut rest = [0; 4096];
        while self.near.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    }
}

fn has(said: &[u8], text: &[u8]) -> bool {
    said.windows(text.len()).any(|part| part == text)
}

/// An error of the server with this SQLSTATE, and that it is ready again.
fn error(state: &str) -> Vec<u8> {
    let fields = format!("SERROR\0VERROR\0C{state}\0Mno\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
    [b"E", &length[..], fields.as_bytes(), READY].concat()
}
