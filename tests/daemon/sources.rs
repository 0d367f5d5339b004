//! A table of the app's with other names, its rows sent by a whole daemon.

use std::path::Path;

use rustix::process::Signal;

use crate::daemon::until;
use crate::world::{World, called, environment, url};

const TABLE: &str = "
  create table reminders (id bigint generated always as identity primary key, phone text, words text, at timestamptz,
                          stage text not null default 'waiting', note text);
  insert into reminders (phone, words, at) values ('+13105551234', 'was there before', now() + interval '300 ms')";

const SETTINGS: &str = "
[[source]]
name = 'reminders'
table = 'reminders'
[source.columns]
key = 'id'
time = 'at'
body = 'words'
number = 'phone'
status = 'stage'
error = 'note'
[source.words]
pending = ['waiting']
claimed = ['taken']
sent = 'gone'
failed = 'bad'
cancelled = 'stopped'
unconfirmed = 'unsure'
";

/// Inserts a row that is due so many milliseconds from now.
async fn remind(world: &World, words: &str, in_ms: f64) {
    let sql = "insert into reminders (phone, words, at)
               values ('+13105551234', $1, clock_timestamp() + $2 * interval '1 ms')";
    world.app.execute(sql, &[&words, &in_ms]).await.unwrap();
}

/// Waits until the row has this word.
async fn is(world: &World, words: &str, stage: &str) {
    let sql = "select stage from reminders where words = $1";
    until(&format!("{words}: {stage}"), async || {
        let row = world.app.query_one(sql, &[&words]).await.unwrap();
        (row.get::<_, String>(0) == stage).then_some(())
    })
    .await;
}

/// A world whose settings have the source, and the environment of the owner of its tables.
async fn described(home: &Path) -> (World, Vec<(String, String)>) {
    let world = World::new([]).await;
    world.app.batch_execute(TABLE).await.unwrap();
    let file = home.join("punctual.toml");
    std::fs::write(&file, SETTINGS).unwrap();
    let file = file.to_str().unwrap();
    let mut owner = environment(&url(&world.app).await, &world.phone.url());
    owner.push(("PUNCTUAL_CONFIG".to_owned(), file.to_owned()));
    (world.with(&[("PUNCTUAL_CONFIG", file)]), owner)
}

#[tokio::test]
async fn its_rows_are_sent_and_what_became_of_them_is_written_to_them() {
    let home = tempfile::tempdir().unwrap();
    let (world, owner) = described(home.path()).await;
    let (code, _, said) = world.call(&["run"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the source reminders is not followed"),
        "{said}"
    );
    let (code, out, said) = called(&["migrate"], &owner).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        out,
        "follows the source reminders: 1 rows that were there before\n"
    );

    let daemon = world.daemon().await;
    is(&world, "was there before", "gone").await;
    remind(&world, "never", 1_000.0).await;
    remind(&world, "moved", 3_600_000.0).await;
    let changes = "update reminders set stage = 'stopped' where words = 'never';
                   update reminders set at = clock_timestamp() + interval '300 ms' where words = 'moved'";
    world.app.batch_execute(changes).await.unwrap();
    is(&world, "moved", "gone").await;
    let unsendable =
        "insert into reminders (phone, words, at) values ('nobody', 'unsendable', now())";
    world.app.batch_execute(unsendable).await.unwrap();
    is(&world, "unsendable", "bad").await;
    // After the time of the one that is stopped.
    remind(&world, "the last", 1_500.0).await;
    is(&world, "the last", "gone").await;
    assert!(world.requests("never").is_empty());
    for words in ["was there before", "moved", "the last"] {
        assert_eq!(world.requests(words).len(), 1, "{words}");
    }

    let (code, _, said) = called(&["migrate", "--unfollow", "reminders"], &owner).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("remove its [[source]]"), "{said}");
    std::fs::write(home.path().join("punctual.toml"), "").unwrap();
    remind(&world, "never either", 3_600_000.0).await;
    let (code, out, said) = called(&["migrate", "--unfollow", "reminders"], &owner).await;
    assert_eq!(code, Some(0), "{out}{said}");
    let pending = "select count(*) from scheduled_messages where status = 'pending'";
    let pending: i64 = world.app.query_one(pending, &[]).await.unwrap().get(0);
    assert_eq!(pending, 0);
    daemon.stop().await;
}

