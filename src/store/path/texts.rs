//! Keeps the texts of messages of several parts, before the first of them is sent.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::message::{AttemptToken, MessageId};
use crate::store::{Sql, Store, StoreError, prepared};

pub(in crate::store) static KEEP_TEXTS: &Sql = sql!("sql/keep_texts.sql");

impl Store {
    /// Keeps the texts of these; returns the attempts for which that is done.
    pub async fn keep_texts(
        &self,
        messages: &[(MessageId, AttemptToken, Vec<String>)],
    ) -> Result<BTreeSet<AttemptToken>, StoreError> {
        const STEP: &str = "keeping the texts of messages of several parts";
        let (mut ids, mut tokens, mut all) = (Vec::<Uuid>::new(), Vec::<Uuid>::new(), Vec::new());
        for (id, token, texts) in messages {
            for text in texts {
                ids.push(id.0);
                tokens.push(token.0);
                all.push(text.as_str());
            }
        }
        let client = self.client().await?;
        let keep = prepared(&client, KEEP_TEXTS, STEP).await?;
        let kept = client.query(&keep, &[&ids, &tokens, &all]).await;
        kept.map_err(StoreError::at(STEP))?
            .iter()
            .map(|row| Ok(AttemptToken(row.try_get(0)?)))
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }
}
