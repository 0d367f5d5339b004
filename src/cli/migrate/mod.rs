//! `punctual migrate`: creates or updates the schema.

mod progress;
mod supabase;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use serde_json::json;

use super::{output, session};
use crate::config::{self, Changes, Sources};
use crate::store::migrate::Report;
use crate::store::{Migrator, PRESETS, Preset};

/// Create or update the tables and triggers in the database; safe to repeat.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  DATABASE_URL=postgres://… punctual migrate\n  \
                  punctual migrate --role punctual_daemon\n  punctual migrate --print | less\n  \
                  punctual migrate --supabase supabase/migrations"
)]
pub(super) struct Args {
    /// Print the SQL instead of running it
    #[arg(long)]
    print: bool,

    /// Also grant an existing role the rights that a daemon needs, row level security included
    #[arg(long, value_name = "NAME", conflicts_with = "print")]
    role: Option<String>,

    /// Also let each user of a Supabase project read and write their own preferences
    #[arg(long, value_name = "WHOSE", conflicts_with_all = ["print", "supabase"])]
    rls: Option<Rls>,

    /// Write it as one migration into a Supabase project's directory supabase/migrations, and run nothing
    #[arg(long, value_name = "DIR", conflicts_with_all = ["print", "role"])]
    supabase: Option<PathBuf>,

    /// Follow a source table no longer, and run nothing else: its pending messages are deleted
    #[arg(long, value_name = "NAME", conflicts_with_all = ["print", "supabase", "role", "rls", "json"])]
    unfollow: Option<String>,

    /// Also notify users of what becomes of their messages, from now on or no longer
    #[arg(long, value_name = "ON", conflicts_with_all = ["print", "supabase", "unfollow"])]
    notify_users: Option<Switch>,

    /// Also add what Punctual sends to the daily counts of users that the app keeps, from now on or no longer
    #[arg(long, value_name = "ON", conflicts_with_all = ["print", "supabase", "unfollow"])]
    daily_counts: Option<Switch>,

    /// Write sent messages to the tables messages and conversations again, and run nothing else
    #[arg(long, conflicts_with_all = ["print", "supabase", "role", "rls", "json", "unfollow", "preset", "notify_users", "daily_counts"])]
    unmap: bool,

    /// Also create the tables of an app that is known, where they are missing, and follow them
    #[arg(long, value_name = "NAME", conflicts_with_all = ["supabase", "unfollow"], value_parser = preset)]
    preset: Option<&'static Preset>,

    /// Print JSON
    #[arg(long, conflicts_with_all = ["print", "supabase"])]
    json: bool,
}

/// The preset of this name.
fn preset(name: &str) -> Result<&'static Preset, String> {
    Preset::named(name).ok_or_else(|| {
        let all: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
        format!("there is no such preset; there are: {}", all.join(", "))
    })
}

/// Whether something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Whose rows users may see and change.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Rls {
    /// Their own.
    Own,
}

/// What was done, a line for each.
fn listed(report: &Report, granted: &[String]) -> String {
    let mut text = String::new();
    for file in report.applied.iter().chain(&report.triggers) {
        let _ = writeln!(text, "applied {file}");
    }
    for index in &report.indexes {
        let _ = writeln!(text, "built {index}");
    }
    for table in &report.tables {
        let _ = writeln!(text, "created the table {table}");
    }
    for source in &report.sources {
        let _ = writeln!(text, "follows the source {source}");
    }
    for line in &report.app {
        let _ = writeln!(text, "{line}");
    }
    for statement in granted {
        let _ = writeln!(text, "{statement}");
    }
    if let Some(command) = &report.supabase_repair {
        let _ = writeln!(
            text,
            "the Supabase CLI has an earlier numbering on record; before its next `db push` replace the \
             files in supabase/migrations by those of migrations/, and run:\n  {command}"
        );
    }
    if text.is_empty() {
        text.push_str("nothing to do: the schema is up to date\n");
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let migrator = Migrator::embedded()
        .following(config::source_tables(sources)?)
        .mapping(config::app_tables(sources)?)
        .with_preset(args.preset)
        .with_planner(config::planner(sources)?.switch());
    if args.print {
        config::app_schema(sources)?.choose();
        return output::print(&migrator.print());
    }
    if let Some(dir) = &args.supabase {
        config::app_schema(sources)?.choose();
        return output::print(&supabase::write(&migrator, dir)?);
    }
    let dsn = session::dsn_for_migrate(sources)?;
    if let Some(name) = &args.unfollow {
        if config::source_tables(sources)?
            .iter()
            .any(|s| s.name == *name)
        {
            bail!(
                "the settings still have the source {name}: remove its [[source]] from punctual.toml first"
            );
        }
        migrator.unfollow(&dsn, name).await?;
        return output::print(&format!("the source {name} is no longer followed\n"));
    }
    if args.unmap {
        if config::app_tables(sources)?.is_some() {
            bail!("the settings still have [app]: remove it from punctual.toml first");
        }
        migrator.unmap(&dsn).await?;
        return output::print("sent messages are written to messages and conversations\n");
    }
    let report = progress::shown(&migrator, &dsn).await?;
    if config::database(sources)?.changes == Changes::Feed {
        migrator.make_feed(&dsn).await?;
    }
    if let Some(switch) = args.notify_users {
        migrator.notify_users(&dsn, switch == Switch::On).await?;
    }
    if let Some(switch) = args.daily_counts {
        migrator
            .show_daily_counts(&dsn, switch == Switch::On)
            .await?;
    }
    let mut granted = match &args.role {
        Some(role) => migrator.grant(&dsn, role).await?,
        None => Vec::new(),
    };
    if let Some(Rls::Own) = args.rls {
        granted.extend(migrator.grant_own(&dsn).await?);
    }
    if args.json {
        let report_json = json!({
            "applied": report.applied,
            "triggers": report.triggers,
            "indexes": report.indexes,
            "tables": report.tables,
            "sources": report.sources,
            "app": report.app,
            "notes": report.notes,
            "granted": granted,
            "supabase_repair": report.supabase_repair,
        });
        return output::print(&format!("{report_json:#}\n"));
    }
    output::print(&listed(&report, &granted))
}
