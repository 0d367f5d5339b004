//! Programs of versions before on the schema of this one. The one before works beside this one; an older one claims
//! nothing, which the others know, until the record of the schema says that it may.

use std::time::Duration;

use punctual::forecast::{PublishedRules, PublishedState};
use punctual::message::{ClaimResponse, InstanceId, ProviderCapabilities, RowState};
use punctual::policy::{CostCaps, Costs, LawfulHours, Rules};
use punctual::schedule::Ranking;
use punctual::settle::Settlement;
use punctual::store::connect::prepare_session;
use punctual::store::migrate::{
    KNOWS_BURSTS, KNOWS_CAMPAIGNS, KNOWS_CAPS, KNOWS_FORGOTTEN, KNOWS_LAWFUL_HOURS, KNOWS_MEDIA,
    KNOWS_RATES, PROGRAM,
};
use punctual::store::{Migrator, Store, doctor};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::live_app::{role, session_as};
use crate::ours::{accepted, claim, record, recorded, store, won};
use crate::rows::{World, one, run, said};

/// The statements of an older program, as Postgres got them: a name in a comment before each.
const STATEMENTS: &str = include_str!("landed/statements.sql");

/// Those of the programs before this one that may claim, with their numbers.
const STATEMENTS_BEFORE: [(i32, &str); 2] = [
    (2, include_str!("landed/statements_2.sql")),
    (3, include_str!("landed/statements_3.sql")),
];

fn statements(of: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    of.split("-- name: ")
        .skip(1)
        .map(|part| part.split_once('\n').unwrap())
}

/// A session of the older program, with its statements.
async fn old_session(world: &World) -> Client {
    let old = world.db.client().await;
    prepare_session(&old).await.unwrap();
    // It did not say its number.
    run(&old, "reset punctual.program").await;
    prepare_all(&old, STATEMENTS).await;
    old
}

async fn prepare_all(session: &Client, of: &'static str) {
    for (name, sql) in statements(of) {
        run(session, &format!("prepare {name} as {sql}")).await;
    }
}

fn old_claim(id: Uuid, token: Uuid, instance: Uuid) -> String {
    format!(
        "execute path_claim(array['{id}'::uuid], array['{token}'::uuid], '{instance}', 30000, 50000, '+15005550006', \
                            'UTC', false)"
    )
}

fn old_record(id: Uuid, token: Uuid) -> String {
    format!(
        "execute path_record_accepted(array['{id}'::uuid], array['{token}'::uuid], array['SM1'], array[now()],
                                      array[now()], 60000, array['hello'], array['+15005550006'], array['+13105550100'],
                                      array[null::bigint])"
    )
}

/// A daemon of the program before this one, statement by statement.
struct Before {
    session: Client,
    instance: Uuid,
}

impl Before {
    /// It starts, and has made a heartbeat.
    async fn start(world: &World, (program, statements): (i32, &'static str)) -> Self {
        let session = world.db.client().await;
        prepare_session(&session).await.unwrap();
        run(&session, &format!("set punctual.program = '{program}'")).await;
        prepare_all(&session, statements).await;
        let before = Self {
            session,
            instance: Uuid::new_v4(),
        };
        let id = before.instance;
        before
            .does(&format!("ledger_instance_start('{id}', '0.1.0')"))
            .await;
        before
            .does(&format!(
                "ledger_instance_beat('{id}', 1, 0, '{{}}', '{{}}')"
            ))
            .await;
        before
    }

    /// How many rows the statement returns.
    async fn does(&self, call: &str) -> usize {
        let rows = self.session.query(&format!("execute {call}"), &[]).await;
        rows.unwrap_or_else(|e| panic!("{call}: {}", said(&e)))
            .len()
    }

    /// Whether it wins the message.
    async fn claims(&self, id: Uuid) -> Option<Uuid> {
        let (token, instance) = (Uuid::new_v4(), self.instance);
        let call = format!(
            "path_claim(array['{id}'::uuid], array['{token}'::uuid], '{instance}', 30000, 50000, '+15005550006', 'UTC',
                        false, 1, '{{}}', '{{}}')"
        );
        let rows = self.does(&call).await;
        (rows > 0).then_some(token)
    }

