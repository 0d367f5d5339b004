//! Expressions of the API for apps: its answers where nothing was done (`triggers/rpc.sql`), and what its figures count
//! (`triggers/daily_metrics.sql`).

use super::{Text, lists};
use crate::policy::OVER_LIMIT;

/// The characters that a variable's name cannot have, as `message::template::is_name` has it: of ASCII, and of the
/// blocks of Unicode that are punctuation and symbols. Other blocks have a few signs among their letters; a template
/// with one of those is refused by the claim.
const NO_NAME_CHARS: &str = concat!(
    r"[\x01-,/:-@\x5b-^`{-\x7f",
    r"\u0080-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7",
    r"\u2000-\u206f\u207a-\u207e\u208a-\u208f\u20a0-\u20cf\u2190-\u245f\u249c-\u24b5\u2500-\u2775\u2794-\u2bff",
    r"\u3000-\u3004\u3008-\u3020\u3030\u303d-\u303f\ufe00-\ufe6f",
    r"\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\uffe0-\uffef",
    r"\U0001f000-\U0001f0ff\U0001f300-\U0001faff]"
);

/// Appends one of these; `false`: it is none of them.
pub(super) const fn put<const N: usize>(name: &[u8], alias: &[u8], out: &mut Text<N>) -> bool {
    match name {
        // Whether a time was passed, by more than clocks and connections explain.
        b"is_past" => {
            out.bytes(alias);
            out.row(" < clock_timestamp() - interval '1 minute'", b"");
        }
        // `error_code` where the provider knows that the recipient has opted out.
        b"opted_out_codes" => lists::opted_out_codes(out),
        b"not_found" => out.row(
            "jsonb_build_object('ok', false, 'late', false, 'reason', 'there is no such message, or it is not yours')",
            b"",
        ),
        // For a row of `status`, `parts_done` and `parts_total`, all null if there is none.
        b"not_done" => {
            out.row("case when $status is null then ", alias);
            put(b"not_found", b"", out);
            out.row(
                " else jsonb_build_object(
      'ok', false, 'status', $status,
      'late', $status in ('sending', 'sent', 'delivered', 'unconfirmed') or $status = 'pending' and $parts_done > 0,
      'reason', case $status
        when 'sending' then 'it is being sent this moment'
        when 'sent' then 'it was sent'
        when 'delivered' then 'it was delivered'
        when 'unconfirmed' then 'it may have been sent; whether it was is not known'
        when 'failed' then 'it has failed'
        when 'cancelled' then 'it was cancelled'
        when 'pending' then case when $parts_done > 0
          then format('%s of %s parts were sent; it can only be cancelled', $parts_done, $parts_total)
          else 'you may see it and not change it, or a trigger skipped it' end
        else format('it is %s', $status) end) end",
                alias,
            );
        }
        // The rows of one status (in the place of the alias) that are due from `opens` to `closes`: by its index.
        b"due_between" => {
            out.append(
                "(select m.user_id, m.campaign_id, m.status, m.sent_at, m.delivered_at, m.cancel_reason, m.deferred_reason,
                         m.error_code, m.metadata::jsonb as metadata
                    from public.scheduled_messages m
                   where due!(m) >= opens and due!(m) < closes and m.status = '",
            );
            out.bytes(alias);
            out.append("')");
        }
        // The `required_vars` of a template, from its `row`. In a column for texts, one that is no JSON has no meaning;
        // everything else but a list of names is refused.
        b"required_vars" => {
            out.row("case when ", b"");
            put(b"is_json_column", b"", out);
            out.row(
                " then nullif(($row -> 'required_vars')::text, 'null')
                when jsonb_typeof($row -> 'required_vars') <> 'string' or $row ->> 'required_vars' ~ '^\\s*[[{]'
                then $row ->> 'required_vars' end",
                alias,
            );
        }
        b"is_json_column" => out.row(
            "(select a.atttypid = any (array['json', 'jsonb']::regtype[]) from pg_catalog.pg_attribute a
                where a.attrelid = to_regclass('public.sms_templates') and a.attname = 'required_vars'
                  and not a.attisdropped)",
            b"",
        ),
        b"no_name_chars" => out.quoted(NO_NAME_CHARS, false),
        // The reason of a cancel because of the daily limit, as text.
        b"over_limit" => out.quoted(OVER_LIMIT, false),
        _ => return false,
    }
    true
}
