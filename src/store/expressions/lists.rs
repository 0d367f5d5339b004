//! Expressions that are made from a list in Rust, so that the list is in one place.

use super::{Text, WHITE};
use crate::message::facts::Switch;
use crate::message::status::{Status, Writer, transition};
use crate::message::{Channel, LedgerOutcome, NO_SENDER, PauseScope, Stage};
use crate::policy::Rule;
use crate::provider::OPTED_OUT_CODES;

pub(super) const fn is_channel<const N: usize>(is: Channel, alias: &[u8], out: &mut Text<N>) {
    out.row(channel!(), alias);
    out.row(" = '", b"");
    out.row(is.as_str(), b"");
    out.byte(b'\'');
}

pub(super) const fn is_understood<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row(channel!(), alias);
    out.row(" in (", b"");
    let mut at = 0;
    while at < Channel::UNDERSTOOD.len() {
        out.quoted(Channel::UNDERSTOOD[at].as_str(), at > 0);
        at += 1;
    }
    out.byte(b')');
}

/// What the lane depends on in addition to channel and account. Of a text that names no sender the country of its
/// recipient decides the route: the code is in the first four characters of the number.
pub(super) const fn lane_address<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row("case when ", b"");
    is_channel(Channel::Webhook, alias, out);
    out.row(" or ", b"");
    is_channel(Channel::Push, alias, out);
    out.row(" then $to_number::text when ", alias);
    is_channel(Channel::Sms, alias, out);
    out.row(
        concat!(
            " then coalesce(nullif(",
            trimmed!("$from_number::text"),
            ", ''), '"
        ),
        alias,
    );
    out.row(NO_SENDER, b"");
    out.row(
        concat!("' || left(", trimmed!("$to_number::text"), ", 4)) end"),
        alias,
    );
}

/// Whether a row says by which account it goes: it names one, or a text names its sender.
pub(super) const fn names_account<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row(
        concat!("(coalesce(", trimmed!("$account"), ", '') <> '' or "),
        alias,
    );
    is_channel(Channel::Sms, alias, out);
    out.row(
        concat!(" and coalesce(", trimmed!("$from_number"), ", '') <> '')"),
        alias,
    );
}

/// Whether a rule holds for the row's channel. Channels that are not supported have no rules: such a row fails.
pub(super) const fn holds<const N: usize>(rule: Rule, alias: &[u8], out: &mut Text<N>) {
    out.row(channel!(), alias);
    out.row(" in (", b"");
    let (mut at, mut some) = (0, false);
    while at < Channel::UNDERSTOOD.len() {
        if rule.holds(Channel::UNDERSTOOD[at]) {
            out.quoted(Channel::UNDERSTOOD[at].as_str(), some);
            some = true;
        }
        at += 1;
    }
    out.byte(b')');
}

pub(super) const fn channels<const N: usize>(out: &mut Text<N>) {
    let mut at = 0;
    while at < Channel::ALL.len() {
        out.quoted(Channel::ALL[at].as_str(), at > 0);
        at += 1;
    }
}

/// Whom a message is from. The statement names the sender of the default account `ours.sender`, and those of the others
/// `ours.senders`, which it reads once.
pub(super) const fn sender<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row(
        concat!(
            "coalesce(nullif(",
            trimmed!("$from_number"),
            ", ''), case when coalesce(",
            trimmed!("$account"),
            ", '') in ('', 'default') then ours.sender else ours.senders ->> ",
            trimmed!("$account"),
            " end)"
        ),
        alias,
    );
}

/// What a pause of this scope has to name to stop the row, as [`Pausable`](crate::message::Pausable) has it.
const fn pause_key<const N: usize>(scope: PauseScope, alias: &[u8], out: &mut Text<N>) {
    match scope {
        PauseScope::Everything => out.row("''", alias),
        PauseScope::Lane => out.row(channel!(), alias),
        PauseScope::Sender => sender(alias, out),
        PauseScope::Campaign => out.row(
            "lower($campaign_id::text collate \"C\") collate \"default\"",
            alias,
        ),
        PauseScope::User => out.row("$user_id::text", alias),
        PauseScope::MessageType => out.row(trimmed!("$message_type::text"), alias),
        PauseScope::Text => out.row(
            "(select held.what from punctual.bursts held where held.message_id = $id and held.is_held)",
            alias,
        ),
    }
}

/// What a row may be paused by, as rows for `values`.
pub(super) const fn pause_keys<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    let mut n = 0;
    while n < PauseScope::ALL.len() {
        out.row(if n == 0 { "('" } else { ", ('" }, b"");
        out.row(PauseScope::ALL[n].as_str(), b"");
        out.row("', ", b"");
        pause_key(PauseScope::ALL[n], alias, out);
        out.byte(b')');
        n += 1;
    }
}

