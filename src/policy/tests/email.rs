//! What an e-mail has in addition to its text: a sender, and a subject.

use super::*;
use crate::message::Sender;
use crate::policy::SUBJECT_MAX;

fn mail(from: Option<&str>, subject: Option<&str>, vars: Option<&str>) -> Verdict {
    let mut claim = Claim {
        lane: LaneKey::of(Channel::Email),
        to_number: "ada@example.com".into(),
        from_number: from.map(str::to_owned),
        ..claim()
    };
    claim.facts.subject = subject.map(str::to_owned);
    claim.facts.template_vars = vars.map(str::to_owned);
    claim.facts.template = vars.map(|_| crate::message::facts::Template {
        name: "order".into(),
        text: "hello".into(),
        required_vars: None,
        max_length: None,
        is_active: true,
    });
    let providers = ProviderCapabilities::all(Capabilities::SENDS_ONLY);
    judge(&claim, &Rules::default(), &providers, claim.due)
}

/// The sender and the subject, or why it is rejected.
fn shown(verdict: Verdict) -> Result<(Option<String>, Option<String>), String> {
    match verdict {
        Verdict::Send(cleared) => {
            let from = cleared.from().map(|from| {
                assert!(matches!(from, Sender::Email(_)));
                from.as_str().to_owned()
            });
            Ok((from, cleared.subject().map(str::to_owned)))
        }
        Verdict::Reject { reason } => Err(reason.text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sender_is_an_address_and_a_subject_one_line() {
    let some = |text: &str| Some(text.to_owned());
    for (from, subject, vars, expected) in [
        (None, None, None, (None, None)),
        (Some(" "), Some(" \n"), None, (None, None)),
        (
            Some(" a@b.example\n"),
            Some(" Hi {{n}} "),
            None,
            (some("a@b.example"), some("Hi {{n}}")),
        ),
        (
            None,
            Some("Hi {{n}}{{m}}!"),
            Some("{\"n\": 7}"),
            (None, some("Hi 7!")),
        ),
    ] {
        assert_eq!(
            shown(mail(from, subject, vars)),
            Ok(expected),
            "{from:?} {subject:?}"
        );
    }
    let long = "ä".repeat(SUBJECT_MAX + 1);
    for (from, subject, vars, why) in [
        (
            Some("ACME"),
            None,
            None,
            "from_number is not valid: it is not an e-mail address",
        ),
        (None, Some("one\ntwo"), None, "line break"),
        (
            None,
            Some(&*long),
            None,
            "the subject has 256 characters, at most 255",
        ),
        (
            None,
            Some("{{n}}"),
            Some("{\"n\": \"a\\r\\nBcc: b@c.example\"}"),
            "line break",
        ),
        (
            None,
            Some("{{n"),
            Some("{}"),
            "template subject has a {{ without its }}",
        ),
    ] {
        let why_not = shown(mail(from, subject, vars)).unwrap_err();
        assert!(why_not.contains(why), "{why_not}");
    }
    // Texts have no subject, whatever the column says.
    let mut text = claim();
    text.from_number = Some("ACME".into());
    text.facts.subject = Some("one\ntwo".into());
    let verdict = judge(
        &text,
        &Rules::default(),
        &ProviderCapabilities::all(Capabilities::SENDS_ONLY),
        text.due,
    );
    assert!(matches!(verdict, Verdict::Send(cleared) if cleared.subject().is_none()));
}

#[test]
fn html_is_of_one_email_and_its_values_are_text() {
    let judged = |channel: Channel, html: &str, text: &str, rules: &Rules| {
        let Verdict::Send(cleared) = mail(None, None, Some("{}")) else {
            panic!("a template without variables")
        };
        assert_eq!(cleared.html(), None);
        let mut claim = Claim {
            lane: LaneKey::of(channel),
            to_number: "ada@example.com".into(),
            ..claim()
        };
        if channel == Channel::Sms {
            claim.to_number = TO.into();
            claim.from_number = Some("ACME".into());
        }
        claim.facts.template_vars = Some(r#"{"n": "<b>'\"&"}"#.into());
        claim.facts.template = Some(Template {
            name: "order".into(),
            text: text.into(),
            required_vars: None,
            max_length: Some(10),
            is_active: true,
        });
        claim.facts.html = Some(html.into());
        let providers = ProviderCapabilities::all(PROVIDER);
        match judge(&claim, rules, &providers, claim.due) {
            Verdict::Send(cleared) => {
                assert!(!format!("{cleared:?} {:?}", cleared.about()).contains("<p"));
                Ok(cleared.html().map(str::to_owned))
            }
            Verdict::Reject { reason } => Err(reason.text),
            other => panic!("{other:?}"),
        }
    };
    let plain = Rules::default();
    let html = |html: &str| judged(Channel::Email, html, "hello", &plain);
    let shown = "<p>&lt;b&gt;&#39;&quot;&amp;</p> and more".to_owned();
    assert_eq!(html("<p>{{n}}</p> and more{{m}}"), Ok(Some(shown)));
    assert_eq!(html(" \n"), Ok(None));
    let sms = judged(Channel::Sms, "<p>{{n</p>", "hello", &plain);
    assert_eq!(sms, Ok(None), "no text has it");
    let divided = Rules {
        part_separator: Some("|".into()),
        ..Rules::default()
    };
    for (made, why) in [
        (html("<p>{{n</p>"), "html_template has a {{ without its }}"),
        (
            html(&"x".repeat(321)),
            "the html_template has 321 characters, at most 320",
        ),
        (
            judged(Channel::Email, "<p>", "a|b", &divided),
            "has 2 parts, and its html_template is of one e-mail",
        ),
    ] {
        let why_not = made.unwrap_err();
        assert!(why_not.contains(why), "{why_not}");
    }
}
