//! Brings the schema up to what this program expects: `migrations/` once each and in order,
//! then every file of `triggers/` that changed.
//!
//! There is a runner of its own because the files have two readers: `supabase db push` applies the
//! same ones as they are, so they may contain nothing that is particular to this program, and each
//! must tolerate what the other runner has done. And because they run on tables the app is writing
//! to: while they wait for a lock they would block every statement behind them, so they give up
//! soon and try again.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use super::files;
use crate::store::app_schema::placed;
use crate::store::schema::{app::AppTables, preset::Preset};
use crate::store::{SourceTable, session::dsn::Dsn};

mod app;
mod apply;
mod elsewhere;
mod error;
pub(in crate::store) mod indexes;
mod parts;
pub mod planner;
mod presets;
mod program;
pub mod progress;
mod record;
pub(in crate::store) mod role;
mod run;
mod sources;
mod supabase;
mod take_over;
pub(in crate::store) mod triggers;

pub use error::MigrateError;
pub use program::{
    KNOWS_BURSTS, KNOWS_CAMPAIGNS, KNOWS_CAPS, KNOWS_FORGOTTEN, KNOWS_LAWFUL_HOURS, KNOWS_MEDIA,
    KNOWS_RATES, PROGRAM,
};
pub use triggers::Trigger;

use progress::Step;

/// How long a statement of a migration waits for a lock on the first try: so long may it block the
/// app's writes, which queue behind it. Doubles with each try, up to [`LOCK_TIMEOUT_MAX`].
const LOCK_TIMEOUT_MIN: Duration = Duration::from_millis(200);

/// Three times the deadlock time-out of Postgres, after which an autovacuum that has the lock is
/// cancelled for the one that waits.
const LOCK_TIMEOUT_MAX: Duration = Duration::from_secs(3);

/// How often a file is tried against locks held by others; with the pauses about 100 s.
const TRIES_MAX: u32 = 12;

/// The pause after the first try; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(250);

const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How long another migrator may run before this one gives up waiting. Longer than it may take if
/// one file fails every try.
const TURN_MAX: Duration = Duration::from_secs(300);

/// One file of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// Its path in the project: `migrations/20260101000000_name.sql`, `triggers/name.sql`.
    pub name: &'a str,
    /// Its text, which names the schema of the app's tables `public`.
    pub sql: &'a str,
}

/// A set of files to bring a database up to.
#[derive(Clone, Debug)]
pub struct Migrator<'a> {
    migrations: Vec<Migration<'a>>,
    triggers: Vec<File<'a>>,
    program: i32,
    /// Whether a database of the earlier numbering is brought to these files.
    takes_over: bool,
    sources: Vec<SourceTable>,
    preset: Option<&'static Preset>,
    /// The app's tables for sent messages; `None`: they are not described.
    app: Option<AppTables>,
    planner: Option<planner::Switch>,
}

#[derive(Clone, Copy, Debug)]
struct Migration<'a> {
    version: i64,
    file: File<'a>,
}

/// What a run has done; empty if there was nothing to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The migrations applied, by file name.
    pub applied: Vec<String>,
    /// The trigger files applied, by file name.
    pub triggers: Vec<String>,
    /// The indexes built beside the app's writes, on tables too large for a migration to do it.
    pub indexes: Vec<String>,
    /// The tables of a preset that were created.
    pub tables: Vec<String>,
    /// The source tables that are followed from now on, or of which rows were missing, in words.
    pub sources: Vec<String>,
    /// How sent messages are written from now on, and whether reminders are planned, if that has changed, in words.
    pub app: Vec<String>,
    /// What may be wrong with source tables and with the settings, in words.
    pub notes: Vec<String>,
    /// The command that is still to be run for the Supabase CLI to go on, if it has the numbering
    /// before the baseline on record.
    pub supabase_repair: Option<String>,
}

/// One file that a database of this version has applied, for `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// `punctual.migrations.version`; `None` for a trigger file, which goes by name.
    pub version: Option<i64>,
    /// The file.
    pub name: String,
    /// SHA-256 of its text, in hex, as the database has it in `checksum`.
    pub checksum: String,
}

impl Migrator<'static> {
    /// With the files this program was built with.
    ///
    /// # Panics
    ///
    /// Never: a test has read their names.
    pub fn embedded() -> Self {
        let files = Self::new(files::MIGRATIONS, files::TRIGGERS);
        Self {
            takes_over: true,
            ..files.expect("their names have been tested")
        }
    }
}

impl<'a> Migrator<'a> {
    /// With these files; migrations in ascending order of version.
    pub fn new(migrations: &[File<'a>], triggers: &[File<'a>]) -> Result<Self, MigrateError> {
        let mut all: Vec<Migration<'a>> = Vec::with_capacity(migrations.len());
        for &file in migrations {
            let version = version(file.name)
                .filter(|version| all.last().is_none_or(|last| last.version < *version))
                .ok_or_else(|| MigrateError::Name(file.name.to_owned()))?;
            all.push(Migration { version, file });
        }
        Ok(Self {
            migrations: all,
            triggers: triggers.to_vec(),
            program: PROGRAM,
            takes_over: false,
            sources: Vec::new(),
            preset: None,
            app: None,
            planner: None,
        })
    }

    /// The same as a program of this number has them.
    #[must_use]
    pub fn of_program(self, program: i32) -> Self {
        Self { program, ..self }
    }

