//! The settings of webhooks.

use super::provider::{ProviderChoice, said};
use super::raw::Raw;
use super::{Problem, key};
use crate::message::WebhookUrls;
use crate::provider::webhook::{Allowed, Secrets};

/// The settings of webhooks.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Sign every request.
    pub secrets: Secrets,
    /// Where requests may go in addition to the internet.
    pub allowed: Allowed,
    /// Those of message types, for rows that name none.
    pub urls: WebhookUrls,
}

pub(super) fn read(raw: &mut Raw) -> Option<WebhookSettings> {
    let secrets = raw.require(
        &key::WEBHOOK_SECRET,
        "the secret that signs webhooks, like what `echo whsec_$(openssl rand -base64 32)` prints",
        said::<Secrets>,
    );
    let allowed = raw.get(&key::WEBHOOK_ALLOW, said::<Allowed>);
    let urls = raw.get(&key::WEBHOOK_URLS, said::<WebhookUrls>);
    Some(WebhookSettings {
        secrets: secrets?,
        allowed: allowed.unwrap_or_default(),
        urls: urls.unwrap_or_default(),
    })
}

/// The URLs of jobs by type: they are called as webhooks, which need their secret.
pub(super) fn job_urls(
    raw: &mut Raw,
    provider: Option<&(ProviderChoice, Vec<ProviderChoice>)>,
) -> WebhookUrls {
    let urls = raw.get(&key::JOB_URLS, said::<WebhookUrls>);
    let urls = urls.unwrap_or_default();
    let has_webhooks = provider.is_none_or(|(provider, beside)| {
        let mut all = std::iter::once(provider).chain(beside);
        all.any(|of| of.webhook().is_some())
    });
    if !urls.is_empty() && !has_webhooks {
        raw.problem(Problem::JobsWithoutWebhooks);
    }
    urls
}
