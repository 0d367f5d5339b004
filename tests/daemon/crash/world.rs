//! A database, a stand-in for Twilio, and one or two instances that are killed and started
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::crash::cluster;
use crate::daemon::{Daemon, own_address, set, until};
use crate::dice::Dice;
use crate::harness::session;
use crate::twilio::{Habits, Twilio};

pub(crate) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub(crate) const AUTH_TOKEN: &str = "feedfacefeedfacefeedfacefeedface";
const FROM: &str = "+15005550006";

/// What kind of world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) instances: usize,
    pub(crate) journal: bool,
    pub(crate) callbacks: bool,
}

impl Kind {
    /// One instance and two, with and without a journal; and one that nobody calls back, so that
    /// only the provider's list settles what its kills leave unconfirmed.
    pub(crate) fn all() -> Vec<Self> {
        let both = [false, true];
        let kinds = [1, 2].into_iter().flat_map(|instances| {
            both.map(|journal| Self {
                instances,
                journal,
                callbacks: true,
            })
        });
        let by_the_list = Self {
            instances: 1,
            journal: false,
            callbacks: false,
        };
        kinds.chain([by_the_list]).collect()
    }

    /// Of these, ones in which each of the three differs.
    pub(crate) fn some() -> Vec<Self> {
        let mut kinds = Self::all();
        kinds.retain(|kind| !kind.callbacks || kind.journal == (kind.instances == 1));
        kinds
    }
}

/// One instance's place: what stays when its process dies.
struct Slot {
    env: Vec<(String, String)>,
    running: Option<(Daemon, Uuid)>,
}

/// What a kill cut off.
#[derive(Clone, Debug)]
pub(crate) struct Kill {
    pub(crate) what: String,
    /// From the world's beginning.
    pub(crate) at: Duration,
    /// The messages it had claimed and had not recorded, and whether they had been asked for
    /// at the provider by then.
    pub(crate) open: BTreeMap<Uuid, bool>,
}

pub(crate) struct World {
    pub(crate) kind: Kind,
    pub(crate) app: Client,
    pub(crate) url: String,
    pub(crate) twilio: Twilio,
    pub(crate) kills: Vec<Kill>,
    pub(crate) began: Instant,
    slots: Vec<Slot>,
    _state: Vec<TempDir>,
}

impl World {
    /// Everything but the instances, which [`Self::up`] starts.
    pub(crate) async fn new(kind: Kind, habits: Habits) -> Self {
        let (url, app) = cluster::database().await;
        Self::over(url, app, kind, habits).await
    }

    /// In a database of somebody else's.
    pub(crate) async fn over(url: String, app: Client, kind: Kind, habits: Habits) -> Self {
        let twilio = Twilio::start(ACCOUNT, AUTH_TOKEN, habits).await;
        let (mut slots, mut state, mut hooks) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..kind.instances {
            let hook = own_address();
            let dir = tempfile::tempdir().unwrap();
            let mut env = environment(&url, &twilio.url());
            if kind.callbacks {
                set(&mut env, "PUNCTUAL_PUBLIC_URL", "http://sms.example");
                set(&mut env, "PUNCTUAL_WEBHOOK_ADDR", &hook);
            }
            if kind.journal {
                let dir = dir.path().to_str().unwrap();
                set(&mut env, "PUNCTUAL_STATE_DIR", dir);
            }
            hooks.push(hook);
            state.push(dir);
            slots.push(Slot { env, running: None });
        }
        twilio.call_back_to(hooks);
        Self {
            kind,
            app,
            url,
            twilio,
            kills: Vec::new(),
            began: Instant::now(),
            slots,
            _state: state,
        }
    }

    /// Somebody else's session.
    pub(crate) async fn session(&self) -> Client {
        session(&self.url.parse().unwrap()).await
    }

