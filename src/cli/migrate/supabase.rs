//! `punctual migrate --supabase DIR`: writes the schema as a migration of a Supabase project.

use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;

use crate::clock;
use crate::store::Migrator;

/// How the name of the file ends; the Supabase CLI orders by the time before it.
const NAME: &str = "_punctual.sql";

/// Writes a file of this version, unless the latest one is that; returns what was done.
pub(super) fn write(migrator: &Migrator<'_>, dir: &Path) -> anyhow::Result<String> {
    let text = migrator.as_supabase_migration();
    let shown = dir.display();
    let entries = dir.read_dir().with_context(|| {
        format!("cannot read {shown}: name the directory of the project's migrations, supabase/migrations")
    })?;
    let mut latest: Option<PathBuf> = None;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {shown}"))?
            .path();
        let is_ours = path.to_str().is_some_and(|path| path.ends_with(NAME));
        if is_ours && latest.as_ref().is_none_or(|latest| *latest < path) {
            latest = Some(path);
        }
    }
    if let Some(latest) = latest {
        let there = std::fs::read_to_string(&latest);
        let there = there.with_context(|| format!("cannot read {}", latest.display()))?;
        if there == text {
            return Ok(format!(
                "nothing to do: {} is of this version\n",
                latest.display()
            ));
        }
    }
    let now = Timestamp::from_microsecond(clock::reading().real_us)
        .context("this machine's clock shows no valid time")?;
    let path = dir.join(format!("{}{NAME}", now.strftime("%Y%m%d%H%M%S")));
    let written = std::fs::File::create_new(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(format!("wrote {}\n", path.display()))
}
