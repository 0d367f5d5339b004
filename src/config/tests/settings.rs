//! What each setting takes.

use super::*;

#[test]
fn the_defaults_are_those_of_the_interface() {
    for line in [
        "schema = \"public\"",
        "http_addr = \"127.0.0.1:8080\"",
        "provider = \"twilio\"",
        "horizon = \"1h\"",
        "lead = \"auto\"",
        "max_in_flight = 256",
        "send_timeout = \"10s\"",
        "lease = \"30s\"",
        "in_doubt = \"hold\"",
        "max_lateness = \"1h\"",
        "timezone = \"UTC\"",
        "business_hours = \"off\"",
        "hours_by_type = \"none\"",
        "hours_by_campaign = \"none\"",
        "urgent_passes_quiet_hours = false",
        "limit_source = \"punctual\"",
        "other_numbers = \"send\"",
        "missing_events = \"refuse\"",
        "retry_carrier = false",
        "part_separator = \"[BUBBLE]\"",
        "part_gap = \"1s 500ms\"",
        "validate = \"warn\"",
        "retention = \"90days\"",
        "log = \"info\"",
        "log_format = \"text\"",
        "api_base_url = \"https://api.twilio.com/\"",
    ] {
        file("", Ok(line));
    }
    let config = load("", REQUIRED).unwrap();
    assert!(config.default_sender.is_none());
    assert!(config.http.public_url.is_none() && config.http.debug_token.is_none());
}

#[test]
fn durations_have_units_and_bounds() {
    let horizon = "PUNCTUAL_HORIZON";
    env(horizon, "10s", Ok("horizon = \"10s\""));
    env(horizon, "60m", Ok("horizon = \"1h\""));
    for unusable in ["9s", "61m", "3600", "-1s", "soon", "0"] {
        env(horizon, unusable, Err("from 10s to 1h"));
    }
    env(horizon, "9s", Err("PUNCTUAL_HORIZON is not valid (\"9s\")"));
    file("horizon = \"9s\"", Err("horizon in "));
    file("horizon = 3600", Err("a duration with its unit"));

    env("PUNCTUAL_LEAD", "50ms", Ok("lead = \"50ms\""));
    env("PUNCTUAL_LEAD", "0s", Ok("lead = \"0s\""));
    env("PUNCTUAL_LEAD", "51ms", Err("auto, or a duration"));
    env("PUNCTUAL_LEAD", "never", Err("auto, or a duration"));

    env(
        "PUNCTUAL_MAX_LATENESS",
        "1day",
        Ok("max_lateness = \"1day\""),
    );
    env("PUNCTUAL_MAX_LATENESS", "0s", Err("PUNCTUAL_MAX_LATENESS"));
    env("PUNCTUAL_SEND_TIMEOUT", "1ms", Err("PUNCTUAL_SEND_TIMEOUT"));
}

#[test]
fn a_lease_outlives_its_sends() {
    env("PUNCTUAL_LEASE", "20050ms", Ok("lease = \"20s 50ms\""));
    env(
        "PUNCTUAL_LEASE",
        "20049ms",
        Err("at least twice that and 50ms, which is 20s 50ms"),
    );
    env("PUNCTUAL_SEND_TIMEOUT", "15s", Err("PUNCTUAL_LEASE is 30s"));
    let both = [
        ("PUNCTUAL_SEND_TIMEOUT", "1s"),
        ("PUNCTUAL_LEASE", "2050ms"),
    ];
    check("", &both, Ok("lease = \"2s 50ms\""));
}

#[test]
fn numbers_names_and_words() {
    let in_flight = "PUNCTUAL_MAX_IN_FLIGHT";
    env(in_flight, "1", Ok("max_in_flight = 1"));
    env(in_flight, "10000", Ok("max_in_flight = 10000"));
    for unusable in ["0", "10001", "-1", "many", "1.5"] {
        env(in_flight, unusable, Err("an integer from 1 to 10000"));
    }
    env(
        "PUNCTUAL_TIMEZONE",
        "Europe/Berlin",
        Ok("timezone = \"Europe/Berlin\""),
    );
    env("PUNCTUAL_TIMEZONE", "Mars/Olympus", Err("IANA"));
    env(
        "RUST_LOG",
        "warn,punctual=debug",
        Ok("log = \"punctual=debug,warn\""),
    );
    env("RUST_LOG", "punctual=loud", Err("RUST_LOG is not valid"));
    env("PUNCTUAL_LOG_FORMAT", "json", Ok("log_format = \"json\""));
    env("PUNCTUAL_LOG_FORMAT", "xml", Err("text or json"));
    file("horizon = true", Err("a duration with its unit"));
    let kinds = "a string, an integer, true or false";
    file("[horizon]\nx = 1", Err(kinds));
    file("horizon = 1.5", Err(kinds));
}

