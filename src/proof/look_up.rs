//! What the response to a look-up proves about an attempt with an uncertain outcome, whether its message will be sent
//! again, and when the next look-up is made.

use std::collections::BTreeSet;
use std::time::Duration;

use super::matching::{self, Candidate, Match, Resolution, SentText, UnconfirmedRow};
use super::report::ProviderMessage;
use crate::message::{Capabilities, InDoubt, Moment, ProviderSid};
use crate::schedule::LookUpPlan;

/// An attempt with an uncertain outcome.
#[derive(Clone, Copy, Debug)]
pub struct Uncertain<'a> {
    /// The text that it sent; `None`: it is not known.
    pub sent: Option<&'a SentText>,
    /// The earliest time at which its request can have begun.
    pub since: Moment,
    /// Its row, if this attempt is the one that left it `unconfirmed`.
    pub row: Option<&'a UnconfirmedRow>,
    /// How long ago the outcome became uncertain.
    pub age: Duration,
    /// How many look-ups had a response.
    pub responses: u32,
    /// Whether a restore has lost that it was not accepted: a later attempt of its part was, and would not have been
    /// made while this one was uncertain. What a list shows is another message with the same text.
    pub superseded: bool,
}

/// Why a list is not searched for what is superseded.
const SUPERSEDED: &str = "a later attempt was accepted, so this one was not";

/// What the provider responded to a look-up of an uncertain outcome.
#[derive(Clone, Copy, Debug)]
pub enum Response<'a> {
    /// Its list.
    Listed {
        /// The messages that it shows.
        messages: &'a [ProviderMessage],
        /// Whether it was read to its end.
        whole: bool,
    },
    /// Nothing, or nothing that can be used.
    Nothing {
        /// Why.
        reason: &'a str,
        /// The pause until the next look-up; `None`: the plan's.
        pause: Option<Duration>,
    },
    /// No request was made: the provider has no look-up, or there is nothing to query by.
    NotQueried,
    /// No request was made: the settings have no provider for its account and channel.
    NotConfigured,
}

/// The ledger, as far as lists are compared with it.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Sids that are recorded for an attempt.
    pub sids: &'a BTreeSet<String>,
    /// When other attempts at the same text can have begun.
    pub rivals: &'a [Moment],
}

/// What follows from a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// What the list shows.
    pub found: Match,
    /// What happens to the message.
    pub resolution: Resolution,
    /// How many look-ups had a response now.
    pub responses: u32,
    /// The pause until the next one; `None`: there is none.
    pub next: Option<Duration>,
}

