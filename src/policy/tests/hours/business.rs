//! Business hours, alone and beside quiet hours.

use super::*;
use crate::message::facts::CampaignHours;

pub(super) fn weekdays() -> BusinessHours {
    "mon-fri 09:00-20:00".parse().unwrap()
}

/// 2026-01-01 was a Thursday.
#[test]
fn business_hours_wait_for_the_next_opening() {
    let open = |hours: &str, zone: &str, at: &str| {
        let mut claim = claim();
        claim.due = moment(at);
        claim.wanted_at = claim.due;
        let rules = Rules {
            business_hours: Some(hours.parse().unwrap()),
            timezone: Zones::bundled().get(zone).unwrap(),
            ..rules()
        };
        let due = claim.due;
        verdict(&claim, &rules, due)
    };
    let goes = "send from +15005550006";
    let hours = "mon-fri 09:00-20:00";
    assert_eq!(open(hours, "UTC", "2026-01-01T09:00:00Z"), goes);
    assert_eq!(open(hours, "UTC", "2026-01-01T19:59:59.999999Z"), goes);
    assert_eq!(
        open(hours, "UTC", "2026-01-02T20:00:00Z"),
        "defer to 2026-01-05T09:00:00.000000Z: outside of mon-fri 09:00-20:00 UTC"
    );
    assert_eq!(
        open(hours, "America/Los_Angeles", "2026-03-07T12:00:00Z"),
        // The clock goes forward on Sunday.
        "defer to 2026-03-09T16:00:00.000000Z: outside of mon-fri 09:00-20:00 America/Los_Angeles"
    );
    let nights = "fri-sat 22:00-02:00";
    assert_eq!(open(nights, "UTC", "2026-01-03T01:59:59Z"), goes);
    assert_eq!(
        open(nights, "UTC", "2026-01-03T02:00:00Z"),
        "defer to 2026-01-03T22:00:00.000000Z: outside of fri-sat 22:00-02:00 UTC"
    );
    assert_eq!(open("sun 22:00-02:00", "UTC", "2026-01-05T01:00:00Z"), goes);
}

#[test]
fn a_type_has_its_own_hours_in_place_of_the_installations() {
    // Saturday noon.
    let at = moment("2026-01-03T12:00:00Z");
    let judged = |business: Option<&str>, message_type: Option<&str>| {
        let mut claim = claim();
        (claim.due, claim.wanted_at) = (at, at);
        claim.facts.message_type = message_type.map(Into::into);
        let rules = Rules {
            business_hours: business.map(|hours| hours.parse().unwrap()),
            hours_by_type: "event_reminder = off | campaign = mon-fri 10:00-16:00"
                .parse()
                .unwrap(),
            ..rules()
        };
        verdict(&claim, &rules, at)
    };
    let goes = "send from +15005550006";
    let weekdays = Some("mon-fri 09:00-20:00");
    let waits = "defer to 2026-01-05T09:00:00.000000Z: outside of mon-fri 09:00-20:00 UTC";
    let paced = "defer to 2026-01-05T10:00:00.000000Z: outside of mon-fri 10:00-16:00 UTC";
    for (business, message_type, expected) in [
        (weekdays, None, waits),
        (weekdays, Some("invoice"), waits),
        (weekdays, Some(" event_reminder "), goes),
        (weekdays, Some("campaign"), paced),
        (None, None, goes),
        (None, Some("event_reminder"), goes),
        (None, Some("campaign"), paced),
    ] {
        assert_eq!(
            judged(business, message_type),
            expected,
            "{business:?} {message_type:?}"
        );
    }
}

