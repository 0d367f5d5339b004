//! `punctual completions` and `punctual man`: shell completions and manual pages, made from the
//! definitions of the commands.

use std::path::PathBuf;

use anyhow::Context;
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use super::{Cli, Usage, output};

/// Print a shell completion script.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  punctual completions bash > \
                  ~/.local/share/bash-completion/completions/punctual\n  \
                  punctual completions zsh > ~/.zfunc/_punctual\n  \
                  punctual completions fish > ~/.config/fish/completions/punctual.fish")]
pub(super) struct Completions {
    /// Shell
    #[arg(value_enum)]
    shell: For,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum For {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn completions(args: &Completions) -> anyhow::Result<()> {
    let shell = match args.shell {
        For::Bash => Shell::Bash,
        For::Zsh => Shell::Zsh,
        For::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "punctual", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Print a manual page, or write all of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  punctual man schedule | man -l -\n  \
                  punctual man --out /usr/local/share/man/man1")]
pub(super) struct Man {
    /// Command whose page to print [default: the program's page]
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    of: Option<String>,

    /// Write all pages to this directory instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn man(args: &Man) -> anyhow::Result<()> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    if let Some(dir) = &args.out {
        let cannot = || format!("cannot write the pages to {}", dir.display());
        std::fs::create_dir_all(dir).with_context(cannot)?;
        return clap_mangen::generate_to(root, dir).with_context(cannot);
    }
    let page = match &args.of {
        None => root,
        Some(name) => {
            let found = root.find_subcommand(name).cloned();
            found.ok_or_else(|| {
                let what = format!("no command {name:?}: see `punctual --help`");
                Usage::of("COMMAND")(what)
            })?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .context("cannot write the page")?;
    output::print(&String::from_utf8_lossy(&text))
}
