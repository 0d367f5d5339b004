//! What is sent again, when, and what follows if both texts went out.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use punctual::message::Capabilities;
use punctual::policy::Cleared;
use punctual::provider::Providers;

use super::*;

#[tokio::test]
async fn a_miss_is_held_or_sent_again_late_or_at_once_as_the_row_or_the_setting_says() {
    use InDoubt::{Hold, Resend, ResendIfAbsent};
    for (setting, own, minutes, sent_again) in [
        (Hold, None, 61, None),
        (ResendIfAbsent, Some("hold"), 61, None),
        (ResendIfAbsent, None, 14, None),
        (ResendIfAbsent, None, 16, Some("resend_if_absent")),
        (Hold, Some("resend_if_absent"), 16, Some("resend_if_absent")),
        (Resend, None, 0, Some("resend")),
        (Hold, Some("resend"), 0, Some("resend")),
    ] {
        let case = Case::with(setting).await;
        let id = case.world.row("pending").await;
        if let Some(own) = own {
            let sql = format!("update scheduled_messages set in_doubt = '{own}'");
            run(&case.world.unseen, &sql).await;
        }
        let (listening, mut notices) = crate::rows::hearing(&case.world.db).await;
        run(&listening, "listen punctual").await;
        case.sends(id, LOST_REQUEST).await;
        case.later(minutes).await;
        case.look_ups.round().await.unwrap();
        let said = format!("{setting:?} {own:?} {minutes}");
        match sent_again {
            None => assert_eq!(case.row(id).await, "unconfirmed", "{said}"),
            Some(policy) => {
                assert_eq!(case.row(id).await, "pending", "{said}");
                let attempts = case.attempts(id).await;
                assert!(attempts.ends_with(policy), "{said}: {attempts}");
                // Every instance is notified.
                let heard = tokio::time::timeout(Duration::from_secs(20), notices.recv()).await;
                let heard = format!("{:?}", heard.unwrap());
                assert!(heard.contains(&format!("ids {id}")), "{heard}");
                case.sends(id, Fault::None).await;
                assert_eq!(case.row(id).await, "sent sid", "{said}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_again_too_late_or_too_often() {
    for (column, value) in [
        ("send_before", "clock_timestamp()"),
        ("scheduled_at", "clock_timestamp() - interval '61 min'"),
        ("max_attempts", "1"),
    ] {
        let case = Case::with(InDoubt::Resend).await;
        let id = case.world.row("pending").await;
        case.sends(id, LOST_REQUEST).await;
        let sql = format!("update scheduled_messages set {column} = {value}");
        run(&case.world.unseen, &sql).await;
        case.asked().await;
        assert_eq!(case.row(id).await, "unconfirmed", "{column}");
    }
}

/// As for the sweep and the claim, lateness counts from the end of a pause.
#[tokio::test]
async fn what_waited_for_a_pause_is_not_too_late_to_be_put_back() {
    for (ended, becomes) in [("10 minutes", "pending"), ("2 hours", "unconfirmed")] {
        let case = Case::with(InDoubt::Resend).await;
        let id = case.world.row("pending").await;
        case.sends(id, LOST_REQUEST).await;
        let sql = format!(
            "update scheduled_messages set scheduled_at = now() - interval '5 hours';
             insert into punctual.pauses (scope, until) values ('everything', now() - interval '{ended}')"
        );
        run(&case.world.unseen, &sql).await;
        case.asked().await;
        assert_eq!(case.row(id).await, becomes, "{ended}");
    }
}

/// As for the claim, lateness counts from the slot of a pace: the request began in it.
#[tokio::test]
async fn what_waited_for_a_pace_is_not_too_late_to_be_put_back() {
    let campaign = Uuid::from_u128(0xC1);
    for (began, has_pace, becomes) in [
        ("10 minutes", true, "pending"),
        ("10 minutes", false, "unconfirmed"),
        ("2 hours", true, "unconfirmed"),
    ] {
        let case = Case::with(InDoubt::Resend).await;
        let id = case.world.row("pending").await;
        case.sends(id, LOST_REQUEST).await;
        let sql = format!(
            "update scheduled_messages set scheduled_at = now() - interval '5 hours', campaign_id = '{campaign}';
             update punctual.attempts set started_at = now() - interval '{began}';
             insert into punctual.paces (scope, what, gap_min, gap_max)
             select 'campaign', '{campaign}', '1 s', '1 s' where {has_pace}"
        );
        run(&case.world.unseen, &sql).await;
        case.asked().await;
        assert_eq!(case.row(id).await, becomes, "{began} {has_pace}");
    }
}

#[tokio::test]
async fn proof_that_comes_after_a_second_text_is_recorded_counted_and_reported() {
    let case = Case::with(InDoubt::Resend).await;
    let id = case.row_of("said twice").await;
    // It takes a while to show, as lists do.
    let lag = Duration::from_secs(3_600);
    case.twilio.habits(Habits {
        list_lag: lag,
        pace: Duration::ZERO,
        ..Habits::default()
    });
    case.sends(id, LOST_ANSWER).await;
    case.asked().await;
    assert_eq!(case.row(id).await, "pending");
    case.sends(id, Fault::None).await;
    assert_eq!(case.row(id).await, "sent sid");
    assert_eq!(case.twilio.book().text("said twice").sids.len(), 2);
    case.twilio.habits(Habits::default());
    case.asked().await;
    let sql = "select count(*) from punctual.attempts where outcome = 'accepted' and provider_sid is not null";
    assert_eq!(one::<i64>(&case.world.unseen, sql).await, 2);
    assert_eq!(case.look_ups.metrics.counted(Counter::Duplicates), 1);
    // Once.
    case.asked().await;
    assert_eq!(case.look_ups.metrics.counted(Counter::Duplicates), 1);
}

#[tokio::test]
async fn our_own_late_answer_after_a_second_text_is_counted_too() {
    let case = Case::with(InDoubt::Resend).await;
    let id = case.world.row("pending").await;
    let claim = won(&case.store, &[id]).await.remove(0);
    let late = case.asks(&claim, Fault::None).await;
    let silence = Outcome::Unknown {
        reason: "stopped".into(),
    };
    case.records(&claim, silence).await;
    case.twilio.habits(Habits {
        list_lag: LATE,
        ..Habits::default()
    });
    case.asked().await;
    case.sends(id, Fault::None).await;
    assert_eq!(case.store.take_duplicates(), 0);
    case.records(&claim, late.clone()).await;
    case.records(&claim, late).await;
    assert_eq!(case.store.take_duplicates(), 1);
    assert_eq!(case.row(id).await, "sent sid");
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_leaves_it_to_the_policy() {
    for (policy, becomes) in [
        (InDoubt::Hold, "unconfirmed"),
        (InDoubt::ResendIfAbsent, "unconfirmed"),
        (InDoubt::Resend, "pending"),
    ] {
        let mut case = Case::with(policy).await;
        case.look_ups.providers = Console::on(std::io::sink());
        let id = case.world.row("pending").await;
        case.sends(id, LOST_ANSWER).await;
        case.later(20).await;
        case.look_ups.round().await.unwrap();
        assert_eq!(case.row(id).await, becomes);
        assert!(!case.attempts(id).await.contains("again"));
        assert!(case.twilio.book().others().is_empty());
    }
}

/// Absence cannot be concluded from another text, or from a number that is shown in part.
#[tokio::test]
async fn a_redacted_list_proves_neither_that_it_was_sent_nor_that_it_was_not() {
    let case = Case::with(InDoubt::ResendIfAbsent).await;
    case.twilio.book().redacts = true;
    let id = case.world.row("pending").await;
    case.sends(id, LOST_ANSWER).await;
    case.later(61).await;
    case.look_ups.round().await.unwrap();
    assert_eq!(case.row(id).await, "unconfirmed");
    let note = case.note(id).await;
    assert!(note.contains("1 unknown message"), "{note}");
    assert_eq!(case.twilio.book().messages().len(), 1);
}

/// What is asked for by its sid comes redacted as well: such a number is written nowhere.
#[tokio::test]
async fn a_redacted_number_is_not_written() {
    let case = Case::new().await;
    case.twilio.book().redacts = true;
    let id = case.world.row("pending").await;
    case.sends(id, ends(End::Undelivered(30004))).await;
    case.twilio
        .until("it is over", |book| {
            (book.messages()[0].status == "undelivered").then_some(())
        })
        .await;
    case.asked().await;
    assert_eq!(case.row(id).await, "failed 30004 sid");
    let sql = "select bool_and(s.their_number = m.to_number) from punctual.suppressions s, scheduled_messages m";
    assert!(one::<bool>(&case.world.unseen, sql).await);
    let sql = "select count(*) from messages where to_number like '%X%'";
    assert_eq!(one::<i64>(&case.world.unseen, sql).await, 0);
}

/// It accepts an idempotency key, and cannot be queried.
struct Idempotent;

impl Provider for Idempotent {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            idempotent: true,
            ..Capabilities::SENDS_ONLY
        }
    }

    fn send<'a>(&'a self, _: &'a Cleared, _: Duration) -> BoxFuture<'a, Outcome> {
        unreachable!("the test sends through Twilio")
    }

    fn prewarm(&self, _: usize) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

#[tokio::test]
async fn an_idempotent_provider_is_given_the_message_again_whatever_the_policy() {
    for policy in InDoubt::ALL {
        let mut case = Case::with(policy).await;
        case.look_ups.providers = Providers::texts(Arc::new(Idempotent));
        let id = case.world.row("pending").await;
        case.sends(id, LOST_ANSWER).await;
        case.asked().await;
        assert_eq!(case.row(id).await, "pending", "{policy:?}");
    }
}

/// A row that is locked is put back by the next look-up, though there is nothing to look up.
#[tokio::test]
async fn a_locked_row_is_given_to_an_idempotent_provider_later() {
    let mut case = Case::new().await;
    case.look_ups.providers = Providers::texts(Arc::new(Idempotent));
    let id = case.world.row("pending").await;
    case.sends(id, LOST_ANSWER).await;
    let other = case.world.db.client().await;
    let lock = format!("begin; select from scheduled_messages where id = '{id}' for update");
    run(&other, &lock).await;
    case.asked().await;
    assert_eq!(case.row(id).await, "unconfirmed");
    assert_eq!(case.attempts(id).await, "unknown 1 again");
    run(&other, "rollback").await;
    case.asked().await;
    assert_eq!(case.row(id).await, "pending");
    assert_eq!(case.attempts(id).await, "unknown 2 same id");
}
