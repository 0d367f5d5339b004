//! A private Postgres for the demo and the tests: created for one run and removed after it.
//!
//! Its files are in a directory of mode 0700 below the temporary one. It listens on a free port of 127.0.0.1
//! and accepts one random password. A guardian process stops the server and removes the directory once this
//! process has ended, `kill -9` included: so nothing remains even where no destructor runs, such as for a
//! `static` of a test binary. (The kernel's parent-death signal is not enough: it fires at the end of the
//! *thread* that started the server, and removes nothing.)
//!
//! Everything here blocks; async code calls it within `spawn_blocking`.

mod binaries;
mod error;
mod home;

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

pub use binaries::BIN_VARIABLE;
pub use error::PostgresError;
use home::Home;

use crate::clock::Stopwatch;

/// How long a server may take to become ready; it usually takes 50 ms.
const START_MAX: Duration = Duration::from_secs(60);

/// How long each signal to stop may take before the next, harder one.
const STOP_MAX: Duration = Duration::from_secs(10);

/// How often a pid file or the end of a child is polled: neither can be waited for with a time-out.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// How many free ports are tried: another process may take one before the server binds it.
const PORTS_MAX: u32 = 10;

/// How many lines of the server's log an error shows.
const LOG_LINES: usize = 12;

/// How the server is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether a commit waits for the disk. The demo and the crash tests keep it on; other tests are several
    /// times faster without.
    pub fsync: bool,
    /// More settings, as `postgresql.conf` names them. They override the ones chosen here.
    pub settings: Vec<(String, String)>,
    /// The directory of `initdb` and `postgres`; `None` searches.
    pub bin: Option<PathBuf>,
}

impl Default for Options {
    /// With fsync, and the binaries from [`BIN_VARIABLE`] if it is set.
    fn default() -> Self {
        Self {
            fsync: true,
            settings: Vec::new(),
            bin: std::env::var_os(BIN_VARIABLE)
                .filter(|dir| !dir.is_empty())
                .map(PathBuf::from),
        }
    }
}

/// How the server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// SIGINT: sessions are ended, everything is written.
    Fast,
    /// SIGQUIT: nothing more is written, and the next start recovers.
    Immediate,
    /// SIGKILL: the same, and its sessions end when they notice it.
    Killed,
}

/// A running private Postgres. Dropping it stops it and removes its directory.
#[derive(Debug)]
pub struct PrivatePostgres {
    server: Option<Child>,
    bin: PathBuf,
    port: u16,
    settings: Vec<(String, String)>,
    // Last, so that it is dropped after the server has been stopped: the guardian removes the directory.
    home: Home,
}

impl PrivatePostgres {
    /// Finds the programs, creates a cluster and starts it, until it is ready; about a second.
    pub fn start(options: Options) -> Result<Self, PostgresError> {
        let bin = binaries::find(options.bin.as_deref())?;
        let home = Home::make()?;
        home.init(&bin)?;
        let mut private = Self {
            server: None,
            bin,
            port: 0,
            settings: settings(options.fsync, options.settings),
            home,
        };
        for _ in 0..PORTS_MAX {
            private.port = free_port()?;
            match private.launch() {
                Err(PostgresError::Step { log, .. }) if port_was_taken(&log) => {}
                other => return other.map(|()| private),
            }
        }
        Err(PostgresError::Step {
            step: "postgres",
            log: format!("{PORTS_MAX} free ports in a row were taken by others"),
        })
    }

