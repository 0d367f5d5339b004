//! Checks of the settings, without a connection.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use rustix::fs::{Access, access};

use super::choices::{email, in_app, lateness, placeholders, push, time_zone, uncertain};
use super::senders::is_for_tests;
use super::{guards, writer};
use crate::config::{Config, ConfigError, ProviderChoice, Sources, StateSetting};
use crate::http::TokenKind;
use crate::message::Channel;
use crate::store::doctor::{Finding, Level};

/// The permission bits by which anyone but owner and group may read a file.
const OTHERS_READ: u32 = 0o004;

/// Directories that do not survive a restart of the machine.
const TEMPORARY: [&str; 4] = ["/tmp", "/run", "/var/run", "/dev/shm"];

pub(super) fn check(config: &Result<Config, ConfigError>, sources: &Sources) -> Vec<Finding> {
    let config = match config {
        Ok(config) => config,
        Err(problems) => {
            let remedy = "`punctual run --help` lists every setting";
            return problems
                .0
                .iter()
                .map(|p| Finding::not(Level::Bad, "settings", p.to_string(), remedy))
                .chain([files(sources)])
                .collect();
        }
    };
    let mut findings = vec![
        Finding::ok("settings", "valid"),
        sender(config),
        provider(config),
        webhooks(config),
        email(config),
        push(config),
        in_app(config),
        accounts(config),
        writer::settings(config),
        placeholders(config),
        token(config),
        public_url(config),
        state_dir(config),
        uncertain(config),
        time_zone(config),
        lateness(config),
    ];
    findings.extend(guards::settings(config));
    findings.extend(modem_time(config));
    findings.push(files(sources));
    findings
}

fn sender(config: &Config) -> Finding {
    const WHAT: &str = "sender";
    if !config.channels().contains(&Channel::Sms) {
        return Finding::ok(WHAT, "not needed: no texts are sent");
    }
    if let Some(sender) = &config.default_sender {
        if !is_for_tests(sender) {
            return Finding::ok(WHAT, "set");
        }
        return Finding::not(
            Level::Bad,
            WHAT,
            "a number of Twilio's test credentials, from which nothing is delivered",
            "set TWILIO_SMS_FROM_NUMBER to a number of the account",
        );
    }
    Finding::not(
        Level::Warn,
        WHAT,
        "not set: rows without a from_number fail",
        "set TWILIO_SMS_FROM_NUMBER or TWILIO_MESSAGING_SERVICE_SID",
    )
}

fn provider(config: &Config) -> Finding {
    const WHAT: &str = "provider";
    match &config.provider {
        ProviderChoice::Twilio(twilio) if is_account(twilio.account_sid.as_str()) => {
            Finding::ok(WHAT, "twilio")
        }
        ProviderChoice::Twilio(_) => Finding::not(
            Level::Warn,
            WHAT,
            "TWILIO_ACCOUNT_SID is not AC and 32 hexadecimal digits",
            "copy it again from Twilio's console",
        ),
        ProviderChoice::Modem(_) => Finding::ok(WHAT, "modem"),
        ProviderChoice::Webhook(_) => Finding::ok(WHAT, "webhook: no texts are sent"),
        ProviderChoice::Smtp(_) => Finding::ok(WHAT, "smtp: no texts are sent"),
        ProviderChoice::WebPush(_) => Finding::ok(WHAT, "webpush: no texts are sent"),
        ProviderChoice::InApp => Finding::ok(WHAT, "in_app: no texts are sent"),
        ProviderChoice::Console => Finding::not(
            Level::Warn,
            WHAT,
            "console: messages are printed and marked sent, not delivered",
            "unset PUNCTUAL_PROVIDER to send through Twilio",
        ),
    }
}

/// Whether a modem of any account has enough time. `None`: there is none.
///
/// A network takes seconds for each segment of a text, and longer when it is busy.
fn modem_time(config: &Config) -> Option<Finding> {
    const WHAT: &str = "modem";
    const ENOUGH: Duration = Duration::from_secs(30);
    let mut providers = config.each_provider();
    providers.find(|(_, provider)| matches!(provider, ProviderChoice::Modem(_)))?;
    let time = humantime::format_duration(config.send_timeout);
    if config.send_timeout >= ENOUGH {
        return Some(Finding::ok(WHAT, format!("{time} for a message")));
    }
    Some(Finding::not(
        Level::Warn,
        WHAT,
        format!(
            "{time} for a message: of a longer text or in a busy network the outcome is often uncertain"
        ),
        "set PUNCTUAL_SEND_TIMEOUT=60s and PUNCTUAL_LEASE=3min",
    ))
}

fn webhooks(config: &Config) -> Finding {
    const WHAT: &str = "webhooks";
    let own = std::iter::once(&config.provider).chain(&config.beside);
    let settings = own.into_iter().find_map(ProviderChoice::webhook);
    let Some(settings) = settings else {
        return Finding::ok(WHAT, "off: PUNCTUAL_WEBHOOK_SECRET is not set");
    };
    let signed = match settings.secrets.len() {
        1 => "signed",
        _ => {
            "signed by two secrets, of which the second should go once every endpoint has the first"
        }
    };
    if settings.allowed.has_everything() {
        return Finding::not(
            Level::Warn,
            WHAT,
            "PUNCTUAL_WEBHOOK_ALLOW has every address: whoever writes rows reaches this machine and its network",
            "name only the hosts and networks that are to be called",
        );
    }
    Finding::ok(WHAT, signed)
}

