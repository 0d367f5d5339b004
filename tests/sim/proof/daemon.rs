//! The daemon of a proof world: its journal, what it recovers at a start, the quarantine after a restore,
//! and its look-ups. What it decides, `punctual::proof` decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use punctual::journal::Past;
use punctual::journal::record::{Contents, JournalLine as Line, Opened};
use punctual::message::{
    AttemptToken, Capabilities, DatabaseId, InDoubt, InstanceId, LaneKey, MessageId, Moment, Part,
    Status,
};
use punctual::proof::look_up::{Recorded, Response, Uncertain};
use punctual::proof::matching::{self, ResendReason, Resolution, SentText, UnconfirmedRow};
use punctual::proof::quarantine::{
    self, Fate, Listing, QuarantinedRow, Reconciliation, StayReason,
};
use punctual::proof::recovery::{Answered, Known, LeftOpen, LogPosition, Recovery, recover};
use punctual::proof::{About, ProviderMessage, ProviderStatus, Report, TextKey};
use punctual::provider::Fetched;
use punctual::settle::{Record, Settlement};
use uuid::Uuid;

use super::ledger::{Attempt, Ledger, MAX_ATTEMPTS, Row};
use super::provider::Provider;
use super::world::Mutant;
use crate::dice::Dice;

/// What the provider of these worlds can do.
const PROVIDER: Capabilities = Capabilities {
    look_up: true,
    receipts: true,
    ..Capabilities::SENDS_ONLY
};

/// How long a claim stands.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// An instance silent for this long may be called dead.
const SILENCE: Duration = Duration::from_secs(20);

/// A journal's file.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) lines: Vec<Line>,
    pub(super) instance: u128,
    pub(super) boot: u32,
    /// So many lines are on the disk; the rest survives the process, and not the machine.
    pub(super) durable: usize,
    /// Everything that it shows is in the database.
    pub(super) done: bool,
}

impl File {
    pub(super) fn begin(
        (instance, boot): (u128, u32),
        is: LogPosition,
        held_before: Option<Moment>,
        open: &[Line],
    ) -> Self {
        let opened = Opened {
            instance: InstanceId(Uuid::from_u128(instance)),
            segment: 0,
            boot: Some(boot.to_string()),
            database: Some(is.database),
        };
        let mut lines = vec![Line::Opened(opened), Line::Reached { bytes: is.reached }];
        lines.extend(held_before.map(|before| Line::Held {
            before_us: before.as_micros(),
        }));
        lines.extend(open.iter().cloned());
        lines.push(Line::Ready);
        Self {
            lines,
            instance,
            boot,
            durable: 0,
            done: false,
        }
    }

    pub(super) fn past(&self) -> Option<Past> {
        Past::of(Contents {
            whole: true,
            records: self.lines.clone(),
        })
    }
}

/// What a daemon has in memory.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) instance: u128,
    pub(super) started: Moment,
    /// Its own file, among the world's.
    pub(super) file: Option<usize>,
    /// The database, if it goes on from where the journals left it.
    pub(super) follows: Option<DatabaseId>,
    pub(super) quarantine: Option<Moment>,
    /// The journals' proofs are to be recorded first.
    pub(super) merge_proofs: bool,
    pub(super) cleared: BTreeSet<MessageId>,
    pub(super) reasons: BTreeMap<MessageId, StayReason>,
    pub(super) next_look: Moment,
    pub(super) looks: u32,
}

/// What a step of the daemon works on.
pub(super) struct Scene<'a> {
    pub(super) ledger: &'a mut Ledger,
    pub(super) provider: &'a Provider,
    pub(super) files: &'a mut Vec<File>,
    pub(super) boot: u32,
    pub(super) policy: InDoubt,
    pub(super) mutant: Option<Mutant>,
    /// By the database's clock.
    pub(super) now: Moment,
    /// In true time.
    pub(super) true_now: i64,
    pub(super) dice: &'a mut Dice,
}

impl Scene<'_> {
    fn list(&self, to: &str, from: Moment) -> Option<Vec<ProviderMessage>> {
        self.provider.list(to, from, self.true_now)
    }

    /// What a look-up with a planted bug searches for, and what it sees of a list.
    fn tamper(&self, shown: &mut Vec<ProviderMessage>, sent: &mut SentText) {
        match self.mutant {
            Some(Mutant::AnyTextIsIt) => {
                for shown in shown {
                    shown.body.clear();
                }
                sent.text = TextKey::of("");
            }
            Some(Mutant::TextOfOtherPart) => sent.text = self.text_of_other_part(sent),
            Some(Mutant::OthersAreIgnored) => {
                shown.retain(|shown| TextKey::of(&shown.body) == sent.text);
            }
            _ => {}
        }
    }
}

