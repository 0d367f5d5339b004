//! The app's tables for sent messages.

use super::*;

const APP: &str = "
[app]
country = 'US'
[app.messages]
table = 'texts'
columns = { body = 'content', status = '' }
words = { sent = 'gone' }
constants = { tenant = 7, seen = true, kind = 'sms' }
[app.conversations]
write_back = true
[app.contacts]
columns = { phone_number = 'tel' }
";

#[test]
fn what_is_shown_of_them_works_as_a_settings_file() {
    for line in [
        "country = \"US\"",
        "tenant = \"7\"",
        "status = \"\"",
        "write_back = true",
    ] {
        file(APP, Ok(line));
    }
    let shown = load(APP, REQUIRED).unwrap().to_toml();
    let again = load(&shown.replace("\"***\"", "\"postgres://a@b/c\""), &[]);
    let read = load(APP, REQUIRED).unwrap().app_tables;
    assert_eq!(again.unwrap().app_tables, read);
    assert!(read.is_some());
}

#[test]
fn what_they_cannot_be_is_refused_by_name() {
    for (text, expected) in [
        ("app = 1", "[app]"),
        ("[app]\ncountry = 'us'", "the two letters of a country"),
        ("[app]\nnone = 1", "unknown field `none`"),
        (
            "[app.messages.columns]\nnone = 'x'",
            "messages.columns has no none; there are: conversation_id",
        ),
        (
            "[app.messages.words]\ngone = 'x'",
            "messages.words has no gone; there are: outbound",
        ),
        (
            "[app.messages.words]\nsent = ''",
            "messages.words.sent must not be empty",
        ),
        (
            "[app.messages]\nwrite_back = true",
            "write_back is of conversations",
        ),
        (
            "[app.messages.constants]\nx = []",
            "the constant x must be a string",
        ),
        (
            "[app.conversations.words]\nsent = 'x'",
            "conversations has no words",
        ),
        ("[app.contacts.constants]\nx = 1", "contacts are only read"),
    ] {
        file(text, Err(expected));
    }
}
