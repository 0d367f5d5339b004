//! The rules of lawful hours.

use super::*;

#[test]
fn lawful_hours_are_off_built_in_or_a_file() {
    let hours = "PUNCTUAL_LAWFUL_HOURS";
    for line in [
        "[lawful]",
        "hours = \"off\"",
        "transactional_types = \"none\"",
    ] {
        file("", Ok(line));
    }
    env(hours, "builtin", Ok("hours = \"builtin\""));
    env(
        hours,
        "/no/such/file",
        Err("off, builtin, or a file of rules: "),
    );
    let types = "PUNCTUAL_TRANSACTIONAL_TYPES";
    env(
        types,
        "invoice , code",
        Ok("transactional_types = \"invoice, code\""),
    );
    env(types, "invoice,,code", Err("with commas between them"));
    env(
        "PUNCTUAL_HELP_TEXT",
        "Ada Ltd, ada.example",
        Ok("help_text = \"Ada Ltd, ada.example\""),
    );
    env(
        "PUNCTUAL_HELP_TEXT",
        &"x".repeat(1_601),
        Err("at most 1600 characters"),
    );
    file("[lawful]\nhour = \"off\"", Err("lawful.hour"));
}

#[test]
fn a_file_of_rules_is_read_whole_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rules.toml");
    let set = |text: &str| {
        std::fs::write(&path, text).unwrap();
        load(
            "",
            &[
                REQUIRED,
                &[("PUNCTUAL_LAWFUL_HOURS", path.to_str().unwrap())],
            ]
            .concat(),
        )
    };
    let good = include_str!("../../../data/lawful-hours.toml");
    assert!(set(good).unwrap().rules().lawful.is_some());
    for (text, why) in [
        (
            good.replacen("mon-sat 08:00-20:00", "at noon", 1),
            "rule \"us-al\": hours: ",
        ),
        (
            format!("{good}\n#{}", "x".repeat(64 * 1024)),
            "more than 65536 bytes",
        ),
        ("checked = 3".into(), "line 1: "),
    ] {
        let error = set(&text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
