//! What will happen next to a message, as a sentence for `punctual why`.

use serde::Serialize;

use super::{Story, StoryAttempt, StoryRow};
use crate::message::{Channel, InDoubt, Moment, Status};
use crate::store::app_schema::placed;

/// Why a pending row waits though it is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct StoryHold {
    /// What was due before this may have been sent since the backup was made.
    pub before: Moment,
    /// The result of the latest query of the provider's list; `None`: there was none yet.
    pub reason: Option<String>,
}

impl Story {
    /// What will happen next.
    pub fn what_next(&self) -> String {
        let Some(row) = &self.row else {
            return if self.attempts.is_empty() {
                "nothing: the row was deleted, and no attempt was made".into()
            } else {
                "nothing: the row was deleted; its attempts are kept".into()
            };
        };
        match row.known_status() {
            Some(Status::Pending) => match &self.hold {
                Some(hold) => in_quarantine(self, hold),
                None => match &self.forecast {
                    Some(forecast) => forecast.to_string(),
                    None => "its row has just changed: run this again".to_owned(),
                },
            },
            Some(Status::Sending) => sending(self.open()),
            Some(Status::Sent) => sent(self),
            Some(Status::Delivered) => "nothing: it was delivered".into(),
            Some(Status::Failed | Status::Cancelled) => {
                let what = match &row.parts {
                    Some(parts) => format!("the parts that are left ({parts} were sent)"),
                    None => "it again".to_owned(),
                };
                let id = self.id;
                if row.known_status() == Some(Status::Failed) {
                    return format!("nothing; to send {what}: `punctual retry {id}`");
                }
                let table = placed("public.scheduled_messages");
                format!(
                    "nothing; to send {what}: update {table} set status = 'pending' where id = '{id}'"
                )
            }
            Some(Status::Unconfirmed) => unconfirmed(self, row),
            None => format!(
                "nothing: Punctual does not know the status {:?}",
                row.status
            ),
        }
    }

    fn open(&self) -> Option<&StoryAttempt> {
        self.attempts.iter().rfind(|a| a.outcome.is_none())
    }

    /// The time of the next look-up of an attempt with this outcome.
    fn next_look_up(&self, outcome: &str) -> Option<Moment> {
        let attempts = self.attempts.iter();
        let like = attempts.filter(|a| a.outcome.as_deref() == Some(outcome));
        like.filter_map(|a| a.next_ask_at).min()
    }
}

fn in_quarantine(story: &Story, hold: &StoryHold) -> String {
    let id = story.id;
    let reason = hold.reason.as_deref().unwrap_or("not compared yet");
    format!(
        "in quarantine: the database was restored to an older state at {}, and the message may have \
         been sent before. It is compared with the provider's list repeatedly; so far: {reason}. To \
         decide now: if it was sent, set its status to 'sent'; to send it, `punctual reschedule {id} \
         --at …`; to drop it, `punctual cancel {id}`; to release all, `punctual run --accept-restore`",
        hold.before
    )
}

fn sending(open: Option<&StoryAttempt>) -> String {
    match open {
        Some(open) => format!(
            "it is being sent; if its instance dies, it will be unconfirmed after {}",
            open.lease_until
        ),
        None => {
            "its status is sending, but no attempt is open: another program changed the row, or a restore lost the \
             attempt; a daemon makes it pending again if the ledger shows that nothing was sent, else unconfirmed"
                .into()
        }
    }
}

fn sent(story: &Story) -> String {
    let mut sentence = match story.next_look_up("accepted") {
        Some(at) => format!(
            "sent; its delivery status will be looked up at {at} unless a callback arrives first"
        ),
        None => "nothing: it was sent".to_owned(),
    };
    if !story.outbox.is_empty() {
        sentence += "; its row in messages will be retried";
    }
    sentence
}

