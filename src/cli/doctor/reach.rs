//! Checks of what is reachable: the daemon on this machine, and with `--online` Twilio, modems, SMTP
//! servers and the public URL.

use reqwest::{StatusCode, Url};

use crate::cli::ask::{self, Daemon};
use crate::cli::run;
use crate::config::{Config, ProviderChoice, Sources, TwilioSettings, debug_endpoint};
use crate::message::ProviderSid;
use crate::provider::modem::{self, Inspection};
use crate::provider::twilio::callback::status_path;
use crate::provider::{Fetched, Provider as _};
use crate::reactor::report::Remark;
use crate::store::doctor::{Finding, Level};

/// A signal below this loses messages.
const WEAK_DBM: i32 = -105;

/// A message that no account has: to look it up needs valid credentials, and returns nothing.
const NO_MESSAGE: &str = "SM00000000000000000000000000000000";

/// Whether a daemon on this machine is ready. One that runs elsewhere is not an error.
pub(super) async fn daemon(config: &Config, sources: &Sources) -> Option<Finding> {
    const WHAT: &str = "daemon here";
    let daemon = Daemon::here(&debug_endpoint(sources).ok()?).await.ok()?;
    let (status, body) = daemon.get(&["readyz"], &[]).await.ok()?;
    Some(match status {
        StatusCode::OK => ready(WHAT, &body),
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

/// How changes are learned of is no fault: as a sentence, or as the word that those without a token get.
fn ready(what: &str, body: &str) -> Finding {
    let ways = [
        (Remark::POLLED, Remark::POLLED_TEXT),
        (Remark::FED, Remark::FED_TEXT),
    ];
    let way_of = |remark: &str| {
        let kind = remark.strip_prefix("remark: ");
        let is_it = |(of, text): &(&str, &str)| remark.starts_with(text) || kind == Some(*of);
        ways.into_iter().find(is_it)
    };
    let (way, remarks): (Vec<&str>, Vec<&str>) = body
        .lines()
        .skip(1)
        .partition(|remark| way_of(remark).is_some());
    if remarks.is_empty() {
        let way = way.first().and_then(|remark| way_of(remark));
        let found = way.map_or_else(|| "ready".to_owned(), |(_, text)| format!("ready; {text}"));
        return Finding::ok(what, found);
    }
    Finding::not(
        Level::Warn,
        what,
        format!("ready, but {}", remarks.join("; ")),
        "see its log; it recovers once the cause is fixed",
    )
}

/// Whether the credentials of each account are valid.
pub(super) async fn providers(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (account, settings) in twilios(config) {
        findings.push(provider(config, account, settings).await);
    }
    findings
}

/// The accounts of Twilio's; `None`: the default one.
fn twilios(config: &Config) -> impl Iterator<Item = (Option<&str>, &TwilioSettings)> {
    config
        .each_provider()
        .filter_map(|(account, provider)| match provider {
            ProviderChoice::Twilio(settings) => Some((account, settings)),
            _ => None,
        })
}

/// The modem of each account: whether it responds, and what it says of itself.
pub(super) async fn modems(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (account, provider) in config.each_provider() {
        if let ProviderChoice::Modem(settings) = provider {
            let what = account.map_or("modem".to_owned(), |name| format!("modem {name}"));
            let found = modem::inspect(&settings.port, settings.pin.clone()).await;
            findings.push(modem_finding(&what, found));
        }
    }
    findings
}

/// The SMTP server of each account: whether it accepts a connection and the login.
pub(super) async fn mail_servers(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (account, provider) in config.each_provider() {
        let Some(settings) = provider.smtp() else {
            continue;
        };
        let what = account.map_or("smtp".to_owned(), |name| format!("smtp {name}"));
        let checked = match run::smtp(settings, config) {
            Ok(smtp) => smtp.check().await,
            Err(e) => Err(format!("{e:#}")),
        };
        findings.push(match checked {
            Ok(()) => Finding::ok(&what, "the server accepts the connection and the login"),
            Err(why) => Finding::not(
                Level::Bad,
                &what,
                why,
                "check PUNCTUAL_SMTP, PUNCTUAL_SMTP_USER and PUNCTUAL_SMTP_PASSWORD (server, user and password of an \
                 account), and that this machine reaches the server",
            ),
        });
    }
    findings
}

fn modem_finding(what: &str, found: Result<Inspection, String>) -> Finding {
    let found = match found {
        Ok(found) => found,
        Err(why) if why.contains("another process") => {
            return Finding::ok(what, "in use, for example by a running daemon");
        }
        Err(why) => {
            let remedy = "check PUNCTUAL_MODEM: the device, its rights, and which of its ports takes AT commands";
            return Finding::not(Level::Bad, what, why, remedy);
        }
    };
    let signal = match found.signal_dbm {
        Some(dbm) => format!("signal {dbm} dBm"),
        None => "no signal".to_owned(),
    };
    let network = found.operator.unwrap_or_else(|| "no network".to_owned());
    let shown = format!("{signal}, {network}");
    if !found.is_registered {
        let remedy = "check the antenna, and whether the SIM is activated";
        return Finding::not(Level::Bad, what, format!("{shown}, not registered"), remedy);
    }
    if !found.has_service_centre {
        let remedy = "set the number of the operator's service centre in the SIM (AT+CSCA)";
        let found = format!("{shown}, and the SIM has no number of a service centre");
        return Finding::not(Level::Bad, what, found, remedy);
    }
    if found.signal_dbm.is_some_and(|dbm| dbm < WEAK_DBM) {
        let remedy = "move the modem or its antenna";
        return Finding::not(Level::Warn, what, format!("{shown}: weak"), remedy);
    }
    Finding::ok(what, shown)
}

async fn provider(config: &Config, account: Option<&str>, settings: &TwilioSettings) -> Finding {
    let what = account.map_or("twilio".to_owned(), |name| format!("twilio {name}"));
    let twilio = match run::twilio(settings, config, account) {
        Ok(twilio) => twilio,
        Err(e) => {
            let remedy = "check TWILIO_API_BASE_URL (api_base_url of an account) and the machine's certificates";
            return Finding::not(Level::Bad, &what, format!("{e:#}"), remedy);
        }
    };
    match twilio.fetch(&ProviderSid(NO_MESSAGE.into())).await {
        Fetched::Found(_) | Fetched::Absent => Finding::ok(&what, "Twilio accepts the credentials"),
        Fetched::NotNow { reason, .. } => Finding::not(
            Level::Bad,
            &what,
            format!("unexpected response: {reason}"),
            "401: the account's SID and auth token (or the API key) do not match; else check that this machine \
             reaches api.twilio.com",
        ),
    }
}

/// Whether the public URL reaches a daemon, which refuses a request that Twilio has not signed.
pub(super) async fn public_url(config: &Config) -> Option<Finding> {
    const WHAT: &str = "callbacks";
    let url = config.http.public_url.as_ref()?;
    let (account, _) = twilios(config).next()?;
    let front = url.as_str().trim_end_matches('/');
    let url: Url = format!("{front}{}", status_path(account)).parse().ok()?;
    let remedy = "PUNCTUAL_PUBLIC_URL must reach PUNCTUAL_WEBHOOK_ADDR (or PUNCTUAL_HTTP_ADDR) of a \
                  running daemon, with /webhooks in the path";
    let not = |found: String| Finding::not(Level::Bad, WHAT, found, remedy);
    let answer = match ask::client(&url) {
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
