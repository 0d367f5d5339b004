//! What keeps a message from being judged at all, in the order in which it takes effect.

use super::slots::queue_name;
use super::{Outcome, Refused, Step, Subject, Surroundings};
use crate::message::{Claim, LaneKey, Moment};
use crate::policy::{self, too_late};

/// What a forecast cannot know.
pub(super) mod unknown {
    pub(in crate::forecast) const SETTINGS: &str =
        "the settings of the daemon, because none has published them: these are this program's";
    pub(in crate::forecast) const LANES: &str =
        "the state of an instance that has just started, or whose version does not publish it";
    pub(in crate::forecast) const DAEMON: &str = "when a daemon runs";
    pub(in crate::forecast) const READY: &str = "when a daemon is ready";
    pub(in crate::forecast) const ACCOUNT: &str = "when the provider accepts the account again";
    pub(in crate::forecast) const RESTORE: &str =
        "whether it was sent before the database was restored";
    pub(in crate::forecast) const RESUME: &str = "when somebody resumes";
    pub(in crate::forecast) const PLACE: &str =
        "its turn: more messages of its campaign or its sender are due before it than are counted";
    pub(in crate::forecast) const RATE: &str =
        "how many other messages of its sender are sent before it";
    pub(in crate::forecast) const QUOTA: &str =
        "how many other messages use the user's daily limit before it";
    pub(in crate::forecast) const COSTS: &str =
        "whether the texts before it reach a cost cap of the day";
    pub(in crate::forecast) const BURST: &str =
        "whether too many texts to new numbers say the same before it";
    pub(in crate::forecast) const SLOWED: &str =
        "when the provider takes messages from its sender, or to its recipient, as fast as usual";
    pub(in crate::forecast) const ATTEMPT: &str = "when the attempt at an earlier part ends";
}

fn wait(reason: &'static str, text: String) -> Step {
    Step {
        outcome: Outcome::Wait,
        at: None,
        until: None,
        reason: Some(reason),
        text,
    }
}

/// From when its lateness counts; never while it waits for a pace.
fn late_from(subject: &Subject) -> Moment {
    if subject.pace.is_some() || subject.rate.is_some() {
        return Moment::MAX;
    }
    let wanted = subject.claim.wanted_at;
    subject
        .paused_until
        .map_or(wanted, |until| wanted.max(until))
}

/// What keeps a message from being judged at all.
pub(super) fn obstacle(
    subject: &Subject,
    around: &Surroundings,
    start: Option<Moment>,
    unknown: &mut Vec<&'static str>,
) -> Option<Step> {
    let claim = Claim {
        wanted_at: late_from(subject),
        ..subject.claim.clone()
    };
    let ends = policy::expires(&claim, &around.rules);
    let ends = Some(ends).filter(|at| *at < Moment::MAX && *at > around.now);
    if around.instances.is_empty() {
        unknown.push(unknown::DAEMON);
        let heard = around.heard_at;
        let heard = heard.map(|at| format!("; the last one was heard at {at}"));
        let text = format!(
            "is not sent: no daemon is running{}",
            heard.unwrap_or_default()
        );
        let until = ends;
        return Some(Step {
            until,
            ..wait("no_daemon", text)
        });
    }
    if let Some(why) = around.missing() {
        unknown.push(unknown::READY);
        let text = format!("is not sent: no daemon is ready ({why})");
        let until = ends;
        return Some(Step {
            until,
            ..wait("not_ready", text)
        });
    }
    if subject.is_quarantined {
        unknown.push(unknown::RESTORE);
        let text = "is in quarantine: the database was restored to an older state, and it may have been sent before";
        return Some(wait("quarantine", text.to_owned()));
    }
    if expired(subject, around).is_some() {
        return None;
    }
    let start = start?;
    if let Some((refused, text)) = refused(subject, around, start) {
        unknown.push(unknown::ACCOUNT);
        let probe = refused.next_probe_at.unwrap_or(around.now);
        return Some(Step {
            at: Some(start.max(probe)),
            until: ends,
            ..wait("breaker", text)
        });
    }
    let open_until = subject.open_until.filter(|_| start <= around.now)?;
    unknown.push(unknown::ATTEMPT);
    let text = format!("waits for the attempt at an earlier part, which ends by {open_until}");
    Some(wait("attempt_open", text))
}

/// That the provider refuses its lane, or that of a message before it in the queue of its pace, which keeps its order.
fn refused<'a>(
    subject: &Subject,
    around: &'a Surroundings,
    start: Moment,
) -> Option<(&'a Refused, String)> {
    let own = &subject.claim.lane;
    if let Some(refused) = around.refused(own) {
        let is_paused = subject.paused_until.is_some_and(|until| until > around.now);
        let refusal = refusal(own, refused, is_paused);
        return Some((refused, format!("waits: {refusal}")));
    }
    let turn = (subject.claim.due, subject.claim.id);
    let (lane, _) = subject
        .refused_beside
        .iter()
        .find(|(_, row)| (row.due, row.id) < turn && row.free_at <= start)?;
    let refused = around.refused(lane)?;
    let text = format!(
        "waits for the {}: a message before it goes by {}, and {}",
        queue_name(subject)?,
        lane.channel().as_str(),
        refusal(lane, refused, false)
    );
    Some((refused, text))
}

/// `is_paused`: what is paused is not tried.
fn refusal(lane: &LaneKey, refused: &Refused, is_paused: bool) -> String {
    let code = refused.code.map(|code| format!(", code {code}"));
    let next = match refused.next_probe_at {
        _ if is_paused => String::new(),
        Some(at) => format!("; one message is tried at {at}"),
        None => "; one message is being tried".to_owned(),
    };
    let account = lane.other_account().map(|name| format!(" {name}"));
    format!(
        "the provider has refused the account{} since {} ({}{}){next}",
        account.unwrap_or_default(),
        refused.since,
        refused.category.replace('_', " "),
        code.unwrap_or_default(),
    )
}

pub(super) fn paused_for_good(subject: &Subject, unknown: &mut Vec<&'static str>) -> Step {
    unknown.push(unknown::RESUME);
    let by = by(subject);
    wait("paused", format!("is paused until somebody resumes{by}"))
}

/// What a pause stops, who made it, and why.
pub(super) fn by(subject: &Subject) -> String {
    let by = subject.paused_by.as_ref();
    by.map(|by| format!(" ({by})")).unwrap_or_default()
}

/// Why it is cancelled now, without a claim: as `expire_candidates.sql` chooses.
pub(super) fn expired(subject: &Subject, around: &Surroundings) -> Option<String> {
    if subject.paused_until.is_some_and(|until| until > around.now) {
        return None;
    }
    let claim = &subject.claim;
    let counts = policy::Rule::Lateness.holds(claim.lane.channel());
    // Lateness counts once it is due.
    let late_from = if counts && claim.part.before == 0 && claim.due < around.now {
        late_from(subject)
    } else {
        Moment::MAX
    };
    too_late(
        late_from,
        claim.send_before,
        around.rules.max_lateness,
        around.now,
    )
}
