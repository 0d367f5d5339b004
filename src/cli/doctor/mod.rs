//! `punctual doctor`: runs the checks, one file per group, and prints the findings.

mod choices;
mod database;
mod format;
mod guards;
mod next;
mod reach;
mod senders;
mod settings;
mod writer;
mod zones;

use anyhow::bail;

use super::output;
use crate::config::{self, Config, Sources};
use crate::message::counted;
use crate::store::doctor::Level;

/// Check the setup: settings, connection, triggers, rows; exit code 1 on errors.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual doctor\n  punctual doctor --online\n  \
                  punctual doctor --json | jq '.[] | select(.level != \"ok\")'\n\n\
                  BAD: it does not work, or not safely. WARN: it works, but you should know. \
                  What is wrong comes first. Nothing is changed."
)]
pub(super) struct Args {
    /// Also check the credentials with Twilio, a modem, an SMTP server and a language model, and that the public URL
    /// reaches a daemon
    #[arg(long)]
    online: bool,

    /// Also show the checks that passed
    #[arg(long, short)]
    verbose: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let config = Config::load(sources);
    let mut findings = settings::check(&config, sources);
    findings.push(zones::check());
    if let Ok(database) = config::database(sources) {
        findings.extend(database::check(&database, config.as_ref().ok()).await);
    }
    if let Ok(config) = &config {
        findings.extend(reach::daemon(config, sources).await);
        if args.online {
            findings.extend(reach::providers(config).await);
            findings.extend(reach::modems(config).await);
            findings.extend(reach::mail_servers(config).await);
            findings.extend(writer::online(config).await);
            findings.extend(reach::public_url(config).await);
        }
    }
    // The worst first; within a level in the order of the checks.
    findings.sort_by_key(|f| std::cmp::Reverse(f.level));
    let count = |level| findings.iter().filter(|f| f.level == level).count();
    let (bad, warn) = (count(Level::Bad), count(Level::Warn));
    let fine = count(Level::Ok);
    if args.json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&findings)?))?;
    } else {
        if !args.verbose {
            findings.retain(|f| f.level != Level::Ok);
        }
        let mut text = format::lines(&findings, output::width());
        if !args.verbose {
            text.push_str(&format::rest(fine));
        }
        output::print_styled(&text)?;
    }
    if bad > 0 {
        let problems = counted(bad, "problem", "problems");
        bail!("{problems}, {}", counted(warn, "warning", "warnings"));
    }
    Ok(())
}
