//! What a filter understands, and what it refuses.

use super::*;

fn set(pairs: &[(&str, &str)]) -> Result<Filter, FilterError> {
    let mut filter = Filter::default();
    for (name, value) in pairs {
        filter.set(name, value)?;
    }
    Ok(filter)
}

#[test]
fn a_filter_is_read_whole_or_refused() {
    let user = "00000000-0000-0000-0000-00000000000a";
    let filter = set(&[
        ("status", "failed, pending,failed"),
        ("from", "2026-01-01T09:00:00 01:00"),
        ("to", "2026-01-01T09:00:00Z"),
        ("user", user),
        ("campaign", ""),
        ("reason", "opted_out"),
    ]);
    let expected = Filter {
        statuses: vec![Status::Pending, Status::Failed],
        from: Some(Moment::from_micros(1_767_254_400_000_000)),
        to: Some(Moment::from_micros(1_767_258_000_000_000)),
        user: user.parse().ok(),
        reason: Some("opted_out".to_owned()),
        ..Filter::default()
    };
    assert_eq!(filter, Ok(expected));
    for (pairs, error) in [
        (vec![("status", "done")], FilterError::Status),
        (vec![("from", "today")], FilterError::Time("from")),
        (vec![("user", "7")], FilterError::Id("user")),
        (vec![("reason", "Opted out")], FilterError::Reason),
        (vec![("q", "abc")], FilterError::Search),
        (
            vec![("user", user), ("user", user)],
            FilterError::Twice("user"),
        ),
        (
            vec![("colour", "red")],
            FilterError::Unknown(PARAMETERS.join(", ")),
        ),
        (
            vec![
                ("to", "2026-01-01T09:00:00Z"),
                ("from", "2026-01-01T09:00:00Z"),
            ],
            FilterError::Order,
        ),
    ] {
        assert_eq!(set(&pairs), Err(error), "{pairs:?}");
    }
}

#[test]
fn what_is_searched_for_is_recognised_by_its_form() {
    let between = |first: &str, last: &str| {
        let (first, last) = (first.parse().unwrap(), last.parse().unwrap());
        Ok(Search::Id { first, last })
    };
    let whole = "01234567-89ab-cdef-0123-456789abcdef";
    for (text, expected) in [
        (whole, between(whole, whole)),
        (&whole.to_uppercase(), between(whole, whole)),
        (&whole.replace('-', ""), between(whole, whole)),
        (
            "0123",
            between(
                "01230000-0000-0000-0000-000000000000",
                "0123ffff-ffff-ffff-ffff-ffffffffffff",
            ),
        ),
        (
            "01234567-8",
            between(
                "01234567-8000-0000-0000-000000000000",
                "01234567-8fff-ffff-ffff-ffffffffffff",
            ),
        ),
        (
            " +13105550100 ",
            Ok(Search::Recipient("+13105550100".to_owned())),
        ),
        (
            "ada@example.com",
            Ok(Search::Recipient("ada@example.com".to_owned())),
        ),
        (
            "SM0123456789abcdef0123456789abcdef",
            Ok(Search::Sid("SM0123456789abcdef0123456789abcdef".to_owned())),
        ),
        ("012", Err(FilterError::Search)),
        ("0123-4567", Err(FilterError::Search)),
        ("+1310", Err(FilterError::Search)),
        ("two words here", Err(FilterError::Search)),
        ("", Err(FilterError::Search)),
    ] {
        assert_eq!(text.parse::<Search>(), expected, "{text}");
    }
}

#[test]
fn a_place_is_read_back() {
    for due in [Moment::MIN, Moment::from_micros(-1), Moment::MAX] {
        let place = PageStart {
            due,
            id: Uuid::from_u128(7),
        };
        assert_eq!(place.to_string().parse(), Ok(place));
    }
    for wrong in ["", "1", "1.x", "x.00000000000000000000000000000007"] {
        assert_eq!(wrong.parse::<PageStart>(), Err(FilterError::Cursor));
    }
}

#[test]
fn what_is_to_be_sent_is_listed_forwards() {
    for (statuses, order) in [
        ("pending", Order::SoonestFirst),
        ("pending,failed", Order::NewestFirst),
        ("", Order::NewestFirst),
    ] {
        let filter = set(&[("status", statuses)]).unwrap();
        assert_eq!(filter.order(), order, "{statuses}");
    }
}
