//! Paces in the database: which message takes a slot, when the next one begins, and what becomes of one that is not
//! used.

use std::sync::Arc;
use std::time::Duration;

use punctual::limits::HealthLimits;
use punctual::message::{
    AttemptToken, Claim, ClaimResponse, LaneKey, MessageId, Moment, PaceDue, PaceId, PaceKey,
    PaceScope, PacedClaim, PacedResponse, Part, RowState,
};
use punctual::policy::{Cleared, Reason, ReasonKind};
use punctual::schedule::pace::gap;
use punctual::schedule::{LEAD_MAX, PACE_SLACK, RATE_SLACK};
use punctual::settle::{Record, Settlement};
use punctual::store::{Store, paces};
use tokio_postgres::SimpleQueryMessage;
use uuid::Uuid;

use crate::notice::Listening;
use crate::ours::{LATE, LEASE, accepted, claim, now, record, recorded, store};
use crate::overdue::overdue;
use crate::rows::{World, one, run, said};
use crate::window::loaded;

const CAMPAIGN: Uuid = Uuid::from_u128(0xCD);
const GAP: Duration = Duration::from_secs(30);

fn campaign() -> PaceKey {
    PaceKey {
        scope: PaceScope::Campaign,
        what: CAMPAIGN.to_string(),
    }
}

/// A campaign with a pace of one gap.
async fn paced(world: &World) -> PaceId {
    paces::set(&world.user, &campaign(), (GAP, GAP), 1)
        .await
        .unwrap();
    let id = one(&world.unseen, "select id from punctual.paces").await;
    PaceId(id)
}

/// A pending row of it, due so many seconds ago.
async fn row(world: &World, ago: i32) -> Uuid {
    let values = format!(", '{CAMPAIGN}'");
    let id = world.row_with("pending", ", campaign_id", &values).await;
    let due = format!(
        "update scheduled_messages set scheduled_at = now() - interval '{ago} s' where id = '{id}'"
    );
    run(&world.unseen, &due).await;
    id
}

async fn ask(store: &Store, pace: PaceId) -> PacedResponse<Claim> {
    let asks = [(pace, AttemptToken::fresh(), RATE_SLACK)];
    let mut claimed = store.claim_paced(&asks, &[None], LEASE, 0).await.unwrap();
    if let Some(paced) = claimed.won.remove(&pace) {
        return PacedResponse::Won(Box::new(paced));
    }
    if let Some(id) = claimed.opted_out.remove(&pace) {
        return PacedResponse::OptedOut(id);
    }
    let until = now(store).await + Duration::from_secs(3_600);
    let wait = store.paces(Some(&[pace]), until).await.unwrap().pop();
    wait.map_or(PacedResponse::Idle, PacedResponse::Wait)
}

async fn won(store: &Store, pace: PaceId) -> PacedClaim<Claim> {
    match ask(store, pace).await {
        PacedResponse::Won(paced) => *paced,
        other => panic!("{other:?}"),
    }
}

async fn waits(store: &Store, pace: PaceId) -> PaceDue {
    match ask(store, pace).await {
        PacedResponse::Wait(due) => due,
        other => panic!("{other:?}"),
    }
}

/// The next slot begins now, as if the gap had passed.
async fn gap_passes(world: &World) {
    run(&world.unseen, "update punctual.paces set next_at = now()").await;
}

#[tokio::test]
async fn the_database_draws_the_gaps_that_the_forecast_draws() {
    let world = World::new().await;
    let sql = "select n, s, (extract(epoch from punctual.pace_gap(s, n, '4 min', '7 min')) * 1000000)::bigint as us
                 from generate_series(0, 300) n, unnest(array[0, 7, -3, 9223372036854775807]) s";
    let gaps = (Duration::from_secs(240), Duration::from_secs(420));
    for row in world.unseen.query(sql, &[]).await.unwrap() {
        let (n, seed): (i32, i64) = (row.get("n"), row.get("s"));
        let us: i64 = row.get("us");
        assert_eq!(
            u128::from(us.unsigned_abs()),
            gap(seed, n.into(), gaps).as_micros()
        );
    }
}

