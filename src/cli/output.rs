//! Standard output that may be closed early, and is a terminal or not.

use std::io::{ErrorKind, Write, stderr, stdout};

use anyhow::Context;

/// Writes a command's result. A closed pipe (`punctual timers | head`) is a quiet end, where
/// `println!` would panic.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    write_to(&mut stdout().lock(), text)
}

/// The same for a text with colours, which are for terminals only, and for nobody who has set
/// `NO_COLOR`.
pub(super) fn print_styled(text: &str) -> anyhow::Result<()> {
    write_to(&mut anstream::AutoStream::auto(stdout().lock()), text)
}

/// How many columns the terminal has that the result goes to; `None`: it goes elsewhere.
pub(super) fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Says something beside the result, on stderr.
pub(super) fn remark(text: &str) {
    // Nobody reads it: no reason not to go on.
    let _ = writeln!(stderr(), "punctual: {text}");
}

fn write_to(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the result"),
    }
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
}
