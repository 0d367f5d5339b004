//! Numbers that cannot receive texts by the numbering plan of their country.

use super::*;

#[test]
fn a_number_with_a_fault_is_refused_if_that_is_set() {
    for (number, why) in [
        (
            "+15551234567",
            "it is in no range that its country has assigned",
        ),
        ("+1310555123", "no number of its country has as many digits"),
        ("+999123456789", "no country has its country code"),
    ] {
        check(
            |c, _| c.to_number = number.into(),
            NINE,
            "send from +15005550006",
        );
        check(
            |c, r| (c.to_number, r.validate) = (number.into(), Validate::Refuse),
            NINE,
            &format!(
                "reject: to_number is refused: {why} (PUNCTUAL_VALIDATE=warn sends it all the same)"
            ),
        );
    }
    check(
        |_, r| r.validate = Validate::Refuse,
        NINE,
        "send from +15005550006",
    );
}
