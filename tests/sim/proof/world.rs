//! One world: what happens in it, and what must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use punctual::journal::record::JournalLine as Line;
use punctual::message::{
    AttemptToken, Category, DatabaseId, Delivery, InDoubt, MessageId, Moment, Outcome, Part,
    ProviderSid, Retry, Scope, Stage, Status,
};
use punctual::proof::merge::{Allowed, Located, Standings};
use punctual::proof::recovery::{Answered, Begun, LogPosition, start};
use punctual::proof::{Report, merge};
use punctual::settle::{AttemptBudget, Record, SendResult, Settlement};
use uuid::Uuid;

use super::daemon::{Daemon, File, LEASE, Scene};
use super::ledger::{Ledger, MAX_ATTEMPTS, Row};
use super::provider::{Provider, Taken};
use crate::dice::Dice;

/// A message later than this is not tried again.
pub(super) const MAX_LATENESS: Duration = Duration::from_secs(3600);

pub(super) const ALLOWED: Allowed = Allowed {
    max_lateness: MAX_LATENESS,
    part_gap: Duration::from_millis(1_500),
    retry_carrier: false,
};

const MS: i64 = 1_000;
const SECOND: i64 = 1_000 * MS;
const MINUTE: i64 = 60 * SECOND;

/// Until then messages are due and misfortunes happen.
const CHAOS: i64 = 3 * MINUTE;

/// Until then everything must have come to its end: the last look-ups are an hour later.
const END: i64 = 150 * MINUTE;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invariant {
    /// No attempt is called not accepted that the provider took.
    NeverCalledUnsent,
    /// No request after another that the provider took, unless that one is known not to have
    /// arrived, or a policy permits it.
    NoBlindSecondText,
    /// What is adopted as a message's proof went to its number with its text.
    ProofIsItsOwn,
    /// At the end every outcome is known, or it is said why it cannot be.
    EveryOutcomeEnds,
    /// A row is `delivered` only if it was.
    DeliveredIsDelivered,
    /// What a callback calls delivered is claimed no more, whatever was reported before.
    ArrivedIsNotRetried,
    /// No part leaves before the provider has taken all before it.
    PartsInOrder,
}

/// A bug planted around the rules, each of which equals one in the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// A journal says what never began whatever has become of machine and database.
    DenyAlways,
    /// What the list does not show is taken for absent at once.
    AbsentIsProof,
    /// After a restore everything goes on.
    NoQuarantine,
    /// The text is not compared.
    AnyTextIsIt,
    /// Nobody asks the provider.
    NoLookUps,
    /// What the journals know to have been sent is not recorded after a restore.
    NoJournalMerge,
    /// Of two reports of how an attempt ended the first stays.
    FirstEndStays,
    /// A message that was delivered can fail.
    DeliveredCanFail,
    /// A failure is retried though the database was restored since.
    RestoredIsRetried,
    /// Other messages to the number do not count against absence.
    OthersAreIgnored,
    /// Other attempts that may have created a listed message do not count.
    NoRivals,
    /// Two rows in quarantine can be one listed message.
    SharedMessage,
    /// An unknown message to the number does not keep a row in quarantine.
    UnknownIsIgnored,
    /// An attempt that may have begun when its process died is released.
    BegunIsReleased,
    /// The report of a part is taken for one of the part after it.
    PartAfterIts,
    /// A part is looked for by another part's text.
    TextOfOtherPart,
    /// A quarantine ends though the outcome of a part is still looked up.
    OpenPartIsForgotten,
    /// A part that was open before a restore is followed by the next one as if there had been none.
    OpenPartGoesOn,
}

/// An invariant that does not hold.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) invariant: Invariant,
    what: String,
    story: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}: {}", self.invariant, self.what)?;
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