    async fn records_accepted(&self, id: Uuid, token: Uuid) {
        let call = format!(
            "path_record_accepted(array['{id}'::uuid], array['{token}'::uuid], array['SM{}'], array[now()], array[now()],
                                  60000, array['hello'], array['+15005550006'], array['+13105550100'],
                                  array[null::bigint], array[0::smallint], array[1::smallint], array[null::bigint])",
            token.simple()
        );
        self.does(&call).await;
    }

    /// It is to be tried again in a minute.
    async fn records_refused(&self, id: Uuid, token: Uuid) {
        let call = format!(
            "path_record_settled(array['{id}'::uuid], array['{token}'::uuid], array['pending'], array['refused'],
                                 array[30003], array['unreachable'], array['not now'], array[60000000::bigint],
                                 array[true], array[now()], array[now()], array[null::timestamptz], 1000,
                                 array['+13105550100'], array['+15005550006'], array[null::bytea], array['hello'])"
        );
        self.does(&call).await;
    }

    /// How many instances it knows of.
    async fn members(&self) -> usize {
        self.does("ledger_members(20000, 10)").await
    }
}

/// Its last heartbeat was an hour ago, and its leases are over.
async fn dies(world: &World, instance: Uuid) {
    let sql = format!(
        "update punctual.instances set heartbeat_at = now() - interval '1 h' where id = '{instance}';
         update punctual.attempts set lease_until = now() - interval '1 s' where instance = '{instance}'"
    );
    run(&world.unseen, &sql).await;
}

/// It has been up for long enough to say that others are silent.
async fn has_been_up(world: &World, instance: Uuid) {
    let sql = format!(
        "update punctual.instances set started_at = now() - interval '1 h' where id = '{instance}'"
    );
    run(&world.unseen, &sql).await;
}

/// As in a rolling update, and in the one back.
#[tokio::test]
async fn the_programs_before_work_beside_this_one_and_start_again() {
    for program in STATEMENTS_BEFORE {
        works_beside_this_one_and_starts_again(program).await;
    }
}

