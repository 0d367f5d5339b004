//! Expressions of claims.

use super::{Text, cut, cut_from, lists};
use crate::message::Channel;

/// What a claim does with the messages that it has locked: the same whether they have a pace or not.
const CLAIM: &str = include_str!("../path/sql/claim.sql");

/// A number as the opt-outs have it once it is forgotten. Null while none is: the key is read once a statement.
const FORGOTTEN_NUMBER: &str = "'#' || encode(sha256((select k.key from punctual.number_key k) || convert_to($their_number, 'UTF8')), 'hex')";

/// Appends one of these; `false`: it is none of them.
pub(super) const fn put<const N: usize>(name: &[u8], alias: &[u8], out: &mut Text<N>) -> bool {
    match name {
        // When the pauses that stop a message end, the last of them: in the future, it is paused; in the past,
        // its lateness counts from there; null: there is none. While the table is empty this is one probe a
        // statement.
        b"pause_keys" => lists::pause_keys(alias, out),
        b"paused_until" => lists::paused_until(alias, out),
        // From when the allowed lateness of a message counts that was sent and is tried again: as `late_from!`, or
        // from the end of a pause; if it waited for a pace, from the start of its first request, in its slot.
        b"late_since" => {
            out.row("greatest(", b"");
            super::put(b"late_from", alias, out);
            out.row(", ", b"");
            lists::paused_until(alias, out);
            out.row(", case when ", b"");
            super::pace::put(b"has_pace", alias, out);
            out.row(
                " then (
               select min(first.started_at) from punctual.attempts first
                where first.message_id = $id and first.started_at >= ",
                alias,
            );
            super::put(b"wanted_at", alias, out);
            out.row(") end)", b"");
        }
        // What the pauses in force stop, who made them, and why.
        b"paused_by" => {
            out.row(
                "(select string_agg(format('%s, by %s', replace(p.scope, '_', ' '), p.who) || coalesce(': ' || p.why, ''), '; '
                             order by p.scope)
             from (values ",
                b"",
            );
            lists::pause_keys(alias, out);
            out.row(
                ") as key (scope, what)
             join punctual.pauses p on p.scope = key.scope and p.what = key.what and p.until > clock_timestamp())",
                b"",
            );
        }
        // The default sender of the instance that was heard last; null: none says it.
        b"published_sender" => out.row(
            "(select i.state -> 'rules' ->> 'sender' from punctual.instances i
               where i.stopped_at is null and i.state is not null order by i.heartbeat_at desc limit 1)",
            b"",
        ),
        // Whether a pause stops a message that is among those the statement names `stopped`: for statements that pass
        // over many messages, which would probe the pauses for each of them.
        b"is_stopped" => lists::is_stopped(alias, out),
        // Written after the quarantine began (WRITTEN_AFTER in proof/quarantine.rs), it is not in it. The statement
        // names the quarantine.
        b"is_quarantined" => {
            out.row(
                "exists (\n          select from quarantine q\n           where ",
                b"",
            );
            super::put(b"due", alias, out);
            out.row(
                " < q.due_before
             and not coalesce(greatest($created_at, $requeued_at) > q.due_before + interval '60 s', false)
             and not exists (select from punctual.quarantine_cleared c where c.message_id = $id))",
                alias,
            );
        }
        // The hours and the zone of its campaign, its state, and whether it stops because its recipient has replied, by
        // the keys; null: it has none, or one that the database does not know.
        b"campaign_hours" => out.row(
            concat!(
                "case when $campaign_id is not null then (select array[c.hours, c.timezone, c.state, case when c.stop_on_reply and ",
                "exists (select from punctual.campaign_replies answer where answer.campaign_id = c.id and ",
                "answer.their_number = ",
                trimmed!("$to_number"),
                ") then 'replied' else '' end] from punctual.campaigns c where c.id = $campaign_id) end"
            ),
            alias,
        ),
        // The texts that were kept of a message of several parts: those of an attempt at the first of them that was
        // accepted, whose other parts are what goes on; else the latest.
        b"kept_texts" => out.row(
            "(select kept.texts from punctual.attempts kept
               where kept.message_id = $id and kept.texts is not null
               order by kept.outcome = 'accepted' desc nulls last, kept.number desc limit 1)",
            alias,
        ),
        // Whether a message can follow what it has missed now, by the first of the changes: `m` is the message. What
        // was sent and is not put back within three days will not be.
        b"can_follow" => out.row(
            "(m.id is null or m.status not in ('sending', 'unconfirmed', 'sent')
            or m.status = 'sent' and $noted_at < pg_catalog.clock_timestamp() - interval '3 days')
       and not exists (select from punctual.missed_event_changes o where o.message_id = $message_id and o.id < $id)",
            alias,
        ),
        // Returns the quota of the attempts that the statement names `ledger`, in the order of the claims: each once,
        // because only the one that sets `quota_returned` returns it.
        b"return_quota" => out.row(
            "insert into punctual.daily_counts as c (user_id, day, count)
  select l.user_id, l.day, 0 from ledger l where l.quota_returned group by l.user_id, l.day order by l.user_id, l.day
  on conflict (user_id, day) do update
     set count = greatest(c.count - (select count(*) from ledger l
                                      where l.quota_returned and l.user_id = c.user_id and l.day = c.day)::int, 0)",
            b"",
        ),
        // The parts of claim.sql after the messages are chosen, for claim_paced.sql.
        b"claim_steps" => out.append(cut(CLAIM, "-- Steps:\n", "-- Result:\n")),
        b"claim_result" => out.append(cut_from(CLAIM, "-- Result:\n")),
        _ => return put_more(name, alias, out),
    }
    true
}