/// The pauses are hashed once a statement, so that a message costs no probe, but for what it says while a text is
/// paused. While everything is paused no message is looked at.
pub(super) const fn is_stopped<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    let mut n = 0;
    while n < PauseScope::ALL.len() {
        let scope = PauseScope::ALL[n];
        let joint = match scope {
            PauseScope::Everything => "(",
            PauseScope::Text => " or ",
            _ => "\n or ",
        };
        out.row(joint, b"");
        if matches!(scope, PauseScope::Everything) {
            out.row("exists (select from stopped s where s.scope = '", b"");
        } else {
            if matches!(scope, PauseScope::Text) {
                out.row(
                    "exists (select from stopped s where s.scope = 'text') and ",
                    b"",
                );
            }
            out.row("coalesce(", b"");
            pause_key(scope, alias, out);
            out.row(
                ", '') in (select s.what from stopped s where s.scope = '",
                b"",
            );
        }
        out.row(scope.as_str(), b"");
        out.row("')", b"");
        n += 1;
    }
    out.byte(b')');
}

/// One probe by key for each kind of pause, and none while there is no pause at all.
pub(super) const fn paused_until<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row(
        "case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ",
        b"",
    );
    pause_keys(alias, out);
    out.row(
        ") as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end",
        b"",
    );
}

/// The sentence for a row that cannot be sent.
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
    out.row("', to_json(left(btrim($channel::text, ", alias);
    out.row(WHITE, b"");
    out.row("), 40)))", b"");
}

/// From the stages that end without delivery.
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
        let (mut n, types) = (0, Switch::ALL[at].message_types());
        while n < types.len() {
            out.row(
                if at + n == 0 {
                    "case when not $"
                } else {
                    ", case when not $"
                },
                alias,
            );
            out.row(Switch::ALL[at].column(), b"");
            out.row(" then '", b"");
            out.row(types[n], b"");
            out.row("' end", b"");
            n += 1;
        }
        at += 1;
    }
    out.row("], null) end", b"");
}

pub(super) const fn switches<const N: usize>(out: &mut Text<N>) {
    let mut at = 0;
    while at < Switch::ALL.len() {
        let (mut n, types) = (0, Switch::ALL[at].message_types());
        while n < types.len() {
            out.row(if at + n == 0 { "('" } else { ", ('" }, b"");
            out.row(Switch::ALL[at].column(), b"");
            out.row("', '", b"");
            out.row(types[n], b"");
            out.row("')", b"");
            n += 1;
        }
        at += 1;
    }
}

pub(super) const fn provable<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row("$status in (", alias);
    let (mut at, mut some) = (0, false);
    while at < Status::ALL.len() {
        let from = Status::ALL[at];
        if !matches!(from, Status::Sent) && transition(Some(from), Status::Sent, Writer::Daemon) {
            out.quoted(from.as_str(), some);
            some = true;
        }
        at += 1;
    }
    out.byte(b')');
}

pub(super) const fn transitions<const N: usize>(writer: Writer, out: &mut Text<N>) {
    let mut at = 0;
    while at < Status::ALL.len() {
        let from = Status::ALL[at];
        out.row("when '", b"");
        out.row(from.as_str(), b"");
        out.row("' then ", b"");
        let (mut next, mut some) = (0, false);
        while next < Status::ALL.len() {
            let to = Status::ALL[next];
            if next != at && transition(Some(from), to, writer) {
                if !some {
                    out.row("new.status in (", b"");
                }
                out.quoted(to.as_str(), some);
                some = true;
            }
            next += 1;
        }
        out.row(if some { ") " } else { "false " }, b"");
        at += 1;
    }
}

pub(super) const fn sent_nothing<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row("$outcome in (", alias);
    let mut at = 0;
    while at < LedgerOutcome::SENT_NOTHING.len() {
        out.quoted(LedgerOutcome::SENT_NOTHING[at].as_str(), at > 0);
        at += 1;
    }
    out.byte(b')');
}

pub(super) const fn wanted_at<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row(
        "greatest($scheduled_at, $deferred_until, $requeued_at,
                      case when $parts_done > 0 then $next_attempt_at end)",
        alias,
    );
}

pub(super) const fn parts_sent<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row(
        "format('%s of %s parts sent', $parts_done, coalesce($parts_total::text, '?'))",
        alias,
    );
}

/// Codes of providers for recipients who have opted out, as a list.
pub(super) const fn opted_out_codes<const N: usize>(out: &mut Text<N>) {
    let mut n = 0;
    while n < OPTED_OUT_CODES.len() {
        out.row(if n == 0 { "" } else { ", " }, b"");
        out.number(OPTED_OUT_CODES[n]);
        n += 1;
    }
}
