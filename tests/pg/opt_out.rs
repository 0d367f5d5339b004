//! STOP and START, and what the provider knows of them.

use std::sync::Arc;
use std::time::Duration;

use punctual::message::{
    AttemptToken, Category, ClaimResponse, MessageId, Outcome, Routes, Sender,
};
use punctual::policy::Rules;
use punctual::settle::Settlement;
use punctual::store::forecast::{Assumed, subjects, surroundings};
use punctual::store::forget::forget;
use uuid::Uuid;

use crate::receipts::{FROM, TO, World};

const OTHER: &str = "+13105559876";
const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";
const REASON: &str = "recipient opted out (STOP)";

impl World {
    /// A pending row, due now.
    pub(crate) async fn insert(&self, to: &str, from: Option<&str>) -> Uuid {
        self.app
            .query_one(
                "insert into scheduled_messages (to_number, from_number, body, scheduled_at)
                 values ($1, $2, 'good morning', now()) returning id",
                &[&to, &from],
            )
            .await
            .unwrap()
            .get(0)
    }

    pub(crate) async fn reply(&self, body: &str) {
        let id = format!("SM{:032x}", Uuid::new_v4().as_u128());
        self.reply_as(&id, body, None).await;
    }

    /// The provider's name for the reply, its text, and the provider's verdict.
    async fn reply_as(&self, id: &str, body: &str, verdict: Option<&str>) {
        let mut parameters = vec![
            ("MessageSid", id),
            ("From", TO),
            ("To", FROM),
            ("Body", body),
        ];
        parameters.extend(verdict.map(|word| ("OptOutType", word)));
        let answer = self.post_to("/webhooks/twilio/inbound", &parameters).await;
        assert_eq!(answer, 204, "{body}");
    }

    async fn suppressed(&self) -> bool {
        let sql = "select count(*)::text from punctual.suppressions";
        self.text(sql).await != "0"
    }

    /// Status and reason.
    pub(crate) async fn fate(&self, id: Uuid) -> String {
        let sql =
            "select concat_ws(': ', status, cancel_reason) from scheduled_messages where id = ";
        self.text(&format!("{sql}'{id}'")).await
    }

