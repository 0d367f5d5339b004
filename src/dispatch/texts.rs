//! Keeps the texts of messages of several parts, between their claim and their first request.

use std::collections::BTreeSet;

use super::{ASKING_PATIENCE, ClaimJudged, Dispatch, Payload};
use crate::message::ClaimResponse;

impl Dispatch {
    /// Keeps the texts of messages of several parts that are to begin. Those for which that fails are not sent.
    pub(super) async fn keep_texts(&self, judged: &mut [ClaimJudged]) {
        let cleared: Vec<_> = judged.iter().filter_map(to_be_kept).collect();
        let cleared: Vec<_> = cleared
            .iter()
            .map(|it| (it.id(), it.token(), it.texts().to_vec()))
            .collect();
        if cleared.is_empty() {
            return;
        }
        let keep = self.store.keep_texts(&cleared);
        let kept = match self.store.within(ASKING_PATIENCE, keep).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(messages = cleared.len(), %error, "the texts of messages of several parts could not be kept");
                BTreeSet::new()
            }
        };
        for answer in judged {
            if to_be_kept(answer).is_some_and(|cleared| !kept.contains(&cleared.token()))
                && let ClaimResponse::Won(judged) = &mut answer.1
            {
                judged.without_texts();
            }
        }
    }
}

/// A message whose texts are to be kept before it is sent.
fn to_be_kept((_, answer): &ClaimJudged) -> Option<&Payload> {
    let ClaimResponse::Won(judged) = answer else {
        return None;
    };
    let cleared = judged.verdict.as_ref().ok()?;
    (!cleared.texts().is_empty()).then_some(cleared)
}
