//! Expressions that many SQL files share, each defined once here.
//!
//! A file contains `due!(m)`, with the alias of a row of `scheduled_messages`, and [`sql!`] substitutes the
//! expression when this program is compiled; an unknown name does not compile. So the text that Postgres gets
//! calls no function: an index on the expression is used, and a role needs no right on schema `punctual` for
//! it. This applies to the statements of the store and to `triggers/`. The files of `migrations/` stay as they
//! are, because the Supabase CLI applies them too; a test compares their texts with these.

use crate::message::Channel;
use crate::message::status::Writer;
use crate::policy::Rule;
use crate::store::schema::migrate::{KNOWS_MEDIA, PROGRAM};

/// The text of an SQL file beside the caller's, with its expressions substituted.
macro_rules! assembled {
    ($path:expr) => {{
        const TEXT: &str = include_str!($path);
        const BYTES: [u8; $crate::store::expressions::length(TEXT)] =
            $crate::store::expressions::assembled(TEXT);
        const ASSEMBLED: &str = match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => panic!("only whole characters of UTF-8 texts are copied"),
        };
        ASSEMBLED
    }};
}

/// The same as a statement, which names the schema of the app's tables.
macro_rules! sql {
    ($path:expr) => {{
        static SQL: $crate::store::Sql = $crate::store::Sql::new(assembled!($path));
        &SQL
    }};
}

#[macro_use]
mod trimmed;

const WHITE: &str = white!();

mod api;
mod catalog;
mod changes;
mod claim;
mod fault;
mod feed;
mod indexes;
mod lists;
mod media;
mod operator;
mod pace;
mod rights;
mod text;

use text::Text;

/// Of each account but the default one, the sender of its rows that name none. By the key: without an index this
/// would be the costliest part of a statement.
const ACCOUNT_SENDERS: &str = "(select s.account_senders from punctual.settings s where s.one)";

