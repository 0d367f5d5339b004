//! Expressions of paces: which ones a message has, which messages are in the queue of one, and what a text is charged.

use super::Text;
use super::lists::{is_channel, sender};
use crate::message::Channel;
use crate::store::schema::migrate::{
    KNOWS_BURSTS, KNOWS_CAMPAIGNS, KNOWS_FORGOTTEN, KNOWS_LAWFUL_HOURS, KNOWS_RATES,
};

/// Appends one of them; false if it is none.
pub(super) const fn put<const N: usize>(name: &[u8], alias: &[u8], out: &mut Text<N>) -> bool {
    match name {
        // The oldest that may claim: what the migrations say, and while a sender has a rate one that knows rates.
        b"oldest_program" => oldest_program(out),
        // What a text of a sender is found by: the sender that it names, or the account whose sender it has. A function
        // of the row alone, so that it has an index.
        b"sender_key" => sender_key(alias, out),
        // The paces that a message may have: its campaign's, for which parts after the first do not wait, and its
        // sender's rate.
        b"pace_keys" => pace_keys(alias, out),
        // Whether a message waits for a slot of a pace. While there are no paces this is one probe a statement.
        b"has_pace" => {
            out.row(
                "case when exists (select from punctual.paces) then exists (
               select from (values ",
                b"",
            );
            pace_keys(alias, out);
            out.row(
                ") as key (scope, what)
                cross join lateral (
                  select from punctual.paces p where p.scope = key.scope and p.what = key.what offset 0) pace) else false end",
                b"",
            );
        }
        // The messages that may be in the queue of a pace, and when they are due: in this order, if the statement asks
        // for it. `is_queued!` says which are. The statement names `reach.at`, and `ours` as for `sender!`.
        b"queue" => queue(alias, out),
        // How many messages of a queue a statement passes over at most: paused, in quarantine, or locked.
        b"passed_over" => out.number(10_000),
        // Whether a message of `queue!` is in it: one that has its campaign's pace too is in the queue of that. A part
        // waits for every request at the parts before it, and a message for the changes that it missed. The statement
        // names the pace's `p.scope`.
        b"is_queued" => {
            out.row(
                "(case p.scope when 'campaign' then $parts_done = 0 else ",
                alias,
            );
            is_channel(Channel::Sms, alias, out);
            out.row(
                " and ($parts_done > 0 or not exists (
               select from punctual.paces own
                where own.scope = 'campaign' and own.what = $campaign_id::text)) end
           and ($parts_done = 0
                or not exists (select from punctual.attempts earlier where earlier.message_id = $id and ",
                alias,
            );
            super::put(b"is_open", b"earlier", out);
            out.row(
                "))
           and not exists (select from punctual.missed_event_changes u where u.message_id = any (array[$id])))",
                alias,
            );
        }
        // What its next text is charged to its sender's rate, before it is rendered: as often as it was rendered
        // before, by that; else by the most that its template allows.
        b"charge" => {
            out.row(
                "coalesce(case when $parts_done > 0 then punctual.segments_at_most(coalesce((",
                alias,
            );
            super::put(b"kept_texts", alias, out);
            out.row(
                ")[$parts_done + 1], $body::text))
               when $template_vars is null then (
                 select max(punctual.segments_at_most(btrim(part, E' \\n')))
                   from unnest(string_to_array($body::text, ",
                alias,
            );
            out.row(super::fault::SEPARATOR, b"");
            out.row(
                ")) part)
               else coalesce(
                 (select punctual.segments_at_most(a.body) from punctual.attempts a
                   where a.message_id = $id and a.part = 0 and a.body is not null order by a.number desc limit 1),
                 (select punctual.segments_at_most(repeat('`', 2 * least(t.max_length::bigint, 1600)::int))
                    from punctual.facts_of_templates(array[$template_id::uuid]) t),
                 punctual.segments_at_most(repeat('`', 3200))) end, 1)",
                alias,
            );
        }
        _ => return false,
    }
    true
}

/// The paces that a message may have, by kind.
const fn pace_keys<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row(
        "('campaign', case when $parts_done = 0 then $campaign_id::text end), ('sender', case when ",
        alias,
    );
    is_channel(Channel::Sms, alias, out);
    out.row(" then ", b"");
    sender(alias, out);
    out.row(" end)", b"");
}

/// What `sender!` depends on, of which the statement knows the senders: the sender that the row names, or `@` and its
/// account.
const fn sender_key<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    out.row(
        concat!(
            "coalesce(nullif(",
            trimmed!("$from_number"),
            ", ''), '@' || coalesce(nullif(",
            trimmed!("$account"),
            ", ''), 'default'))"
        ),
        alias,
    );
}