async fn works_beside_this_one_and_starts_again(program: (i32, &'static str)) {
    let world = World::new().await;
    let before = Before::start(&world, program).await;
    let store = store(&world);
    store.instance_start("notify").await.unwrap();
    let ranking = store.members(Duration::from_secs(20)).await.unwrap();
    assert!(!ranking.is_alone());
    assert_eq!(store.outdated_instances(), 0);
    assert_eq!(before.members().await, 2);

    // What one has claimed, the other does not win; each records its own.
    let (one, other) = (world.row("pending").await, world.row("pending").await);
    let token = before.claims(one).await.unwrap();
    let lost = claim(&store, &[one]).await.remove(0);
    assert!(matches!(lost, ClaimResponse::Lost(_)), "{lost:?}");
    let own = won(&store, &[other]).await.remove(0);
    assert_eq!(before.claims(other).await, None);
    before.records_accepted(one, token).await;
    assert_eq!(recorded(&store, &[accepted(&own)]).await, 1);
    for id in [one, other] {
        assert_eq!(world.status(id).await, "sent");
    }

    // What one puts off, the other sends.
    let at_once = "update scheduled_messages set next_attempt_at = null where status = 'pending'";
    let later = world.row("pending").await;
    let token = before.claims(later).await.unwrap();
    before.records_refused(later, token).await;
    let lost = claim(&store, &[later]).await.remove(0);
    assert!(
        matches!(lost, ClaimResponse::Lost(RowState::Pending { .. })),
        "{lost:?}"
    );
    run(&world.unseen, at_once).await;
    let own = won(&store, &[later]).await.remove(0);
    let released = record(&own, Settlement::returned("the daemon is shutting down"));
    assert_eq!(recorded(&store, &[released]).await, 1);
    run(&world.unseen, at_once).await;
    let token = before.claims(later).await.unwrap();
    before.records_accepted(later, token).await;
    assert_eq!(world.status(later).await, "sent");

    // What one leaves behind when it is killed, the other reaps; and the program before starts again, and does so too.
    let up = "clock_timestamp() - pg_postmaster_start_time() > interval '200 ms'";
    crate::rows::until(&world.unseen, up).await;
    let left = world.row("pending").await;
    before.claims(left).await.unwrap();
    dies(&world, before.instance).await;
    has_been_up(&world, store.instance().0).await;
    let silence = Duration::from_millis(100);
    assert_eq!(store.reap(silence, 10).await.unwrap(), 1);
    drop(before);

    let again = Before::start(&world, program).await;
    assert_eq!(again.members().await, 2);
    let behind = world.row("pending").await;
    won(&store, &[behind]).await;
    dies(&world, store.instance().0).await;
    has_been_up(&world, again.instance).await;
    again
        .does(&format!("ledger_reap('{}', 100, 10)", again.instance))
        .await;
    for id in [left, behind] {
        assert_eq!(world.status(id).await, "unconfirmed");
    }
    let latest = world.row("pending").await;
    let token = again.claims(latest).await.unwrap();
    again.records_accepted(latest, token).await;
    assert_eq!(world.status(latest).await, "sent");
    let stop = format!("ledger_instance_stop('{}')", again.instance);
    again.does(&stop).await;
    assert_eq!(again.members().await, 0);
}

/// It knows no pause and no pace, and would send what must wait.
#[tokio::test]
async fn an_older_daemon_claims_nothing_and_records_what_it_has_sent() {
    let world = World::new().await;
    let old = old_session(&world).await;
    let (instance, token) = (Uuid::new_v4(), Uuid::new_v4());
    run(
        &old,
        &format!("execute ledger_instance_start('{instance}', '0.1.0')"),
    )
    .await;
    run(&old, &format!("execute ledger_instance_beat('{instance}')")).await;
    let id = world.row("pending").await;
    let refused = old.batch_execute(&old_claim(id, token, instance)).await;
    let refused = refused.unwrap_err();
    let said = refused.as_db_error().unwrap();
    // The daemon of that version logs the code and the name of the function, and no words.
    assert_eq!(said.code().code(), "PU003");
    assert!(
        said.where_().unwrap().contains("this_program_is_too_old"),
        "{said:?}"
    );
    assert_eq!(world.status(id).await, "pending");

    // The others see it, and wait for no turn of it.
    let store = Store::new(world.db.dsn().pool(1), InstanceId(Uuid::new_v4()));
    store.instance_start("notify").await.unwrap();
    let ranking = store.members(Duration::from_secs(20)).await.unwrap();
    assert!(ranking.is_alone());
    assert_eq!(store.outdated_instances(), 1);
    let members = [InstanceId(instance), store.instance()];
    assert_ne!(ranking, Ranking::new(store.instance(), members));

    // What it claimed before the schema was migrated it had sent: it records that.
    let sending = world.row("sending").await;
    let ledger = format!(
        "insert into punctual.attempts (token, message_id, number, instance, lease_until)
         values ('{token}', '{sending}', 1, '{instance}', now() + interval '1 minute')"
    );
    run(&world.unseen, &ledger).await;
    run(&old, &old_record(sending, token)).await;
    assert_eq!(world.status(sending).await, "sent");
    let stop =
        format!("execute ledger_members(20000, 10); execute ledger_instance_stop('{instance}')");
    run(&old, &stop).await;
    store.members(Duration::from_secs(20)).await.unwrap();
    assert_eq!(store.outdated_instances(), 0);
}

/// Whoever goes back a version says so in the record; then its statements are understood, and send a message.
#[tokio::test]
async fn an_older_one_sends_again_once_the_schema_says_that_it_may() {
    let world = World::new().await;
    let back = "update punctual.migrations set oldest_program = 1 where oldest_program > 1";
    run(&world.unseen, back).await;
    let old = old_session(&world).await;
    let (instance, token) = (Uuid::new_v4(), Uuid::new_v4());
    let id = world.row("pending").await;
    run(
        &old,
        &format!("execute ledger_instance_start('{instance}', '0.1.0')"),
    )
    .await;
    run(&old, &old_claim(id, token, instance)).await;
    assert_eq!(world.status(id).await, "sending");
    run(&old, &old_record(id, token)).await;
    assert_eq!(world.status(id).await, "sent");
}

/// What the oldest program that may claim has to know: pauses, paces and parts.
const OLDEST: i32 = 2;

#[tokio::test]
async fn the_version_before_may_claim_and_older_ones_may_not() {
    let world = World::new().await;
    let oldest = "select max(oldest_program) from punctual.migrations";
    assert_eq!(one::<i32>(&world.unseen, oldest).await, OLDEST);
    const { assert!(OLDEST <= PROGRAM) };
    let session = world.db.client().await;
    prepare_session(&session).await.unwrap();
    let insert = "insert into punctual.attempts (token, message_id, number, instance, lease_until)
                  values (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now())";
    for program in [OLDEST, PROGRAM] {
        run(
            &session,
            &format!("set punctual.program = '{program}'; {insert}"),
        )
        .await;
    }
    let older = format!("set punctual.program = '{}'; {insert}", OLDEST - 1);
    let refused = session.batch_execute(&older).await.unwrap_err();
    let state = refused.code().map(tokio_postgres::error::SqlState::code);
    assert_eq!(state, Some("PU003"));
}

/// It would send the text alone.
#[tokio::test]
async fn a_program_that_knows_no_media_is_refused_a_message_that_has_some_and_claims_others() {
    let world = World::new().await;
    let (with, without) = (world.row("pending").await, world.row("pending").await);
    let media = format!(
        "update scheduled_messages set media_urls = '{{https://a.example/1.png}}' where id = '{with}'"
    );
    run(&world.unseen, &media).await;
    let session = world.db.client().await;
    prepare_session(&session).await.unwrap();
    let claim = |id: Uuid| {
        format!(
            "insert into punctual.attempts (token, message_id, number, instance, lease_until)
             values (gen_random_uuid(), '{id}', 1, gen_random_uuid(), now())"
        )
    };
    let older = format!("set punctual.program = '{}'", KNOWS_MEDIA - 1);
    run(&session, &older).await;
    run(&session, &claim(without)).await;
    let refused = session.batch_execute(&claim(with)).await.unwrap_err();
    let state = refused.code().map(tokio_postgres::error::SqlState::code);
    assert_eq!(state, Some("P0001"));
    let own = format!("set punctual.program = '{KNOWS_MEDIA}'");
    run(&session, &own).await;
    run(&session, &claim(with)).await;
}

/// It would send what is late outside of its hours.
#[tokio::test]
async fn a_program_that_knows_no_campaigns_claims_nothing_while_one_is_scheduled() {
    let world = World::new().await;
    let session = world.db.client().await;
    prepare_session(&session).await.unwrap();
    let older = format!("set punctual.program = '{}'", KNOWS_CAMPAIGNS - 1);
    run(&session, &older).await;
    let made = "insert into punctual.campaigns (name, timezone, hours, open_from, open_until, gap_min, gap_max, skip_per_mille,
                                                skip_min, skip_max, seed)
                values ('spring', 'UTC', 'mon-fri 09:00-20:00', '{0}', '{1}', '4 min', '7 min', 0, '0', '0', 7)";
    run(&world.unseen, made).await;
    let claim = "insert into punctual.attempts (token, message_id, number, instance, lease_until)
                 values (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now())";
    run(&session, claim).await;
    run(
        &world.unseen,
        "update punctual.campaigns set state = 'scheduled'",
    )
    .await;
    let refused = session.batch_execute(claim).await.unwrap_err();
    let state = refused.code().map(tokio_postgres::error::SqlState::code);
    assert_eq!(state, Some("PU003"));
    let own = format!("set punctual.program = '{KNOWS_CAMPAIGNS}'; {claim}");
    run(&session, &own).await;
}

