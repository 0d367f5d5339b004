//! What must hold, looked at after every step. `docs/testing.md` says which invariant each is.

use std::collections::BTreeMap;
use std::fmt;

use punctual::message::{AttemptToken, Channel, MessageId, Moment, Priority, Status};
use punctual::policy::Rule;
use punctual::schedule::{PACE_SLACK, STAGGER};

use crate::model::{Attempt, Row, SENDER, campaign_of, sender_of};
use crate::plan::{BEAT, MS, SECOND, SETTLING, SILENCE, SLOW_IN_CALM, micros, micros_of};
use crate::rates::MOST_IN;
use crate::trouble::Trouble;
use crate::witness::Seen;
use crate::world::{Payload, START, World};

/// In the calm: how long before its time a message must be known to leave on time, and how
/// late "on time" may be: a slow claim, and the hair.
const KNOWN_BEFORE: i64 = 200 * MS;
pub(crate) const ON_TIME: i64 = 120 * MS;
/// What another instance should have claimed is looked at so much later, together with others.
const LOOKED_AT: i64 = 500 * MS;
/// After a pause what is paused is read, then the window, once a sweep that goes on is over.
pub(crate) const RESUMED: i64 = SECOND;
/// Where nothing is heard, or too late, the near sweep finds it.
pub(crate) const SWEPT: i64 = 11 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// 1. No request before its due time, within the published uncertainty.
    NeverEarly,
    /// 3. Whatever is due is sent, or in a named state, once the world is calm.
    NothingMissed,
    /// 4. One open claim for each row, and the row is `sending` by it.
    OneWinner,
    /// 5. A request starts under its own open claim, within the lease.
    Fence,
    /// 7. No request while another may have been accepted, by whichever account.
    NoBlindSecondText,
    /// A message goes by an account of its route, or by the one that it names, and the ledger has it.
    ByItsRoute,
    /// What one account of a route does not take goes by the next at once.
    ByAnother,
    /// After a restore nothing that may have been sent is claimed or started before it is cleared.
    Quarantined,
    /// No request is due within its recipient's quiet hours.
    QuietHours,
    /// Nothing that is paused starts, once its daemon has heard of it, or the time for that is over.
    PausedStays,
    /// The parts of a message leave in order, and none is skipped.
    PartsInOrder,
    /// Requests of a campaign with a pace begin in their slots, and are no closer than its shortest gap, whichever
    /// daemons make them.
    PaceKept,
    /// A message with a pace is not sent later than that is allowed after there was a slot for it.
    TooLate,
    /// What waits for the pace of its campaign has the slot that was foreseen, unless something has happened since.
    Foreseen,
    /// What was forecast of a message a second or so before its claim is what comes of it, unless something has
    /// happened since.
    Forecast,
    /// In any time, the texts of a sender are no more than its burst and its rate allow, whichever daemons send them.
    RateKept,
    /// What may have been sent on a day costs no more than its caps, but for the later parts of messages.
    CapKept,
    /// A cap pauses nothing while there is room for a text.
    PausedWhenReached,
    /// What was not sent is counted no more.
    CountsReturned,
    /// 9. What is sent is what the user last committed.
    LastWord,
    /// 11. Nothing stays in `sending`; a state that needs a reason has one.
    NamedState,
    /// States: no transition that the table does not have.
    Transitions,
    /// In the calm messages leave on time.
    OnTime,
    /// Urgent ones do, however many others are due.
    UrgentOnTime,
    /// Not even while the provider refuses, throttles or holds up other lanes.
    LanesApart,
    /// What the provider slows by its sender or recipient waits alone.
    SlowedAlone,
    /// A lane takes no more than half of the requests that the others leave.
    FairShare,
    /// Lanes that nobody needs are gone.
    LanesFreed,
    /// No full sweep without a cause since the one before.
    SweepCause,
    /// No event of a message is repeated without bound.
    EventsBounded,
    /// Never more at once than was laid down, and each message in one place.
    Bounded,
    /// In the calm what came of a request is soon in the database.
    RecordedSoon,
    /// `next_wakeup` does not ask to be woken for nothing, again and again.
    NoSpinning,
    /// A database that fails is queried again only after a pause.
    NoHammering,
    /// Ready means: heard, and loaded since.
    ReadyIsReady,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) at: i64,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BROKEN {:?}: {}", self.invariant, self.what)
    }
}

