//! Replies: kept once, shown to the app, and what they stop of campaigns.

use std::sync::Arc;

use punctual::message::{
    AttemptToken, Channel, ClaimResponse, LaneKey, MessageId, Moment, ProviderCapabilities, Routes,
    Sender,
};
use punctual::policy::{self, Verdict};
use punctual::proof::Price;
use punctual::store::Store;
use punctual::store::receipts::NewReply;
use uuid::Uuid;

use crate::ours::{self, accepted, recorded, rules, store};
use crate::receipts;
use crate::rows::{World, one, run, until};

const OURS: &str = "+15005550006";
const THEIRS: &str = "+13105550101";
const REASON: &str = "cancelled: the recipient has replied to the campaign";

async fn reply(store: &Store, id: &str, ours: &[&str], theirs: &str) -> u64 {
    let reply = NewReply {
        id,
        account: "default",
        ours,
        theirs,
        text: "who is this?",
        help: None,
    };
    store.keep_reply(reply).await.unwrap()
}

/// The inbound messages of the app, with the number of their conversation.
async fn shown(world: &World) -> String {
    let sql = "select string_agg(format('%s %s %s %s %s', m.status, m.body, m.from_number, m.to_number, c.phone_number), ', '
                                 order by m.created_at)
                 from messages m left join conversations c on c.id = m.conversation_id where m.direction = 'inbound'";
    one::<Option<String>>(&world.user, sql)
        .await
        .unwrap_or_default()
}

async fn campaign(world: &World, name: &str, stops: bool) -> Uuid {
    let sql = format!(
        "insert into punctual.campaigns (name, timezone, hours, open_from, open_until, gap_min, gap_max, skip_per_mille,
                                         skip_min, skip_max, seed, state, first_at, stop_on_reply)
         values ('{name}', 'UTC', 'mon-sun 00:00-24:00', '{{0}}', '{{604800000000}}', '4 min', '7 min', 0, '0', '0', 7,
                 'scheduled', now(), {stops})
         returning id"
    );
    one(&world.user, &sql).await
}

/// A scheduled message of a campaign, due now.
async fn message(world: &World, campaign: Uuid, to: &str, from: &str, body: &str) -> Uuid {
    let sql = format!(
        "with m as (
           insert into scheduled_messages (to_number, from_number, body, scheduled_at, campaign_id)
           values ('{to}', '{from}', '{body}', clock_timestamp(), '{campaign}') returning id)
         insert into punctual.campaign_messages (campaign_id, position, phone_number, content, status, decided_by, decided_at,
                                                 message_id)
         select '{campaign}', 1 + (select count(*) from punctual.campaign_messages), '{to}', '{body}', 'SCH', 'ann', now(), m.id
           from m
         returning message_id"
    );
    // As a restore enters it: approved, and scheduled.
    one(&world.unseen, &sql).await
}

async fn fate(world: &World, id: Uuid) -> String {
    world
        .get(id, "concat_ws(': ', status, cancel_reason)")
        .await
}

/// Claims it; whether the policy lets it go.
async fn goes(store: &Store, id: Uuid) -> bool {
    let mut claims = ours::won(store, &[id]).await;
    let claim = claims.remove(0);
    let now = Moment::from_micros(claim.due.as_micros());
    match policy::judge(
        &claim,
        &rules(),
        &ProviderCapabilities::all(punctual::message::Capabilities::SENDS_ONLY),
        now,
    ) {
        Verdict::Send(_) => true,
        Verdict::Cancel { reason } => {
            assert_eq!(format!("cancelled: {reason}"), REASON);
            false
        }
        other => panic!("{other:?}"),
    }
}

/// Waits until its next part is due.
async fn part_is_due(world: &World, id: Uuid) {
    let is_due = format!(
        "select next_attempt_at <= clock_timestamp() from scheduled_messages where id = '{id}'"
    );
    until(&world.user, &is_due).await;
}

/// Sends the next part of it.
async fn send(store: &Store, id: Uuid) {
    let claims = ours::won(store, &[id]).await;
    assert_eq!(recorded(store, &[accepted(&claims[0])]).await, 1);
}