/// Appends one expression, for rows of this alias (with its dot; it may be empty).
const fn put<const N: usize>(name: &[u8], alias: &[u8], out: &mut Text<N>) {
    match name {
        // When the message is due.
        b"due" => out.row(
            "greatest($scheduled_at, $deferred_until, $next_attempt_at)",
            alias,
        ),
        // From when its lateness counts; of a part that is not the first, from when it was due.
        b"wanted_at" => lists::wanted_at(alias, out),
        // From when the allowed lateness counts; never, for channels that have none, and once a part was sent.
        b"late_from" => {
            out.row("case when $parts_done = 0 and ", alias);
            lists::holds(Rule::Lateness, alias, out);
            out.row(" then ", b"");
            put(b"wanted_at", alias, out);
            out.row(" else 'infinity' end", b"");
        }
        // How far a message of several parts has come, for people.
        b"parts_sent" => lists::parts_sent(alias, out),
        // Its recipient is a phone number, and it has a sender.
        b"is_text" => lists::is_channel(Channel::Sms, alias, out),
        // Whether a rule holds for the row's channel, by the table of `policy::Rule`.
        b"opt_out_holds" => lists::holds(Rule::OptOut, alias, out),
        b"event_holds" => lists::holds(Rule::Event, alias, out),
        b"is_counted" => lists::holds(Rule::DailyLimit, alias, out),
        b"has_app_rows" => lists::holds(Rule::AppRows, alias, out),
        // What the lane depends on beside channel and account: of a webhook the recipient, of a text its sender.
        b"lane_address" => lists::lane_address(alias, out),
        b"names_account" => lists::names_account(alias, out),
        b"account_senders" => out.row(ACCOUNT_SENDERS, b""),
        // How the ledger keeps a text, as `proof::TextKey` has it. Not without `white!()`: the ledger has keys
        // of the versions before.
        b"text_key" => out.row(
            "sha256(convert_to(btrim($body, E' \\t\\r\\n'), 'UTF8'))",
            alias,
        ),
        // Values are compared without it.
        b"white" => out.row(WHITE, alias),
        // The number of this program, as its sessions say it.
        b"program" => out.number(PROGRAM),
        b"knows_media" => out.number(KNOWS_MEDIA),
        // Whom a message is from.
        b"sender" => lists::sender(alias, out),
        // The word for its channel, as `Channel::of` reads it.
        b"channel" => out.row(channel!(), alias),
        // The words for channels, as a list.
        b"channels" => lists::channels(out),
        // It may still be sent, or may have been: of each `dedup_key` there is one of these.
        b"under_way" => out.row("$status in ('pending', 'sending', 'unconfirmed')", alias),
        b"fault" => fault::put(alias, out),
        b"sender_forms" => fault::sender_forms(out),
        b"is_plain" => fault::is_plain(alias, out),
        // Its status, priority, `in_doubt` and `max_attempts`: whether all are known, and which is not.
        b"statuses" => out.row(fault::STATUSES, b""),
        b"is_known" => fault::is_known(alias, out),
        b"unknown" => out.row(fault::UNKNOWN, alias),
        b"these_seconds" => out.row(fault::THESE_SECONDS, b""),
        // What divides a text into parts, as the daemon has it.
        b"separator" => out.row(fault::SEPARATOR, b""),
        // The columns that `fault!` reads.
        b"judged" => out.row(
            "($channel, $to_number, $from_number, $subject, $body, $template_vars is null, $timezone)",
            alias,
        ),
        // Whether its channel is one of `Channel::UNDERSTOOD`; else it fails when it is written.
        b"is_understood" => lists::is_understood(alias, out),
        b"not_understood" => lists::not_understood(alias, out),
        b"media" => out.row(media::MEDIA, alias),
        b"media_fault" => media::fault(alias, out),
        // Its latest attempt is in progress or has an uncertain outcome.
        b"attempted" => out.row("$status in ('sending', 'unconfirmed')", alias),
        // A status that proof of acceptance changes to `sent`.
        b"provable" => lists::provable(alias, out),
        // The branches of `case old.status` with what `new.status` may become, by the table of
        // `message::status::transition`.
        b"daemon_transitions" => lists::transitions(Writer::Daemon, out),
        b"user_transitions" => lists::transitions(Writer::User, out),
        // An attempt that certainly sent nothing.
        b"sent_nothing" => lists::sent_nothing(alias, out),
        // An attempt that is open, or has an uncertain outcome that is not settled.
        b"unsettled" => out.row(
            "($outcome is null or $outcome = 'unknown' and $settled_by is null)",
            alias,
        ),
        // The condition on the status of a row that is found by its key. Written so that it implies
        // no partial index: a plan made while the table is empty would as soon scan that index as
        // use the key, and would go on scanning it once the table has grown.
        b"is_pending" => out.row("$status || '' = 'pending'", alias),
        b"is_sending" => out.row("$status || '' = 'sending'", alias),
        b"is_unconfirmed" => out.row("$status || '' = 'unconfirmed'", alias),
        // The same for an attempt: it has no outcome yet.
        b"is_open" => out.row("($outcome || '') is null", alias),
        // An attempt that the provider accepted and did not deliver.
        b"undelivered" => lists::undelivered(alias, out),
        // The kinds of message that a row of preferences switches off: false does, null does not.
        b"switched_off" => lists::switched_off(alias, out),
        // Every switch, as rows for `values`: its column and its kind of message.
        b"switches" => lists::switches(out),
        // In a trigger: whether this session restores a dump. The preamble that pg_dump and pg_restore write sets both,
        // and the role is one of the table's owner. Rows are restored as they were. In a function with its owner's
        // rights current_user is that owner, so the role is that of the session.
        b"restoring" => out.row(
            "(current_setting('row_security') = 'off' and current_setting('check_function_bodies') = 'off'
         and pg_has_role(coalesce(nullif(current_setting('role'), 'none'), session_user)::name,
                         (select c.relowner from pg_class c where c.oid = tg_relid), 'usage'))",
            b"",
        ),
        b"is_writer" => out.row(rights::IS_WRITER, b""),
        b"may_write_ledger" => out.row(rights::MAY_WRITE_LEDGER, b""),
        b"is_unnamed_writer" => out.row(rights::IS_UNNAMED_WRITER, b""),
        // A full queue (a session listens inside a transaction left open) makes the commit fail; what is not notified
        // is found by the next sweep or read.
        b"queue_has_room" => out.row("pg_notification_queue_usage() < 0.9", b""),
        // Whether a transaction notifies. One that is to be prepared may not, and says so by
        // `set local punctual.notify = 'off'`; a database says so for all, on an engine that refuses NOTIFY.
        b"may_notify" => {
            out.row("(coalesce(current_setting('punctual.notify', true), '') <> 'off' and ", b"");
            put(b"queue_has_room", b"", out);
            out.byte(b')');
        }
        // Whether the trigger `e.name` is for a column that this table does not have.
        b"is_without_column" => out.row(catalog::IS_WITHOUT_COLUMN, alias),
        b"plain_source" => out.row(catalog::PLAIN_SOURCE, alias),
        b"calls" => out.row(catalog::CALLS, alias),
        b"makes_requests" => out.row(catalog::MAKES_REQUESTS, alias),
        b"daemon_rights" => out.row(rights::DAEMON_RIGHTS, b""),
        b"daemon_roles" => out.row(catalog::DAEMON_ROLES, b""),
        // Every index of the app's tables, as rows for `values`: table, name, a column that it is
        // for (null: whatever the table has), and the rest of its definition.
        b"indexes" => indexes::put(out),
        // Of claims and paces, changes, the app's interface, operators, change feeds: the files of these names.
        _ if claim::put(name, alias, out) || changes::put(name, alias, out) => {}
        _ if api::put(name, alias, out) || operator::put(name, alias, out) => {}
        _ if feed::put(name, out) => {}
        _ => panic!("an SQL file names an expression that src/store/expressions.rs does not have"),
    }
}