impl Uncertain<'_> {
    /// The messages of a list that cannot be excluded as this attempt's.
    pub fn of_interest<'a>(
        &self,
        messages: &'a [ProviderMessage],
    ) -> impl Iterator<Item = &'a ProviderMessage> {
        let (sent, since) = (self.sent, self.since);
        messages.iter().filter(move |shown| {
            sent.is_some_and(|sent| {
                matching::cannot_be_excluded(shown, &sent.to, sent.from.as_deref(), since)
            })
        })
    }

    /// Searches the response for the message of this attempt.
    pub fn find(&self, response: Response<'_>, recorded: Recorded<'_>) -> Match {
        if self.superseded {
            return Match::NoResponse(SUPERSEDED.to_owned());
        }
        let (messages, whole) = match response {
            Response::Listed { messages, whole } => (messages, whole),
            Response::Nothing { reason, .. } => return Match::NoResponse(reason.to_owned()),
            Response::NotQueried | Response::NotConfigured => {
                return Match::NoResponse("it was not queried".into());
            }
        };
        let Some(sent) = self.sent else {
            return Match::NoResponse("its text is not known".into());
        };
        let (alike, others): (Vec<&ProviderMessage>, Vec<&ProviderMessage>) = self
            .of_interest(messages)
            .partition(|shown| matching::resembles(shown, sent, self.since));
        let candidate = |shown: &&ProviderMessage| Candidate {
            sid: shown.sid.clone(),
            created: shown.created,
        };
        let candidates: Vec<Candidate> = alike.iter().map(candidate).collect();
        let others: Vec<ProviderSid> = others.iter().map(|shown| shown.sid.clone()).collect();
        Match::among(&candidates, &others, recorded.sids, recorded.rivals, whole)
    }

    /// What follows from the response. `default` is the installation's policy, `provider` what the provider of the
    /// attempt can do.
    pub fn conclude(
        &self,
        response: Response<'_>,
        recorded: Recorded<'_>,
        default: InDoubt,
        provider: &Capabilities,
    ) -> Conclusion {
        let found = self.find(response, recorded);
        let resolution = match response {
            // An account whose list can be searched later may have sent it: no policy acts.
            Response::NotConfigured => Resolution::Wait,
            _ => matching::resolve(&found, self.age, self.row, default, provider),
        };
        let plan = LookUpPlan::UNCERTAIN;
        let uncounted = |pause: Option<Duration>| {
            (
                self.responses,
                pause.or_else(|| plan.after_failure(self.age)),
            )
        };
        let (responses, next) = match response {
            _ if self.superseded => (self.responses, None),
            Response::Listed { .. } => matching::next_query(&found, self.responses, self.age),
            Response::Nothing { pause, .. } => uncounted(pause),
            Response::NotConfigured => uncounted(None),
            // If its row is locked now, it is put back by the next one.
            Response::NotQueried if matches!(resolution, Resolution::PutBack(_)) => {
                let responses = self.responses + 1;
                (responses, plan.next(responses, self.age))
            }
            Response::NotQueried => (self.responses, None),
        };
        Conclusion {
            found,
            resolution,
            responses,
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Status;
    use crate::proof::TextKey;
    use crate::proof::matching::ResendReason;

    const AGE: Duration = Duration::from_secs(7);
    const ROW: UnconfirmedRow = UnconfirmedRow {
        status: Some(Status::Unconfirmed),
        policy: Some(InDoubt::Resend),
    };

    fn conclude(row: Option<&UnconfirmedRow>, response: Response<'_>) -> Conclusion {
        let uncertain = Uncertain {
            sent: None,
            since: Moment::MIN,
            row,
            age: AGE,
            responses: 1,
            superseded: false,
        };
        let recorded = Recorded {
            sids: &BTreeSet::new(),
            rivals: &[],
        };
        uncertain.conclude(response, recorded, InDoubt::Hold, &Capabilities::SENDS_ONLY)
    }

    #[test]
    fn only_a_response_is_counted() {
        let plan = LookUpPlan::UNCERTAIN;
        let pause = Some(Duration::from_secs(90));
        let listed = Response::Listed {
            messages: &[],
            whole: true,
        };
        for (response, expected) in [
            // Its text is not known, so the list shows nothing.
            (listed, (1, plan.after_failure(AGE))),
            (
                Response::Nothing {
                    reason: "silent",
                    pause: None,
                },
                (1, plan.after_failure(AGE)),
            ),
            (
                Response::Nothing {
                    reason: "throttled",
                    pause,
                },
                (1, pause),
            ),
            (Response::NotConfigured, (1, plan.after_failure(AGE))),
            (Response::NotQueried, (1, None)),
        ] {
            let got = conclude(None, response);
            assert_eq!((got.responses, got.next), expected, "{response:?}");
            assert_eq!(got.resolution, Resolution::Wait, "{response:?}");
        }
    }

    #[test]
    fn what_is_superseded_is_not_taken_for_another_message_with_its_text() {
        let sent = SentText {
            to: "+12025550123".into(),
            from: None,
            text: TextKey::of("hello"),
        };
        let shown = ProviderMessage {
            sid: ProviderSid("SM1".into()),
            to: sent.to.clone(),
            body: "hello".into(),
            created: Some(Moment::from_micros(0)),
            status: None,
            from: None,
            by_api: true,
            price: None,
        };
        let listed = Response::Listed {
            messages: std::slice::from_ref(&shown),
            whole: true,
        };
        let recorded = Recorded {
            sids: &BTreeSet::new(),
            rivals: &[],
        };
        for (superseded, resolution) in [
            (false, Resolution::Adopt(shown.sid.clone())),
            (true, Resolution::Wait),
        ] {
            let uncertain = Uncertain {
                sent: Some(&sent),
                since: Moment::from_micros(0),
                row: None,
                age: AGE,
                responses: 1,
                superseded,
            };
            let got =
                uncertain.conclude(listed, recorded, InDoubt::Hold, &Capabilities::SENDS_ONLY);
            assert_eq!(
                (got.resolution, got.next.is_none()),
                (resolution, superseded)
            );
        }
    }

    #[test]
    fn a_policy_acts_without_a_look_up_but_not_without_a_provider() {
        let again = Resolution::PutBack(ResendReason::Policy(InDoubt::Resend));
        let got = conclude(Some(&ROW), Response::NotQueried);
        assert_eq!((got.resolution, got.responses), (again, 2));
        assert_eq!(got.next, LookUpPlan::UNCERTAIN.next(2, AGE));
        let got = conclude(Some(&ROW), Response::NotConfigured);
        assert_eq!((got.resolution, got.responses), (Resolution::Wait, 1));
    }
}