#[tokio::test]
async fn the_first_that_is_due_takes_the_slot_and_the_others_wait_for_the_next() {
    let world = World::new().await;
    let (ours, theirs) = (store(&world), store(&world));
    let pace = paced(&world).await;
    let later = row(&world, 60).await;
    let first = row(&world, 70).await;
    let plain = world.row("pending").await;
    let due = "update punctual.paces
                  set next_at = (select min(scheduled_at) from scheduled_messages where campaign_id is not null) + interval '10 s'";
    run(&world.unseen, due).await;
    let overdue: chrono::DateTime<chrono::Utc> =
        one(&world.unseen, "select next_at from punctual.paces").await;
    let overdue = Moment::from(overdue);

    let before = now(&ours).await;
    let claimed = won(&ours, pace).await;
    let (slot, after) = (claimed.claim.due, now(&ours).await);
    assert_eq!(claimed.id.0, first);
    assert!(
        before <= slot && slot <= after,
        "overdue: it starts at once"
    );
    // To wait for its pace was no lateness. It is late since the gap was over, and nobody claimed it.
    assert_eq!(claimed.claim.wanted_at, overdue);
    assert_eq!(claimed.waited, Duration::from_secs(10));
    assert_eq!(claimed.latest, slot + PACE_SLACK);
    assert_eq!(claimed.next, claimed.latest + GAP);
    assert_eq!(world.status(first).await, "sending");

    // No instance has to know of the other's claim.
    let due = waits(&theirs, pace).await;
    assert_eq!((due.at, &due.lane), (claimed.next, &LaneKey::default()));
    assert_eq!((&*due.scope, due.what), ("campaign", CAMPAIGN.to_string()));
    // Who asks for the message itself learns its pace.
    match claim(&theirs, &[later]).await.remove(0) {
        ClaimResponse::Paced(RowState::Pending {
            pace: Some(own), ..
        }) => assert_eq!((own.id, own.at), (pace, claimed.next)),
        other => panic!("{other:?}"),
    }
    let answer = claim(&theirs, &[plain]).await.remove(0);
    assert!(matches!(answer, ClaimResponse::Won(_)), "it has no pace");

    gap_passes(&world).await;
    assert_eq!(won(&theirs, pace).await.id.0, later);
    gap_passes(&world).await;
    assert_eq!(
        ask(&ours, pace).await,
        PacedResponse::Idle,
        "nothing is left"
    );
}

#[tokio::test]
async fn a_part_after_the_first_waits_for_no_slot() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    let id = row(&world, 20).await;
    let between = "update scheduled_messages set parts_done = 1, parts_total = 3";
    run(&world.unseen, between).await;
    assert_eq!(ask(&store, pace).await, PacedResponse::Idle);
    let found = loaded(&store, now(&store).await, LATE).await;
    assert_eq!(found.iter().map(|row| row.id.0).collect::<Vec<_>>(), [id]);
    let answer = claim(&store, &[id]).await.remove(0);
    assert!(matches!(answer, ClaimResponse::Won(_)), "{answer:?}");
}

#[tokio::test]
async fn a_slot_begins_no_earlier_than_its_message_is_due() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    let id = row(&world, -600).await;
    let due = waits(&store, pace).await.at;
    assert_eq!(
        due,
        Moment::from(
            world
                .get::<chrono::DateTime<chrono::Utc>>(id, "scheduled_at")
                .await
        )
    );
    let soon = "update scheduled_messages set scheduled_at = clock_timestamp() + interval '40 ms'";
    run(&world.unseen, soon).await;
    let due = Moment::from(
        world
            .get::<chrono::DateTime<chrono::Utc>>(id, "scheduled_at")
            .await,
    );
    let claimed = won(&store, pace).await;
    // Within the lead, unless the machine was slower than that.
    assert!(claimed.claim.due == due || now(&store).await > due);
    assert_eq!(claimed.next, claimed.claim.due + PACE_SLACK + GAP);
}

