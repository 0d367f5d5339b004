//! A Postgres of one's own: made for this run, gone after it, for the demo and every test.
//!
//! It lives in a closed directory under the temporary one, answers on a free port of
//! 127.0.0.1 and to one password that exists only here. A guardian process beside it sees the
//! end of this one, a `kill -9` included, stops the server and removes the directory; so
//! nothing is left behind even where no destructor runs, a `static` of a test binary say.
//! (The kernel's parent-death signal would not do: it fires at the end of the *thread* that
//! started the server, and removes nothing.)
//!
//! Everything here blocks; from async code it is called within `spawn_blocking`.

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

/// How long a server may take until it answers. It takes 50 ms here; a machine that needs
/// longer than this is not slow but stuck.
const START_MAX: Duration = Duration::from_secs(60);

/// How long each way of stopping may take before a harder one is tried.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Between two looks at what offers nothing to wait for: a pid file, a child's end.
const LOOK: Duration = Duration::from_millis(5);

/// How many free ports are tried: between our look and the server's `bind` another may take it.
const PORTS_MAX: u32 = 10;

/// How many lines of the server's log an error shows.
const LOG_LINES: usize = 12;

/// What kind of server is wanted.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether a commit waits for the disk. The demo and crash tests keep it on; a test whose
    /// server is never killed is several times faster without.
    pub fsync: bool,
    /// More settings, as `postgresql.conf` names them. They win over those chosen here.
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

/// How a server is brought down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Sessions are ended, the rest is written: SIGINT.
    Fast,
    /// As by a power cut, but for the disk's cache: SIGQUIT. The next start recovers.
    Immediate,
}

/// A running private Postgres. Dropping it stops it and removes its directory.
#[derive(Debug)]
pub struct PrivatePostgres {
    server: Option<Child>,
    bin: PathBuf,
    port: u16,
    settings: Vec<(String, String)>,
    // Last: its drop ends the guardian, which removes the directory, so the server goes first.
    home: Home,
}

impl PrivatePostgres {
    /// Finds a Postgres, makes a cluster and starts it; about a second. It returns when the
    /// server answers.
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

    /// How to reach a database as the superuser `postgres`. Carries the password.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{}@127.0.0.1:{}/{database}",
            self.home.password(),
            self.port
        )
    }

    /// The port on 127.0.0.1. It stays the same over a [`restart`](Self::restart).
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

    /// The directory of the programs it runs.
    pub fn bin_dir(&self) -> &Path {
        &self.bin
    }

    /// Stops the server and removes all of it. The same as dropping, but for the error.
    pub fn stop(mut self) -> Result<(), PostgresError> {
        self.halt(Shutdown::Fast)
    }

    /// Brings the server down and up again on the same port. Every session ends.
    pub fn restart(&mut self, how: Shutdown) -> Result<(), PostgresError> {
        self.halt(how)?;
        let began = Stopwatch::start();
        loop {
            match self.launch() {
                // An outgoing connection of somebody else may sit on the port for a moment.
                Err(PostgresError::Step { log, .. })
                    if port_was_taken(&log) && began.elapsed() < STOP_MAX =>
                {
                    std::thread::sleep(LOOK);
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
            std::thread::sleep(LOOK);
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
        };
        for signal in [first, Signal::QUIT, Signal::KILL] {
            // Fails only if it has ended already.
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

/// Ours first: of two settings of one name the later counts.
fn settings(fsync: bool, asked_for: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut all = vec![
        ("listen_addresses", "127.0.0.1"),
        ("fsync", if fsync { "on" } else { "off" }),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
    ];
    if !fsync {
        // Both guard against what only a crash can do.
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

fn port_was_taken(log: &str) -> bool {
    log.contains("Address already in use")
}

/// `postmaster.pid`: the pid in line 1, `ready` in line 8. One that a killed server left behind
/// names another pid.
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
            Ok(None) if began.elapsed() < limit => std::thread::sleep(LOOK),
            _ => return None,
        }
    }
}

/// The last lines of a log, in one.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join(" | ")
}

/// Runs to the end; what it wrote is the error.
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

/// Out of the terminal's process group: Ctrl-C is for the program, which then stops us in order.
fn apart(command: &mut Command) {
    command.process_group(0);
}
