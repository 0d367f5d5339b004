//! Messages on WhatsApp, which Twilio has under other recipients than texts to the same numbers.

use punctual::message::{Routes, Sender};
use punctual::policy::Rules;

use super::*;

const OURS: &str = "whatsapp:+14155238886";

/// Beside a text to the same number.
#[tokio::test]
async fn a_message_on_whatsapp_is_found_on_its_own_list() {
    let case = Case::new().await;
    let (named, text) = (
        case.row_of("on WhatsApp").await,
        case.row_of("a text").await,
    );
    let sender =
        format!("update scheduled_messages set from_number = '{OURS}' where id = '{named}'");
    run(&case.world.unseen, &sender).await;
    case.sends(named, LOST_ANSWER).await;
    case.sends(text, LOST_REQUEST).await;
    case.asked().await;
    assert!(
        case.row(named).await.ends_with("sid"),
        "{}",
        case.note(named).await
    );
    assert_eq!(case.row(text).await, "unconfirmed");
    // The app's tables have the number as the row does.
    let sql = "select string_agg(to_number, ' ') from messages";
    let shown: String = one(&case.world.unseen, sql).await;
    assert_eq!(shown, "+13105550100");
}

/// The ledger of a dead instance does not have the sender, which is that of the settings.
#[tokio::test]
async fn without_a_sender_both_lists_are_asked() {
    let mut case = Case::new().await;
    case.look_ups.store = case.store.clone().with_rules(&Rules {
        default_sender: Some(OURS.parse::<Sender>().unwrap()),
        routes: Arc::new(Routes::default()),
        ..Rules::default()
    });
    let id = case.row_of("begun by the dead").await;
    let mut claim = won(&case.store, &[id]).await.remove(0);
    claim.from_number = Some(OURS.into());
    let _ = case.asks(&claim, LOST_ANSWER).await;
    case.reaped().await;
    case.look_ups.round().await.unwrap();
    assert!(
        case.row(id).await.ends_with("sid"),
        "{}",
        case.note(id).await
    );
}
