//! What is held after a restore, looked for on the provider's list by a daemon that runs.
//!
//! A hold is minutes old before a miss counts. It is in the journal, so that one is written here
//! as a daemon of a while ago would have left it.

use std::time::Duration;

use punctual::journal::{Journal, StateDir};
use punctual::message::{DatabaseId, InstanceId, Moment};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::restore::{Backup, holds};
use crate::twilio::{Habits, Twilio};
use crate::world::{ACCOUNT, AUTH_TOKEN, World, called};

const MINUTE: Duration = Duration::from_secs(60);

/// A world that has forgotten what it sent.
struct Case {
    world: World,
    twilio: Twilio,
    dir: TempDir,
}

impl Case {
    async fn new(list_lag: Duration) -> Self {
        let habits = Habits {
            list_lag,
            ..Habits::default()
        };
        let twilio = Twilio::start(ACCOUNT, AUTH_TOKEN, habits).await;
        let mut world = World::new([]).await;
        set(&mut world.env, "TWILIO_API_BASE_URL", &twilio.url());
        let dir = tempfile::tempdir().unwrap();
        Self { world, twilio, dir }
    }

    /// From here on daemons keep a journal, in which this hold began so long ago.
    async fn holds_since(&mut self, ago: Duration) {
        let path = self.dir.path();
        let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
        let now = self.world.app.query_one(sql, &[]).await.unwrap().get(0);
        let before = Moment::from_micros(now) - ago;
        let sql = "select system_identifier, current_database()::text from pg_control_system()";
        let row = self.world.app.query_one(sql, &[]).await.unwrap();
        let database = DatabaseId {
            system: row.get(0),
            timeline: 1,
            database: 0,
        };
        let state_dir = StateDir::open(path).unwrap();
        let slot = state_dir
            .take_slot(Some(database), "localhost:5432", row.get(1))
            .unwrap();
        Journal::begin(slot, InstanceId::fresh(), None, Some(before)).unwrap();
        let state = path.to_str().unwrap();
        set(&mut self.world.env, "PUNCTUAL_STATE_DIR", state);
    }

    /// Rows with these texts that are sent by a daemon without a journal; none that the database
    /// or anybody but the provider knows of.
    async fn sent_and_forgotten(&self, texts: &[&str]) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for text in texts {
            ids.push(self.world.insert(text, 300).await);
        }
        let daemon = self.world.daemon().await;
        for id in &ids {
            self.world.becomes(*id, "sent").await;
        }
        daemon.stop().await;
        let forget = "set session_replication_role = replica;
             delete from punctual.attempts; delete from messages;
             update scheduled_messages set status = 'pending', sent_at = null, twilio_sid = null,
                    attempts = 0, scheduled_at = now() - interval '20 min',
                    created_at = now() - interval '1 h';
             set session_replication_role = origin";
        self.world.app.batch_execute(forget).await.unwrap();
        ids
    }

    /// A row that nobody sent, as old as those.
    async fn overdue(&self, text: &str) -> Uuid {
        let id = self.world.insert(text, -20 * 60_000).await;
        let older =
            "update scheduled_messages set created_at = now() - interval '1 h' where id = $1";
        self.world.app.execute(older, &[&id]).await.unwrap();
        id
    }

    /// How often texts went out.
    fn went_out(&self, text: &str) -> usize {
        self.twilio.book().text(text).sids.len()
    }

    async fn sent_once(&self, id: Uuid, text: &str) {
        let row = self.world.becomes(id, "sent").await;
        assert_eq!(self.went_out(text), 1, "{text}");
        assert_eq!(row.sid, self.twilio.book().text(text).sids.first().cloned());
    }

    /// That it is held is shown wherever somebody may look.
    async fn shows(&self, daemon: &Daemon, id: Uuid) {
        let (status, body) = daemon.get("/readyz").await.unwrap();
        assert_eq!(status, 200);
        assert!(
            body.starts_with("ready\n") && body.contains("are in quarantine"),
            "{body}"
        );
        let report = daemon.timers("limit=1").await;
        assert_eq!(report["restore"]["held"], 2, "{report}");
        let (_, body) = daemon.answer(&format!("/debug/messages/{id}")).await;
        let story: Value = serde_json::from_str(&body).unwrap();
        let mut env = self.world.env.clone();
        set(&mut env, "PUNCTUAL_HTTP_ADDR", daemon.addr());
        let (_, said, _) = called(&["why", &id.to_string()], &env).await;
        let next = story["next"].as_str().unwrap();
        for words in ["in quarantine", "ambiguous match", "punctual cancel"] {
            assert!(
                next.contains(words) && said.contains(words),
                "{story}\n{said}"
            );
        }
        assert!(story["hold"]["before"].is_string(), "{story}");
    }

    async fn pending(&self, ids: &[Uuid]) {
        for id in ids {
            assert_eq!(self.world.row(*id).await.unwrap().status, "pending");
        }
    }
}

