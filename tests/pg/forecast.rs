//! A forecast reads what the claim reads: of each row the same facts, and so the same verdict, but takes nothing.

use std::time::Duration;

use punctual::forecast::{Outcome, PublishedRules, PublishedState};
use punctual::message::facts::Limit;
use punctual::message::{
    AttemptToken, Capabilities, Claim, ClaimResponse, MessageId, PaceKey, PaceScope,
    ProviderCapabilities,
};
use punctual::policy::{self, Verdict};
use punctual::schedule::queue::Turn;
use punctual::store::forecast::{Assumed, forecasts, subjects, surroundings};
use punctual::store::paces;
use uuid::Uuid;

use crate::ours::{claim, now, rules, store};
use crate::rows::{World, one, run};

/// The sender that has a rate.
const RATED: &str = "+15005550009";

fn capabilities() -> ProviderCapabilities {
    ProviderCapabilities::texts(Capabilities::SENDS_ONLY)
}

pub(crate) fn assumed() -> Assumed {
    Assumed {
        rules: rules(),
        capabilities: capabilities(),
        provider: Capabilities::SENDS_ONLY,
    }
}

/// Users of every kind, a template, an event that is gone and one that comes.
const PEOPLE: &str = "
    insert into user_sms_preferences (user_id, phone_verified, opted_out, event_reminders_enabled, daily_sms_limit,
                                      quiet_hours_start, quiet_hours_end, timezone)
    select md5(n::text)::uuid, n <> 2, n = 1, n <> 3, case n when 5 then 2 when 6 then 2 end,
           case n when 4 then '00:00'::time end, case n when 4 then '23:59:59'::time end,
           case n when 4 then 'Asia/Kolkata' end
      from generate_series(1, 7) n;
    insert into punctual.daily_counts (user_id, day, count) values
      (md5('5')::uuid, (now() at time zone 'UTC')::date, 2), (md5('6')::uuid, (now() at time zone 'UTC')::date, 1);
    insert into task_calendar_events (calendar_event_id, user_id, event_start, sync_status) values
      ('gone', md5('7')::uuid, now() + interval '1 day', 'cancelled'),
      ('comes', md5('7')::uuid, now() + interval '1 day', 'synced');
    insert into sms_templates (id, template_key, message_template, required_vars)
    values (md5('t')::uuid, 'hello', 'Hello {{name}}', '[\"name\"]');
    insert into punctual.suppressions (their_number, reason) values ('+13105550199', 'the recipient replied STOP')";

/// Rows in every way: the columns that are added, and their values.
const ROWS: &[(&str, &str)] = &[
    ("", ""),
    (", user_id", ", md5('1')::uuid"),
    (", user_id", ", md5('2')::uuid"),
    (
        ", user_id, message_type",
        ", md5('3')::uuid, 'event_reminder'",
    ),
    (", user_id", ", md5('4')::uuid"),
    (", user_id", ", md5('5')::uuid"),
    (", user_id", ", md5('6')::uuid"),
    (", user_id, calendar_event_id", ", md5('7')::uuid, 'gone'"),
    (
        ", user_id, calendar_event_id, event_start",
        ", md5('7')::uuid, 'comes', now()",
    ),
    (
        ", template_vars, template_id",
        ", '{\"name\": \"Ada\"}', md5('t')::uuid",
    ),
    (", template_vars, template_id", ", '{}', md5('t')::uuid"),
    (", template_vars", ", '{}'"),
    (", channel", ", 'email'"),
    (", attempts, max_attempts, requeued_at", ", 1, 5, now()"),
    (
        ", send_before, priority, timezone",
        ", now() + interval '1 hour', 'urgent', 'Europe/Berlin'",
    ),
];

/// What is not a matter of the claim itself.
fn plain(claim: &Claim) -> Claim {
    let mut plain = claim.clone();
    (plain.token, plain.number) = (AttemptToken(Uuid::nil()), 1);
    if !matches!(plain.facts.limit, Limit::Over { .. }) {
        plain.facts.limit = Limit::NotCounted;
    }
    plain
}

const fn outcome(verdict: &Verdict) -> Outcome {
    match verdict {
        Verdict::Send(_) => Outcome::Send,
        Verdict::Defer { .. } => Outcome::Defer,
        Verdict::Cancel { .. } => Outcome::Cancel,
        Verdict::Reject { .. } => Outcome::Fail,
    }
}

