//! Why a private Postgres could not be started or stopped.

use std::path::PathBuf;

use super::{BIN_VARIABLE, START_MAX};

/// Why a private Postgres could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// None is installed and none could be fetched.
    #[error(
        "no Postgres server on this machine: install one \
         (Debian, Ubuntu: apt-get install postgresql) or set {BIN_VARIABLE} to the directory of initdb"
    )]
    NotFound,
    /// The given directory does not contain the programs.
    #[error("{dir} ({BIN_VARIABLE}) does not contain initdb and postgres")]
    NotThere {
        /// The directory.
        dir: PathBuf,
    },
    /// A fetched build could not be stored.
    #[error("cannot store the fetched Postgres in {dir}: {source}")]
    Fetch {
        /// The cache.
        dir: PathBuf,
        /// What failed.
        source: std::io::Error,
    },
    /// Postgres refuses to run as root, and there is no other user to run it as.
    #[error(
        "Postgres does not run as root, and this machine has neither a user postgres nor nobody"
    )]
    NoUser,
    /// No temporary directory can be used.
    #[error("cannot create a directory for the private Postgres in {dir}: {source}")]
    Home {
        /// The last one tried.
        dir: PathBuf,
        /// What failed.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What failed.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("{step} failed: {log}")]
    Step {
        /// The program.
        step: &'static str,
        /// The end of what it wrote.
        log: String,
    },
    /// The server did not become ready in time.
    #[error("Postgres was not ready after {START_MAX:?}: {log}")]
    NotReady {
        /// The end of what it wrote.
        log: String,
    },
    /// The server did not end after SIGKILL.
    #[error("Postgres (pid {pid}) does not stop")]
    NotStopped {
        /// The process.
        pid: u32,
    },
}