fn accounts(config: &Config) -> Finding {
    let each = config.accounts.iter().map(|account| {
        let sender = match (&account.sender, &account.provider) {
            (None, ProviderChoice::Twilio(_)) => ", without a sender",
            _ => "",
        };
        format!("{} ({}{sender})", account.name, account.provider.as_str())
    });
    let all: Vec<_> = std::iter::once("default".to_owned()).chain(each).collect();
    let routes = config.routes.list().to_string();
    let routes = (!routes.is_empty()).then(|| format!("; routes: {routes}"));
    Finding::ok("accounts", all.join(", ") + &routes.unwrap_or_default())
}

fn is_account(sid: &str) -> bool {
    sid.strip_prefix("AC")
        .is_some_and(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn token(config: &Config) -> Finding {
    const WHAT: &str = "debug token";
    if config.http.debug_token.is_some() {
        return Finding::ok(WHAT, "set");
    }
    let file = config.http.runtime.token_file(TokenKind::Debug);
    Finding::ok(
        WHAT,
        format!("not set: the daemon makes one, in {}", file.display()),
    )
}

fn public_url(config: &Config) -> Finding {
    const WHAT: &str = "public url";
    if matches!(config.provider, ProviderChoice::Modem(_)) && config.accounts.is_empty() {
        return Finding::ok(
            WHAT,
            "not needed: a modem receives replies and reports itself",
        );
    }
    let Some(url) = &config.http.public_url else {
        return Finding::not(
            Level::Warn,
            WHAT,
            "not set: no delivery receipts, STOP replies are not seen",
            "set PUNCTUAL_PUBLIC_URL to the https URL at which Twilio reaches this daemon",
        );
    };
    if is_at_home(url) {
        return Finding::not(
            Level::Bad,
            WHAT,
            "an address of this machine or network, which Twilio cannot reach",
            "set PUNCTUAL_PUBLIC_URL to a public hostname",
        );
    }
    if url.scheme() != "https" {
        return Finding::not(
            Level::Bad,
            WHAT,
            "not https: numbers and replies would cross the internet unencrypted",
            "use a proxy with TLS, and set PUNCTUAL_PUBLIC_URL to its https URL",
        );
    }
    Finding::ok(WHAT, "https")
}

fn is_at_home(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return true;
    };
    let name = host.trim_matches(['[', ']']).trim_end_matches('.');
    match name.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Err(_) => {
            name == "localhost"
                || [".localhost", ".local", ".internal"]
                    .iter()
                    .any(|end| name.ends_with(end))
        }
    }
}

fn state_dir(config: &Config) -> Finding {
    const WHAT: &str = "state dir";
    const REMEDY: &str = "set PUNCTUAL_STATE_DIR to a directory that belongs to the daemon's user";
    let Some(dir) = config.state_dir.path() else {
        let reason = config.state_dir.reason().unwrap_or_default();
        let found = format!("no journal: {reason}");
        return match config.state_dir {
            StateSetting::Off => Finding::ok(WHAT, found),
            _ => Finding::not(Level::Warn, WHAT, found, REMEDY),
        };
    };
    if TEMPORARY.iter().any(|temporary| dir.starts_with(temporary)) {
        return Finding::not(
            Level::Warn,
            WHAT,
            format!(
                "{} is emptied when the machine restarts, and the journal with it",
                dir.display()
            ),
            "set PUNCTUAL_STATE_DIR to a directory that survives, such as /var/lib/punctual",
        );
    }
    // The first start creates missing directories.
    let there = dir.ancestors().find(|path| path.exists());
    let there = there.unwrap_or_else(|| Path::new("."));
    if there.is_dir() && access(there, Access::WRITE_OK | Access::EXEC_OK).is_ok() {
        return Finding::ok(WHAT, dir.display().to_string());
    }
    let level = match config.state_dir {
        // The daemon does not start.
        StateSetting::Set(_) => Level::Bad,
        _ => Level::Warn,
    };
    let found = format!(
        "no journal: {} is not a writable directory",
        there.display()
    );
    Finding::not(level, WHAT, found, REMEDY)
}

/// Files with secrets that every user of the machine may read.
fn files(sources: &Sources) -> Finding {
    const WHAT: &str = "secret files";
    let named = sources
        .env
        .iter()
        .filter(|(name, _)| {
            let name = name.to_string_lossy();
            let ours = ["PUNCTUAL_", "TWILIO_", "DATABASE_"];
            name.ends_with("_FILE") && ours.iter().any(|start| name.starts_with(start))
        })
        .map(|(_, path)| PathBuf::from(path));
    let settings = sources
        .config
        .clone()
        .or_else(|| {
            sources
                .env
                .get(OsStr::new("PUNCTUAL_CONFIG"))
                .map(PathBuf::from)
        })
        .unwrap_or_else(|| "punctual.toml".into());
    let open: Vec<String> = named
        .chain([settings])
        .map(|path| sources.dir.join(path))
        .filter(|path| {
            std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & OTHERS_READ != 0)
        })
        .map(|path| path.display().to_string())
        .collect();
    if open.is_empty() {
        return Finding::ok(WHAT, "readable only by this user and group");
    }
    let remedy = format!("chmod o-r {}", open.join(" "));
    let found = "every user of this machine may read files with secrets";
    Finding::not(Level::Warn, WHAT, found, &remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_twilio_cannot_reach() {
        for (url, home) in [
            ("https://punctual.example.com", false),
            ("https://8.8.8.8", false),
            ("https://localhost:8080", true),
            ("https://127.0.0.1", true),
            ("https://192.168.1.7", true),
            ("https://[::1]", true),
            ("https://[fd00::1]", true),
            ("https://[2001:4860:4860::8888]", false),
            ("https://punctual.internal", true),
        ] {
            assert_eq!(is_at_home(&url.parse().unwrap()), home, "{url}");
        }
    }
}
