//! Connections on which each transaction stands for itself, for poolers in transaction mode; and what has to be
//! translated of the others.
//!
//! Such a pooler gives every transaction a session of its own choice. So nothing may be left in one: no setting, no
//! prepared statement, no lock. The rest of the store knows nothing of that: what the client sends is translated on its
//! way ([`Translator`]), as is the response.
//!
//! The client is one of tokio-postgres, which makes the connection and wants a TLS connector. This is one, also where
//! the connection is not encrypted: with the negotiation that it calls direct, tokio-postgres leaves everything after
//! the connect to it. The connection of a change feed is translated in the same place (`feed.rs`).

mod translator;

#[cfg(test)]
mod tests;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::feed::Feed;
use crate::store::Sql;
use translator::Translator;

/// What a command sets in each transaction.
pub(super) static COMMAND: &Sql = sql!("sql/stateless_command.sql");

/// What the daemon sets in each transaction.
pub(super) static DAEMON: &Sql = sql!("sql/stateless_daemon.sql");

/// What doctor sets in each transaction.
pub(super) static DOCTOR: &Sql = sql!("sql/stateless_doctor.sql");

/// Asks a server for TLS, in place of the first message of the protocol.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Read at once.
const CHUNK: usize = 8_192;

/// With more than this on its way to the server, what the client writes waits.
const UNSENT_MAX: usize = 65_536;

type Rustls = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
type ConnectRustls = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;

/// `sslmode`, as far as its meaning differs while a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    Off,
    Preferred,
    Required,
    /// Required, and begun without asking (`sslnegotiation=direct`).
    Direct,
}

/// How connections are made on which something is translated.
#[derive(Clone, Copy, Debug)]
struct Translation {
    encryption: Encryption,
    of: Translated,
}

/// What is translated.
#[derive(Clone, Copy, Debug)]
enum Translated {
    /// Each transaction stands for itself, and begins with these settings.
    Stateless(&'static Sql),
    /// What a change feed brings arrives as if it had been notified.
    Feed,
}

/// Makes the streams of connections.
#[derive(Clone)]
pub(in crate::store) struct Connector {
    tls: MakeRustlsConnect,
    translation: Option<Translation>,
}

impl Connector {
    pub(super) const fn new(tls: MakeRustlsConnect) -> Self {
        Self {
            tls,
            translation: None,
        }
    }

    /// The same, for connections on which each transaction stands for itself. Their client must negotiate directly.
    pub(super) fn stateless(self, encryption: Encryption) -> Self {
        self.translated(encryption, Translated::Stateless(COMMAND))
    }

    /// The same, for the connection of a change feed.
    pub(super) fn feed(self, encryption: Encryption) -> Self {
        self.translated(encryption, Translated::Feed)
    }

    fn translated(self, encryption: Encryption, of: Translated) -> Self {
        Self {
            translation: Some(Translation { encryption, of }),
            ..self
        }
    }

    pub(super) fn is_stateless(&self) -> bool {
        let of = self.translation.map(|translation| translation.of);
        matches!(of, Some(Translated::Stateless(_)))
    }

    /// Whether sessions keep what is set in them, and are the daemon's to set.
    pub(super) const fn has_sessions(&self) -> bool {
        self.translation.is_none()
    }

    /// The same with other settings, if they belong to the transaction.
    pub(super) fn with_settings(self, settings: &'static Sql) -> Self {
        let set = |translation: Translation| Translation {
            of: match translation.of {
                Translated::Stateless(_) => Translated::Stateless(settings),
                Translated::Feed => Translated::Feed,
            },
            ..translation
        };
        Self {
            translation: self.translation.map(set),
            ..self
        }
    }
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Wire;
    type TlsConnect = Connect;
    type Error = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Connect, Self::Error> {
        let tls = MakeTlsConnect::<Socket>::make_tls_connect(&mut self.tls, domain)?;
        Ok(Connect {
            tls,
            translation: self.translation,
        })
    }
}

/// Makes one stream.
pub(in crate::store) struct Connect {
    tls: ConnectRustls,
    translation: Option<Translation>,
}

impl TlsConnect<Socket> for Connect {
    type Stream = Wire;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Wire>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let Some(translation) = self.translation else {
                let on_its_way = None;
                let inner = Inner::Tls(Box::new(self.tls.connect(socket).await?));
                return Ok(Wire { inner, on_its_way });
            };
            let inner = encrypted(self.tls, socket, translation.encryption).await?;
            let on_its_way = Some(Box::new(OnItsWay {
                by: match translation.of {
                    Translated::Stateless(settings) => By::Each(Translator::new(settings.text())),
                    Translated::Feed => By::Feed(Feed::default()),
                },
                unsent: BytesMut::new(),
                unread: BytesMut::new(),
            }));
            Ok(Wire { inner, on_its_way })
        })
    }
}

