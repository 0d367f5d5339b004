//! Uncertain outcomes at a provider with idempotency keys.

use super::*;

/// A second request makes no second message, so no policy has to permit one.
#[test]
fn with_an_idempotent_provider_an_uncertain_attempt_is_repeated() {
    let idempotent = Capabilities {
        idempotent: true,
        ..PROVIDER
    };
    let again = Resolution::PutBack(ResendReason::SameId);
    for found in [
        Match::NoResponse("no".into()),
        Match::None,
        Match::Several(2),
        Match::Shared,
    ] {
        for policy in InDoubt::ALL {
            let check = |status, provider: &Capabilities| {
                let row = row(Some(policy), status);
                resolve(&found, Duration::ZERO, Some(&row), policy, provider)
            };
            let case = format!("{found:?} {policy:?}");
            assert_eq!(check(Status::Unconfirmed, &idempotent), again, "{case}");
            assert_eq!(check(Status::Sent, &idempotent), Resolution::Wait, "{case}");
            if policy == InDoubt::Hold {
                assert_eq!(
                    check(Status::Unconfirmed, &PROVIDER),
                    Resolution::Wait,
                    "{case}"
                );
            }
        }
    }
    let proven = resolve(
        &Match::One(ProviderSid("SM0".into())),
        MINUTE,
        None,
        InDoubt::Hold,
        &idempotent,
    );
    assert!(matches!(proven, Resolution::Adopt(_)), "{proven:?}");
}
