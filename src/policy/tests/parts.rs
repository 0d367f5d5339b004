//! Messages of several parts: what is sent of them, and what is judged at which part.

use jiff::civil;

use super::*;
use crate::message::facts::{Preferences, QuietHours};

const THREE: &str = " one [BUBBLE]\n[BUBBLE]two\n\n[BUBBLE]three";

/// A later part of [`THREE`], with what was kept of it.
fn at(before: i16, text: Option<&str>) -> Claim {
    Claim {
        body: THREE.into(),
        part: Part { before, of: 3 },
        part_text: text.map(Into::into),
        ..claim()
    }
}

/// What is sent, of which part, and what is to be kept; or the verdict.
fn sent(claim: &Claim, rules: &Rules) -> String {
    match judge(claim, rules, &ProviderCapabilities::all(PROVIDER), NINE) {
        Verdict::Send(cleared) => format!(
            "{} {:?} keep {}",
            cleared.part(),
            cleared.body(),
            cleared.texts().join("|")
        ),
        Verdict::Reject { reason } => format!("reject: {reason}"),
        Verdict::Cancel { reason } => format!("cancel: {reason}"),
        Verdict::Defer { reason, .. } => format!("defer: {reason}"),
    }
}

fn with_body(body: &str) -> Claim {
    Claim {
        body: body.into(),
        ..claim()
    }
}

#[test]
fn the_first_part_is_sent_and_the_texts_of_all_are_to_be_kept() {
    let rules = rules();
    assert_eq!(
        sent(&with_body(THREE), &rules),
        "1 of 3 \"one\" keep one|two|three"
    );
    // One that is left is trimmed, and there is nothing to keep.
    assert_eq!(sent(&with_body("[BUBBLE] a"), &rules), "1 of 1 \"a\" keep ");
    // A text without the separator is sent as it is.
    assert_eq!(sent(&with_body(" a "), &rules), "1 of 1 \" a \" keep ");
    // It had several at an attempt before, which has to be known.
    let fewer = Claim {
        part: Part { before: 0, of: 3 },
        ..with_body("a")
    };
    assert_eq!(sent(&fewer, &rules), "1 of 1 \"a\" keep a");
    let off = Rules {
        part_separator: None,
        ..rules
    };
    assert_eq!(
        sent(&with_body("a[BUBBLE]b"), &off),
        "1 of 1 \"a[BUBBLE]b\" keep "
    );
}

#[test]
fn what_cannot_be_sent_in_parts_fails_before_the_first() {
    let rules = rules();
    let nothing =
        "reject: every part of the body is empty: it has nothing but the separator [BUBBLE]";
    assert_eq!(sent(&with_body(" [BUBBLE]\n[BUBBLE]"), &rules), nothing);
    assert_eq!(sent(&with_body(" "), &rules), "reject: the body is empty");
    // Each part has the provider's limit, and not the whole.
    let long = "x".repeat(320);
    let fits = with_body(&format!("{long}[BUBBLE]{long}"));
    assert!(sent(&fits, &rules).starts_with("1 of 2"));
    assert_eq!(
        sent(&with_body(&format!("a[BUBBLE]{long}y")), &rules),
        "reject: part 2 of 2 of the body has 321 characters, at most 320 can be sent"
    );
    let many = "x[BUBBLE]".repeat(101);
    assert_eq!(
        sent(&with_body(&many), &rules),
        "reject: the body has 101 parts, at most 100 can be sent"
    );
}

#[test]
fn a_later_part_is_sent_as_it_was_kept() {
    // Whatever the row and the settings have become.
    let other = Rules {
        part_separator: Some("--".into()),
        ..rules()
    };
    assert_eq!(sent(&at(1, Some("two")), &other), "2 of 3 \"two\" keep ");
    // The ledger has lost it: a body of as many parts has it still.
    assert_eq!(sent(&at(2, None), &rules()), "3 of 3 \"three\" keep ");
    let lost = "reject: the text of part 3 of 3 is no longer in the ledger; insert a new row for what is left";
    assert_eq!(sent(&at(2, None), &other), lost);
    let mut of_template = at(2, None);
    of_template.facts.template_vars = Some("{}".into());
    assert_eq!(sent(&of_template, &rules()), lost);
}

#[test]
fn a_template_is_rendered_before_it_is_divided_and_its_limit_is_of_each_part() {
    let template = |text: &str| {
        let mut claim = claim();
        claim.facts.template_vars = Some(r#"{"name": "Ada"}"#.into());
        claim.facts.template = Some(Template {
            name: "greeting".into(),
            text: text.into(),
            required_vars: None,
            max_length: Some(8),
            is_active: true,
        });
        sent(&claim, &rules())
    };
    assert_eq!(
        template("Hi {{name}}[BUBBLE]again {{x}}"),
        "1 of 2 \"Hi Ada\" keep Hi Ada|again"
    );
    assert_eq!(
        template("Hi[BUBBLE]Hello {{name}}"),
        "reject: the text of template greeting has 9 characters, at most 8 are allowed"
    );
}

/// With preferences of its user.
fn prefer(mut claim: Claim, change: fn(&mut Preferences)) -> Claim {
    let mut chosen = Preferences {
        phone_verified: true,
        ..Preferences::default()
    };
    change(&mut chosen);
    claim.facts.user_id = Some(Uuid::from_u128(9));
    claim.facts.preferences = Some(chosen);
    claim
}

#[test]
fn hours_quota_and_lateness_are_judged_at_the_first_part() {
    let late = |mut claim: Claim| {
        claim.wanted_at = NINE - HOUR - TICK;
        claim
    };
    let over = |mut claim: Claim| {
        claim.facts.limit = Limit::Over { limit: 1 };
        claim
    };
    let quiet = |claim| {
        prefer(claim, |chosen| {
            chosen.quiet_hours = Some(QuietHours {
                start: civil::time(8, 0, 0, 0),
                end: civil::time(10, 0, 0, 0),
            });
        })
    };
    let second = || at(1, Some("two"));
    let goes = "2 of 3 \"two\" keep ";
    for (once, word) in [
        (late as fn(Claim) -> Claim, "cancel: too late"),
        (over, "cancel: Daily SMS limit"),
        (quiet, "defer: "),
    ] {
        let first = sent(&once(at(0, None)), &rules());
        assert!(first.starts_with(word), "{first}");
        assert_eq!(sent(&once(second()), &rules()), goes);
    }
    // Consent, a deleted event, and what the row sets as its end hold for each.
    for (mut claim, word) in [
        (
            prefer(second(), |chosen| chosen.opted_out = true),
            "cancel: ",
        ),
        (second(), "cancel: Calendar event deleted"),
        (second(), "cancel: too late: send_before"),
    ] {
        match word {
            "cancel: Calendar event deleted" => claim.facts.event = Event::Gone,
            "cancel: too late: send_before" => claim.send_before = Some(NINE - TICK),
            _ => {}
        }
        let verdict = sent(&claim, &rules());
        assert!(verdict.starts_with(word), "{verdict}");
    }
    assert_eq!(expires(&second(), &rules()), Moment::MAX);
}
