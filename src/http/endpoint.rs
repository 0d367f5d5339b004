//! Where a daemon serves HTTP: at an address, with a token, and on a Unix socket that only its user can open,
//! without one.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use tokio::net::{TcpListener, UnixListener, UnixSocket};

use super::runtime::{RuntimeDir, RuntimeError};
use super::token::Tokens;
use crate::clock;

/// Connections that wait in the kernel's queue.
const BACKLOG: u32 = 128;

/// The address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} ({setting}){}", hint(.source))]
pub struct BindError {
    addr: SocketAddr,
    setting: &'static str,
    source: std::io::Error,
}

fn hint(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    match error.kind() {
        AddrInUse => "; another program, or another instance, has it: choose another port",
        AddrNotAvailable => "; this machine has no such address: 0.0.0.0 or [::] means all of them",
        PermissionDenied => "; ports below 1024 need a privilege: choose a higher one",
        _ => "",
    }
}

/// Listens on `addr`, which came from the setting named `setting`.
pub async fn bind(addr: SocketAddr, setting: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|source| BindError {
        addr,
        setting,
        source,
    })
}

/// An address and a Unix socket, both listening.
#[derive(Debug)]
pub struct Endpoint {
    /// The address, for requests with a token.
    pub tcp: TcpListener,
    /// The Unix socket, for this user; `None` if it could not be created, then this user needs a token too.
    pub socket: Option<Socket>,
    /// The tokens.
    pub tokens: Tokens,
}

impl Endpoint {
    /// With the configured tokens, or generated ones that are stored in `dir`. Without a socket messages are sent
    /// all the same.
    pub fn open(
        tcp: TcpListener,
        dir: RuntimeDir,
        debug: Option<SecretString>,
        operator: Option<SecretString>,
    ) -> Result<Self, RuntimeError> {
        let dir = match tcp.local_addr() {
            Ok(addr) => dir.listening_on(addr),
            Err(_) => dir,
        };
        let tokens = dir.tokens(debug, operator)?;
        let socket = match Socket::open(&dir) {
            Ok(socket) => Some(socket),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let cause = cause.unwrap_or_default();
                tracing::warn!(
                    %error,
                    cause,
                    "the Unix socket could not be created; commands on this machine need the token"
                );
                None
            }
        };
        Ok(Self {
            tcp,
            socket,
            tokens,
        })
    }
}

/// A Unix socket for this user only.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

/// The age, in seconds, from which a socket without a listener is dead.
const OLD_S: i64 = 60;

/// The file of the socket, removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: a later file of this name may be another daemon's.
    file: (u64, u64),
}

impl Socket {
    /// Creates it, and replaces one that a killed daemon left.
    pub fn open(dir: &RuntimeDir) -> Result<Self, RuntimeError> {
        let path = dir.socket();
        dir.prepare()?;
        clear(&path)?;
        for other in dir.other_sockets() {
            // One that cannot be removed does no harm.
            let _ = clear_old(&other, clock::reading().real_us / 1_000_000);
        }
        let socket = UnixSocket::new_stream().map_err(RuntimeError::io("create", &path))?;
        socket
            .bind(&path)
            .map_err(RuntimeError::io("create", &path))?;
        // Before it listens, so before a client can connect.
        fs::set_permissions(&path, Permissions::from_mode(0o600))
            .map_err(RuntimeError::io("restrict", &path))?;
        let listener = socket
            .listen(BACKLOG)
            .map_err(RuntimeError::io("accept connections on", &path))?;
        let file = file_of(&path).map_err(RuntimeError::io("read", &path))?;
        let file = SocketFile { path, file };
        Ok(Self { listener, file })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if file_of(&self.path).is_ok_and(|file| file == self.file) {
            // The next daemon recognises one that remains as dead.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn file_of(path: &Path) -> std::io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|about| (about.dev(), about.ino()))
}

/// Removes a socket without a listener.
fn clear(path: &Path) -> Result<(), RuntimeError> {
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(RuntimeError::io("read", path)(error)),
    };
    if !about.file_type().is_socket() {
        return Err(RuntimeError::Foreign {
            path: path.to_owned(),
            what: "socket",
        });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(RuntimeError::io("remove", path))
        }
        // Its queue may be full, but it has a listener.
        Ok(_) | Err(_) => Err(RuntimeError::Busy {
            path: path.to_owned(),
        }),
    }
}

/// The same for another daemon's, unless it is new: a daemon creates its socket first, and then listens.
fn clear_old(path: &Path, now_s: i64) -> Result<(), RuntimeError> {
    let about = fs::symlink_metadata(path).map_err(RuntimeError::io("read", path))?;
    if now_s - about.ctime() < OLD_S {
        return Ok(());
    }
    clear(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_ended_daemons_are_removed_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let ended = path("at-127.0.0.1-1.sock");
        drop(std::os::unix::net::UnixListener::bind(&ended).unwrap());
        let alive = std::os::unix::net::UnixListener::bind(path("at-127.0.0.1-2.sock")).unwrap();
        let file = path("at-127.0.0.1-3.sock");
        fs::write(&file, "no socket").unwrap();
        let own = path("at-127.0.0.1-8080.sock");
        drop(std::os::unix::net::UnixListener::bind(&own).unwrap());
        let at = RuntimeDir::User {
            dir: dir.path().to_owned(),
            addr: "127.0.0.1:8080".parse().unwrap(),
        };
        let mut others = at.other_sockets();
        others.sort();
        assert_eq!(
            others,
            [ended.clone(), path("at-127.0.0.1-2.sock"), file.clone()]
        );
        let made = fs::symlink_metadata(&ended).unwrap().ctime();
        for other in &others {
            let _ = clear_old(other, made);
        }
        assert!(ended.exists(), "it may be about to listen");
        for other in &others {
            let _ = clear_old(other, made + OLD_S);
        }
        assert!(!ended.exists(), "it stayed");
        assert!(path("at-127.0.0.1-2.sock").exists() && file.exists());
        drop(alive);
    }

    #[tokio::test]
    async fn a_socket_is_for_its_owner_and_goes_with_its_daemon() {
        let home = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::State(home.path().to_owned());
        let socket = Socket::open(&dir).unwrap();
        let mode = fs::metadata(socket.path()).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let second = Socket::open(&dir).unwrap_err();
        assert!(matches!(second, RuntimeError::Busy { .. }), "{second}");
        let path = socket.path().to_owned();
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_killed_daemon_left_is_replaced_and_anything_else_is_not() {
        let home = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::State(home.path().to_owned());
        drop(std::os::unix::net::UnixListener::bind(dir.socket()).unwrap());
        let socket = Socket::open(&dir).unwrap();
        assert!(std::os::unix::net::UnixStream::connect(socket.path()).is_ok());
        // Another daemon's by now: it remains.
        fs::remove_file(socket.path()).unwrap();
        fs::write(dir.socket(), "not a socket").unwrap();
        drop(socket);
        let foreign = Socket::open(&dir).unwrap_err();
        assert!(matches!(foreign, RuntimeError::Foreign { .. }), "{foreign}");
        assert!(dir.socket().exists());
    }
}