impl Scene<'_> {
    /// The first part's, in place of any other.
    fn text_of_other_part(&self, sent: &SentText) -> TextKey {
        let is_of =
            |row: &&Row| (1..row.parts).any(|part| TextKey::of(&row.text(part)) == sent.text);
        let row = self.ledger.rows.values().find(is_of);
        row.map_or(sent.text, |row| TextKey::of(&row.text(0)))
    }
}

impl Daemon {
    /// What is done every second beside sending.
    pub(super) fn maintain(&mut self, scene: &mut Scene<'_>) {
        self.recover(scene);
        if self.merge_proofs {
            self.merge_proofs = false;
            let also_open = scene.mutant != Some(Mutant::OpenPartGoesOn);
            scene.ledger.mark_restored(also_open);
            if scene.mutant != Some(Mutant::NoJournalMerge) {
                merge_proofs(scene);
            }
        }
        if scene.now > self.started + SILENCE {
            scene.ledger.reap(self.instance, scene.now);
        }
        if scene.mutant != Some(Mutant::NoLookUps) {
            look_up(scene);
        }
        if let Some(before) = self.quarantine
            && scene.now >= self.next_look
        {
            self.reconcile(before, scene);
        }
    }

    /// Whether it may not send this one yet.
    pub(super) fn withholds(&self, id: MessageId, due: Moment) -> bool {
        self.quarantine.is_some_and(|before| due < before) && !self.cleared.contains(&id)
    }

    fn recover(&mut self, scene: &mut Scene<'_>) {
        let boot = scene.boot.to_string();
        for n in 0..scene.files.len() {
            let file = &scene.files[n];
            let (instance, here) = (file.instance, file.boot == scene.boot);
            if file.done || instance == self.instance {
                continue;
            }
            let Some(past) = file.past() else {
                continue;
            };
            let may_deny = past.may_deny(Some(&boot), self.follows)
                || scene.mutant == Some(Mutant::DenyAlways);
            for open in left_open(scene.ledger, instance) {
                let known = match past.of_attempt(open.token, may_deny) {
                    Known::Began(_) if scene.mutant == Some(Mutant::BegunIsReleased) => {
                        Known::NeverBegan
                    }
                    known => known,
                };
                match recover::<()>(&open, known, here, scene.now) {
                    Recovery::Release(given) => scene.ledger.release(&given),
                    Recovery::Record(record) => {
                        scene.ledger.record(&record, None, scene.now);
                    }
                    Recovery::Leave => {}
                }
            }
            if scene.now > self.started + SILENCE {
                scene.files[n].done = true;
            }
        }
    }

    /// As `receipt/reconcile.rs` asks, number by number.
    fn reconcile(&mut self, before: Moment, scene: &mut Scene<'_>) {
        self.looks += 1;
        let mut look = Reconciliation::begin(before, scene.now);
        let mut numbers: BTreeMap<String, Vec<QuarantinedRow>> = BTreeMap::new();
        for (id, row) in &scene.ledger.rows {
            if row.status == Status::Pending && row.due() < before {
                numbers
                    .entry(row.to.clone())
                    .or_default()
                    .push(QuarantinedRow {
                        id: *id,
                        to: row.to.clone(),
                        from: None,
                        text: (!row.templated).then(|| TextKey::of(&row.whole())),
                        since: row.created_at.min(row.due()),
                        touched: Some(row.created_at),
                        version: row.version,
                        lane: LaneKey::default(),
                    });
            }
        }
        for rows in numbers.values_mut() {
            rows.sort_by_key(|row| (scene.ledger.rows[&row.id].due(), row.id));
            let rows = look.sort_out(rows, &self.cleared);
            if !rows.is_empty() {
                reconcile_number(&rows, &mut look, scene);
            }
        }
        // `quarantine_parts.sql`.
        for attempt in scene.ledger.attempts.values() {
            let is_open = match attempt.outcome {
                None => true,
                outcome => outcome == Some("unknown") && attempt.next_query_at.is_some(),
            };
            let row = scene.ledger.rows.get(&attempt.message);
            let is_forgotten = scene.mutant == Some(Mutant::OpenPartIsForgotten);
            let has_parts = row.is_some_and(|row| row.parts > 1);
            if is_open && attempt.recovered && has_parts && !is_forgotten {
                look.stays(attempt.message, StayReason::PartOpen);
            }
        }
        self.reasons = std::mem::take(&mut look.reasons);
        if look.is_over() {
            self.quarantine = None;
            self.cleared.clear();
            return;
        }
        self.cleared = look.unsent.iter().copied().chain(look.cleared).collect();
        let pause = Duration::from_secs(30) * (1 << self.looks.min(6));
        let until_proof = matching::ABSENT_AFTER.saturating_sub(look.age);
        self.next_look = scene.now
            + if until_proof.is_zero() {
                pause
            } else {
                pause.min(until_proof)
            };
    }
}