/// Those about senders, recipients and what was sent before.
const fn put_more<const N: usize>(name: &[u8], alias: &[u8], out: &mut Text<N>) -> bool {
    match name {
        // Whether the opt-out `s` is this recipient's from this sender. One that was forgotten (forget.sql) is
        // known by its hash.
        b"is_opted_out" => {
            out.row("(s.their_number = any (array[$their_number, ", alias);
            out.row(FORGOTTEN_NUMBER, alias);
            out.row(
                "])\n              and (s.our_number is null or s.our_number = $our_number))",
                alias,
            );
        }
        // Why its recipient has opted out from one of the senders that it may have.
        b"opt_out_of" => {
            out.row(
                "(select s.reason from unnest($our_numbers) own (number) \
                 cross join lateral (select $their_number, own.number as our_number) o join punctual.suppressions s on ",
                alias,
            );
            put_more(b"is_opted_out", b"o", out);
            out.row(" limit 1)", b"");
        }
        // Whether nobody has paused the sender of the account by which the statement asks for the message `m`; it names
        // `ours` as for `sender!`.
        b"via_is_free" => {
            out.row("(coalesce($via, 'default') = 'default' or not ", alias);
            lists::is_channel(Channel::Sms, b"m", out);
            out.row(" or ", b"");
            lists::names_account(b"m", out);
            out.row(
                " or not exists (select from punctual.pauses o where o.scope = 'sender' \
                 and o.what = ours.senders ->> $via and o.until > clock_timestamp()))",
                alias,
            );
        }
        b"forgotten_number" => out.row(FORGOTTEN_NUMBER, alias),
        // Whether another attempt at this one's message was accepted too, and not reported as
        // undelivered: then the text was sent twice.
        b"doubled" => {
            out.row(
                "exists (select from punctual.attempts o
                     where o.message_id = any (array[$message_id]) and o.part = $part and o.token <> $token
                       and o.outcome = 'accepted' and not ",
                alias,
            );
            super::put(b"undelivered", b"o", out);
            out.byte(b')');
        }
        _ => return super::pace::put(name, alias, out),
    }
    true
}