#[test]
fn what_the_policy_goes_by() {
    let hours = "PUNCTUAL_BUSINESS_HOURS";
    env(hours, "off", Ok("business_hours = \"off\""));
    env(
        hours,
        "mon-fri  09:00-20:00",
        Ok("business_hours = \"mon-fri 09:00-20:00\""),
    );
    env(
        hours,
        "weekdays",
        Err("\"weekdays\" is neither days (mon, mon-fri) nor hours"),
    );
    let by_type = "PUNCTUAL_HOURS_BY_TYPE";
    let two = Ok("hours_by_type = \"event_reminder = off | invoice = mon-fri 08:00-18:00\"");
    env(
        by_type,
        "invoice=mon-fri 08:00-18:00|event_reminder=off",
        two,
    );
    file(
        "hours_by_type = 'event_reminder = off | invoice = mon-fri 08:00-18:00'",
        two,
    );
    env(by_type, "none", Ok("hours_by_type = \"none\""));
    let by_campaign = "PUNCTUAL_HOURS_BY_CAMPAIGN";
    let of_one = "5F0C1C9E-0000-4000-8000-000000000001=mon-fri 10:00-16:00";
    let one = "hours_by_campaign = \"5f0c1c9e-0000-4000-8000-000000000001 = mon-fri 10:00-16:00\"";
    env(by_campaign, of_one, Ok(one));
    env(
        by_campaign,
        "summer = off",
        Err("\"summer\" is not the id of a campaign, a UUID"),
    );
    env(by_type, "invoice", Err("\"invoice\" is not TYPE = HOURS"));
    env(by_type, "= off", Err("is not TYPE = HOURS"));
    env(by_type, "a = off | a = off", Err("\"a\" is named twice"));
    env(
        by_type,
        "a = daily",
        Err("the hours of a: \"daily\" is neither days"),
    );
    env(
        by_type,
        "a =",
        Err("the hours of a: it has no days and hours"),
    );
    let urgent = "PUNCTUAL_URGENT_PASSES_QUIET_HOURS";
    let passes = Ok("urgent_passes_quiet_hours = true");
    env(urgent, "true", passes);
    file("urgent_passes_quiet_hours = true", passes);
    env(urgent, "maybe", Err("true or false"));
    env("PUNCTUAL_LIMIT_SOURCE", "app", Ok("limit_source = \"app\""));
    env("PUNCTUAL_LIMIT_SOURCE", "both", Err("punctual or app"));
    env("PUNCTUAL_SCHEMA", "My app", Ok("schema = \"My app\""));
    env("PUNCTUAL_SCHEMA", "\"My app\"", Err("not quoted"));
    env("PUNCTUAL_SCHEMA", "punctual", Err("own schemas"));
    let separator = "PUNCTUAL_PART_SEPARATOR";
    env(separator, " <next> ", Ok("part_separator = \"<next>\""));
    env(separator, "", Ok("part_separator = \"\""));
    file("part_separator = ' '", Ok("part_separator = \"\""));
    env(separator, "a\nb", Err("without line breaks"));
    env(separator, &"x".repeat(65), Err("at most 64 characters"));
    env("PUNCTUAL_PART_GAP", "0s", Ok("part_gap = \"0s\""));
    env("PUNCTUAL_PART_GAP", "61s", Err("from 0s to 1m"));
    env("PUNCTUAL_VALIDATE", "refuse", Ok("validate = \"refuse\""));
    env("PUNCTUAL_VALIDATE", "strict", Err("warn or refuse"));
    // The zone of the settings is the one that messages are judged by.
    let set = [
        ("PUNCTUAL_TIMEZONE", "europe/berlin"),
        (hours, "mon 09:00-10:00"),
    ];
    let rules = load("", &[REQUIRED, &set].concat()).unwrap().rules();
    assert_eq!(rules.timezone.iana_name(), Some("Europe/Berlin"));
    assert!(rules.business_hours.is_some() && !rules.urgent_passes_quiet_hours);
}

#[test]
fn the_directory_of_the_journal() {
    env(
        "PUNCTUAL_STATE_DIR",
        "/var/lib/punctual",
        Ok("state_dir = \"/var/lib/punctual\""),
    );
    env(
        "PUNCTUAL_STATE_DIR",
        "/",
        Err("a directory like /var/lib/punctual, or off"),
    );
    env("PUNCTUAL_STATE_DIR", "off", Ok("state_dir = \"off\""));
}

