//! `punctual timers`: what a running daemon holds armed.

mod table;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};

use super::output;
use crate::config::{Sources, debug_endpoint};

/// A daemon answers at once or says within two seconds that it cannot; a person at a terminal
/// should not wait much longer for one that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest sentence of a refusal that is repeated; whatever answers may not be a daemon.
const REFUSAL_MAX: usize = 300;

const EXAMPLE: &str = "\
Example:
  punctual timers --limit 20
  punctual timers --json | jq '.timers[0]'

Asks the daemon at PUNCTUAL_HTTP_ADDR, with PUNCTUAL_DEBUG_TOKEN if that is set.
Times are in this machine's time zone; --json has them in UTC.";

/// Shows the timers that a running daemon holds armed, the earliest due first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    #[arg(
        long,
        help = "Where the daemon answers [default: http:// and PUNCTUAL_HTTP_ADDR]"
    )]
    #[arg(value_name = "URL", value_parser = http_url)]
    url: Option<Url>,

    /// Prints the daemon's answer as it is
    #[arg(long)]
    json: bool,

    /// At most so many timers
    #[arg(long, default_value_t = 100, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    limit: u32,
}

fn http_url(text: &str) -> Result<Url, String> {
    text.parse()
        .ok()
        .filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| "expected a URL like http://127.0.0.1:8080".into())
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let endpoint = debug_endpoint(sources)?;
    let base = match args.url {
        Some(url) => url,
        None => reachable(endpoint.addr)?,
    };
    let body = ask(&base, args.limit, endpoint.token.as_ref()).await?;
    if args.json {
        return output::print(&(body + "\n"));
    }
    let answer: table::Answer = serde_json::from_str(&body)
        .with_context(|| format!("{base} does not answer like a daemon of this version"))?;
    output::print(&table::render(&answer, &jiff::tz::TimeZone::system()))
}

/// The URL of an address one listens on: where that is "all", this machine is one of them.
fn reachable(addr: SocketAddr) -> anyhow::Result<Url> {
    let ip = match addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let addr = SocketAddr::new(ip, addr.port());
    format!("http://{addr}")
        .parse()
        .with_context(|| format!("{addr} is no place to ask"))
}

async fn ask(base: &Url, limit: u32, token: Option<&SecretString>) -> anyhow::Result<String> {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["debug", "timers"]);
    }
    url.query_pairs_mut()
        .append_pair("limit", &limit.to_string());
    let mut request = client()?.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let response = request
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| {
            format!(
                "no daemon answers at {base}: start one with `punctual run`, or say where it is \
                 with --url or PUNCTUAL_HTTP_ADDR"
            )
        })?;
    let status = response.status();
    let body = response
        .text()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("the answer of {base} broke off"))?;
    if status != StatusCode::OK {
        bail!("{base} answers {}: {}", status.as_u16(), sentence(&body));
    }
    Ok(body)
}

/// No redirects and no proxy: the token goes to the daemon and nowhere else.
fn client() -> anyhow::Result<reqwest::Client> {
    // Fails only where one is installed already, which does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .context("cannot build an HTTP client")
}

/// The start of a refusal, fit for a terminal.
fn sentence(body: &str) -> String {
    body.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(REFUSAL_MAX)
        .collect()
}
