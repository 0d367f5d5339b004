//! Counts the texts that say the same to new numbers, between their claim and their request, and holds for a person
//! what is too many.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::{ASKING_PATIENCE, ClaimJudged, Dispatch};
use crate::message::ClaimResponse;
use crate::policy::{Reason, ReasonKind, TextWords};
use crate::settle::Settlement;
use crate::store::Equal;

/// Before a text is tried again that could not be counted.
const NOT_COUNTED: Duration = Duration::from_secs(10);

impl Dispatch {
    /// Counts the texts that are to be sent, the urgent ones first. What is held is not sent: a pause of what it says
    /// stops it from then on. What such a pause held before can be stopped by it again, as by any.
    pub(super) async fn count_texts(&self, judged: &mut [ClaimJudged]) {
        let Some(burst) = self.rules.burst else {
            return;
        };
        let mut cleared: Vec<_> = judged
            .iter()
            .filter_map(|(_, answer)| match answer {
                ClaimResponse::Won(claim) => claim.verdict.as_ref().ok().cloned(),
                _ => None,
            })
            .collect();
        cleared.sort_by_key(|own| Reverse(own.about().priority));
        let texts = cleared.iter().filter_map(|own| {
            let (says, to) = TextWords::of(own)?;
            Some((own.id(), says, to))
        });
        let texts: Vec<_> = texts.collect();
        if texts.is_empty() {
            return;
        }
        let count = self.store.count_texts(&texts, burst);
        let says: HashMap<_, _> = texts.iter().map(|(id, says, _)| (*id, says)).collect();
        let counted = match self.store.within(ASKING_PATIENCE, count).await {
            Ok(counted) => Ok(counted.into_iter().collect::<HashMap<_, _>>()),
            Err(error) => {
                tracing::warn!(messages = texts.len(), %error, "equal texts could not be counted; retrying");
                let until = self.clock.now().db + NOT_COUNTED;
                let reason = Reason::new(ReasonKind::Burst, "its text could not be counted");
                Err(Settlement::deferred(until, reason))
            }
        };
        let mut begun = BTreeSet::new();
        for (id, answer) in judged {
            let (ClaimResponse::Won(claim), Some(says)) = (answer, says.get(&*id)) else {
                continue;
            };
            match counted.as_ref().map(|counted| counted.get(&*id)) {
                Err(settlement) => claim.verdict = Err(settlement.clone()),
                Ok(Some(Equal::Held { has_begun })) => {
                    claim.verdict = Err(Settlement::held(burst.held(says)));
                    if *has_begun {
                        begun.insert(says.as_str());
                    }
                }
                Ok(Some(Equal::LetGo)) => {
                    claim.pausable.text = Some(says.as_str().to_owned());
                }
                Ok(None) => {}
            }
        }
        for text in begun {
            tracing::warn!(text, "{}{text}", burst.why());
        }
    }
}
