//! The schema of the app's tables (`PUNCTUAL_SCHEMA`). All texts of SQL name it `public`; before a text is sent, the
//! name of the schema takes that place. One process works with one schema, so each text is made once.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// What the texts name it, and the default.
const PUBLIC: &str = "public";

/// As many bytes as Postgres keeps of a name.
const LONGEST: usize = 63;

/// The schema of this process.
static IN_USE: OnceLock<AppSchema> = OnceLock::new();

/// The name of a schema, as the catalog has it: without quotes, and upper and lower case are different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSchema(Cow<'static, str>);

/// Why a name is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of the schema with the app's tables, as the catalog has it: at most 63 bytes, not quoted, without \
     ' \" \\ %, control characters and a second $, and none of Postgres's or Punctual's own schemas"
)]
pub struct SchemaNameError;

impl FromStr for AppSchema {
    type Err = SchemaNameError;

    fn from_str(name: &str) -> Result<Self, SchemaNameError> {
        // Texts name the schema within literals, templates of format() and quoted bodies too, where these characters
        // would mean something else.
        let fits = |c: char| !c.is_control() && !"'\"\\%".contains(c);
        let is_taken = matches!(name, "punctual" | "punctual_api" | "information_schema")
            || name.starts_with("pg_");
        let is_name = (1..=LONGEST).contains(&name.len()) && name.chars().all(fits);
        if is_name && !is_taken && name.matches('$').count() < 2 {
            Ok(Self(name.to_owned().into()))
        } else {
            Err(SchemaNameError)
        }
    }
}

impl Default for AppSchema {
    fn default() -> Self {
        Self(PUBLIC.into())
    }
}

impl fmt::Display for AppSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AppSchema {
    /// The name, not quoted.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes it the schema of this process.
    ///
    /// # Panics
    ///
    /// If the process has used another one: its texts name that.
    pub fn choose(&self) {
        let used = IN_USE.get_or_init(|| self.clone());
        assert_eq!(used, self, "a process works with one schema");
    }

    /// A text with this schema in the place of `public.` and `'public'`.
    pub fn place<'a>(&self, sql: &'a str) -> Cow<'a, str> {
        if self.0 == PUBLIC {
            return Cow::Borrowed(sql);
        }
        let mut placed = String::with_capacity(sql.len() + sql.len() / 16);
        let mut rest = sql;
        while let Some(at) = rest.find(PUBLIC) {
            let (before, after) = (&rest[..at], &rest[at + PUBLIC.len()..]);
            placed.push_str(before);
            match spelling_of(before, after) {
                Spelling::Qualifier => {
                    placed.push('"');
                    placed.push_str(&self.0);
                    placed.push('"');
                }
                Spelling::Name => placed.push_str(&self.0),
                Spelling::None => placed.push_str(PUBLIC),
            }
            rest = after;
        }
        placed.push_str(rest);
        Cow::Owned(placed)
    }
}

/// What `public` is at one place of a text.
#[derive(Debug, PartialEq, Eq)]
enum Spelling {
    /// A name is qualified with it, also in a part of a statement: `public.messages`, `'public.' || name`.
    Qualifier,
    /// The name of the schema, as a value: `'public'`.
    Name,
    /// Another word. (The pseudo role is written PUBLIC.)
    None,
}

fn spelling_of(before: &str, after: &str) -> Spelling {
    let is_of_word = |c: char| c.is_alphanumeric() || "_.$\"".contains(c);
    let (left, mut right) = (before.chars().next_back(), after.chars());
    match (left, right.next(), right.next()) {
        (Some('\''), Some('\''), _) => Spelling::Name,
        (Some(left), ..) if is_of_word(left) => Spelling::None,
        (_, Some('.'), Some(next)) if next.is_alphanumeric() || "_%'\"".contains(next) => {
            Spelling::Qualifier
        }
        _ => Spelling::None,
    }
}

/// A text with the schema of this process.
pub(in crate::store) fn placed(sql: &str) -> Cow<'_, str> {
    in_use().place(sql)
}

/// The schema of this process.
pub(in crate::store) fn in_use() -> &'static AppSchema {
    IN_USE.get_or_init(AppSchema::default)
}

/// A text that this program was built with.
#[derive(Debug)]
pub(in crate::store) struct Sql {
    assembled: &'static str,
    placed: OnceLock<Cow<'static, str>>,
}

impl Sql {
    pub(in crate::store) const fn new(assembled: &'static str) -> Self {
        Self {
            assembled,
            placed: OnceLock::new(),
        }
    }

    /// With the schema of this process.
    pub(in crate::store) fn text(&'static self) -> &'static str {
        self.placed.get_or_init(|| placed(self.assembled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: &str, sql: &str, expected: &str) {
        assert_eq!(schema.parse::<AppSchema>().unwrap().place(sql), expected);
    }

    #[test]
    fn it_takes_the_place_of_public_and_of_nothing_else() {
        for same in [
            "select from publication, republic.of_x, public, \"public\".x, x.public.y, 'the public. It'",
            "revoke execute on function punctual.f() from public;",
            "-- of schema public.\nselect 'is public'",
        ] {
            check("app", same, same);
        }
        check(
            "app",
            "select 'public', 'public.' || tab from public.messages, public.\"x\"",
            "select 'app', '\"app\".' || tab from \"app\".messages, \"app\".\"x\"",
        );
        check(
            "My äpp-1$",
            "execute format('alter table public.%I', n); -- ''public''",
            "execute format('alter table \"My äpp-1$\".%I', n); -- ''My äpp-1$''",
        );
        check("public", "public.x 'public'", "public.x 'public'");
    }

    #[test]
    fn a_name_is_any_that_postgres_keeps_and_quotes_alone_make_safe() {
        for good in [
            "app",
            "App",
            "my app",
            "a-b.c",
            "ä",
            "select",
            "1",
            "a$",
            &"x".repeat(63),
        ] {
            assert_eq!(good.parse::<AppSchema>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "\"app\"",
            "a'b",
            "a\"b",
            "a\\b",
            "a%b",
            "a$$b",
            "a$q$b",
            "a\nb",
            "a\0b",
            "punctual",
            "punctual_api",
            "information_schema",
            "pg_temp",
            "pg_catalog",
            &"x".repeat(64),
        ] {
            assert!(bad.parse::<AppSchema>().is_err(), "{bad:?}");
        }
    }
}
