//! Defaults for what a connection string does not set.

use std::time::Duration;

use tokio_postgres::Config;

/// How long one address may take to accept a connection. Override: `connect_timeout=SECONDS`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A silent connection is probed after this long …
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);

/// … and again this often …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// … and given up after so many probes: a listener whose connection was cut without notice detects
/// that in about 11 s, where the kernel's own default is two hours.
const KEEPALIVE_RETRIES: u32 = 3;

/// How long written bytes may stay unacknowledged (Linux). The same for a statement that is
/// being sent into a dead connection; there the default is a quarter of an hour.
pub(super) const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sets what the URL did not set itself.
pub(super) fn set(config: &mut Config, user_timeout: Option<Duration>, name: Option<&str>) {
    if config.get_application_name().is_none() {
        config.application_name(name.unwrap_or("punctual"));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    let unset = Config::new();
    if config.get_keepalives_idle() == unset.get_keepalives_idle() {
        config.keepalives_idle(KEEPALIVE_IDLE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(KEEPALIVE_INTERVAL);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(KEEPALIVE_RETRIES);
    }
    config.tcp_user_timeout(user_timeout.unwrap_or(TCP_USER_TIMEOUT));
}