#[tokio::test]
async fn what_is_locked_is_passed_over_and_what_may_not_be_sent_takes_no_slot() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    let taken = async || -> i64 { one(&world.unseen, "select position from punctual.paces").await };
    let id = row(&world, 30).await;
    let opted_out =
        "insert into punctual.suppressions (their_number, reason) values ('+13105550100', 'STOP')";
    run(&world.unseen, opted_out).await;
    let answer = ask(&store, pace).await;
    assert_eq!(answer, PacedResponse::OptedOut(MessageId(id)));
    assert_eq!(
        (world.status(id).await.as_str(), taken().await),
        ("cancelled", 0)
    );
    run(&world.unseen, "delete from punctual.suppressions").await;

    let (held, free) = (row(&world, 30).await, row(&world, 10).await);
    run(
        &world.unseen,
        "insert into punctual.pauses (scope, what) values ('lane', 'sms')",
    )
    .await;
    assert_eq!(ask(&store, pace).await, PacedResponse::Idle);
    assert_eq!(taken().await, 0);
    run(&world.unseen, "delete from punctual.pauses").await;

    let lock = format!("begin; select from scheduled_messages where id = '{held}' for update");
    run(&world.user, &lock).await;
    assert_eq!(won(&store, pace).await.id.0, free);
    gap_passes(&world).await;
    let due = waits(&store, pace).await;
    assert!(due.at <= now(&store).await, "it is due and locked");
    run(&world.user, "rollback").await;
    assert_eq!(won(&store, pace).await.id.0, held);

    // A pace that somebody else has locked is not waited for.
    let third = row(&world, 5).await;
    gap_passes(&world).await;
    run(&world.user, "begin; select from punctual.paces for update").await;
    waits(&store, pace).await;
    assert_eq!(
        (world.status(third).await.as_str(), taken().await),
        ("pending", 2)
    );
    // A claim by ids locks none: it wins what has no pace, and refuses what has one.
    let plain = world.row("pending").await;
    let answer = claim(&store, &[plain]).await.remove(0);
    assert!(matches!(answer, ClaimResponse::Won(_)), "{answer:?}");
    let answer = claim(&store, &[third]).await.remove(0);
    assert!(matches!(answer, ClaimResponse::Paced(_)), "{answer:?}");
    run(&world.user, "rollback").await;
}

#[tokio::test]
async fn a_slot_that_no_request_used_is_returned_while_it_is_the_latest() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    let (first, second) = (row(&world, 20).await, row(&world, 10).await);
    let state = "select concat_ws(' ', position, next_at <= clock_timestamp(), token is null) from punctual.paces";
    let state = async || -> String { one(&world.unseen, state).await };

    let claimed = won(&store, pace).await;
    assert_eq!(state().await, "1 f f");
    let mut released = record(&claimed.claim, Settlement::returned("its slot was over"));
    released.started = None;
    assert_eq!(recorded(&store, &[released]).await, 1);
    assert_eq!(state().await, "0 t t");

    // A later one was taken since.
    let claimed = won(&store, pace).await;
    gap_passes(&world).await;
    let later = won(&store, pace).await;
    assert_eq!((claimed.id.0, later.id.0), (first, second));
    let mut released = record(&claimed.claim, Settlement::returned("paused"));
    released.started = None;
    recorded(&store, &[released]).await;
    assert_eq!(state().await, "2 f f");

    // A request was made in this one, whatever its outcome.
    let unsent = record(&later.claim, Settlement::returned("the request failed"));
    recorded(&store, &[unsent]).await;
    assert_eq!(state().await, "2 f f");
    gap_passes(&world).await;
    let again = won(&store, pace).await;
    recorded(&store, &[accepted(&again.claim)]).await;
    assert_eq!(state().await, "3 f f");
}

/// What is recorded of a claim whose request never began.
fn unbegun(claim: &Claim, settlement: Settlement) -> Record<Arc<Cleared>> {
    Record {
        id: claim.id,
        token: claim.token,
        settlement,
        started: None,
        finished: None,
        payload: None,
        tries: 0,
        part: Part::ONLY,
    }
}

