//! The verdict over a world: what its rows say against what the provider knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::crash::world::{Kill, World};
use crate::twilio::Book;

/// A world in which nothing has changed for so long does not change any more: a dead instance is reaped after
/// 20 s of silence, and look-ups that fail are repeated after 30 s. How long all took is printed; on a machine
/// with other load it may take longer than on one without.
const STUCK_AFTER: Duration = Duration::from_secs(45);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(400);

/// So many looks take a minute where a [`probe`] is made after each of them and the machine has nothing else to do.
const LOOKS_A_MINUTE: usize = 120;

/// Reading two clocks one after the other takes a moment.
const SLACK: Duration = Duration::from_micros(200);

/// How a row stands, and what the provider knows of its text.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) id: Uuid,
    status: String,
    reason: Option<String>,
    sid: Option<String>,
    pub(crate) scheduled: Duration,
    pub(crate) asked: Vec<Duration>,
    sids: Vec<String>,
}

impl Standing {
    fn accepted(&self) -> bool {
        !self.sids.is_empty()
    }

    fn said(&self, status: &[&str]) -> bool {
        status.contains(&self.status.as_str())
    }

    /// Why this may not be; `None`: it is well.
    fn wrong(&self) -> Option<&'static str> {
        let by_receipt = self.sid.is_some();
        if self.sids.len() > 1 {
            return Some("sent twice");
        }
        if self.asked.iter().any(|at| *at + SLACK < self.scheduled) {
            return Some("sent early");
        }
        if self.said(&["pending", "sending"]) {
            return Some("lost: it does not come to an end");
        }
        if self.said(&["failed", "cancelled", "unconfirmed"]) && self.reason.is_none() {
            return Some("lost: an end without a reason");
        }
        if self.accepted() && (self.status == "cancelled" || self.status == "failed" && !by_receipt)
        {
            return Some("called unsent, and it was sent");
        }
        if !self.accepted() && self.said(&["sent", "delivered"]) {
            return Some("called sent, and it was not");
        }
        let proof = self.sid.as_ref();
        if proof.is_some_and(|sid| !self.sids.contains(sid)) {
            return Some("its sid is another's");
        }
        None
    }
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) kills: usize,
    pub(crate) rows: usize,
    pub(crate) accepted: usize,
    /// Cut off by a kill.
    pub(crate) open: usize,
    /// Of those: the provider had them, or the journal knows that they never began.
    pub(crate) owed: usize,
    /// Of those: settled by themselves.
    pub(crate) settled: usize,
    /// Of those: within the first looks.
    pub(crate) soon: usize,
    /// Everything that ended `unconfirmed`, with its reason.
    pub(crate) held: usize,
    /// From the last kill until nothing moved any more.
    pub(crate) took: Duration,
    /// What may not be, and how often it was.
    pub(crate) wrong: BTreeMap<&'static str, usize>,
}

impl Verdict {
    pub(crate) fn and(&mut self, other: &Self) {
        self.kills += other.kills;
        self.rows += other.rows;
        self.accepted += other.accepted;
        self.open += other.open;
        self.owed += other.owed;
        self.settled += other.settled;
        self.soon += other.soon;
        self.held += other.held;
        self.took = self.took.max(other.took);
    }

    /// How often this was, which may not be.
    pub(crate) fn count(&self, what: &str) -> usize {
        let of = self.wrong.iter().filter(|(why, _)| why.starts_with(what));
        of.map(|(_, n)| n).sum()
    }

    /// At least 95 of a hundred settle by themselves.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled * 100 >= self.owed * 95
    }

    /// At least 95 of a hundred do so within a minute, by a clock that goes as fast as the machine does: a look ends
    /// when a message that was inserted for it has been sent. See [`probe`].
    pub(crate) fn is_settled_soon(&self) -> bool {
        self.soon * 100 >= self.owed * 95
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} rows, {} accepted; {} cut off, of {} owed {} settled, {} of them soon; {} held; {:.1?}",
            self.kills,
            self.rows,
            self.accepted,
            self.open,
            self.owed,
            self.settled,
            self.soon,
            self.held,
            self.took
        )
    }
}

/// Waits until everything that can settle has, and judges. `name` is what a failure is reported by.
pub(crate) async fn judge(world: &mut World, name: &str) -> Verdict {
    let verdict = weigh(world, name).await;
    assert!(verdict.wrong.is_empty(), "{name}: {:?}", verdict.wrong);
    verdict
}

/// The same, where a message is sent after each look: on a machine with other load fewer looks fit into a minute.
pub(crate) async fn judge_with_probes(world: &mut World, name: &str) -> Verdict {
    let verdict = weigh_at(world, name, async || {
        tokio::time::sleep(LOOK).await;
        probe(world).await;
    })
    .await;
    assert!(verdict.wrong.is_empty(), "{name}: {:?}", verdict.wrong);
    verdict
}

/// A message that is due at once, until the provider has it.
async fn probe(world: &World) {
    let row = world.insert_one("probe", Duration::ZERO).await;
    let asked = |book: &Book| (!book.text(&row.body).asked.is_empty()).then_some(());
    world.twilio.until("the probe is sent", asked).await;
}

