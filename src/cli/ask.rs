//! Requests to a running daemon over HTTP, for the commands that show its state.

use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};

/// A daemon responds at once, or reports within two seconds that it cannot; a person at a terminal
/// should not wait much longer for one that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most characters of an error response that are shown; the server may not be a daemon.
const REFUSAL_MAX: usize = 300;

/// The URL of a daemon, and the token it requires.
pub(super) struct Daemon {
    pub(super) base: Url,
    token: Option<SecretString>,
}

impl Daemon {
    /// At a URL.
    pub(super) const fn new(base: Url, token: Option<SecretString>) -> Self {
        Self { base, token }
    }

    /// At its listening address; for a wildcard address, at the loopback one.
    pub(super) fn at(addr: SocketAddr, token: Option<SecretString>) -> anyhow::Result<Self> {
        let ip = match addr.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let addr = SocketAddr::new(ip, addr.port());
        let base = format!("http://{addr}")
            .parse()
            .with_context(|| format!("{addr} is not a usable address"))?;
        Ok(Self { base, token })
    }

    /// Its response for this path.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<(StatusCode, String)> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = client()?.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let base = &self.base;
        let response = request.send().await.map_err(|e| {
            let cause = why(&e.without_url());
            anyhow::anyhow!(
                "no daemon at {base} ({cause}): start one with `punctual run`, or pass its \
                     address by --url or PUNCTUAL_HTTP_ADDR"
            )
        })?;
        let status = response.status();
        let body = response
            .text()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("the response of {base} is incomplete"))?;
        Ok((status, body))
    }
}

/// Without redirects and proxies, so a token reaches only the daemon.
pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    // Fails only if one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .context("cannot build an HTTP client")
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

pub(super) fn http_url(text: &str) -> Result<Url, String> {
    text.parse()
        .ok()
        .filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "expected a URL like http://127.0.0.1:8080".into())
}
