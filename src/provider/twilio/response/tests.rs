//! What a response means.

use proptest::prelude::*;

use super::*;
use crate::message::Scope;

const SID: &str = "SM0123456789abcdef0123456789abcdef";

/// The outcome in few words, without the sentence.
fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { sid } => format!("accepted {}", sid.0),
        Outcome::Throttled {
            retry_after, code, ..
        } => {
            format!("throttled {:?} {code:?}", retry_after.map(|d| d.as_secs()))
        }
        Outcome::Refused { code, category, .. } => {
            format!("refused {code:?} {}", category.as_str())
        }
        Outcome::Unsent { .. } => "unsent".into(),
        Outcome::Unknown { .. } => "unknown".into(),
    }
}

#[track_caller]
fn check(status: u16, body: &str, expected: &str) {
    let got = outcome(status, None, Ok(body.as_bytes()), "");
    assert_eq!(words(&got), expected, "{got:?}");
}

#[test]
fn accepted_only_with_a_sid() {
    let accepted = format!("accepted {SID}");
    check(
        201,
        &format!(r#"{{"sid":"{SID}","status":"queued"}}"#),
        &accepted,
    );
    check(200, &format!(r#"{{"sid":"{SID}"}}"#), &accepted);
    for nothing in [
        "",
        "{}",
        "<html>ok</html>",
        r#"{"sid":null}"#,
        r#"{"sid":"SM123"}"#,
        r#"{"sid":"AC0123456789abcdef0123456789abcdef"}"#,
        r#"["SM0123456789abcdef0123456789abcdef"]"#,
    ] {
        check(201, nothing, "unknown");
    }
}

#[test]
fn refused_only_in_the_providers_own_words() {
    check(
        400,
        r#"{"code":21211,"message":"no","more_info":"…","status":400}"#,
        "refused Some(21211) invalid_number",
    );
    check(
        400,
        r#"{"code":"21610","message":"no","status":400}"#,
        "refused Some(21610) opted_out",
    );
    check(
        404,
        r#"{"message":"not found","status":404}"#,
        "refused None unknown",
    );
    for not_twilios in [
        "",
        "<html>403 Forbidden</html>",
        "{}",
        r#"{"error":"forbidden"}"#,
        r#"{"message":"Forbidden"}"#,
        r#"{"message":"Forbidden","status":200}"#,
        r#"{"code":21211}"#,
        r#"[{"code":21211,"message":"no"}]"#,
    ] {
        check(403, not_twilios, "unknown");
    }
}

#[test]
fn problem_documents_are_understood() {
    let with_code = r#"{"type":"https://www.twilio.com/docs/api/errors/21610",
        "title":"Unsubscribed","status":400,"detail":"no","code":21610}"#;
    check(400, with_code, "refused Some(21610) opted_out");
    let by_type = with_code.replace(r#","code":21610"#, "");
    check(400, &by_type, "refused Some(21610) opted_out");
    let plain = r#"{"type":"about:blank","title":"Bad Request","status":400}"#;
    check(400, plain, "refused None unknown");
    check(422, plain, "unknown");
    let timeout = plain.replace("400", "408");
    check(408, &timeout, "unknown");
}

#[test]
fn the_account_is_held_on_401_and_on_403_without_a_code() {
    let body = |code: &str, status| format!(r#"{{{code}"message":"no","status":{status}}}"#);
    let held = "account_issue";
    check(401, &body("", 401), &format!("refused None {held}"));
    check(403, &body("", 403), &format!("refused None {held}"));
    let strange = r#""code":99999,"#;
    check(
        401,
        &body(strange, 401),
        &format!("refused Some(99999) {held}"),
    );
    check(403, &body(strange, 403), "refused Some(99999) unknown");
}

#[test]
fn too_many_requests_is_certain_whatever_the_body() {
    for (retry_after, expected) in [
        (None, "None"),
        (Some("2"), "Some(2)"),
        (Some(" 7 "), "Some(7)"),
        (Some("999999999999"), "Some(3600)"),
        (Some("-1"), "None"),
        (Some("Wed, 21 Oct 2026 07:28:00 GMT"), "None"),
    ] {
        for (body, code) in [
            (
                Ok(&br#"{"code":20429,"message":"slow","status":429}"#[..]),
                "Some(20429)",
            ),
            (Ok(&b"<html>"[..]), "None"),
            (Err("the answer broke off"), "None"),
        ] {
            let got = outcome(429, retry_after, body, "");
            assert_eq!(words(&got), format!("throttled {expected} {code}"));
        }
    }
}

#[test]
fn what_concerns_the_account_holds_it() {
    let hold = |status, code: i32| {
        let body = format!(r#"{{"code":{code},"message":"no","status":{status}}}"#);
        let got = outcome(status, None, Ok(body.as_bytes()), "");
        got.holds_account().map(|probe| probe.as_secs() / 60)
    };
    assert_eq!(hold(401, 20003), Some(5));
    assert_eq!(hold(400, 63038), Some(60));
    assert_eq!(hold(429, 63038), Some(60));
    assert_eq!(hold(429, 20429), None);
    assert_eq!(hold(400, 21611), None);
    assert_eq!(hold(400, 21211), None);
}

#[test]
fn a_limit_belongs_to_what_its_code_names() {
    let slows = |status, code: Option<i32>| {
        let code = code.map_or(String::new(), |code| format!(r#""code":{code},"#));
        let body = format!(r#"{{{code}"message":"no","status":{status}}}"#);
        outcome(status, None, Ok(body.as_bytes()), "").slows()
    };
    for (status, code, expected) in [
        (429, None, Some(Scope::Account)),
        (429, Some(20429), Some(Scope::Account)),
        (429, Some(99_999), Some(Scope::Account)),
        (429, Some(21611), Some(Scope::Sender)),
        (400, Some(21611), Some(Scope::Sender)),
        (429, Some(14107), Some(Scope::Recipient)),
        (400, Some(14107), Some(Scope::Recipient)),
        (429, Some(63038), None),
        (400, Some(30003), None),
        (400, Some(21659), None),
    ] {
        assert_eq!(slows(status, code), expected, "{status} {code:?}");
    }
}

#[test]
fn the_rest_is_uncertain() {
    let fine = format!(r#"{{"sid":"{SID}","code":21211,"message":"no","status":500}}"#);
    for status in [100, 301, 302, 307, 308, 500, 502, 503, 504, 599, 999] {
        check(status, &fine, "unknown");
    }
    let broken = outcome(201, None, Err("the answer broke off"), "");
    assert_eq!(
        broken,
        Outcome::Unknown {
            reason: "HTTP 201, the answer broke off".into()
        }
    );
}

#[test]
fn a_quoted_text_is_cut_out() {
    for (sent, kept) in [
        ("Code 12345678", "The body '[text]' is not allowed"),
        (" Code 12345678\n", "The body '[text]' is not allowed"),
        ("e", "The body 'Code •••' is not allowed"),
    ] {
        let body = r#"{"code":21617,"message":"The body 'Code 12345678' is not allowed"}"#;
        let Outcome::Refused { text, .. } = outcome(400, None, Ok(body.as_bytes()), sent) else {
            panic!("not refused");
        };
        assert_eq!(text, kept);
    }
}

proptest! {
    /// Whatever arrives, an outcome is certain only with proof.
    #[test]
    fn only_proof_makes_an_outcome_certain(
        status in 0u16..1000,
        retry_after in proptest::option::of(".{0,12}"),
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let got = outcome(status, retry_after.as_deref(), Ok(&body), "");
        prop_assert_eq!(matches!(got, Outcome::Throttled { .. }), status == 429);
        let uncertain = matches!(got, Outcome::Unknown { .. });
        prop_assert!(uncertain || status == 429, "bytes without meaning: {:?}", got);
    }

    #[test]
    fn json_of_any_shape_keeps_to_its_status(
        status in 100u16..600,
        repeated in proptest::option::of(100u16..600),
        code in proptest::option::of(any::<i64>()),
        sid in prop_oneof!["SM[0-9a-f]{32}", "[A-Z]{2}[0-9a-f]{30,34}"],
        message in proptest::option::of(".{0,400}"),
    ) {
        let body = serde_json::json!({
            "status": repeated, "code": code, "sid": sid, "message": message,
        });
        let got = outcome(status, None, Ok(body.to_string().as_bytes()), "");
        match got {
            Outcome::Accepted { sid } => {
                prop_assert!((200..300).contains(&status));
                prop_assert!(is_message_sid(&sid.0));
            }
            Outcome::Refused { text, .. } => {
                prop_assert!((400..500).contains(&status) && status != 429);
                prop_assert!(message.is_some() && text.chars().count() <= 301);
            }
            Outcome::Throttled { .. } => prop_assert_eq!(status, 429),
            Outcome::Unknown { .. } => (),
            Outcome::Unsent { .. } => prop_assert!(false, "there was a response"),
        }
    }
}