/// As libpq does it.
async fn encrypted(
    tls: ConnectRustls,
    mut socket: Socket,
    encryption: Encryption,
) -> io::Result<Inner> {
    let is_offered = match encryption {
        Encryption::Off => false,
        Encryption::Direct => true,
        Encryption::Preferred | Encryption::Required => {
            socket.write_all(&SSL_REQUEST).await?;
            socket.read_u8().await? == b'S'
        }
    };
    if is_offered {
        return Ok(Inner::Tls(Box::new(tls.connect(socket).await?)));
    }
    if encryption == Encryption::Required {
        // In the words of tokio-postgres, by which it is explained.
        return Err(io::Error::other("server does not support TLS"));
    }
    Ok(Inner::Plain(socket))
}

enum Inner {
    Plain(Socket),
    Tls(Box<Rustls>),
}

/// What translates.
enum By {
    /// Transactions that stand for themselves.
    Each(Translator),
    /// A change feed.
    Feed(Feed),
}

/// What is on its way in both directions.
struct OnItsWay {
    by: By,
    /// For the server.
    unsent: BytesMut,
    /// For the client.
    unread: BytesMut,
}

/// The stream of one connection.
pub struct Wire {
    inner: Inner,
    on_its_way: Option<Box<OnItsWay>>,
}

/// Either stream.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl Inner {
    fn stream(&mut self) -> Pin<&mut dyn Stream> {
        match self {
            Self::Plain(socket) => Pin::new(socket),
            Self::Tls(stream) => Pin::new(stream),
        }
    }
}

impl Wire {
    /// Writes what was translated.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(on_its_way) = &mut self.on_its_way else {
            return Poll::Ready(Ok(()));
        };
        while !on_its_way.unsent.is_empty() {
            let sent = ready!(self.inner.stream().poll_write(cx, &on_its_way.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            on_its_way.unsent.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, on_its_way } = &mut *self;
        let Some(on_its_way) = on_its_way else {
            return inner.stream().poll_read(cx, buf);
        };
        while on_its_way.unread.is_empty() {
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(inner.stream().poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let OnItsWay { by, unread, unsent } = &mut **on_its_way;
            match by {
                By::Each(translator) => translator.for_client(chunk.filled(), unread)?,
                // What it confirms is sent with the flush that follows each read of the client's.
                By::Feed(feed) => feed.for_client(chunk.filled(), unread, unsent)?,
            }
        }
        let most = on_its_way.unread.len().min(buf.remaining());
        buf.put_slice(&on_its_way.unread.split_to(most));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(on_its_way) = &self.on_its_way else {
            return self.inner.stream().poll_write(cx, buf);
        };
        if on_its_way.unsent.len() > UNSENT_MAX {
            ready!(self.poll_send(cx))?;
        }
        if let Some(on_its_way) = &mut self.on_its_way {
            let OnItsWay { by, unsent, .. } = &mut **on_its_way;
            match by {
                By::Each(translator) => translator.for_server(buf, unsent)?,
                By::Feed(feed) => feed.for_server(buf, unsent)?,
            }
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.inner.stream().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.inner.stream().poll_shutdown(cx)
    }
}

impl TlsStream for Wire {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.inner {
            Inner::Plain(_) => ChannelBinding::none(),
            Inner::Tls(stream) => stream.channel_binding(),
        }
    }
}
