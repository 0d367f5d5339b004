//! Where the journal is kept: `PUNCTUAL_STATE_DIR`, or else the first state directory that the
//! environment names.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::raw::{Raw, Sources};
use super::{key, values};

/// The directory below a directory that programs share.
const OWN: &str = "punctual";

/// The state directory, and where it is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateSetting {
    /// `PUNCTUAL_STATE_DIR`: the daemon does not run without it.
    Set(PathBuf),
    /// Named by the environment: used if it can be written.
    Found {
        /// The directory.
        path: PathBuf,
        /// The variable that names it.
        variable: &'static str,
    },
    /// `PUNCTUAL_STATE_DIR=off`: no journal.
    Off,
    /// No variable names one.
    Unknown,
}

impl StateSetting {
    /// As the settings and the environment have it.
    pub(super) fn read(raw: &mut Raw, sources: &Sources) -> Self {
        match raw.get(&key::STATE_DIR, values::state_dir) {
            Some(set) => set,
            None => Self::found(sources),
        }
    }

    fn found(sources: &Sources) -> Self {
        let dir = |variable: &str| {
            let value = sources.env.get(OsStr::new(variable))?.to_str()?;
            // systemd separates several directories by colons.
            let path = PathBuf::from(value.split(':').next()?);
            path.is_absolute().then_some(path)
        };
        if let Some(path) = dir("STATE_DIRECTORY") {
            let variable = "STATE_DIRECTORY";
            return Self::Found { path, variable };
        }
        if let Some(shared) = dir("XDG_STATE_HOME") {
            return Self::Found {
                path: shared.join(OWN),
                variable: "XDG_STATE_HOME",
            };
        }
        // Its default by the XDG specification. A home that does not exist (of a service's user, or in
        // an image) is not made.
        match dir("HOME").filter(|home| home.is_dir()) {
            Some(home) => Self::Found {
                path: home.join(".local/state").join(OWN),
                variable: "HOME",
            },
            None => Self::Unknown,
        }
    }

    /// The directory, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Set(path) | Self::Found { path, .. } => Some(path),
            Self::Off | Self::Unknown => None,
        }
    }

    /// The directory of `PUNCTUAL_STATE_DIR`, which also has the daemon's socket and tokens.
    pub fn set(&self) -> Option<&Path> {
        match self {
            Self::Set(path) => Some(path),
            Self::Found { .. } | Self::Off | Self::Unknown => None,
        }
    }

    /// Why there is no journal, for people; `None`: there is a directory.
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Set(_) | Self::Found { .. } => None,
            Self::Off => Some("PUNCTUAL_STATE_DIR is off"),
            Self::Unknown => Some(
                "PUNCTUAL_STATE_DIR, STATE_DIRECTORY, XDG_STATE_HOME and HOME name no directory",
            ),
        }
    }
}
