//! The words by which a recipient ends or resumes messages.

use crate::provider::OptCommand;

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
pub(super) fn command(body: &str) -> Option<OptCommand> {
    let said = body.trim();
    let among = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(said));
    if among(STOP) {
        Some(OptCommand::Stop)
    } else if among(START) {
        Some(OptCommand::Start)
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
            assert_eq!(command(word), Some(OptCommand::Stop), "{word}");
            assert_eq!(
                command(&format!(" {}\r\n", word.to_lowercase())),
                Some(OptCommand::Stop)
            );
        }
        for word in START {
            assert_eq!(command(word), Some(OptCommand::Start), "{word}");
        }
        assert_eq!(command("Stop"), Some(OptCommand::Stop));
        for other in [
            "",
            "stop it",
            "please stop",
            "STOPP",
            "yes please",
            "HELP",
            "st op",
        ] {
            assert_eq!(command(other), None, "{other:?}");
        }
    }
}
