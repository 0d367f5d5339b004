//! The planner of reminders.

use super::*;

#[test]
fn the_planner_is_off_until_it_is_switched_on() {
    file("", Ok("enabled = false"));
    file("[planner]\nenabled = true", Ok("enabled = true"));
    env("PUNCTUAL_PLANNER", "true", Ok("enabled = true"));
    env("PUNCTUAL_PLANNER", "yes", Err("true or false"));
    env("PUNCTUAL_PLANNER_LEAD", "1h", Ok("lead = \"1h\""));
    for wrong in ["90s", "25h", "soon"] {
        env(
            "PUNCTUAL_PLANNER_LEAD",
            wrong,
            Err("whole minutes like 15m"),
        );
    }
    env(
        "PUNCTUAL_PLANNER_TEMPLATE",
        "mine_2",
        Ok("template = \"mine_2\""),
    );
    env(
        "PUNCTUAL_PLANNER_TEMPLATE",
        "Not Mine",
        Err("a template_key"),
    );
}

/// `punctual migrate` leaves it as it is where the settings say nothing.
#[test]
fn only_what_is_said_switches_it() {
    let dir = TempDir::new().unwrap();
    let read = |value: Option<&str>| {
        let env: Vec<_> = value
            .map(|value| ("PUNCTUAL_PLANNER", value))
            .into_iter()
            .collect();
        planner(&sources(dir.path(), &env)).unwrap()
    };
    assert_eq!(read(None).switch(), None);
    assert_eq!(read(None).planning(), None);
    assert!(!read(Some("false")).switch().unwrap().is_on);
    assert!(read(Some("true")).switch().unwrap().is_on && read(Some("true")).planning().is_some());
}
