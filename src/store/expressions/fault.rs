//! What is wrong with the shape of a row, for the check of the app's inserts and for doctor.

use super::Text;
use crate::provider::TEXTS;

/// What divides a text into parts, before a daemon has said: [`SEPARATOR`](crate::message::parts::SEPARATOR).
macro_rules! separator {
    () => {
        "coalesce((select s.part_separator from punctual.settings s), '[BUBBLE]')"
    };
}

/// Whether a column without white space is no e-mail address. `\x24` is the dollar sign, which stands for the alias
/// here.
macro_rules! no_email {
    ($column:literal) => {
        concat!(
            "(length(",
            trimmed!($column),
            ") > 254 or ",
            trimmed!($column),
            " !~ ('^(?=[^@]{1,64}@)",
            email_atom!(),
            "(\\.",
            email_atom!(),
            ")*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?' || '(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+\\Z'))"
        )
    };
}

/// What is between the dots before the `@`.
macro_rules! email_atom {
    () => {
        "[A-Za-z0-9!#\\x24%&''*+/=?^_`{|}~-]+"
    };
}

pub(super) const SEPARATOR: &str = separator!();

/// Appends why a message cannot be sent, by its shape; null: it can. `tests/pg/validate.rs` compares it with what the
/// daemon accepts. Zones are those of the daemon's zone data, once a daemon has run.
pub(super) const fn put<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "some thousands"
    )]
    const MOST: i32 = TEXTS.max_chars as i32;
    out.row(BEFORE_SENDER, alias);
    sender_forms(out);
    out.row(UP_TO_BODY, alias);
    out.number(MOST);
    out.row(UP_TO_PART, alias);
    out.number(MOST);
    out.row(UP_TO_REASON, alias);
    out.number(MOST);
    out.row(REST, alias);
}

/// Appends that a message is a text, or one in the app, as most are, in which `fault!` finds nothing, unless its text
/// has the separator or its zone is none: that is ten times as long, and Postgres reads it for each statement again.
/// What this does not recognize may be in order too. Everything in it is named with its schema, because a function
/// without a `search_path` of its own asks it (`triggers/scheduled_messages.sql`).
pub(super) const fn is_plain<const N: usize>(alias: &[u8], out: &mut Text<N>) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "some thousands"
    )]
    const MOST: i32 = TEXTS.max_chars as i32;
    out.row(
        "(($channel::pg_catalog.text operator(pg_catalog.=) 'sms'
           and $to_number::pg_catalog.text operator(pg_catalog.~) '^\\+[1-9][0-9]{6,14}\\Z'
           and ($from_number is null or $from_number::pg_catalog.text operator(pg_catalog.~) '^\\+[1-9][0-9]{6,14}\\Z')
           or $channel::pg_catalog.text operator(pg_catalog.=) 'in_app'
           and $to_number::pg_catalog.text operator(pg_catalog.~) '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\Z'
           and $from_number is null
           and ($subject is null or $subject::pg_catalog.text operator(pg_catalog.~) '^[0-9A-Za-z .,:!?-]{0,255}\\Z'))
          and ($template_vars is not null
               or $body::pg_catalog.text operator(pg_catalog.~) '[0-9A-Za-z]'
                  and pg_catalog.length($body::pg_catalog.text) operator(pg_catalog.<=) ",
        alias,
    );
    out.number(MOST);
    out.row("))", alias);
}

macro_rules! statuses {
    () => {
        "pending,sending,sent,delivered,failed,cancelled,unconfirmed"
    };
}

/// Every status, as a text.
pub(super) const STATUSES: &str = concat!("'", statuses!(), "'");

macro_rules! known {
    ($($column:literal: $words:expr),* $(,)?) => {
        /// Each column with its words, as the text of an array.
        #[cfg(test)]
        pub(super) const KNOWN: &[(&str, &str)] = &[$(($column, $words)),*];

        /// Appends whether the words and the number of a row are known; null is. Named with its schemas, as
        /// [`is_plain`] is.
        pub(super) const fn is_known<const N: usize>(alias: &[u8], out: &mut Text<N>) {
            out.row(
                concat!(
                    "(",
                    $("($", $column, " is null
           or $", $column, "::pg_catalog.text operator(pg_catalog.=) any ('{", $words, "}'::pg_catalog.text[]))
          and ",)*
                    "($max_attempts is null
           or $max_attempts operator(pg_catalog.>=) 1 and $max_attempts operator(pg_catalog.<=) 100))"
                ),
                alias,
            );
        }

        /// Of what is not known, in a column that the app has no words of its own in: the column and a sentence.
        pub(super) const UNKNOWN: &str = concat!(
            "(select array[u.name, format('%s of message %s is %s; it must be %s', u.name, $id,
                                          to_json(left(u.value, 40)), u.known)]
                from (values ",
            $("('", $column, "', $", $column, "::text, $", $column, "::text = any ('{", $words, "}'),
                              'one of ", $words, "'),
                             ",)*
            "('max_attempts', $max_attempts::text, $max_attempts between 1 and 100, 'from 1 to 100'))
                  as u (name, value, is_known, known)
               where not u.is_known and not exists (select from punctual.app_words w where w.name = u.name)
               limit 1)"
        );
    };
}

