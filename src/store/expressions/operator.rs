//! Expressions of lists.

use super::{Text, cut};

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
        // Why a message was not sent, or not yet: a word from the ledger. Null: it was, nothing stops it, or a person
        // cancelled it.
        b"reason" => out.row(
            "case when $status in ('pending', 'failed', 'cancelled', 'unconfirmed') then (
          select coalesce(a.category, case when a.outcome <> 'accepted' then nullif(a.outcome, 'returned')
                                           when $status = 'failed' then 'undelivered' end)
            from punctual.attempts a
           where a.message_id = $id
           order by a.number desc, a.part desc
           limit 1) end",
            alias,
        ),
        _ => return false,
    }
    true
}
