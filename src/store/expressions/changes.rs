//! Expressions of `punctual.history`, from the list of the columns whose changes it keeps.

use super::Text;

/// Columns that say what is sent, when and by which rules. Whatever Punctual itself keeps of a message is in the
/// ledger, and `metadata` is the app's.
const PLAIN: &[&str] = &[
    "status",
    "scheduled_at",
    "send_before",
    "from_number",
    "channel",
    "account",
    "template_id",
    "message_type",
    "priority",
    "timezone",
    "in_doubt",
    "calendar_event_id",
    "event_start",
    "campaign_id",
    "max_attempts",
    "cancel_reason",
];

/// Columns that say who the recipient is, or what they are sent. `punctual.erase` removes them from the history. What
/// the app blanks is not kept, nor are these columns of a row that is deleted: who does that wants them gone.
const PERSONAL: &[&str] = &[
    "to_number",
    "subject",
    "body",
    "media_urls",
    "template_vars",
    "dedup_key",
    "user_id",
];

/// Those of the personal columns that have the text.
const TEXTS: &[&str] = &["subject", "body", "media_urls", "template_vars"];

/// Appends one of these; `false`: it is none of them.
pub(super) const fn put<const N: usize>(name: &[u8], alias: &[u8], out: &mut Text<N>) -> bool {
    match name {
        // The changed columns of an update, `o` before and `n` after: their old, and their new values.
        b"old_values" => values(b"o", true, out),
        b"new_values" => values(b"n", false, out),
        // What is kept of a row that is deleted.
        b"last_values" => {
            let mut at = 0;
            while at < PLAIN.len() {
                out.row(
                    if at == 0 {
                        "jsonb_strip_nulls(jsonb_build_object("
                    } else {
                        ", "
                    },
                    b"",
                );
                out.quoted(PLAIN[at], false);
                out.row(", $", alias);
                out.row(PLAIN[at], b"");
                at += 1;
            }
            out.row("))", b"");
        }
        b"personal_columns" => list(PERSONAL, out),
        b"text_columns" => list(TEXTS, out),
        _ => return false,
    }
    true
}

/// One operand a column: of an ordinary update all but one are the empty object.
const fn values<const N: usize>(alias: &[u8], is_old: bool, out: &mut Text<N>) {
    out.row("'{}'::jsonb", b"");
    let mut at = 0;
    while at < PLAIN.len() + PERSONAL.len() {
        let is_personal = at >= PLAIN.len();
        let column = if is_personal {
            PERSONAL[at - PLAIN.len()]
        } else {
            PLAIN[at]
        };
        out.row("\n  || case when o.", b"");
        out.row(column, b"");
        out.row(" is distinct from n.", b"");
        out.row(column, b"");
        out.row(" then jsonb_build_object(", b"");
        out.quoted(column, false);
        out.row(", ", b"");
        if is_old && is_personal {
            out.row("case when n.", b"");
            out.row(column, b"");
            // What a JSON column has in place of an empty text.
            out.row("::text not in ('', '{}', '[]', 'null') then ", b"");
        }
        out.row("$", alias);
        out.row(column, b"");
        if is_old && is_personal {
            out.row(" end", b"");
        }
        out.row(") else '{}' end", b"");
        at += 1;
    }
}

const fn list<const N: usize>(columns: &[&str], out: &mut Text<N>) {
    out.row("array[", b"");
    let mut at = 0;
    while at < columns.len() {
        out.quoted(columns[at], at > 0);
        at += 1;
    }
    out.byte(b']');
}
