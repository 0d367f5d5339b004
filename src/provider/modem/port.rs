//! Where a modem is, and the connection to it: a serial port, or a TCP server that has one.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::str::FromStr;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::net::unix::pipe;

/// The speed of a serial port for which none is given. USB modems ignore it.
const BAUD: u32 = 115_200;

/// Where a modem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// A serial port.
    Serial {
        /// Its device, like `/dev/ttyUSB0`.
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
    /// Host and port of a server that passes on what it is sent.
    Tcp(String),
}

/// A text that does not say where a modem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a device like /dev/ttyUSB0, with @ and its speed if that is not {BAUD}, or tcp: and the host and port of a server"
)]
pub struct PortError;

impl FromStr for Port {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let text = text.trim();
        if let Some(server) = text.strip_prefix("tcp:") {
            let (host, port) = server.rsplit_once(':').ok_or(PortError)?;
            let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
            let is_host =
                !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
            return (is_host && is_port)
                .then(|| Self::Tcp(server.to_owned()))
                .ok_or(PortError);
        }
        let (path, baud) = match text.rsplit_once('@') {
            Some((path, baud)) => (path, baud.parse().map_err(|_| PortError)?),
            None => (text, BAUD),
        };
        if path.starts_with('/') && baud > 0 {
            let path = path.into();
            Ok(Self::Serial { path, baud })
        } else {
            Err(PortError)
        }
    }
}

/// As in the setting.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { path, baud: BAUD } => path.display().fmt(f),
            Self::Serial { path, baud } => write!(f, "{}@{baud}", path.display()),
            Self::Tcp(server) => write!(f, "tcp:{server}"),
        }
    }
}

/// The two directions of a connection.
pub(super) type Halves = (
    Box<dyn AsyncRead + Send + Unpin>,
    Box<dyn AsyncWrite + Send + Unpin>,
);

impl Port {
    /// Connects to it.
    pub(super) async fn open(&self) -> io::Result<Halves> {
        match self {
            Self::Tcp(server) => {
                let tcp = TcpStream::connect(server).await?;
                tcp.set_nodelay(true)?;
                let (read, write) = tcp.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
            Self::Serial { path, baud } => {
                let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
                let port = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .custom_flags(flags.bits().cast_signed())
                    .open(path)?;
                // Two programs on one port would read each other's responses. The kernel releases it with the port.
                flock(&port, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
                    if error == rustix::io::Errno::WOULDBLOCK {
                        io::Error::new(io::ErrorKind::ResourceBusy, "another process has the port")
                    } else {
                        error.into()
                    }
                })?;
                let mut settings = tcgetattr(&port)?;
                settings.make_raw();
                settings.set_speed(*baud)?;
                // What an earlier process left there is dropped.
                tcsetattr(&port, OptionalActions::Flush, &settings)?;
                // A port is read and written without blocking as the end of a pipe is.
                let read = pipe::Receiver::from_file_unchecked(port.try_clone()?)?;
                let write = pipe::Sender::from_file_unchecked(port)?;
                Ok((Box::new(read), Box::new(write)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_modem_may_be() {
        for (text, shown) in [
            (" /dev/ttyUSB0 ", "/dev/ttyUSB0"),
            ("/dev/ttyS0@9600", "/dev/ttyS0@9600"),
            ("/dev/ttyS0@115200", "/dev/ttyS0"),
            ("tcp:modem.lan:7000", "tcp:modem.lan:7000"),
            ("tcp:[::1]:7000", "tcp:[::1]:7000"),
        ] {
            let port: Port = text.parse().unwrap();
            assert_eq!(port.to_string(), shown);
        }
        for text in [
            "",
            "ttyUSB0",
            "COM3",
            "/dev/ttyS0@fast",
            "/dev/ttyS0@0",
            "tcp:",
            "tcp:host",
            "tcp:host:0",
            "tcp::7000",
            "tcp:http://host:80",
        ] {
            assert_eq!(text.parse::<Port>(), Err(PortError), "{text}");
        }
    }
}
