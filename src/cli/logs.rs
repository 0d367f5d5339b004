//! Where log lines go: stderr, as text for people or as JSON for machines.
//!
//! Only what is said through `tracing` goes there. What libraries say through the `log` crate is
//! left out on purpose: at `debug`, tokio-postgres tells there the parameters of every statement,
//! which are numbers and texts.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogFormat, LogSettings};

/// Keeps what is sent elsewhere until the end, and then sends the rest.
pub(super) struct Logs {
    #[cfg(feature = "otlp")]
    _exporting: Option<super::otlp::Exporting>,
}

/// Turns logging on for this process. A second call changes nothing.
#[must_use = "dropping it ends what is exported"]
pub(super) fn start(settings: &LogSettings) -> Logs {
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines.with_ansi(colours).boxed()
        }
    };
    let lines = lines.with_filter(settings.filter.clone());
    let registry = tracing_subscriber::registry().with(lines);
    #[cfg(feature = "otlp")]
    {
        let (layer, exporting) = match super::otlp::layer() {
            Ok(made) => made.unzip(),
            Err(error) => {
                // There is no log yet to say it in.
                eprintln!("no spans are exported: {error:#}");
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
        // Refused only where a subscriber is set already.
        let _ = registry.try_init();
        Logs {}
    }
}
