//! The directory of a daemon's Unix socket and of its generated tokens.
//!
//! It is the state directory, or without one a directory of this user that daemons share; there the names of files
//! begin with the daemon's address.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::token::{TOKEN_MIN, TokenKind, Tokens, fresh};

/// Far longer than any token: limits the read of a wrong file.
const TOKEN_MAX: u64 = 4 * 1024;

/// Why the directory or a file in it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// An operation failed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// The operation.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Other users can read or change it.
    #[error("others may use {}: remove it, or exclude them (chmod go-rwx)", path.display())]
    Open {
        /// The file or directory.
        path: PathBuf,
    },
    /// It is not the expected kind of file.
    #[error("{} is not a {what}: remove it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// Another process listens on it.
    #[error("{} is in use by another process", path.display())]
    Busy {
        /// The path of the socket.
        path: PathBuf,
    },
    /// A token is not configured, and a generated one cannot be stored.
    #[error("{} is not set, and none can be stored: set it, or PUNCTUAL_STATE_DIR", kind.setting())]
    Token {
        /// Which token.
        kind: TokenKind,
        /// The cause.
        source: Box<RuntimeError>,
    },
}

impl RuntimeError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// The directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeDir {
    /// The state directory, of one daemon only.
    State(PathBuf),
    /// A directory of this user, for all daemons.
    User {
        /// The directory.
        dir: PathBuf,
        /// The daemon's address.
        addr: SocketAddr,
    },
}

impl RuntimeDir {
    /// That of this user: below `XDG_RUNTIME_DIR` if that belongs to this user, else below the temporary directory.
    pub fn of_user(xdg: Option<&Path>, temp: &Path, addr: SocketAddr) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        // After `su` the variable is that of another user.
        let owned = |dir: &Path| fs::metadata(dir).is_ok_and(|m| m.is_dir() && m.uid() == uid);
        let dir = match xdg.filter(|dir| dir.is_absolute() && owned(dir)) {
            Some(xdg) => xdg.join("punctual"),
            None => temp.join(format!("punctual-{uid}")),
        };
        Self::User { dir, addr }
    }

    /// The same for a daemon at this address.
    #[must_use]
    pub fn listening_on(self, addr: SocketAddr) -> Self {
        match self {
            Self::User { dir, .. } => Self::User { dir, addr },
            state @ Self::State(_) => state,
        }
    }

    /// The path of the socket.
    pub fn socket(&self) -> PathBuf {
        match self {
            Self::State(dir) => dir.join("http.sock"),
            Self::User { .. } => self.named("sock"),
        }
    }

    /// The sockets of other daemons of this user's in the same directory.
    pub(super) fn other_sockets(&self) -> Vec<PathBuf> {
        let Self::User { dir, .. } = self else {
            return Vec::new();
        };
        let own = self.socket();
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let is_socket = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            *path != own && name.starts_with("at-") && name.ends_with(".sock")
        };
        entries
            .map(|entry| entry.path())
            .filter(is_socket)
            .collect()
    }

    /// The path of a generated token.
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
        // Without brackets and colons, which a shell needs quoted.
        let addr = addr.to_string().replace(['[', ']'], "").replace(':', "-");
        dir.join(format!("at-{addr}.{what}"))
    }

    /// The generated token, if there is one.
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

    /// The configured tokens; for those that are not configured a stored one, or else a new one.
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
        // Renamed once it is complete, so that a crash leaves no partial one.
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

    /// Whether the files in it are the daemon's: in a shared directory other users may have created some.
    pub fn is_trusted(&self) -> bool {
        self.check().is_ok()
    }

    /// Creates the directory.
    pub(super) fn prepare(&self) -> Result<(), RuntimeError> {
        let (Self::State(dir) | Self::User { dir, .. }) = self;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(RuntimeError::io("create the directory", dir))?;
        self.check()
    }

    fn check(&self) -> Result<(), RuntimeError> {
        if let Self::User { dir, .. } = self {
            let about = fs::symlink_metadata(dir).map_err(RuntimeError::io("read", dir))?;
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
            // A configured token is used, and none is generated.
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
            assert!(source.to_string().contains("others may use"), "{source}");
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
