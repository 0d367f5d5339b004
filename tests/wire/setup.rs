//! What the tests send, and through what.

use std::time::Duration;

use punctual::message::{
    AttemptToken, Claim, Facts, LaneKey, MessageId, Moment, Outcome, Part, ProviderCapabilities,
};
use punctual::policy::{Cleared, Rules, Verdict, judge};
use punctual::provider::Provider;
use punctual::provider::twilio::{self, Credentials, Twilio, TwilioConfig};
use uuid::Uuid;

pub(crate) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub(crate) const TO: &str = "+13105551234";
pub(crate) const FROM: &str = "+15005550006";
pub(crate) const BODY: &str = "Your appointment: 9 o'clock & 10% off 👋";
pub(crate) const AUTH_TOKEN: &str = "feedfacefeedfacefeedfacefeedface";

/// Never waited for, on however busy a machine.
const AMPLE: Duration = Duration::from_secs(20);
/// Short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(300);
pub(crate) const VALID_FOR: Duration = Duration::from_millis(90_500);

pub(crate) fn claim() -> Claim {
    Claim {
        id: MessageId(Uuid::from_u128(0x11)),
        token: AttemptToken(Uuid::from_u128(0x22)),
        number: 1,
        attempts_before: 0,
        max_attempts: 3,
        due: Moment::default(),
        wanted_at: Moment::default(),
        is_retry: false,
        send_before: None,
        lane: LaneKey::default(),
        route: None,
        to_number: TO.into(),
        from_number: Some(FROM.into()),
        body: BODY.into(),
        part: Part::ONLY,
        part_text: None,
        campaign: None,
        facts: Facts::default(),
    }
}

/// Cleared as it is in the daemon: by the policy, which is the only way there is.
pub(crate) fn cleared(claim: &Claim) -> Cleared {
    let rules = Rules {
        default_sender: None,
        max_lateness: Duration::from_secs(3600),
        ..Rules::default()
    };
    match judge(
        claim,
        &rules,
        &ProviderCapabilities::texts(twilio::CAPABILITIES),
        claim.due,
    ) {
        Verdict::Send(cleared) => cleared,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn config(base_url: &str) -> TwilioConfig {
    TwilioConfig {
        account_sid: ACCOUNT.parse().unwrap(),
        credentials: Credentials::AuthToken(AUTH_TOKEN.to_owned().into()),
        base_url: base_url.parse().unwrap(),
        send_timeout: AMPLE,
        max_in_flight: 8.try_into().unwrap(),
        status_callback: None,
    }
}

pub(crate) fn twilio(base_url: &str) -> Twilio {
    Twilio::new(&config(base_url)).unwrap()
}

/// A provider that soon gives up.
pub(crate) fn hasty(base_url: &str) -> Twilio {
    let config = TwilioConfig {
        send_timeout: SHORT,
        ..config(base_url)
    };
    Twilio::new(&config).unwrap()
}

/// Sends the usual message once.
pub(crate) async fn send(twilio: &Twilio) -> Outcome {
    let outcome = twilio.send(&cleared(&claim()), VALID_FOR).await;
    keeps_quiet(&outcome);
    outcome
}

/// No outcome shows whom it was for, what it said or what proved who we are.
fn keeps_quiet(outcome: &Outcome) {
    let shown = format!("{outcome:?}");
    for private in [&TO[1..], &FROM[1..], BODY, AUTH_TOKEN, ACCOUNT] {
        assert!(!shown.contains(private), "{shown}");
    }
}