#[tokio::test]
async fn a_forecast_is_by_what_a_claim_would_return() {
    let world = World::new().await;
    run(&world.unseen, PEOPLE).await;
    let mut ids = Vec::new();
    for (columns, values) in ROWS {
        let columns = format!("{columns}, from_number");
        let values = format!("{values}, '+15005550006'");
        ids.push(world.row_with("pending", &columns, &values).await);
    }
    let stopped = world.row("pending").await;
    let stop =
        format!("update scheduled_messages set to_number = '+13105550199' where id = '{stopped}'");
    run(&world.unseen, &stop).await;
    let store = store(&world);
    let published = PublishedState {
        at: now(&store).await,
        rules: PublishedRules::of(&rules(), &capabilities()),
        ..PublishedState::default()
    };
    store.instance_start("notify").await.unwrap();
    store.publish(&published).await.unwrap();

    // By what the instance has published, and by nothing else.
    let other = Assumed {
        capabilities: ProviderCapabilities::default(),
        ..assumed()
    };
    let all: Vec<_> = ids
        .iter()
        .chain([&stopped])
        .map(|id| MessageId(*id))
        .collect();
    let around = surroundings(&world.user, &other).await.unwrap();
    assert!(around.rules_are_known);
    assert_eq!(around.instances[0].state.as_ref(), Some(&published));
    let known = subjects(&world.user, &all, &around).await.unwrap();
    let foreseen = forecasts(&world.user, &all, &other).await.unwrap();
    assert_eq!(known.len(), all.len());

    let of_stopped = foreseen.of(MessageId(stopped)).unwrap();
    let is = (of_stopped.step.outcome, of_stopped.step.reason);
    assert_eq!(is, (Outcome::Cancel, Some("opted_out")), "{of_stopped}");
    assert!(matches!(
        claim(&store, &[stopped]).await[..],
        [ClaimResponse::OptedOut]
    ));
    let mut seen = Vec::new();
    for id in &ids {
        let id = MessageId(*id);
        let subject = known.iter().find(|known| known.claim.id == id).unwrap();
        let ClaimResponse::Won(won) = claim(&store, &[id.0]).await.remove(0) else {
            panic!("{id} is not won");
        };
        let name = ROWS[ids.iter().position(|own| *own == id.0).unwrap()];
        assert_eq!(plain(&subject.claim), plain(&won), "{name:?}");
        assert_eq!(
            subject.claim.facts.limit,
            plain(&won).facts.limit,
            "{name:?}"
        );
        let is_taken = matches!(won.facts.limit, Limit::Taken { .. } | Limit::Over { .. });
        assert_eq!(subject.is_limited, is_taken, "{name:?}");
        let verdict = policy::judge(&won, &rules(), &capabilities(), around.now.max(won.due));
        let forecast = foreseen.of(id).unwrap();
        assert_eq!(
            forecast.step.outcome,
            outcome(&verdict),
            "{name:?}: {forecast}"
        );
        let reason = match verdict {
            Verdict::Send(_) => None,
            Verdict::Defer { reason, .. }
            | Verdict::Cancel { reason }
            | Verdict::Reject { reason } => Some(reason.kind.as_str()),
        };
        assert_eq!(forecast.step.reason, reason, "{name:?}: {forecast}");
        seen.push(reason.unwrap_or("sent"));
    }
    let expected = [
        "sent",
        "opted_out",
        "not_verified",
        "switched_off",
        "quiet_hours",
        "daily_limit",
        "sent",
        "event_deleted",
        "sent",
        "sent",
        "template",
        "template",
        "channel",
        "sent",
        "sent",
    ];
    assert_eq!(seen, expected);
    // It took no quota itself.
    let used = "select count from punctual.daily_counts where user_id = md5('6')::uuid";
    assert_eq!(
        one::<i32>(&world.unseen, used).await,
        2,
        "only the claim did"
    );
    // Nothing of this is pending any more.
    let foreseen = forecasts(&world.user, &all, &other).await.unwrap();
    assert!(all.iter().all(|id| foreseen.of(*id).is_none()));
}

