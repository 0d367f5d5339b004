//! The command in a reply: by Twilio's own classification, or if there is none, by its words.

use crate::provider::OptCommand;

/// Twilio's keywords, at which it stops a pair by itself, and what people write in their place. A reply that
/// is wrongly taken for STOP costs a message; one that is wrongly ignored sends texts to a person who wants none.
const STOP: &[&str] = &[
    "STOP",
    "STOPALL",
    "STOP ALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "REVOKE",
    "OPTOUT",
    "OPT OUT",
    "OPT-OUT",
    "ARRET",
    "ARRÊT",
    "ARRETE",
    "ARRÊTE",
    "ARRÊTER",
    "ARRETER",
    "DESABONNER",
    "DÉSABONNER",
    "ALTO",
    "BAJA",
    "PARAR",
    "PARE",
    "CANCELAR",
    "SAIR",
    "STOPP",
    "ABMELDEN",
    "AFMELDEN",
];

/// Twilio's keywords only, because these end an opt-out.
const START: &[&str] = &["START", "UNSTOP", "YES"];

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
        Some(_) | None => by_words(text),
    }
}

/// The command if the whole reply is a keyword, in any case, with space and punctuation around it. A sentence
/// that merely contains one is no command.
fn by_words(text: &str) -> Option<OptCommand> {
    let said = text.trim_matches(|c: char| !c.is_alphanumeric());
    let said = said
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_uppercase();
    if STOP.contains(&said.as_str()) {
        Some(OptCommand::Stop)
    } else if START.contains(&said.as_str()) {
        Some(OptCommand::Start)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_in_any_case_and_with_what_is_around_them() {
        let all = STOP.iter().map(|w| (w, OptCommand::Stop));
        for (word, expected) in all.chain(START.iter().map(|w| (w, OptCommand::Start))) {
            let lower = word.to_lowercase();
            for said in [
                (*word).to_owned(),
                format!(" {lower}\r\n"),
                format!("{lower}."),
                format!("\u{a0}\u{feff}“{lower}”!!\u{200b}"),
                lower.replace(' ', " \u{a0} "),
            ] {
                assert_eq!(command(None, &said), Some(expected), "{said:?}");
            }
        }
        for other in [
            "",
            ".",
            "stop it",
            "please stop",
            "yes please",
            "HELP",
            "INFO",
            "st op",
            "s.t.o.p",
            "nonstop",
        ] {
            assert_eq!(command(None, other), None, "{other:?}");
        }
    }

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
