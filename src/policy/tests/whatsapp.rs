//! Senders on WhatsApp.

use super::*;

#[test]
fn a_provider_without_whatsapp_sends_nothing_from_there() {
    // Named by the row, or by the settings.
    for named in [true, false] {
        check(
            |c, r| {
                let whatsapp = "whatsapp:+14155238886";
                if named {
                    c.from_number = Some(whatsapp.into());
                } else {
                    r.default_sender = Some(whatsapp.parse().unwrap());
                }
            },
            NINE,
            "reject: the sender is a number on WhatsApp, and the provider of its account sends nothing there",
        );
    }
}
