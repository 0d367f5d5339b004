//! The settings of the installation, written to the database for its functions and for the views that people read.

use tokio_postgres::types::Json;

use crate::message::WebhookUrls;
use crate::policy::Rules;
use crate::store::migrate::{KNOWS_BURSTS, KNOWS_CAPS};
use crate::store::{Sql, Store, StoreError, prepared};

static SETTINGS_KEEP: &Sql = sql!("sql/settings_keep.sql");

impl Store {
    /// Writes the installation's settings to the database, for the views that people read.
    pub async fn keep_settings(&self, rules: &Rules) -> Result<(), StoreError> {
        const STEP: &str = "writing the settings";
        let zone = rules.timezone.iana_name().unwrap_or("UTC");
        let hours = rules.business_hours.as_ref();
        let text = hours.map(ToString::to_string);
        let ranges = hours.map_or(&[][..], |hours| hours.ranges());
        let from: Vec<i64> = ranges.iter().map(|r| r.start).collect();
        let until: Vec<i64> = ranges.iter().map(|r| r.end).collect();
        let campaigns = &rules.campaign_hours;
        let their_zone = campaigns.timezone.iana_name().unwrap_or("UTC");
        let their_ranges = campaigns.hours.ranges().iter();
        let (their_from, their_until): (Vec<i64>, Vec<i64>) =
            their_ranges.map(|r| (r.start, r.end)).unzip();
        let routes = &rules.routes;
        let senders: serde_json::Map<_, _> = routes
            .names()
            .filter_map(|name| Some((name.to_owned(), routes.sender(name)?.as_str().into())))
            .collect();
        let senders = serde_json::Value::from(senders);
        let urls = as_json(&rules.webhook_urls);
        let job_urls = as_json(&rules.job_urls);
        let client = self.client().await?;
        let keep = prepared(&client, SETTINGS_KEEP, STEP).await?;
        client
            .execute(
                &keep,
                &[
                    &zone,
                    &text,
                    &from,
                    &until,
                    &rules.validate.as_str(),
                    &rules.part_separator.as_deref().unwrap_or_default(),
                    &senders,
                    &urls,
                    &their_zone,
                    &campaigns.hours.to_string(),
                    &their_from,
                    &their_until,
                    &rules.link_url,
                    &job_urls,
                    &rules.lawful.is_some(),
                    &Json(&rules.guards),
                    &oldest_program(rules),
                ],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }
}

/// The oldest program that knows the bounds of these rules; `None`: they have none.
fn oldest_program(rules: &Rules) -> Option<i32> {
    let is_capped = rules.costs.as_ref().is_some_and(|own| own.caps.is_some());
    let burst = rules.burst.map(|_| KNOWS_BURSTS);
    burst.or_else(|| is_capped.then_some(KNOWS_CAPS))
}

fn as_json(urls: &WebhookUrls) -> serde_json::Value {
    let urls = urls.iter();
    let urls: serde_json::Map<_, _> = urls.map(|(of, url)| (of.to_owned(), url.into())).collect();
    urls.into()
}
