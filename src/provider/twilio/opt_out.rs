//! What a reply asks for: by Twilio's own verdict, or where it gives none, by its words.

use crate::provider::OptCommand;

/// Twilio's words, in which it stops and starts a pair by itself, and what is said in their place. To take
/// one too many for STOP costs a message; to take one too few sends texts to somebody who wants none.
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

/// These lift an opt-out, so that only Twilio's own are taken.
const START: &[&str] = &["START", "UNSTOP", "YES"];

/// What is asked for. `verdict` is Twilio's `OptOutType`: with a messaging service that has words of its own
/// it has judged the reply itself, and what it sends and refuses from then on follows that.
pub(super) fn command(verdict: Option<&str>, text: &str) -> Option<OptCommand> {
    match verdict
        .map(|word| word.trim().to_ascii_uppercase())
        .as_deref()
    {
        Some("STOP") => Some(OptCommand::Stop),
        Some("START") => Some(OptCommand::Start),
        Some("HELP") => None,
        // A verdict of a later day says nothing yet.
        Some(_) | None => by_words(text),
    }
}

/// What the whole of a reply says, in any case, with space and punctuation around it. A sentence that
/// merely has such a word in it asks for nothing.
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
    fn the_words_in_any_case_and_with_what_stands_around_them() {
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
