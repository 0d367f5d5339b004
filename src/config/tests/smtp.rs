//! The settings of e-mail.

use super::*;
use crate::message::Channel;

const SERVER: (&str, &str) = ("PUNCTUAL_SMTP", "smtps://mail.example");
const FROM: (&str, &str) = ("PUNCTUAL_SMTP_FROM", "Example <hello@example.com>");

#[test]
fn email_needs_a_server_and_a_sender_and_is_beside_texts_or_alone() {
    let channels = |env: &[(&str, &str)]| load("", env).unwrap().channels();
    let beside = [REQUIRED, &[SERVER, FROM]].concat();
    assert_eq!(channels(&beside), [Channel::Sms, Channel::Email]);
    let alone = [REQUIRED[0], ("PUNCTUAL_PROVIDER", "smtp"), SERVER, FROM];
    assert_eq!(channels(&alone), [Channel::Email]);
    let secret = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==";
    let all = [&alone[..], &[("PUNCTUAL_WEBHOOK_SECRET", secret)]].concat();
    assert_eq!(channels(&all), [Channel::Email, Channel::Webhook]);
    let missing = "PUNCTUAL_SMTP_FROM is required";
    check("", &[SERVER], Err(missing));
    check(
        "",
        &[FROM],
        Err("PUNCTUAL_SMTP_FROM is set without PUNCTUAL_SMTP:"),
    );
    check(
        "",
        &[("PUNCTUAL_PROVIDER", "smtp"), FROM],
        Err("PUNCTUAL_SMTP is required"),
    );
    let server = |url| [("PUNCTUAL_SMTP", url), FROM];
    check(
        "",
        &server("smtp://mail.example"),
        Ok("server = \"smtp://mail.example:587\""),
    );
    check(
        "",
        &server("mail.example"),
        Err("expected smtp://HOST:PORT (STARTTLS"),
    );
    check(
        "",
        &server("smtp+plain://10.0.0.7"),
        Ok("server = \"smtp+plain://10.0.0.7:25\""),
    );
    check(
        "",
        &[SERVER, FROM],
        Ok("from = \"Example <hello@example.com>\""),
    );
    let from = |from| [SERVER, ("PUNCTUAL_SMTP_FROM", from)];
    check(
        "",
        &from("hello"),
        Err("PUNCTUAL_SMTP_FROM is not valid: expected an address like"),
    );
}

#[test]
fn a_password_comes_with_a_user_and_not_in_the_clear() {
    let (user, password) = (
        ("PUNCTUAL_SMTP_USER", "me"),
        ("PUNCTUAL_SMTP_PASSWORD", PASSWORD),
    );
    check(
        "",
        &[SERVER, FROM, user, password],
        Ok("password = \"***\""),
    );
    check(
        "",
        &[SERVER, FROM, user],
        Err("PUNCTUAL_SMTP_USER is set without PUNCTUAL_SMTP_PASSWORD"),
    );
    check(
        "",
        &[SERVER, FROM, password],
        Err("PUNCTUAL_SMTP_PASSWORD is set without PUNCTUAL_SMTP_USER"),
    );
    let in_the_clear = ("PUNCTUAL_SMTP", "smtp+plain://mail.example");
    let why = "PUNCTUAL_SMTP_PASSWORD is set, and PUNCTUAL_SMTP has no TLS";
    check("", &[in_the_clear, FROM, user, password], Err(why));
    let here = ("PUNCTUAL_SMTP", "smtp+plain://127.0.0.1:1025");
    check("", &[here, FROM, user, password], Ok("user = \"me\""));
    let url = ("PUNCTUAL_SMTP", "smtps://me:hunter3@mail.example");
    check(
        "",
        &[url, FROM],
        Err("PUNCTUAL_SMTP_USER and PUNCTUAL_SMTP_PASSWORD"),
    );
    let unsubscribe = |url| [SERVER, FROM, ("PUNCTUAL_UNSUBSCRIBE_URL", url)];
    let shown = "unsubscribe_url = \"https://a.example/{id}\"";
    check("", &unsubscribe("https://a.example/{id}"), Ok(shown));
    check(
        "",
        &unsubscribe("http://a.example"),
        Err("expected an https URL"),
    );
}

#[test]
fn an_account_has_an_smtp_server_of_its_own() {
    let table = "[accounts.news]\nprovider = \"smtp\"\nserver = \"smtp://news.example\"\nfrom = \"news@example.com\"\n";
    check(table, &[], Ok("server = \"smtp://news.example:587\""));
    let wrong = table.replace("smtp://", "");
    check(&wrong, &[], Err("accounts.news.server"));
}