#[test]
fn a_campaign_has_its_own_hours_in_place_of_its_types_and_the_installations() {
    // Saturday noon.
    let at = moment("2026-01-03T12:00:00Z");
    let (own, free) = (Uuid::from_u128(0xa1), Uuid::from_u128(0xb2));
    let judged = |business: Option<&str>, campaign: Uuid, message_type: Option<&str>| {
        let mut claim = claim();
        (claim.due, claim.wanted_at) = (at, at);
        claim.campaign = Some(campaign.to_string());
        claim.facts.message_type = message_type.map(Into::into);
        let by_campaign = format!(
            "{} = mon-fri 10:00-16:00 | {free} = off",
            own.to_string().to_uppercase()
        );
        let rules = Rules {
            business_hours: business.map(|hours| hours.parse().unwrap()),
            hours_by_type: "invoice = sun 08:00-18:00".parse().unwrap(),
            hours_by_campaign: by_campaign.parse().unwrap(),
            ..rules()
        };
        verdict(&claim, &rules, at)
    };
    let goes = "send from +15005550006";
    let weekdays = Some("mon-fri 09:00-20:00");
    let by_business = "defer to 2026-01-05T09:00:00.000000Z: outside of mon-fri 09:00-20:00 UTC";
    let by_type = "defer to 2026-01-04T08:00:00.000000Z: outside of sun 08:00-18:00 UTC";
    let by_campaign = "defer to 2026-01-05T10:00:00.000000Z: outside of mon-fri 10:00-16:00 UTC";
    let another = Uuid::from_u128(0xc3);
    for (business, campaign, message_type, expected) in [
        (weekdays, own, None, by_campaign),
        (None, own, None, by_campaign),
        (weekdays, own, Some("invoice"), by_campaign),
        (weekdays, free, Some("invoice"), goes),
        (weekdays, another, Some("invoice"), by_type),
        (weekdays, another, None, by_business),
        (None, another, None, goes),
    ] {
        assert_eq!(
            judged(business, campaign, message_type),
            expected,
            "{business:?} {campaign} {message_type:?}"
        );
    }
}

#[test]
fn a_campaign_of_the_database_has_its_own_hours_and_zone_in_place_of_all_others() {
    let judged = |hours: &str, zone: &str, at: &str| {
        let mut claim = claim();
        (claim.due, claim.wanted_at) = (moment(at), moment(at));
        claim.campaign = Some(Uuid::from_u128(0xa1).to_string());
        claim.facts.message_type = Some("invoice".into());
        claim.facts.campaign_hours = Some(CampaignHours {
            hours: hours.into(),
            timezone: zone.into(),
            is_cancelled: false,
            has_reply: false,
        });
        let rules = Rules {
            business_hours: Some(weekdays()),
            hours_by_type: "invoice = off".parse().unwrap(),
            hours_by_campaign: format!("{} = off", Uuid::from_u128(0xa1)).parse().unwrap(),
            ..rules()
        };
        verdict(&claim, &rules, moment(at))
    };
    let pacific = "America/Los_Angeles";
    // Thursday and Friday evening there.
    assert_eq!(
        judged("mon-fri 09:00-20:00", pacific, "2026-01-02T03:59:00Z"),
        "send from +15005550006"
    );
    assert_eq!(
        judged("mon-fri 09:00-20:00", pacific, "2026-01-03T04:00:00Z"),
        "defer to 2026-01-05T17:00:00.000000Z: outside of mon-fri 09:00-20:00 America/Los_Angeles"
    );
    // Of one that was cancelled nothing more goes, no later part either.
    for before in [0, 1] {
        let mut claim = claim();
        claim.part = Part { before, of: 2 };
        claim.facts.campaign_hours = Some(CampaignHours {
            hours: "mon-sun 00:00-24:00".into(),
            timezone: pacific.into(),
            is_cancelled: true,
            has_reply: false,
        });
        let due = claim.due;
        assert_eq!(
            verdict(&claim, &rules(), due),
            "cancel: its campaign was cancelled"
        );
    }
    // What cannot be read is not sent.
    for (hours, zone) in [("always", pacific), ("mon-fri 09:00-20:00", "Mars/Olympus")] {
        assert_eq!(
            judged(hours, zone, "2026-01-05T18:00:00Z"),
            "cancel: the hours of its campaign cannot be read: correct them in punctual.campaigns"
        );
    }
}

