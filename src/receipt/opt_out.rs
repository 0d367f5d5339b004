//! The words by which a recipient ends or resumes messages.

/// What a reply asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
}

/// Twilio's own words, in which it stops and starts a pair by itself; ours are to agree.
const STOP: &[&str] = &[
    "STOP",
    "STOPALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "REVOKE",
    "OPTOUT",
];
const START: &[&str] = &["START", "UNSTOP", "YES"];

/// What the whole of a reply asks for, in any case and with space around it. A sentence that
/// merely has such a word in it asks for nothing.
pub fn wish(body: &str) -> Option<Wish> {
    let said = body.trim();
    let among = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(said));
    if among(STOP) {
        Some(Wish::Stop)
    } else if among(START) {
        Some(Wish::Start)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_and_nothing_else() {
        for word in STOP {
            assert_eq!(wish(word), Some(Wish::Stop), "{word}");
            assert_eq!(
                wish(&format!(" {}\r\n", word.to_lowercase())),
                Some(Wish::Stop)
            );
        }
        for word in START {
            assert_eq!(wish(word), Some(Wish::Start), "{word}");
        }
        assert_eq!(wish("Stop"), Some(Wish::Stop));
        for other in [
            "",
            "stop it",
            "please stop",
            "STOPP",
            "yes please",
            "HELP",
            "st op",
        ] {
            assert_eq!(wish(other), None, "{other:?}");
        }
    }
}
