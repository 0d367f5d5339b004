//! The text of each expression, and of the files that repeat it.

use super::*;
use crate::message::InDoubt;
use crate::message::facts::{Priority, Switch};
use crate::message::status::Status;

fn check(sql: &str, expected: &str) {
    const ROOM: usize = 2000;
    let text = Text::<ROOM>::of(sql);
    let assembled = str::from_utf8(&text.bytes[..text.len]).unwrap();
    assert_eq!(assembled, expected, "{sql}");
    assert_eq!(length(sql), expected.len(), "{sql}");
}

#[test]
fn an_expression_takes_the_place_of_its_name() {
    check("", "");
    check("select 'ä!(', a!~b, c!", "select 'ä!(', a!~b, c!");
    check(
        "due!(m)<now",
        "greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)<now",
    );
    check(
        "(due!())",
        "(greatest(scheduled_at, deferred_until, next_attempt_at))",
    );
    check(
        "not undelivered!(a1) -- undelivered!",
        "not coalesce(a1.message_status in ('undelivered', 'failed', 'cancelled'), false) -- undelivered!",
    );
}

#[test]
fn the_lists_of_statuses_and_outcomes_come_from_their_tables() {
    check(
        "provable!(m)",
        "m.status in ('pending', 'sending', 'failed', 'cancelled', 'unconfirmed')",
    );
    check(
        "sent_nothing!()",
        "outcome in ('refused', 'throttled', 'unsent', 'returned', 'deferred', 'cancelled', 'rejected')",
    );
    let user = "when 'pending' then new.status in ('sent', 'failed', 'cancelled') \
                when 'sending' then false when 'sent' then false when 'delivered' then false \
                when 'failed' then new.status in ('pending') \
                when 'cancelled' then new.status in ('pending') when 'unconfirmed' then false ";
    check("user_transitions!()", user);
}

#[test]
fn one_expression_chooses_between_notifications_and_feeds() {
    let triggers = include_str!("../../../triggers/scheduled_messages.sql");
    assert_eq!(triggers.matches("say_notice!();").count(), 2);
    for own in ["is_fed!(", "pg_logical_emit_message"] {
        assert!(!triggers.contains(own), "{own}");
    }
}

#[test]
fn a_row_without_a_channel_is_a_text() {
    let text = format!("'{}') end)", Channel::Sms.as_str());
    assert!(channel!().ends_with(&text), "{}", channel!());
}

#[test]
fn every_switch_is_in_the_lists() {
    for list in ["switched_off!(p)", "switches!()"] {
        let text = Text::<3000>::of(list);
        let text = str::from_utf8(&text.bytes[..text.len]).unwrap();
        for switch in Switch::ALL {
            for of in switch.message_types() {
                assert!(text.contains(&format!("'{of}'")), "{text}");
            }
            assert!(text.contains(switch.column()), "{text}");
        }
    }
}

/// The characters of a literal with escapes, in order.
fn named(literal: &str) -> Vec<char> {
    let inside = literal
        .strip_prefix("E'")
        .unwrap()
        .strip_suffix('\'')
        .unwrap();
    let code = |hex: &str| char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap();
    let mut named: Vec<char> = Vec::new();
    for part in inside.split('\\') {
        match part.split_at_checked(1) {
            None => {}
            Some((" ", "")) => named.push(' '),
            Some(("t", "")) => named.push('\t'),
            Some(("n", "")) => named.push('\n'),
            Some(("f", "")) => named.push('\u{c}'),
            Some(("r", "")) => named.push('\r'),
            Some(("x" | "u", hex)) => named.push(code(hex)),
            other => panic!("{other:?}"),
        }
    }
    named.sort_unstable();
    named
}

#[test]
fn what_is_blank_is_so_in_rust_and_in_sql() {
    let blank: Vec<char> = (char::MIN..=char::MAX)
        .filter(|c| crate::message::parts::is_blank(c.encode_utf8(&mut [0; 4])))
        .collect();
    assert_eq!(named(blank!()), blank);
}

/// A number is one number in Rust and in SQL.
#[test]
fn white_space_is_what_rust_trims() {
    let text = Text::<300>::of("white!()");
    let text = str::from_utf8(&text.bytes[..text.len]).unwrap();
    let white: Vec<char> = (char::MIN..=char::MAX)
        .filter(|c| c.is_whitespace())
        .collect();
    assert_eq!(named(text), white);
    assert!(
        indexes::MORE_INDEXES[0]
            .contains(&format!("btrim(to_number, {})", text.replace('\'', "''")))
    );
}

/// What a row may say is what is read of it.
#[test]
fn the_known_words_are_those_of_rust() {
    let priorities = Priority::ALL.map(|p| format!("{p:?}").to_lowercase());
    for (column, words) in fault::KNOWN {
        let expected = match *column {
            "status" => Status::ALL.map(Status::as_str).join(","),
            "priority" => priorities.join(","),
            _ => InDoubt::ALL.map(InDoubt::as_str).join(","),
        };
        assert_eq!(*words, expected, "{column}");
        assert!(words.split(',').all(|word| {
            *column != "priority"
                || word == "normal"
                || Priority::of(Some(word)) != Priority::Normal
        }));
    }
}

/// The migrations are plain SQL, because the Supabase CLI applies them as they are.
#[test]
fn the_migrations_say_the_same() {
    for expression in ["due!()", "under_way!()"] {
        let text = Text::<200>::of(expression);
        let text = str::from_utf8(&text.bytes[..text.len]).unwrap();
        // It is within the quotes of the list.
        assert!(
            indexes::INDEXES.contains(&text.replace('\'', "''")),
            "{text}"
        );
    }
    let tables = include_str!("../../../migrations/20261128000001_app_tables.sql");
    for switch in Switch::ALL {
        let column = format!("'user_sms_preferences', '{}',", switch.column());
        assert!(tables.contains(&column), "{column}");
    }
}

/// The claim repeats a bound of the quarantine.
#[test]
fn the_claim_exempts_what_the_quarantine_does() {
    let after = crate::proof::quarantine::WRITTEN_AFTER.as_secs();
    let bound = format!("q.due_before + interval '{after} s'");
    assert!(
        crate::store::path::claims::CLAIM.text().contains(&bound),
        "{bound}"
    );
}

#[test]
#[should_panic(expected = "names an expression")]
fn an_unknown_name_is_refused() {
    length("dew!(m)");
}
