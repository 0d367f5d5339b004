//! Requests to a running daemon over HTTP, for the commands that show its state: over its Unix socket,
//! which needs no token, or at its address.

use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::UnixStream;

use crate::config::DebugEndpoint;
use crate::http::TokenKind;

/// A daemon accepts a connection at once.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// It responds at once too, or reports within seconds that it cannot; on a busy machine each takes longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A stream without events has a comment every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(40);

/// The most characters of an error response that are shown; the server may not be a daemon.
const REFUSAL_MAX: usize = 300;

/// The URL of a daemon, and the token it requires.
pub(super) struct Daemon {
    base: Url,
    /// Where the way there is a socket in the file system.
    socket: Option<PathBuf>,
    token: Option<SecretString>,
    patience: Duration,
}

impl Daemon {
    /// At a URL.
    pub(super) const fn new(base: Url, token: Option<SecretString>) -> Self {
        Self {
            base,
            socket: None,
            token,
            patience: PATIENCE,
        }
    }

    /// The one of these settings: by its socket where it can be opened, else at its address.
    pub(super) async fn here(endpoint: &DebugEndpoint) -> anyhow::Result<Self> {
        let socket = endpoint.runtime.socket();
        if endpoint.runtime.is_trusted() && UnixStream::connect(&socket).await.is_ok() {
            let mut daemon = Self::new(Url::parse("http://punctual/")?, None);
            daemon.socket = Some(socket);
            return Ok(daemon);
        }
        // One that cannot be read may not be needed.
        let token = endpoint.token(TokenKind::Debug).unwrap_or_default();
        Ok(Self::new(base(endpoint.addr)?, token))
    }

    /// Its response for this path.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<(StatusCode, String)> {
        let response = self
            .request(builder(self.patience, &self.base), path, query)
            .await?;
        let status = response.status();
        let body = response
            .text()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("the response of {self} is incomplete"))?;
        Ok((status, body))
    }

    /// Its response for this path, which goes on.
    pub(super) async fn open(&self, path: &[&str]) -> anyhow::Result<reqwest::Response> {
        let client = open_ended(&self.base)
            .connect_timeout(CONNECT_PATIENCE)
            .read_timeout(SILENCE_MAX);
        self.request(client, path, &[]).await
    }

    async fn request(
        &self,
        mut client: reqwest::ClientBuilder,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<reqwest::Response> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        if let Some(socket) = &self.socket {
            client = client.unix_socket(socket.as_path());
        }
        let mut request = built(client)?.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        request.send().await.map_err(|e| {
            if e.is_timeout() && !e.is_connect() {
                return anyhow::anyhow!(
                    "the daemon at {self} has not responded in time: it is busy, or it hangs; try again, and see its log"
                );
            }
            let cause = why(&e.without_url());
            anyhow::anyhow!(
                "no daemon at {self} ({cause}): start one with `punctual run`, or pass its \
                     address by --url or PUNCTUAL_HTTP_ADDR"
            )
        })
    }
}

impl std::fmt::Display for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.socket {
            Some(socket) => socket.display().fmt(f),
            None => self.base.fmt(f),
        }
    }
}

/// The URL of a listening address; of a wildcard address, the loopback one.
pub(super) fn base(addr: SocketAddr) -> anyhow::Result<Url> {
    let ip = match addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let addr = SocketAddr::new(ip, addr.port());
    format!("http://{addr}")
        .parse()
        .with_context(|| format!("{addr} is not a usable address"))
}

/// For a request to this URL.
pub(super) fn client(to: &Url) -> anyhow::Result<reqwest::Client> {
    built(builder(PATIENCE, to))
}

/// Without redirects and proxies, so a token reaches only the daemon.
fn builder(patience: Duration, to: &Url) -> reqwest::ClientBuilder {
    open_ended(to)
        .connect_timeout(CONNECT_PATIENCE)
        .timeout(patience)
}

/// Plain HTTP needs no certificates, which a container's image may lack.
fn open_ended(to: &Url) -> reqwest::ClientBuilder {
    // Fails only if one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    if to.scheme() == "http" {
        builder.tls_certs_only([])
    } else {
        builder
    }
}

fn built(builder: reqwest::ClientBuilder) -> anyhow::Result<reqwest::Client> {
    builder.build().context("cannot build an HTTP client")
}

/// The start of an error response, its lines joined, safe for a terminal.
pub(super) fn sentence(body: &str) -> String {
    let lines: Vec<&str> = body
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    lines
        .join("; ")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(REFUSAL_MAX)
        .collect()
}

/// The innermost cause, which is the informative one.
pub(super) fn why(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.source().is_none() {
        return error.to_string();
    }
    cause.to_string()
}

/// Which daemon a command asks.
#[derive(Debug, clap::Args)]
pub(super) struct At {
    #[arg(
        long,
        help = "URL of the daemon [default: the daemon of these settings]"
    )]
    #[arg(value_name = "URL", value_parser = http_url)]
    pub(super) url: Option<Url>,
}

impl At {
    /// That daemon. At a URL with a token that was set: one that was made is for the daemon that made it.
    pub(super) async fn daemon(&self, endpoint: &DebugEndpoint) -> anyhow::Result<Daemon> {
        match &self.url {
            Some(url) => Ok(Daemon::new(url.clone(), endpoint.set_token().cloned())),
            None => Daemon::here(endpoint).await,
        }
    }
}

fn http_url(text: &str) -> Result<Url, String> {
    text.parse()
        .ok()
        .filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "expected a URL like http://127.0.0.1:8080".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To start another daemon would be the wrong advice.
    #[tokio::test]
    async fn a_daemon_that_does_not_respond_is_not_called_absent() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut daemon = Daemon::new(base(silent.local_addr().unwrap()).unwrap(), None);
        daemon.patience = Duration::from_millis(50);
        let said = daemon.get(&["readyz"], &[]).await.unwrap_err().to_string();
        assert!(said.contains("has not responded in time"), "{said}");
        drop(silent);
        let said = daemon.get(&["readyz"], &[]).await.unwrap_err().to_string();
        assert!(said.contains("no daemon at"), "{said}");
    }
}
