//! Texts that say the same to many new numbers: somebody pumps them through a form, an account is in wrong hands, or a
//! template has a mistake. What counts as the same, and how many go out before a person is asked. They are counted by
//! the database (`triggers/bursts.sql`), which all instances share.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{Cleared, Reason, ReasonKind};
use crate::message::{Address, Channel};

/// The most texts that a setting may name: they are counted one by one.
const MOST: u32 = 10_000;

/// The longest time in which they are counted.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Bytes of the hash that stands for a text: of some million texts a day, no two have the same.
const KEY_BYTES: usize = 8;

/// How many texts that say the same go to new numbers, and in what time; the others are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// So many go out.
    pub most: u32,
    /// Within this time.
    pub span: Duration,
}

/// What is no such bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("how many texts in what time, as in 100 in 1h: at most {MOST}, in a day or less; or off")]
pub struct BurstError;

impl FromStr for Burst {
    type Err = BurstError;

    fn from_str(text: &str) -> Result<Self, BurstError> {
        let (most, span) = text.split_once(" in ").ok_or(BurstError)?;
        let most = most.trim().parse().map_err(|_| BurstError)?;
        let span = humantime::parse_duration(span.trim()).map_err(|_| BurstError)?;
        let is_one =
            (1..=MOST).contains(&most) && (Duration::from_secs(1)..=LONGEST).contains(&span);
        is_one.then_some(Self { most, span }).ok_or(BurstError)
    }
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in {}",
            self.most,
            humantime::format_duration(self.span)
        )
    }
}

impl Burst {
    /// Why the texts of a pause are held; what they say follows.
    pub fn why(&self) -> String {
        let Self { most, span } = self;
        let span = humantime::format_duration(*span);
        format!(
            "{most} texts that say the same went to new numbers within {span} (PUNCTUAL_BURST); what is held is sent by: \
             punctual resume text="
        )
    }

    /// Why one is held that says this.
    pub fn held(&self, says: &TextWords) -> Reason {
        Reason::new(ReasonKind::Burst, format!("{}{says}", self.why()))
    }
}

/// What a text says, as far as it is the same for many: the beginning of a hash. Words with a digit are all one, so
/// that codes and times do not differ; links are without what follows the host; it is in lower case, with a space
/// between words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextWords(String);

impl TextWords {
    /// Of a message that begins with this request; `None`: it is no text, or has begun.
    pub fn of(cleared: &Cleared) -> Option<(Self, &str)> {
        if cleared.channel() != Channel::Sms || cleared.part().before > 0 {
            return None;
        }
        let Address::Phone(to) = cleared.to() else {
            return None;
        };
        let own = [cleared.body().to_owned()];
        let texts = if cleared.texts().is_empty() {
            &own
        } else {
            cleared.texts()
        };
        Some((Self::of_texts(texts, cleared.media().len()), to.as_str()))
    }

    /// Of a message with these texts and so many media.
    pub fn of_texts(texts: &[String], media: usize) -> Self {
        let mut hash = Sha256::new();
        for word in texts.iter().flat_map(|text| text.split_whitespace()) {
            hash.update(plain(word));
            hash.update(" ");
        }
        hash.update(" media".repeat(media));
        let digest: [u8; 32] = hash.finalize().into();
        let mut key = String::with_capacity(2 * KEY_BYTES);
        for byte in digest.iter().take(KEY_BYTES) {
            let _ = write!(key, "{byte:02x}");
        }
        Self(key)
    }

    /// As `punctual.pauses` has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TextWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A word without what differs between recipients.
fn plain(word: &str) -> String {
    let host = word.find("://").map_or(0, |at| at + 3);
    let (before, rest) = word.split_at(host);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (first, _) = rest.split_at(end);
    let is_link = host > 0 || first.contains('.');
    let kept = if is_link {
        before.to_lowercase() + &first.to_lowercase()
    } else {
        word.to_lowercase()
    };
    if kept.contains(char::is_numeric) {
        return "0".to_owned();
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> TextWords {
        TextWords::of_texts(&[text.to_owned()], 0)
    }

    #[test]
    fn what_differs_between_recipients_does_not_make_another_text() {
        for (one, other) in [
            ("Your code is 123456", "your  code is 98\n"),
            (
                "See https://x.example/l/AbC1",
                "See https://x.example/l/Zz9?u=2",
            ),
            ("See x.example/l/AbC1 now", "see X.example/q now"),
            ("At 9:05 and 10:30.", "At 11:00 and 8:45."),
            ("٣ left", "3 left"),
            ("Your code is c4ca42", "Your code is E-7d0a."),
            ("G-123456 is your code", "7f is your code"),
        ] {
            assert_eq!(key(one), key(other), "{one}");
        }
        for (one, other) in [
            ("Your code is 1", "Your code was 1"),
            ("See https://x.example/a", "See https://y.example/a"),
            ("Hi Ada", "Hi Ben"),
            // A code of letters alone is a word like others.
            ("Your code is QXZB", "Your code is PLMK"),
            ("either/or", "either/and"),
            ("a b", "ab"),
        ] {
            assert_ne!(key(one), key(other), "{one}");
        }
        let parts = ["Hi".to_owned(), "there".to_owned()];
        assert_eq!(TextWords::of_texts(&parts, 0), key("Hi there"));
        assert_ne!(TextWords::of_texts(&parts, 1), key("Hi there"));
        assert_eq!(key("").as_str().len(), 2 * KEY_BYTES);
    }

    #[test]
    fn a_bound_is_read_whole_or_refused() {
        let burst: Burst = "100 in 1h".parse().unwrap();
        assert_eq!((burst.most, burst.span), (100, Duration::from_secs(3600)));
        assert_eq!(burst.to_string(), "100 in 1h");
        let says = key("x");
        assert_eq!(
            burst.held(&says).text,
            format!(
                "100 texts that say the same went to new numbers within 1h (PUNCTUAL_BURST); what is held is sent by: \
                 punctual resume text={says}"
            )
        );
        for text in [
            "",
            "100",
            "0 in 1h",
            "10001 in 1h",
            "5 in 2days",
            "5 in 0s",
            "x in 1h",
            "5 in x",
        ] {
            assert_eq!(text.parse::<Burst>(), Err(BurstError), "{text}");
        }
    }

    proptest! {
        /// Numbers, gaps and case never make another text, and words without digits do.
        #[test]
        fn a_text_is_known_by_its_words(words in prop::collection::vec("[a-z]{1,8}", 1..6), a in 0..u32::MAX, b in 0..u32::MAX) {
            let of = |n: u32, gap: &str| words.iter().map(|word| format!("{word} {n}{word}")).collect::<Vec<_>>().join(gap);
            prop_assert_eq!(key(&of(a, " ")), key(&of(b, "\n  ").to_uppercase()));
            let own = words.join(" ");
            prop_assert_ne!(key(&own), key(&format!("{own}x")));
            let more = format!("{} more", of(a, " "));
            prop_assert_ne!(key(&of(a, " ")), key(&more));
        }
    }
}