#[tokio::test]
async fn a_reply_is_an_inbound_message_of_its_conversation_once() {
    let world = World::new().await;
    let store = store(&world);
    run(
        &world.user,
        &format!("insert into conversations (phone_number, last_message_at) values ('{THEIRS}', now() - interval '1 day')"),
    )
    .await;
    for _ in 0..2 {
        reply(&store, "SM1", &[OURS], THEIRS).await;
    }
    let once = format!("received who is this? {THEIRS} {OURS} {THEIRS}");
    assert_eq!(shown(&world).await, once);
    let is_moved = "select last_message_at > now() - interval '1 hour' from conversations";
    assert!(one::<bool>(&world.user, is_moved).await);
    // One that the app has written itself, before it forwarded it.
    run(
        &world.user,
        &format!("insert into messages (direction, body, twilio_sid, from_number) values ('inbound', 'own', 'SM2', '{THEIRS}')"),
    )
    .await;
    reply(&store, "SM2", &[OURS], THEIRS).await;
    let rows = "select count(*) from messages where direction = 'inbound'";
    assert_eq!(one::<i64>(&world.user, rows).await, 2);
    // From somebody new, in a conversation that is made for it.
    reply(&store, "SM3", &[OURS], "+13105550102").await;
    let made = "select count(*) from conversations where phone_number = '+13105550102'";
    assert_eq!(one::<i64>(&world.user, made).await, 1);
}

#[tokio::test]
async fn a_reply_that_the_apps_table_refuses_waits_in_the_outbox() {
    let world = World::new().await;
    let store = store(&world);
    run(
        &world.user,
        "alter table messages add constraint only_ours check (direction = 'outbound') not valid",
    )
    .await;
    reply(&store, "SM1", &[OURS], THEIRS).await;
    assert_eq!(shown(&world).await, "");
    let why: String = one(&world.user, "select last_error from punctual.outbox").await;
    assert!(
        why.contains("only_ours") && !why.contains("who is"),
        "{why}"
    );
    run(
        &world.user,
        "alter table messages drop constraint only_ours; update punctual.outbox set next_attempt_at = now()",
    )
    .await;
    assert_eq!(store.outbox_next().await.unwrap(), Some(true));
    assert!(shown(&world).await.starts_with("received who is this?"));
    let left: i64 = one(&world.user, "select count(*) from punctual.outbox").await;
    assert_eq!(left, 0);
    // Whoever is forgotten is not kept in it.
    run(
        &world.user,
        "alter table messages add constraint only_ours check (direction = 'outbound') not valid",
    )
    .await;
    reply(&store, "SM2", &[OURS], THEIRS).await;
    run(&world.user, &format!("select punctual.forget('{THEIRS}')")).await;
    let left =
        "select (select count(*) from punctual.outbox) + (select count(*) from punctual.replies)";
    assert_eq!(one::<i64>(&world.user, left).await, 0);
}

#[tokio::test]
async fn a_reply_stops_the_rest_of_a_campaign_that_has_sent_to_this_person() {
    let world = World::new().await;
    let store = store(&world);
    let spring = campaign(&world, "spring", true).await;
    let goes_on = campaign(&world, "goes on", false).await;
    let unbegun = campaign(&world, "unbegun", true).await;
    let others = campaign(&world, "of another sender", true).await;
    let sent = message(&world, spring, THEIRS, OURS, "one").await;
    let rest = message(&world, spring, THEIRS, OURS, "two").await;
    let to_another = message(&world, spring, "+13105550102", OURS, "one").await;
    let kept = [
        message(&world, goes_on, THEIRS, OURS, "one").await,
        message(&world, goes_on, THEIRS, OURS, "two").await,
        message(&world, unbegun, THEIRS, OURS, "one").await,
        message(&world, others, THEIRS, "+15005550009", "one").await,
        message(&world, others, THEIRS, "+15005550009", "two").await,
    ];
    for id in [sent, kept[0], kept[3]] {
        send(&store, id).await;
    }
    // To a service, whose number it came to.
    assert_eq!(reply(&store, "SM1", &[OURS, "MG1"], THEIRS).await, 1);
    assert_eq!(fate(&world, rest).await, REASON);
    assert_eq!(fate(&world, sent).await, "sent");
    for id in [to_another, kept[1], kept[2], kept[4]] {
        assert_eq!(fate(&world, id).await, "pending");
    }
    let report = |name: &str| {
        format!(
            "select format('%s %s %s %s', sent, cancelled, replied, replies) from punctual_api.campaign_reports where name = '{name}'"
        )
    };
    let said: String = one(&world.user, &report("unbegun")).await;
    assert_eq!(said, "0 0 0 0");
    // What is scheduled later is not sent either; of the others all is.
    let later = message(&world, spring, &format!(" {THEIRS} "), OURS, "three").await;
    assert!(!goes(&store, later).await);
    for id in [to_another, kept[1], kept[2], kept[4]] {
        assert!(goes(&store, id).await);
    }
    // A repetition counts once, another text of the same person is one more.
    reply(&store, "SM1", &[OURS], THEIRS).await;
    reply(&store, "SM2", &[OURS], THEIRS).await;
    let said: String = one(&world.user, &report("spring")).await;
    assert_eq!(said, "1 1 1 2");
    let said: String = one(&world.user, &report("goes on")).await;
    assert_eq!(said, "1 0 1 2");
}

