//! Checks of what is reachable: the daemon on this machine, and with `--online` Twilio and the public
//! URL.

use reqwest::{StatusCode, Url};

use crate::cli::ask::{self, Daemon};
use crate::cli::run;
use crate::config::{Config, ProviderChoice, Sources, debug_endpoint};
use crate::message::ProviderSid;
use crate::provider::twilio::callback::STATUS_PATH;
use crate::provider::{Fetched, Provider as _};
use crate::store::doctor::{Finding, Level};

/// A message that no account has: to look it up needs valid credentials, and returns nothing.
const NO_MESSAGE: &str = "SM00000000000000000000000000000000";

/// Whether a daemon on this machine is ready. One that runs elsewhere is not an error.
pub(super) async fn daemon(config: &Config, sources: &Sources) -> Option<Finding> {
    const WHAT: &str = "daemon here";
    let daemon = Daemon::here(&debug_endpoint(sources).ok()?).await.ok()?;
    let (status, body) = daemon.get(&["readyz"], &[]).await.ok()?;
    Some(match status {
        StatusCode::OK => match body.trim_end().split_once('\n') {
            None => Finding::ok(WHAT, "ready"),
            Some((ready, remarks)) => Finding::not(
                Level::Warn,
                WHAT,
                format!("{ready}, but {}", remarks.replace('\n', "; ")),
                "see its log; it recovers once the cause is fixed",
            ),
        },
        StatusCode::SERVICE_UNAVAILABLE => Finding::not(
            Level::Bad,
            WHAT,
            format!("not ready: {}", ask::sentence(&body)),
            "see its log; it recovers once the cause is fixed",
        ),
        other => Finding::not(
            Level::Warn,
            WHAT,
            format!("another program responds at {}: {other}", config.http.addr),
            "give PUNCTUAL_HTTP_ADDR a port of its own",
        ),
    })
}

/// Whether the credentials are valid.
pub(super) async fn provider(config: &Config) -> Option<Finding> {
    const WHAT: &str = "twilio";
    let ProviderChoice::Twilio(settings) = &config.provider else {
        return None;
    };
    let twilio = match run::twilio(settings, config) {
        Ok(twilio) => twilio,
        Err(e) => {
            let remedy = "check TWILIO_API_BASE_URL and the machine's certificates";
            return Some(Finding::not(Level::Bad, WHAT, format!("{e:#}"), remedy));
        }
    };
    Some(match twilio.fetch(&ProviderSid(NO_MESSAGE.into())).await {
        Fetched::Found(_) | Fetched::Absent => Finding::ok(WHAT, "Twilio accepts the credentials"),
        Fetched::NotNow { reason, .. } => Finding::not(
            Level::Bad,
            WHAT,
            format!("unexpected response: {reason}"),
            "401: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (or the API key) do not match; else \
             check that this machine reaches api.twilio.com",
        ),
    })
}

/// Whether the public URL reaches a daemon, which refuses a request that Twilio has not signed.
pub(super) async fn public_url(config: &Config) -> Option<Finding> {
    const WHAT: &str = "callbacks";
    let url = config.http.public_url.as_ref()?;
    let url: Url = format!("{}{STATUS_PATH}", url.as_str().trim_end_matches('/'))
        .parse()
        .ok()?;
    let remedy = "PUNCTUAL_PUBLIC_URL must reach PUNCTUAL_WEBHOOK_ADDR (or PUNCTUAL_HTTP_ADDR) of a \
                  running daemon, with /webhooks in the path";
    let not = |found: String| Finding::not(Level::Bad, WHAT, found, remedy);
    let answer = match ask::client() {
        Ok(client) => client.post(url).send().await,
        Err(e) => return Some(not(format!("{e:#}"))),
    };
    Some(match answer {
        Ok(answer) if answer.status() == StatusCode::FORBIDDEN => {
            Finding::ok(WHAT, "the public URL reaches a daemon")
        }
        Ok(answer) => not(format!(
            "expected 403 for an unsigned request, got {}",
            answer.status().as_u16()
        )),
        Err(e) => not(format!(
            "the public URL is not reachable from here: {}",
            ask::why(&e.without_url())
        )),
    })
}