fn unconfirmed(story: &Story, row: &StoryRow) -> String {
    let decide = format!("`punctual resolve {} --sent|--resend|--cancel`", story.id);
    let Some(at) = story.next_look_up("unknown") else {
        return format!(
            "nothing by itself: its outcome is uncertain, and sending it again could text twice; look \
             it up in the provider's log, then decide: {decide}"
        );
    };
    if row.channel == Channel::Webhook.as_str() {
        return format!(
            "it will be sent again with the same id at {at}, while attempts are left. To decide now: {decide}"
        );
    }
    let policy = match row.in_doubt.as_deref().map(str::parse) {
        Some(Ok(InDoubt::Hold)) => "if it is not there, it stays unconfirmed (in_doubt = hold)",
        Some(Ok(InDoubt::ResendIfAbsent)) => {
            "if it is not there after 15 min, it will be sent again (in_doubt = resend_if_absent)"
        }
        Some(Ok(InDoubt::Resend)) => {
            "if it is not there, it will be sent again (in_doubt = resend)"
        }
        Some(Err(_)) | None => "if it is not there, PUNCTUAL_IN_DOUBT applies",
    };
    format!("the provider's list will be checked at {at}; {policy}. To decide now: {decide}")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::message::segments::Segments;
    use crate::message::{AttemptToken, InstanceId, MessageId};

    fn attempt(outcome: Option<&str>, next_ask_at: Option<Moment>) -> StoryAttempt {
        StoryAttempt {
            number: 1,
            part: 0,
            token: AttemptToken(Uuid::nil()),
            instance: InstanceId(Uuid::nil()),
            claimed_at: Moment::default(),
            lease_until: Moment::default(),
            started_at: None,
            finished_at: None,
            outcome: outcome.map(Into::into),
            provider_sid: None,
            code: None,
            category: None,
            error: None,
            receipt_status: None,
            asked: 0,
            asked_at: None,
            ask_note: None,
            next_ask_at,
            settled_by: None,
            settled_at: None,
            lawful: None,
        }
    }

    fn row(status: &str, in_doubt: Option<&str>) -> StoryRow {
        StoryRow {
            channel: "sms",
            status: status.into(),
            to: String::new(),
            characters: 0,
            segments: Segments::of(""),
            parts: None,
            scheduled_at: Moment::default(),
            due: Moment::default(),
            wanted_at: Moment::default(),
            deferred_until: None,
            deferred_reason: None,
            next_attempt_at: None,
            paused_by: None,
            requeued_at: None,
            send_before: None,
            sent_at: None,
            delivered_at: None,
            cancelled_at: None,
            cancel_reason: None,
            error_message: None,
            error_code: None,
            twilio_sid: None,
            attempts: 0,
            max_attempts: None,
            version: 0,
            in_doubt: in_doubt.map(Into::into),
            pace: None,
            warnings: vec![],
        }
    }

    fn story(row: StoryRow, attempts: Vec<StoryAttempt>) -> Story {
        Story {
            id: MessageId(Uuid::nil()),
            row: Some(row),
            attempts,
            receipts: vec![],
            notes: vec![],
            changes: vec![],
            outbox: vec![],
            timer: None,
            hold: None,
            forecast: None,
            next: String::new(),
        }
    }

    fn check(status: &str, in_doubt: Option<&str>, attempt: StoryAttempt, says: &str) {
        let story = story(row(status, in_doubt), vec![attempt]);
        let said = story.what_next();
        assert!(said.contains(says), "{status} {in_doubt:?}: {said}");
    }

    #[test]
    fn a_row_in_quarantine_says_so_unless_it_was_released_or_is_due_later() {
        let hold = |us| StoryHold {
            before: Moment::from_micros(us),
            reason: Some("two are listed".into()),
        };
        let check = |status: &str, before, timer, held: bool| {
            let mut story = story(row(status, None), vec![]);
            story.heard(timer, Some(hold(before)));
            assert_eq!(story.hold.is_some(), held, "{status} {before}");
            let says = [
                "older state at 1970",
                "so far: two are listed",
                "--accept-restore",
            ];
            let said = says.iter().all(|words| story.next.contains(words));
            assert_eq!(said, held, "{}", story.next);
        };
        check("pending", 1, None, true);
        check("pending", 0, None, false);
        check("pending", 1, Some(serde_json::json!({})), false);
        check("sent", 1, None, false);
    }

    #[test]
    fn every_state_says_what_happens_next() {
        let at = Some(Moment::from_micros(7));
        check("pending", None, attempt(None, None), "run this again");
        check(
            "sending",
            None,
            attempt(None, None),
            "after 1970-01-01T00:00:00.000000Z",
        );
        check(
            "sending",
            None,
            attempt(Some("accepted"), None),
            "another program",
        );
        check(
            "sent",
            None,
            attempt(Some("accepted"), None),
            "nothing: it was sent",
        );
        check(
            "sent",
            None,
            attempt(Some("accepted"), at),
            "looked up at 1970-01-01T00:00:00.000007Z",
        );
        check(
            "delivered",
            None,
            attempt(Some("accepted"), None),
            "delivered",
        );
        check(
            "failed",
            None,
            attempt(Some("refused"), None),
            "`punctual retry 0",
        );
        check(
            "cancelled",
            None,
            attempt(Some("cancelled"), None),
            "set status = 'pending'",
        );
        check(
            "unconfirmed",
            None,
            attempt(Some("unknown"), None),
            "punctual resolve",
        );
        check(
            "unconfirmed",
            None,
            attempt(Some("unknown"), at),
            "at 1970-01-01T00:00:00.000007Z; if it is not there, PUNCTUAL_IN_DOUBT",
        );
        let uncertain = attempt(Some("unknown"), at);
        check(
            "unconfirmed",
            Some("hold"),
            uncertain.clone(),
            "stays unconfirmed",
        );
        check(
            "unconfirmed",
            Some("resend"),
            uncertain.clone(),
            "will be sent again",
        );
        check("unconfirmed", Some("resend_if_absent"), uncertain, "15 min");
        check(
            "strange",
            None,
            attempt(None, None),
            "does not know the status",
        );
    }
}
