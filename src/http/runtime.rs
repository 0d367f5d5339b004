//! The directory of a daemon's socket and of the tokens made for it.
//!
//! It is the state directory, or, where there is none, one of this user's that daemons share: then the
//! names begin with the address they listen on, of which there is one each.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::token::{TOKEN_MIN, TokenKind, Tokens, fresh};

/// Far longer than any token: a path that leads elsewhere ends here.
const TOKEN_MAX: u64 = 4 * 1024;

/// Why a socket or a token cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// It cannot be used.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// Somebody else could read it, or put something into it.
    #[error("{} is not this user's alone: remove it, or make it so (chmod go-rwx)", path.display())]
    Open {
        /// The file or directory.
        path: PathBuf,
    },
    /// Not what it is named.
    #[error("{} is not a {what}: remove it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// Another process is asked by it.
    #[error("{} is in use by another process", path.display())]
    Busy {
        /// The socket.
        path: PathBuf,
    },
    /// A token is neither set nor to be kept.
    #[error("{} is not set, and none can be made and kept: set it, or PUNCTUAL_STATE_DIR", kind.setting())]
    Token {
        /// Which.
        kind: TokenKind,
        /// Why not.
        source: Box<RuntimeError>,
    },
}

impl RuntimeError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeDir {
    /// The state directory, which one daemon has for itself.
    State(PathBuf),
    /// One of this user's.
    User {
        /// The directory.
        dir: PathBuf,
        /// Where the daemon listens.
        addr: SocketAddr,
    },
}

