//! Files of rules: what is read, and what is refused.

use super::*;

const ONE: &str = r#"
    checked = "2026-11-30"
    [[rule]]
    id = "xx"
    places = ["US-FL"]
    kinds = ["marketing"]
    hours = "mon-sun 08:00-20:00"
    source = "a law"
    url = "https://example.com"
    checked = "2026-11-30"
    seen = "statute"
"#;

#[test]
fn the_rules_of_this_binary_are_valid() {
    let set = RuleSet::builtin();
    assert!(set.rules.len() > 20);
    let federal = set.rules.iter().find(|rule| rule.id == "us-tcpa").unwrap();
    assert_eq!(federal.hours.to_string(), "mon-sun 08:00-21:00");
}

#[test]
fn what_is_not_understood_is_refused() {
    ONE.parse::<RuleSet>().unwrap();
    for (was, is, why) in [
        ("2026-11-30", "yesterday", "no date"),
        ("\"US-FL\"", "\"Florida\"", "is no place"),
        ("\"US-FL\"", "\"US-\"", "is no place"),
        ("\"US-FL\"", "\"US-FLA\"", "\"US-FLA\" is no place"),
        (
            "\"US-FL\"",
            "\"FR\", \"UK\"",
            "\"UK\" is no place: write a country as ISO 3166 has it (FR; GB for",
        ),
        ("[\"US-FL\"]", "[]", "needs places"),
        (
            "[\"marketing\"]",
            "[\"spam\"]",
            "line 6: unknown variant `spam`",
        ),
        ("mon-sun 08:00-20:00", "always", "hours"),
        ("id = \"xx\"", "id = \"X X\"", "its id"),
        ("\"a law\"", "\" \"", "needs a source"),
        ("url", "zone = \"Mars/Base\"\nurl", "not an IANA time zone"),
        ("url", "holidays = [\"xmas\"]\nurl", "is no holiday"),
        ("url", "days = 7\nurl", "unknown field `days`"),
        ("\"statute\"", "\"dream\"", "unknown variant"),
    ] {
        let text = ONE.replace(was, is);
        let error = text.parse::<RuleSet>().unwrap_err().to_string();
        assert!(error.contains(why), "{is}: {error}");
    }
    let twice = format!("{ONE}{}", ONE.replacen("checked = \"2026-11-30\"", "", 1));
    let error = twice.parse::<RuleSet>().unwrap_err().to_string();
    assert!(error.contains("used twice"), "{error}");
    // With its line.
    let behind = ONE.replacen("checked = \"2026-11-30\"", "", 1);
    let error = format!("# mine\n\nchecked = \"soon\"{behind}").parse::<RuleSet>();
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "line 3: \"soon\" is no date like 2026-11-30");
    let none = "checked = \"2026-11-30\"".parse::<RuleSet>().unwrap_err();
    assert_eq!(none, RuleSetError::Empty);
}

#[test]
fn a_holiday_closes_the_whole_local_day() {
    let text = ONE.replace("url", "holidays = [\"dec 25\"]\nurl");
    let all_day = text.replace("08:00-20:00", "00:00-24:00");
    let zone = Zones::bundled().get("America/New_York").unwrap();
    let at = |text: &str| {
        let at: jiff::Timestamp = text.parse().unwrap();
        Moment::from_micros(at.as_microsecond())
    };
    for (text, eve, closes, opens) in [
        (
            &text,
            "2026-12-24T22:00:00Z",
            "2026-12-25T01:00:00Z",
            "2026-12-26T13:00:00Z",
        ),
        (
            &all_day,
            "2026-12-20T22:00:00Z",
            "2026-12-25T05:00:00Z",
            "2026-12-26T05:00:00Z",
        ),
    ] {
        let set: RuleSet = text.parse().unwrap();
        let rule = &set.rules[0];
        assert_eq!(rule.next_open(&zone, at(eve)), Some(at(eve)));
        assert_eq!(rule.closes(&zone, at(eve)), at(closes));
        assert_eq!(rule.next_open(&zone, at(closes)), Some(at(opens)));
        assert!(rule.has_holiday(&zone, at("2026-12-25T12:00:00Z")));
    }
}
