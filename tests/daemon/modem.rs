//! The daemon with a modem: what it reports and receives reaches the rows, and what was unplugged, killed or locked in
//! between is not lost.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use crate::daemon::{Daemon, set, until};
use crate::gsm::pdu::reported_at;
use crate::gsm::{Break, Gsm, deliver, status_report};
use crate::harness::TestDb;
use crate::world::{FROM, TO, becomes, called, environment, insert, row, url};

async fn opt_outs(app: &tokio_postgres::Client) -> i64 {
    let sql = "select count(*) from punctual.suppressions where their_number = $1";
    app.query_one(sql, &[&TO]).await.unwrap().get(0)
}

/// The settings of a daemon with this modem.
async fn settings(app: &tokio_postgres::Client, gsm: &Gsm, dir: &Path) -> Vec<(String, String)> {
    let mut env = environment(&url(app).await, "http://127.0.0.1:9");
    for (name, value) in [
        ("PUNCTUAL_PROVIDER", "modem"),
        ("PUNCTUAL_MODEM", &*gsm.port()),
        ("PUNCTUAL_MODEM_PIN", "1234"),
        ("PUNCTUAL_SEND_TIMEOUT", "30s"),
        ("PUNCTUAL_LEASE", "70s"),
        ("PUNCTUAL_STATE_DIR", dir.join("state").to_str().unwrap()),
    ] {
        set(&mut env, name, value);
    }
    env
}

/// It passes on a PDU without storing it.
fn says_directly(gsm: &Gsm, pdu: &str) {
    gsm.says(&format!("+CDS: {}\r\n{pdu}", pdu.len() / 2 - 1));
}

#[tokio::test]
async fn reports_and_replies_of_a_modem_reach_the_rows() {
    let db = TestDb::new().await;
    let app = db.client().await;
    let dir = tempfile::tempdir().unwrap();
    let gsm = Gsm::serial(dir.path());
    gsm.phone().pin = Some("1234".into());
    let env = settings(&app, &gsm, dir.path()).await;
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;

    // Delivered by the report that comes with the answer.
    gsm.phone().reports = Some(0);
    let id = insert(&app, "delivered at once", 200).await;
    let delivered = becomes(&app, id, "delivered").await;
    let sid = delivered.sid.unwrap();
    let [account, _imsi, number, _attempt] = sid.split(':').collect::<Vec<_>>()[..] else {
        panic!("{sid}")
    };
    assert_eq!((account, number), ("default", "1"));

    // One that does not arrive, of which the report comes later, by the modem's memory.
    gsm.phone().reports = None;
    let id = insert(&app, "out of reach", 0).await;
    becomes(&app, id, "sent").await;
    gsm.stores(&status_report(2, TO, 0x46), "+CDSI");
    let lost = becomes(&app, id, "failed").await;
    assert_eq!(lost.code, Some(0x46));

    // Unplugged after the last byte: uncertain, and not sent again.
    gsm.phone().breaks.push_back(Break::Sent);
    let doubtful = insert(&app, "unplugged", 0).await;
    becomes(&app, doubtful, "unconfirmed").await;

    // Killed while the network has not answered, and what is due meanwhile is sent by the next one.
    gsm.with_text(
        "killed",
        [crate::twilio::Fault::Slow(std::time::Duration::from_secs(
            3600,
        ))],
    );
    let killed = insert(&app, "killed", 0).await;
    until("it is asked", async || {
        (gsm.text("killed").asked.len() == 1).then_some(())
    })
    .await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    let mut gsm = gsm;
    gsm.pick_up().await;
    let after = insert(&app, "after it", 0).await;
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    becomes(&app, after, "sent").await;
    becomes(&app, killed, "unconfirmed").await;

    // STOP, in the modem's memory until it is recorded.
    let waiting = insert(&app, "not to be sent", 3_600_000).await;
    gsm.stores(&deliver(TO, "Stop", 1), "+CMTI");
    let cancelled = becomes(&app, waiting, "cancelled").await;
    assert!(cancelled.cancel_reason.unwrap().contains("STOP"));
    assert_eq!(opt_outs(&app).await, 1);
    until("it is deleted", async || {
        gsm.phone().stored.is_empty().then_some(())
    })
    .await;
    gsm.stores(&deliver(TO, "START", 2), "+CMTI");
    until("they have opted in again", async || {
        (opt_outs(&app).await == 0).then_some(())
    })
    .await;

    // Another one on this machine may not disturb it.
    let (_, found, _) = called(&["doctor", "--online", "--verbose"], &env).await;
    assert!(found.contains("in use"), "{found}");

    assert_eq!(gsm.phone().doubled(), Vec::<String>::new());
    assert_eq!(row(&app, doubtful).await.unwrap().status, "unconfirmed");
    let log = daemon.stop().await;
    for private in [&TO[1..], &FROM[1..], "1234\"", "not to be sent"] {
        assert!(!log.contains(private), "{log}");
    }
    let (_, found, _) = called(&["doctor", "--online", "--verbose"], &env).await;
    assert!(found.contains("signal -71 dBm, Test Net"), "{found}");
}