#[tokio::test]
async fn a_reply_to_the_account_that_a_route_took_stops_the_rest() {
    let world = World::new().await;
    let of_eu: Sender = "+15005550007".parse().unwrap();
    let mut routes = Routes::new(OURS.parse().ok().as_ref());
    routes.add("eu", Some(of_eu.clone()), &[of_eu]).unwrap();
    let by_route = punctual::policy::Rules {
        default_sender: OURS.parse().ok(),
        routes: Arc::new(routes.with_list("sms = default, eu".parse().unwrap())),
        ..rules()
    };
    let store = store(&world).with_rules(&by_route);
    store.keep_settings(&by_route).await.unwrap();
    let spring = campaign(&world, "spring", true).await;
    let first = message(&world, spring, THEIRS, "", "one").await;
    let rest = message(&world, spring, THEIRS, "", "two").await;
    let eu = LaneKey::of(Channel::Sms).with_account("eu");
    let eu = by_route.routes.number(&eu);
    let asks = [(MessageId(first), AttemptToken::fresh(), eu)];
    let mut claimed = store.claim(&asks, ours::LEASE).await.unwrap();
    let ClaimResponse::Won(mut claim) = claimed.answers.remove(0).1 else {
        panic!("it is claimed");
    };
    // The providers of the test are those of one account.
    claim.lane = LaneKey::of(Channel::Sms);
    claim.from_number = None;
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    // What they say to another sender answers nothing that they have had from it.
    assert_eq!(reply(&store, "SM1", &[OURS], THEIRS).await, 0);
    assert_eq!(fate(&world, rest).await, "pending");
    assert_eq!(reply(&store, "SM2", &["+15005550007"], THEIRS).await, 1);
    assert_eq!(fate(&world, rest).await, REASON);
}

#[tokio::test]
async fn a_reply_between_two_parts_stops_those_that_are_left() {
    let world = World::new().await;
    let store = store(&world);
    let spring = campaign(&world, "spring", true).await;
    let text = "one [BUBBLE] two [BUBBLE] three";
    let between = message(&world, spring, THEIRS, OURS, text).await;
    send(&store, between).await;
    assert_eq!(fate(&world, between).await, "pending");
    assert_eq!(reply(&store, "SM1", &[OURS], THEIRS).await, 1);
    let ended = format!("{REASON}; 1 of 3 parts sent");
    assert_eq!(fate(&world, between).await, ended);

    // A number that was fixed after its message was scheduled.
    let fixed = message(&world, spring, "+13105550109", OURS, text).await;
    run(
        &world.unseen,
        &format!("update scheduled_messages set to_number = '+13105550108' where id = '{fixed}'"),
    )
    .await;
    send(&store, fixed).await;
    assert_eq!(reply(&store, "SM2", &[OURS], "+13105550108").await, 1);
    assert_eq!(fate(&world, fixed).await, ended);
}