impl World {
    /// Before a request leaves.
    pub(crate) fn watch_request(&mut self, slot: usize, payload: &Payload) {
        let id = payload.id();
        let seen = self.early(payload).or_else(|| self.unfenced(payload));
        let seen = seen.or_else(|| self.disturbs(payload));
        let seen = seen.or_else(|| self.breaks_pace(payload));
        let seen = seen.or_else(|| self.breaks_rate(payload));
        let seen = seen.or_else(|| self.breaks_cap(payload));
        let seen = seen.or_else(|| self.too_late(payload));
        let seen = seen.or_else(|| self.unforeseen(payload));
        let is_first = |a: &Attempt| a.part == 0;
        let taken = self.db.slots.get(&payload.token());
        if let Some((pace, _)) = taken.and_then(|taken| taken.campaign)
            && self.db.attempt(payload.token()).is_some_and(is_first)
        {
            self.campaigns.insert(pace, self.t);
        }
        let oldest = self.t - self.pause_span(slot);
        let seen = seen.or_else(|| self.started_in_pause(payload, |paused| paused < oldest));
        let seen = seen.or_else(|| self.astray(payload));
        let seen = seen.or_else(|| self.second_text(payload));
        let seen = seen.or_else(|| self.out_of_order(payload));
        let seen = seen.or_else(|| {
            let row = self.db.rows.get(&id)?;
            (self.text_of(payload) != Some(payload.body())).then(|| {
                let what = format!("{:?} leaves, {:?} stands", payload.body(), row.body);
                (Invariant::LastWord, what)
            })
        });
        if let Some((invariant, what)) = seen.or_else(|| self.late(payload)) {
            let row = id.0.as_u128();
            self.break_down(invariant, format!("row {row} by daemon {slot}: {what}"));
        }
    }

    fn early(&self, payload: &Payload) -> Seen {
        let row = self.db.rows.get(&payload.id())?;
        let early = row.due().micros_from(self.true_now());
        let what = || format!("{early} us before it is due");
        (early > self.plan.uncertainty).then(|| (Invariant::NeverEarly, what()))
    }

    /// With the texts before it, it is more than the sender may send in that time.
    fn breaks_rate(&mut self, payload: &Payload) -> Seen {
        let row = self.db.rows.get(&payload.id())?;
        self.db.rate_of(row)?;
        let Some(slot) = self.db.slots.get(&payload.token()) else {
            return Some((Invariant::RateKept, "it has no slot".to_owned()));
        };
        let off = 2 * self.plan.uncertainty;
        let late = self.db_now().micros_from(slot.at).max(0);
        if late > micros_of(PACE_SLACK) + off {
            let what = format!("{late} us after its slot began");
            return Some((Invariant::RateKept, what));
        }
        // The slots keep the rate. So the requests do, but for how late within their slots some of them began.
        self.texts.push((self.t, late));
        let mut from = self.t;
        for (n, (at, late)) in self.texts.iter().rev().enumerate() {
            from = from.min(at - late);
            let n = i64::try_from(n).unwrap_or(0) + 1;
            let most = self.rates.most(from, self.t, off);
            if n * MOST_IN > most {
                let span = self.t - from;
                let what =
                    format!("{n} texts in {span} us, where {most} of {MOST_IN} parts may go");
                return Some((Invariant::RateKept, what));
            }
        }
        None
    }

    /// It begins outside its slot, or too soon after the one before.
    fn breaks_pace(&self, payload: &Payload) -> Seen {
        let campaign = campaign_of(payload.id())?;
        let pace = self.db.paces.get(&campaign)?;
        // Gaps count from first part to first part.
        let attempt = self.db.attempt(payload.token());
        let attempt = attempt.filter(|a| a.part == 0)?;
        let off = 2 * self.plan.uncertainty;
        let Some(slot) = self.db.slots.get(&payload.token()) else {
            // It may have been claimed before there was a pace.
            let since = self.paced_since.get(&pace.id);
            let is_new = since.is_some_and(|since| attempt.claimed_at <= *since);
            return (!is_new).then(|| (Invariant::PaceKept, "it has no slot".to_owned()));
        };
        // Of the pace that there was when it was claimed, with the gaps that it had.
        let (own, shortest) = slot.campaign?;
        if let Some(before) = self.campaigns.get(&own) {
            let gap = self.t - before;
            if gap < micros_of(shortest) - off {
                return Some((
                    Invariant::PaceKept,
                    format!("{gap} us after the one before"),
                ));
            }
        }
        let after = self.db_now().micros_from(slot.at);
        let slack = micros_of(PACE_SLACK);
        (after < -off || after > slack + off).then(|| {
            (
                Invariant::PaceKept,
                format!("{after} us after its slot began"),
            )
        })
    }