/// What nobody claims for three hours is late since its slot, retries since their first request. What is cancelled for
/// it has had its slot: the next message is late from a gap later on.
#[tokio::test]
async fn an_outage_is_lateness_from_the_slot_on() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    for ago in [11_000, 10_900, 10_800] {
        row(&world, ago).await;
    }
    run(
        &world.unseen,
        "update punctual.paces set next_at = now() - interval '3 hours', slot = null",
    )
    .await;
    let next = async || -> Moment {
        let next: chrono::DateTime<chrono::Utc> =
            one(&world.unseen, "select next_at from punctual.paces").await;
        next.into()
    };
    let mut slot = next().await;
    for _ in 0..2 {
        let late = won(&store, pace).await;
        assert_eq!(late.claim.wanted_at, slot);
        assert!(late.claim.due > slot + Duration::from_secs(10_000));
        // Released, it is as late as before.
        let over = Settlement::returned("its slot was over");
        recorded(&store, &[unbegun(&late.claim, over)]).await;
        assert_eq!(next().await, slot);
        let again = won(&store, pace).await;
        assert_eq!((again.id, again.claim.wanted_at), (late.id, slot));
        let reason = Reason::new(ReasonKind::TooLate, "too late");
        let cancelled = Settlement::cancelled(reason);
        recorded(&store, &[unbegun(&again.claim, cancelled)]).await;
        slot = slot + PACE_SLACK + GAP;
        assert_eq!(next().await, slot);
    }
    // A slot that comes now is not after now.
    run(&world.unseen, "update punctual.paces set next_at = now()").await;
    let last = won(&store, pace).await;
    let first = last.claim.due;
    let tried = unbegun(&last.claim, Settlement::returned("the request failed"));
    let tried = Record {
        started: Some(first),
        ..tried
    };
    recorded(&store, &[tried]).await;
    let ready = "update scheduled_messages set next_attempt_at = now() where status = 'pending'";
    run(&world.unseen, ready).await;
    gap_passes(&world).await;
    let again = won(&store, pace).await;
    assert!(again.claim.is_retry && again.claim.due > first);
    assert_eq!(again.claim.wanted_at, last.claim.wanted_at.min(first));
    let gone = Settlement::cancelled(Reason::new(ReasonKind::EventDeleted, "its event is gone"));
    recorded(&store, &[unbegun(&again.claim, gone)]).await;
    assert!(
        next().await <= now(&store).await,
        "the next one goes at once"
    );
}

/// Of a campaign that was paused the slots count from the end of the pause: what an outage after that makes too late is
/// what was to be sent in its time, however long the pause was.
#[tokio::test]
async fn an_outage_after_a_pause_counts_from_its_end() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    for ago in [11_000, 10_900, 10_800] {
        row(&world, ago).await;
    }
    let pause = format!(
        "update punctual.paces set next_at = now() - interval '1 day';
         insert into punctual.pauses (scope, what, until) values ('campaign', '{CAMPAIGN}', now() - interval '2 hours')"
    );
    run(&world.unseen, &pause).await;
    let end: chrono::DateTime<chrono::Utc> =
        one(&world.unseen, "select until from punctual.pauses").await;
    let mut slot = Moment::from(end);
    for _ in 0..2 {
        let late = won(&store, pace).await;
        assert_eq!(late.claim.wanted_at, slot);
        let cancelled = Settlement::cancelled(Reason::new(ReasonKind::TooLate, "too late"));
        recorded(&store, &[unbegun(&late.claim, cancelled)]).await;
        slot = slot + PACE_SLACK + GAP;
    }
    assert_eq!(won(&store, pace).await.claim.wanted_at, slot);
}

