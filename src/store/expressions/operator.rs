//! Expressions of lists.

use super::{Text, cut};
use crate::message::Category;

/// Where a filter is applied.
const WALK: &str = include_str!("../operator/sql/walk.sql");

/// Appends one of these; `false`: it is none of them.
pub(super) const fn put<const N: usize>(name: &[u8], alias: &[u8], out: &mut Text<N>) -> bool {
    match name {
        // The rows of one status, the latest first: the part of walk.sql that is the same for each of them. The status
        // is in the place of the alias.
        b"listed" => {
            out.append(
                "(select m.id, due!(m) as due, m.status::text as status, m.user_id, m.campaign_id, m.template_id, m.to_number::text
             from public.scheduled_messages m
            where m.status = '",
            );
            out.bytes(alias);
            out.append("' and '");
            out.bytes(alias);
            out.append(
                "' = any ($1::text[]) and not $2::bool and $3::uuid[] is null
              and (due!(m), m.id) > ($4::timestamptz, $5::uuid) and (due!(m), m.id) < ($6::timestamptz, $7::uuid)
            order by due!(m) desc, m.id desc
            limit $14::bigint)",
            );
        }
        // The same of the pending ones: in either order, and as far as is still to be said.
        b"listed_pending" => out.append(
            "select m.id, due!(m) as due, m.status::text as status, m.user_id, m.campaign_id, m.template_id, m.to_number::text
             from public.scheduled_messages m
            where m.status = 'pending' and $3::uuid[] is null
              and (due!(m), m.id) > ($4::timestamptz, $5::uuid) and (due!(m), m.id) < ($6::timestamptz, $7::uuid)",
        ),
        // What walk.sql does before its result: the rows that it has read, and those that match.
        b"walk_steps" => out.append(cut(WALK, "-- Steps:\n", "-- Result:\n")),
        // How bad the refusal of an attempt is; null: it was not refused.
        b"severity" => {
            let mut at = 0;
            out.row("case $category", alias);
            while at < Category::ALL.len() {
                out.row(" when '", b"");
                out.row(Category::ALL[at].as_str(), b"");
                out.row("' then '", b"");
                out.row(Category::ALL[at].severity().as_str(), b"");
                out.row("'", b"");
                at += 1;
            }
            out.row(" end", b"");
        }
        // What a message of a campaign is to whoever decides about it, in short: another one, once it was changed.
        b"as_seen" => out.row(
            "left(encode(sha256(convert_to(jsonb_build_array($customer_name, $phone_number, $content)::text, 'UTF8')), 'hex'), 32)",
            alias,
        ),
        // Which messages of a campaign a decision is about: of campaign $1, in the statuses $2, at the positions from
        // $3 to $4 and there as they were seen ($5, null: however they are), with $6 in name, number or text (null:
        // any).
        b"decided" => out.append(
            "c.campaign_id = $1::uuid and c.status = any ($2::text[])
   and c.position between (select min(f) from unnest($3::int[]) f) and (select max(l) from unnest($4::int[]) l)
   and exists (select from unnest($3::int[], $4::int[], $5::text[]) as r (first, last, seen)
                where c.position between r.first and r.last and (r.seen is null or r.seen = as_seen!(c)))
   and ($6::text is null or position(lower($6::text) in lower(concat_ws(' ', c.customer_name, c.phone_number, c.content))) > 0)",
        ),
        // What the messages of a statement, by their `position` and as they were `seen`, are together: something else,
        // once one of them was changed, or another is in its place.
        b"seen_together" => out.append(
            "coalesce(sum(('x' || left(md5(position || seen), 15))::bit(60)::bigint), 0)::text",
        ),
        // Why a message was not sent, or not yet: a word from the ledger. Null: it was, nothing stops it, or a person
        // cancelled it.
        b"reason" => out.row(
            "case when $status in ('pending', 'failed', 'cancelled', 'unconfirmed') then coalesce(
          (select case when c.cancel_reason::text like 'too late: %' then 'too_late'
                       when c.cancel_reason::text like '%recipient%opted out%' then 'opted_out'
                       when c.cancel_reason::text like 'Calendar event deleted%' then 'event_deleted' end
             from public.scheduled_messages c where $status = 'cancelled' and c.id = $id),
          (select case when $status <> 'cancelled' or a.outcome = 'cancelled' then coalesce(a.category, case
                    when a.outcome <> 'accepted' then nullif(a.outcome, 'returned') when $status = 'failed' then 'undelivered' end) end
             from punctual.attempts a where a.message_id = $id order by a.number desc, a.part desc limit 1)) end",
            alias,
        ),
        _ => return false,
    }
    true
}
