//! The lines of a modem: what it says in response to a command, and what it says by itself. Pure.

use std::collections::VecDeque;
use std::fmt;

/// The longest line that is kept: a PDU has up to 350 digits. What is longer is no modem's.
const LINE_MAX: usize = 4096;

/// What the modem has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A line, without its end.
    Line(String),
    /// It waits for a PDU.
    Prompt,
}

/// How a command failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// `ERROR`, without a reason.
    Plain,
    /// `+CMS ERROR`: of messages.
    Message(u16),
    /// `+CME ERROR`: of the equipment.
    Equipment(u16),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("ERROR"),
            Self::Message(code) => write!(f, "+CMS ERROR: {code}"),
            Self::Equipment(code) => write!(f, "+CME ERROR: {code}"),
        }
    }
}

/// Whether a line ends the response to a command, and how.
pub(super) fn result(line: &str) -> Option<Result<(), Failed>> {
    let code = |text: &str| text.trim().parse().unwrap_or(u16::MAX);
    if line == "OK" {
        Some(Ok(()))
    } else if ["ERROR", "COMMAND NOT SUPPORT", "NO CARRIER"].contains(&line) {
        Some(Err(Failed::Plain))
    } else if let Some(text) = line.strip_prefix("+CMS ERROR:") {
        Some(Err(Failed::Message(code(text))))
    } else {
        let text = line.strip_prefix("+CME ERROR:")?;
        Some(Err(Failed::Equipment(code(text))))
    }
}

/// What a modem says by itself about messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unasked {
    /// A reply or a report is in this place of this memory.
    Stored(Place),
    /// The next line is the PDU of a reply or a report.
    Direct,
}

/// A place in a memory of the modem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// `SM`, `ME`, `SR`, …
    pub(super) memory: String,
    /// Its number there.
    pub(super) index: u16,
}

impl Unasked {
    /// Reads a line that no command has caused.
    pub(super) fn of(line: &str) -> Option<Self> {
        if ["+CMT:", "+CDS:"].iter().any(|own| line.starts_with(own)) {
            return Some(Self::Direct);
        }
        let text = line
            .strip_prefix("+CMTI:")
            .or_else(|| line.strip_prefix("+CDSI:"))?;
        let (memory, index) = text.split_once(',')?;
        let memory = memory_name(memory)?;
        let index = index.trim().parse().ok()?;
        Some(Self::Stored(Place { memory, index }))
    }
}

/// A memory's name in quotes. Only letters: it is written into commands.
pub(super) fn memory_name(quoted: &str) -> Option<String> {
    let name = quoted.trim().trim_matches('"');
    let is_name = (1..=4).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_uppercase());
    is_name.then(|| name.to_owned())
}

/// Cuts what arrives into lines.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    said: VecDeque<Said>,
}

impl Lines {
    /// Takes what has arrived.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => self.end(),
                // Of a modem that has just been plugged in.
                0 => {}
                _ if self.line.len() < LINE_MAX => self.line.push(*byte),
                _ => {}
            }
            // It has no end of line.
            if self.line == b"> " {
                self.line.clear();
                self.said.push_back(Said::Prompt);
            }
        }
    }

    fn end(&mut self) {
        let line = String::from_utf8_lossy(&self.line).trim().to_owned();
        self.line.clear();
        if !line.is_empty() {
            self.said.push_back(Said::Line(line));
        }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<Said> {
        self.said.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(chunks: &[&[u8]]) -> Vec<Said> {
        let mut lines = Lines::default();
        for chunk in chunks {
            lines.feed(chunk);
        }
        std::iter::from_fn(|| lines.next()).collect()
    }

    fn line(text: &str) -> Said {
        Said::Line(text.into())
    }

    #[test]
    fn lines_and_the_prompt_however_they_arrive() {
        let said = b"\r\n+CMGS: 17\r\n\r\nOK\r\n\r\n> ";
        let expected = [line("+CMGS: 17"), line("OK"), Said::Prompt];
        assert_eq!(all(&[said]), expected);
        let single: Vec<&[u8]> = said.chunks(1).collect();
        assert_eq!(all(&single), expected);
        // An echo, and a line that only begins like a prompt.
        assert_eq!(
            all(&[b"AT\rOK\r\n>x\r\n"]),
            [line("AT"), line("OK"), line(">x")]
        );
    }

    #[test]
    fn what_ends_a_response() {
        for (text, expected) in [
            ("OK", Some(Ok(()))),
            ("ERROR", Some(Err(Failed::Plain))),
            ("+CMS ERROR: 331", Some(Err(Failed::Message(331)))),
            ("+CME ERROR: 10", Some(Err(Failed::Equipment(10)))),
            (
                "+CMS ERROR: network timeout",
                Some(Err(Failed::Message(u16::MAX))),
            ),
            ("+CMGS: 17", None),
            ("OKAY", None),
        ] {
            assert_eq!(result(text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_modem_says_by_itself() {
        let stored = |memory: &str, index| {
            let memory = memory.to_owned();
            Some(Unasked::Stored(Place { memory, index }))
        };
        for (text, expected) in [
            ("+CMT: ,24", Some(Unasked::Direct)),
            ("+CDS: 25", Some(Unasked::Direct)),
            ("+CMTI: \"SM\",3", stored("SM", 3)),
            ("+CDSI: \"SR\", 12", stored("SR", 12)),
            ("+CMTI: \"S\rM\",3", None),
            ("+CMTI: \"SM\"", None),
            ("+CREG: 1", None),
            ("RING", None),
        ] {
            assert_eq!(Unasked::of(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_line_does_not_depend_on_how_it_arrives(
            bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200,
        ) {
            let (front, back) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(all(&[&bytes]), all(&[front, back]));
        }
    }
}