/// A report may come after the process that sent the message has ended: by the modem's memory, or directly.
#[tokio::test]
async fn reports_about_messages_of_an_earlier_process_reach_the_rows() {
    let db = TestDb::new().await;
    let app = db.client().await;
    let dir = tempfile::tempdir().unwrap();
    let gsm = Gsm::serial(dir.path());
    let env = settings(&app, &gsm, dir.path()).await;
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    let sent = async |text: &str| {
        let id = insert(&app, text, 0).await;
        let sid = becomes(&app, id, "sent").await.sid.unwrap();
        let number = sid.split(':').nth(2).unwrap().to_owned();
        (id, number)
    };
    let (older, number) = sent("older, with a number that comes again").await;
    assert_eq!(number, "1");
    let (long, numbers) = sent(&"two segments ".repeat(20)).await;
    assert_eq!(numbers, "2-3");
    let (lost, number) = sent("out of reach").await;
    assert_eq!(number, "4");
    gsm.phone().reference = 0;
    let (newest, number) = sent("newest").await;
    assert_eq!(number, "1");
    // Of one segment it is reported before the end, of the other one after it.
    gsm.stores(&status_report(2, TO, 0), "+CDSI");
    until("it is recorded", async || {
        gsm.phone().stored.is_empty().then_some(())
    })
    .await;
    assert_eq!(row(&app, long).await.unwrap().status, "sent");
    daemon.stop().await;

    for (number, status) in [(3, 0), (4, 0x46), (1, 0)] {
        gsm.phone().store(&status_report(number, TO, status));
    }
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    becomes(&app, long, "delivered").await;
    assert_eq!(becomes(&app, lost, "failed").await.code, Some(0x46));
    becomes(&app, newest, "delivered").await;
    until("all are deleted", async || {
        gsm.phone().stored.is_empty().then_some(())
    })
    .await;
    assert_eq!(row(&app, older).await.unwrap().status, "sent");
    // What repeats a report is not about an older message with the same number.
    says_directly(&gsm, &status_report(1, TO, 0));
    until("it is acknowledged", async || {
        (gsm.phone().acknowledged == 1).then_some(())
    })
    .await;
    assert_eq!(row(&app, older).await.unwrap().status, "sent");
    // Nor is what the network took when that one was not sent yet; by its time it is.
    let ago = |hours: u64| SystemTime::now() - Duration::from_secs(hours * 3600);
    let earlier = "update punctual.attempts set claimed_at = claimed_at - interval '48 hours' where message_id = $1";
    app.execute(earlier, &[&older]).await.unwrap();
    says_directly(&gsm, &reported_at(1, TO, 0x46, ago(96)));
    says_directly(&gsm, &reported_at(1, TO, 0, ago(48)));
    becomes(&app, older, "delivered").await;
    // One about nothing changes nothing.
    gsm.stores(&status_report(9, TO, 0x46), "+CDSI");
    let after = insert(&app, "after it", 0).await;
    becomes(&app, after, "sent").await;
    let sql = "select string_agg(status, ' ' order by created_at, id) from scheduled_messages";
    let statuses: String = app.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(statuses, "delivered delivered failed delivered sent");
    assert!(gsm.phone().commands.iter().any(|own| own == "AT+CMGR=1"));
    let said = daemon.stop().await;
    assert!(!said.contains(&TO[1..]), "{said}");
}

/// It is in no memory, the modem has no `AT+CSMS=1`, and what an earlier process left is not recorded yet.
#[tokio::test]
async fn a_direct_report_waits_for_the_record_of_its_attempt() {
    let db = TestDb::new().await;
    let app = db.client().await;
    let dir = tempfile::tempdir().unwrap();
    let mut gsm = Gsm::serial(dir.path());
    gsm.phone()
        .refuses
        .insert("AT+CSMS?".into(), "ERROR".into());
    let env = settings(&app, &gsm, dir.path()).await;
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    let id = insert(&app, "recorded late", 0).await;
    let sid = becomes(&app, id, "sent").await.sid.unwrap();
    daemon.stop().await;
    let hide = "update punctual.attempts set provider_sid = null where message_id = $1";
    app.execute(hide, &[&id]).await.unwrap();
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    let after = insert(&app, "the modem is there", 0).await;
    becomes(&app, after, "sent").await;
    says_directly(&gsm, &status_report(1, TO, 0));
    // What comes after it has been recorded, so it has been tried.
    gsm.stores(&deliver(TO, "START", 1), "+CMTI");
    until("the reply is deleted", async || {
        gsm.phone().stored.is_empty().then_some(())
    })
    .await;
    assert_eq!(row(&app, id).await.unwrap().status, "sent");
    let show = "update punctual.attempts set provider_sid = $2 where message_id = $1";
    app.execute(show, &[&id, &sid]).await.unwrap();
    gsm.pick_up().await;
    becomes(&app, id, "delivered").await;
    assert_eq!(gsm.phone().acknowledged, 0);
    daemon.stop().await;
}
