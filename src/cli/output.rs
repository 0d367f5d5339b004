//! Writes results to standard output, which may be closed early and may be a terminal.

use std::io::{ErrorKind, Write, stderr, stdout};

use anyhow::Context;

use crate::message::Moment;

/// Writes a command's result. A closed pipe (`punctual timers | head`) ends it silently;
/// `println!` would panic.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    write_to(&mut stdout().lock(), text)
}

/// The same for one of many. False: nobody reads any further.
pub(super) fn print_if_read(text: &str) -> anyhow::Result<bool> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.context("cannot write the result").map(|()| true),
    }
}

/// The same for a text with colours, which are removed outside terminals and with `NO_COLOR`.
pub(super) fn print_styled(text: &str) -> anyhow::Result<()> {
    write_to(&mut anstream::AutoStream::auto(stdout().lock()), text)
}

/// The width of the terminal in columns; `None` if the output is not a terminal.
pub(super) fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Prints a remark on stderr, apart from the result.
pub(super) fn remark(text: &str) {
    // A closed stderr is not a reason to fail.
    let _ = writeln!(stderr(), "punctual: {text}");
}

/// Texts of others may have line breaks and control characters in them.
pub(super) fn one_line(text: &str) -> String {
    let escape = |c: char| c.is_control().then(|| c.escape_debug());
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match escape(c) {
            Some(escaped) => line.extend(escaped),
            None => line.push(c),
        }
    }
    line
}

fn write_to(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the result"),
    }
}

/// A sentence with its times, which are in UTC in the form of [`Moment`], as `show` has them.
pub(super) fn with_times(text: &str, show: impl Fn(Moment) -> String) -> String {
    // 2026-01-01T09:00:00.000000Z
    const LENGTH: usize = 27;
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let time = rest
            .get(..LENGTH)
            .filter(|time| first.is_ascii_digit() && time.ends_with('Z'));
        let after = if let Some(at) = time.and_then(|time| time.parse().ok()) {
            shown += &show(at);
            LENGTH
        } else {
            shown.push(first);
            first.len_utf8()
        };
        rest = &rest[after..];
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is() {
        assert!(write_to(&mut Fails(ErrorKind::BrokenPipe), "text").is_ok());
        assert!(write_to(&mut Fails(ErrorKind::StorageFull), "text").is_err());
    }

    #[test]
    fn times_in_a_sentence_are_shown_as_people_read_them() {
        let text = "ä sent at 2026-01-01T09:00:00.000001Z: 10 at 2026-01-01T09:00:00Z, 2026";
        let shown = with_times(text, |at| format!("<{}>", at.as_micros()));
        assert_eq!(
            shown,
            "ä sent at <1767258000000001>: 10 at 2026-01-01T09:00:00Z, 2026"
        );
    }
}
