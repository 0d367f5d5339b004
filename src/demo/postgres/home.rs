//! The directory of a private Postgres, the user it belongs to, and the guardian that removes it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{PostgresError, own_process_group, run};

/// The longest path of a directory: with `/.s.PGSQL.65535` it must fit in the 103 bytes of the shortest
/// `sun_path` (macOS).
const PATH_MAX: usize = 103 - "/.s.PGSQL.65535".len();

/// A directory of mode 0700, removed once this is dropped or this process has ended.
#[derive(Debug)]
pub(super) struct Home {
    dir: PathBuf,
    /// The user that Postgres runs as; `None` is the current one.
    user: Option<User>,
    password: SecretString,
    guardian: Child,
}

#[derive(Clone, Copy, Debug)]
struct User {
    uid: u32,
    gid: u32,
}

impl Home {
    pub(super) fn make() -> Result<Self, PostgresError> {
        let user = if rustix::process::geteuid().is_root() {
            let user = User::named("postgres").or_else(|| User::named("nobody"));
            Some(user.ok_or(PostgresError::NoUser)?)
        } else {
            None
        };
        let dir = make_dir(user)?;
        let guardian = match guard(&dir, user) {
            Ok(guardian) => guardian,
            Err(error) => {
                // It is empty; the first error is the one that matters.
                let _ = fs::remove_dir(&dir);
                return Err(error);
            }
        };
        Ok(Self {
            dir,
            user,
            // Other users of this machine can reach the port, and the superuser could run programs as
            // the user of Postgres.
            password: Uuid::new_v4().simple().to_string().into(),
            guardian,
        })
    }

    /// Runs `initdb`. Nothing is synced, because a private cluster need not survive a power cut.
    pub(super) fn init(&self, bin: &Path) -> Result<(), PostgresError> {
        let home_error = |source| PostgresError::Home {
            dir: self.dir.clone(),
            source,
        };
        let secret = self.dir.join("password");
        let mut file = self.create(&secret).map_err(home_error)?;
        file.write_all(self.password().as_bytes())
            .map_err(home_error)?;
        let mut command = self.command(&bin.join("initdb"));
        command
            .arg("-D")
            .arg(self.data())
            .args(["-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"])
            // A plain password, because nobody can listen on loopback, and SCRAM costs an unoptimised
            // build milliseconds a connection. The socket is in the closed directory.
            .args(["--auth-host=password", "--auth-local=trust"])
            .arg(format!("--pwfile={}", secret.display()));
        run(command, "initdb")?;
        fs::remove_file(secret).map_err(home_error)
    }

    /// A command that runs as the owner, in the directory, in a process group of its own, and without the
    /// `PG…` variables of this process.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .env("LC_ALL", "C");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        become_user(&mut command, self.user);
        own_process_group(&mut command);
        command
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn password(&self) -> &str {
        self.password.expose_secret()
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The log, opened to be appended to, and its current length.
    pub(super) fn open_log(&self) -> Result<(File, u64), PostgresError> {
        let open = || {
            let file = self.create(&self.log())?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        open().map_err(|source| PostgresError::Home {
            dir: self.dir.clone(),
            source,
        })
    }

    /// The log from this position; empty if it cannot be read, because it only adds to an error.
    pub(super) fn read_log(&self, from: u64) -> String {
        let mut bytes = Vec::new();
        let _ = File::open(self.log()).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.read_to_end(&mut bytes)
        });
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        if let Some(user) = self.user {
            chown(path, Some(user.uid), Some(user.gid))?;
        }
        Ok(file)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The end of the pipe makes the guardian remove the directory, as at the end of this process.
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
        // In case the guardian was killed.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl User {
    /// As `id` reports it, because not all users are in `/etc/passwd`.
    fn named(name: &str) -> Option<Self> {
        let id = |flag| {
            let output = Command::new("id").args([flag, name]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        Some(Self {
            uid: id("-u")?,
            gid: id("-g")?,
        })
    }
}

fn become_user(command: &mut Command, user: Option<User>) {
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
}

/// Creates a directory that only its owner can enter. The environment's temporary directory may be
/// closed to that owner, or its path too long for a socket.
fn make_dir(user: Option<User>) -> Result<PathBuf, PostgresError> {
    let candidates = [
        std::env::temp_dir(),
        PathBuf::from("/tmp"),
        PathBuf::from("/var/tmp"),
    ];
    let mut last = None;
    for base in candidates {
        match make_dir_in(&base, user) {
            Ok(dir) => return Ok(dir),
            Err(source) => last = Some(PostgresError::Home { dir: base, source }),
        }
    }
    Err(last.unwrap_or(PostgresError::NotFound))
}

fn make_dir_in(base: &Path, user: Option<User>) -> io::Result<PathBuf> {
    let base = base.canonicalize()?;
    let name = Uuid::new_v4().simple().to_string();
    let dir = base.join(format!("punctual-pg-{}", &name[..12]));
    if dir.as_os_str().len() > PATH_MAX {
        return Err(io::Error::other("its path is too long for a socket"));
    }
    if user.is_some() {
        for ancestor in base.ancestors() {
            if fs::metadata(ancestor)?.mode() & 0o001 == 0 {
                return Err(io::Error::other("it is closed to the user of Postgres"));
            }
        }
    }
    DirBuilder::new().mode(0o700).create(&dir)?;
    if let Some(user) = user {
        chown(&dir, Some(user.uid), Some(user.gid))?;
    }
    Ok(dir)
}

fn guard(dir: &Path, user: Option<User>) -> Result<Child, PostgresError> {
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(include_str!("guardian.sh"))
        .arg("punctual-guardian")
        .arg(dir)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    become_user(&mut command, user);
    own_process_group(&mut command);
    command.spawn().map_err(|source| PostgresError::Spawn {
        program: PathBuf::from("/bin/sh"),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_too_deep_for_a_socket_is_passed_over() {
        let deep = std::env::temp_dir().join("d".repeat(PATH_MAX));
        fs::create_dir_all(&deep).unwrap();
        let error = make_dir_in(&deep, None).unwrap_err();
        fs::remove_dir(&deep).unwrap();
        assert!(error.to_string().contains("too long"), "{error}");
    }

    #[test]
    fn a_guardian_alone_removes_the_directory() {
        let home = Home::make().unwrap();
        let dir = home.dir().to_owned();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        fs::create_dir(dir.join("data")).unwrap();
        drop(home);
        assert!(!dir.exists());
    }
}
