//! What is done about messages of which something is not known.

use super::*;

#[test]
fn such_messages_are_sent_or_refused() {
    for (name, key) in [
        ("PUNCTUAL_OTHER_NUMBERS", "other_numbers"),
        ("PUNCTUAL_MISSING_EVENTS", "missing_events"),
    ] {
        for word in ["send", "refuse"] {
            let line = format!("{key} = \"{word}\"");
            check("", &[(name, word)], Ok(&line));
            check(&line, &[], Ok(&line));
        }
        check("", &[(name, "ask")], Err("send or refuse"));
    }
    let carrier = "PUNCTUAL_RETRY_CARRIER";
    check("", &[(carrier, "true")], Ok("retry_carrier = true"));
    check("", &[(carrier, "30008")], Err("true or false"));
}
