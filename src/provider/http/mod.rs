//! What all providers that are reached by HTTP share: a client that never repeats a request by itself, and the
//! proof of what was not sent.
//!
//! No retries, no redirects (a 307 would post again), and no proxy from the environment. HTTP/1.1 only: with it a
//! broken connection makes one outcome uncertain, not all in flight.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::{Body, Client, Request, Response, redirect, retry};
use rustls::{ClientConfig, RootCertStore};

use self::handoff::Form;

pub(super) mod date;
pub(super) mod deadline;
pub(super) mod endpoint;
pub(super) mod guard;
pub(super) mod handoff;
pub(super) mod retry_after;
pub(super) mod tidy;

/// How long an unused connection is kept: below the limit of servers and load balancers (60 s is
/// common), so that the client closes it. A request on a connection that the server has just closed
/// would have an uncertain outcome. Prewarming opens new ones shortly before messages are due.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There are no root certificates to verify the server's certificate with.
    #[error(
        "no root certificates on this machine: install the package ca-certificates, or name a \
         file in SSL_CERT_FILE"
    )]
    NoRoots,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// A client that keeps this many unused connections to a host, with a resolver of names of its own, if there is one.
pub(super) fn client(
    tls: ClientConfig,
    idle: usize,
    resolver: Option<Arc<dyn Resolve>>,
) -> Result<Client, ClientError> {
    // Without a deadline of its own: each kind of request has one.
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        // hyper retries in one case: if it finds an idle connection closed before it has written anything,
        // it uses another one. The form has not been handed over then.
        .retry(retry::never())
        .referer(false)
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(idle)
        .user_agent(concat!("punctual/", env!("CARGO_PKG_VERSION")));
    let builder = match resolver {
        Some(resolver) => builder.dns_resolver(resolver),
        None => builder,
    };
    builder.build().map_err(ClientError::Client)
}

/// TLS by ring with the machine's root certificates (or those of `SSL_CERT_FILE`), as a complete
/// configuration, so that the client uses no process-wide default. Plain http needs no roots.
pub(super) fn tls(is_used: bool) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    if is_used {
        // Single unreadable certificates are common in system stores and of no consequence.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(ClientError::NoRoots);
        }
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The whole body, or why it cannot be read.
pub(super) async fn whole(response: &mut Response, longest: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= longest => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Err(format!("the response is longer than {longest} bytes")),
            Ok(None) => return Ok(body),
            Err(error) => return Err(format!("the response broke off: {}", root(&error))),
        }
    }
}

/// A request of this template with this body.
pub(super) fn with_body(template: &Request, form: Form) -> Request {
    let mut request = copy(template);
    *request.body_mut() = Some(Body::wrap(form));
    request
}

/// `Request::try_clone` refuses bodies that cannot be cloned; a template has none.
pub(super) fn copy(template: &Request) -> Request {
    let mut request = Request::new(template.method().clone(), template.url().clone());
    request.headers_mut().clone_from(template.headers());
    *request.timeout_mut() = template.timeout().copied();
    request
}

/// The step of a request that was not sent, if that is all that is known.
pub(super) const NOT_BEGUN: &str = "the request was not begun";

/// The step at which a request failed that was not sent.
pub(super) fn step(error: &reqwest::Error) -> &'static str {
    if error.is_dns() {
        "the host name was not resolved"
    } else if error.is_connect() {
        "no connection"
    } else {
        NOT_BEGUN
    }
}

/// The innermost cause: the outer ones repeat the URL and add little.
pub(super) fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    // An error without a cause would show its URL.
    if cause.is::<reqwest::Error>() {
        return "the client refused it".into();
    }
    tidy::tidy(&cause.to_string())
}
