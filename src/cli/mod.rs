//! The command line. Each command has a file; this one parses the arguments, runs the command and
//! returns the exit code: 0, 1 for a failure, 64 (`EX_USAGE` of `sysexits.h`) for wrong usage or
//! configuration.
//!
//! A new command is a file with `Args` (with an example, which a test asks for) and `run`, a `mod` line, and a line in
//! `Command` and in `call`.

mod act;
mod ask;
mod campaign;
mod cancel;
mod changes;
mod consent;
mod demo;
mod doctor;
mod forget;
mod health;
mod list;
mod logs;
mod migrate;
#[cfg(feature = "otlp")]
mod otlp;
mod output;
mod pace;
mod pause;
mod plan;
mod reschedule;
mod resolve;
mod retry;
mod run;
mod schedule;
mod select;
mod session;
mod shell;
mod stats;
mod tail;
mod timers;
mod token;
mod when;
mod why;
mod write;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use uuid::Uuid;

use crate::config::{ConfigError, Sources};
use crate::store::{DsnError, StoreError};
use crate::version::WITH_COMMIT;

/// The usage or the configuration is wrong: the same call will fail again.
const EXIT_USAGE: u8 = 64;

/// Something else went wrong: the same call may succeed later.
const EXIT_FAILURE: u8 = 1;

/// Scheduled messages from Postgres, sent at their exact moment, once, with proof.
#[derive(Debug, Parser)]
#[command(
    name = "punctual",
    version = WITH_COMMIT,
    after_help = "Settings come from punctual.toml and the environment; DATABASE_URL is required.\n\
                  `punctual COMMAND --help` gives an example of each command."
)]
struct Cli {
    /// Settings file [default: ./punctual.toml if present]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    Campaign(campaign::Args),
    Cancel(cancel::Args),
    Completions(shell::Completions),
    Consent(consent::Args),
    Demo(demo::Args),
    Doctor(doctor::Args),
    Forget(forget::Args),
    Health(health::Args),
    List(list::Args),
    Man(shell::Man),
    Migrate(migrate::Args),
    Pace(pace::Args),
    Pause(pause::PauseArgs),
    Pauses(pause::ListArgs),
    Plan(plan::Args),
    Reschedule(reschedule::Args),
    Resolve(resolve::Args),
    Resume(pause::ResumeArgs),
    Retry(retry::Args),
    Run(run::Args),
    Schedule(schedule::Args),
    Stats(stats::Args),
    Tail(tail::Args),
    Timers(timers::Args),
    Token(token::Args),
    Why(why::Args),
    Write(write::Args),
}

/// An argument that is well-formed but cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{argument}: {why}")]
struct Usage {
    argument: &'static str,
    why: String,
}

impl Usage {
    /// Makes one of a sentence about `argument`.
    fn of(argument: &'static str) -> impl Fn(String) -> Self {
        move |why| Self { argument, why }
    }
}

/// Reads a message's id.
fn message_id(text: &str) -> Result<Uuid, String> {
    text.trim().parse().map_err(|_| {
        "expected a UUID like 00000000-0000-0000-0000-000000000001, the row's id".into()
    })
}

/// The error for a change that the database refused: the guard's own message and hint.
fn refused(error: StoreError) -> anyhow::Error {
    if let Some((message, hint)) = error.guarded() {
        let hint = hint.map(|hint| format!(". {hint}")).unwrap_or_default();
        return anyhow::anyhow!("{message}{hint}");
    }
    if error.taken().is_some_and(|by| by.contains("dedup")) {
        return anyhow::anyhow!("another message with this --dedup-key is still in progress");
    }
    // The caller has the database's password, so the app's own message may be shown.
    let text = error.to_string();
    match error.words() {
        Some(words) if !error.is_schema_missing() && !text.contains(&words) => {
            anyhow::anyhow!("{text}; in the database's own words: {words}")
        }
        _ => error.into(),
    }
}

/// Runs the command that `args` ask for, the program's own name first.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let result = match Cli::try_parse_from(args) {
        Ok(cli) => call(cli),
        Err(said) => return say(&said),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(complain(&error)),
    }
}

