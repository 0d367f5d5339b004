//! Where a setting comes from, and unknown keys.

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

#[test]
fn environment_over_file_over_default() {
    let horizon = "horizon = \"30m\"";
    file(horizon, Ok(horizon));
    let over = [("PUNCTUAL_HORIZON", "20m")];
    check(horizon, &over, Ok("horizon = \"20m\""));
    // An empty variable counts as unset, so does one of white space.
    check(horizon, &[("PUNCTUAL_HORIZON", "")], Ok(horizon));
    check(horizon, &[("PUNCTUAL_HORIZON", " ")], Ok(horizon));
    check("horizon = \"\"", &[], Ok("horizon = \"1h\""));
    check("[twilio]\n", &[], Ok("provider = \"twilio\""));
    check("max_in_flight = 7", &[], Ok("max_in_flight = 7"));
}

#[test]
fn keys_nobody_reads_are_refused() {
    env(
        "PUNCTUAL_HORZON",
        "1h",
        Err("did you mean PUNCTUAL_HORIZON?"),
    );
    env(
        "PUNCTUAL_DATABASE_URL",
        "x",
        Err("did you mean DATABASE_URL?"),
    );
    env(
        "PUNCTUAL_PORT",
        "8080",
        Err("PUNCTUAL_PORT is not a setting"),
    );
    env("PUNCTUAL_HORIZON_FILE", "x", Err("is not a setting"));
    file("horzon = \"1h\"", Err("horzon in "));
    file("horzon = \"1h\"", Err("did you mean horizon?"));
    file(
        "[twilio]\nfrom_number = \"x\"",
        Err("did you mean twilio.sms_from_number?"),
    );
    file("[sms]\nx = 1", Err("sms in "));
    file("horizon_file = \"x\"", Err("is not a setting"));
    file("twilio = 1", Err("twilio in "));
}

#[test]
fn variables_that_are_others_are_left_alone() {
    for (key, value) in [
        ("PUNCTUAL_PG_BIN", "/usr/lib/postgresql/15/bin"),
        ("PUNCTUAL_SIM_SEEDS", "100"),
        ("PUNCTUAL_NOTHING", ""),
        ("TWILIO_VERIFY_SERVICE_SID", "VA1"),
        ("PUNCTUALITY", "1"),
        // What Kubernetes adds beside a Service called punctual.
        ("PUNCTUAL_SERVICE_HOST", "10.0.0.1"),
        ("PUNCTUAL_SERVICE_PORT_HTTP", "8080"),
        ("PUNCTUAL_PORT", "tcp://10.0.0.1:8080"),
        ("PUNCTUAL_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("PUNCTUAL_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("PUNCTUAL_WEB_PORT_8080_TCP_PORT", "8080"),
    ] {
        env(key, value, Ok("provider = \"twilio\""));
    }
}

#[test]
fn secrets_come_from_files() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("token"), "from-a-file \r\n\n").unwrap();
    std::fs::write(path("empty"), "\n").unwrap();
    std::fs::write(path("long"), "x".repeat(70_000)).unwrap();
    std::fs::write(path("binary"), b"\xff\xfe").unwrap();
    let key = "TWILIO_AUTH_TOKEN_FILE";
    let token = |config: &Config| match &config.provider {
        ProviderChoice::Twilio(twilio) => twilio.auth_token.expose_secret().to_owned(),
        other => panic!("not twilio: {other:?}"),
    };
    let sources = |file: &str, env: &[(&str, &str)]| {
        std::fs::write(path("punctual.toml"), file).unwrap();
        sources(dir.path(), &[&REQUIRED[..2], env].concat())
    };
    let load =
        |file: &str, env: &[(&str, &str)]| token(&Config::load(&sources(file, env)).unwrap());
    // From either layer, and a path is relative to the one it is in.
    let in_file = "[twilio]\nauth_token_file = \"token\"";
    assert_eq!(load("", &[(key, "token")]), "from-a-file");
    assert_eq!(load("", &[(key, &path("token"))]), "from-a-file");
    assert_eq!(load(in_file, &[]), "from-a-file");
    // A layer wins whole: the lower one's other form is neither a conflict nor read.
    let lower = "[twilio]\nauth_token = \"other\"";
    assert_eq!(load(lower, &[(key, "token")]), "from-a-file");
    let lower = "[twilio]\nauth_token_file = \"gone\"";
    assert_eq!(load(lower, &[("TWILIO_AUTH_TOKEN", "v")]), "v");

    check(
        "",
        &[(key, &path("gone"))],
        Err("TWILIO_AUTH_TOKEN_FILE: cannot read "),
    );
    check("", &[(key, &path("empty"))], Err("the file is empty"));
    check("", &[(key, &path("long"))], Err("too long for a secret"));
    check("", &[(key, &path("binary"))], Err("UTF-8"));
    let both = [
        (key, path("token")),
        ("TWILIO_AUTH_TOKEN", "hunter2".into()),
    ];
    let both = both.each_ref().map(|(k, v)| (*k, v.as_str()));
    check(
        "",
        &both,
        Err("TWILIO_AUTH_TOKEN and TWILIO_AUTH_TOKEN_FILE are both set"),
    );
    for (file, beside) in [
        ("DATABASE_URL_FILE", None),
        ("PUNCTUAL_DEBUG_TOKEN_FILE", None),
        ("TWILIO_API_KEY_FILE", Some(("TWILIO_API_SECRET", "x"))),
        ("TWILIO_API_SECRET_FILE", Some(("TWILIO_API_KEY", "x"))),
    ] {
        let env: Vec<_> = beside.into_iter().chain([(file, "gone")]).collect();
        check("", &env, Err(&format!("{file}: cannot read ")));
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("a.toml"), "horizon = \"11s\"").unwrap();
    std::fs::write(dir.path().join("b.toml"), "horizon = \"12s\"").unwrap();
    let load = |flag: Option<&str>, var: &str| {
        let mut sources = sources(dir.path(), REQUIRED);
        sources.config = flag.map(Into::into);
        sources.env.insert("PUNCTUAL_CONFIG".into(), var.into());
        Config::load(&sources).map(|config| config.horizon.as_secs())
    };
    assert_eq!(load(None, "a.toml").unwrap(), 11);
    assert_eq!(load(Some("b.toml"), "a.toml").unwrap(), 12);
    assert_eq!(load(None, "").unwrap(), 3600);
    let missing = load(Some("c.toml"), "a.toml").unwrap_err().to_string();
    assert!(missing.contains("cannot read the settings file") && missing.contains("c.toml"));
}

