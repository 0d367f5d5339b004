//! What a report about one part of a message changes. While parts are left it never ends the message: it moves it on to
//! the next part, or back to the same one. Once all are accepted, the message has arrived when each of them has.

use super::super::report::Report;
use super::super::standing::{AttemptStanding, Change, Moved, PartStanding, RowStanding};
use super::{Allowed, again, no_retry};
use crate::message::{MessageId, Part, Stage, Status};

/// Notes what is known of a part now.
pub(super) fn note(row: Option<&mut RowStanding>, part: i16, stage: Stage) {
    let parts = row.map(|row| &mut row.parts);
    let own = parts.zip(usize::try_from(part).ok());
    if let Some(own) = own.and_then(|(parts, part)| parts.get_mut(part)) {
        *own = noted(*own, stage);
    }
}

fn noted(before: PartStanding, stage: Stage) -> PartStanding {
    match stage {
        Stage::Delivered => PartStanding::Arrived,
        _ if before == PartStanding::Arrived => before,
        _ if stage.is_failure() => PartStanding::Lost,
        _ => before,
    }
}

/// What a report changes whose attempt is at one of several parts.
pub(super) fn change(
    message: MessageId,
    row: &RowStanding,
    attempt: &AttemptStanding,
    report: &Report,
    allowed: Allowed,
) -> Change {
    let stage = report.status.delivery.stage();
    let of = i16::try_from(row.parts.len()).unwrap_or(i16::MAX);
    let part = Part {
        before: attempt.part,
        of,
    };
    let again = may_be_retried(row, attempt, part, stage)
        .then(|| again(message, row, attempt.tries, report.status.delivery, allowed))
        .flatten();
    let moved = match again {
        Some(again) => Some((
            Status::Pending,
            Moved {
                done: part.before,
                attempts: Some(attempt.tries - i32::from(!again.counts)),
                gap: None,
                lost: None,
            },
        )),
        None if part.before >= row.parts_done => on(message, row, attempt, part, stage, allowed),
        None if row.parts_done >= of => at_the_end(row, part, stage),
        // It was one before the part that is next.
        None => None,
    };
    Change::Advance {
        stage,
        row: moved.map(|(to, _)| to),
        again,
        part: moved.map(|(_, part)| part),
    }
}

/// Whether the row can go back to this part: none after it was accepted, or is in progress, and no attempt at it has
/// arrived (one that was reported lost may have been reported delivered since).
fn may_be_retried(row: &RowStanding, attempt: &AttemptStanding, part: Part, stage: Stage) -> bool {
    let is_first_proof = part.before >= row.parts_done;
    let is_current = match row.status {
        Status::Sending | Status::Unconfirmed => is_first_proof && attempt.latest,
        Status::Pending => !is_first_proof && !attempt.superseded,
        Status::Sent => !attempt.superseded,
        Status::Delivered | Status::Failed | Status::Cancelled => false,
    };
    stage.is_failure()
        && is_current
        && part.before + 1 >= row.parts_done
        && !has_arrived(row, part)
        && no_retry(row, attempt).is_none()
}

fn has_arrived(row: &RowStanding, part: Part) -> bool {
    let own = usize::try_from(part.before).ok();
    own.and_then(|own| row.parts.get(own)) == Some(&PartStanding::Arrived)
}

/// The part is accepted, which the row does not know yet.
fn on(
    message: MessageId,
    row: &RowStanding,
    attempt: &AttemptStanding,
    part: Part,
    stage: Stage,
    allowed: Allowed,
) -> Option<(Status, Moved)> {
    let is_in_progress = matches!(row.status, Status::Sending | Status::Unconfirmed);
    let moved = |done, lost| Moved {
        done,
        attempts: part.has_next().then_some(0),
        gap: None,
        lost,
    };
    if stage.is_failure() && !(is_in_progress && attempt.latest) {
        return None;
    }
    if !part.has_next() {
        if stage.is_failure() {
            return Some((Status::Failed, moved(part.before, Some(part))));
        }
        let done = moved(part.of, None);
        let rest = at_the_end(row, part, stage).filter(|(to, _)| *to == Status::Delivered);
        return Some((rest.map_or(Status::Sent, |(to, _)| to), done));
    }
    let to = match row.status {
        Status::Failed | Status::Cancelled => row.status,
        _ => Status::Pending,
    };
    // After a restore the next part may have been sent, and its record lost: it keeps the time of the message, which is
    // in quarantine.
    let goes_on = to == Status::Pending && !attempt.recovered;
    let gap = goes_on.then(|| part.gap(allowed.part_gap, message));
    let done = Moved {
        gap,
        ..moved(part.before + 1, None)
    };
    Some((to, done))
}

/// Every part is accepted.
fn at_the_end(row: &RowStanding, part: Part, stage: Stage) -> Option<(Status, Moved)> {
    let standing = |(n, before): (usize, &PartStanding)| {
        let is_own = usize::try_from(part.before).is_ok_and(|own| own == n);
        if is_own {
            noted(*before, stage)
        } else {
            *before
        }
    };
    let parts: Vec<_> = row.parts.iter().enumerate().map(standing).collect();
    let lost = parts.iter().position(|part| *part == PartStanding::Lost);
    let lost = lost.and_then(|n| i16::try_from(n).ok());
    let moved = |done, lost| Moved {
        done,
        attempts: None,
        gap: None,
        lost,
    };
    if parts.iter().all(|part| *part == PartStanding::Arrived) {
        return (row.status != Status::Delivered)
            .then(|| (Status::Delivered, moved(part.of, None)));
    }
    // What is lost is reported; of a last part that is lost, a person can have it sent again.
    let lost = lost.filter(|_| row.status == Status::Sent)?;
    let done = if lost + 1 == part.of { lost } else { part.of };
    let lost = Part {
        before: lost,
        of: part.of,
    };
    Some((Status::Failed, moved(done, Some(lost))))
}