/// Nobody would win it, so that a daemon that is notified of it would ask again and again.
#[tokio::test]
async fn what_no_claim_takes_is_not_reported_as_due() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    let first = row(&world, 20).await;
    let quarantine = "insert into punctual.quarantine (due_before, noticed_by) values (now(), gen_random_uuid())";
    let missed = format!(
        "insert into punctual.missed_event_changes (message_id, user_id) values ('{first}', gen_random_uuid())"
    );
    let pause =
        format!("insert into punctual.pauses (scope, what) values ('campaign', '{CAMPAIGN}')");
    for (begin, end) in [
        (
            quarantine,
            "update punctual.quarantine set ended_at = now()",
        ),
        (&*missed, "delete from punctual.missed_event_changes"),
        (&*pause, "delete from punctual.pauses"),
    ] {
        run(&world.unseen, begin).await;
        assert_eq!(ask(&store, pace).await, PacedResponse::Idle, "{begin}");
        run(&world.unseen, end).await;
    }
    // It holds up no other one.
    let second = row(&world, 10).await;
    run(&world.unseen, &missed).await;
    assert_eq!(won(&store, pace).await.id.0, second);
    run(&world.unseen, "delete from punctual.missed_event_changes").await;
    gap_passes(&world).await;
    assert_eq!(won(&store, pace).await.id.0, first);
}

/// A message whose user is paused for a while makes no other one wait, and is sent first when the pause has ended. Of
/// those that a pause stops a statement passes over a bounded number.
#[tokio::test]
async fn a_message_that_a_pause_stops_holds_up_no_other() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    let (user, stopped) = (Uuid::from_u128(0xAD), row(&world, 30).await);
    let of_user =
        format!("update scheduled_messages set user_id = '{user}' where id = '{stopped}'");
    run(&world.unseen, &of_user).await;
    let pause = format!(
        "insert into punctual.pauses (scope, what, until) values ('user', '{user}', now() + interval '10 minutes')"
    );
    run(&world.unseen, &pause).await;
    let end: chrono::DateTime<chrono::Utc> =
        one(&world.unseen, "select until from punctual.pauses").await;
    // While there is no other, the pause's end.
    assert_eq!(waits(&store, pace).await.at, Moment::from(end));
    let (next, later) = (row(&world, 20).await, row(&world, -60).await);
    let until = now(&store).await + Duration::from_secs(3_600);
    let load = async || {
        store
            .paces(Some(&[pace]), until)
            .await
            .unwrap()
            .remove(0)
            .at
    };
    assert!(load().await <= now(&store).await);
    assert_eq!(won(&store, pace).await.id.0, next);
    gap_passes(&world).await;
    let at: chrono::DateTime<chrono::Utc> = one(
        &world.unseen,
        &format!("select scheduled_at from scheduled_messages where id = '{later}'"),
    )
    .await;
    assert_eq!(load().await, Moment::from(at));
    run(&world.unseen, "update punctual.pauses set until = now()").await;
    assert_eq!(won(&store, pace).await.id.0, stopped);
}

#[tokio::test]
async fn the_messages_of_a_paused_campaign_are_not_looked_at() {
    let world = World::new().await;
    let (daemon, pace) = (world.daemon().await, paced(&world).await);
    row(&world, 20).await;
    let id = pace.0;
    let asks = [
        (
            "load",
            include_str!("../../src/store/path/sql/paces_load.sql"),
            "now() + interval '1 hour', null, null".to_owned(),
        ),
        (
            "claim",
            include_str!("../../src/store/path/sql/claim_paced.sql"),
            format!(
                "'{{{id}}}', array[gen_random_uuid()], gen_random_uuid(), 30000, 50000, null, 'UTC', false, 0,
                 '{{}}', '{{}}', '{{}}', null, null, 1000000, 0, '{{50000}}'"
            ),
        ),
    ];
    for (name, sql, _) in &asks {
        let sql = punctual::store::with_expressions(sql);
        run(&daemon, &format!("prepare {name} as {sql}")).await;
    }
    let pause =
        format!("insert into punctual.pauses (scope, what) values ('campaign', '{CAMPAIGN}')");
    run(&world.unseen, &pause).await;
    for (name, _, params) in &asks {
        let explain = format!("explain (analyze, costs off, timing off) execute {name}({params})");
        let plan = daemon.simple_query(&explain).await.unwrap();
        let lines = plan.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        let lines: Vec<String> = lines.collect();
        // By whatever index; the attempts of the claim are another table.
        let looks = lines
            .iter()
            .filter(|line| line.contains("scheduled_messages_"));
        let looks: Vec<_> = looks.collect();
        assert!(
            !looks.is_empty() && looks.iter().all(|line| line.contains("never executed")),
            "{name}: {}",
            lines.join("\n")
        );
    }
}

