//! Values without the white space around them, as texts that expressions are made of.

macro_rules! white_characters {
    () => {
        " \\t\\n\\x0B\\f\\r\\u0085\\u00A0\\u1680\\u2000\\u2001\\u2002\\u2003\\u2004\
         \\u2005\\u2006\\u2007\\u2008\\u2009\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000"
    };
}

/// The white space that Rust's `str::trim` removes, for Postgres's `btrim`.
macro_rules! white {
    () => {
        concat!("E'", white_characters!(), "'")
    };
}

/// The same, and the characters that are not shown: what a blank text consists of (`message::parts::is_blank`).
macro_rules! blank {
    () => {
        concat!(
            "E'",
            white_characters!(),
            "\\u00AD\\u034F\\u061C\\u115F\\u1160\\u180E\\u200B\\u200C\\u200D\\u200E\\u200F\\u202A\\u202B\\u202C\\u202D\
             \\u202E\\u2060\\u2061\\u2062\\u2063\\u2064\\u2066\\u2067\\u2068\\u2069\\u3164\\uFEFF\\uFFA0'"
        )
    };
}

/// A column without it.
macro_rules! trimmed {
    ($column:literal) => {
        concat!("btrim(", $column, ", ", white!(), ")")
    };
}

/// The row's channel, to be compared with a list; a row without one is a text. The usual word is recognized first:
/// trimming costs several times as much, and statements over hundreds of rows ask several times for each. In
/// parentheses, because plpgsql would read the `then` as that of its `if`.
macro_rules! channel {
    () => {
        concat!(
            "(case when $channel::text = 'sms' then 'sms' else coalesce(nullif(lower(",
            trimmed!("$channel::text"),
            " collate \"C\") collate \"default\", ''), 'sms') end)"
        )
    };
}
