//! What arrives at the provider.

use std::time::Duration;

use punctual::message::Outcome;
use punctual::provider::Provider;
use punctual::provider::twilio::{Credentials, Twilio};

use crate::setup::{
    ACCOUNT, AUTH_TOKEN, BODY, FROM, TO, VALID_FOR, claim, cleared, config, send, twilio,
};
use crate::standin::StandIn;

const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn the_request_is_what_twilio_documents() {
    let stand_in = StandIn::start([]).await;
    let before = std::time::Instant::now();
    send(&twilio(&stand_in.url())).await;
    let [seen] = &stand_in.creates()[..] else {
        panic!("not one request");
    };
    assert!(seen.at >= before);
    assert_eq!(
        seen.line,
        format!("POST /2010-04-01/Accounts/{ACCOUNT}/Messages.json HTTP/1.1")
    );
    let form: Vec<_> = seen
        .form
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        form,
        [
            ("To", TO),
            ("From", FROM),
            ("Body", BODY),
            ("ValidityPeriod", "90")
        ]
    );
    for (name, value) in [
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "application/json"),
        // base64 of the account and the token, by coreutils.
        (
            "authorization",
            "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpmZWVkZmFjZWZlZWRmYWNlZmVlZGZhY2VmZWVkZmFjZQ==",
        ),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    // In one piece of known length, as servers before HTTP/1.1's chunks want it.
    assert!(seen.header("content-length").is_some());
    assert_eq!(seen.header("transfer-encoding"), None);
    assert_eq!(seen.header("upgrade"), None);
}

/// Several fields of one name, in their order.
#[tokio::test]
async fn media_are_fetched_by_twilio() {
    let stand_in = StandIn::start([]).await;
    let urls = ["https://a.example/1.png?x=y&z", "https://b.example/2.pdf"];
    let mut claim = claim();
    claim.facts.media = urls.map(str::to_owned).to_vec();
    let outcome = twilio(&stand_in.url())
        .send(&cleared(&claim), VALID_FOR)
        .await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    let seen = &stand_in.creates()[0];
    let media = seen.form.iter().filter(|(name, _)| name == "MediaUrl");
    let media: Vec<&str> = media.map(|(_, url)| url.as_str()).collect();
    assert_eq!(media, urls);
    assert_eq!(seen.field("Body"), Some(BODY));
}

#[tokio::test]
async fn an_api_key_signs_in_place_of_the_account() {
    let stand_in = StandIn::start([]).await;
    let key = "SK0123456789abcdef0123456789abcdef";
    let config = punctual::provider::twilio::TwilioConfig {
        credentials: Credentials::ApiKey {
            sid: key.parse().unwrap(),
            secret: "secret".to_owned().into(),
        },
        ..config(&stand_in.url())
    };
    assert!(!format!("{config:?}").contains("secret\""), "{config:?}");
    send(&Twilio::new(&config).unwrap()).await;
    let seen = &stand_in.creates()[0];
    let expected = "Basic U0swMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjpzZWNyZXQ=";
    assert_eq!(seen.header("authorization"), Some(expected));
    assert!(seen.line.contains(ACCOUNT));
}

#[tokio::test]
async fn a_service_has_a_field_of_its_own() {
    for (from, field) in [
        (SERVICE, "MessagingServiceSid"),
        ("12345", "From"),
        ("ACME & Co", "From"),
    ] {
        let stand_in = StandIn::start([]).await;
        let mut claim = claim();
        claim.from_number = Some(from.into());
        let outcome = twilio(&stand_in.url())
            .send(&cleared(&claim), VALID_FOR)
            .await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        let seen = &stand_in.creates()[0];
        for name in ["From", "MessagingServiceSid"] {
            assert_eq!(seen.field(name), (name == field).then_some(from));
        }
    }
}

/// Twilio has both numbers of a message on WhatsApp with a prefix, and rows have it at the sender only.
#[tokio::test]
async fn a_number_on_whatsapp_writes_to_one() {
    let stand_in = StandIn::start([]).await;
    let mut claim = claim();
    claim.from_number = Some(" whatsapp:+14155238886".into());
    let outcome = twilio(&stand_in.url())
        .send(&cleared(&claim), VALID_FOR)
        .await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    let seen = &stand_in.creates()[0];
    assert_eq!(seen.field("From"), Some("whatsapp:+14155238886"));
    assert_eq!(seen.field("To"), Some(&*format!("whatsapp:{TO}")));
}

#[tokio::test]
async fn the_validity_stays_within_twilios_limits() {
    let stand_in = StandIn::start([]).await;
    let twilio = twilio(&stand_in.url());
    let message = cleared(&claim());
    for (valid_for, seconds) in [
        (Duration::ZERO, "1"),
        (Duration::from_millis(999), "1"),
        // Rounded down: what has expired must not be sent.
        (Duration::from_millis(59_999), "59"),
        (Duration::from_secs(36_000), "36000"),
        (Duration::from_secs(36_001), "36000"),
        (Duration::MAX, "36000"),
    ] {
        twilio.send(&message, valid_for).await;
        let seen = stand_in.creates().pop().unwrap();
        assert_eq!(seen.field("ValidityPeriod"), Some(seconds));
    }
}

#[tokio::test]
async fn the_callback_carries_the_attempt() {
    let stand_in = StandIn::start([]).await;
    let config = punctual::provider::twilio::TwilioConfig {
        status_callback: Some(
            "https://sms.example.com/webhooks/twilio/status"
                .parse()
                .unwrap(),
        ),
        ..config(&stand_in.url())
    };
    send(&Twilio::new(&config).unwrap()).await;
    assert_eq!(
        stand_in.creates()[0].field("StatusCallback"),
        Some(
            "https://sms.example.com/webhooks/twilio/status\
             ?message=00000000-0000-0000-0000-000000000011\
             &token=00000000-0000-0000-0000-000000000022#rc=5&rp=all"
        )
    );
}

#[tokio::test]
async fn a_base_url_may_have_a_path() {
    let stand_in = StandIn::start([]).await;
    send(&twilio(&format!("{}/twilio/", stand_in.url()))).await;
    let line = &stand_in.creates()[0].line;
    assert!(
        line.starts_with("POST /twilio/2010-04-01/Accounts/AC"),
        "{line}"
    );
}

#[test]
fn debug_shows_nothing_private() {
    let claim = claim();
    let shown = format!("{:?} {:?}", cleared(&claim), config("http://localhost"));
    for private in [&TO[1..], &FROM[1..], BODY, AUTH_TOKEN] {
        assert!(!shown.contains(private), "{shown}");
    }
}
