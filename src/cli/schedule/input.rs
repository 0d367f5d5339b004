//! What the arguments of a message may be.

use jiff::tz::TimeZone;

use super::Args;
use crate::cli::when::FORMS;
use crate::message::{Channel, Sender, SenderError};
use crate::policy;
use crate::provider;

/// The CLI does not read the daemon's settings, so it takes what any provider takes.
pub(in crate::cli) fn sender(text: &str) -> Result<Sender, SenderError> {
    Sender::parse(text, provider::TEXTS.sender_pools)
}

/// The sender of a message of this channel.
pub(super) fn sender_of(channel: Channel, text: &str) -> Result<Sender, String> {
    match channel {
        Channel::Sms => sender(text).map_err(|why| why.to_string()),
        Channel::Email => match text.parse() {
            Ok(address) => Ok(Sender::Email(address)),
            Err(why) => Err(why.to_string()),
        },
        _ => Err("only text messages and e-mails have a sender".to_owned()),
    }
}

/// With a template its variables may be in it, and the daemon checks what it becomes.
pub(super) fn check_subject(args: &Args, subject: &str) -> Result<(), String> {
    if !args.channel.has_subject() {
        let channel = args.channel.as_str();
        return Err(format!("messages of the channel {channel} have none"));
    }
    let fault = policy::subject_fault(subject);
    fault
        .filter(|_| args.template.is_none())
        .map_or(Ok(()), Err)
}

pub(super) fn channel(word: &str) -> Result<Channel, String> {
    let channel = Channel::of(Some(word));
    if Channel::UNDERSTOOD.contains(&channel) {
        Ok(channel)
    } else {
        Err(format!("expected one of {}", channels()))
    }
}

fn channels() -> String {
    Channel::UNDERSTOOD.map(Channel::as_str).join(", ")
}

pub(super) fn channel_help() -> String {
    format!("Channel: one of {}", channels())
}

pub(super) fn at_help() -> String {
    format!("Due time: {FORMS}")
}

pub(in crate::cli) fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "expected an IANA time zone, like Europe/Berlin or UTC".into())
}
