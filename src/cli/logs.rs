//! Where log lines go: stderr, as text for people or as JSON for machines.
//!
//! Only events of `tracing` are logged. Those that libraries log through the `log` crate are left
//! out on purpose: at `debug`, tokio-postgres logs the parameters of every statement, which
//! contain numbers and texts.

use std::io::Write;

use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::daemon::SumUp;

use crate::config::{LogFormat, LogSettings};

/// One event is one line, whatever is in it: a text from elsewhere with a line break in it would forge the
/// next. `fmt` writes each event whole, with the line break that ends it.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let (line, end) = match event.strip_suffix(b"\n") {
            Some(line) => (line, &b"\n"[..]),
            None => (event, &b""[..]),
        };
        if line.iter().any(|b| matches!(b, b'\n' | b'\r')) {
            let mut escaped = Vec::with_capacity(event.len() + 16);
            for byte in line {
                match byte {
                    b'\n' => escaped.extend(b"\\n"),
                    b'\r' => escaped.extend(b"\\r"),
                    other => escaped.push(*other),
                }
            }
            escaped.extend(end);
            self.0.write_all(&escaped)?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Keeps the exporter of spans until the process ends; dropping it exports the last ones.
pub(super) struct Logs {
    #[cfg(feature = "otlp")]
    _exporting: Option<super::otlp::Exporting>,
}

/// Turns logging on for this process. A second call changes nothing.
#[must_use = "dropping it ends the export of spans"]
pub(super) fn start(settings: &LogSettings) -> Logs {
    let lines = fmt::layer().with_writer(|| OneLine(std::io::stderr()));
    let lines = match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_ansi(colours).boxed()
        }
    };
    let lines = lines.with_filter(settings.filter.clone().and(SumUp));
    let registry = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otlp")]
    {
        let (layer, exporting) = match super::otlp::layer() {
            Ok(made) => made.unzip(),
            Err(error) => {
                // Logging is not set up yet.
                eprintln!("cannot export spans: {error:#}");
                (None, None)
            }
        };
        let _ = registry.with(layer).try_init();
        Logs {
            _exporting: exporting,
        }
    }
    #[cfg(not(feature = "otlp"))]
    {
        // Fails only if a subscriber is set already.
        let _ = registry.try_init();
        Logs {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_event_is_one_line() {
        let mut written = Vec::new();
        for event in ["plain\n", "two\nlines\r\n forged=1\n", "without an end"] {
            OneLine(&mut written).write_all(event.as_bytes()).unwrap();
        }
        let written = String::from_utf8(written).unwrap();
        assert_eq!(written, "plain\ntwo\\nlines\\r\\n forged=1\nwithout an end");
    }

    #[test]
    fn a_text_with_a_line_break_forges_no_line_of_the_log() {
        let kept = Kept::default();
        let to = kept.clone();
        let lines = fmt::layer().with_ansi(false);
        let lines = lines.with_writer(move || OneLine(to.clone()));
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            let error = "no\n2026-01-01T00:00:00Z  INFO forged";
            tracing::warn!(%error, "it said {error}");
        });
        let said = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("forged"), "{said}");
    }
}
