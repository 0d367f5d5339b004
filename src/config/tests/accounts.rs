//! The tables of accounts.

use super::*;
use crate::message::Channel;

const EU: &str = r#"
[accounts.eu]
provider = "twilio"
account_sid = "AC11111111111111111111111111111111"
auth_token = "hunter2-eu"
sms_from_number = "+4915112345678"
senders = "ACME, MG00000000000000000000000000000000, 12345"
"#;

const HOOKS: &str = r#"
[accounts.hooks]
provider = "webhook"
secret = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg=="
allow = "10.0.0.0/8"
"#;

#[test]
fn an_account_is_a_table_with_the_settings_of_the_default_one() {
    let config = load(&format!("{EU}{HOOKS}"), REQUIRED).unwrap();
    let lane = |account, from| config.routes.lane(Channel::Sms, account, from).to_string();
    assert_eq!(lane(None, Some("+4915112345678")), "eu/sms");
    assert_eq!(lane(None, Some("ACME")), "eu/sms");
    assert_eq!(lane(None, None), "default/sms");
    let channels = config
        .accounts
        .iter()
        .map(|own| (own.name.as_str(), own.channels()));
    let expected = [
        ("eu", vec![Channel::Sms]),
        ("hooks", vec![Channel::Webhook]),
    ];
    assert_eq!(channels.collect::<Vec<_>>(), expected);
    assert_eq!(config.channels(), [Channel::Sms]);
    // What is shown is the file, without secrets.
    let shown = config.to_toml();
    assert!(
        !shown.contains("hunter2") && !shown.contains("aHVudGVy"),
        "{shown}"
    );
    for line in [
        "[accounts.eu]",
        "account_sid = \"AC11111111111111111111111111111111\"",
        "auth_token = \"***\"",
        "sms_from_number = \"+4915112345678\"",
        "senders = \"ACME, MG00000000000000000000000000000000, 12345\"",
        "[accounts.hooks]",
        "secret = \"***\"",
        "allow = \"10.0.0.0/8\"",
    ] {
        assert!(
            shown.lines().any(|own| own == line),
            "no {line} in\n{shown}"
        );
    }
}

#[test]
fn routes_lead_through_accounts_that_can_send() {
    let own = "[routes]\nsms = [\"default\", \"eu\"]\n\"sms +49\" = \"eu, default\"\nwebhook = [\"hooks\"]\n";
    let env = [REQUIRED, &[("TWILIO_SMS_FROM_NUMBER", "+13105550100")]].concat();
    let config = load(&format!("{own}{EU}{HOOKS}"), &env).unwrap();
    let shown = config.routes.list().to_string();
    // As the file has them: its tables are in the order of their keys.
    assert_eq!(
        shown,
        "sms = default, eu; sms +49 = eu, default; webhook = hooks"
    );
    let again = format!("routes = \"{shown}\"");
    assert!(
        config.to_toml().lines().any(|line| line == again),
        "{}",
        config.to_toml()
    );
    let other = [&env[..], &[("PUNCTUAL_ROUTES", "sms = default, eu")]].concat();
    let config = load(&format!("{own}{EU}{HOOKS}"), &other).unwrap();
    assert_eq!(config.routes.list().to_string(), "sms = default, eu");
    for (routes, why) in [
        (
            "sms = [\"default\", \"us\"]",
            "names us, which is no account: describe it as [accounts.us]",
        ),
        (
            "sms = [\"eu\", \"default\"]",
            "texts that name no account begin with default",
        ),
        (
            "sms = [\"default\", \"hooks\"]",
            "names hooks, whose provider sends no sms",
        ),
        ("sms = []", "the route of sms has no account"),
        (
            "sms = [\"default\", \"eu\", \"default\"]",
            "would lead back to it",
        ),
        ("fax = [\"eu\"]", "a route begins with sms"),
        ("sms = 1", "expected a list of accounts for each channel"),
    ] {
        let error = load(&format!("[routes]\n{routes}\n{EU}{HOOKS}"), &env).expect_err(routes);
        assert!(error.to_string().contains(why), "{routes}: {error}");
    }
    let silent = EU.replace("sms_from_number = \"+4915112345678\"\n", "");
    let error = load(
        &format!("[routes]\nsms = [\"default\", \"eu\"]\n{silent}"),
        &env,
    );
    let error = error.expect_err("no sender").to_string();
    assert!(error.contains("names eu, which has no sender"), "{error}");
}