#[tokio::test]
async fn what_stands_before_the_claim_is_read_too() {
    let world = World::new().await;
    let store = store(&world);
    let (paused, campaign) = (Uuid::from_u128(1), Uuid::from_u128(0xCD));
    let gap = Duration::from_secs(30);
    let of_campaign = key(PaceScope::Campaign, &campaign.to_string());
    paces::set(&world.user, &of_campaign, (gap, gap), 1)
        .await
        .unwrap();
    let mut turns = Vec::new();
    for _ in 0..3 {
        let values = format!(", '{campaign}'");
        turns.push(MessageId(
            world.row_with("pending", ", campaign_id", &values).await,
        ));
    }
    let user = format!(", '{paused}', '+15005550006'");
    let of_user = MessageId(
        world
            .row_with("pending", ", user_id, from_number", &user)
            .await,
    );
    let later_part = ", parts_done, parts_total, next_attempt_at";
    let waits = MessageId(world.row_with("pending", later_part, ", 1, 2, now()").await);
    let sql = format!(
        "insert into punctual.pauses (scope, what, until, why, who) values ('user', '{paused}', 'infinity', 'complaint', 'ann');
         insert into punctual.attempts (token, message_id, number, part, instance, lease_until)
         values (gen_random_uuid(), '{waits}', 1, 0, gen_random_uuid(), now() + interval '30 s')"
    );
    run(&world.unseen, &sql).await;

    let all: Vec<_> = turns.iter().copied().chain([of_user, waits]).collect();
    let none = forecasts(&world.user, &all, &assumed()).await.unwrap();
    let waiting = none.of(of_user).unwrap();
    assert_eq!(waiting.step.reason, Some("no_daemon"));
    assert!(
        waiting
            .unknown
            .iter()
            .any(|it| it.contains("this program's"))
    );
    assert!(
        !waiting.to_string().contains("last one"),
        "none ever ran: {waiting}"
    );

    store.instance_start("notify").await.unwrap();
    let foreseen = forecasts(&world.user, &all, &assumed()).await.unwrap();
    let about = |id| foreseen.of(id).unwrap().to_string();
    assert!(
        about(of_user).contains("(user, by ann: complaint)"),
        "{}",
        about(of_user)
    );
    assert_eq!(
        foreseen.of(waits).unwrap().step.reason,
        Some("attempt_open")
    );
    let known = subjects(&world.user, &turns, &foreseen.around)
        .await
        .unwrap();
    let places = turns.iter().map(|id| {
        let own = known.iter().find(|known| known.claim.id == *id).unwrap();
        own.pace.as_ref().unwrap().turn.map(|turn| turn.ahead)
    });
    assert_eq!(places.collect::<Vec<_>>(), [Some(0), Some(1), Some(2)]);

    a_sender_with_a_rate_sends_one_after_the_other(&world, turns[1]).await;

    // An instance that has stopped, or is silent, does not send; what it has published is still the best that is known.
    let rules = PublishedRules::of(&rules(), &capabilities());
    let state = PublishedState {
        rules,
        ..PublishedState::default()
    };
    store.publish(&state).await.unwrap();
    for silence in [
        "stopped_at = now()",
        "stopped_at = null, heartbeat_at = now() - interval '21 s'",
    ] {
        run(
            &world.unseen,
            &format!("update punctual.instances set {silence}"),
        )
        .await;
        let foreseen = forecasts(&world.user, &all, &assumed()).await.unwrap();
        assert_eq!(
            foreseen.of(of_user).unwrap().step.reason,
            Some("no_daemon"),
            "{silence}"
        );
        assert!(foreseen.around.rules_are_known && foreseen.around.heard_at.is_some());
    }
}

fn key(scope: PaceScope, what: &str) -> PaceKey {
    PaceKey {
        scope,
        what: what.to_owned(),
    }
}

