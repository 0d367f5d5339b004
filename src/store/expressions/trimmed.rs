//! Values without the white space around them, as texts that expressions are made of.

/// The white space that Rust's `str::trim` removes, for Postgres's `btrim`.
macro_rules! white {
    () => {
        "E' \\t\\n\\x0B\\f\\r\\u0085\\u00A0\\u1680\\u2000\\u2001\\u2002\\u2003\\u2004\
         \\u2005\\u2006\\u2007\\u2008\\u2009\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000'"
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
            "), ''), 'sms') end)"
        )
    };
}
