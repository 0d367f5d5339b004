//! The settings of the log.

use tracing_subscriber::filter::Targets;

use super::key;
use super::raw::Raw;
use super::values::{self, LogFormat};

/// The settings of the log.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Targets and levels, in the syntax of `RUST_LOG`.
    pub filter: Targets,
    /// For people or for machines.
    pub format: LogFormat,
}

impl LogSettings {
    pub(super) fn read(raw: &mut Raw) -> Self {
        Self {
            filter: raw.or(&key::LOG, "info", values::log_filter),
            format: raw.or(&key::LOG_FORMAT, "text", values::log_format),
        }
    }
}
