//! The command in a reply: by Twilio's own classification, or if there is none, by its words.

use crate::provider::{OptCommand, opt_out};

/// The command. `verdict` is Twilio's `OptOutType`: a messaging service with keywords of its own has classified the
/// reply itself, and Twilio sends and refuses by that from then on.
pub(super) fn command(verdict: Option<&str>, text: &str) -> Option<OptCommand> {
    match verdict
        .map(|word| word.trim().to_ascii_uppercase())
        .as_deref()
    {
        Some("STOP") => Some(OptCommand::Stop),
        Some("START") => Some(OptCommand::Start),
        Some("HELP") => None,
        // A value that this version does not know.
        Some(_) | None => opt_out::command(text),
    }
}

/// Whether a reply asks for help that nobody has answered: see [`opt_out::asks_help`].
pub(super) fn asks_help(text: &str, answers: bool) -> bool {
    opt_out::asks_help(text, answers)
}

/// Whether somebody asks for help, which Twilio answers by itself.
pub(super) fn is_help(verdict: Option<&str>) -> bool {
    verdict.is_some_and(|word| word.trim().eq_ignore_ascii_case("HELP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_of_the_provider_counts_whatever_the_words() {
        for text in ["stop", "start", "basta", "", "AIDE"] {
            assert_eq!(
                command(Some("STOP"), text),
                Some(OptCommand::Stop),
                "{text}"
            );
            assert_eq!(
                command(Some(" start"), text),
                Some(OptCommand::Start),
                "{text}"
            );
            assert_eq!(command(Some("HELP"), text), None, "{text}");
            assert_eq!(command(Some("LATER"), text), command(None, text), "{text}");
        }
    }
}