/// The text between two marks.
pub(in crate::store) const fn cut<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = find(text, from, 0) + from.len();
    let (_, after) = text.split_at(start);
    let (cut, _) = after.split_at(find(text, to, start) - start);
    cut
}

/// The text after a mark.
const fn cut_from<'a>(text: &'a str, from: &str) -> &'a str {
    let (_, after) = text.split_at(find(text, from, 0) + from.len());
    after
}

const fn find(text: &str, mark: &str, mut at: usize) -> usize {
    let (text, mark) = (text.as_bytes(), mark.as_bytes());
    while at + mark.len() <= text.len() {
        let mut same = 0;
        while same < mark.len() && text[at + same] == mark[same] {
            same += 1;
        }
        if same == mark.len() {
            return at;
        }
        at += 1;
    }
    panic!("a file does not have the mark that its text is cut at")
}

/// The longest text that [`with_expressions`] takes.
const LONGEST: usize = 40 * 1024;

/// A text with its expressions substituted at run time: for tests that read the files.
///
/// # Panics
///
/// If the text contains an unknown expression, or is longer than 40 KiB.
pub fn with_expressions(sql: &str) -> String {
    let text = Text::<LONGEST>::of(sql);
    String::from_utf8_lossy(&text.bytes[..text.len]).into_owned()
}

/// The length of a file with its expressions substituted.
pub(in crate::store) const fn length(sql: &str) -> usize {
    Text::<0>::of(sql).len
}

/// A file with its expressions substituted, of the length that [`length`] returns.
pub(in crate::store) const fn assembled<const N: usize>(sql: &str) -> [u8; N] {
    Text::<N>::of(sql).bytes
}

#[cfg(test)]
mod tests;
