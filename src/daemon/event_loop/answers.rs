//! Replies to questions from HTTP.

use std::time::Duration;

use super::EventLoop;
use crate::daemon::database_clock;
use crate::http::Question;
use crate::journal::Condition;
use crate::message::{MessageId, Now, counted};
use crate::reactor::report::{
    ClockReport, JournalReport, ListenerReport, Missing, Overview, Readiness, Remark,
    RestoreReport, TimersQuery, TimersReport,
};

/// The kind of what concerns the journal.
const JOURNAL: &str = "journal";

impl EventLoop {
    pub(super) fn answer(&mut self, question: Question, now: Now) {
        match question {
            Question::Ready { reply } => {
                let _ = reply.send(self.readiness(now));
            }
            Question::Timers { query, reply } => {
                let report = self.report(query, now);
                let backlog = self.backlog.clone();
                self.tasks.spawn(async move {
                    backlog.answer(report, reply, now.up).await;
                    None
                });
            }
            Question::Overview { timers, reply } => {
                let overview = self.overview(timers, now);
                let backlog = self.backlog.clone();
                self.tasks.spawn(async move {
                    backlog.answer_overview(overview, reply, now.up).await;
                    None
                });
            }
        }
    }

    /// By the reactor's state, which does not include why the channel is down.
    pub(super) fn readiness(&self, now: Now) -> Readiness {
        let mut readiness = self.reactor.readiness();
        let mut remark = |kind, text| readiness.remarks.push(Remark { kind, text });
        let paused = self.reactor.pauses(now).len();
        if paused > 0 {
            let text = format!(
                "messages are paused, by {}: `punctual pauses` shows which, until when and why",
                counted(paused, "pause", "pauses")
            );
            remark("paused", text);
        }
        if let Some(text) = self.reactor.late_claims() {
            remark("slow_claims", text);
        }
        let refused = self.reactor.breaker(now);
        if let (Some(since), Some(next)) = (refused.since, refused.next_probe_at) {
            let text = format!(
                "the provider has refused an account since {since} ({}): its messages wait; the next one is tried at {next}",
                refused.category.unwrap_or_default().replace('_', " ")
            );
            remark("breaker", text);
        }
        let outdated = self.dispatch.store.outdated_instances();
        if outdated > 0 {
            let text = format!(
                "{} a version that is too old for the schema: the database refuses its claims. Stop {}",
                counted(outdated, "other instance runs", "other instances run"),
                if outdated == 1 { "it" } else { "them" }
            );
            remark("outdated", text);
        }
        if let Some(every) = self.dispatch.limits.daemon.channel.poll_every {
            remark(Remark::POLLED, polled(every));
        }
        readiness.remarks.extend(self.feed_remark());
        for missing in &mut readiness.missing {
            if *missing == Missing::Channel && self.cut_off {
                *missing = Missing::Connection;
            }
            if let (Missing::Clock, Some(by)) = (&*missing, self.dispatch.clock.disputed()) {
                *missing = Missing::ClockDisputed(database_clock::disputed(by));
            }
        }
        let (missing, remarks) = self.shared.health.reasons();
        readiness
            .missing
            .extend(missing.into_iter().map(Missing::Sending));
        readiness.remarks.extend(remarks);
        match self.journal_condition() {
            None | Some(Condition::Complete) => {}
            Some(Condition::Incomplete(reason)) => readiness.remarks.push(Remark {
                kind: JOURNAL,
                text: format!(
                    "the journal cannot be written ({reason}): messages being sent when this process dies \
                     become unconfirmed; free the disk or restore the directory"
                ),
            }),
            Some(Condition::Blocking(reason)) => readiness.missing.push(Missing::Sending(Remark {
                kind: JOURNAL,
                text: format!(
                    "the journal can be neither written nor removed ({reason}), and the database has not noted that \
                     yet, so nothing is sent: make its directory writable"
                ),
            })),
        }
        readiness
    }

    pub(super) fn journal_condition(&self) -> Option<Condition> {
        let journal = self.dispatch.journal.as_ref();
        journal.map(|journal| journal.condition())
    }

    fn journal(&self) -> Option<JournalReport> {
        let journal = self.dispatch.journal.as_ref()?;
        let reason = match journal.condition() {
            Condition::Complete => None,
            Condition::Incomplete(reason) | Condition::Blocking(reason) => Some(reason),
        };
        Some(JournalReport {
            path: journal.path().display().to_string(),
            writable: reason.is_none(),
            reason,
        })
    }

    fn overview(&self, timers: usize, now: Now) -> Overview {
        let query = TimersQuery {
            limit: timers,
            before: None,
            id: None,
        };
        Overview {
            timers: self.report(query, now),
            missing: self.readiness(now).missing,
            density: self.reactor.density(now),
            load: self.reactor.load(now),
            database: self.dispatch.store.pool_report(),
        }
    }

    fn restore(&self, id: Option<MessageId>) -> RestoreReport {
        let left = self.shared.left.borrow();
        let left = left.as_ref();
        let reason = id.and_then(|id| left?.reasons.get(&id));
        RestoreReport {
            held: left.map(|left| left.rows as u64),
            reason: reason.map(|why| why.as_str()),
            ..self.reactor.restore()
        }
    }

    fn report(&self, query: TimersQuery, now: Now) -> TimersReport {
        let estimate = self.dispatch.clock.estimate();
        TimersReport {
            now: now.db,
            instance: self.instance,
            ready: self.readiness(now).is_ready(),
            clock: ClockReport {
                offset_us: estimate.map(|(offset, _)| offset),
                uncertainty_us: estimate.map(|(_, uncertainty)| uncertainty.unsigned_abs()),
            },
            listener: ListenerReport {
                resyncs: self.reactor.resyncs(),
                ..self.listener
            },
            window: self.reactor.window(),
            breaker: self.reactor.breaker(now),
            lanes: self.reactor.lanes(now),
            slowed: self.reactor.slowed(),
            pauses: self.reactor.pauses(now),
            paces: self.reactor.paces(),
            restore: self.restore(query.id),
            journal: self.journal(),
            lead_us: self.reactor.lead_us(),
            lateness_us: self.reactor.lateness_report(),
            wheel: self.reactor.wheel(),
            timers: self.reactor.timers(query, self.instance, now),
        }
    }
}

/// What it costs that nothing notifies of changes.
fn polled(every: Duration) -> String {
    format!(
        "{}, every {every:?}: what is scheduled, moved or cancelled is found within that, and what is due sooner is late \
         by up to that; each statement is sent and planned with each use (PUNCTUAL_CHANGES=poll)",
        Remark::POLLED_TEXT
    )
}
