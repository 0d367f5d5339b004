//! The settings of push messages.

use super::*;
use crate::message::Channel;

/// Of RFC 8291, appendix A.
const PRIVATE: (&str, &str) = (
    "PUNCTUAL_VAPID_PRIVATE_KEY",
    "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw",
);
const PUBLIC: (&str, &str) = (
    "PUNCTUAL_VAPID_PUBLIC_KEY",
    "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
);
const SUBJECT: (&str, &str) = ("PUNCTUAL_VAPID_SUBJECT", "mailto:push@example.com");

#[test]
fn push_needs_a_pair_of_keys_and_an_address() {
    let channels = |env: &[(&str, &str)]| load("", env).unwrap().channels();
    let beside = [REQUIRED, &[PRIVATE, PUBLIC, SUBJECT]].concat();
    assert_eq!(channels(&beside), [Channel::Sms, Channel::Push]);
    let alone = [
        REQUIRED[0],
        ("PUNCTUAL_PROVIDER", "webpush"),
        PRIVATE,
        PUBLIC,
        SUBJECT,
    ];
    assert_eq!(channels(&alone), [Channel::Push]);
    let all = [PRIVATE, PUBLIC, SUBJECT];
    check("", &all, Ok("private_key = \"***\""));
    check("", &all, Ok("subject = \"mailto:push@example.com\""));
    let allow = ("PUNCTUAL_PUSH_ALLOW", "10.0.0.0/8");
    let shown = "push_allow = \"10.0.0.0/8\"";
    check("", &[PRIVATE, PUBLIC, SUBJECT, allow], Ok(shown));
    let missing = "PUNCTUAL_VAPID_PUBLIC_KEY is required";
    check("", &[PRIVATE, SUBJECT], Err(missing));
    let half = "PUNCTUAL_VAPID_SUBJECT is set without PUNCTUAL_VAPID_PRIVATE_KEY";
    check("", &[SUBJECT], Err(half));
    let subject = ("PUNCTUAL_VAPID_SUBJECT", "push@example.com");
    let wrong = "PUNCTUAL_VAPID_SUBJECT is not valid: expected a mailto: or https: URL";
    check("", &[PRIVATE, PUBLIC, subject], Err(wrong));
    let private = (PRIVATE.0, PASSWORD);
    let wrong = "PUNCTUAL_VAPID_PRIVATE_KEY is not valid: expected 32 bytes";
    check("", &[private, PUBLIC, SUBJECT], Err(wrong));
}

#[test]
fn an_account_has_keys_of_its_own() {
    let table = format!(
        "[accounts.shop]\nprovider = \"webpush\"\nprivate_key = \"{}\"\npublic_key = \"{}\"\nsubject = \"https://shop.example\"\n",
        PRIVATE.1, PUBLIC.1
    );
    check(&table, &[], Ok("subject = \"https://shop.example\""));
    let wrong = table.replace("https://", "");
    check(&wrong, &[], Err("accounts.shop.subject"));
}