/// Either the claim has the message, and this part is sent; or the reply has it, and nothing is. Neither waits for the
/// other.
#[tokio::test]
async fn of_a_claim_and_a_reply_at_once_one_wins() {
    let world = World::new().await;
    let store = store(&world);
    let spring = campaign(&world, "spring", true).await;
    let text = |n: i32| format!("one {n} [BUBBLE] two [BUBBLE] three");
    let first = message(&world, spring, THEIRS, OURS, "first").await;
    send(&store, first).await;

    // The claim is under way: it has locked the row, and the reply passes over it.
    let claimed = message(&world, spring, THEIRS, OURS, &text(0)).await;
    let holder = world.db.client().await;
    run(
        &holder,
        &format!("begin; select from scheduled_messages where id = '{claimed}' for no key update"),
    )
    .await;
    assert_eq!(reply(&store, "SM1", &[OURS], THEIRS).await, 0);
    run(&holder, "commit").await;
    assert_eq!(fate(&world, claimed).await, "pending");
    assert!(!goes(&store, claimed).await);

    // The reply is under way: it has locked the row, and the claim passes over it.
    run(
        &world.user,
        "delete from punctual.campaign_replies; delete from punctual.replies",
    )
    .await;
    let cancelled = message(&world, spring, THEIRS, OURS, &text(1)).await;
    run(
        &holder,
        &format!(
            "begin; set local punctual.writer = 'on'; set local punctual.program = 'test';
             update scheduled_messages set status = 'cancelled' where id = '{cancelled}'"
        ),
    )
    .await;
    let answer = ours::claim(&store, &[cancelled]).await;
    assert!(!matches!(answer[0], ClaimResponse::Won(_)), "{answer:?}");
    run(&holder, "commit").await;

    // Claimed before the reply is committed: this part is sent, and no other.
    let sent = message(&world, spring, THEIRS, OURS, &text(2)).await;
    let claims = ours::won(&store, &[sent]).await;
    assert_eq!(reply(&store, "SM2", &[OURS], THEIRS).await, 0);
    assert_eq!(recorded(&store, &[accepted(&claims[0])]).await, 1);
    assert_eq!(fate(&world, sent).await, "pending");
    part_is_due(&world, sent).await;
    assert!(!goes(&store, sent).await);
}

#[tokio::test]
async fn a_text_that_twilio_delivers_stops_the_rest() {
    let world = receipts::World::new().await;
    let post = async |id: &str, body: &str| {
        let parameters = [
            ("MessageSid", id),
            ("From", receipts::TO),
            ("To", receipts::FROM),
            ("Body", body),
            ("NumMedia", "0"),
        ];
        let path = "/webhooks/twilio/inbound";
        world.post_to(path, &parameters).await
    };
    assert_eq!(post("SM1", "Who is this?\0").await, 204);
    assert_eq!(post("SM1", "Who is this?").await, 204);
    let kept = "select string_agg(body, ',') from messages where direction = 'inbound'";
    assert_eq!(world.text(kept).await, "Who is this?");
    // A command is no reply.
    assert_eq!(post("SM2", "stop").await, 204);
    assert_eq!(
        world
            .text("select count(*)::text from punctual.replies")
            .await,
        "1"
    );
}