fn left_open(ledger: &Ledger, instance: u128) -> Vec<LeftOpen> {
    let is_left = |a: &Attempt| {
        let unconfirmed = || {
            let row = ledger.rows.get(&a.message);
            row.is_some_and(|row| row.status == Status::Unconfirmed)
        };
        let reaped = a.outcome == Some("unknown") && a.started_at.is_none() && a.sid.is_none();
        a.outcome.is_none() || reaped && unconfirmed()
    };
    let own = ledger
        .attempts
        .iter()
        .filter(|(_, a)| a.instance == instance && is_left(a));
    own.map(|(token, a)| LeftOpen {
        token: *token,
        message: a.message,
        number: a.number,
        in_flight: a.outcome.is_none(),
        attempts_before: ledger
            .rows
            .get(&a.message)
            .map_or(0, |row| (row.attempts - 1).max(0)),
        max_attempts: MAX_ATTEMPTS,
        journal_incomplete: false,
    })
    .collect()
}

fn merge_proofs(scene: &mut Scene<'_>) {
    let pasts: Vec<Past> = scene.files.iter().filter_map(File::past).collect();
    let proofs = pasts
        .iter()
        .flat_map(Past::answers)
        .filter_map(Answered::proof::<()>);
    for record in proofs.collect::<Vec<_>>() {
        scene.ledger.record(&record, None, scene.now);
    }
}

fn reconcile_number(rows: &[QuarantinedRow], look: &mut Reconciliation, scene: &mut Scene<'_>) {
    let since = rows
        .iter()
        .map(|row| row.since)
        .min()
        .unwrap_or(Moment::MIN);
    let to = &rows[0].to;
    let Some(shown) = scene
        .provider
        .list(to, matching::query_from(since), scene.true_now)
    else {
        for row in rows {
            look.stays(row.id, StayReason::NoResponse);
        }
        return;
    };
    let shown = match scene.mutant {
        Some(Mutant::UnknownIsIgnored) => {
            let texts: Vec<TextKey> = rows.iter().filter_map(|row| row.text).collect();
            let is_theirs = |shown: &ProviderMessage| texts.contains(&TextKey::of(&shown.body));
            shown.into_iter().filter(is_theirs).collect()
        }
        _ => shown,
    };
    let mut rivals = BTreeMap::new();
    for text in quarantine::shared_texts(rows, &shown) {
        let sent = SentText {
            to: to.clone(),
            from: None,
            text,
        };
        rivals.insert(text, scene.ledger.rivals(None, &sent));
    }
    let list = Listing {
        shown: &shown,
        whole: true,
        known: scene.ledger.known_sids(),
        rivals,
    };
    let fates: Vec<Fate> = match scene.mutant {
        Some(Mutant::SharedMessage) => rows
            .chunks(1)
            .flat_map(|row| quarantine::fates(row, &list, look.age))
            .collect(),
        _ => quarantine::fates(rows, &list, look.age),
    };
    for (row, fate) in rows.iter().zip(fates) {
        match fate {
            Fate::Stays(reason) => look.stays(row.id, reason),
            Fate::NotSent => look.clears(row.id),
            Fate::Sent { sid, at } => {
                let record = Record::<()> {
                    id: row.id,
                    token: AttemptToken(Uuid::from_u128(u128::from(scene.dice.next()))),
                    settlement: Settlement::Accepted { sid },
                    started: at,
                    finished: at,
                    payload: None,
                    tries: 0,
                    part: Part::ONLY,
                };
                if scene.ledger.record(&record, Some(row.version), scene.now) {
                    look.sent += 1;
                } else {
                    look.stays(row.id, StayReason::Locked);
                }
            }
        }
    }
}

