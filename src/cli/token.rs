//! `punctual token`: prints a token of the HTTP API, or the path of the Unix socket.

use std::io::{IsTerminal as _, stdout};
use std::net::SocketAddr;

use anyhow::Context;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

use super::{ask, output};
use crate::config::{Sources, debug_endpoint};
use crate::http::TokenKind;

const EXAMPLE: &str = "\
Example:
  curl -H \"authorization: Bearer $(punctual token)\" http://127.0.0.1:8080/debug/timers
  curl --unix-socket \"$(punctual token --socket)\" http://punctual/debug/timers

The settings are those of the daemon, PUNCTUAL_STATE_DIR and PUNCTUAL_HTTP_ADDR above all.
By the socket, which only the daemon's user can open, no token is needed.";

/// Print the token of the daemon here: the one that is set, or that it made when it started.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    #[arg(
        long,
        conflicts_with = "socket",
        help = "Print the token that also permits changes (PUNCTUAL_OPERATOR_TOKEN)"
    )]
    operator: bool,

    /// Print the path of the daemon's Unix socket instead
    #[arg(long)]
    socket: bool,
}

pub(super) fn run(args: &Args, sources: &Sources) -> anyhow::Result<()> {
    let endpoint = debug_endpoint(sources)?;
    if args.socket {
        return output::print(&format!("{}\n", endpoint.runtime.socket().display()));
    }
    let kind = if args.operator {
        TokenKind::Operator
    } else {
        TokenKind::Debug
    };
    let token = endpoint.token(kind)?.with_context(|| {
        format!(
            "{} is not set, and there is no token in {}: `punctual run` makes one when it starts",
            kind.setting(),
            endpoint.runtime.token_file(kind).display()
        )
    })?;
    output::print(&format!("{}\n", token.expose_secret()))?;
    if kind == TokenKind::Debug && stdout().is_terminal() {
        let link = link(endpoint.addr, &token)?;
        output::remark(&format!("the live page: {link}"));
    }
    Ok(())
}

/// The login address for a browser on this machine. For a terminal only: it contains the token.
pub(super) fn link(addr: SocketAddr, token: &SecretString) -> anyhow::Result<Url> {
    let mut link = ask::base(addr)?;
    link.set_path("/login");
    link.query_pairs_mut()
        .append_pair("token", token.expose_secret());
    Ok(link)
}
