//! Connection strings: what is understood, ignored and refused.

mod libpq;

use std::time::Duration;

use super::defaults::{KEEPALIVE_IDLE, TCP_USER_TIMEOUT};
use super::*;

/// Without the variables of the environment that runs the tests.
fn alone(text: &str) -> Result<Dsn, DsnError> {
    Dsn::parse_in(text, |_| None)
}

/// What has been understood, in one line.
fn summary(dsn: &Dsn) -> String {
    let config = &dsn.config;
    format!(
        "{dsn} {} {} {}",
        config.get_user().unwrap_or("-"),
        config
            .get_password()
            .map_or("-".into(), String::from_utf8_lossy),
        dsn.sslmode()
    )
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let dsn = alone(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(summary(&dsn), expected, "{text}");
    let shown = format!("{dsn} {dsn:?} {:?}", dsn.config);
    assert!(!shown.contains("secret"), "{shown}");
}

/// Every refusal says `why`, and no refusal repeats a piece of the password.
#[track_caller]
fn refused(text: &str, why: &str) {
    let error = alone(text).expect_err(text);
    let said = format!("{error} {error:?}");
    assert!(said.contains(why), "{text}: {said}");
    for piece in ["secret", "pieces", text] {
        assert!(text.is_empty() || !said.contains(piece), "{text}: {said}");
    }
}

#[test]
fn both_forms_are_read() {
    check(
        "postgres://ann:secret@db.example.com:6000/app",
        "db.example.com:6000/app ann secret require",
    );
    check("postgresql://ann@db/app", "db:5432/app ann - require");
    check(
        "postgres://a%40b:se%3Acret%2F%25@[::1]:6000/my%20app",
        "[::1]:6000/my app a@b se:cret/% prefer",
    );
    check(
        "postgres://ann:it's%20\\secret@one,two:6000/app",
        "one:5432,two:6000/app ann it's \\secret require",
    );
    check(
        "host=db port=6000 user=ann password='a secret\\'s' dbname = app",
        "db:6000/app ann a secret's require",
    );
    check(
        "postgres:///app?host=/run/pg",
        "/run/pg:5432/app - - prefer",
    );
    check(
        "postgres://ann:sec?ret/@db/app",
        "db:5432/app ann sec?ret/ require",
    );
    check(
        "hostaddr=127.0.0.1 dbname=app",
        "127.0.0.1:5432/app - - prefer",
    );
}

#[test]
fn sslmode_goes_from_disable_to_verify_full() {
    for (word, mode) in [
        ("disable", "disable"),
        ("allow", "prefer"),
        ("prefer", "prefer"),
        ("require", "require"),
    ] {
        let text = format!("postgres://u@db/app?sslmode={word}");
        check(&text, &format!("db:5432/app u - {mode}"));
    }
    refused("postgres://u@db/app?sslmode=on", "verify-full");
}

#[test]
fn a_root_is_read_at_once_and_never_checked_weakly() {
    refused(
        "postgres://u@db/app?sslmode=verify-full&sslrootcert=/no/such.crt",
        "/no/such.crt",
    );
    refused(
        "postgres://u@db/app?sslmode=verify-ca&sslrootcert=/dev/null",
        "no certificate",
    );
    refused(
        "postgres://u@db/app?sslmode=require&sslrootcert=system",
        "verify-full",
    );
    refused("postgres://u@db/app?sslcert=x.pem", "client certificates");
}

#[test]
fn what_poolers_and_orms_add_does_no_harm() {
    check(
        "postgres://u@db/app?pgbouncer=true&connection_limit=1&supa=base-pooler.x&sslmode=disable",
        "db:5432/app u - disable",
    );
    let warns = |text: &str| alone(text).unwrap().pooler_warning().is_some();
    assert!(warns("postgres://u@db/app?pgbouncer=true"));
    assert!(warns("postgres://u@db:6543/app"));
    assert!(!warns("postgres://u@db:5432/app"));
}

#[test]
fn a_half_open_socket_is_noticed_within_seconds_unless_set_otherwise() {
    let config = alone("postgres://u@db/app").unwrap().config;
    assert_eq!(config.get_application_name(), Some("punctual"));
    assert_eq!(config.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
    assert_eq!(config.get_keepalives_idle(), KEEPALIVE_IDLE);
    assert_eq!(config.get_tcp_user_timeout(), Some(&TCP_USER_TIMEOUT));

    let own = "postgres://u@db/app?application_name=x&connect_timeout=9&keepalives_idle=60\
               &keepalives_count=7&tcp_user_timeout=1500";
    let config = alone(own).unwrap().config;
    assert_eq!(config.get_application_name(), Some("x"));
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(9)));
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(60));
    assert_eq!(config.get_keepalives_retries(), Some(7));
    assert_eq!(
        config.get_tcp_user_timeout(),
        Some(&Duration::from_millis(1500)),
        "libpq's unit"
    );
}

#[test]
fn a_mistyped_one_is_refused_without_repeating_it() {
    refused("", "expected postgres://");
    refused("mysql://u:secret@db/app", "expected postgres://");
    refused("secret", "expected postgres://");
    refused("postgres://u:secret@pieces@db/app", "percent-encoded");
    refused("postgres://u:secret%zz@db/app", "percent-encoded");
    refused("postgres://u:secret/pieces", "port");
    refused("postgres://u:pieces#secret", "port");
    refused("postgres://u:s@db:secret/app", "port");
    refused("postgres://u:s@se cret/app", "percent-encoded");
    refused("postgres://u:s@/app", "no host");
    refused("user=u dbname=app", "no host");
    refused("host=db password='secret", "expected postgres://");
    refused("host=db password=the secret=pieces", "single quotes");
    refused("postgres://u:s@db/app?ssl_mode=require", "\"ssl_mode\"");
    refused(
        "postgres://u:s@db/app?connect_timeout=soon",
        "connect_timeout",
    );
    refused("postgres://u:s@db/app?hostaddr=here", "IP address");
    refused("postgres://u:s@db/app?tcp_user_timeout=1s", "milliseconds");
}