#[tokio::test]
async fn an_outcome_that_a_killed_daemon_has_recorded_is_written_by_the_next_and_nothing_is_sent_twice()
 {
    let home = tempfile::tempdir().unwrap();
    let (world, owner) = described(home.path()).await;
    let (code, _, said) = called(&["migrate"], &owner).await;
    assert_eq!(code, Some(0), "{said}");
    // The app has the row locked, so its outcome waits.
    let holder = world.db.client().await;
    let lock = "begin; select from reminders for update";
    holder.batch_execute(lock).await.unwrap();
    let mut daemon = world.daemon().await;
    let sent = "select count(*) from scheduled_messages where status = 'sent'";
    until("it is recorded", async || {
        let row = world.app.query_one(sent, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    is(&world, "was there before", "waiting").await;
    holder.batch_execute("commit").await.unwrap();
    let daemon = world.daemon().await;
    is(&world, "was there before", "gone").await;
    assert_eq!(world.requests("was there before").len(), 1);
    daemon.stop().await;
}

/// What the guide shows, in a block of this kind.
fn shown(kind: &str) -> String {
    let guide = include_str!("../../docs/campaigns.md");
    let (_, own) = guide.split_once("## Your own `campaign_messages`").unwrap();
    let (_, block) = own.split_once(&format!("```{kind}\n")).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// The status of the row with this text, and what is noted of it.
async fn stands(world: &World, words: &str) -> (String, bool, Option<String>) {
    let sql = "select status, sent_at is not null, error_message from campaign_messages where message_content = $1";
    let row = world.app.query_one(sql, &[&words]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

async fn becomes(world: &World, words: &str, status: &str) {
    until(&format!("{words}: {status}"), async || {
        (stands(world, words).await.0 == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_apps_own_campaign_messages_are_sent_once_they_are_approved() {
    let home = tempfile::tempdir().unwrap();
    let world = World::new([]).await;
    world.app.batch_execute(&shown("sql")).await.unwrap();
    let file = home.path().join("punctual.toml");
    std::fs::write(&file, shown("toml")).unwrap();
    let file = file.to_str().unwrap();
    let mut owner = environment(&url(&world.app).await, &world.phone.url());
    owner.push(("PUNCTUAL_CONFIG".to_owned(), file.to_owned()));
    let world = world.with(&[("PUNCTUAL_CONFIG", file)]);
    let rows = "insert into campaign_messages (customer_name, phone_number, message_content, status, scheduled_for) values
        ('Ada', '+13105551231', 'suggested', 'SUG', now()), ('Ben', '+13105551232', 'approved', 'APR', now()),
        ('Cleo', '+13105551233', 'scheduled', 'SCH', now()), ('Dan', '+13105551234', 'no time', 'APR', null),
        ('Eve', '+13105551235', E'one\n\n[BUBBLE]\n\ntwo', 'APR', now()), ('Fay', 'nobody', 'wrong number', 'APR', now()),
        ('Gus', '+13105551236', 'rejected', 'REJ', now())";
    world.app.batch_execute(rows).await.unwrap();
    let (code, _, said) = called(&["migrate"], &owner).await;
    assert_eq!(code, Some(0), "{said}");
    let daemon = world.daemon().await;
    for words in ["approved", "scheduled", "one\n\n[BUBBLE]\n\ntwo"] {
        becomes(&world, words, "sent").await;
        assert_eq!(stands(&world, words).await, ("sent".to_owned(), true, None));
    }
    becomes(&world, "wrong number", "failed").await;
    let (_, _, why) = stands(&world, "wrong number").await;
    assert!(why.is_some(), "no reason");

    // Approved, given a time, and corrected by hand, by somebody who knows no scheduled_messages.
    let changes = "update campaign_messages set status = 'APR' where message_content = 'suggested' and phone_number like '%31';
         update campaign_messages set scheduled_for = now() where message_content = 'no time';
         update campaign_messages set phone_number = '+13105551237', status = 'SCH' where message_content = 'wrong number'";
    for (words, status) in [
        ("suggested", "SUG"),
        ("no time", "APR"),
        ("rejected", "REJ"),
    ] {
        assert_eq!(stands(&world, words).await.0, status);
        assert!(world.requests(words).is_empty(), "{words} was sent");
    }
    world.app.batch_execute(changes).await.unwrap();
    for words in ["suggested", "no time", "wrong number"] {
        becomes(&world, words, "sent").await;
    }
    for words in [
        "approved",
        "scheduled",
        "one",
        "two",
        "suggested",
        "no time",
        "wrong number",
    ] {
        assert_eq!(world.requests(words).len(), 1, "{words}");
    }
    assert!(world.requests("rejected").is_empty());
    daemon.stop().await;
}