/// It would send at any hour.
#[tokio::test]
async fn a_program_that_knows_no_lawful_hours_claims_nothing_where_they_are_kept() {
    let world = World::new().await;
    let session = world.db.client().await;
    prepare_session(&session).await.unwrap();
    let older = format!("set punctual.program = '{}'", KNOWS_LAWFUL_HOURS - 1);
    run(&session, &older).await;
    let claim = "insert into punctual.attempts (token, message_id, number, instance, lease_until)
                 values (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now())";
    let store = Store::new(world.db.dsn().pool(1), InstanceId(Uuid::new_v4()));
    let mut rules = Rules::default();
    store.keep_settings(&rules).await.unwrap();
    run(&session, claim).await;
    rules.lawful = Some(LawfulHours::builtin());
    store.keep_settings(&rules).await.unwrap();
    let refused = session.batch_execute(claim).await.unwrap_err();
    let state = refused.code().map(tokio_postgres::error::SqlState::code);
    assert_eq!(state, Some("PU003"));
    let own = format!("set punctual.program = '{KNOWS_LAWFUL_HOURS}'; {claim}");
    run(&session, &own).await;
    // The others know it, and say so.
    let beside = format!(
        "insert into punctual.instances (id, version, program) values (gen_random_uuid(), '0.1.0', {})",
        KNOWS_LAWFUL_HOURS - 1
    );
    run(&world.unseen, &beside).await;
    store.instance_start("notify").await.unwrap();
    let members = store.members(Duration::from_secs(20)).await.unwrap();
    assert!(members.is_alone());
    assert_eq!(store.outdated_instances(), 1);
}