/// By an index each: of a campaign, of a sender that rows name, and of the accounts that have it, for rows that name
/// none. Each is in order by itself, so that they are merged, and only the first are read.
const fn queue<const N: usize>(pace: &[u8], out: &mut Text<N>) {
    out.row("(select m.id, ", b"");
    super::put(b"due", b"m", out);
    out.row(
        " as due from public.scheduled_messages m
        where $scope = 'campaign' and m.status = 'pending'
          and m.campaign_id = case when $scope = 'campaign' then $what::uuid end",
        pace,
    );
    up_to_reach(out);
    begin_sender_queue(pace, out);
    out.row("= $what", pace);
    end_sender_queue(out);
    let mut n = 0;
    while n < ACCOUNTS {
        begin_sender_queue(pace, out);
        out.row("= (", b"");
        out.row(ACCOUNTS_OF_SENDER, pace);
        out.row(" offset ", b"");
        out.number(n);
        out.row(" limit 1)", b"");
        end_sender_queue(out);
        n += 1;
    }
    // Of the others each is in order, and all are sorted. There are none as a rule.
    out.row("\n       union all (select q.* from (", b"");
    out.row(ACCOUNTS_OF_SENDER, pace);
    out.row(" offset ", b"");
    out.number(ACCOUNTS);
    out.row(") k (key) cross join lateral (select m.id, ", b"");
    super::put(b"due", b"m", out);
    out.row(
        " from public.scheduled_messages m where $scope = 'sender' and m.status = 'pending' and ",
        pace,
    );
    sender_key(b"m", out);
    out.row(" = k.key", b"");
    end_sender_queue(out);
    out.row(" q (id, due) order by q.due, q.id)", b"");
}

/// So many accounts of one sender are merged in order; the rows of more of them are sorted.
const ACCOUNTS: i32 = 3;

/// The keys of the accounts whose rows are from this sender if they name none.
const ACCOUNTS_OF_SENDER: &str = concat!(
    "select '@' || a.key from (select 'default' as key where $what = ours.sender union ",
    "select s.key from jsonb_each_text(ours.senders) s where s.value = $what) a order by a.key"
);

/// Up to what the sender's key is compared with.
const fn begin_sender_queue<const N: usize>(pace: &[u8], out: &mut Text<N>) {
    out.row("\n       union all (select m.id, ", b"");
    super::put(b"due", b"m", out);
    out.row(
        " as due from public.scheduled_messages m where $scope = 'sender' and m.status = 'pending' and ",
        pace,
    );
    sender_key(b"m", out);
    out.byte(b' ');
}

const fn end_sender_queue<const N: usize>(out: &mut Text<N>) {
    out.row(" and ", b"");
    is_channel(Channel::Sms, b"m", out);
    // Left out here, and not only by `is_queued!`, so that however many they are, none counts as passed over.
    out.row(
        " and (m.parts_done > 0 or m.campaign_id is null or m.campaign_id::text not in \
         (select own.what from punctual.paces own where own.scope = 'campaign'))",
        b"",
    );
    up_to_reach(out);
}

const fn up_to_reach<const N: usize>(out: &mut Text<N>) {
    out.row(" and ", b"");
    super::put(b"due", b"m", out);
    out.row(" <= reach.at order by ", b"");
    super::put(b"due", b"m", out);
    out.row(", m.id offset 0)", b"");
}

const fn oldest_program<const N: usize>(out: &mut Text<N>) {
    out.row(
        "(select greatest(max(m.oldest_program),
                         case when exists (select from punctual.paces r where r.scope = 'sender') then ",
        b"",
    );
    out.number(KNOWS_RATES);
    out.row(
        " end,
                         case when exists (select from punctual.number_key) then ",
        b"",
    );
    out.number(KNOWS_FORGOTTEN);
    out.row(
        " end,
                         case when exists (select from punctual.campaigns c where c.state = 'scheduled') then ",
        b"",
    );
    out.number(KNOWS_CAMPAIGNS);
    out.row(
        " end,
                         case when exists (select from punctual.settings s where s.one and s.lawful_hours) then ",
        b"",
    );
    out.number(KNOWS_LAWFUL_HOURS);
    out.row(
        " end,
                         (select s.oldest_program from punctual.settings s where s.one),
                         case when exists (select from punctual.pauses p where p.scope = 'text' and p.until > clock_timestamp()) then ",
        b"",
    );
    out.number(KNOWS_BURSTS);
    out.row(" end) from punctual.migrations m)", b"");
}
