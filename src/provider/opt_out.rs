//! The command in a reply, by its words.

use super::OptCommand;

/// The keywords of providers, at which some of them stop a pair by themselves, and what people write in their place. A
/// reply that is wrongly taken for STOP costs a message; one that is wrongly ignored sends texts to a person who wants
/// none.
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
    "ARRETE",
    "ARRETER",
    "DESABONNER",
    "ALTO",
    "BAJA",
    "PARAR",
    "PARE",
    "CANCELAR",
    "SAIR",
    "STOPP",
    "ABMELDEN",
    "AFMELDEN",
    "СТОП",
];

/// The keywords only, because these end an opt-out.
const START: &[&str] = &["START", "UNSTOP", "YES"];

/// Who asks for help. The first two some providers answer by themselves.
const HELP: &[&str] = &[
    "HELP",
    "INFO",
    "AIDE",
    "AYUDA",
    "AJUDA",
    "HILFE",
    "HULP",
    "AIUTO",
    "POMOC",
    "ПОМОЩЬ",
];

/// How many of them a provider of texts answers by itself.
const ANSWERED: usize = 2;

/// A letter as the keywords are written: of full width as the usual one, without an accent; nothing for a character
/// that is not shown, and for an accent that follows its letter.
fn plain(c: char) -> Option<char> {
    match c {
        '\u{ff01}'..='\u{ff5e}' => u32::from(c).checked_sub(0xfee0).and_then(char::from_u32),
        'à'..='å' | 'À'..='Å' => Some('A'),
        'è'..='ë' | 'È'..='Ë' => Some('E'),
        '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => {
            None
        }
        other => Some(other),
    }
}

/// A reply as the keywords are written.
fn said(text: &str) -> String {
    let text: String = text.chars().filter_map(plain).collect();
    let said = text.trim_matches(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = said.split_whitespace().collect();
    words.join(" ").to_uppercase()
}

/// Whether the whole reply asks for help, and nobody has answered that. `answers`: the provider answers the usual
/// words.
pub(super) fn asks_help(text: &str, answers: bool) -> bool {
    let words = &HELP[if answers { ANSWERED } else { 0 }..];
    words.contains(&said(text).as_str())
}

/// The command if the whole reply is a keyword, in any case, with space and punctuation around it. A sentence
/// that merely contains one is no command.
pub(super) fn command(text: &str) -> Option<OptCommand> {
    let said = said(text);
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
    fn who_asks_for_help_is_answered_once() {
        for (text, answers, expected) in [
            ("help", false, true),
            ("Help!", true, false),
            ("INFO", true, false),
            ("aide", true, true),
            (" Ayuda. ", true, true),
            ("помощь", false, true),
            ("help me", false, false),
            ("", false, false),
        ] {
            assert_eq!(asks_help(text, answers), expected, "{text} {answers}");
        }
        for word in HELP {
            assert_eq!(command(word), None, "{word}");
        }
    }

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
                assert_eq!(command(&said), Some(expected), "{said:?}");
            }
        }
        for said in [
            "Arrêt",
            "ARRE\u{302}T",
            "désabonner",
            "ＳＴＯＰ",
            "ｓｔｏｐ．",
            "st\u{200b}op",
            "\u{202a}Stop\u{202c}",
            "стоп",
        ] {
            assert_eq!(command(said), Some(OptCommand::Stop), "{said:?}");
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
            assert_eq!(command(other), None, "{other:?}");
        }
    }
}
