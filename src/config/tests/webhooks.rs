//! The settings of webhooks.

use super::*;
use crate::message::Channel;

#[test]
fn webhooks_need_a_secret_and_stand_beside_texts_or_alone() {
    const SECRET: &str = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==";
    let (secret, allow) = ("PUNCTUAL_WEBHOOK_SECRET", "PUNCTUAL_WEBHOOK_ALLOW");
    let channels = |env: &[(&str, &str)]| {
        let config = load("", env).unwrap();
        assert!(!format!("{config:?}{}", config.to_toml()).contains("aHVudGVy"));
        config.channels()
    };
    let beside = [REQUIRED, &[(secret, SECRET)]].concat();
    assert_eq!(channels(&beside), [Channel::Sms, Channel::Webhook]);
    let alone = [
        REQUIRED[0],
        ("PUNCTUAL_PROVIDER", "webhook"),
        (secret, SECRET),
    ];
    assert_eq!(channels(&alone), [Channel::Webhook]);
    env(
        "PUNCTUAL_PROVIDER",
        "webhook",
        Err("PUNCTUAL_WEBHOOK_SECRET is required"),
    );
    env(
        allow,
        "10.0.0.0/8",
        Err("PUNCTUAL_WEBHOOK_ALLOW is set without PUNCTUAL_WEBHOOK_SECRET"),
    );
    let with = |value| [(secret, SECRET), (allow, value)];
    check(
        "",
        &with("jobs.internal 10.1.0.0/16"),
        Ok("allow = \"jobs.internal, 10.1.0.0/16\""),
    );
    check("", &with("http://jobs"), Err("is none of these"));
    let (urls, of) = ("PUNCTUAL_WEBHOOK_URLS", "report = https://a.example/r");
    env(
        urls,
        of,
        Err("PUNCTUAL_WEBHOOK_URLS is set without PUNCTUAL_WEBHOOK_SECRET"),
    );
    let with = |value| [(secret, SECRET), (urls, value)];
    check("", &with(of), Ok("urls = \"report = https://a.example/r\""));
    check(
        "",
        &with("report = a.example/hunter2"),
        Err("PUNCTUAL_WEBHOOK_URLS is not valid: expected TYPE = URL"),
    );
    for unusable in ["hunter2", "whsec_hunter2", "whsec_aHVudGVyMg=="] {
        env(
            secret,
            unusable,
            Err("PUNCTUAL_WEBHOOK_SECRET is not valid: expected whsec_ and "),
        );
    }
    let file = format!("[webhook]\nsecret = \"{SECRET}\"\nallow = \"localhost\"");
    check(&file, &[], Ok("allow = \"localhost\""));
}

#[test]
fn each_job_type_has_a_table_with_its_url() {
    const SECRET: &str = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==";
    let secret = [("PUNCTUAL_WEBHOOK_SECRET", SECRET)];
    let shown = "job_urls = \"brief = https://a.example/b | sync = https://a.example/s\"";
    let tables =
        "[jobs.brief]\nurl = \"https://a.example/b\"\n[jobs.sync]\nurl = \"https://a.example/s\"";
    check(tables, &secret, Ok(shown));
    check(shown, &secret, Ok(shown));
    check(tables, &[], Err("set PUNCTUAL_WEBHOOK_SECRET"));
    for (wrong, expected) in [
        (
            "jobs = 1",
            "a table for each type, [jobs.TYPE], with its url",
        ),
        (
            "[jobs]\nbrief = \"x\"",
            "a table for each type, [jobs.TYPE], with its url",
        ),
        ("[jobs.brief]", "jobs.brief.url"),
        ("[jobs.brief]\nurl = \"hunter2\"", "expected TYPE = URL"),
        (
            "[jobs.brief]\nurl = \"https://a.example\"\nsecret = \"x\"",
            "jobs.brief.secret",
        ),
        // Read as one setting they would be other types and URLs.
        (
            "[jobs.\"a = https://b.example | c\"]\nurl = \"https://a.example\"",
            "a type without | and =",
        ),
        (
            "[jobs.brief]\nurl = \"https://a.example/?x | sync = https://b.example\"",
            "a URL without |",
        ),
        (
            "job_urls = \"sync = https://a.example\"\n[jobs.brief]\nurl = \"https://a.example\"",
            "expected either this, or [jobs.TYPE]",
        ),
    ] {
        check(wrong, &secret, Err(expected));
    }
}
