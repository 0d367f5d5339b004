//! Expressions of claims.

use super::{Text, cut, cut_from, lists};

/// What a claim does with the messages that it has locked: the same whether they have a pace or not.
const CLAIM: &str = include_str!("../path/sql/claim.sql");

/// Appends one of these; `false`: it is none of them.
pub(super) const fn put<const N: usize>(name: &[u8], alias: &[u8], out: &mut Text<N>) -> bool {
    match name {
        // When the pauses that stop a message end, the last of them: in the future, it is paused; in the past,
        // its lateness counts from there; null: there is none. While the table is empty this is one probe a
        // statement.
        b"pause_keys" => lists::pause_keys(alias, out),
        b"paused_until" => lists::paused_until(alias, out),
        // Whether a message waits for a slot of a pace; parts after the first do not. While there are no paces
        // this is one probe a statement.
        b"has_pace" => out.row(
            "case when exists (select from punctual.paces) then $parts_done = 0 and exists (
               select from punctual.paces pace
                where pace.scope = 'campaign' and pace.what = $campaign_id::text) else false end",
            alias,
        ),
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
        // The texts that were kept of a message of several parts: those of an attempt at the first of them that was
        // accepted, whose other parts are what goes on; else the latest.
        b"kept_texts" => out.row(
            "(select kept.texts from punctual.attempts kept
               where kept.message_id = $id and kept.texts is not null
               order by kept.outcome = 'accepted' desc nulls last, kept.number desc limit 1)",
            alias,
        ),
        // The parts of claim.sql after the messages are chosen, for claim_paced.sql.
        b"claim_steps" => out.append(cut(CLAIM, "-- Steps:\n", "-- Result:\n")),
        b"claim_result" => out.append(cut_from(CLAIM, "-- Result:\n")),
        _ => return false,
    }
    true
}