/// It would not find the opt-outs that are kept as a hash.
#[tokio::test]
async fn once_an_opt_out_was_forgotten_an_older_daemon_claims_nothing() {
    let world = World::new().await;
    let opt_out =
        "insert into punctual.suppressions (their_number, reason) values ('+13105550199', 'STOP');
                   select punctual.forget('+13105550199')";
    run(&world.unseen, opt_out).await;
    let session = world.db.client().await;
    prepare_session(&session).await.unwrap();
    let insert = "insert into punctual.attempts (token, message_id, number, instance, lease_until)
                  values (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now())";
    run(&session, insert).await;
    let older = format!("set punctual.program = '{}'; {insert}", KNOWS_FORGOTTEN - 1);
    let refused = session.batch_execute(&older).await.unwrap_err();
    let state = refused.code().map(tokio_postgres::error::SqlState::code);
    assert_eq!(state, Some("PU003"));
    // The others know that it has no turn.
    let instance = Uuid::new_v4();
    let beside = format!(
        "insert into punctual.instances (id, version, program) values ('{instance}', '0.1.0', {})",
        KNOWS_FORGOTTEN - 1
    );
    run(&world.unseen, &beside).await;
    let store = Store::new(world.db.dsn().pool(1), InstanceId(Uuid::new_v4()));
    store.instance_start("notify").await.unwrap();
    let members = store.members(Duration::from_secs(20)).await.unwrap();
    assert!(members.is_alone());
    assert_eq!(store.outdated_instances(), 1);
}

/// It would send the texts of that sender as fast as it can.
#[tokio::test]
async fn a_program_that_knows_no_rates_claims_nothing_while_a_sender_has_one() {
    let world = World::new().await;
    let session = world.db.client().await;
    prepare_session(&session).await.unwrap();
    let set = "insert into punctual.paces (scope, what, gap_min, gap_max) values ('sender', '+15005550009', '1 s', '1 s')";
    run(&world.unseen, set).await;
    let claim = "insert into punctual.attempts (token, message_id, number, instance, lease_until)
                 values (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now())";
    let older = format!("set punctual.program = '{}'", KNOWS_RATES - 1);
    run(&session, &older).await;
    let refused = session.batch_execute(claim).await.unwrap_err();
    let state = refused.code().map(tokio_postgres::error::SqlState::code);
    assert_eq!(state, Some("PU003"));
    let instance = Uuid::new_v4();
    run(
        &session,
        &format!("insert into punctual.instances (id, version) values ('{instance}', '0.1.0')"),
    )
    .await;
    let store = Store::new(world.db.dsn().pool(1), InstanceId(Uuid::new_v4()));
    store.instance_start("notify").await.unwrap();
    assert!(
        store
            .members(Duration::from_secs(20))
            .await
            .unwrap()
            .is_alone()
    );
    assert_eq!(store.outdated_instances(), 1);
    run(
        &session,
        &format!("set punctual.program = '{KNOWS_RATES}'; {claim}"),
    )
    .await;

    // Without the rate it goes on.
    run(&world.unseen, "delete from punctual.paces").await;
    run(&session, &format!("{older}; {claim}")).await;
    assert!(
        !store
            .members(Duration::from_secs(20))
            .await
            .unwrap()
            .is_alone()
    );
}

