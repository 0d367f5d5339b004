//! The setting of messages in the app.

use super::*;
use crate::message::Channel;

#[test]
fn messages_in_the_app_are_beside_texts_or_alone() {
    let channels = |env: &[(&str, &str)]| load("", env).unwrap().channels();
    assert_eq!(channels(REQUIRED), [Channel::Sms]);
    let beside = [REQUIRED, &[("PUNCTUAL_IN_APP", "true")]].concat();
    assert_eq!(channels(&beside), [Channel::Sms, Channel::InApp]);
    let alone = [REQUIRED[0], ("PUNCTUAL_PROVIDER", "in_app")];
    assert_eq!(channels(&alone), [Channel::InApp]);
    env("PUNCTUAL_IN_APP", "true", Ok("in_app = true"));
    env("PUNCTUAL_IN_APP", "yes", Err("true or false"));
    let table = "[accounts.shop]\nprovider = \"in_app\"\n";
    check(table, &[], Ok("provider = \"in_app\""));
    let table = "[accounts.shop]\nprovider = \"console\"\nin_app = 1\n";
    check(table, &[], Err("accounts.shop.in_app"));
}