    /// Longer than is allowed ago there was a slot for it, and nothing but an outage has delayed it since.
    fn too_late(&self, payload: &Payload) -> Seen {
        let row = self.db.rows.get(&payload.id())?;
        let slot = self.db.slots.get(&payload.token())?;
        let from = row.late_from().max(slot.open_from);
        let from = from.max(self.db.paused_until(row).unwrap_or(Moment::MIN));
        let late = self.db_now().micros_from(from);
        let allowed = micros_of(self.plan.max_lateness) + micros_of(PACE_SLACK);
        (late > allowed + 2 * self.plan.uncertainty).then(|| {
            let what = format!("{late} us after there was a slot for it");
            (Invariant::TooLate, what)
        })
    }

    /// A pause stops it that was made at a moment for which there is no excuse.
    pub(crate) fn started_in_pause(
        &self,
        payload: &Payload,
        inexcusable: impl Fn(i64) -> bool,
    ) -> Seen {
        let row = self.db.rows.get(&payload.id())?;
        let (message, now) = (row.pausable(), self.db_now());
        let off = micros(self.plan.uncertainty);
        let mut pauses = self.db.pauses.iter();
        let (key, _) = pauses.find(|(key, until)| {
            let made = self.paused_at.get(key).copied().unwrap_or(self.t);
            **until > now + off && message.is_stopped_by(key) && inexcusable(made)
        })?;
        let made = self.paused_at.get(key).copied().unwrap_or(0);
        let what = format!("{key:?} has been paused for {} us", self.t - made);
        Some((Invariant::PausedStays, what))
    }

    /// It is judged by the later of its due time and its claim, and may wait for a place then:
    /// it disturbs if all of that, and the request, are in the quiet hours.
    fn disturbs(&self, payload: &Payload) -> Seen {
        let (start, end) = self.db.quiet_hours_of(payload.id())?;
        // They are judged once a message.
        if payload.part().before > 0 || !Rule::QuietHours.holds(payload.channel()) {
            return None;
        }
        let attempt = self.db.attempt(payload.token())?;
        let claimed = attempt.lease_until - self.plan.settings.lease;
        let off = micros(self.plan.uncertainty);
        let first = payload.due().max(claimed) - off;
        let shown = |at: Moment| at.to_utc().map(|at| at.time());
        // No world lasts until midnight.
        let quiet = |at| shown(at).is_some_and(|at| (start..end).contains(&at));
        let disturbs = quiet(first) && quiet(self.db_now() + off);
        let what = || format!("judged at {first}, quiet from {start} to {end}");
        disturbs.then(|| (Invariant::QuietHours, what()))
    }

    fn unfenced(&self, payload: &Payload) -> Seen {
        let fence = |what: String| Some((Invariant::Fence, what));
        let status = self.db.rows.get(&payload.id()).map(|row| row.status);
        if status != Some(Status::Sending) {
            return fence(format!("its row is {status:?}"));
        }
        let attempt = self.db.attempt(payload.token());
        if attempt.is_none_or(|a| a.outcome.is_some()) {
            return fence("its claim is not open".to_owned());
        }
        // By the clock as it would be: the daemon counts the lease from its request, by its own uptime.
        let Some(lease_until) = self.leases.get(&payload.token()).copied() else {
            return fence("it was not claimed".to_owned());
        };
        let last = lease_until - self.plan.settings.send_timeout;
        if self.true_now() > last {
            let over = self.true_now().micros_from(last);
            return fence(format!("{over} us too late for the lease"));
        }
        None
    }

    fn second_text(&self, payload: &Payload) -> Seen {
        let (id, part) = (payload.id(), payload.part().before);
        let before = self.requests.iter().find(|r| {
            let is_certain = r.known_unaccepted || self.is_same(r, payload);
            r.id == id && r.part == part && !is_certain
        })?;
        let what = format!("another attempt ({}) may have been accepted", before.token);
        Some((Invariant::NoBlindSecondText, what))
    }