fn call(cli: Cli) -> anyhow::Result<()> {
    let sources = Sources::of_process(cli.config);
    match cli.command {
        Command::Campaign(args) => block_on(campaign::run(args, &sources)),
        Command::Cancel(args) => block_on(cancel::run(args, &sources)),
        Command::Completions(args) => shell::completions(&args),
        Command::Demo(args) => block_on_all_cores(demo::run(args, &sources)),
        Command::Doctor(args) => block_on(doctor::run(args, &sources)),
        Command::Consent(args) => block_on(consent::run(args, &sources)),
        Command::Forget(args) => block_on(forget::run(args, &sources)),
        Command::Health(args) => block_on(health::run(args, &sources)),
        Command::List(args) => block_on(list::run(args, &sources)),
        Command::Man(args) => shell::man(&args),
        Command::Migrate(args) => block_on(migrate::run(args, &sources)),
        Command::Pace(args) => block_on(pace::run(args, &sources)),
        Command::Pause(args) => block_on(pause::pause(args, &sources)),
        Command::Pauses(args) => block_on(pause::list(args, &sources)),
        Command::Plan(args) => block_on(plan::run(args, &sources)),
        Command::Reschedule(args) => block_on(reschedule::run(args, &sources)),
        Command::Resolve(args) => block_on(resolve::run(args, &sources)),
        Command::Resume(args) => block_on(pause::resume(args, &sources)),
        Command::Retry(args) => block_on(retry::run(args, &sources)),
        Command::Run(args) => block_on_all_cores(run::run(args, &sources)),
        Command::Schedule(args) => block_on(schedule::run(args, &sources)),
        Command::Stats(args) => block_on(stats::run(args, &sources)),
        Command::Tail(args) => block_on(tail::run(args, &sources)),
        Command::Timers(args) => block_on(timers::run(args, &sources)),
        Command::Token(args) => token::run(&args, &sources),
        Command::Why(args) => block_on(why::run(args, &sources)),
        Command::Write(args) => block_on(write::run(args, &sources)),
    }
}

/// Runs a command that waits for little: one thread does.
fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(command)
}

/// Runs a command that sends messages, with a core for the event loop alone.
fn block_on_all_cores<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(command)
}

/// Prints the parser's message: help and version are results, the rest is wrong usage.
fn say(said: &clap::Error) -> ExitCode {
    // A reader that has gone has read enough.
    let _ = said.print();
    if said.use_stderr() {
        ExitCode::from(EXIT_USAGE)
    } else {
        ExitCode::SUCCESS
    }
}

/// Prints the error with its causes on stderr, and returns the exit code.
fn complain(error: &anyhow::Error) -> u8 {
    let (text, code) = if let Some(config) = error.downcast_ref::<ConfigError>() {
        let problems = config.to_string().replace('\n', "\n  ");
        let text = format!("the configuration is not valid:\n  {problems}");
        (text, EXIT_USAGE)
    } else if error.is::<DsnError>() || error.is::<Usage>() {
        // A setting too, although only the store can read it.
        (once(error), EXIT_USAGE)
    } else {
        (once(error), EXIT_FAILURE)
    };
    // `eprintln!` would panic on a closed stderr.
    let _ = writeln!(std::io::stderr(), "punctual: {text}");
    code
}

/// An error and its causes in one line, each said once: some errors repeat their cause.
pub(in crate::cli) fn once(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let postgres = cause.downcast_ref::<tokio_postgres::Error>();
        let server = postgres.and_then(tokio_postgres::Error::as_db_error);
        // What may be repeated of it has been said. Its message may be the app's, and stderr is a log.
        if server.is_some() {
            break;
        }
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    let store = error.chain().find_map(|e| e.downcast_ref::<StoreError>());
    if store.is_some_and(StoreError::is_schema_missing) {
        return format!(
            "the database has no Punctual schema, or an older one: run `punctual migrate` ({text})"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_says_what_it_does_and_gives_an_example() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands().filter(|c| c.get_name() != "help") {
            let name = command.get_name();
            let about = command.get_about().map(ToString::to_string);
            assert!(about.is_some_and(|a| !a.is_empty()), "{name} says nothing");
            let help = command.get_after_help().map(ToString::to_string);
            let example = format!("punctual {name}");
            assert!(
                help.is_some_and(|h| h.contains("Example") && h.contains(&example)),
                "{name} has no example"
            );
        }
        cli.debug_assert();
    }

    #[test]
    fn a_cause_is_said_once() {
        let refused = || std::io::Error::other("connection refused");
        let repeating = anyhow::Error::from(refused()).context("no server: connection refused");
        assert_eq!(once(&repeating), "no server: connection refused");
        let plain = Err::<(), _>(refused()).context("no server").unwrap_err();
        assert_eq!(once(&plain), "no server: connection refused");
    }
}