#[tokio::test]
async fn a_report_has_what_became_of_a_campaign() {
    let world = World::new().await;
    let store = store(&world);
    let spring = campaign(&world, "spring", true).await;
    let mut ids = Vec::new();
    for (n, body) in ["one [BUBBLE] two", "plain", "fails", "waits", "stopped"]
        .iter()
        .enumerate()
    {
        ids.push(message(&world, spring, &format!("+1310555010{n}"), OURS, body).await);
    }
    send(&store, ids[0]).await;
    part_is_due(&world, ids[0]).await;
    send(&store, ids[0]).await;
    send(&store, ids[1]).await;
    let set =
        |id: Uuid, what: &str| format!("update scheduled_messages set {what} where id = '{id}';");
    run(
        &world.unseen,
        &[
            set(ids[0], "status = 'delivered', delivered_at = now(), metadata = '{\"sms_cost_usd\": 0.0158}'"),
            set(ids[1], "metadata = '{\"sms_cost_usd\": \"much\"}'"),
            set(ids[2], "status = 'failed', error_message = 'no such number'"),
            set(ids[4], "status = 'cancelled', cancel_reason = 'by hand'"),
        ]
        .concat(),
    )
    .await;
    // Before a message was sent to them, an opt-out is none of this campaign.
    run(
        &world.user,
        "insert into punctual.suppressions (their_number, reason) values ('+13105550101', 'STOP'), ('+13105550102', 'STOP')",
    )
    .await;
    let tokens: Vec<Uuid> = ours::ledger(&world, ids[1])
        .await
        .iter()
        .map(|row| row.get(1))
        .collect();
    let price = Price {
        amount: "0.0075".into(),
        unit: "USD".into(),
    };
    let priced = [(AttemptToken(tokens[0]), &price)];
    store.keep_prices(&priced).await.unwrap();
    store.keep_prices(&priced).await.unwrap();
    let report = punctual::store::campaigns::report(&world.user, spring)
        .await
        .unwrap();
    let figures = [
        report.messages,
        report.waiting,
        report.sent,
        report.delivered,
        report.failed,
        report.cancelled,
    ];
    assert_eq!(figures, [5, 1, 2, 1, 1, 1], "{report:?}");
    assert_eq!((report.opted_out, report.replied), (1, 0));
    assert_eq!((report.cost_usd, report.cost_known_of), (Some(0.0158), 1));
    let sums: Vec<_> = report
        .prices
        .iter()
        .map(|one| (&*one.unit, one.amount, one.messages))
        .collect();
    assert_eq!(sums, [("USD", 0.0075, 1)]);
    let reasons: Vec<_> = report
        .reasons
        .iter()
        .map(|one| (&*one.status, one.reason.as_deref(), one.messages))
        .collect();
    assert_eq!(
        reasons,
        [
            ("cancelled", Some("by hand"), 1),
            ("failed", Some("no such number"), 1)
        ]
    );
    let mut texts = Vec::new();
    let read = punctual::store::campaigns::sent_texts(&world.user, spring, |text| {
        texts.push(text.to_owned());
    });
    read.await.unwrap();
    texts.sort_unstable();
    assert_eq!(texts, ["one", "plain", "two"]);
    let segments = "select segments_at_most from punctual_api.campaign_reports";
    assert_eq!(one::<i64>(&world.user, segments).await, 3);
}

#[tokio::test]
async fn who_asks_for_help_is_answered_once_a_day_by_a_message_like_any_other() {
    let world = World::new().await;
    let store = store(&world);
    let ask = async |id: &str, ours: &str, help| {
        let ours = [ours];
        let reply = NewReply {
            id,
            account: "eu",
            ours: &ours,
            theirs: THEIRS,
            text: "aide",
            help,
        };
        store.keep_reply(reply).await.unwrap();
    };
    let answers = "select string_agg(concat_ws(' ', account, from_number, to_number, body, status, message_type), ', ' order by created_at)
                     from scheduled_messages";
    let answers = async || {
        one::<Option<String>>(&world.user, answers)
            .await
            .unwrap_or_default()
    };
    ask("SM1", OURS, None).await;
    assert_eq!(answers().await, "", "without a text nothing is answered");
    let text = Some("call us");
    ask("SM2", OURS, text).await;
    // By the account to which they wrote, whoever else has that number.
    let first = format!("eu {OURS} {THEIRS} call us pending help_reply");
    assert_eq!(answers().await, first);
    // The same reply once more, and another one on that day.
    ask("SM2", OURS, text).await;
    ask("SM3", OURS, text).await;
    assert_eq!(answers().await, first);
    ask("SM4", "+15005550007", text).await;
    let second = format!("{first}, eu +15005550007 {THEIRS} call us pending help_reply");
    assert_eq!(answers().await, second);
    run(
        &world.user,
        "update punctual.help_answers set at = at - interval '25 h' where our_number = '+15005550006'",
    )
    .await;
    ask("SM5", OURS, text).await;
    assert_eq!(answers().await, format!("{second}, {first}"));
    assert_eq!(
        shown(&world).await.matches("aide").count(),
        5,
        "each is kept as a reply too"
    );
    // A table that refuses it costs the answer and not the reply.
    run(
        &world.unseen,
        "create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
         create trigger no before insert on scheduled_messages for each row execute function no();
         delete from punctual.help_answers",
    )
    .await;
    ask("SM6", OURS, text).await;
    assert_eq!(answers().await, format!("{second}, {first}"));
    assert_eq!(shown(&world).await.matches("aide").count(), 6);
}
