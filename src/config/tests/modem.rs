//! The settings of a modem.

use super::*;
use crate::message::Channel;

#[test]
fn a_modem_has_a_port_and_perhaps_a_pin() {
    const MODEM: (&str, &str) = ("PUNCTUAL_PROVIDER", "modem");
    let with = |rest: &[(&'static str, &'static str)]| [&[MODEM], rest].concat();
    let port = ("PUNCTUAL_MODEM", "/dev/ttyUSB0@9600");
    check("", &with(&[port]), Ok("port = \"/dev/ttyUSB0@9600\""));
    let locked = with(&[port, ("PUNCTUAL_MODEM_PIN", "1234")]);
    check("", &locked, Ok("pin = \"***\""));
    check("", &with(&[]), Err("PUNCTUAL_MODEM is required"));
    let file = "provider = \"modem\"\n[modem]\nport = \"tcp:modem.lan:7000\"";
    check(file, &[], Ok("port = \"tcp:modem.lan:7000\""));
    check(
        "",
        &with(&[("PUNCTUAL_MODEM", "COM3")]),
        Err("a device like /dev/ttyUSB0"),
    );
    let wrong = with(&[port, ("PUNCTUAL_MODEM_PIN", "hunter2")]);
    check("", &wrong, Err("expected 4 to 8 digits"));
    let several = "[accounts.field]\nprovider = \"modem\"\nport = \"/dev/ttyS1\"\npin = \"0000\"";
    check(several, &[], Ok("port = \"/dev/ttyS1\""));
    check(
        "[accounts.field]\nprovider = \"modem\"",
        &[],
        Err("accounts.field.port is required"),
    );
    // Several whose SIMs have numbers that nobody has set: a row's account chooses one.
    let second = several.replace("field", "yard").replace("ttyS1", "ttyS2");
    let all = load(
        &format!("{several}\n{second}"),
        &[REQUIRED, &with(&[port])].concat(),
    );
    let all = all.unwrap();
    for name in ["field", "yard"] {
        assert_eq!(all.routes.sender(name).unwrap().as_str(), "Modem");
        let lane = |account, from| all.routes.lane(Channel::Sms, account, from).to_string();
        assert_eq!(lane(Some(name), None), format!("{name}/sms"));
        assert_eq!(lane(None, Some("Modem")), "default/sms");
    }
    // Nor is what is shown refused, if it is read again.
    let accounts = all.to_toml();
    let accounts = &accounts[accounts.find("[accounts.").unwrap()..];
    assert!(!accounts.contains("Modem"), "{accounts}");
    env(
        "PUNCTUAL_PROVIDER",
        "pigeon",
        Err("twilio, modem, webhook, smtp, webpush, in_app or console"),
    );
}