#[test]
fn both_must_suit() {
    let both = |quiet_hours, zone: &str| {
        let mut claim = claim();
        claim.facts.timezone = Some(zone.into());
        claim.facts.preferences = Some(Preferences {
            quiet_hours: Some(quiet_hours),
            ..Preferences::default()
        });
        // Saturday noon.
        claim.due = moment("2026-01-03T12:00:00Z");
        claim.wanted_at = claim.due;
        let rules = Rules {
            business_hours: Some(weekdays()),
            ..rules()
        };
        let due = claim.due;
        verdict(&claim, &rules, due)
    };
    assert_eq!(
        both(quiet("22:00", "08:00"), "America/Los_Angeles"),
        "defer to 2026-01-05T16:00:00.000000Z: quiet hours 22:00-08:00 America/Los_Angeles, \
         outside of mon-fri 09:00-20:00 UTC"
    );
    assert_eq!(
        both(quiet("20:00", "09:30"), "UTC"),
        "defer to 2026-01-05T09:30:00.000000Z: outside of mon-fri 09:00-20:00 UTC, \
         quiet hours 20:00-09:30 UTC"
    );
    assert_eq!(
        both(quiet("09:00", "20:00"), "UTC"),
        "cancel: no hour to send at within 8 days: quiet hours 09:00-20:00 UTC, \
         outside of mon-fri 09:00-20:00 UTC"
    );
}

#[test]
fn business_hours_are_read() {
    let day = 24 * 3600;
    let ranges = |text: &str| -> Vec<(i64, i64)> {
        let hours: BusinessHours = text.parse().unwrap();
        let second = |us| us / 1_000_000;
        let parts = hours.ranges().iter();
        parts.map(|r| (second(r.start), second(r.end))).collect()
    };
    let hour = 3600;
    assert_eq!(ranges("mon 9:00-10:00"), [(9 * hour, 10 * hour)]);
    assert_eq!(ranges("Mon-Sun 00:00-24:00"), [(0, 7 * day)]);
    assert_eq!(
        ranges("tue,thursday 09:00-12:00 13:00-14:00:30"),
        [
            (day + 9 * hour, day + 12 * hour),
            (day + 13 * hour, day + 14 * hour + 30),
            (3 * day + 9 * hour, 3 * day + 12 * hour),
            (3 * day + 13 * hour, 3 * day + 14 * hour + 30),
        ]
    );
    assert_eq!(
        ranges("sat-mon 10:00-11:00; mon 10:30-12:00"),
        [
            (10 * hour, 12 * hour),
            (5 * day + 10 * hour, 5 * day + 11 * hour),
            (6 * day + 10 * hour, 6 * day + 11 * hour),
        ]
    );
    // With dashes, as an editor makes them.
    assert_eq!(
        ranges("Mon\u{2013}Tue 09:00\u{2013}10:00"),
        ranges("mon-tue 09:00-10:00")
    );
    // The night after Sunday ends on Monday.
    assert_eq!(
        ranges("sun 23:00-01:00"),
        [(0, hour), (6 * day + 23 * hour, 7 * day)]
    );
    for (wrong, why) in [
        ("", "it has no days and hours"),
        ("mon-fri", "no hours follow \"mon-fri\""),
        ("09:00-20:00", "\"09:00-20:00\" has no days before it"),
        (
            "mon 09:00-09:00",
            "\"09:00-09:00\" is empty; the whole day is 00:00-24:00",
        ),
        (
            "mon 24:00-25:00",
            "\"24:00-25:00\" is neither days (mon, mon-fri) nor hours (09:00-20:00)",
        ),
        (
            "mo 09:00-10:00",
            "\"mo\" is neither days (mon, mon-fri) nor hours (09:00-20:00)",
        ),
        (
            "mon 9-17",
            "\"9-17\" is neither days (mon, mon-fri) nor hours (09:00-20:00)",
        ),
        (
            "mon 09:00-20:60",
            "\"09:00-20:60\" is neither days (mon, mon-fri) nor hours (09:00-20:00)",
        ),
        ("mon 09:00-17:00 tue", "no hours follow \"tue\""),
    ] {
        let error = wrong.parse::<BusinessHours>().unwrap_err();
        assert_eq!(error.to_string(), why, "{wrong:?}");
    }
}
