//! A connection to the SMTP server: opened, encrypted, greeted and logged in; then one message after the other. The
//! dialogue is lettre's.
//!
//! Encryption is set up below it, by the TLS of all providers. So the stream that lettre writes to is one of plain
//! bytes, which are counted: as long as not more than the content was written, the server cannot have accepted it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Severity;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::content::Content;
use super::quoted::{Quotable, masked};
use super::server::{Security, Server};
use super::stream::{Counted, Stream};
use crate::message::Outcome;
use crate::provider::http::tidy::tidy;

/// The longest response to one command before a connection is encrypted.
const RESPONSE_MAX: u64 = 64 * 1024;

/// A connection is not used after so many refusals in a row. Postfix slows each response by a second after ten errors.
const REFUSALS_MAX: u32 = 3;

/// What lettre reads first of a connection that was greeted before it was encrypted.
const GREETED: &[u8] = b"220 greeted\r\n";

/// The step of a message at which a server responded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The greeting, and the name of this client.
    Greeting,
    /// User name and password.
    Login,
    /// The sender.
    Sender,
    /// The recipient.
    Recipient,
    /// The wish to send the content.
    Data,
    /// The content.
    Content,
}

/// Why a message was not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server has refused it, for now (4xx) or for good (5xx).
    #[error("the server responded {code}: {text}")]
    Refused { at: Step, code: u16, text: String },
    /// There is no connection, or no longer.
    #[error("{0}")]
    Connection(String),
    /// A response that means nothing.
    #[error("{0}")]
    Unreadable(String),
}

impl Failure {
    /// Whether another connection may do better: this one is over.
    pub(super) fn is_of_connection(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Unreadable(_) => true,
            // The service closes the channel.
            Self::Refused { code, .. } => *code == 421,
        }
    }

    /// `mail`: what it may quote.
    fn of(at: Step, error: &lettre::transport::smtp::Error, mail: Option<&Quotable>) -> Self {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        let cause = masked(&cause.unwrap_or_else(|| error.to_string()), mail);
        match error.status() {
            Some(code) => Self::Refused {
                at,
                code: code.into(),
                text: cause,
            },
            None if error.is_response() => Self::Unreadable(format!("no valid response: {cause}")),
            None => Self::Connection(format!("the connection was lost: {cause}")),
        }
    }
}

/// How far a message has come: set once its content begins, on whichever connection.
#[derive(Debug, Default)]
pub(super) struct Place(OnceLock<(Arc<AtomicU64>, u64)>);

impl Place {
    /// The content begins, of this many bytes before the dot.
    fn begin(&self, written: &Arc<AtomicU64>, bytes: usize) {
        let end = written.load(Ordering::Acquire) + bytes as u64;
        // Of two connections only the last comes here.
        let _ = self.0.set((Arc::clone(written), end));
    }

    /// Of a message without a response to its content, once nothing is written any more.
    pub(super) fn outcome(&self, reason: &str) -> Outcome {
        let reason = reason.to_owned();
        match self.0.get() {
            Some((written, end)) if written.load(Ordering::Acquire) > *end => {
                Outcome::Unknown { reason }
            }
            _ => Outcome::Unsent { reason },
        }
    }
}

/// A connection that is logged in.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    /// The counter of its stream.
    written: Arc<AtomicU64>,
    /// Whether the server has refused a part of the last message: what it took of that is to be forgotten.
    has_refused: bool,
    /// How many messages it has refused since it accepted one.
    refusals: u32,
    /// One of those that may be open at once.
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) async fn open(
        server: &Server,
        tls: &Arc<ClientConfig>,
        login: Option<&(String, SecretString)>,
        own_name: &str,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Failure> {
        let tcp = TcpStream::connect((server.host.as_str(), server.port));
        let tcp = tcp.await.map_err(|error| lost("no connection", &error))?;
        let (peer, stream) = tcp
            .set_nodelay(true)
            .and_then(|()| Ok((tcp.peer_addr()?, tcp)))
            .map_err(|error| lost("no connection", &error))?;
        let (stream, greeted): (Box<dyn Stream>, _) = match server.security {
            Security::Plain => (Box::new(stream), &b""[..]),
            Security::Tls => (Box::new(encrypted(stream, server, tls).await?), &b""[..]),
            Security::StartTls => {
                let stream = start_tls(stream, own_name).await?;
                (Box::new(encrypted(stream, server, tls).await?), GREETED)
            }
        };
        let written = Arc::new(AtomicU64::new(0));
        let stream = Counted::new(stream, peer, greeted, Arc::clone(&written));
        let name = ClientId::Domain(own_name.to_owned());
        let smtp = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &name).await;
        let mut smtp = smtp.map_err(|error| Failure::of(Step::Greeting, &error, None))?;
        if let Some((user, password)) = login {
            let password = password.expose_secret().to_owned();
            let credentials = Credentials::new(user.clone(), password);
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            if smtp.server_info().get_auth_mechanism(&mechanisms).is_none() {
                // As a server that does not know the mechanism responds (RFC 4954, 4).
                let text = "the server offers neither AUTH PLAIN nor AUTH LOGIN".to_owned();
                let at = Step::Login;
                return Err(Failure::Refused {
                    at,
                    code: 504,
                    text,
                });
            }
            let response = smtp.auth(&mechanisms, &credentials).await;
            response.map_err(|error| Failure::of(Step::Login, &error, None))?;
        }
        Ok(Self {
            smtp,
            written,
            has_refused: false,
            refusals: 0,
            _permit: permit,
        })
    }

    /// Whether it has refused so many messages that servers begin to slow such a client down.
    pub(super) fn is_worn(&self) -> bool {
        self.refusals >= REFUSALS_MAX
    }

    fn ended(&mut self, was_accepted: bool) {
        self.has_refused = !was_accepted;
        self.refusals = if was_accepted { 0 } else { self.refusals + 1 };
    }

    /// Names sender and recipient, and asks to send the content.
    pub(super) async fn begin(&mut self, mail: &Content) -> Result<(), Failure> {
        if self.has_refused {
            let reset = self.smtp.command(Rset).await;
            // Another response is one to an earlier command.
            if !reset.is_ok_and(|response| response.has_code(250)) {
                let what = "it could not be used for another message";
                return Err(Failure::Connection(what.to_owned()));
            }
        }
        let began = self.envelope(mail).await;
        if began.is_err() {
            self.ended(false);
        }
        began
    }

    async fn envelope(&mut self, mail: &Content) -> Result<(), Failure> {
        let failure = |at, error| Failure::of(at, &error, Some(&mail.quotable));
        let sender = Mail::new(Some(mail.from.clone()), Vec::new());
        let response = self.smtp.command(sender).await;
        response.map_err(|error| failure(Step::Sender, error))?;
        let recipient = Rcpt::new(mail.to.clone(), Vec::new());
        let response = self.smtp.command(recipient).await;
        response.map_err(|error| failure(Step::Recipient, error))?;
        let response = self.smtp.command(Data).await;
        let response = response.map_err(|error| failure(Step::Data, error))?;
        if response.has_code(354) {
            Ok(())
        } else {
            Err(Failure::Unreadable("no valid response to DATA".to_owned()))
        }
    }

    /// Sends the content. `place` knows how far it has come, also if this is not polled to its end.
    pub(super) async fn finish(&mut self, mail: &Content, place: &Place) -> Result<(), Failure> {
        place.begin(&self.written, mail.bytes.len());
        let response = self.smtp.message(&mail.bytes).await;
        self.ended(response.is_ok());
        let failure = |error| Failure::of(Step::Content, &error, Some(&mail.quotable));
        let response = response.map_err(failure)?;
        if response.code().severity == Severity::PositiveCompletion {
            Ok(())
        } else {
            Err(Failure::Unreadable(
                "no valid response to the content".to_owned(),
            ))
        }
    }
}

