//! What is wrong with the shape of a row, for the check of the app's inserts and for doctor.

/// What divides a text into parts, before a daemon has said: [`SEPARATOR`](crate::message::parts::SEPARATOR).
macro_rules! separator {
    () => {
        "coalesce((select s.part_separator from punctual.settings s), '[BUBBLE]')"
    };
}

pub(super) const SEPARATOR: &str = separator!();

/// Why a message cannot be sent, by its shape; null: it can. `tests/pg/validate.rs` compares it with what the
/// daemon accepts. Zones are those of the daemon's zone data, once a daemon has run.
pub(super) const FAULT: &str = concat!(
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
    " !~ '^(\\+[1-9][0-9]{6,14}|[0-9]{3,8}|MG[0-9a-fA-F]{32}|(?=.*[A-Za-z])[A-Za-z0-9 _+&-]{1,11})\\Z'
           then 'from_number is neither a number nor a short code, a name or a messaging service'
         when $template_vars is null and length($body) > 1600
              and (coalesce(strpos($body, nullif(",
    separator!(),
    ", '')), 0) = 0
                   or exists (select from unnest(string_to_array($body, ",
    separator!(),
    ")) as p (part) where length(",
    trimmed!("p.part"),
    ") > 1600))
           then 'the body, or a part of it, has more than 1600 characters' end
       when 'email' then case when length(",
    trimmed!("$to_number"),
    ") > 254 or ",
    trimmed!("$to_number"),
    // `\x24` is the dollar sign, which stands for the alias here.
    " !~ ('^[A-Za-z0-9.!#\\x24%&''*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
             || '(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+\\Z')
         then 'to_number must be an e-mail address' end
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
    " <> 'sms' then 'from_number must be null: only text messages have a sender'
       when $template_vars is null
            and btrim(case when ",
    channel!(),
    " = 'webhook' then $body else replace($body, ",
    separator!(),
    ", '') end, ",
    white!(),
    ") = '' then 'the body is empty'
       when ",
    trimmed!("$timezone"),
    " <> '' and exists (select from punctual.days)
            and not exists (select from punctual.days d where d.zone = lower(",
    trimmed!("$timezone"),
    "))
         then 'timezone is not an IANA name, like Europe/Berlin'
     end)"
);