#[test]
fn all_problems_are_shown_at_once() {
    let error = load("lead = \"1s\"", &[("PUNCTUAL_HORIZON", "1s")]).unwrap_err();
    let text = error.to_string();
    for key in [
        "DATABASE_URL",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "PUNCTUAL_HORIZON",
        "lead",
    ] {
        let mentions = text.lines().filter(|line| line.starts_with(key)).count();
        assert_eq!(mentions, 1, "{key} in\n{text}");
    }
}

#[test]
fn what_is_shown_loads_again() {
    let given = [
        ("PUNCTUAL_HTTP_ADDR", "0.0.0.0:9"),
        ("PUNCTUAL_DEBUG_TOKEN", "to-look-with-and-more"),
        ("PUNCTUAL_OPERATOR_TOKEN", "to-act-with-and-more"),
        ("PUNCTUAL_PUBLIC_URL", "https://sms.example.com/x"),
        ("PUNCTUAL_WEBHOOK_ADDR", "[::1]:9001"),
        ("PUNCTUAL_LEAD", "1500us"),
        ("PUNCTUAL_LEASE", "1m 1s"),
        ("TWILIO_API_KEY", "SK1"),
        ("TWILIO_API_SECRET", "s"),
        ("TWILIO_PHONE_NUMBER", "+13105551003"),
    ];
    let shown = load("", &[REQUIRED, &given].concat()).unwrap().to_toml();
    let filled = shown
        .replacen("***", "postgres://db", 1)
        .replace(
            "debug_token = \"***\"",
            "debug_token = \"to-look-with-and-more\"",
        )
        .replace(
            "operator_token = \"***\"",
            "operator_token = \"to-act-with-and-more\"",
        );
    assert_eq!(load(&filled, &[]).unwrap().to_toml(), shown);
}

#[test]
fn other_commands_need_only_their_own_settings() {
    let dir = TempDir::new().unwrap();
    let only = |env: &[(&str, &str)]| sources(dir.path(), env);
    assert!(database(&only(&REQUIRED[..1])).is_ok());
    assert!(database(&only(&[])).is_err());
    let endpoint = debug_endpoint(&only(&[])).unwrap();
    assert_eq!(endpoint.addr.to_string(), "127.0.0.1:8080");
    let misspelt = only(&[REQUIRED[0], ("PUNCTUAL_HORZON", "1h")]);
    assert!(database(&misspelt).is_err() && debug_endpoint(&misspelt).is_err());
}