/// A sender that has a rate: those that it sends are one after the other, but for those of a campaign with a pace.
async fn a_sender_with_a_rate_sends_one_after_the_other(world: &World, paced: MessageId) {
    let gap = Duration::from_secs(30);
    let of_sender = key(PaceScope::Sender, RATED);
    paces::set(&world.user, &of_sender, (gap, gap), 2)
        .await
        .unwrap();
    let mut rated = Vec::new();
    for body in ["short", &"x".repeat(200), "short"] {
        let values = format!(", '{RATED}'");
        let id = world.row_with("pending", ", from_number", &values).await;
        let long = "update scheduled_messages set body = $2 where id = $1";
        world.unseen.execute(long, &[&id, &body]).await.unwrap();
        rated.push(MessageId(id));
    }
    let join =
        format!("update scheduled_messages set from_number = '{RATED}' where id = '{paced}'");
    run(&world.unseen, &join).await;
    rated.push(paced);
    let around = surroundings(&world.user, &assumed()).await.unwrap();
    let known = subjects(&world.user, &rated, &around).await.unwrap();
    let places = rated.iter().map(|id| {
        let own = known.iter().find(|known| known.claim.id == *id).unwrap();
        let room = own.rate.as_ref().unwrap();
        (room.ahead, room.before, room.own, own.pace.is_some())
    });
    let places: Vec<_> = places.collect();
    let expected = [
        (Some(0), 0, 1, false),
        (Some(1), 1, 2, false),
        (Some(2), 3, 1, false),
        (Some(0), 0, 1, true),
    ];
    assert_eq!(places, expected);
    let foreseen = forecasts(&world.user, &rated, &assumed()).await.unwrap();
    let about = foreseen.of(rated[2]).unwrap();
    let says = "waits for the rate of sender +15•••09, behind 2 others; then it will be sent at";
    assert!(about.to_string().contains(says), "{about}");
    let of_both = &foreseen.of(paced).unwrap().unknown;
    let others = "how many other messages of its sender are sent before it";
    assert!(of_both.contains(&others), "{of_both:?}");
}

/// Of a campaign with a pace: what takes no slot is before nothing, and what is paused until then takes the first slot
/// after that.
#[tokio::test]
async fn what_takes_no_slot_is_before_nothing() {
    let world = World::new().await;
    let store = store(&world);
    store.instance_start("notify").await.unwrap();
    let campaign = Uuid::from_u128(0xCD);
    let gap = Duration::from_secs(29);
    let of_campaign = key(PaceScope::Campaign, &campaign.to_string());
    paces::set(&world.user, &of_campaign, (gap, gap), 1)
        .await
        .unwrap();
    let base: String = one(&world.unseen, "select date_trunc('second', now())::text").await;
    // User, recipient, and in how many seconds it is due.
    let mut ids = Vec::new();
    for (user, to, due) in [
        ("never", "+13105550100", 100),
        ("later", "+13105550100", 101),
        ("free", "+13105550199", 102),
        ("free", "+13105550100", 103),
        ("free", "+13105550100", 104),
        ("free", "+13105550100", 500),
    ] {
        let id = world.row_with("pending", "", "").await;
        let plan = format!(
            "update scheduled_messages
                set campaign_id = '{campaign}', user_id = md5('{user}')::uuid, to_number = '{to}',
                    from_number = '+15005550006', scheduled_at = '{base}'::timestamptz + interval '{due} s'
              where id = '{id}'"
        );
        run(&world.unseen, &plan).await;
        ids.push(MessageId(id));
    }
    let sql = format!(
        "insert into punctual.suppressions (their_number, reason) values ('+13105550199', 'the recipient replied STOP');
         insert into punctual.pauses (scope, what, until)
         values ('user', md5('never')::uuid::text, 'infinity'),
                ('user', md5('later')::uuid::text, '{base}'::timestamptz + interval '131 s')"
    );
    run(&world.unseen, &sql).await;
    let around = surroundings(&world.user, &assumed()).await.unwrap();
    let known = subjects(&world.user, &ids, &around).await.unwrap();
    let turns = ids.iter().map(|id| {
        let own = known.iter().find(|known| known.claim.id == *id).unwrap();
        let place = own.pace.as_ref().unwrap();
        assert!(place.queue.counts(*id));
        let due = own.claim.due.as_micros();
        let after = |turn: Turn| (turn.slot.as_micros() - due) / 1_000_000;
        place.turn.map(|turn| (turn.ahead, after(turn)))
    });
    // Slots begin at 103, 133 and 163, where the second is due by then; the last is due after them.
    let expected = [
        None,
        Some((1, 32)),
        None,
        Some((0, 0)),
        Some((2, 59)),
        Some((3, 0)),
    ];
    assert_eq!(turns.collect::<Vec<_>>(), expected);
}
