//! Errors of the settings. Each names the key.

use std::path::PathBuf;
use std::time::Duration;

use humantime::format_duration;

use crate::message::{LaneKey, SenderTaken};

/// The settings are invalid, for at least one reason. Displays one reason per line.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigError(pub Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// One reason. None of them shows a secret, a phone number or a URL that may contain a password.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// An unknown key: nearly always a misspelling.
    #[error("{key} is not a setting{}", did_you_mean(.similar.as_deref()))]
    Unknown {
        /// As it was written, and where.
        key: String,
        /// The setting that was probably meant.
        similar: Option<String>,
    },
    /// An invalid value.
    #[error("{key} is not valid{}: expected {expected}", shown(.value.as_deref()))]
    Unusable {
        /// As it was written, and where.
        key: String,
        /// The value, if it may be shown.
        value: Option<String>,
        /// A description of valid values.
        expected: String,
    },
    /// A required setting is missing.
    #[error("{key} is required: set it to {expected}")]
    Missing {
        /// The environment variable, or the key in the file.
        key: String,
        /// A description of valid values.
        expected: &'static str,
    },
    /// A part of a pair without the other.
    #[error("{given} is set without {missing}: set both or neither")]
    Half {
        /// The one that is set.
        given: String,
        /// The one that is not.
        missing: String,
    },
    /// A password that would cross a network in the clear.
    #[error(
        "{password} is set, and {server} has no TLS, so the password could be read on the way: use smtp:// or smtps://"
    )]
    PlainPassword {
        /// The setting with the server.
        server: String,
        /// The setting with the password.
        password: String,
    },
    /// The name of an account that is not one.
    #[error(
        "[accounts.{name}] in {} is not valid: an account's name is up to 32 of a-z, 0-9, - and _, and not {} or {}",
        path.display(), LaneKey::DEFAULT_ACCOUNT, LaneKey::UNKNOWN_ACCOUNT
    )]
    AccountName {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// A source table that is not described as it must be.
    #[error("{key}: {why}")]
    Source {
        /// Which one, and where.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// A sender that chooses more than one account.
    #[error("accounts.{account}: {taken}")]
    SenderTaken {
        /// The account that has it too.
        account: String,
        /// The one that had it.
        taken: SenderTaken,
    },
    /// A route that leads nowhere.
    #[error("routes: the route of {of} {why}")]
    Route {
        /// Whose it is.
        of: String,
        /// What is wrong with it.
        why: String,
    },
    /// A sender that the account's provider cannot send from.
    #[error(
        "a sender of the account {account} is a number on WhatsApp, and its provider, {provider}, sends nothing there: \
         give the sender to an account of twilio, or leave it out"
    )]
    SenderNotTaken {
        /// The account.
        account: String,
        /// Its provider.
        provider: &'static str,
    },
    /// A setting that an account has none of its own of.
    #[error("{key} is not a setting of a single account: set it for all of them, as {for_all}")]
    NotOfAccount {
        /// As it was written, and where.
        key: String,
        /// Its key in the settings file.
        for_all: &'static str,
    },
    /// A secret given as a value and as a file.
    #[error("{key} and {file_key} are both set: keep one")]
    Twice {
        /// As it was written, and where.
        key: String,
        /// Likewise.
        file_key: String,
    },
    /// Anyone who may read could make changes.
    #[error(
        "PUNCTUAL_OPERATOR_TOKEN and PUNCTUAL_DEBUG_TOKEN are the same, so anyone who may read could make changes: \
         set different ones"
    )]
    TokensSame,
    /// An address for callbacks without the URL that Twilio would call.
    #[error(
        "PUNCTUAL_WEBHOOK_ADDR is set without PUNCTUAL_PUBLIC_URL, so Twilio has no URL for \
         callbacks: set both or neither; or set PUNCTUAL_LINK_URL too, if it is for tracking links"
    )]
    CallbacksWithoutUrl,
    /// Jobs are called as webhooks.
    #[error(
        "jobs have a URL (PUNCTUAL_JOB_URLS, [jobs.TYPE]), and no secret signs requests to it: set PUNCTUAL_WEBHOOK_SECRET"
    )]
    JobsWithoutWebhooks,
    /// See [`Config::lease`](super::Config::lease).
    #[error(
        "PUNCTUAL_LEASE is {}, too short for a PUNCTUAL_SEND_TIMEOUT of {}: expected at least \
         twice that and 50ms, which is {}",
        format_duration(*lease), format_duration(*send_timeout), format_duration(*floor)
    )]
    LeaseTooShort {
        /// The lease.
        lease: Duration,
        /// The send time-out.
        send_timeout: Duration,
        /// The least valid lease.
        floor: Duration,
    },
    /// A secret's file cannot be read.
    #[error("{key}: cannot read {}: {source}", path.display())]
    SecretFile {
        /// As it was written, and where.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The settings file cannot be read.
    #[error("cannot read the settings file {}: {source}", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The settings file is not TOML. Its lines are not repeated, because they may contain secrets.
    #[error("{} is not valid TOML, line {line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The parser's message.
        message: String,
    },
}

fn did_you_mean(similar: Option<&str>) -> String {
    similar.map_or_else(String::new, |s| format!("; did you mean {s}?"))
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(String::new, |v| format!(" ({v:?})"))
}