#[test]
fn without_a_setting_the_environment_names_the_directory_of_the_journal() {
    let home = TempDir::new().unwrap();
    let home = home.path().to_str().unwrap();
    let of = |env: &[(&str, &str)]| {
        let env: Vec<_> = REQUIRED.iter().chain(env).copied().collect();
        let config = load("", &env).unwrap();
        // The socket and the tokens stay where commands look for them.
        assert!(matches!(config.http.runtime, RuntimeDir::User { .. }));
        config.state_dir
    };
    let found = |path: String, variable| StateSetting::Found {
        path: path.into(),
        variable,
    };
    let (unit, xdg) = (("STATE_DIRECTORY", "/s/a:/s/b"), ("XDG_STATE_HOME", "/x"));
    let in_home = found(format!("{home}/.local/state/punctual"), "HOME");
    for (env, setting) in [
        (&[][..], StateSetting::Unknown),
        (&[("HOME", "/nowhere/at/all")], StateSetting::Unknown),
        (&[("HOME", home)], in_home.clone()),
        (&[("HOME", home), ("XDG_STATE_HOME", "relative")], in_home),
        (
            &[("HOME", home), xdg],
            found("/x/punctual".into(), "XDG_STATE_HOME"),
        ),
        (&[xdg, unit], found("/s/a".into(), "STATE_DIRECTORY")),
        (
            &[xdg, unit, ("PUNCTUAL_STATE_DIR", "off")],
            StateSetting::Off,
        ),
    ] {
        assert_eq!(of(env), setting, "{env:?}");
    }
}

#[test]
fn what_is_done_about_doubt() {
    for policy in ["hold", "resend_if_absent", "resend"] {
        let shown = format!("in_doubt = \"{policy}\"");
        env("PUNCTUAL_IN_DOUBT", policy, Ok(&shown));
    }
    let refusal = "hold, resend_if_absent or resend";
    env("PUNCTUAL_IN_DOUBT", "maybe", Err(refusal));
}

#[test]
fn the_database_url() {
    let key = "DATABASE_URL";
    for usable in [
        "postgresql://app:hunter2@[::1]:5432/app?sslmode=verify-full",
        "host=/run/postgresql user=app password=hunter2",
    ] {
        env(key, usable, Ok("database_url = \"***\""));
    }
    for unusable in ["mysql://app:hunter2@db/app", "hunter2", "postgres:hunter2"] {
        env(
            key,
            unusable,
            Err("DATABASE_URL is not valid: expected postgres://"),
        );
    }
    env(key, "", Err("DATABASE_URL is required"));
    // A line of the file that is no TOML may hold a password.
    file("database_url = \"postgres://hunter2\nx = 1", Err("line 1"));
    file("\n\ndatabase_url = hunter2", Err("line 3"));
}

#[test]
fn twilio_needs_its_credentials_and_the_console_none() {
    env(
        "TWILIO_ACCOUNT_SID",
        "",
        Err("TWILIO_ACCOUNT_SID is required"),
    );
    env(
        "TWILIO_AUTH_TOKEN",
        "",
        Err("TWILIO_AUTH_TOKEN is required"),
    );
    for unusable in [
        "SK00000000000000000000000000000000",
        "AC",
        "AC/../x",
        "hunter2",
    ] {
        env("TWILIO_ACCOUNT_SID", unusable, Err("AC followed by"));
    }
    let (key, secret) = (("TWILIO_API_KEY", "SK1"), ("TWILIO_API_SECRET", "hunter2"));
    check("", &[key, secret], Ok("api_secret = \"***\""));
    check(
        "",
        &[key],
        Err("TWILIO_API_KEY is set without TWILIO_API_SECRET"),
    );
    check(
        "",
        &[secret],
        Err("TWILIO_API_SECRET is set without TWILIO_API_KEY"),
    );
    let console = [REQUIRED[0], ("PUNCTUAL_PROVIDER", "console")];
    let console = load("", &console).unwrap();
    assert!(matches!(console.provider, ProviderChoice::Console));
    let sender = console.default_sender.expect("texts have one");
    assert_eq!(sender.as_str(), "Console");
}

#[test]
fn the_first_sender_of_the_chain_wins() {
    let chain = [
        ("TWILIO_SMS_FROM_NUMBER", "+13105551001"),
        ("TWILIO_TEST1_PHONE_NUMBER", "+13105551002"),
        ("TWILIO_PHONE_NUMBER", "+13105551003"),
        ("TWILIO_MAIN_PHONE_NUMBER", "+13105551004"),
        (
            "TWILIO_MESSAGING_SERVICE_SID",
            "MG00000000000000000000000000000000",
        ),
    ];
    for first in 0..chain.len() {
        let config = load("", &[REQUIRED, &chain[first..]].concat()).unwrap();
        let sender = config.default_sender.unwrap();
        assert_eq!(sender.as_str(), chain[first].1, "from {}", chain[first].0);
    }
    // Set in the file, a key keeps its place in the chain.
    let in_file = "[twilio]\nsms_from_number = \"+13105551009\"";
    check(
        in_file,
        &chain[1..],
        Ok("sms_from_number = \"+13105551009\""),
    );
    check(
        in_file,
        &chain[..1],
        Ok("sms_from_number = \"+13105551001\""),
    );
    // Unusable is unusable, its turn or not; and numbers stay out of errors.
    let unusable = ("TWILIO_MAIN_PHONE_NUMBER", "310-5551234");
    check(
        "",
        &[chain[0], unusable],
        Err("TWILIO_MAIN_PHONE_NUMBER is not valid"),
    );
    let number = ("TWILIO_MESSAGING_SERVICE_SID", "+13105551234");
    check("", &[number], Err("MG and 32"));
}