/// Other gaps follow the latest slot at once, so that no request is closer to it than the new shortest one, and a slot
/// that was far away comes nearer. No clock ran ahead.
#[tokio::test]
async fn other_gaps_follow_the_latest_slot() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    let next = async || -> Moment {
        let next: chrono::DateTime<chrono::Utc> =
            one(&world.unseen, "select next_at from punctual.paces").await;
        next.into()
    };
    let secs = Duration::from_secs;
    let before = next().await;
    // No slot is taken yet.
    let set = async |gaps| paces::set(&world.user, &campaign(), gaps, 1).await.unwrap();
    set((secs(20), secs(20))).await;
    assert_eq!(next().await, before);
    row(&world, 20).await;
    let claimed = won(&store, pace).await;
    let seed: i64 = one(&world.unseen, "select seed from punctual.paces").await;
    for gaps in [
        (secs(72_000), secs(72_000)),
        (secs(10), secs(10)),
        (secs(240), secs(420)),
    ] {
        set(gaps).await;
        assert_eq!(next().await, claimed.latest + gap(seed, 0, gaps));
        let ahead = store.correct_times_ahead(100).await.unwrap();
        assert_eq!(ahead.paces, 0);
    }
    // What waited for a long gap is not late by a short one.
    set((secs(10_800), secs(10_800))).await;
    let waited = "update punctual.paces set next_at = now() + interval '1 hour'";
    run(&world.unseen, waited).await;
    let before = now(&store).await;
    set((secs(300), secs(300))).await;
    assert!(next().await >= before);
}

/// A slot that no request used is returned after the gaps have changed: it is a new gap after the one before it.
#[tokio::test]
async fn a_slot_that_is_returned_follows_the_gap_that_holds_by_now() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    let next = async || -> Moment {
        let next: chrono::DateTime<chrono::Utc> =
            one(&world.unseen, "select next_at from punctual.paces").await;
        next.into()
    };
    let set = async |gap| {
        paces::set(&world.user, &campaign(), (gap, gap), 1)
            .await
            .unwrap();
    };
    for ago in [20, 10] {
        row(&world, ago).await;
    }
    let longer = GAP * 20;
    let release = async |claimed: PacedClaim<Claim>| {
        let over = Settlement::returned("its slot was over");
        recorded(&store, &[unbegun(&claimed.claim, over)]).await;
    };
    // Before the first slot of all there was no gap.
    let first = next().await;
    let claimed = won(&store, pace).await;
    set(longer).await;
    release(claimed).await;
    assert!(next().await <= first.max(now(&store).await));
    set(GAP).await;

    won(&store, pace).await;
    gap_passes(&world).await;
    let second = next().await;
    let claimed = won(&store, pace).await;
    set(longer).await;
    assert_eq!(next().await, claimed.next - GAP + longer);
    release(claimed).await;
    assert_eq!(next().await, second - GAP + longer);
    // One that began when its message was due, long after the gap, is moved as well: never to less than the new gap.
    set(GAP).await;
    let idle = "update punctual.paces set next_at = now() - interval '1 hour'";
    run(&world.unseen, idle).await;
    let claimed = won(&store, pace).await;
    let began: chrono::DateTime<chrono::Utc> =
        one(&world.unseen, "select slot from punctual.paces").await;
    set(longer).await;
    release(claimed).await;
    assert_eq!(next().await, Moment::from(began) - GAP + longer);
    // And a shorter one, which is not in the past.
    run(
        &world.unseen,
        "update punctual.paces set next_at = clock_timestamp() + interval '40 ms'",
    )
    .await;
    let second = next().await;
    let claimed = won(&store, pace).await;
    set(GAP).await;
    release(claimed).await;
    let returned = next().await;
    assert!(
        returned <= second && returned >= second - LEAD_MAX,
        "{returned}"
    );
}

