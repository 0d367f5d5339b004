//! Addresses, tokens, the runtime directory and URLs.

use super::*;

#[test]
fn addresses_and_tokens() {
    let addr = "PUNCTUAL_HTTP_ADDR";
    for open in ["127.0.0.1:9", "[::1]:9", "0.0.0.0:9", "[::]:9"] {
        env(addr, open, Ok(&format!("http_addr = \"{open}\"")));
    }
    let token = |setting| (setting, "hunter2-and-more-of-it");
    let [debug, operator] = ["PUNCTUAL_DEBUG_TOKEN", "PUNCTUAL_OPERATOR_TOKEN"].map(token);
    check("", &[debug], Ok("debug_token = \"***\""));
    check("", &[operator], Ok("operator_token = \"***\""));
    check(
        "",
        &[debug, operator],
        Err("anyone who may read could make changes"),
    );
    for short in ["hunter2", "hunter2 hunter2 hunter2", "hunter2-hunter2é"] {
        for setting in [debug.0, operator.0] {
            let refusal = format!("{setting} is not valid: expected at least 16 letters");
            env(setting, short, Err(&refusal));
        }
    }
    for unusable in ["localhost:8080", ":8080", "8080", "127.0.0.1"] {
        env(addr, unusable, Err("an IP address and a port"));
    }
    let public = ("PUNCTUAL_PUBLIC_URL", "https://sms.example.com");
    check(
        "",
        &[public],
        Ok("public_url = \"https://sms.example.com/\""),
    );
    let callbacks = ("PUNCTUAL_WEBHOOK_ADDR", "0.0.0.0:9001");
    check(
        "",
        &[public, callbacks],
        Ok("webhook_addr = \"0.0.0.0:9001\""),
    );
    check(
        "",
        &[callbacks],
        Err("PUNCTUAL_WEBHOOK_ADDR is set without PUNCTUAL_PUBLIC_URL"),
    );
    let links = ("PUNCTUAL_LINK_URL", "https://go.example.com/x/");
    check(
        "",
        &[links, callbacks],
        Ok("link_url = \"https://go.example.com/x\""),
    );
    for unusable in [
        "go.example.com",
        "ftp://go.example.com",
        "https://go.example.com/?a=b",
    ] {
        env(
            "PUNCTUAL_LINK_URL",
            unusable,
            Err("a URL like https://example.com"),
        );
    }
    env(
        "PUNCTUAL_WEBHOOK_ADDR",
        "9001",
        Err("an IP address and a port"),
    );
}

#[test]
fn the_runtime_directory_is_the_state_directory_or_this_users() {
    let home = TempDir::new().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let of = |env: &[(&str, &str)]| {
        let env: Vec<_> = REQUIRED.iter().chain(env).copied().collect();
        load("", &env).unwrap().http.runtime
    };
    let (state, xdg) = (path("state"), path("xdg"));
    std::fs::create_dir(&xdg).unwrap();
    let uid = rustix::process::geteuid().as_raw();
    let in_state = of(&[("PUNCTUAL_STATE_DIR", &state), ("XDG_RUNTIME_DIR", &xdg)]);
    assert_eq!(in_state, RuntimeDir::State(state.into()));
    for (env, dir) in [
        (&[("XDG_RUNTIME_DIR", &*xdg)][..], format!("{xdg}/punctual")),
        // Not there, or not a path from the root: as if it were not set.
        (
            &[("XDG_RUNTIME_DIR", "/nowhere/at/all")],
            format!("/tmp/punctual-{uid}"),
        ),
        (&[("XDG_RUNTIME_DIR", ".")], format!("/tmp/punctual-{uid}")),
        (&[], format!("/tmp/punctual-{uid}")),
        (
            &[("TMPDIR", "/var/tmp")],
            format!("/var/tmp/punctual-{uid}"),
        ),
    ] {
        let addr = "127.0.0.1:8080".parse().unwrap();
        let dir = dir.into();
        assert_eq!(of(env), RuntimeDir::User { dir, addr });
    }
}

#[test]
fn urls_are_plain() {
    for (url, why) in [
        ("https://my_host.example", "underscore"),
        ("https://u:hunter2@example.com", "without user"),
        ("https://example.com?a=1", "without user, query"),
        ("ftp://example.com", "a URL like https://"),
        ("example.com", "a URL like https://"),
    ] {
        check("", &[("PUNCTUAL_PUBLIC_URL", url)], Err(why));
    }
    let base = "TWILIO_API_BASE_URL";
    env(
        base,
        "http://127.0.0.1:8090",
        Ok("api_base_url = \"http://127.0.0.1:8090/\""),
    );
    env(base, "http://u:hunter2@proxy", Err("TWILIO_API_BASE_URL"));
}