/// A trial must not send through the accounts that the file has.
#[test]
fn where_texts_are_printed_no_account_sends_any() {
    let text = format!("provider = \"console\"\n{EU}{HOOKS}");
    let config = load(&text, &[("DATABASE_URL", "postgres://localhost/app")]).unwrap();
    assert!(matches!(
        config.accounts[0].provider,
        ProviderChoice::Console
    ));
    assert_eq!(config.channels(), Channel::UNDERSTOOD);
    for account in &config.accounts {
        let is_webhook = account.name == "hooks";
        assert_eq!(account.channels().len(), if is_webhook { 1 } else { 5 });
    }
}

#[test]
fn a_messaging_service_chooses_its_account_beside_a_number() {
    let text = EU.replace(
        "senders = ",
        "messaging_service_sid = \"MG11111111111111111111111111111111\"\nsenders = ",
    );
    let config = load(&text, REQUIRED).unwrap();
    let lane = |from| config.routes.lane(Channel::Sms, None, from).to_string();
    assert_eq!(lane(Some("MG11111111111111111111111111111111")), "eu/sms");
    assert_eq!(lane(Some("+4915112345678")), "eu/sms");
}

#[test]
fn a_secret_of_an_account_may_come_from_a_file() {
    let dir = TempDir::new().unwrap();
    let text = EU.replace("auth_token = \"hunter2-eu\"", "auth_token_file = \"token\"");
    std::fs::write(dir.path().join("punctual.toml"), text).unwrap();
    std::fs::write(dir.path().join("token"), "hunter2-of-a-file\n").unwrap();
    let config = Config::load(&sources(dir.path(), REQUIRED)).unwrap();
    let ProviderChoice::Twilio(twilio) = &config.accounts[0].provider else {
        panic!("not twilio");
    };
    assert_eq!(twilio.auth_token.expose_secret(), "hunter2-of-a-file");
}

#[test]
fn a_mistake_in_an_account_names_it() {
    let without = |key: &str| {
        let lines = EU.lines().filter(|line| !line.starts_with(key));
        lines.collect::<Vec<_>>().join("\n")
    };
    file(
        &without("account_sid"),
        Err("accounts.eu.account_sid is required"),
    );
    file(
        &without("auth_token"),
        Err("accounts.eu.auth_token is required"),
    );
    file(&EU.replace("ACME", "+1310"), Err("accounts.eu.senders in"));
    file(
        &format!("{EU}colour = \"red\""),
        Err("accounts.eu.colour in"),
    );
    // The URLs of webhooks by message type are those of rows of every account.
    let urls = "urls = \"report = https://a.example/r\"";
    file(
        &format!("{HOOKS}{urls}"),
        Err("not a setting of a single account: set it for all of them, as webhook.urls"),
    );
    file(
        &format!("{EU}timezone = \"UTC\""),
        Err("set it for all of them, as timezone"),
    );
    file(
        &format!("{EU}api_key = \"SK1\""),
        Err("accounts.eu.api_key is set without accounts.eu.api_secret"),
    );
    for name in ["EU", "default", "unknown", "a.b", "\"e u\""] {
        let text = EU.replace("[accounts.eu]", &format!("[accounts.{name}]"));
        let error = load(&text, REQUIRED).expect_err(name).to_string();
        assert!(error.contains("accounts"), "{name}: {error}");
    }
    file("accounts = 1", Err("[accounts.NAME]"));
    let modem = "[accounts.field]\nprovider = \"modem\"\nport = \"/dev/ttyS1\"\n";
    let whatsapp = "whatsapp:+4915155512345";
    for key in ["sms_from_number", "senders"] {
        file(
            &format!("{modem}{key} = \"{whatsapp}\""),
            Err(
                "a sender of the account field is a number on WhatsApp, and its provider, modem, sends nothing there",
            ),
        );
    }
    let own = [
        ("PUNCTUAL_PROVIDER", "modem"),
        ("PUNCTUAL_MODEM", "/dev/ttyS1"),
        ("TWILIO_SMS_FROM_NUMBER", whatsapp),
    ];
    check("", &own, Err("a sender of the account default is"));
    let texts = EU.replace("senders = \"", &format!("senders = \"{whatsapp}, "));
    load(&texts, REQUIRED).unwrap();
    let twice = format!("{EU}{}", EU.replace("[accounts.eu]", "[accounts.us]"));
    let error = load(&twice, REQUIRED).unwrap_err().to_string();
    assert!(
        error.contains("accounts.us: a sender belongs to the account eu already"),
        "{error}"
    );
    assert!(!error.contains("5112345678"), "{error}");
}