#[tokio::test]
async fn the_list_shows_what_was_sent_and_what_was_not_and_the_rest_stays_held() {
    let mut case = Case::new(Duration::ZERO).await;
    let ids = case
        .sent_and_forgotten(&["sent and forgotten", "twin"])
        .await;
    let twins = [ids[1], case.overdue("twin").await];
    let unsent = case.overdue("never sent").await;
    case.world
        .app
        .execute(
            "update scheduled_messages set to_number = '+13105550199' where id = $1",
            &[&unsent],
        )
        .await
        .unwrap();
    case.holds_since(MINUTE * 16).await;

    let mut daemon = case.world.daemon().await;
    case.sent_once(ids[0], "sent and forgotten").await;
    case.sent_once(unsent, "never sent").await;
    daemon
        .says("2: ambiguous match with the listed messages")
        .await;
    assert!(holds(&daemon).await);
    case.pending(&twins).await;
    case.shows(&daemon, twins[0]).await;
    // What is due after the hold goes on, and what was written after it goes.
    let later = case.world.insert("due later", 300).await;
    case.sent_once(later, "due later").await;
    let fresh = case.world.insert("due before, and new", -17 * 60_000).await;
    case.sent_once(fresh, "due before, and new").await;
    case.pending(&twins).await;

    // A person settles the rest, a row at a time; a daemon that dies has nothing to forget.
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    let sql = "update scheduled_messages set status = $2 where id = $1";
    let app = &case.world.app;
    assert_eq!(app.execute(sql, &[&twins[0], &"sent"]).await.unwrap(), 1);
    let sql = "update scheduled_messages set scheduled_at = now() where id = $1";
    assert_eq!(app.execute(sql, &[&twins[1]]).await.unwrap(), 1);
    let mut daemon = case.world.daemon().await;
    case.world.becomes(twins[1], "sent").await;
    daemon.says("quarantine ended").await;
    until("nothing is held", async || {
        (!holds(&daemon).await).then_some(())
    })
    .await;
    daemon.stop().await;
    assert_eq!(case.went_out("twin"), 2);
    for text in ["sent and forgotten", "never sent"] {
        assert_eq!(case.went_out(text), 1, "{text}");
    }
}

#[tokio::test]
async fn a_list_that_lags_a_crash_and_a_second_restore_let_nothing_go() {
    let mut case = Case::new(MINUTE * 60).await;
    let sent = case.sent_and_forgotten(&["sent, and not listed yet"]).await;
    case.holds_since(MINUTE * 14).await;
    let mut daemon = case.world.daemon().await;
    daemon.says("1: not listed").await;
    let backup = Backup::of(&mut case.world).await;
    backup.restore(&mut case.world).await;
    daemon.says("the database was restored or replaced").await;
    daemon.ready().await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    case.pending(&sent).await;

    let mut daemon = case.world.daemon().await;
    daemon.says("1: not listed").await;
    case.pending(&sent).await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    case.twilio.habits(Habits::default());
    let mut daemon = case.world.daemon().await;
    case.sent_once(sent[0], "sent, and not listed yet").await;
    daemon.says("quarantine ended").await;
    daemon.stop().await;
    assert_eq!(case.went_out("sent, and not listed yet"), 1);
}
