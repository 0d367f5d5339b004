//! What a plan asks of its sender, for people: at its rate, of the provider's queue, and over a daily cap.

use std::fmt::Write as _;
use std::time::Duration;

use humantime::format_duration;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::plan::clock;
use crate::cli::pace::rated;
use crate::config::{Config, ProviderChoice, Sources};
use crate::message::{Moment, PaceScope, Sender};
use crate::plan::OpenTime;
use crate::plan::campaign::Planned;
use crate::plan::estimate::Estimate;
use crate::provider::{DefaultRate, QUEUED_MAX, default_rate};
use crate::store::campaigns::Campaign;
use crate::store::paces;

/// What is known of the sender of a campaign, and of whom it goes by.
pub(super) struct Known {
    sender: Option<Sender>,
    /// The word for the provider of texts; `None`: the settings are not known here.
    provider: Option<&'static str>,
    /// Its rate (`punctual pace set sender`): the time of a segment, and the burst.
    rate: Option<(Duration, i32)>,
    /// Its daily cap, in segments, as a person knows it.
    daily_cap: Option<usize>,
}

impl Known {
    pub(super) async fn of(
        client: &Client,
        campaign: &Campaign,
        daily_cap: Option<usize>,
        sources: &Sources,
    ) -> anyhow::Result<Self> {
        let config = Config::load(sources).ok();
        let default = config.as_ref().and_then(|set| set.default_sender.clone());
        let own = campaign.settings.from.as_deref();
        let own =
            own.and_then(|from| Sender::parse(from, crate::provider::TEXTS.sender_pools).ok());
        let sender = own.or(default);
        let paces = paces::list(client).await?;
        let its = paces.iter().find(|pace| {
            let what = sender.as_ref().map(Sender::as_str);
            pace.scope == PaceScope::Sender.as_str() && what == Some(pace.what.as_str())
        });
        let rate = its.and_then(|pace| {
            let each = Duration::try_from_secs_f64(pace.gap_min_s).ok()?;
            Some((each, pace.burst))
        });
        Ok(Self {
            sender,
            provider: config.map(|set| set.provider.as_str()),
            rate,
            daily_cap,
        })
    }

    /// What the provider sends by default, if it is the one whose rates are known.
    fn default_rate(&self) -> Option<DefaultRate> {
        let is_it = self
            .provider
            .is_none_or(|word| word == ProviderChoice::TWILIO);
        self.sender
            .as_ref()
            .filter(|_| is_it)
            .and_then(default_rate)
    }

    /// What the estimate cannot say.
    fn unknown(&self) -> Vec<&'static str> {
        let mut unknown = Vec::new();
        if self.sender.is_none() {
            unknown.push("the sender, and so its rate");
        } else if self.default_rate().is_none() {
            unknown.push("how fast the provider sends for this sender");
        }
        if self.daily_cap.is_none() {
            unknown.push("the daily cap of the sender (--daily-cap SEGMENTS)");
        }
        unknown.push("what else the sender sends then");
        unknown
    }
}

/// An estimate of one plan.
pub(super) struct Outlook {
    segments: usize,
    days: Vec<(jiff::civil::Date, usize)>,
    planned_last: Option<Moment>,
    /// When the last message is sent at the sender's rate.
    last: Option<Moment>,
    /// How long it waits in the provider's queue at most, by the default of its kind.
    queued: Option<(DefaultRate, Duration)>,
}

impl Outlook {
    pub(super) fn of(
        known: &Known,
        slots: &[Planned],
        segments: &[usize],
        open: &OpenTime,
    ) -> Self {
        let estimate = Estimate::of(slots, segments, open);
        let last = known.rate.and_then(|(each, _)| estimate.last_at_rate(each));
        let queued = known.default_rate().map(|default| {
            // What waits here is not handed in faster than that.
            let is_held = known.rate.is_some_and(|(each, _)| each >= default.each());
            let wait = if is_held {
                Duration::ZERO
            } else {
                estimate.longest_wait(default.each())
            };
            (default, wait)
        });
        Self {
            segments: estimate.segments(),
            days: estimate.days(),
            planned_last: slots.last().map(|slot| slot.at),
            last,
            queued,
        }
    }