fn lost(step: &str, error: &io::Error) -> Failure {
    Failure::Connection(format!("{step}: {}", tidy(&error.to_string())))
}

async fn encrypted(
    tcp: TcpStream,
    server: &Server,
    tls: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(server.host.clone());
    let name = name.map_err(|_| Failure::Connection("its host has no valid name".to_owned()))?;
    let connector = TlsConnector::from(Arc::clone(tls));
    let stream = connector.connect(name, tcp).await;
    stream.map_err(|error| lost("no encryption", &error))
}

/// The dialogue up to `STARTTLS`.
async fn start_tls(tcp: TcpStream, own_name: &str) -> Result<TcpStream, Failure> {
    let mut plain = BufReader::new(tcp);
    response(&mut plain, None).await?;
    let offers = response(&mut plain, Some(&format!("EHLO {own_name}"))).await?;
    if !offers
        .iter()
        .any(|offer| offer.eq_ignore_ascii_case("STARTTLS"))
    {
        let what = "the server does not offer STARTTLS, and without it nothing is sent";
        return Err(Failure::Connection(what.to_owned()));
    }
    response(&mut plain, Some("STARTTLS")).await?;
    // Somebody on the way would have the encrypted dialogue begin with it.
    if !plain.buffer().is_empty() {
        let what = "the server sent something before the connection was encrypted";
        return Err(Failure::Connection(what.to_owned()));
    }
    Ok(plain.into_inner())
}

/// The lines of a positive response, without their code, to a command or as a greeting.
async fn response(
    plain: &mut BufReader<TcpStream>,
    command: Option<&str>,
) -> Result<Vec<String>, Failure> {
    let broken = |error: io::Error| lost("the connection was lost", &error);
    if let Some(command) = command {
        let line = format!("{command}\r\n");
        plain.write_all(line.as_bytes()).await.map_err(broken)?;
    }
    let mut rest = plain.take(RESPONSE_MAX);
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        rest.read_until(b'\n', &mut line).await.map_err(broken)?;
        let line = String::from_utf8_lossy(&line);
        let Some((code, is_last, text)) = parsed(&line) else {
            return Err(Failure::Unreadable("no valid response".to_owned()));
        };
        lines.push(text.trim_end().to_owned());
        match code {
            200..=299 if is_last => return Ok(lines),
            _ if is_last => {
                let text = masked(&lines.join(" "), None);
                let at = Step::Greeting;
                return Err(Failure::Refused { at, code, text });
            }
            _ => {}
        }
    }
}

/// The code of a line, whether it is the last one of the response, and the rest.
fn parsed(line: &str) -> Option<(u16, bool, &str)> {
    let line = line.strip_suffix('\n')?;
    let code = line.get(..3)?.parse().ok()?;
    let after = line[3..].trim_end();
    match after.strip_prefix('-') {
        Some(text) => Some((code, false, text)),
        None => Some((code, true, after.trim_start())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_responses() {
        for (line, expected) in [
            ("220 mail.example\r\n", Some((220, true, "mail.example"))),
            ("250-STARTTLS\r\n", Some((250, false, "STARTTLS"))),
            ("250\r\n", Some((250, true, ""))),
            ("421 4.3.2 closing\n", Some((421, true, "4.3.2 closing"))),
            ("220 cut", None),
            ("hello\r\n", None),
            ("", None),
        ] {
            assert_eq!(parsed(line), expected, "{line:?}");
        }
    }
}