    /// Another setting for every instance that starts from now on.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        for slot in &mut self.slots {
            set(&mut slot.env, name, value);
        }
        self
    }

    /// Starts this one, and waits until it is ready.
    pub(crate) async fn start(&mut self, slot: usize) {
        let slot = &mut self.slots[slot];
        assert!(slot.running.is_none());
        let mut daemon = Daemon::start(&slot.env);
        daemon.ready().await;
        let report = daemon.timers("limit=1").await;
        let instance = report["instance"].as_str().unwrap().parse().unwrap();
        slot.running = Some((daemon, instance));
    }

    /// Starts what is not running, and waits until all are ready.
    pub(crate) async fn up(&mut self) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].running.is_none() {
                self.start(slot).await;
            }
        }
    }

    pub(crate) fn daemon(&mut self, slot: usize) -> &mut Daemon {
        &mut self.slots[slot].running.as_mut().unwrap().0
    }

    /// Which instance that is.
    pub(crate) fn slot_of(&self, instance: Uuid) -> Option<usize> {
        let is = |slot: &Slot| slot.running.as_ref().is_some_and(|(_, id)| *id == instance);
        self.slots.iter().position(is)
    }

    /// `kill -9`, and what that cut off.
    pub(crate) async fn kill(&mut self, slot: usize, what: &str) -> &Kill {
        let (mut daemon, instance) = self.slots[slot].running.take().unwrap();
        daemon.signal(Signal::KILL);
        daemon.ended().await;
        let (open, asked) = self.open_of(instance).await;
        let open = open.into_iter().map(|id| (id, asked.contains(&id)));
        let open = open.collect();
        self.kills.push(Kill {
            what: what.to_owned(),
            at: self.began.elapsed(),
            open,
        });
        self.kills.last().unwrap()
    }

    /// What it has claimed and not recorded, and which of that the provider was asked for.
    pub(crate) async fn open(&self, slot: usize) -> (BTreeSet<Uuid>, BTreeSet<Uuid>) {
        let (_, instance) = self.slots[slot].running.as_ref().unwrap();
        self.open_of(*instance).await
    }

    async fn open_of(&self, instance: Uuid) -> (BTreeSet<Uuid>, BTreeSet<Uuid>) {
        let sql = "select a.message_id, m.body
                     from punctual.attempts a
                     join scheduled_messages m on m.id = a.message_id
                    where a.instance = $1 and a.outcome is null";
        let rows = self.app.query(sql, &[&instance]).await.unwrap();
        let book = self.twilio.book();
        let asked = rows
            .iter()
            .filter(|row| !book.text(row.get(1)).asked.is_empty());
        let asked = asked.map(|row| row.get(0)).collect();
        (rows.iter().map(|row| row.get(0)).collect(), asked)
    }

    /// Kills it while it may still be starting: nothing of it is looked at.
    pub(crate) async fn kill_at_start(&mut self, slot: usize, after: Duration) {
        assert!(self.slots[slot].running.is_none());
        let mut daemon = Daemon::start(&self.slots[slot].env);
        tokio::time::sleep(after).await;
        daemon.signal(Signal::KILL);
        daemon.ended().await;
        self.kills.push(Kill {
            what: format!("{after:?} after its start"),
            at: self.began.elapsed(),
            open: BTreeMap::new(),
        });
    }

    /// See [`insert`].
    pub(crate) async fn insert(
        &self,
        n: usize,
        what: &str,
        from: Duration,
        to: Duration,
    ) -> Vec<Row> {
        insert(&self.app, n, what, from, to).await
    }

    pub(crate) async fn insert_one(&self, what: &str, after: Duration) -> Row {
        self.insert(1, what, after, after).await.remove(0)
    }

    /// Waits until somebody has claimed it; which slot that is.
    pub(crate) async fn claimed(&self, id: Uuid) -> usize {
        let sql = "select instance from punctual.attempts
                    where message_id = $1 and outcome is null";
        let claimed = async || self.app.query_opt(sql, &[&id]).await.unwrap();
        let row = until(&format!("{id} is claimed"), claimed).await;
        self.slot_of(row.get(0)).expect("one of ours")
    }

    /// A slot by chance.
    pub(crate) fn any(&self, dice: &mut Dice) -> usize {
        dice.below(self.slots.len())
    }

    /// Asks every instance to stop; each must do so in good order.
    pub(crate) async fn stop(&mut self) -> String {
        let mut said = String::new();
        for slot in &mut self.slots {
            if let Some((daemon, _)) = slot.running.take() {
                said.push_str(&daemon.stop().await);
            }
        }
        said
    }
}

/// Schedules texts, each with an id of its own in it, from so long from now until so long. To
/// somebody else each, more or less, as texts are.
pub(crate) async fn insert(
    app: &Client,
    n: usize,
    what: &str,
    from: Duration,
    to: Duration,
) -> Vec<Row> {
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at)
         select '+1310555' || lpad(floor(random() * 10000)::text, 4, '0'),
                $2 || ' ' || gen_random_uuid(),
                clock_timestamp() + interval '1 s' * ($3::float8 + ($4::float8 - $3::float8) * n / $1)
           from generate_series(1, $1::int) n
         returning id, body";
    let n = i32::try_from(n).unwrap();
    let (from, to) = (from.as_secs_f64(), to.as_secs_f64());
    let rows = app.query(sql, &[&n, &what, &from, &to]).await.unwrap();
    let row = |row: &tokio_postgres::Row| Row {
        id: row.get(0),
        body: row.get(1),
    };
    rows.iter().map(row).collect()
}

/// A text that was scheduled.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) body: String,
}

/// The shortest deadlines that a debug build on a busy machine can keep.
fn environment(url: &str, provider: &str) -> Vec<(String, String)> {
    [
        ("DATABASE_URL", url),
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("TWILIO_API_BASE_URL", provider),
        ("TWILIO_SMS_FROM_NUMBER", FROM),
        ("PUNCTUAL_SEND_TIMEOUT", "1s"),
        ("PUNCTUAL_LEASE", "2050ms"),
        ("PUNCTUAL_LEAD", "50ms"),
        ("PUNCTUAL_MAX_IN_FLIGHT", "16"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
