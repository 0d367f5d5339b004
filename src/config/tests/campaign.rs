//! The hours of campaigns.

use super::*;

#[test]
fn campaigns_have_hours_and_a_time_zone() {
    file("", Ok("timezone = \"America/Los_Angeles\""));
    file("", Ok("hours = \"mon-fri 09:00-20:00\""));
    let of_campaigns = "PUNCTUAL_CAMPAIGN_HOURS";
    env(
        of_campaigns,
        "sat 10:00-12:00",
        Ok("hours = \"sat 10:00-12:00\""),
    );
    env(of_campaigns, "off", Err("days and hours like"));
    let their_zone = "[campaign]\ntimezone = 'Europe/Berlin'";
    file(their_zone, Ok("timezone = \"Europe/Berlin\""));
    file("[campaign]\ntimezone = 'PST'", Err("an IANA time zone"));
}

/// An operator's machine has the database alone.
#[test]
fn an_import_needs_no_other_settings_and_refuses_what_is_not_valid() {
    let dir = TempDir::new().unwrap();
    let read = |zone: &str| {
        let env = [
            ("DATABASE_URL", "postgres://u@localhost/x"),
            ("PUNCTUAL_CAMPAIGN_TIMEZONE", zone),
        ];
        campaign_hours(&sources(dir.path(), &env))
    };
    let (hours, zone) = read("Europe/Berlin").unwrap();
    assert_eq!(hours, None);
    assert_eq!(zone.unwrap().iana_name(), Some("Europe/Berlin"));
    assert!(read("Berlin").is_err());
}