/// It would send what is to wait. Its role has the rights that it was granted by its own version.
#[tokio::test]
async fn a_program_that_knows_no_bounds_claims_nothing_where_there_is_one() {
    let world = World::new().await;
    role(&world.db, "bounded", "").await;
    Migrator::embedded()
        .grant(world.db.dsn(), "bounded")
        .await
        .unwrap();
    run(&world.unseen, "revoke all on punctual.bursts from bounded").await;
    let session = session_as(&world.db, "bounded").await;
    prepare_session(&session).await.unwrap();
    let claim = "insert into punctual.attempts (token, message_id, number, instance, lease_until)
                 values (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now())";
    let store = Store::new(world.db.dsn().pool(1), InstanceId(Uuid::new_v4()));
    // Whether programs before these claim.
    let claims = async |rules: &Rules| {
        store.keep_settings(rules).await.unwrap();
        let mut may = Vec::new();
        for program in [KNOWS_CAPS, KNOWS_BURSTS] {
            run(
                &session,
                &format!("set punctual.program = '{}'", program - 1),
            )
            .await;
            let refused = session.batch_execute(claim).await.err();
            let state = refused.map(|error| error.code().unwrap().code().to_owned());
            assert!(
                state.as_deref().is_none_or(|state| state == "PU003"),
                "{state:?}"
            );
            may.push(state.is_none());
        }
        may
    };
    let priced = |cap: Option<&str>| Costs {
        prices: "other = 0.1".parse().unwrap(),
        currency: "USD".into(),
        caps: CostCaps {
            user: cap.map(|cap| cap.parse().unwrap()),
            ..CostCaps::default()
        },
    };
    let mut rules = Rules::default();
    assert_eq!(claims(&rules).await, [true, true]);
    rules.costs = Some(std::sync::Arc::new(priced(None)));
    assert_eq!(
        claims(&rules).await,
        [true, true],
        "prices alone bound nothing"
    );
    rules.costs = Some(std::sync::Arc::new(priced(Some("1"))));
    assert_eq!(claims(&rules).await, [false, true]);
    rules.burst = Some("100 in 1h".parse().unwrap());
    assert_eq!(claims(&rules).await, [false, false]);
    rules = Rules::default();
    assert_eq!(claims(&rules).await, [true, true]);
    let held = "insert into punctual.pauses (scope, what) values ('text', '0123456789abcdef')";
    run(&world.unseen, held).await;
    assert_eq!(claims(&rules).await, [false, false]);
    let own = format!("set punctual.program = '{KNOWS_BURSTS}'; {claim}");
    run(&session, &own).await;
}

#[tokio::test]
async fn doctor_finds_daemons_that_guard_differently() {
    let world = World::new().await;
    let found = async || {
        let all = doctor::instances(&world.unseen, None, None).await;
        let guards = all.iter().find(|one| one.what == "guard settings").unwrap();
        format!("{:?}", guards.level)
    };
    let beside = |rules: &Rules| {
        let state = PublishedState {
            rules: PublishedRules::of(rules, &ProviderCapabilities::default()),
            ..PublishedState::default()
        };
        let state = serde_json::to_string(&state).unwrap();
        format!(
            "insert into punctual.instances (id, version, program, state) values (gen_random_uuid(), 'x', {PROGRAM}, '{state}')"
        )
    };
    let mut rules = Rules::default();
    run(&world.unseen, &beside(&rules)).await;
    run(&world.unseen, &beside(&rules)).await;
    assert_eq!(found().await, "Ok");
    rules.burst = Some("100 in 1h".parse().unwrap());
    run(&world.unseen, &beside(&rules)).await;
    assert_eq!(found().await, "Bad");
}
