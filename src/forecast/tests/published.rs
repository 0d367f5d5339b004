//! What instances publish of their rules and states.

use super::*;
use crate::message::PoolForm;
use crate::policy::{LawfulHours, Zones};

#[test]
fn rules_and_states_are_read_as_they_were_published() {
    let rules = Rules {
        default_sender: "+15005550006".parse().ok(),
        max_lateness: Duration::from_millis(1_500),
        business_hours: "mon-fri 09:00-12:00 13:00-18:00".parse().ok(),
        hours_by_type: "invoice = off".parse().unwrap(),
        hours_by_campaign: "5f0c1c9e-0000-4000-8000-000000000001 = sat 10:00-12:00"
            .parse()
            .unwrap(),
        timezone: Zones::bundled().get("Europe/Berlin").unwrap(),
        lawful: Some(LawfulHours::builtin().with_transactional(["invoice".into()])),
        urgent_passes_quiet_hours: true,
        part_separator: None,
        validate: Validate::Refuse,
        ..Rules::default()
    };
    let provider = Capabilities {
        max_chars: 1_600,
        sender_pools: Some(PoolForm {
            prefix: "MG",
            digits: 32,
        }),
        whatsapp: true,
        ..Capabilities::SENDS_ONLY
    };
    let capabilities = ProviderCapabilities::texts(provider);
    let state = PublishedState {
        rules: PublishedRules::of(&rules, &capabilities),
        lanes: vec![refused(1, 2)],
        ..PublishedState::default()
    };
    let text = serde_json::to_string(&state).unwrap();
    let read: PublishedState = serde_json::from_str(&text).unwrap();
    assert_eq!(read, state);
    let (own, of_channels) = read.rules.read(&Zones::bundled(), provider).unwrap();
    assert_eq!(PublishedRules::of(&own, &of_channels), state.rules);
    assert_eq!(own.validate, Validate::Refuse);
    assert_eq!(of_channels, capabilities);
    // Rules that this program does not have, and those of a file.
    let mut other = state.rules.clone();
    if let Some(lawful) = &mut other.lawful {
        lawful.checked = "2026-01-01".into();
    }
    assert!(other.read(&Zones::bundled(), provider).is_none());
    // Of another version: what it does not say has its default, and what it says beside is ignored.
    let other: PublishedState =
        serde_json::from_str(r#"{"lanes": [{"account": "a"}], "more": 1}"#).unwrap();
    assert_eq!(other.lanes[0].permits, 0);
    assert!(other.rules.read(&Zones::bundled(), provider).is_none());
}