    /// Whether a claim wins the row; if not, it must have been cancelled.
    pub(crate) async fn claimed(&self, id: Uuid) -> bool {
        let asks = [(MessageId(id), AttemptToken::fresh(), None)];
        let lease = Duration::from_secs(30);
        let mut claimed = self.store.claim(&asks, lease).await.unwrap();
        match claimed.answers.remove(0).1 {
            ClaimResponse::Won(_) => true,
            // It is named as the reason why, for the log and the counters.
            ClaimResponse::OptedOut => {
                assert!(self.fate(id).await.starts_with("cancelled: "));
                false
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn stop_cancels_what_is_pending_for_the_pair_and_start_lifts_it() {
    let world = World::new().await;
    let named = world.insert(TO, Some(FROM)).await;
    let padded = world.insert(&format!(" {TO} "), Some("")).await;
    let by_default = world.insert(TO, None).await;
    let to_another = world.insert(OTHER, Some(FROM)).await;
    let from_another = world.insert(TO, Some(OTHER)).await;
    world.reply("please stop").await;
    assert_eq!(world.fate(named).await, "pending");
    world.reply(" Stop\n").await;
    world.reply("STOP").await;
    for id in [named, padded, by_default] {
        assert_eq!(world.fate(id).await, format!("cancelled: {REASON}"));
    }
    assert!(world.claimed(to_another).await);
    assert!(world.claimed(from_another).await);

    // What is inserted afterwards is cancelled at its claim.
    let later = world.insert(TO, Some(FROM)).await;
    let later_by_default = world.insert(TO, None).await;
    assert!(!world.claimed(later).await && !world.claimed(later_by_default).await);
    assert_eq!(world.fate(later).await, format!("cancelled: {REASON}"));

    world.reply("start").await;
    let again = world.insert(TO, Some(FROM)).await;
    assert!(world.claimed(again).await);
    assert_eq!(world.fate(later).await, format!("cancelled: {REASON}"));
}

#[tokio::test]
async fn a_reply_to_a_service_stops_the_service() {
    let world = World::new().await;
    let by_service = world.insert(TO, Some(SERVICE)).await;
    let reply = [
        ("MessageSid", "SM1"),
        ("From", TO),
        ("To", OTHER),
        ("MessagingServiceSid", SERVICE),
        ("Body", "quit"),
    ];
    assert_eq!(world.post_to("/webhooks/twilio/inbound", &reply).await, 204);
    assert_eq!(world.fate(by_service).await, format!("cancelled: {REASON}"));
    let halves = [("From", TO), ("Body", "quit")];
    assert_eq!(
        world.post_to("/webhooks/twilio/inbound", &halves).await,
        400
    );
}

#[tokio::test]
async fn without_a_sender_of_ours_all_are_meant() {
    let world = World::new().await;
    let all = "insert into punctual.suppressions (their_number, reason) values ($1, 'by letter')";
    world.app.execute(all, &[&TO]).await.unwrap();
    let id = world.insert(TO, Some(OTHER)).await;
    assert!(!world.claimed(id).await);
    assert_eq!(world.fate(id).await, "cancelled: by letter");
}

/// A person who writes it as the provider shows it means the same recipient.
#[tokio::test]
async fn an_opt_out_that_is_written_with_the_prefix_of_whatsapp_counts() {
    let world = World::new().await;
    let ours = "whatsapp:+14155238886";
    let one = "insert into punctual.suppressions (our_number, their_number, reason) values ($1, $2, 'by letter')";
    let theirs = format!("whatsapp:{OTHER}");
    world.app.execute(one, &[&ours, &theirs]).await.unwrap();
    let there = world.insert(OTHER, Some(ours)).await;
    assert!(!world.claimed(there).await);
    let by_text = world.insert(OTHER, Some(FROM)).await;
    assert!(world.claimed(by_text).await);
}

fn answer(outcome: Outcome) -> punctual::settle::SendResult {
    punctual::settle::SendResult {
        outcome,
        started: None,
        finished: punctual::message::Moment::from_micros(0),
    }
}

fn tries() -> punctual::settle::AttemptBudget {
    punctual::settle::AttemptBudget {
        number: 1,
        before: 0,
        max: 3,
        expires: punctual::message::Moment::MAX,
    }
}

#[tokio::test]
async fn what_the_provider_refuses_as_opted_out_is_remembered() {
    let world = World::new().await;
    let pending = world.insert(TO, Some(FROM)).await;
    let to_another = world.insert(OTHER, Some(FROM)).await;
    let outcome = Outcome::Refused {
        code: Some(21610),
        category: Category::OptedOut,
        retry: punctual::message::Retry::No,
        text: "unsubscribed".into(),
    };
    world
        .record(Settlement::of(
            answer(outcome),
            MessageId(Uuid::nil()),
            tries(),
        ))
        .await;
    let reason = "cancelled: recipient opted out (reported by the provider)";
    assert_eq!(world.fate(pending).await, reason);
    let later = world.insert(TO, Some(FROM)).await;
    assert!(!world.claimed(later).await);
    assert!(world.claimed(to_another).await);
}

#[tokio::test]
async fn a_receipt_that_reports_an_opt_out_is_remembered_too() {
    let world = World::new().await;
    let pending = world.insert(TO, Some(FROM)).await;
    world.call("undelivered", "21610").await;
    let reason = "cancelled: recipient opted out (reported by the provider)";
    assert_eq!(world.fate(pending).await, reason);
}

#[tokio::test]
async fn the_providers_verdict_counts_in_both_directions() {
    let world = World::new().await;
    let pending = world.insert(TO, Some(FROM)).await;
    world.reply_as("SM1", "STOP", Some("HELP")).await;
    assert_eq!(world.fate(pending).await, "pending");
    world.reply_as("SM2", "basta", Some("STOP")).await;
    assert_eq!(world.fate(pending).await, format!("cancelled: {REASON}"));
    world.reply_as("SM3", "claro", Some("START")).await;
    assert!(!world.suppressed().await);
    // Without one, words in any case, with space and punctuation around them.
    for (n, text) in ["ARRET", "Stop.", "opt out", " stop\u{a0}"]
        .iter()
        .enumerate()
    {
        world.reply_as(&format!("SM4{n}"), text, None).await;
        assert!(world.suppressed().await, "{text}");
        world.reply_as(&format!("SM5{n}"), "Start!", None).await;
        assert!(!world.suppressed().await, "{text}");
    }
}

/// A row that names no sender has that of its account, for opt-outs too.
#[tokio::test]
async fn an_opt_out_from_the_sender_of_an_account_holds_for_its_rows() {
    let world = World::new().await;
    let mut routes = Routes::new(Some(&FROM.parse().unwrap()));
    routes.add("eu", "ACME".parse().ok(), &[]).unwrap();
    let rules = Rules {
        default_sender: FROM.parse().ok(),
        routes: Arc::new(routes),
        ..Rules::default()
    };
    world.store.keep_settings(&rules).await.unwrap();
    let of = async |account: Option<&str>| -> Uuid {
        let sql = "insert into scheduled_messages (to_number, account, body, scheduled_at)
                   values ($1, $2, 'good morning', now()) returning id";
        let row = world.app.query_one(sql, &[&TO, &account]).await;
        row.unwrap().get(0)
    };
    let (eu, named, unnamed) = (
        of(Some("eu")).await,
        of(Some(" default ")).await,
        of(None).await,
    );
    world.reply("STOP").await;
    assert_eq!(world.fate(eu).await, "pending");
    for id in [named, unnamed] {
        assert_eq!(world.fate(id).await, format!("cancelled: {REASON}"));
    }
    assert!(!world.claimed(of(Some("default")).await).await);
    let another = of(Some("eu")).await;
    assert!(world.claimed(another).await);
    let opted_out = world.store.opt_out("SM77", &["ACME"], TO, REASON).await;
    assert_eq!(opted_out.unwrap(), 1);
    assert_eq!(world.fate(eu).await, format!("cancelled: {REASON}"));
    assert!(!world.claimed(of(Some("eu")).await).await);
}

/// Whichever account it would go by, the recipient wants no more of these texts; what names its sender goes by that.
#[tokio::test]
async fn an_opt_out_from_one_account_of_a_route_holds_for_what_names_no_sender() {
    let world = World::new().await;
    let mut routes = Routes::new(Some(&FROM.parse().unwrap()));
    let acme: Sender = "ACME".parse().unwrap();
    routes.add("eu", Some(acme.clone()), &[acme]).unwrap();
    let rules = Rules {
        default_sender: FROM.parse().ok(),
        routes: Arc::new(routes.with_list("sms = default, eu".parse().unwrap())),
        ..Rules::default()
    };
    let store = world.store.clone().with_rules(&rules);
    store.keep_settings(&rules).await.unwrap();
    let (by_list, named) = (
        world.insert(TO, None).await,
        world.insert(TO, Some(FROM)).await,
    );
    let to_another = world.insert(OTHER, None).await;
    let cancelled = store.opt_out("SM78", &["ACME"], TO, REASON).await.unwrap();
    assert_eq!(cancelled, 1, "what waits is cancelled at once");
    assert_eq!(world.fate(by_list).await, format!("cancelled: {REASON}"));
    for id in [named, to_another] {
        assert_eq!(world.fate(id).await, "pending");
    }
    // What is written later is forecast as its claim will have it.
    let later = world.insert(TO, None).await;
    let assumed = Assumed {
        rules,
        ..crate::forecast::assumed()
    };
    let ids = [later, named, to_another].map(MessageId);
    let around = surroundings(&world.app, &assumed).await.unwrap();
    let read = subjects(&world.app, &ids, &around).await.unwrap();
    let stopped: Vec<_> = read.iter().filter(|of| of.opted_out.is_some()).collect();
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0].claim.id, MessageId(later));
}

/// What was accepted before the STOP, or is accepted for another reason, lifts no opt-out; what is
/// refused after a START sets it again.
#[tokio::test]
async fn an_accepted_message_lifts_no_opt_out() {
    let world = World::new().await;
    world.reply("STOP").await;
    world.accepted().await;
    world.call("delivered", "").await;
    assert!(world.suppressed().await);
    world.reply("START").await;
    assert!(!world.suppressed().await);
}

#[tokio::test]
async fn a_reply_that_is_posted_again_changes_nothing() {
    let world = World::new().await;
    // Nothing was to be lifted when it came; it lifts nothing later.
    world.reply_as("SM1", "START", None).await;
    world.reply_as("SM2", "STOP", None).await;
    for _ in 0..2 {
        world.reply_as("SM1", "START", None).await;
        assert!(world.suppressed().await);
    }
    world.reply_as("SM3", "START", None).await;
    assert!(!world.suppressed().await);
    world.reply_as("SM2", "STOP", None).await;
    assert!(!world.suppressed().await);
    let pending = world.insert(TO, Some(FROM)).await;
    world.reply_as("SM2", "STOP", None).await;
    assert_eq!(world.fate(pending).await, "pending");
    // Whatever the text and the verdict say the second time.
    world.reply_as("SM3", "STOP", Some("STOP")).await;
    assert_eq!(world.fate(pending).await, "pending");
    let ids = "select string_agg(concat_ws(' ', id, command), ', ' order by id) from punctual.opt_replies";
    assert_eq!(world.text(ids).await, "SM1 start, SM2 stop, SM3 start");
}

/// The app's table refuses that anything is cancelled: the opt-out counts all the same, and the provider's report of
/// one too.
#[tokio::test]
async fn an_opt_out_is_recorded_though_its_messages_cannot_be_cancelled() {
    let never = "create function never() returns trigger language plpgsql as
                   $$ begin if new.status = 'cancelled' then raise 'no'; end if; return new; end $$;
                 create trigger never before update on scheduled_messages for each row execute function never()";
    for by_receipt in [false, true] {
        let world = World::new().await;
        let pending = world.insert(TO, Some(FROM)).await;
        world.app.batch_execute(never).await.unwrap();
        if by_receipt {
            world.call("undelivered", "21610").await;
            let failed = "select status from scheduled_messages where status <> 'pending'";
            assert_eq!(world.text(failed).await, "failed");
        } else {
            world.reply("STOP").await;
        }
        assert!(world.suppressed().await);
        assert_eq!(world.fate(pending).await, "pending");
        // Nor does a claim win it.
        let asks = [(MessageId(pending), AttemptToken::fresh(), None)];
        let lease = Duration::from_secs(30);
        let claimed = world.store.claim(&asks, lease).await;
        assert!(claimed.is_err_and(|error| error.is_refusal()));
        world
            .app
            .batch_execute("drop trigger never on scheduled_messages")
            .await
            .unwrap();
        assert!(!world.claimed(pending).await);
    }
}

/// Ten at once are one.
#[tokio::test]
async fn a_reply_that_is_posted_ten_times_at_once_counts_once() {
    let world = World::new().await;
    let replies = (0..10).map(|_| world.reply_as("SM1", "STOP", None));
    futures_util::future::join_all(replies).await;
    assert!(world.suppressed().await);
    let ids = "select count(*)::text from punctual.opt_replies";
    assert_eq!(world.text(ids).await, "1");
}

#[tokio::test]
async fn a_reply_without_a_name_is_refused() {
    let world = World::new().await;
    for body in ["STOP", "START"] {
        let nameless = [("From", TO), ("To", FROM), ("Body", body)];
        let answer = world.post_to("/webhooks/twilio/inbound", &nameless).await;
        assert_eq!(answer, 400, "{body}");
    }
    assert!(!world.suppressed().await);
}

/// Their opt-out is obeyed by its hash, and a START lifts it.
#[tokio::test]
async fn who_opted_out_and_was_forgotten_is_not_texted() {
    let world = World::new().await;
    world.reply("STOP").await;
    // Nothing is on its way to them.
    let gone = "set session_replication_role = replica; delete from scheduled_messages; delete from punctual.attempts;
                reset session_replication_role";
    world.app.batch_execute(gone).await.unwrap();
    let by_hand = "insert into punctual.suppressions (their_number, reason) values ($1, 'by hand')";
    world.app.execute(by_hand, &[&OTHER]).await.unwrap();
    for number in [TO, OTHER] {
        let forgotten = forget(&world.app, number, false).await.unwrap();
        assert_eq!(
            (forgotten.kept.len(), forgotten.opt_outs),
            (0, 1),
            "{number}"
        );
    }
    let known =
        "select count(*)::text from punctual.suppressions where their_number like '%310555%'";
    assert_eq!(world.text(known).await, "0");

    let id = world.insert(TO, None).await;
    assert!(!world.claimed(id).await);
    assert_eq!(world.fate(id).await, format!("cancelled: {REASON}"));
    let id = world
        .insert(&format!(" {OTHER}"), Some("+15005550009"))
        .await;
    assert!(!world.claimed(id).await);
    assert_eq!(world.fate(id).await, "cancelled: by hand");
    // From another sender they did not opt out, and nobody else did.
    for (to, from) in [(TO, Some("+15005550009")), ("+13105550111", None)] {
        let id = world.insert(to, from).await;
        assert!(world.claimed(id).await, "{to}");
    }

    world.reply("START").await;
    let id = world.insert(TO, None).await;
    assert!(world.claimed(id).await);
}

const WHO: &str = "11111111-1111-4111-8111-111111111111";

impl World {
    /// Whether each user is opted out, by number, and why.
    async fn preferences(&self) -> String {
        let sql = "select string_agg(concat_ws(' ', right(phone_number, 4), opted_out, opted_out_at is not null, opt_out_reason), ', '
                                     order by phone_number, user_id) from user_sms_preferences";
        self.text(sql).await
    }
}

/// The users with that number, and no others; what a person has set stays.
#[tokio::test]
async fn stop_is_written_to_the_preferences_and_start_takes_back_what_it_has_set() {
    let world = World::new().await;
    let users = format!(
        "insert into user_sms_preferences (user_id, phone_number, opted_out, opt_out_reason)
         values ('{WHO}', '{TO}', false, null), ('22222222-2222-4222-8222-222222222222', '{TO}', true, 'by letter'),
                ('33333333-3333-4333-8333-333333333333', '{OTHER}', false, null)"
    );
    world.app.batch_execute(&users).await.unwrap();
    let elsewhere = world.insert(TO, Some(OTHER)).await;
    let of_user =
        format!("update scheduled_messages set user_id = '{WHO}' where id = '{elsewhere}'");
    world.app.batch_execute(&of_user).await.unwrap();
    world.reply("STOP").await;
    let stopped = format!("1234 t t {REASON}, 1234 t f by letter, 9876 f f");
    assert_eq!(world.preferences().await, stopped);
    // What another sender would have sent to the user.
    let why = "cancelled: the recipient has opted out";
    assert_eq!(world.fate(elsewhere).await, why);
    world.reply_as("SM90", "START", None).await;
    let lifted = "1234 f f, 1234 t f by letter, 9876 f f";
    assert_eq!(world.preferences().await, lifted);
    // One that is posted again lifts nothing later.
    world.reply("STOP").await;
    world.reply_as("SM90", "START", None).await;
    assert_eq!(world.preferences().await, stopped);
}

/// The opt-out counts all the same. What is written later is what the opt-outs have come to by then.
#[tokio::test]
async fn an_opt_out_that_the_preferences_refuse_is_written_later_as_it_is_then() {
    let world = World::new().await;
    let refuses = format!(
        "insert into user_sms_preferences (user_id, phone_number) values ('{WHO}', '{TO}');
         create function never() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
         create trigger never before update on user_sms_preferences for each row execute function never()"
    );
    world.app.batch_execute(&refuses).await.unwrap();
    world.reply("STOP").await;
    assert!(world.suppressed().await);
    assert_eq!(world.preferences().await, "1234 f f");
    let works = "drop trigger never on user_sms_preferences; update punctual.outbox set next_attempt_at = now()";
    world.app.batch_execute(works).await.unwrap();
    assert_eq!(world.store.outbox_next().await.unwrap(), Some(true));
    assert_eq!(world.preferences().await, format!("1234 t t {REASON}"));
    world.reply("START").await;

    let locked = "create trigger never before update on user_sms_preferences for each row execute function never()";
    world.app.batch_execute(locked).await.unwrap();
    world.reply("STOP").await;
    world
        .app
        .batch_execute("drop trigger never on user_sms_preferences")
        .await
        .unwrap();
    world.reply("START").await;
    let due = "update punctual.outbox set next_attempt_at = now()";
    world.app.batch_execute(due).await.unwrap();
    assert_eq!(world.store.outbox_next().await.unwrap(), Some(true));
    assert_eq!(world.store.outbox_next().await.unwrap(), None);
    assert_eq!(world.preferences().await, "1234 f f");
}
