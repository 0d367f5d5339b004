//! The request for a text, and what is made of the answer.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::message::Moment;
use crate::message::segments::Segments;

mod prices;
mod strangers;

const LINK: &str = "https://meet.google.com/abc-xyz";

/// A moment of a UTC date and time.
fn at(text: &str) -> Moment {
    let at: jiff::Timestamp = text.parse().unwrap();
    Moment::from_micros(at.as_microsecond())
}

/// Sent at 9:45 in Los Angeles, for an event at 10:00.
fn brief_of(facts: &Value) -> Brief {
    let zone = TimeZone::get("America/Los_Angeles").unwrap();
    Brief::of(&facts.to_string(), at("2026-12-01T17:45:00Z"), &zone).unwrap()
}

fn titled(title: &str) -> Brief {
    brief_of(&json!({
        "title": title, "starts_at": "2026-12-01T18:00:00Z", "ends_at": "2026-12-01T18:30:00Z", "link": LINK,
    }))
}

/// The same without a link.
fn plain(title: &str) -> Brief {
    brief_of(
        &json!({ "title": title, "starts_at": "2026-12-01T18:00:00Z", "ends_at": "2026-12-01T18:30:00Z" }),
    )
}

#[track_caller]
fn check(brief: &Brief, answer: &str, expected: Result<&str, Fault>) {
    let judged = judge(answer, brief, Some("[BUBBLE]"));
    assert_eq!(judged, expected.map(str::to_owned), "{answer:?}");
}

#[track_caller]
fn accepts(brief: &Brief, answer: &str) {
    check(brief, answer, Ok(answer));
}

#[test]
fn what_follows_from_the_facts_is_accepted() {
    let sync = titled("Project Sync");
    for answer in [
        "Meeting in 15 mins: Project Sync. Join via meet.google.com/abc-xyz",
        "Project Sync starts in 15 minutes: https://meet.google.com/abc-xyz",
        "Project Sync begins at 10:00 AM today (15 min from now). https://meet.google.com/abc-xyz.",
        "Your Project Sync is at 10 am. Join: https://meet.google.com/abc-xyz",
        "Reminder: project sync at 10, in fifteen minutes, until 10:30 a.m. https://meet.google.com/abc-xyz",
    ] {
        accepts(&sync, answer);
    }
    let typographic = "  “Sync” – it’s in 15\u{a0}mins… https://meet.google.com/abc-xyz\n";
    let typed = "\"Sync\" - it's in 15 mins... https://meet.google.com/abc-xyz";
    check(&titled("Sync"), typographic, Ok(typed));
    accepts(&plain("30 min standup"), "30 min standup in 15 min");
    accepts(
        &plain("Top 10 reviews of Q4"),
        "Top 10 reviews (Q4) in 15 mins",
    );
    accepts(&plain("Node.js meetup"), "Node.js meetup in 15 mins");
    accepts(
        &plain("C# & *kernel* talk"),
        "C# & *kernel* talk in 15 mins",
    );
    accepts(&plain("פגישה"), "פגישה in 15 mins");
    accepts(&plain("会议"), "会议 in 15 mins");
}

#[test]
fn what_is_wrong_or_made_up_is_refused() {
    let (sync, bare) = (titled("Project Sync"), plain("Project Sync"));
    for (answer, fault) in [
        ("", Fault::Empty),
        ("Project Sync\nin 15 mins", Fault::Control),
        ("Project\u{202e} Sync in 15 mins", Fault::Control),
        ("Project\u{200b} Sync in 15 mins", Fault::Control),
        ("Project Sync in 15 mins 🎉", Fault::Alphabet),
        ("**Project Sync** in 15 mins", Fault::Markdown),
        ("- Project Sync in 15 mins", Fault::Markdown),
        ("Project Sync in 15 mins [link]", Fault::Markdown),
        ("\"Project Sync in 15 mins\"", Fault::Quoted),
        ("Project Sync in 10 mins", Fault::WrongTime),
        ("Project Sync in 10 hrs", Fault::WrongTime),
        ("Project Sync in ten minutes", Fault::WrongTime),
        ("Project Sync in half an hour", Fault::WrongTime),
        ("Project Sync in an hour", Fault::WrongTime),
        ("Project Sync in 15 mins at 11:00", Fault::WrongTime),
        ("Project Sync at 10 pm", Fault::WrongTime),
        ("Project Sync tomorrow, in 15 mins", Fault::WrongTime),
        ("Project Sync on Friday at 10:00", Fault::WrongTime),
        ("Project Sync in 15 mins in room 4", Fault::Number),
        ("Project Sync in 15 mins, call 5550100", Fault::Number),
        ("Project Sync in ١٥ mins", Fault::Alphabet),
        ("Project Sync soon", Fault::NoTime),
        ("Lunch in 15 mins", Fault::Unrelated),
        ("Project Sync in 15 mins evil.example", Fault::OtherLink),
        ("Project Sync in 15 mins www.evil.example", Fault::OtherLink),
        ("Project Sync in 15 mins hxxp://evil/x", Fault::OtherLink),
        ("Project Sync in 15 mins bit.ly/abc", Fault::OtherLink),
        (
            "Project Sync in 15 mins, write to a@b.example",
            Fault::OtherLink,
        ),
    ] {
        check(&bare, answer, Err(fault));
    }
    check(
        &bare,
        "Project Sync [BUBBLE] in 15 mins",
        Err(Fault::Separator),
    );
    for answer in [
        "Project Sync in 15 mins",
        "Project Sync in 15 mins https://meet.google.com/abc-xy",
        "Project Sync in 15 mins https://meet.google.com/abc-xyz/evil",
        "Project Sync in 15 mins https://evil.example/?u=https://meet.google.com/abc-xyz",
        "Project Sync in 15 mins meet.google.com/abc-xyz meet.google.com/abc-xyz",
    ] {
        check(&sync, answer, Err(Fault::NoLink));
    }
    check(
        &sync,
        "Project Sync in 15 mins https://meet.google.com/abc-xyz evil.example/x",
        Err(Fault::OtherLink),
    );
    check(
        &plain("30 min standup"),
        "30 min standup in 30 min",
        Err(Fault::WrongTime),
    );
}