    fn late(&self, payload: &Payload) -> Seen {
        let id = payload.id();
        let settled = self.settled_at();
        // In the chaos the database's clock may be ahead by more than all that is left of it.
        if self.true_now() < settled {
            return None;
        }
        let row = self.db.rows.get(&id)?;
        // A cap may have kept it back.
        if self.plan.costs.is_some() && row.channel == Channel::Sms {
            return None;
        }
        // What has a pace may start once there is a slot.
        let slot = self.db.slots.get(&payload.token());
        let due_at = slot.map_or(row.due(), |slot| row.due().max(slot.ready));
        let (due, t) = (due_at.micros_from(START), self.t);
        let mut troubles = self
            .plan
            .troubles
            .iter()
            .filter(|trouble| trouble.excuses(due, t));
        if troubles.clone().any(|trouble| {
            self.is_troubled(payload, trouble) || self.is_held_up(payload.id(), trouble)
        }) {
            return None;
        }
        // Those that do not take it refuse it first, one after the other.
        let passed_over = self.passed_over(id, due)?;
        // What was alone may have taken everything, and has to end first.
        let is_kept = troubles.clone().any(|trouble| trouble.kind.keeps());
        let kept = if is_kept {
            micros_of(self.plan.settings.send_timeout)
        } else {
            0
        };
        let touched = self.db.touched.get(&id).copied().unwrap_or(settled);
        // Of a pause that is over one hears as of any change, and reads everything then.
        let resumed = self.db.paused_until(row);
        let kept = kept + if resumed.is_some() { RESUMED } else { 0 };
        let resumed = resumed.unwrap_or(settled);
        // So one does of another pace, or of none.
        let repaced = campaign_of(id).and_then(|campaign| self.repaced.get(&campaign));
        let rated = self.db.rate_of(row).and_then(|_| self.repaced.get(&SENDER));
        let repaced = repaced.max(rated);
        let kept = kept + if repaced.is_some() { RESUMED } else { 0 };
        let known = touched.max(settled).max(resumed);
        let known = repaced.map_or(known, |repaced| known.max(*repaced));
        let ahead = due_at.micros_from(known);
        let needed = if self.plan.deaf {
            2 * SWEPT
        } else {
            KNOWN_BEFORE + kept
        };
        // An urgent one waits for no other, but for what is under way when it comes.
        let urgent = row.priority == Priority::Urgent;
        let goes_before = |other: &&Row| !urgent || other.priority == Priority::Urgent;
        let beside = self.db.rows.values().filter(goes_before).count();
        let beside = i64::try_from(beside + usize::from(urgent) * 2).unwrap_or(0);
        // Whoever was to claim it may have died, which is known after a while: the next one's turn is later.
        let counted = self.db.members(SILENCE + micros(BEAT), self.db_now());
        let counted = i64::try_from(counted.len().max(self.places())).unwrap_or(1);
        let stand_ins = if counted > 1 {
            counted * micros_of(STAGGER) + LOOKED_AT
        } else {
            0
        };
        let on_time = ON_TIME + self.slowness() + beside * self.plan.queued();
        let on_time = (1 + 2 * passed_over) * on_time + stand_ins;
        let late = if ahead >= needed {
            self.db_now().micros_from(due_at) - on_time
        } else if self.plan.deaf {
            self.db_now().micros_from(known.max(due_at)) - on_time - SWEPT
        } else {
            self.db_now().micros_from(known.max(due_at)) - on_time - needed
        };
        (late > 0).then(|| {
            let late = self.db_now().micros_from(due_at);
            match troubles.next() {
                None if urgent => (
                    Invariant::UrgentOnTime,
                    format!("{late} us late in the calm"),
                ),
                None => (Invariant::OnTime, format!("{late} us late in the calm")),
                Some(trouble) if passed_over > 0 => {
                    let what = format!("{late} us late, as by one account {trouble:?}");
                    (Invariant::ByAnother, what)
                }
                Some(trouble) => {
                    let what = format!("{late} us late, beside {trouble:?}");
                    (Invariant::LanesApart, what)
                }
            }
        })
    }

    /// A pace keeps its order: a message of the same campaign that the trouble concerns holds up this one.
    fn is_held_up(&self, id: MessageId, trouble: &Trouble) -> bool {
        let campaign = campaign_of(id).filter(|campaign| self.db.paces.contains_key(campaign));
        let mut others = self.db.rows.values();
        campaign.is_some()
            && others.any(|row| {
                let from = sender_of(row.id.0.as_u128());
                let mut ways = self.db.routes.ways(&self.db.lane_of(row)).into_iter();
                let concerns = ways.any(|way| trouble.concerns(&way, &from, &row.to));
                campaign_of(row.id) == campaign && concerns
            })
    }