    /// The URL of a database as the superuser `postgres`, with its password.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{}@127.0.0.1:{}/{database}",
            self.home.password(),
            self.port
        )
    }

    /// The port on 127.0.0.1. A [`restart`](Self::restart) keeps it.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The process of the server.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// The cluster's directory.
    pub fn data_dir(&self) -> PathBuf {
        self.home.data()
    }

    /// The directory of its programs.
    pub fn bin_dir(&self) -> &Path {
        &self.bin
    }

    /// Stops the server and removes its directory, as dropping does, but returns the error.
    pub fn stop(mut self) -> Result<(), PostgresError> {
        self.halt(Shutdown::Fast)
    }

    /// Stops the server and starts it again on the same port. Every session ends.
    pub fn restart(&mut self, how: Shutdown) -> Result<(), PostgresError> {
        self.halt(how)?;
        let began = Stopwatch::start();
        loop {
            match self.launch() {
                // An outgoing connection of another process may use the port for a moment, and so may a session of a
                // server that was killed.
                Err(PostgresError::Step { log, .. })
                    if (port_was_taken(&log) || has_sessions(&log))
                        && began.elapsed() < STOP_MAX =>
                {
                    std::thread::sleep(POLL_EVERY);
                }
                other => return other,
            }
        }
    }

    fn launch(&mut self) -> Result<(), PostgresError> {
        let program = self.bin.join("postgres");
        let (log, log_from) = self.home.open_log()?;
        let mut command = self.home.command(&program);
        command
            .arg("-D")
            .arg(self.home.data())
            .arg("-k")
            .arg(self.home.dir())
            .args(["-p", &self.port.to_string()]);
        for (name, value) in &self.settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        let spawned = log
            .try_clone()
            .and_then(|copy| command.stdout(log).stderr(copy).spawn());
        let child = spawned.map_err(|source| PostgresError::Spawn { program, source })?;
        let pid = child.id();
        let child = self.server.insert(child);

        let began = Stopwatch::start();
        while !is_ready(&self.home.data(), pid) {
            let ended = !matches!(child.try_wait(), Ok(None));
            let log = || tail(&self.home.read_log(log_from));
            if ended {
                let log = log();
                self.server = None;
                return Err(PostgresError::Step {
                    step: "postgres",
                    log,
                });
            }
            if began.elapsed() > START_MAX {
                return Err(PostgresError::NotReady { log: log() });
            }
            std::thread::sleep(POLL_EVERY);
        }
        Ok(())
    }

    fn halt(&mut self, how: Shutdown) -> Result<(), PostgresError> {
        let Some(mut child) = self.server.take() else {
            return Ok(());
        };
        let first = match how {
            Shutdown::Fast => Signal::INT,
            Shutdown::Immediate => Signal::QUIT,
            Shutdown::Killed => Signal::KILL,
        };
        for signal in [first, Signal::QUIT, Signal::KILL] {
            // It fails only if the process has ended already.
            let _ = kill_process(Pid::from_child(&child), signal);
            if ended_within(&mut child, STOP_MAX).is_some() {
                return Ok(());
            }
        }
        Err(PostgresError::NotStopped { pid: child.id() })
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Err(error) = self.halt(Shutdown::Fast) {
            tracing::warn!(%error, "a private Postgres was not removed");
        }
    }
}

/// The settings chosen here come first: of two with the same name Postgres uses the later one.
fn settings(fsync: bool, asked_for: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut all = vec![
        ("listen_addresses", "127.0.0.1"),
        ("fsync", if fsync { "on" } else { "off" }),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
    ];
    if !fsync {
        // Both protect only against crashes of the machine.
        all.extend([("full_page_writes", "off"), ("synchronous_commit", "off")]);
    }
    all.into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .chain(asked_for)
        .collect()
}

fn free_port() -> Result<u16, PostgresError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| PostgresError::Spawn {
            program: PathBuf::from("postgres on 127.0.0.1"),
            source,
        })
}

/// Whether a start failed because sessions of the server before have not ended.
fn has_sessions(log: &str) -> bool {
    log.contains("pre-existing shared memory block")
}

fn port_was_taken(log: &str) -> bool {
    log.contains("Address already in use")
}

/// Whether `postmaster.pid` has this pid in line 1 (a killed server leaves its file behind) and `ready` in
/// line 8.
fn is_ready(data: &Path, pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(data.join("postmaster.pid")) else {
        return false;
    };
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

fn ended_within(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let began = Stopwatch::start();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if began.elapsed() < limit => std::thread::sleep(POLL_EVERY),
            _ => return None,
        }
    }
}

/// The last lines of a log, joined into one.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join(" | ")
}

/// Runs a command to its end. The error contains what it wrote.
fn run(mut command: Command, step: &'static str) -> Result<(), PostgresError> {
    let program = PathBuf::from(command.get_program());
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| PostgresError::Spawn { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    Err(PostgresError::Step {
        step,
        log: tail(&String::from_utf8_lossy(&output.stderr)),
    })
}

/// Puts a command into a process group of its own: Ctrl-C is for the program, which then stops it in order.
fn own_process_group(command: &mut Command) {
    command.process_group(0);
}
