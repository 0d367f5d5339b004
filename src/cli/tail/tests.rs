//! What is printed of an event, and of which.

use super::*;

fn tail(args: &[&str]) -> Tail {
    use clap::Parser;
    #[derive(Parser)]
    struct Own {
        #[command(flatten)]
        args: Args,
    }
    Tail {
        args: Own::parse_from([&["tail"], args].concat()).args,
        zone: TimeZone::UTC,
        seen: VecDeque::new(),
    }
}

const SENT: &str = r#"{"at":"2026-01-01T09:00:00.000412Z","id":"0a","event":"sent","lateness_us":1412,"provider_us":41000,"attempt":1}"#;
const FAILED: &str = r#"{"at":"2026-01-01T09:00:01.000000Z","id":"0b","event":"failed","category":"rejected","code":21610}"#;

#[test]
fn an_event_is_a_line_in_words() {
    let shown = |data| line(&serde_json::from_str(data).unwrap(), &TimeZone::UTC);
    assert_eq!(
        shown(SENT),
        "01-01 09:00:00.000  0a  sent         late 1.4 ms, responded in 41.0 ms, attempt 1\n"
    );
    assert_eq!(
        shown(FAILED),
        "01-01 09:00:01.000  0b  failed       rejected, code 21610\n"
    );
    let elsewhere =
        r#"{"at":"2026-01-01T09:00:00Z","id":"0a","event":"sent","instance":"01234567-89ab"}"#;
    assert_eq!(
        shown(elsewhere),
        "01-01 09:00:00.000  0a  sent         instance 01234567\n"
    );
    let moved = r#"{"at":"2026-01-01T09:00:00Z","id":"0a","event":"moved","due_at":"2026-01-01T11:00:00Z","was_due_at":"2026-01-01T10:00:00Z"}"#;
    assert_eq!(
        shown(moved),
        "01-01 09:00:00.000  0a  moved        due 01-01 10:00:00.000 → 01-01 11:00:00.000\n"
    );
}

#[test]
fn filters_select_and_nothing_is_shown_twice() {
    for (args, sent, failed) in [
        (&[][..], true, true),
        (&["--event", "sent,moved"], true, false),
        (&["--id", "0B"], false, true),
        (&["--reason", "rejected"], false, true),
        (&["--event", "sent", "--reason", "rejected"], false, false),
    ] {
        let mut tail = tail(args);
        let wanted = |data| tail.is_wanted(&serde_json::from_str(data).unwrap());
        assert_eq!((wanted(SENT), wanted(FAILED)), (sent, failed), "{args:?}");
        for _ in 0..2 {
            assert!(
                tail.message(&format!("event: sent\ndata: {SENT}\n\n"))
                    .unwrap()
            );
        }
        assert_eq!(tail.seen.len(), usize::from(sent), "{args:?}");
    }
    assert!(kind("teapot").is_err() && beginning("x").is_err());
    assert!(tail(&[]).message("event: sent\ndata: {}\n\n").is_err());
}

#[tokio::test]
async fn a_stream_without_an_end_of_an_event_is_refused() {
    for (bytes, is_refused) in [(EVENT_MAX, false), (EVENT_MAX + 1, true)] {
        let endless = axum::http::Response::new("x".repeat(bytes));
        let followed = tail(&[]).follow(&mut endless.into()).await;
        assert_eq!(followed.is_err(), is_refused, "{bytes}: {followed:?}");
    }
}