/// What has happened, to see that enough does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    requests: u64,
    callbacks: u64,
    crashes: u64,
    restores: u64,
    uncertain: u64,
    adopted: u64,
    cleared: u64,
    arrived_after_all: u64,
    parts: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.callbacks += other.callbacks;
        self.crashes += other.crashes;
        self.restores += other.restores;
        self.uncertain += other.uncertain;
        self.adopted += other.adopted;
        self.cleared += other.cleared;
        self.arrived_after_all += other.arrived_after_all;
        self.parts += other.parts;
    }

    pub(super) fn is_eventful(&self) -> bool {
        [
            self.requests,
            self.callbacks,
            self.crashes,
            self.restores,
            self.uncertain,
            self.adopted,
            self.cleared,
            self.arrived_after_all,
            self.parts,
        ]
        .iter()
        .all(|n| *n > 100)
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// The daemon's second.
    Tick,
    /// The first byte of a request leaves.
    Begin(MessageId, AttemptToken, u128),
    /// The answer comes; `None`: it never does, the time-out does.
    Answered(AttemptToken, u128, Outcome),
    /// It is recorded.
    Record(AttemptToken, u128, Outcome),
    /// A callback comes.
    Callback(Report),
    /// What has come is merged, as a group.
    Merge,
    Crash {
        reboot: bool,
    },
    Start,
    Backup,
    Restore,
    /// A user changes the text.
    Edit(MessageId),
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    message: MessageId,
    attempts_before: i32,
    started: Option<Moment>,
}

/// One world.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) faults: Dice,
    pub(super) now: i64,
    events: BTreeMap<(i64, u64), Event>,
    pub(super) events_ever: u64,
    pub(super) ledger: Ledger,
    pub(super) backup: Option<(Ledger, i64)>,
    /// The database's clock less the true one.
    pub(super) db_offset: i64,
    /// By the database's clock, when a machine last died whose journal lacks what was written last.
    journal_lost_by: Option<i64>,
    pub(super) lineage: LogPosition,
    pub(super) provider: Provider,
    pub(super) daemon: Option<Daemon>,
    /// What the daemon has claimed and not recorded.
    in_flight: BTreeMap<AttemptToken, InFlight>,
    /// The ledger was replaced since.
    pub(super) restored: bool,
    pub(super) files: Vec<File>,
    pub(super) keeps_journal: bool,
    pub(super) boot: u32,
    pub(super) instances: u128,
    pub(super) inbox: Vec<Report>,
    /// What callbacks have reported delivered, as far as the database knows: messages, and which part.
    pub(super) arrived: BTreeSet<(MessageId, i16)>,
    pub(super) policy: InDoubt,
    pub(super) loses_callbacks: u32,
    pub(super) mutant: Option<Mutant>,
    pub(super) tally: Tally,
    pub(super) story: Vec<String>,
}

