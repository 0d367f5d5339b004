//! Passes on what the loop knows: events, breakers, facts for the health check, the state that is published.

use std::time::Duration;

use super::EventLoop;
use crate::daemon::health::LoopFacts;
use crate::journal::Condition;

impl EventLoop {
    /// Passes events to the log and to the streams.
    pub(super) fn publish(&mut self) {
        let (events, left_out) = self.reactor.take_events();
        if !events.is_empty() {
            self.shared
                .outcomes
                .note(&events, self.dispatch.clock.now().up);
        }
        self.dispatch.metrics.publish(events, left_out);
        self.log_breakers();
        let now = self.reactor.held_before();
        self.shared
            .quarantined
            .send_if_modified(|before| std::mem::replace(before, now) != now);
        self.report_facts();
    }

    /// Passes what the loop knows to the health check.
    fn report_facts(&mut self) {
        let now = self.dispatch.clock.now();
        if now.up < self.facts_after {
            return;
        }
        self.facts_after = now.up + self.limits().facts_every;
        let (delayed, since) = self.reactor.delayed_results();
        let delayed_us = since.map_or(0, |since| now.db.micros_from(since));
        let facts = LoopFacts {
            held: self.reactor.held_lanes(now).into_iter().collect(),
            unrecorded: self.reactor.load(now).unrecorded,
            delayed,
            delayed_for: Duration::from_micros(u64::try_from(delayed_us).unwrap_or(0)),
            busy_otherwise: !self.reactor.readiness().is_ready(),
        };
        self.shared.health.saw(facts, now.up);
        let missing = self.readiness(now).missing;
        let published = self.reactor.published(&missing, &self.rules, now);
        self.shared.wakers.published.send_if_modified(|before| {
            let is_news = published.is_news(before);
            *before = published;
            is_news
        });
        let is_complete = self.journal_condition() == Some(Condition::Complete);
        self.reactor.set_journal(is_complete);
        let connections = self.dispatch.store.connections();
        self.reactor.set_connections(connections);
    }

    fn log_breakers(&mut self) {
        for turn in self.reactor.take_breaker_turns() {
            let lane = turn.lane;
            if turn.is.open {
                tracing::warn!(
                    %lane,
                    code = turn.is.reason,
                    category = turn.is.category,
                    next_probe_at = turn.is.next_probe_at.map(tracing::field::display),
                    "the provider refuses the account: sending is paused, except for probes"
                );
            } else if let Some(since) = turn.was_open_since {
                tracing::info!(%lane, %since, "the provider accepts the account again");
            }
        }
    }
}