    /// Brings the database up to these files. Safe to repeat, and to start twice at once: the
    /// second waits for its turn and finds nothing to do.
    pub async fn run(&self, dsn: &Dsn) -> Result<Report, MigrateError> {
        self.run_with_progress(dsn, &|_| {}).await
    }

    /// The same, reporting each step as it begins.
    pub async fn run_with_progress(
        &self,
        dsn: &Dsn,
        progress: &(dyn Fn(Step<'_>) + Sync),
    ) -> Result<Report, MigrateError> {
        self.in_session(dsn, async |client| run::all(self, client, progress).await)
            .await
    }

    /// The triggers that the files create.
    pub fn triggers(&self) -> Vec<Trigger<'a>> {
        let files = self.triggers.iter();
        files.flat_map(|file| triggers::of(file.sql)).collect()
    }

    /// Gives a role what a daemon needs, rights and policies of row level security, and no
    /// more. Returns the statements that were needed; none on a second run.
    pub async fn grant(&self, dsn: &Dsn, role: &str) -> Result<Vec<String>, MigrateError> {
        self.in_session(dsn, async |client| role::grant(client, role).await)
            .await
    }

    /// Lets each user of a Supabase project read and write their own preferences. Returns the statements that were
    /// needed; none on a second run.
    pub async fn grant_own(&self, dsn: &Dsn) -> Result<Vec<String>, MigrateError> {
        self.in_session(dsn, async |client| role::grant_own(client).await)
            .await
    }

    /// Whether the database has these files applied, and this role may work in it. Changes nothing.
    pub async fn check(&self, dsn: &Dsn) -> Result<(), MigrateError> {
        self.in_session(dsn, async |client| run::check(self, client).await)
            .await
    }

    async fn in_session<T>(
        &self,
        dsn: &Dsn,
        work: impl AsyncFnOnce(&Client) -> Result<T, MigrateError>,
    ) -> Result<T, MigrateError> {
        match dsn.with_session(work).await? {
            // The statement only saw its connection close.
            (Err(MigrateError::Sql { source, .. } | MigrateError::Record(source)), Some(lost))
                if source.is_closed() =>
            {
                Err(lost.into())
            }
            (done, _) => done,
        }
    }

    /// All of it as one text, in the order in which it applies.
    pub fn print(&self) -> String {
        let migrations = self.migrations.iter().flat_map(parts::of_migration);
        let files = migrations.map(|part| part.file);
        let mut text = String::new();
        for file in files.chain(self.triggers.iter().copied()) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "-- {}\n\n{}\n", file.name, file.text().trim_end());
        }
        presets::print(self, &mut text);
        text
    }

    /// What a database has on record after [`run`](Self::run).
    pub fn expected(&self) -> Vec<Expected> {
        let migrations = self.migrations.iter().map(|m| Expected {
            version: Some(m.version),
            name: m.file.name.to_owned(),
            checksum: checksum(m.file.sql),
        });
        let triggers = self.triggers.iter().map(|file| Expected {
            version: None,
            name: file.name.to_owned(),
            checksum: checksum(&file.text()),
        });
        migrations.chain(triggers).collect()
    }
}

impl<'a> File<'a> {
    /// As it is executed, with the schema of the app's tables. A position in an error counts in it.
    fn text(&self) -> Cow<'a, str> {
        placed(self.sql)
    }
}

/// Of a migration the text of its file is recorded, and of a file of triggers the one that was executed: these are
/// replaced when the app's tables move to another schema.
fn checksum(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The 14 digits of a migration's name.
fn version(name: &str) -> Option<i64> {
    let stem = name.rsplit('/').next()?.strip_suffix(".sql")?;
    let (digits, rest) = stem.split_once('_')?;
    let digits = Some(digits).filter(|d| d.len() == 14 && d.bytes().all(|b| b.is_ascii_digit()))?;
    (!rest.is_empty()).then_some(())?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_fourteen_digits_before_a_name() {
        let check = |name, expected| assert_eq!(version(name), expected, "{name}");
        check(
            "migrations/20260101000000_init.sql",
            Some(20_260_101_000_000),
        );
        check("20260101000000_a_b.sql", Some(20_260_101_000_000));
        check("migrations/2026_init.sql", None);
        check("migrations/+2026010100000_init.sql", None);
        check("migrations/20260101000000_.sql", None);
        check("migrations/20260101000000_init.txt", None);
    }

    #[test]
    fn files_out_of_order_are_refused_by_name() {
        let file = |name| File { name, sql: "" };
        let [one, two] = [file("20260101000000_a.sql"), file("20260101000001_b.sql")];
        assert!(Migrator::new(&[one, two], &[]).is_ok());
        for wrong in [[two, one], [one, one]] {
            let error = Migrator::new(&wrong, &[]).unwrap_err().to_string();
            assert!(error.contains("20260101000000_a.sql"), "{error}");
        }
    }

    #[test]
    fn what_is_embedded_prints_and_is_expected() {
        let embedded = Migrator::embedded();
        let printed = embedded.print();
        let mut at = 0;
        for expected in embedded.expected() {
            let found = printed[at..].find(&format!("-- {}\n", expected.name));
            at += found.unwrap_or_else(|| panic!("{} is missing or out of order", expected.name));
        }
        assert!(
            checksum("").starts_with("e3b0c44298fc1c14"),
            "SHA-256 of nothing"
        );
    }
}