pub(super) fn message(n: u64) -> MessageId {
    MessageId(Uuid::from_u128(u128::from(n)))
}

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut dice = Dice::new(seed, "proof");
        let policy = dice.pick(&[
            InDoubt::Hold,
            InDoubt::Hold,
            InDoubt::ResendIfAbsent,
            InDoubt::Resend,
        ]);
        let database = DatabaseId {
            system: 7,
            timeline: 1,
            database: 5,
        };
        let keeps_journal = dice.chance(700);
        let mut world = Self {
            faults: Dice::new(seed, "proof faults"),
            now: 0,
            events: BTreeMap::new(),
            events_ever: 0,
            ledger: Ledger::default(),
            backup: None,
            db_offset: 0,
            journal_lost_by: None,
            lineage: LogPosition {
                database,
                reached: 0,
            },
            provider: Provider {
                offset: dice.between(-SECOND, SECOND),
                ..Provider::default()
            },
            daemon: None,
            in_flight: BTreeMap::new(),
            restored: false,
            files: Vec::new(),
            keeps_journal,
            boot: 1,
            instances: 0,
            inbox: Vec::new(),
            arrived: BTreeSet::new(),
            policy,
            loses_callbacks: dice.pick(&[0, 100, 500, 1_000]),
            mutant,
            tally: Tally::default(),
            story: Vec::new(),
            dice,
        };
        world.draw();
        world
    }

    fn draw(&mut self) {
        let numbers = ["+12025550101", "+12025550102"];
        let texts = ["a", "b", "c", "d", "e", "f"];
        let messages = self.dice.between(2, 6);
        for n in 0..messages {
            let at = self.dice.between(10 * SECOND, CHAOS - 60 * SECOND);
            let own = self.dice.chance(200);
            let row = Row {
                to: self.dice.pick(&numbers).to_owned(),
                body: self.dice.pick(&texts).to_owned(),
                parts: self.dice.pick(&[1, 1, 2, 3]),
                parts_done: 0,
                templated: self.dice.chance(150),
                scheduled_at: Moment::from_micros(at),
                next_attempt_at: None,
                created_at: Moment::from_micros(-MINUTE),
                status: Status::Pending,
                sid: None,
                sent_at: None,
                attempts: 0,
                version: 0,
                policy: own.then_some(InDoubt::ResendIfAbsent),
            };
            self.ledger.rows.insert(message(n.unsigned_abs() + 1), row);
            if self.dice.chance(200) {
                let at = self.dice.between(SECOND, at);
                self.at(at, Event::Edit(message(n.unsigned_abs() + 1)));
            }
        }
        self.at(0, Event::Start);
        for _ in 0..self.faults.below(3) {
            let at = self.faults.between(10 * SECOND, CHAOS);
            let reboot = self.faults.chance(300);
            self.at(at, Event::Crash { reboot });
        }
        // Without a journal nobody notices a restore: the documents say so.
        if self.keeps_journal && self.faults.chance(500) {
            let backup = self.faults.between(0, CHAOS - 30 * SECOND);
            let restore = self.faults.between(backup + SECOND, CHAOS);
            self.at(backup, Event::Backup);
            self.at(restore, Event::Restore);
        }
        if self.faults.chance(150) {
            self.provider.redacts = (self.faults.chance(500), self.faults.chance(500));
        }
        if self.faults.chance(200) {
            self.provider.silent_until = self.faults.between(0, CHAOS);
        }
        for n in 0..END / SECOND {
            // The calm needs fewer looks.
            if n < 2 * CHAOS / SECOND || n % 10 == 0 {
                self.at(n * SECOND, Event::Tick);
            }
        }
    }

    fn at(&mut self, at: i64, event: Event) {
        self.events_ever += 1;
        self.events.insert((at, self.events_ever), event);
    }

    fn note(&mut self, what: impl fmt::Display) {
        let (seconds, ms) = (self.now / SECOND, self.now % SECOND / MS);
        self.story.push(format!("{seconds:5}.{ms:03} {what}"));
    }

    pub(super) fn db_now(&self) -> Moment {
        Moment::from_micros(self.now + self.db_offset)
    }

    pub(super) fn run(mut self) -> Result<Tally, Broken> {
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = at;
            self.happens(event)?;
            self.check()?;
        }
        self.check_end()?;
        Ok(self.tally)
    }

    fn happens(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Tick => self.tick()?,
            Event::Begin(id, token, instance) => self.begin(id, token, instance)?,
            Event::Answered(token, instance, outcome) => self.answered(token, instance, outcome),
            Event::Record(token, instance, outcome) => self.record(token, instance, outcome),
            Event::Callback(report) => self.callback(report),
            Event::Merge => self.merge(),
            Event::Crash { reboot } => self.crash(reboot),
            Event::Start => self.start(),
            Event::Backup => {
                self.note("backup");
                self.backup = Some((self.ledger.clone(), self.lineage.reached));
            }
            Event::Restore => self.restore(),
            Event::Edit(id) => {
                if let Some(row) = self.ledger.rows.get_mut(&id)
                    && row.status == Status::Pending
                    && row.parts_done == 0
                {
                    row.body.push_str(" edited");
                    row.version += 1;
                    self.note(format_args!("{} is edited", name(id)));
                }
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Broken> {
        let (db_now, now, calm) = (self.db_now(), self.now, self.now > CHAOS);
        self.lineage.reached += 1;
        let Some(mut daemon) = self.daemon.take() else {
            // The calm has a daemon.
            if calm {
                self.start();
            }
            return Ok(());
        };
        let adopted =
            |ledger: &Ledger| ledger.attempts.values().filter(|a| a.sid.is_some()).count();
        let before = adopted(&self.ledger);
        daemon.maintain(&mut Scene {
            ledger: &mut self.ledger,
            provider: &self.provider,
            files: &mut self.files,
            boot: self.boot,
            policy: self.policy,
            mutant: self.mutant,
            now: db_now,
            true_now: now,
            dice: &mut self.dice,
        });
        self.tally.adopted += (adopted(&self.ledger) - before) as u64;
        self.tally.cleared += daemon.cleared.len() as u64;
        self.orphaned_claims(daemon.instance);
        let claimed = self.claim(&daemon);
        self.daemon = Some(daemon);
        self.note_reached();
        claimed
    }

    /// Open claims of this instance that it does not know: after a restore they may have been recorded.
    fn orphaned_claims(&mut self, instance: u128) {
        let now = self.db_now();
        let is_orphan = |token: &AttemptToken| !self.in_flight.contains_key(token);
        let orphans: Vec<(AttemptToken, MessageId)> = self
            .ledger
            .attempts
            .iter()
            .filter(|(token, a)| {
                a.outcome.is_none()
                    && a.instance == instance
                    && a.lease_until < now
                    && is_orphan(token)
            })
            .map(|(token, a)| (*token, a.message))
            .collect();
        for (token, id) in orphans {
            let settlement = if self.restored {
                Settlement::uncertain("the database lost the outcome of the request".into())
            } else {
                Settlement::returned("never began")
            };
            self.write(token, id, settlement, None);
        }
    }

    fn write(
        &mut self,
        token: AttemptToken,
        id: MessageId,
        settlement: Settlement,
        started: Option<Moment>,
    ) {
        let now = self.db_now();
        let part = self.part_of(id, token);
        let record = Record::<()> {
            id,
            token,
            settlement,
            started,
            finished: Some(now),
            payload: None,
            tries: 0,
            part,
        };
        self.ledger.record(&record, None, now);
    }

    /// Which part an attempt sends, by the ledger or, if that has lost it, by the journal.
    fn part_of(&self, id: MessageId, token: AttemptToken) -> Part {
        let of = self.ledger.rows.get(&id).map_or(1, |row| row.parts);
        let known = self.ledger.attempts.get(&token).map(|a| a.part);
        let lines = self.files.iter().flat_map(|file| &file.lines);
        let noted = || {
            lines.clone().find_map(|line| match line {
                Line::Began(begun) if begun.token == token => Some(begun.part.before),
                _ => None,
            })
        };
        let before = known.or_else(noted).unwrap_or(0);
        Part { before, of }
    }

    fn claim(&mut self, daemon: &Daemon) -> Result<(), Broken> {
        let now = self.db_now();
        let withheld = |id: MessageId, due: Moment| {
            self.mutant != Some(Mutant::NoQuarantine) && daemon.withholds(id, due)
        };
        let due: Vec<MessageId> = self
            .ledger
            .rows
            .iter()
            .filter(|(id, row)| {
                row.status == Status::Pending && row.due() <= now && !withheld(**id, row.due())
            })
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.check_arrived(id)?;
            let token = AttemptToken(Uuid::from_u128(u128::from(self.dice.next())));
            let attempts = self.ledger.rows[&id].attempts;
            self.ledger.claim(id, token, daemon.instance, LEASE, now);
            let claimed = InFlight {
                message: id,
                attempts_before: attempts,
                started: None,
            };
            self.in_flight.insert(token, claimed);
            let begin = self.now + self.dice.between(MS, 300 * MS);
            self.at(begin, Event::Begin(id, token, daemon.instance));
            self.note(format_args!("{} is claimed", name(id)));
        }
        Ok(())
    }

    fn is_alive(&self, instance: u128) -> bool {
        self.daemon
            .as_ref()
            .is_some_and(|daemon| daemon.instance == instance)
    }

    fn append(&mut self, line: Line) {
        let file = self.daemon.as_ref().and_then(|daemon| daemon.file);
        if let Some(file) = file.and_then(|n| self.files.get_mut(n)) {
            file.lines.push(line);
        }
    }

    fn note_reached(&mut self) {
        let bytes = self.lineage.reached;
        let file = self.daemon.as_ref().and_then(|daemon| daemon.file);
        if let Some(file) = file.and_then(|n| self.files.get_mut(n)) {
            match file.lines.last_mut() {
                Some(Line::Reached { bytes: last }) => *last = bytes,
                _ => file.lines.push(Line::Reached { bytes }),
            }
        }
    }

    fn begin(&mut self, id: MessageId, token: AttemptToken, instance: u128) -> Result<(), Broken> {
        // Released, or its process is dead.
        if !self.is_alive(instance) || !self.in_flight.contains_key(&token) {
            return Ok(());
        }
        let started = self.db_now();
        if let Some(claimed) = self.in_flight.get_mut(&token) {
            claimed.started = Some(started);
        }
        let part = self.part_of(id, token);
        let row = &self.ledger.rows[&id];
        let (to, body) = (row.to.clone(), row.text(part.before));
        let body = if row.templated {
            format!("{body} rendered")
        } else {
            body
        };
        self.append(Line::Began(Begun {
            token,
            message: id,
            expires_us: self.db_now().as_micros() + 3_600 * SECOND,
            at_us: self.db_now().as_micros(),
            part,
        }));
        // The process may die between the journal's line and the first byte.
        if self.faults.chance(20) {
            self.crash(false);
            return Ok(());
        }
        self.tally.requests += 1;
        self.tally.parts += u64::from(part.before > 0);
        self.check_order(id, part.before)?;
        self.check_second(id, part.before)?;
        let accepts = self.dice.chance(700);
        if accepts {
            let n = self.provider.taken.len() + 1;
            let which = (id, part.before, token);
            let sent = Taken::new(which, (&to, &body), n, self.now, &mut self.dice);
            self.note(format_args!("{} is taken as {}", name(id), sent.sid.0));
            self.draw_callbacks(&sent);
            self.provider.taken.push(sent);
        } else {
            self.note(format_args!("{} is not taken", name(id)));
        }
        let outcome = self.draw_outcome(accepts);
        let uncertain = matches!(outcome, Outcome::Unknown { .. });
        self.tally.uncertain += u64::from(uncertain);
        let answer = if uncertain {
            10 * SECOND
        } else {
            self.dice.between(MS, 400 * MS)
        };
        self.at(self.now + answer, Event::Answered(token, instance, outcome));
        Ok(())
    }

    fn draw_outcome(&mut self, taken: bool) -> Outcome {
        let lost = self.faults.chance(250);
        match (taken, lost) {
            (_, true) => Outcome::Unknown {
                reason: "time-out".into(),
            },
            (true, false) => Outcome::Accepted {
                sid: ProviderSid(format!("S{}", self.provider.taken.len())),
            },
            (false, false) => match self.dice.below(3) {
                0 => Outcome::Unsent {
                    reason: "no connection".into(),
                },
                1 => Outcome::Throttled {
                    retry_after: None,
                    code: None,
                    scope: Scope::Account,
                    hold: None,
                },
                _ => Outcome::Refused {
                    code: None,
                    category: Category::Content,
                    text: "refused".into(),
                    retry: Retry::No,
                },
            },
        }
    }

    fn draw_callbacks(&mut self, taken: &Taken) {
        for (at, delivery) in &taken.course {
            for _ in 0..=usize::from(self.faults.chance(150)) {
                if self.faults.chance(self.loses_callbacks) {
                    continue;
                }
                // Late enough to come in another order.
                let late = match self.faults.below(4) {
                    0 => self.faults.between(0, 90 * SECOND),
                    _ => self.faults.between(0, 300 * MS),
                };
                self.at(at + late, Event::Callback(taken.report(*delivery)));
            }
        }
    }

    fn answered(&mut self, token: AttemptToken, instance: u128, outcome: Outcome) {
        if !self.is_alive(instance) {
            return;
        }
        let begun = self
            .files
            .iter()
            .flat_map(|file| &file.lines)
            .find_map(|line| match line {
                Line::Began(begun) if begun.token == token => Some(*begun),
                _ => None,
            });
        if let Some(to) = begun {
            self.append(Line::Answered(Answered {
                to,
                outcome: outcome.clone(),
                at_us: self.db_now().as_micros(),
            }));
        }
        let record = self.now + self.faults.between(MS, 200 * MS);
        self.at(record, Event::Record(token, instance, outcome));
    }

    fn record(&mut self, token: AttemptToken, instance: u128, outcome: Outcome) {
        if !self.is_alive(instance) {
            return;
        }
        let Some(claimed) = self.in_flight.remove(&token) else {
            return;
        };
        let now = self.db_now();
        let answer = SendResult {
            outcome,
            started: claimed.started,
            finished: now,
        };
        let tries = AttemptBudget {
            number: claimed.attempts_before + 1,
            before: claimed.attempts_before,
            max: MAX_ATTEMPTS,
            expires: now + MAX_LATENESS,
        };
        let settlement = Settlement::of(answer, claimed.message, tries);
        self.write(token, claimed.message, settlement, claimed.started);
    }

    fn callback(&mut self, report: Report) {
        // Nobody is there to hear it, and it does not come again.
        if self.daemon.is_none() {
            return;
        }
        self.tally.callbacks += 1;
        if self.inbox.is_empty() {
            let soon = self.now + self.faults.between(0, 50 * MS);
            self.at(soon, Event::Merge);
        }
        self.inbox.push(report);
    }

    fn merge(&mut self) {
        let reports = std::mem::take(&mut self.inbox);
        if self.daemon.is_none() {
            return;
        }
        let mut located = self.ledger.locate(&reports);
        let delivered =
            |located: &Located<'_>| located.report.status.delivery == Delivery::Delivered;
        let arrived = located.iter().filter(|located| delivered(located));
        let attempts = &self.ledger.attempts;
        let which = |located: &Located<'_>| (located.message, attempts[&located.token].part);
        self.arrived.extend(arrived.map(which));
        if self.mutant == Some(Mutant::FirstEndStays) {
            let attempts = &self.ledger.attempts;
            let has_failed = |located: &Located<'_>| {
                attempts[&located.token]
                    .stage
                    .is_some_and(Stage::is_failure)
            };
            located.retain(|located| !(delivered(located) && has_failed(located)));
        }
        let mut standings = self.ledger.standings(&located, self.db_now());
        self.tamper(&mut standings);
        let merged = merge(standings, &located, ALLOWED);
        let after_all = merged.attempts.values().filter(|w| w.arrived_after_all);
        self.tally.arrived_after_all += after_all.count() as u64;
        self.ledger.write(&merged, self.db_now());
        let lines: Vec<String> = located
            .iter()
            .zip(&merged.changes)
            .map(|(located, change)| {
                let stage = located.report.status.delivery.stage();
                format!(
                    "{} {} {stage:?}: {change:?}",
                    name(located.message),
                    located.report.sid.0
                )
            })
            .collect();
        for line in lines {
            self.note(line);
        }
    }

    /// What a merge with a planted bug sees.
    fn tamper(&self, standings: &mut Standings) {
        for standing in standings.messages.values_mut() {
            match self.mutant {
                Some(Mutant::DeliveredCanFail) => {
                    for attempt in standing.attempts.values_mut() {
                        attempt.stage = attempt.stage.filter(|stage| *stage != Stage::Delivered);
                    }
                    if let Some(row) = &mut standing.row
                        && row.status == Status::Delivered
                    {
                        row.status = Status::Sent;
                    }
                }
                Some(Mutant::RestoredIsRetried) => {
                    for attempt in standing.attempts.values_mut() {
                        attempt.recovered = false;
                    }
                }
                Some(Mutant::PartAfterIts) => {
                    let parts = standing.row.as_ref().map_or(1, |row| row.parts.len());
                    for attempt in standing.attempts.values_mut() {
                        let after = usize::try_from(attempt.part + 1).unwrap_or(parts);
                        attempt.part += i16::from(after < parts);
                    }
                }
                _ => {}
            }
        }
    }

    fn crash(&mut self, reboot: bool) {
        if self.daemon.take().is_none() {
            return;
        }
        self.tally.crashes += 1;
        self.note(if reboot {
            "the machine dies"
        } else {
            "the daemon dies"
        });
        self.in_flight.clear();
        if reboot {
            self.boot += 1;
            // What was written last was not on the disk yet.
            while let Some(file) = self.files.last_mut() {
                let lost = self.faults.below(4);
                let keep = file.lines.len().saturating_sub(lost).max(file.durable);
                if keep < file.lines.len() {
                    self.journal_lost_by = Some(self.now + self.db_offset);
                }
                file.lines.truncate(keep);
                // A file without its beginning never came to be one.
                if file.durable > 0 || file.past().is_some() {
                    break;
                }
                self.files.pop();
            }
        }
        let back = self.now + self.faults.between(100 * MS, 40 * SECOND);
        self.at(back, Event::Start);
    }

    fn start(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        self.instances += 1;
        let (instance, now) = (self.instances, self.db_now());
        let seen = self
            .files
            .last()
            .and_then(File::past)
            .map(|past| past.last_seen());
        let is = self.keeps_journal.then_some(self.lineage);
        let found = start(seen, is, false, now);
        let file = self.keeps_journal.then(|| {
            let whose = (instance, self.boot);
            let mut file = File::begin(whose, self.lineage, found.quarantine_before, &[]);
            file.durable = file.lines.len();
            self.files.push(file);
            self.files.len() - 1
        });
        self.restored |= found.moved;
        self.note(format_args!(
            "a daemon starts, quarantine before {:?}",
            found.quarantine_before
        ));
        self.daemon = Some(Daemon {
            instance,
            started: now,
            file,
            follows: is.map(|is| is.database).filter(|_| !found.moved),
            quarantine: found.quarantine_before,
            merge_proofs: found.merge_proofs,
            cleared: BTreeSet::new(),
            reasons: BTreeMap::new(),
            next_look: now,
            looks: 0,
        });
    }

    fn restore(&mut self) {
        let Some((ledger, reached)) = self.backup.take() else {
            return;
        };
        self.tally.restores += 1;
        self.ledger = ledger;
        self.arrived.clear();
        // In place, or by a standby that takes over. That an older database is found in place of the
        // newer one by a daemon that starts later, whose log has grown beyond by then, nothing in a
        // journal can show (`docs/reliability.md`).
        self.lineage.reached = reached;
        if self.daemon.is_none() || self.faults.chance(500) {
            self.lineage.database.timeline += 1;
        }
        let was = self.db_now();
        if self.faults.chance(400) {
            let offset = self.faults.between(-40 * SECOND, 40 * SECOND);
            // A clock behind the death of a machine whose journal lacks its last requests: nothing shows that these
            // were due (`docs/restore.md`).
            if self
                .journal_lost_by
                .is_none_or(|by| self.now + offset >= by)
            {
                self.db_offset = offset;
            }
        }
        let offset = self.db_offset;
        self.note(format_args!("an older database, its clock {offset} us off"));
        let is = self.db_now();
        let position = self.lineage;
        if let Some(daemon) = &mut self.daemon {
            // Its clock is the lost database's: no session of another lineage is used before, also not to
            // measure the time.
            let now = was;
            let latest = daemon
                .file
                .and_then(|n| self.files[n].past())
                .map(|past| past.last_seen());
            let before =
                punctual::proof::recovery::quarantine_before(now, latest.and_then(|l| l.latest));
            daemon.quarantine = Some(before);
            daemon.merge_proofs = true;
            daemon.cleared.clear();
            daemon.next_look = is;
            daemon.looks = 0;
            daemon.follows = None;
            self.restored = true;
            if let Some(file) = daemon.file.and_then(|n| self.files.get_mut(n)) {
                file.lines.push(Line::Held {
                    before_us: before.as_micros(),
                });
            }
            // What is claimed and has not begun is released; what has begun goes on.
            let begun: BTreeSet<AttemptToken> = self
                .files
                .iter()
                .flat_map(|file| &file.lines)
                .filter_map(|line| match line {
                    Line::Began(begun) => Some(begun.token),
                    _ => None,
                })
                .collect();
            self.in_flight.retain(|token, _| begun.contains(token));
            // Its next file is of the database as it is now.
            let instance = daemon.instance;
            let mut open = Vec::new();
            if let Some(file) = daemon.file.and_then(|n| self.files.get_mut(n)) {
                let requests = |line: &&Line| matches!(line, Line::Began(_) | Line::Answered(_));
                open.extend(file.lines.iter().filter(requests).cloned());
                file.lines.push(Line::Continued);
            }
            let next = File::begin((instance, self.boot), position, Some(before), &open);
            self.files.push(next);
            if let Some(daemon) = &mut self.daemon {
                daemon.file = Some(self.files.len() - 1);
            }
        }
    }

    pub(super) fn broken(&self, invariant: Invariant, what: String) -> Broken {
        Broken {
            invariant,
            what,
            story: self.story.clone(),
        }
    }
}

pub(super) fn name(id: MessageId) -> String {
    format!("m{}", id.0.as_u128())
}