/// As `receipt/look_up/` asks: by the sid what has no final report, by the list what is uncertain.
fn look_up(scene: &mut Scene<'_>) {
    let is_due = |a: &Attempt| a.next_query_at.is_some_and(|at| at <= scene.now);
    let due: Vec<(AttemptToken, Attempt)> = scene
        .ledger
        .attempts
        .iter()
        .filter(|(_, a)| is_due(a))
        .map(|(token, a)| (*token, a.clone()))
        .collect();
    for (token, attempt) in due {
        let since = attempt.finished_at.unwrap_or(attempt.claimed_at);
        let age = scene.now.since(since);
        let (queries, next) = if attempt.outcome == Some("accepted") {
            fetch(token, &attempt, age, scene)
        } else {
            search(token, &attempt, age, scene)
        };
        if let Some(attempt) = scene.ledger.attempts.get_mut(&token)
            && attempt.next_query_at.is_some()
        {
            attempt.queries = queries;
            attempt.next_query_at = next.map(|pause| scene.now + pause);
        }
    }
}

type Next = (u32, Option<Duration>);

fn fetch(token: AttemptToken, attempt: &Attempt, age: Duration, scene: &mut Scene<'_>) -> Next {
    let plan = punctual::schedule::LookUpPlan::UNHEARD;
    let Some(sid) = &attempt.sid else {
        return (attempt.queries, None);
    };
    match scene.provider.fetch(&sid.0, scene.true_now) {
        Fetched::NotNow { .. } => return (attempt.queries, plan.after_failure(age)),
        Fetched::Absent => {}
        Fetched::Found(shown) => {
            if let Some(status) = shown.status {
                report(token, attempt.message, sid.clone(), status, scene);
            }
        }
    }
    (attempt.queries + 1, plan.next(attempt.queries + 1, age))
}

fn search(token: AttemptToken, attempt: &Attempt, age: Duration, scene: &mut Scene<'_>) -> Next {
    let since = attempt.started_at.unwrap_or(attempt.claimed_at);
    let row = scene
        .ledger
        .rows
        .get(&attempt.message)
        .map(|row| UnconfirmedRow {
            status: Some(row.status),
            policy: row.policy,
        });
    let holds = attempt.settled_by.is_none() && scene.ledger.is_latest(token);
    let mut sent = attempt.sent.clone();
    let rivals = match &sent {
        Some(sent) if scene.mutant != Some(Mutant::NoRivals) => {
            scene.ledger.rivals(Some(token), sent)
        }
        _ => Vec::new(),
    };
    let mut shown = None;
    if let Some(sent) = &mut sent {
        shown = scene.list(&sent.to, matching::query_from(since));
        if let Some(shown) = &mut shown {
            scene.tamper(shown, sent);
        }
    }
    let response = match &shown {
        Some(messages) => Response::Listed {
            messages,
            whole: true,
        },
        None if sent.is_none() => Response::NotQueried,
        None => Response::Nothing {
            reason: "silent",
            pause: None,
        },
    };
    let uncertain = Uncertain {
        sent: sent.as_ref(),
        since,
        row: row.as_ref().filter(|_| holds),
        age: if scene.mutant == Some(Mutant::AbsentIsProof) {
            matching::ABSENT_AFTER
        } else {
            age
        },
        responses: attempt.queries,
        superseded: scene.ledger.is_superseded_since_a_restore(token),
    };
    let recorded = Recorded {
        sids: &scene.ledger.known_sids(),
        rivals: &rivals,
    };
    let concluded = uncertain.conclude(response, recorded, scene.policy, &PROVIDER);
    match concluded.resolution {
        Resolution::Adopt(sid) => {
            let of = |shown: &&ProviderMessage| shown.sid == sid;
            let one = shown.iter().flatten().find(of);
            let status = one.and_then(|shown| shown.status.clone());
            let status = status.unwrap_or(ProviderStatus::TAKEN);
            report(token, attempt.message, sid, status, scene);
        }
        Resolution::PutBack(ResendReason::Policy(policy)) => {
            scene.ledger.put_back(token, policy);
        }
        Resolution::PutBack(ResendReason::SameId) | Resolution::Wait => {}
    }
    (concluded.responses, concluded.next)
}

fn report(
    token: AttemptToken,
    message: MessageId,
    sid: punctual::message::ProviderSid,
    status: ProviderStatus,
    scene: &mut Scene<'_>,
) {
    let report = Report {
        lane: LaneKey::default(),
        about: About::Attempt { message, token },
        sid,
        status,
        from: None,
        to: None,
    };
    let reports = [report];
    let located = scene.ledger.locate(&reports);
    let standings = scene.ledger.standings(&located, scene.now);
    let merged = punctual::proof::merge(standings, &located, super::world::ALLOWED);
    scene.ledger.write(&merged, scene.now);
}
