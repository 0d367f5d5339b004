//! How changes are learned of.

use super::*;

#[test]
fn changes_are_notified_unless_they_are_to_be_polled() {
    file("", Ok("changes = \"notify\""));
    file("", Ok("poll_every = \"1s\""));
    env("PUNCTUAL_CHANGES", "poll", Ok("changes = \"poll\""));
    env("PUNCTUAL_CHANGES", "feed", Ok("changes = \"feed\""));
    env("PUNCTUAL_CHANGES", "listen", Err("notify, feed or poll"));
    let every = "PUNCTUAL_POLL_EVERY";
    env(every, "100ms", Ok("poll_every = \"100ms\""));
    env(every, "10s", Ok("poll_every = \"10s\""));
    for not in ["99ms", "11s", "1"] {
        env(every, not, Err("from 100ms to 10s"));
    }
}
