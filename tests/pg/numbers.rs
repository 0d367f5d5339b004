//! The numbers of messages that are due later: read once, marked where they have a fault, and counted while that is so.

use std::time::Duration;

use punctual::message::Sender;
use punctual::policy::{Countries, Guards, Rules, Unknown};
use punctual::store::Store;
use punctual::store::numbers::Recipients;
use uuid::Uuid;

use crate::ours::store;
use crate::rows::{World, count, one, run};

const HOUR: Duration = Duration::from_secs(3_600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

/// For an installation with a sender in the United States.
fn rules(countries: &Countries, premium: Unknown) -> Rules {
    let us: Sender = "+13105550100".parse().unwrap();
    Rules {
        guards: Guards::new(countries, premium, std::iter::once(Some(&us))),
        default_sender: Some(us),
        ..Rules::default()
    }
}

/// One step as the daemon's chore takes it; returns what it has read.
async fn step(store: &Store, ahead: Duration, most: u32) -> Recipients {
    let read = store.recipients_ahead(ahead, most).await.unwrap();
    let faults = read.faults(&rules(&Countries::OfSenders, Unknown::Refuse));
    let kept = store.keep_number_faults(ahead, read.until, &faults, most);
    kept.await.unwrap();
    read
}

async fn marked(world: &World) -> String {
    let sql = "select coalesce(string_agg(m.body || ' ' || f.fault, ', ' order by m.body), '')
                 from punctual.number_faults f join scheduled_messages m on m.id = f.message_id";
    one(&world.unseen, sql).await
}

/// Text messages whose text is their name, due in so many minutes.
const ROWS: &str = "
    insert into scheduled_messages (to_number, body, channel, scheduled_at)
    select r.number, r.body, r.channel, now() + r.minutes * interval '1 minute'
      from (values ('+13105550100', 'fine', 'sms', 5), ('+19005550100', 'premium', 'SMS', 30),
                   (' +15551234567 ', 'unassigned', null, 90), ('+1310555010', 'length', 'sms', 60 * 24),
                   ('+999123456789', 'code', '', 60 * 24 * 6), ('+999123456789', 'later', 'sms', 60 * 24 * 8),
                   ('+999123456789', 'past', 'sms', -1), ('(202) 555-0003', 'no number', 'sms', 10),
                   ('https://example.com/+19005550100', 'hook', 'webhook', 10)) as r (number, body, channel, minutes);
    insert into scheduled_messages (to_number, body, from_number, scheduled_at)
    select '+4915112345678', r.body, r.sender, now() + interval '6 days 1 hour'
      from (values ('abroad', null), ('from there', '+4930123456'), ('from a service', 'MG00000000000000000000000000000000'),
                   ('by name', 'ACME')) as r (body, sender);
    insert into scheduled_messages (to_number, body, scheduled_at) values ('+999123456789', 'never', 'infinity')";

#[tokio::test]
async fn faults_are_found_ahead_and_each_message_is_read_once_for_each_time_ahead() {
    let world = World::new().await;
    let store = store(&world);
    run(&world.user, ROWS).await;
    assert_eq!(step(&store, HOUR, 100).await.all.len(), 4);
    assert_eq!(marked(&world).await, "premium premium");
    // Pages of two, by the due time.
    let mut pages = Vec::new();
    loop {
        let read = step(&store, WEEK, 2).await;
        pages.push(read.all.len());
        if !read.has_more {
            break;
        }
    }
    // Two rows are due at one instant.
    assert_eq!(pages, [3, 2, 2, 4, 0]);
    let all =
        "abroad country, code country_code, length length, premium premium, unassigned unassigned";
    assert_eq!(marked(&world).await, all);
    // Nothing is read again, whatever is due then; what is new is read as far as nobody has come.
    for ahead in [HOUR, WEEK] {
        assert_eq!(step(&store, ahead, 100).await.all.len(), 0);
    }
    let new = "insert into scheduled_messages (to_number, body, scheduled_at)
               values ('+19005550100', 'seen', now() + interval '7 days 10 ms'), ('+19005550100', 'not seen', now() + interval '2 days')";
    run(&world.user, new).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let read = step(&store, WEEK, 100).await;
    assert_eq!(read.all.len(), 1, "{read:?}");
    assert_eq!(store.count_number_faults().await.unwrap(), 6);

    // A number that was corrected, a message that was cancelled, and one whose time has come, do not count.
    let corrected =
        "update scheduled_messages set to_number = '+13105550100' where body = 'premium'";
    run(&world.user, corrected).await;
    let cancelled = "update scheduled_messages set status = 'cancelled' where body = 'length'";
    run(&world.user, cancelled).await;
    assert_eq!(store.count_number_faults().await.unwrap(), 4);
    // One that is moved behind what was checked is read again there.
    let moved = "update scheduled_messages set scheduled_at = now() + interval '7 days 10 ms' where body = 'code'";
    run(&world.user, moved).await;
    assert_eq!(store.count_number_faults().await.unwrap(), 3);
    tokio::time::sleep(Duration::from_millis(20)).await;
    step(&store, WEEK, 100).await;
    assert_eq!(store.count_number_faults().await.unwrap(), 4);
}

#[tokio::test]
async fn a_herd_of_one_instant_is_read_at_once_and_what_is_over_is_forgotten() {
    let world = World::new().await;
    let store = store(&world);
    let herd = "insert into scheduled_messages (to_number, body, scheduled_at)
                select '+1900555' || (1000 + n), 'herd', date_trunc('hour', now() + interval '5 hours') from generate_series(1, 300) n";
    run(&world.user, herd).await;
    let read = step(&store, WEEK, 10).await;
    assert_eq!((read.all.len(), read.has_more), (300, true));
    assert_eq!(step(&store, WEEK, 10).await.all.len(), 0);
    assert_eq!(store.count_number_faults().await.unwrap(), 300);
    // As many in one step as it may read.
    let over = "update punctual.number_faults set due = now() - interval '2 hours'";
    assert_eq!(count(&world.unseen, over, &[]).await, 300);
    assert_eq!(store.count_number_faults().await.unwrap(), 0);
    step(&store, HOUR, 200).await;
    let left = "select count(*) from punctual.number_faults";
    assert_eq!(one::<i64>(&world.unseen, left).await, 100);
    step(&store, HOUR, 200).await;
    assert_eq!(one::<i64>(&world.unseen, left).await, 0);
    // A mark that another session holds delays no step.
    let mark = "insert into punctual.number_faults (message_id, fault, due, version)
                values (gen_random_uuid(), 'length', now() - interval '2 hours', 0)";
    run(&world.unseen, mark).await;
    run(&world.unseen, "begin").await;
    let locked: Uuid = one(
        &world.unseen,
        "select message_id from punctual.number_faults for update",
    )
    .await;
    step(&store, HOUR, 200).await;
    run(&world.unseen, "rollback").await;
    assert!(!locked.is_nil());
    step(&store, HOUR, 200).await;
    assert_eq!(one::<i64>(&world.unseen, left).await, 0);
}

#[tokio::test]
async fn other_guards_judge_again_what_was_found_ahead() {
    let world = World::new().await;
    let store = store(&world);
    let strict = rules(&Countries::OfSenders, Unknown::Refuse);
    store.keep_settings(&strict).await.unwrap();
    let rows = "insert into scheduled_messages (to_number, body, scheduled_at)
                values ('+4915112345678', 'abroad', now() + interval '1 day'), ('+19005550100', 'premium', now() + interval '2 days'),
                       ('+999123456789', 'code', now() + interval '3 days')";
    run(&world.user, rows).await;
    step(&store, WEEK, 100).await;
    assert_eq!(
        marked(&world).await,
        "abroad country, code country_code, premium premium"
    );
    // The same once more, and they are read no more often.
    store.keep_settings(&strict).await.unwrap();
    assert_eq!(step(&store, WEEK, 100).await.all.len(), 0);
    // With others, what these allow is found no longer, nor is a premium-rate number that may be texted.
    let open = rules(&Countries::All, Unknown::Send);
    store.keep_settings(&open).await.unwrap();
    assert_eq!(marked(&world).await, "code country_code");
    let read = store.recipients_ahead(WEEK, 100).await.unwrap();
    let faults = read.faults(&open);
    assert_eq!((read.all.len(), faults.len()), (3, 1));
    // What names no sender goes by the default one, which may be on WhatsApp and text anywhere.
    let mut whatsapp = strict.clone();
    whatsapp.default_sender = Some("whatsapp:+13105550199".parse().unwrap());
    assert_eq!(read.faults(&whatsapp).len(), 2);
    assert_eq!(read.faults(&strict).len(), 3);
}
