//! What happens next to a message, in a sentence.

use super::{Story, StoryAttempt, StoryHold, StoryRow};
use crate::message::{InDoubt, Moment, Status};

impl Story {
    /// What happens next, for somebody who wonders; `show` writes times.
    pub fn what_next(&self, show: impl Fn(Moment) -> String) -> String {
        let Some(row) = &self.row else {
            return "nothing: the row is gone; the attempts are kept".into();
        };
        match row.known_status() {
            Some(Status::Pending) => match &self.hold {
                Some(hold) => held(self, hold, &show),
                None => pending(row, &show),
            },
            Some(Status::Sending) => sending(self.open(), &show),
            Some(Status::Sent) => sent(self, &show),
            Some(Status::Delivered) => "nothing: it has arrived".into(),
            Some(Status::Failed | Status::Cancelled) => {
                "nothing, unless somebody puts it back to pending".into()
            }
            Some(Status::Unconfirmed) => in_doubt(self, row, &show),
            None => format!("nothing: {:?} is not a status Punctual knows", row.status),
        }
    }

    fn open(&self) -> Option<&StoryAttempt> {
        self.attempts.iter().rfind(|a| a.outcome.is_none())
    }

    /// When the provider is asked next about an attempt with this outcome.
    fn asked_next(&self, outcome: &str) -> Option<Moment> {
        let attempts = self.attempts.iter();
        let like = attempts.filter(|a| a.outcome.as_deref() == Some(outcome));
        like.filter_map(|a| a.next_ask_at).min()
    }
}

fn pending(row: &StoryRow, show: impl Fn(Moment) -> String) -> String {
    format!(
        "it is sent at {}, or at once if that has passed",
        show(row.due)
    )
}

fn held(story: &Story, hold: &StoryHold, show: impl Fn(Moment) -> String) -> String {
    let id = story.id;
    let reason = hold.reason.as_deref().unwrap_or("not looked yet");
    format!(
        "it is held: the database came back older at {}, and it may have been sent before that. The \
         provider's list is looked at again and again; so far: {reason}. Who knows better says so: \
         set its status to 'sent' if it was sent; `punctual reschedule {id} --at …` sends it, \
         `punctual cancel {id}` ends it; `punctual run --accept-restore` sends all that is held",
        show(hold.before)
    )
}

fn sending(open: Option<&StoryAttempt>, show: impl Fn(Moment) -> String) -> String {
    match open {
        Some(open) => format!(
            "it is being sent; if its instance dies, it is unconfirmed after {}",
            show(open.lease_until)
        ),
        None => {
            "it is marked as being sent, but no attempt is open: somebody else has changed the \
                 row"
            .into()
        }
    }
}

fn sent(story: &Story, show: impl Fn(Moment) -> String) -> String {
    let mut sentence = match story.asked_next("accepted") {
        Some(at) => format!(
            "it was sent; what became of it the provider is asked at {}, unless a callback tells \
             before",
            show(at)
        ),
        None => "nothing: it was sent".to_owned(),
    };
    if !story.outbox.is_empty() {
        sentence += "; its row in messages is tried again";
    }
    sentence
}

fn in_doubt(story: &Story, row: &StoryRow, show: impl Fn(Moment) -> String) -> String {
    let person = format!("`punctual resolve {}` settles it", story.id);
    let Some(at) = story.asked_next("unknown") else {
        return format!(
            "nothing by itself: whether the provider took it is not known, and sending again could \
             text twice; look it up in Twilio's log, then {person}"
        );
    };
    let policy = match row.in_doubt.as_deref().map(str::parse) {
        Some(Ok(InDoubt::Hold)) => "it stays held unless that proves it was sent",
        Some(Ok(InDoubt::ResendIfAbsent)) => {
            "if it is not there 15 min into the doubt, it is sent again"
        }
        Some(Ok(InDoubt::Resend)) => "if that does not show it, it is sent again",
        Some(Err(_)) | None => "what follows if that does not show it, PUNCTUAL_IN_DOUBT says",
    };
    format!(
        "the provider's list is looked at, at {}; {policy}; {person} at any time",
        show(at)
    )
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
        }
    }

    fn row(status: &str, in_doubt: Option<&str>) -> StoryRow {
        StoryRow {
            status: status.into(),
            to: String::new(),
            characters: 0,
            segments: Segments::of(""),
            scheduled_at: Moment::default(),
            due: Moment::default(),
            wanted_at: Moment::default(),
            deferred_until: None,
            deferred_reason: None,
            next_attempt_at: None,
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
            outbox: vec![],
            timer: None,
            hold: None,
            next: String::new(),
        }
    }

    fn check(status: &str, in_doubt: Option<&str>, attempt: StoryAttempt, says: &str) {
        let story = story(row(status, in_doubt), vec![attempt]);
        let said = story.what_next(|at| format!("<{}>", at.as_micros()));
        assert!(said.contains(says), "{status} {in_doubt:?}: {said}");
    }

    #[test]
    fn what_is_held_says_so_unless_it_was_let_go_or_is_due_later() {
        let hold = |us| StoryHold {
            before: Moment::from_micros(us),
            reason: Some("two are listed".into()),
        };
        let check = |status: &str, before, timer, held: bool| {
            let mut story = story(row(status, None), vec![]);
            story.heard(timer, Some(hold(before)));
            assert_eq!(story.hold.is_some(), held, "{status} {before}");
            let says = [
                "older at 1970",
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
        check("pending", None, attempt(None, None), "sent at <0>");
        check("sending", None, attempt(None, None), "after <0>");
        check(
            "sending",
            None,
            attempt(Some("accepted"), None),
            "somebody else",
        );
        check(
            "sent",
            None,
            attempt(Some("accepted"), None),
            "nothing: it was sent",
        );
        check("sent", None, attempt(Some("accepted"), at), "asked at <7>");
        check(
            "delivered",
            None,
            attempt(Some("accepted"), None),
            "arrived",
        );
        check(
            "failed",
            None,
            attempt(Some("refused"), None),
            "puts it back",
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
            "at <7>; what follows",
        );
        let held = attempt(Some("unknown"), at);
        check("unconfirmed", Some("hold"), held.clone(), "stays held");
        check("unconfirmed", Some("resend"), held.clone(), "is sent again");
        check("unconfirmed", Some("resend_if_absent"), held, "15 min");
        check("strange", None, attempt(None, None), "not a status");
    }
}
