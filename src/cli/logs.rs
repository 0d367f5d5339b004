//! Where log lines go: stderr, as text for people or as JSON for machines.
//!
//! Only what is said through `tracing` goes there. What libraries say through the `log` crate is
//! left out on purpose: at `debug`, tokio-postgres tells there the parameters of every statement,
//! which are numbers and texts.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogFormat, LogSettings};

/// Turns logging on for this process. A second call changes nothing.
pub(super) fn start(settings: &LogSettings) {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_ansi(colours).boxed()
        }
    };
    // Refused only where a subscriber is set already.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(settings.filter.clone()))
        .try_init();
}
