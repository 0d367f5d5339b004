//! A database that is far away: what becomes due does not wait for the response to a claim or a record that is on its
//! way. There are more claims at once, each a little after the one before, so that one is free again soon; and more
//! groups of records.

use std::time::Duration;

use super::Reactor;
use crate::message::{Now, Uptime};
use crate::schedule::LEAD_MAX;

/// Connections that claims leave to others: one for records, and one for everything else.
const NOT_FOR_CLAIMS: usize = 2;

impl<P: Clone> Reactor<P> {
    /// A read of a few rows took this long.
    pub(super) fn note_round_trip(&mut self, took: Duration) {
        self.lead.read(took);
        let records = self.settings.limits.records;
        self.outgoing.limits.at_once = if self.is_far() {
            records.at_once.max(records.at_once_far)
        } else {
            records.at_once
        };
    }

    /// So many connections to the database are there, or can be opened.
    pub const fn set_connections(&mut self, connections: usize) {
        self.connections = connections;
    }

    /// How many claims there may be at once.
    pub(super) fn claims_at_once(&self) -> usize {
        let limits = &self.settings.limits.claims;
        let way = self.lead.round_trip();
        if way < limits.far_from() {
            return limits.at_once;
        }
        let ways = way.as_micros() / limits.each_of.as_micros().max(1);
        let connections = self.connections.saturating_sub(NOT_FOR_CLAIMS);
        let most = limits.at_once_max.min(connections).max(limits.at_once);
        usize::try_from(ways).map_or(most, |ways| ways.clamp(limits.at_once, most))
    }

    pub(super) fn is_far(&self) -> bool {
        self.claims_at_once() > self.settings.limits.claims.at_once
    }

    /// From when on another claim may be made, unless a herd is due: what is due until then goes along with it.
    pub(super) fn next_claim_after(&self) -> Uptime {
        if !self.is_far() {
            return Uptime::MIN;
        }
        // With several lanes the last one is not for all.
        let shared = self.claims_at_once() - usize::from(!self.lanes.is_alone());
        let shared = u32::try_from(shared).unwrap_or(u32::MAX);
        self.claimed_at + self.lead.round_trip() / shared.max(1)
    }

    /// Whether a lane that is in a claim may be in another one: the last is for other lanes.
    pub(super) fn may_be_in_another(&self) -> bool {
        self.is_far() && self.claims + 1 < self.claims_at_once()
    }

    /// Notes that a claim is made.
    pub(super) const fn note_claim(&mut self, now: Now) {
        self.claims += 1;
        self.claimed_at = now.up;
    }

    pub(super) const fn claim_ended(&mut self) {
        self.claims = self.claims.saturating_sub(1);
    }

    /// Why messages are late although nothing fails: claims take longer than they may be made ahead.
    pub fn late_claims(&self) -> Option<String> {
        let takes = self.lead.claims_too_slow()?;
        let (late, way) = (takes.saturating_sub(LEAD_MAX), self.lead.round_trip());
        let remedy = if way * 2 > takes {
            "run Punctual nearer to its database"
        } else {
            "find what keeps the database busy: its processors, its disk, or what other sessions have locked"
        };
        Some(format!(
            "messages are late by {} ms and more: most claims take {} ms, {} of them the way to the database and back, and \
             a message is claimed no more than {} ms before it is due; {remedy}",
            late.as_millis(),
            takes.as_millis(),
            way.as_millis(),
            LEAD_MAX.as_millis()
        ))
    }
}