known! {
    "status": statuses!(),
    "priority": "low,normal,high,urgent",
    "in_doubt": "hold,resend_if_absent,resend",
}

/// The ten seconds that it is in: what was read in them holds in them.
pub(super) const THESE_SECONDS: &str =
    "cast(cast(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) operator(pg_catalog./) 10 as pg_catalog.int8)
           as pg_catalog.text)";

/// The forms of a sender, as alternatives in a regular expression.
pub(super) const fn sender_forms<const N: usize>(out: &mut Text<N>) {
    out.row("(whatsapp:)?\\+[1-9][0-9]{6,14}|[0-9]{3,8}|", b"");
    sender_pool(out);
    out.row("(?=.*[A-Za-z])[A-Za-z0-9 _+&-]{1,11}", b"");
}

/// That of a pool of senders, where the provider has these.
const fn sender_pool<const N: usize>(out: &mut Text<N>) {
    if let Some(pool) = TEXTS.sender_pools {
        out.row(pool.prefix, b"");
        out.row("[0-9a-fA-F]{", b"");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            reason = "some dozens"
        )]
        out.number(pool.digits as i32);
        out.row("}|", b"");
    }
}

const BEFORE_SENDER: &str = concat!(
    "coalesce(case ",
    channel!(),
    "
       when 'sms' then case
         when ",
    trimmed!("$to_number"),
    " !~ '^\\+[1-9][0-9]{6,14}\\Z'
           then 'to_number must be + and the country code, digits only'
         when ",
    trimmed!("$from_number"),
    " <> '' and ",
    trimmed!("$from_number"),
    " !~ '^("
);

const UP_TO_BODY: &str = ")\\Z'
           then 'from_number is neither a number nor a short code, a name, whatsapp: and a number, or a sender pool'
         when $template_vars is null and length($body) > ";

const UP_TO_PART: &str = concat!(
    "
              and (coalesce(strpos($body, nullif(",
    separator!(),
    ", '')), 0) = 0
                   or exists (select from unnest(string_to_array($body, ",
    separator!(),
    ")) as p (part) where length(",
    trimmed!("p.part"),
    ") > "
);

const UP_TO_REASON: &str = "))
           then 'the body, or a part of it, has more than ";

const REST: &str = concat!(
    " characters' end
       when 'email' then case when ",
    no_email!("$to_number"),
    " then 'to_number must be an e-mail address'
         when ",
    trimmed!("$from_number"),
    " <> '' and ",
    no_email!("$from_number"),
    " then 'from_number must be the e-mail address of the sender, or null' end
       when 'push' then case when length(",
    trimmed!("$to_number"),
    ") > 2048 or ",
    trimmed!("$to_number"),
    " !~ '^https://(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?([/?][!-~]*)?\\Z'
         then 'to_number must be the endpoint of a push subscription, an https URL' end
       when 'in_app' then case when ",
    trimmed!("$to_number"),
    " !~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\\Z'
         then 'to_number must be the id of a user, a UUID' end
       when 'webhook' then case when length(",
    trimmed!("$to_number"),
    ") > 2048 or ",
    trimmed!("$to_number"),
    " !~ '^https?://(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?([/?][!-~]*)?\\Z'
         then 'to_number must be an http or https URL' end
     end,
     case
       when ",
    trimmed!("$from_number"),
    " <> '' and ",
    channel!(),
    " not in ('sms', 'email') then 'from_number must be null: only text messages and e-mails have a sender'
       when ",
    channel!(),
    " in ('email', 'push', 'in_app') and (length(",
    trimmed!("$subject"),
    ") > 255 or ",
    trimmed!("$subject"),
    " ~ '[\\x01-\\x1F\\x7F-\\x9F]') then 'the subject has more than 255 characters, or a line break'
       when $template_vars is null
            and btrim(case when ",
    channel!(),
    " = 'webhook' then $body else replace($body, ",
    separator!(),
    ", '') end, ",
    blank!(),
    ") = '' then 'the body is empty'
       when ",
    trimmed!("$timezone"),
    " <> '' and exists (select from punctual.days)
            and not exists (select from punctual.days d where d.zone = lower(",
    trimmed!("$timezone"),
    " collate \"C\") collate \"default\")
         then 'timezone is not an IANA name, like Europe/Berlin'
     end)"
);