#[test]
fn a_text_is_one_segment() {
    let long = format!("Project Sync in 15 mins {}", "and so on ".repeat(14));
    check(&plain("Project Sync"), &long, Err(Fault::Long));
    let title = "会议".repeat(36);
    check(
        &plain(&title),
        &format!("{title} in 15 mins"),
        Err(Fault::Segments),
    );
    // Ten characters count twice.
    let braces = "{x}".repeat(26);
    let wide = plain(&braces);
    check(
        &wide,
        &format!("{braces} {braces} in 15 mins"),
        Err(Fault::Long),
    );
    let text = format!("{braces} in 15 mins {}", "y ".repeat(25));
    check(&wide, &text, Err(Fault::Segments));
}

#[test]
fn the_time_to_the_event_counts_from_when_the_text_is_sent() {
    let zone = TimeZone::get("America/Los_Angeles").unwrap();
    let of = |sent: &str, starts: &str| {
        let facts = json!({ "title": "Webinar", "starts_at": starts }).to_string();
        Brief::of(&facts, at(sent), &zone)
    };
    for (sent, starts, begins_in) in [
        ("2026-12-01T17:45:00Z", "2026-12-01T18:00:00Z", "in 15 mins"),
        ("2026-12-01T17:59:00Z", "2026-12-01T18:00:00Z", "in 1 min"),
        ("2026-12-01T17:59:45Z", "2026-12-01T18:00:00Z", "now"),
        ("2026-12-01T17:00:00Z", "2026-12-01T18:00:00Z", "in 1 hr"),
        (
            "2026-12-01T16:30:00Z",
            "2026-12-01T18:00:00Z",
            "in 1 hr 30 mins",
        ),
        (
            "2026-11-29T17:00:00Z",
            "2026-12-01T18:00:00Z",
            "in 2 days 1 hr",
        ),
        // Across the change of the clocks: what passes counts, not the clock on the wall.
        (
            "2026-11-01T08:30:00Z",
            "2026-11-01T10:00:00Z",
            "in 1 hr 30 mins",
        ),
    ] {
        let brief = of(sent, starts).unwrap();
        assert_eq!(brief.begins_in(), begins_in);
        let text = format!("Webinar {begins_in}");
        assert_eq!(judge(&text, &brief, None), Ok(text.clone()));
    }
    assert_eq!(
        of("2026-12-01T18:00:00Z", "2026-12-01T18:00:00Z"),
        Err(BriefError::Begun)
    );
    let tomorrow = of("2026-12-02T04:00:00Z", "2026-12-02T18:00:00Z").unwrap();
    accepts(&tomorrow, "Webinar tomorrow at 10:00 AM");
    accepts(&tomorrow, "Webinar on Wednesday 2 December at 10:00 AM");
    check(
        &tomorrow,
        "Webinar today at 10:00 AM",
        Err(Fault::WrongTime),
    );
    check(&tomorrow, "Webinar at 10:00 PM", Err(Fault::WrongTime));
    check(
        &tomorrow,
        "Webinar on Wednesday 3 December at 10:00 AM",
        Err(Fault::Number),
    );
}

#[test]
fn facts_that_are_none_are_no_brief() {
    let of = |facts: &str| Brief::of(facts, at("2026-12-01T17:45:00Z"), &TimeZone::UTC);
    for (facts, error) in [
        ("", BriefError::Form),
        ("[]", BriefError::Form),
        (r#"{"title": "x"}"#, BriefError::Form),
        (
            r#"{"title": " - ", "starts_at": "2026-12-01T18:00:00Z"}"#,
            BriefError::NoTitle,
        ),
        (
            r#"{"title": "x", "starts_at": "2026-12-01 18:00"}"#,
            BriefError::Time,
        ),
        (
            r#"{"title": "x", "starts_at": "infinity"}"#,
            BriefError::Time,
        ),
    ] {
        assert_eq!(of(facts), Err(error), "{facts}");
    }
    let link = format!("https://x.example/{}", "a".repeat(120));
    let facts = json!({ "title": "x", "starts_at": "2026-12-01T18:00:00Z", "link": link });
    assert_eq!(of(&facts.to_string()), Err(BriefError::LongLink));
}
