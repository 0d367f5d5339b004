//! Checks of settings that are valid, but probably a mistake.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::zones::is_fixed;
use crate::config::{Config, ProviderChoice};
use crate::message::InDoubt;
use crate::store::doctor::{Finding, Level};

/// A daemon needs some seconds to be restarted, and to have the clock and the window again.
const LATENESS_LOW: Duration = Duration::from_secs(30);

/// Values that were copied from an example.
pub(super) fn placeholders(config: &Config) -> Finding {
    const WHAT: &str = "placeholders";
    let mut found = Vec::new();
    if let ProviderChoice::Twilio(twilio) = &config.provider {
        if is_repeated(&twilio.account_sid.as_str()[2..]) {
            found.push("TWILIO_ACCOUNT_SID");
        }
        let token = twilio.auth_token.expose_secret();
        if token.len() != 32 || !token.bytes().all(|b| b.is_ascii_hexdigit()) || is_repeated(token)
        {
            found.push("TWILIO_AUTH_TOKEN");
        }
    }
    for (name, token) in [
        ("PUNCTUAL_DEBUG_TOKEN", &config.http.debug_token),
        ("PUNCTUAL_OPERATOR_TOKEN", &config.http.operator_token),
    ] {
        if token
            .as_ref()
            .is_some_and(|token| is_example(token.expose_secret()))
        {
            found.push(name);
        }
    }
    if config
        .database
        .url
        .expose_secret()
        .to_ascii_uppercase()
        .contains("YOUR-PASSWORD")
    {
        found.push("DATABASE_URL");
    }
    if found.is_empty() {
        return Finding::ok(WHAT, "none");
    }
    let found = format!("not a real value: {}", found.join(", "));
    let remedy = "copy Twilio's values from its console, make a token with `openssl rand -hex 32`, and put the \
                  database's password in place of [YOUR-PASSWORD]";
    Finding::not(Level::Bad, WHAT, found, remedy)
}

/// Whether e-mails are sent, and in the clear.
pub(super) fn email(config: &Config) -> Finding {
    const WHAT: &str = "email";
    let mut all = config.each_provider().filter_map(|(_, of)| of.smtp());
    let Some(first) = all.next() else {
        return Finding::ok(WHAT, "off: PUNCTUAL_SMTP is not set");
    };
    if std::iter::once(first)
        .chain(all)
        .any(|settings| settings.server.is_readable())
    {
        return Finding::not(
            Level::Warn,
            WHAT,
            "e-mails leave this machine without TLS, and can be read and changed on the way",
            "use smtp:// (STARTTLS) or smtps:// (TLS) in PUNCTUAL_SMTP, unless the network is private",
        );
    }
    Finding::ok(WHAT, "on")
}

/// Whether push messages are sent.
pub(super) fn push(config: &Config) -> Finding {
    const WHAT: &str = "push";
    let mut all = config
        .each_provider()
        .filter_map(|(_, of)| of.webpush())
        .peekable();
    if all.peek().is_none() {
        return Finding::ok(WHAT, "off: PUNCTUAL_VAPID_PRIVATE_KEY is not set");
    }
    if all.any(|settings| settings.allowed.has_everything()) {
        return Finding::not(
            Level::Warn,
            WHAT,
            "PUNCTUAL_PUSH_ALLOW has every address: the app's users reach this machine and its network",
            "name only the hosts and networks of your own push services",
        );
    }
    Finding::ok(WHAT, "on")
}

/// Whether messages are put into the table that the app shows.
pub(super) fn in_app(config: &Config) -> Finding {
    const WHAT: &str = "in-app";
    let is_it = |provider: &ProviderChoice| matches!(provider, ProviderChoice::InApp);
    let on = config.each_provider().any(|(_, of)| is_it(of));
    let off = "off: PUNCTUAL_IN_APP is not set";
    Finding::ok(WHAT, if on { "on" } else { off })
}

/// One or two characters over and over.
fn is_repeated(text: &str) -> bool {
    let mut seen: Vec<char> = text.to_ascii_lowercase().chars().collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len() <= 2
}

/// What anybody would try.
fn is_example(token: &str) -> bool {
    let token = token.to_ascii_lowercase();
    let words = [
        "change",
        "secret",
        "password",
        "your",
        "example",
        "token",
        "1234567890",
        "letmein",
        "xxxx",
    ];
    is_repeated(&token) || words.iter().any(|word| token.contains(word))
}

pub(super) fn uncertain(config: &Config) -> Finding {
    const WHAT: &str = "uncertain outcomes";
    match config.in_doubt {
        InDoubt::Resend => Finding::not(
            Level::Warn,
            WHAT,
            "PUNCTUAL_IN_DOUBT=resend: whenever a response is lost, the text is sent again, even if it had arrived",
            "use resend_if_absent, which looks in the provider's list first, and set in_doubt = 'resend' on single rows",
        ),
        InDoubt::Hold | InDoubt::ResendIfAbsent => {
            Finding::ok(WHAT, "no text is repeated without proof")
        }
    }
}

pub(super) fn time_zone(config: &Config) -> Finding {
    const WHAT: &str = "installation zone";
    let name = config.timezone.iana_name().unwrap_or("UTC");
    if !is_fixed(name) {
        return Finding::ok(WHAT, name);
    }
    Finding::not(
        Level::Warn,
        WHAT,
        format!("PUNCTUAL_TIMEZONE={name} has no summer time"),
        "in summer local times are an hour off: write America/New_York for EST, America/Denver for MST",
    )
}

pub(super) fn lateness(config: &Config) -> Finding {
    const WHAT: &str = "allowed lateness";
    let shown = format!("{} s", config.max_lateness.as_secs());
    if config.max_lateness >= LATENESS_LOW {
        return Finding::ok(WHAT, shown);
    }
    Finding::not(
        Level::Warn,
        WHAT,
        format!("{shown}: a restart cancels what is due meanwhile"),
        "set PUNCTUAL_MAX_LATENESS to how late a message is still worth sending, such as 15m",
    )
}