    /// What a slow database that refuses now and then may add: a sweep, a read, its repetition
    /// and a claim, there and back. The near sweep would take longer to find what was lost.
    const fn slowness(&self) -> i64 {
        if self.plan.calm_odds.slow > 0 {
            14 * SLOW_IN_CALM
        } else {
            0
        }
    }

    /// When an outcome is recorded.
    pub(crate) fn watch_record(&mut self, token: AttemptToken) {
        let request = self.requests.iter().find(|r| r.token == token);
        let answered = request.and_then(|r| r.answered_at);
        let settled = self.plan.calm_at + SETTLING;
        if let Some(answered) = answered.filter(|at| *at >= settled) {
            let took = self.t - answered;
            let beside = i64::try_from(self.db.rows.len()).unwrap_or(0);
            // An acceptance waits for others.
            let gather = self.plan.settings.limits.records.gather.as_micros();
            let gather = i64::try_from(gather).unwrap_or(0);
            if took > gather + ON_TIME + self.slowness() + beside * self.plan.recorded() {
                let what = format!("attempt {token}, {took} us after its answer");
                self.break_down(Invariant::RecordedSoon, what);
            }
        }
    }

    /// After every step.
    pub(crate) fn watch_database(&mut self) {
        if let Some(change) = self.db.forbidden.pop() {
            self.break_down(Invariant::Transitions, change);
        }
        // Counted once: this runs after every event.
        let mut open_claims: BTreeMap<MessageId, usize> = BTreeMap::new();
        for attempt in self.db.open_attempts() {
            *open_claims.entry(attempt.message).or_default() += 1;
        }
        let mut broken = None;
        for (id, row) in &self.db.rows {
            let open = open_claims.get(id).copied().unwrap_or_default();
            let should = usize::from(row.status == Status::Sending);
            if open != should {
                let status = row.status.as_str();
                broken = Some((id.0.as_u128(), format!("{status} with {open} open claims")));
            }
        }
        if let Some((row, what)) = broken {
            self.break_down(Invariant::OneWinner, format!("row {row} is {what}"));
        }
    }

    /// At the end of the world.
    pub(crate) fn watch_end(&mut self) {
        let now = self.db_now();
        let mut broken = Vec::new();
        for row in self.db.rows.values() {
            let n = row.id.0.as_u128();
            let due = self
                .db
                .paused_until(row)
                .map_or(row.due(), |end| end.max(row.due()));
            let due = self.db.slot_from(row).map_or(due, |slot| slot.max(due));
            let overdue = now.micros_from(due);
            match row.status {
                Status::Pending if overdue > 15 * SECOND && !self.is_shut_for_ever(row.id) => {
                    let what = format!("row {n} is pending, {overdue} us after its time");
                    broken.push((Invariant::NothingMissed, what));
                }
                Status::Sending if overdue > 15 * SECOND => {
                    broken.push((Invariant::NamedState, format!("row {n} is still sending")));
                }
                Status::Failed | Status::Cancelled | Status::Unconfirmed
                    if row.reason.is_none() =>
                {
                    let what = format!("row {n} is {} without a reason", row.status.as_str());
                    broken.push((Invariant::NamedState, what));
                }
                // Between two parts its user may have marked it.
                Status::Sent if row.sid.is_none() && row.parts_done == 0 && self.asked(row.id) => {
                    let what = format!("row {n} is sent without its proof");
                    broken.push((Invariant::NamedState, what));
                }
                _ => {}
            }
        }
        let ids: Vec<_> = self.db.rows.keys().copied().collect();
        for id in ids {
            if let Some(what) = self.parts_missing(id) {
                broken.push((
                    Invariant::PartsInOrder,
                    format!("row {} is {what}", id.0.as_u128()),
                ));
            }
        }
        broken.extend(self.costs_left());
        for (invariant, what) in broken {
            self.break_down(invariant, what);
        }
    }

    fn asked(&self, id: MessageId) -> bool {
        self.requests
            .iter()
            .any(|r| r.id == id && !r.known_unaccepted)
    }

    /// After each turn of a daemon. `idle`: it woke by itself and did nothing.
    pub(crate) fn watch_instance(&mut self, slot: usize, idle: bool) {
        let now = self.now_of(slot);
        let seen = self.look_at_instance(slot, idle, now);
        if let Some((invariant, what)) = seen {
            self.break_down(invariant, format!("daemon {slot}: {what}"));
        }
    }
}
