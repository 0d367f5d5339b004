//! How long what is known of messages is kept.

use super::*;

#[test]
fn messages_are_kept_for_30_days_or_more_and_texts_for_a_day() {
    let retention = "PUNCTUAL_RETENTION";
    env(retention, "30d", Ok("retention = \"30days\""));
    env(retention, "forever", Ok("retention = \"forever\""));
    for unusable in ["29d", "90", "never", "0s"] {
        env(retention, unusable, Err("forever, or a duration"));
    }
    let texts = "PUNCTUAL_TEXT_RETENTION";
    env(texts, "36h", Ok("text_retention = \"1day 12h\""));
    env(texts, "23h", Err("from 1day to"));
}