/// The same as [`judge`], and goes on if anything is wrong.
pub(crate) async fn weigh(world: &World, name: &str) -> Verdict {
    weigh_at(world, name, async || tokio::time::sleep(LOOK).await).await
}

async fn weigh_at(world: &World, name: &str, pause: impl AsyncFn()) -> Verdict {
    let last = world.kills.last().map_or(world.began.elapsed(), |k| k.at);
    let (mut before, mut changed) = (Vec::new(), world.began.elapsed());
    let (mut looks, mut soon) = (0, 0);
    let (standings, owed) = loop {
        let standings = standings(world).await;
        let owed = owed(world, &standings);
        let statuses: Vec<String> = standings.iter().map(|s| s.status.clone()).collect();
        if statuses != before {
            (before, changed) = (statuses, world.began.elapsed());
        }
        let open = |s: &&Standing| s.said(&["pending", "sending"]);
        let unsettled = standings.iter().filter(|s| is_unsettled(s, &owed)).count();
        if looks < LOOKS_A_MINUTE {
            soon = owed.len() - unsettled;
        }
        looks += 1;
        let done = standings.iter().find(open).is_none() && unsettled == 0;
        if done || world.began.elapsed() > changed + STUCK_AFTER {
            break (standings, owed);
        }
        pause().await;
    };
    let took = world.began.elapsed().saturating_sub(last);
    let mut wrong = BTreeMap::new();
    for standing in &standings {
        let Some(why) = standing.wrong() else {
            continue;
        };
        *wrong.entry(why).or_default() += 1;
        println!(
            "{name}: {why}: {standing:?}\n{}",
            story(world, standing.id).await
        );
    }
    if !wrong.is_empty() {
        for kill in &world.kills {
            println!("{name}: killed at {:.3?}: {}", kill.at, kill.what);
        }
    }
    let unsettled = standings.iter().filter(|s| is_unsettled(s, &owed)).count();
    // Some, for a machine that cannot keep up leaves many.
    for standing in standings.iter().filter(|s| is_unsettled(s, &owed)).take(5) {
        let callbacks = callbacks(world, &standing.sids);
        println!("{name}: not settled by itself: {standing:?}, callbacks {callbacks:?}");
    }
    Verdict {
        kills: world.kills.len(),
        rows: standings.len(),
        accepted: standings.iter().filter(|s| s.accepted()).count(),
        open: world.kills.iter().map(|kill| kill.open.len()).sum(),
        owed: owed.len(),
        settled: owed.len() - unsettled,
        soon,
        held: standings
            .iter()
            .filter(|s| s.said(&["unconfirmed"]))
            .count(),
        took,
        wrong,
    }
}

/// What went back to pending and then met another misfortune was settled before it did.
fn is_unsettled(standing: &Standing, owed: &BTreeSet<Uuid>) -> bool {
    owed.contains(&standing.id)
        && standing.said(&["unconfirmed", "sending", "pending"])
        && (standing.accepted() || standing.asked.is_empty())
}

/// The messages cut off by a kill that must settle by themselves: those the provider has, and
/// those that the journal knows were never begun.
fn owed(world: &World, standings: &[Standing]) -> BTreeSet<Uuid> {
    let accepted: BTreeSet<Uuid> = standings
        .iter()
        .filter(|s| s.accepted())
        .map(|s| s.id)
        .collect();
    let begun = |kill: &Kill| kill.what == "BeforeTheFirstByte";
    let mut owed = BTreeSet::new();
    for kill in &world.kills {
        for (id, asked) in &kill.open {
            let covered = world.kind.journal && !asked && !begun(kill);
            if accepted.contains(id) || covered {
                owed.insert(*id);
            }
        }
    }
    owed
}

/// Every row that is due soon or was, but those the app lets nobody claim.
pub(crate) async fn standings(world: &World) -> Vec<Standing> {
    let sql = "select id, body, status, coalesce(cancel_reason, error_message), twilio_sid,
                      (extract(epoch from scheduled_at) * 1000000)::bigint
                 from scheduled_messages
                where scheduled_at < clock_timestamp() + interval '5 min'
                  and body not like 'poison refused%' and body not like 'probe%'
                order by id";
    let rows = world.app.query(sql, &[]).await.unwrap();
    let book = world.twilio.book();
    let standing = |row: &tokio_postgres::Row| {
        let text = book.text(row.get(1));
        Standing {
            id: row.get(0),
            status: row.get(2),
            reason: row.get(3),
            sid: row.get(4),
            scheduled: Duration::from_micros(row.get::<_, i64>(5).unsigned_abs()),
            asked: text.asked,
            sids: text.sids,
        }
    };
    rows.iter().map(standing).collect()
}

/// The callbacks about these, and how each was answered.
fn callbacks(world: &World, sids: &[String]) -> Vec<(&'static str, Option<u16>)> {
    let book = world.twilio.book();
    let about = book
        .callbacks()
        .iter()
        .filter(|made| sids.contains(&made.sid));
    about.map(|made| (made.status, made.answer)).collect()
}

/// What the ledger has of it.
async fn story(world: &World, id: Uuid) -> String {
    let sql = "select row_to_json(a)::text from punctual.attempts a
                where message_id = $1 order by number";
    let rows = world.app.query(sql, &[&id]).await.unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}