impl RuntimeDir {
    /// This user's: below `XDG_RUNTIME_DIR` where that is this user's, else below the directory of
    /// temporary files.
    pub fn of_user(xdg: Option<&Path>, temp: &Path, addr: SocketAddr) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        // `su` hands on the variable of the user before.
        let owned = |dir: &Path| fs::metadata(dir).is_ok_and(|m| m.is_dir() && m.uid() == uid);
        let dir = match xdg.filter(|dir| dir.is_absolute() && owned(dir)) {
            Some(xdg) => xdg.join("punctual"),
            None => temp.join(format!("punctual-{uid}")),
        };
        Self::User { dir, addr }
    }

    /// The same for a daemon that listens there, known once it does.
    #[must_use]
    pub fn listening_on(self, addr: SocketAddr) -> Self {
        match self {
            Self::User { dir, .. } => Self::User { dir, addr },
            state @ Self::State(_) => state,
        }
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        match self {
            Self::State(dir) => dir.join("http.sock"),
            Self::User { .. } => self.named("sock"),
        }
    }

    /// The file of a token that was made.
    pub fn token_file(&self, kind: TokenKind) -> PathBuf {
        match self {
            Self::State(dir) => dir.join(kind.file()),
            Self::User { .. } => self.named(kind.file()),
        }
    }

    fn named(&self, what: &str) -> PathBuf {
        let Self::User { dir, addr } = self else {
            return PathBuf::new();
        };
        // Brackets and colons would need quotes in a shell.
        let addr = addr.to_string().replace(['[', ']'], "").replace(':', "-");
        dir.join(format!("at-{addr}.{what}"))
    }

    /// The token that was made, if one was.
    pub fn token(&self, kind: TokenKind) -> Result<Option<SecretString>, RuntimeError> {
        let path = self.token_file(kind);
        match self.check() {
            Err(RuntimeError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Ok(None);
            }
            checked => checked?,
        }
        let file = match OpenOptions::new().read(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RuntimeError::io("read", &path)(error)),
        };
        let about = file.metadata().map_err(RuntimeError::io("read", &path))?;
        if about.mode() & 0o077 != 0 {
            return Err(RuntimeError::Open { path });
        }
        let mut text = String::new();
        file.take(TOKEN_MAX)
            .read_to_string(&mut text)
            .map_err(RuntimeError::io("read", &path))?;
        let token = text.trim();
        if token.len() < TOKEN_MIN || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(RuntimeError::Foreign {
                path,
                what: "token",
            });
        }
        Ok(Some(token.into()))
    }

    /// The tokens that were set, and for those that were not the ones that were made, now or earlier.
    pub fn tokens(
        &self,
        debug: Option<SecretString>,
        operator: Option<SecretString>,
    ) -> Result<Tokens, RuntimeError> {
        let keep = |given: Option<SecretString>, kind| match given {
            Some(token) => Ok(token),
            None => self.keep(kind).map_err(|source| RuntimeError::Token {
                kind,
                source: Box::new(source),
            }),
        };
        Ok(Tokens::new(
            keep(debug, TokenKind::Debug)?,
            keep(operator, TokenKind::Operator)?,
        ))
    }

    fn keep(&self, kind: TokenKind) -> Result<SecretString, RuntimeError> {
        self.prepare()?;
        if let Some(token) = self.token(kind)? {
            return Ok(token);
        }
        let (token, path) = (fresh(), self.token_file(kind));
        // Whole or not at all: a start that is cut off leaves no half of one.
        let mut begun = path.clone().into_os_string();
        begun.push(".new");
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&begun)?;
            writeln!(file, "{}", token.expose_secret())?;
            file.sync_all()?;
            fs::rename(&begun, &path)
        };
        write().map_err(RuntimeError::io("write", &path))?;
        Ok(token)
    }

    /// Whether what lies in it was put there by the daemon: a shared one lies where others may have been
    /// first.
    pub fn is_trusted(&self) -> bool {
        self.check().is_ok()
    }

    /// Makes the directory.
    pub(super) fn prepare(&self) -> Result<(), RuntimeError> {
        let (Self::State(dir) | Self::User { dir, .. }) = self;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(RuntimeError::io("make the directory", dir))?;
        self.check()
    }

    fn check(&self) -> Result<(), RuntimeError> {
        if let Self::User { dir, .. } = self {
            let about = fs::symlink_metadata(dir).map_err(RuntimeError::io("look at", dir))?;
            let own = about.uid() == rustix::process::geteuid().as_raw();
            if !about.is_dir() || !own || about.mode() & 0o077 != 0 {
                return Err(RuntimeError::Open { path: dir.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const ADDR: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn tokens_are_made_once_kept_and_for_their_owner_only() {
        let home = tempfile::tempdir().unwrap();
        for dir in [
            RuntimeDir::State(home.path().join("state")),
            RuntimeDir::of_user(None, home.path(), ADDR),
            RuntimeDir::of_user(Some(home.path()), Path::new("/nowhere"), ADDR),
        ] {
            let made = dir.tokens(None, None).unwrap();
            let again = dir.tokens(None, None).unwrap();
            assert_eq!(made.debug().expose_secret(), again.debug().expose_secret());
            for kind in [TokenKind::Debug, TokenKind::Operator] {
                let path = dir.token_file(kind);
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                assert_eq!(mode(path.parent().unwrap()), 0o700);
            }
            // What is set counts, and nothing is made for it.
            let given = dir.tokens(Some("one-that-was-set".into()), None).unwrap();
            assert_eq!(given.debug().expose_secret(), "one-that-was-set");
            fs::set_permissions(
                dir.token_file(TokenKind::Debug),
                fs::Permissions::from_mode(0o644),
            )
            .unwrap();
            let open = dir.tokens(None, None).unwrap_err();
            let RuntimeError::Token { source, .. } = open else {
                panic!("{open}")
            };
            assert!(
                source.to_string().contains("not this user's alone"),
                "{source}"
            );
            fs::write(dir.token_file(TokenKind::Operator), "short\n").unwrap();
            assert!(matches!(
                dir.token(TokenKind::Operator),
                Err(RuntimeError::Foreign { .. })
            ));
        }
    }

    #[test]
    fn daemons_of_two_addresses_share_a_directory_and_nothing_in_it() {
        let home = tempfile::tempdir().unwrap();
        let one = RuntimeDir::of_user(None, home.path(), ADDR);
        let two = one.clone().listening_on("[::1]:8081".parse().unwrap());
        assert_ne!(one.socket(), two.socket());
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(name(one.socket()), "at-127.0.0.1-8080.sock");
        assert_eq!(
            name(two.token_file(TokenKind::Debug)),
            "at---1-8081.debug_token"
        );
        let tokens = [one, two].map(|dir| dir.tokens(None, None).unwrap());
        let [one, two] = &tokens;
        assert_ne!(one.debug().expose_secret(), two.debug().expose_secret());
    }

    #[test]
    fn a_directory_that_somebody_else_made_first_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::of_user(None, home.path(), ADDR);
        let RuntimeDir::User { dir: path, .. } = &dir else {
            panic!()
        };
        let elsewhere = home.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, path).unwrap();
        assert!(matches!(dir.prepare(), Err(RuntimeError::Open { .. })));
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(dir.prepare(), Err(RuntimeError::Open { .. })));
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        dir.prepare().unwrap();
    }
}