    fn over<'a>(&'a self, known: &Known) -> impl Iterator<Item = &'a (jiff::civil::Date, usize)> {
        let cap = known.daily_cap.unwrap_or(usize::MAX);
        self.days
            .iter()
            .filter(move |(_, segments)| *segments > cap)
    }

    pub(super) fn as_json(&self, known: &Known) -> Value {
        let days = |all: &mut dyn Iterator<Item = &(jiff::civil::Date, usize)>| -> Vec<Value> {
            all.map(|(day, segments)| json!({"day": day.to_string(), "segments": segments}))
                .collect()
        };
        json!({
            "segments": self.segments,
            "days": days(&mut self.days.iter()),
            "segment_at_rate_s": known.rate.map(|(each, _)| each.as_secs_f64()),
            "last_at_rate": self.last,
            "provider_segments_per_s": self.queued.map(|(default, _)| default.segments_per_s),
            "provider_queue_s": self.queued.map(|(_, wait)| wait.as_secs()),
            "provider_queue_max_s": QUEUED_MAX.as_secs(),
            "daily_cap": known.daily_cap,
            "days_over_cap": days(&mut self.over(known)),
            "not_known": known.unknown(),
        })
    }

    pub(super) fn as_lines(&self, known: &Known, open: &OpenTime) -> String {
        let mut text = format!("Segments: {}", self.segments);
        if let Some((day, most)) = self.days.iter().max_by_key(|(_, segments)| *segments) {
            let _ = write!(
                text,
                ", at most {most} on a day ({})",
                day.strftime("%m/%d")
            );
        }
        text.push('\n');
        if let Some(((each, burst), last)) = known.rate.zip(self.last) {
            let rate = rated(each.as_secs_f64(), burst);
            let last_shown = clock(last, open.zone());
            let later = self
                .planned_last
                .map_or(Duration::ZERO, |planned| last.since(planned));
            let _ = if later.is_zero() {
                writeln!(
                    text,
                    "Its sender has a rate of {rate}: enough, the last is sent at {last_shown}"
                )
            } else {
                writeln!(
                    text,
                    "Its sender has a rate of {rate}: too low, the last is sent at {last_shown}, {:.1} hours after its plan",
                    later.as_secs_f64() / 3600.0
                )
            };
        }
        if let Some((default, wait)) = self.queued {
            let _ = writeln!(text, "{}", queue(default, wait));
        }
        if let Some(cap) = known.daily_cap {
            let over: Vec<String> = self
                .over(known)
                .map(|(day, segments)| format!("{} ({segments})", day.strftime("%m/%d")))
                .collect();
            let _ = if over.is_empty() {
                writeln!(text, "No day has more than {cap} segments")
            } else {
                writeln!(
                    text,
                    "Over the cap of {cap} segments, beyond which carriers may refuse: {}; longer gaps or another sender avoid that",
                    over.join(", ")
                )
            };
        }
        let _ = writeln!(text, "Not known: {}", known.unknown().join("; "));
        text
    }
}

/// What its queue is to a plan.
fn queue(default: DefaultRate, wait: Duration) -> String {
    let DefaultRate {
        kind,
        segments_per_s,
    } = default;
    let rate = format!(
        "Twilio sends {segments_per_s} segment{} a second of a {kind} by default",
        if segments_per_s == 1 { "" } else { "s" }
    );
    let seconds = Duration::from_secs(wait.as_secs());
    if seconds.is_zero() {
        format!("{rate}: enough, nothing waits in its queue")
    } else if wait <= QUEUED_MAX {
        format!("{rate}: up to {} in its queue", format_duration(seconds))
    } else {
        format!(
            "{rate}: up to {} in its queue, where it refuses what waits longer than {} (30001): set a rate (punctual pace \
             set sender), or longer gaps",
            format_duration(seconds),
            format_duration(QUEUED_MAX)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_of_the_provider_is_shown_in_three_degrees() {
        let code = default_rate(&"+12025550100".parse().unwrap()).unwrap();
        for (seconds, says) in [
            (0, "enough, nothing waits"),
            (90, "up to 1m 30s in its queue"),
            (36_001, "refuses what waits longer than 10h (30001)"),
        ] {
            let said = queue(code, Duration::from_secs(seconds));
            assert!(said.contains(says), "{said}");
        }
    }
}
