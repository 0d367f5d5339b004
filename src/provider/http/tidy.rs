//! Makes foreign sentences fit for a log and for `error_message`.

/// The longest sentence kept, in characters. A provider's own have at most about 200.
const TEXT_MAX: usize = 300;

/// The longest run of digits shown: error codes have five. Longer ones may be phone numbers.
const DIGITS_SHOWN: usize = 6;

/// The shortest text, in bytes, that is cut out of a refusal that quotes it. Shorter ones are
/// parts of ordinary words.
const QUOTED_MIN: usize = 4;

/// Cuts the text of a message out of a refusal that quotes it.
pub(in crate::provider) fn unquote(refusal: &str, sent: &str) -> String {
    match sent.trim() {
        short if short.len() < QUOTED_MIN => refusal.to_owned(),
        sent => refusal.replace(sent, "[text]"),
    }
}

/// Makes a foreign sentence fit for a log and for `error_message`: on one line, bounded, and
/// without anything that may be a phone number.
pub(in crate::provider) fn tidy(text: &str) -> String {
    let one_line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let masked = mask_numbers(&one_line);
    match masked.char_indices().nth(TEXT_MAX) {
        None => masked,
        Some((end, _)) => format!("{}…", &masked[..end]),
    }
}

/// Replaces what has too many digits. A space, hyphen, dot or bracket between digits does not
/// end a number, because people write numbers with these.
fn mask_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars() {
        if c.is_numeric() || (!run.is_empty() && " -.()".contains(c)) {
            run.push(c);
        } else {
            close(&mut out, &mut run);
            out.push(c);
        }
    }
    close(&mut out, &mut run);
    out
}

fn close(out: &mut String, run: &mut String) {
    let number = run.trim_end_matches([' ', '-', '.', '(', ')']);
    if number.chars().filter(|c| c.is_numeric()).count() > DIGITS_SHOWN {
        out.push_str("•••");
        out.push_str(&run[number.len()..]);
    } else {
        out.push_str(run);
    }
    run.clear();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refusals_are_tidied() {
        for (said, kept) in [
            (
                "The 'To' number +13105551234 is not valid.",
                "The 'To' number +••• is not valid.",
            ),
            ("call +1 (310) 555-1234 now", "call +••• now"),
            ("call 310.555.1234.", "call •••."),
            ("call ١٣١٠٥٥٥١٢٣٤", "call •••"),
            ("error 21610, 30004", "error 21610, 30004"),
            ("two\r\nlines\u{1b}[31m", "two  lines [31m"),
            ("123456", "123456"),
            ("1234567", "•••"),
        ] {
            assert_eq!(tidy(said), kept);
        }
        let long = tidy(&"é".repeat(1000));
        assert_eq!(long.chars().count(), TEXT_MAX + 1);
    }

    proptest! {
        #[test]
        fn no_number_survives(
            before in "[a-z 0-9+(]{0,20}",
            number in "[0-9]{7,15}",
            after in "[a-z 0-9).-]{0,400}",
        ) {
            let tidied = tidy(&format!("{before}{number}{after}"));
            prop_assert!(!tidied.contains(&number), "{}", tidied);
            let longest = tidied.split(|c: char| !c.is_numeric()).map(str::len).max();
            prop_assert!(longest <= Some(DIGITS_SHOWN), "{}", tidied);
        }
    }
}