#[tokio::test]
async fn the_pace_of_a_campaign_that_is_over_is_removed() {
    let world = World::new().await;
    let store = store(&world);
    paced(&world).await;
    let left = async || -> i64 { one(&world.unseen, "select count(*) from punctual.paces").await };
    let old = "update punctual.paces set next_at = now() - interval '1 day', at = now() - interval '1 day'";
    let hour_ago = now(&store).await - Duration::from_secs(3_600);
    // It is new; it has a message to send.
    store.forget_paces(hour_ago).await.unwrap();
    assert_eq!(left().await, 1);
    run(&world.unseen, old).await;
    let id = row(&world, -600).await;
    store.forget_paces(hour_ago).await.unwrap();
    assert_eq!(left().await, 1);
    run(
        &world.unseen,
        &format!("delete from scheduled_messages where id = '{id}'"),
    )
    .await;
    store.forget_paces(hour_ago).await.unwrap();
    assert_eq!(left().await, 0);
}

/// Nothing that waits for its pace is too late, armed or overdue; `send_before` counts through.
#[tokio::test]
async fn waiting_for_a_pace_is_not_lateness() {
    let world = World::new().await;
    let store = store(&world);
    let pace = paced(&world).await;
    let old = row(&world, 4 * 3_600).await;
    let short = row(&world, 4 * 3_600).await;
    let limit = format!("update scheduled_messages set send_before = now() where id = '{short}'");
    run(&world.unseen, &limit).await;
    run(
        &world.unseen,
        "update punctual.paces set next_at = now() + interval '1 hour'",
    )
    .await;
    assert_eq!(store.expire(LATE, None, 100).await.unwrap().len(), 1);
    assert_eq!(world.status(short).await, "cancelled");
    assert_eq!(loaded(&store, now(&store).await, LATE).await, []);
    assert_eq!(
        overdue(&store, &HealthLimits::default()).await,
        [0, 0, 1, 0]
    );
    let until = now(&store).await + LATE;
    let all = store.paces(None, until).await.unwrap();
    assert_eq!(all.iter().map(|due| due.id).collect::<Vec<_>>(), [pace]);
    // Its slot is overdue: nobody claims it.
    run(
        &world.unseen,
        "update punctual.paces set next_at = now() - interval '1 minute'",
    )
    .await;
    assert_eq!(
        overdue(&store, &HealthLimits::default()).await,
        [1, 0, 0, 0]
    );
    assert_eq!(won(&store, pace).await.id.0, old);

    // Without the pace it is late from its own time on.
    run(
        &world.unseen,
        "update scheduled_messages set status = 'pending' where status = 'sending'",
    )
    .await;
    assert!(paces::remove(&world.user, &campaign()).await.unwrap());
    assert!(!paces::remove(&world.user, &campaign()).await.unwrap());
    assert_eq!(store.expire(LATE, None, 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_of_a_pace_is_notified_and_a_claim_is_not() {
    let mut listening = Listening::new().await;
    for (sql, expected) in [
        (
            "insert into punctual.paces (what, gap_min, gap_max)
             values (' 00000000-0000-0000-0000-0000000000CD ', '1 s', '2 s')",
            &["paces"][..],
        ),
        ("update punctual.paces set gap_max = '3 s'", &["paces"]),
        (
            "update punctual.paces set next_at = now(), position = position + 1",
            &[],
        ),
        ("delete from punctual.paces", &["paces"]),
        ("truncate punctual.paces", &["paces"]),
    ] {
        assert_eq!(listening.said(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn what_is_no_pace_is_refused() {
    let world = World::new().await;
    for (what, min, max, why) in [
        ("summer", "1 s", "2 s", "a UUID"),
        (&*CAMPAIGN.to_string(), "0 s", "2 s", "longer than 0"),
        (&*CAMPAIGN.to_string(), "3 s", "2 s", "not shorter"),
        (&*CAMPAIGN.to_string(), "1 s", "2 days", "at most a day"),
    ] {
        let sql = format!(
            "insert into punctual.paces (what, gap_min, gap_max) values ('{what}', '{min}', '{max}')"
        );
        let refused = world.user.batch_execute(&sql).await.unwrap_err();
        assert!(said(&refused).contains(why), "{sql}: {}", said(&refused));
    }
}
