//! Where log lines go: stderr, as text for people or as JSON for machines.
//!
//! Only events of `tracing` are logged. Those that libraries log through the `log` crate are left
//! out on purpose: at `debug`, tokio-postgres logs the parameters of every statement, which
//! contain numbers and texts.

use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::daemon::SumUp;

use crate::config::{LogFormat, LogSettings};

/// Keeps the exporter of spans until the process ends; dropping it exports the last ones.
pub(super) struct Logs {
    #[cfg(feature = "otlp")]
    _exporting: Option<super::otlp::Exporting>,
}

/// Turns logging on for this process. A second call changes nothing.
#[must_use = "dropping it ends the export of spans"]
pub(super) fn start(settings: &LogSettings) -> Logs {
    let lines = fmt::layer().with_writer(std::io::stderr);
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
