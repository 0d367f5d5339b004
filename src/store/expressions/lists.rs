//! Expressions that are made of a list in Rust, so that the list is in one place.

use super::Text;
use crate::message::facts::Switch;
use crate::message::{Channel, Stage};

/// A row without a channel is a text.
pub(super) const fn is_understood<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row(
        "coalesce(lower(btrim($channel::text, E' \\t\\r\\n')), '') in (''",
        alias,
    );
    let mut at = 0;
    while at < Channel::UNDERSTOOD.len() {
        out.row(", '", b"");
        out.row(Channel::UNDERSTOOD[at].as_str(), b"");
        out.row("'", b"");
        at += 1;
    }
    out.row(")", b"");
}

/// The sentence for such a row.
pub(super) const fn not_understood<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row(
        "format('the channel %s is not supported; supported are: ",
        b"",
    );
    let mut at = 0;
    while at < Channel::UNDERSTOOD.len() {
        out.row(if at == 0 { "" } else { ", " }, b"");
        out.row(Channel::UNDERSTOOD[at].as_str(), b"");
        at += 1;
    }
    out.row(
        "', to_json(left(btrim($channel::text, E' \\t\\r\\n'), 40)))",
        alias,
    );
}

/// By the stages that end without arrival.
pub(super) const fn undelivered<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row("coalesce($message_status in (", alias);
    let mut at = 0;
    while at < Stage::NOT_DELIVERED.len() {
        out.row(if at == 0 { "'" } else { ", '" }, b"");
        out.row(Stage::NOT_DELIVERED[at].as_str(), b"");
        out.row("'", b"");
        at += 1;
    }
    out.row("), false)", b"");
}

/// Most rows switch nothing off, and the claim of a herd asks for hundreds.
pub(super) const fn switched_off<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    let mut at = 0;
    while at < Switch::ALL.len() {
        out.row(if at == 0 { "case when $" } else { " and $" }, alias);
        out.row(Switch::ALL[at].column(), b"");
        at += 1;
    }
    out.row(" then '{}'::text[] else array_remove(array[", b"");
    at = 0;
    while at < Switch::ALL.len() {
        out.row(
            if at == 0 {
                "case when not $"
            } else {
                ", case when not $"
            },
            alias,
        );
        out.row(Switch::ALL[at].column(), b"");
        out.row(" then '", b"");
        out.row(Switch::ALL[at].message_type(), b"");
        out.row("' end", b"");
        at += 1;
    }
    out.row("], null) end", b"");
}

pub(super) const fn switches<const N: usize>(out: &mut Text<N>) {
    let mut at = 0;
    while at < Switch::ALL.len() {
        out.row(if at == 0 { "('" } else { ", ('" }, b"");
        out.row(Switch::ALL[at].column(), b"");
        out.row("', '", b"");
        out.row(Switch::ALL[at].message_type(), b"");
        out.row("')", b"");
        at += 1;
    }
}
