//! What a callback changes. The one place for it, and pure: how things stand goes in, what is
//! to be done comes out, and the store does it in the transaction that looked.
//!
//! A callback about a message the provider *has* is proof, whoever it overtakes; a callback
//! that says it did not arrive is the last word only on the attempt it is about.

use super::status::Reached;
use crate::message::Status;
use crate::store::receipts::{Change, Standing};

/// What `reached` changes where things stand as `standing` says.
pub fn merge(standing: &Standing, reached: Reached) -> Change {
    if standing.sid_conflict {
        // The provider has two messages by one attempt, or one message by two. Neither may
        // happen, and neither can be undone: it is kept and told.
        return Change::Contradiction;
    }
    let before = standing.reached.as_deref().and_then(Reached::parse);
    if let Some(before) = before {
        if before == reached {
            return Change::Nothing;
        }
        if before.is_terminal()
            && reached.is_terminal()
            && before.row_status() != reached.row_status()
        {
            return Change::Contradiction;
        }
        // Two words of one rank that lead to one state, like `failed` and `undelivered`: the
        // first stays, and that is all there is to say.
        if reached.rank() <= before.rank() {
            return Change::Nothing;
        }
    }
    Change::Advance {
        row: standing
            .row
            .and_then(|status| row(status, standing, reached.row_status())),
        message: reached.app_status(),
    }
}

/// Where the row goes; `None`: it stays.
fn row(from: Status, standing: &Standing, to: Status) -> Option<Status> {
    match (from, to) {
        (Status::Delivered, _) | (Status::Sent, Status::Sent) => None,
        // Proof counts in whatever state the row is by now.
        (_, Status::Sent | Status::Delivered) => Some(to),
        // The denial of an attempt counts only where that attempt holds the row.
        (Status::Sending | Status::Unconfirmed, _) => standing.latest.then_some(to),
        (Status::Sent, _) => standing.row_is_of_this_sid.then_some(to),
        (Status::Pending | Status::Failed | Status::Cancelled, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::status::{Writer, transition};

    fn standing(row: Status, reached: Option<Reached>) -> Standing {
        Standing {
            row: Some(row),
            row_is_of_this_sid: true,
            latest: true,
            sid_conflict: false,
            reached: reached.map(|r| r.as_str().to_owned()),
        }
    }

    fn check(from: Status, before: Option<Reached>, then: Reached, to: Option<Status>) {
        let got = match merge(&standing(from, before), then) {
            Change::Advance { row, .. } => row,
            other => panic!("{other:?}"),
        };
        assert_eq!(got, to, "{from:?} {before:?} {then:?}");
    }

    #[test]
    fn proof_counts_in_every_state_and_a_denial_only_where_the_attempt_holds_the_row() {
        use Reached as R;
        use Status as S;
        for from in [
            S::Sending,
            S::Unconfirmed,
            S::Pending,
            S::Failed,
            S::Cancelled,
        ] {
            check(from, None, R::Queued, Some(S::Sent));
            check(from, None, R::Delivered, Some(S::Delivered));
        }
        check(S::Sending, None, R::Failed, Some(S::Failed));
        check(S::Unconfirmed, None, R::Undelivered, Some(S::Failed));
        check(S::Pending, None, R::Failed, None);
        check(S::Cancelled, None, R::Failed, None);
        check(S::Sent, None, R::Sending, None);
        check(S::Sent, Some(R::Sent), R::Delivered, Some(S::Delivered));
        check(S::Sent, Some(R::Sent), R::Canceled, Some(S::Failed));
        check(S::Delivered, None, R::Sent, None);
        check(S::Delivered, Some(R::Delivered), R::Read, None);
    }

    #[test]
    fn another_attempt_is_not_denied_by_this_one() {
        let newer_in_flight = Standing {
            latest: false,
            ..standing(Status::Sending, None)
        };
        let row = |s: &Standing, r| match merge(s, r) {
            Change::Advance { row, .. } => row,
            other => panic!("{other:?}"),
        };
        assert_eq!(row(&newer_in_flight, Reached::Failed), None);
        assert_eq!(row(&newer_in_flight, Reached::Sent), Some(Status::Sent));
        let newer_sent = Standing {
            row_is_of_this_sid: false,
            ..standing(Status::Sent, None)
        };
        assert_eq!(row(&newer_sent, Reached::Failed), None);
    }

    #[test]
    fn ranks_only_grow_and_of_two_ends_the_first_stays() {
        use Reached as R;
        let sent = |before, then| merge(&standing(Status::Sent, Some(before)), then);
        assert_eq!(sent(R::Sent, R::Sent), Change::Nothing);
        assert_eq!(sent(R::Sent, R::Queued), Change::Nothing);
        assert_eq!(sent(R::Read, R::Delivered), Change::Nothing);
        assert_eq!(sent(R::Failed, R::Undelivered), Change::Nothing);
        assert_eq!(sent(R::Failed, R::Sent), Change::Nothing);
        assert_eq!(sent(R::Delivered, R::Failed), Change::Contradiction);
        assert_eq!(sent(R::Failed, R::Delivered), Change::Contradiction);
        assert_eq!(sent(R::Undelivered, R::Read), Change::Contradiction);
        let two = Standing {
            sid_conflict: true,
            ..standing(Status::Sent, None)
        };
        assert_eq!(merge(&two, R::Delivered), Change::Contradiction);
    }

    fn any_reached() -> impl Strategy<Value = Reached> {
        prop::sample::select(Reached::ALL.to_vec())
    }

    proptest! {
        /// Whatever comes in whatever order: every step is one the table of transitions has,
        /// the rank never falls, a repeat changes nothing, and without contradictions the end
        /// is that of the highest rank.
        #[test]
        fn any_order_is_survived(
            from in prop::sample::select(Status::ALL.to_vec()),
            calls in prop::collection::vec(any_reached(), 1..12),
            latest in any::<bool>(),
        ) {
            let mut now = Standing { latest, ..standing(from, None) };
            for call in calls {
                let rank = |s: &Standing| s.reached.as_deref().and_then(Reached::parse).map(Reached::rank);
                let before = rank(&now);
                if let Change::Advance { row, .. } = merge(&now, call) {
                    if let (Some(from), Some(to)) = (now.row, row) {
                        prop_assert!(transition(Some(from), to, Writer::Daemon), "{from:?} {to:?}");
                        now.row = Some(to);
                    }
                    now.reached = Some(call.as_str().to_owned());
                }
                prop_assert!(rank(&now) >= before);
                let again = merge(&now, call);
                prop_assert!(!matches!(again, Change::Advance { .. }), "{again:?}");
            }
        }

        #[test]
        fn without_contradiction_the_order_does_not_matter(
            calls in prop::collection::vec(
                prop::sample::select(vec![
                    Reached::Accepted, Reached::Queued, Reached::Sending, Reached::Sent, Reached::Delivered,
                ]), 1..8).prop_shuffle(),
        ) {
            let mut now = standing(Status::Sending, None);
            for call in &calls {
                if let Change::Advance { row, .. } = merge(&now, *call) {
                    now.row = row.or(now.row);
                    now.reached = Some(call.as_str().to_owned());
                }
            }
            let highest = calls.iter().max_by_key(|r| r.rank()).unwrap();
            prop_assert_eq!(now.row, Some(highest.row_status()));
        }
    }
}
