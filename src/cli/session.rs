//! A database session for a command.

use anyhow::Context;
use tokio_postgres::Client;

use crate::config::{self, Config, Sources};
use crate::message::{Capabilities, Channel, ProviderCapabilities, Sender};
use crate::provider;
use crate::store::Dsn;
use crate::store::forecast::Assumed;

/// The database that the settings name.
pub(super) fn dsn(sources: &Sources) -> anyhow::Result<Dsn> {
    config::database(sources)?
        .dsn()
        .context("DATABASE_URL is not valid")
}

/// The same for migrations, which take turns by a lock of their session.
pub(super) fn dsn_for_migrate(sources: &Sources) -> anyhow::Result<Dsn> {
    let dsn = dsn(sources)?;
    anyhow::ensure!(
        !dsn.is_polled(),
        "`punctual migrate` needs a session of its own, and with PUNCTUAL_CHANGES=poll there is none: run it with \
         PUNCTUAL_CHANGES=notify, and DATABASE_URL for a direct or session-mode connection (on Supabase port 5432)"
    );
    Ok(dsn)
}

/// The sender of rows that name none. Without valid settings there is none.
pub(super) fn default_sender(sources: &Sources) -> Option<Sender> {
    Config::load(sources).ok()?.default_sender
}

/// What a forecast assumes where no daemon has published its settings: these, or without valid ones the defaults and
/// providers for every channel.
pub(super) fn assumed(sources: &Sources) -> Assumed {
    assumed_of(Config::load(sources).ok().as_ref())
}

/// The same of these settings.
pub(super) fn assumed_of(config: Option<&Config>) -> Assumed {
    Assumed {
        rules: config.map(Config::rules).unwrap_or_default(),
        capabilities: config.map_or_else(of_every_channel, Config::capabilities),
        provider: provider::TEXTS,
    }
}

/// Providers for every channel.
fn of_every_channel() -> ProviderCapabilities {
    let of = |channel: Channel| match channel {
        Channel::Sms => provider::TEXTS,
        _ => Capabilities {
            media: channel.has_media(),
            ..Capabilities::SENDS_ONLY
        },
    };
    let all = Channel::UNDERSTOOD.into_iter();
    all.map(|channel| (channel, of(channel))).collect()
}

/// Does `work` within a session. If the connection is lost, the error is its cause.
pub(super) async fn with<T>(
    dsn: &Dsn,
    work: impl AsyncFnOnce(&Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    match dsn.with_session(work).await? {
        (Err(_), Some(lost)) => Err(lost.into()),
        (done, _) => done,
    }
}
