//! The log grows with what is wrong, not with how many messages meet it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::daemon::{Daemon, own_address, until};
use crate::standin::Act;
use crate::world::World;

/// Lines that warn, after so many bytes of the log, without the time.
fn warnings(daemon: &Daemon, from: usize) -> Vec<String> {
    let said = daemon.said();
    let lines = said[from..].lines();
    let warns = lines.filter_map(|line| line.split_once(" WARN ").or(line.split_once("ERROR ")));
    warns.map(|(_, line)| line.to_owned()).collect()
}

/// The first of each cause, and then one every 10 s. `began`: when it went wrong.
fn check(lines: &[String], began: Instant, most_causes: usize) {
    let sentence = |line: &String| line.split("times=").next().unwrap_or_default().to_owned();
    let firsts = lines.iter().filter(|line| !line.contains("again: "));
    let causes = firsts.clone().count();
    let sentences: BTreeSet<_> = firsts.map(sentence).collect();
    let windows = 1 + usize::try_from(began.elapsed().as_secs() / 10).unwrap();
    println!(
        "figure: {} lines of {causes} causes in {:.1?}",
        lines.len(),
        began.elapsed()
    );
    assert!(causes <= most_causes, "{causes} causes: {sentences:#?}");
    assert!(lines.len() <= causes * (1 + windows), "{lines:#?}");
}

const AWAY: &str = "update pg_database set datallowconn = false where datname = current_database();
    select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()";

#[tokio::test]
async fn a_database_that_is_away_is_said_by_cause_and_not_by_message() {
    let slow = std::iter::repeat_n(Act::AcceptAfter(Duration::from_secs(1)), 600);
    let world = World::new(slow).await;
    let daemon = world.daemon().await;
    let busy = "insert into scheduled_messages (to_number, body, scheduled_at)
                select '+1310555' || 1000 + n, 'busy ' || n,
                       clock_timestamp() + interval '1 s' + n * interval '16 ms'
                  from generate_series(1, 600) n";
    world.app.execute(busy, &[]).await.unwrap();
    crate::world::asked(&world.phone, 60).await;
    let (from, began) = (daemon.said().len(), Instant::now());
    world.app.batch_execute(AWAY).await.unwrap();
    until(
        "two sums of the results that cannot be recorded",
        async || {
            let lines = warnings(&daemon, from);
            let sums = lines
                .iter()
                .filter(|line| line.contains("again: outcomes could not be"));
            (sums.count() >= 2).then_some(())
        },
    )
    .await;
    let lines = warnings(&daemon, from);
    check(&lines, began, 26);
    for line in lines
        .iter()
        .filter(|line| line.contains("outcomes could not be"))
    {
        assert!(line.contains("connect"), "its cause is not in it: {line}");
    }
    world
        .app
        .batch_execute("update pg_database set datallowconn = true")
        .await
        .unwrap();
    daemon.stop().await;
}

#[tokio::test]
async fn poison_rows_and_forged_callbacks_are_said_by_cause() {
    let callbacks = own_address();
    let world = World::new([]).await.with(&[
        ("PUNCTUAL_PUBLIC_URL", "https://punctual.example.com"),
        ("PUNCTUAL_WEBHOOK_ADDR", &callbacks),
    ]);
    let poison = "create function poison() returns trigger language plpgsql as
                    $$ begin raise exception 'not this one'; end $$;
                  create trigger poison before update on scheduled_messages for each row
                    when (new.body like 'poison%') execute function poison()";
    world.app.batch_execute(poison).await.unwrap();
    let mut daemon = world.daemon().await;
    let (from, began) = (daemon.said().len(), Instant::now());
    let rows = "insert into scheduled_messages (to_number, body, scheduled_at)
                select '+13105551234', 'poison ' || n, clock_timestamp() from generate_series(1, 12) n";
    world.app.execute(rows, &[]).await.unwrap();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(&callbacks).await.unwrap();
        let body = "MessageSid=SM1&MessageStatus=sent";
        let request = format!(
            "POST /webhooks/twilio/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
    daemon.says("again: a claim was refused").await;
    daemon
        .says("again: a callback without a valid signature")
        .await;
    check(&warnings(&daemon, from), began, 4);
    daemon.stop().await;
}

#[tokio::test]
async fn every_outcome_is_said_with_its_reason_and_a_herd_that_fails_by_reason() {
    let world = World::new([]).await;
    let mut daemon = world.daemon().await;
    let sent = world.insert("hello", 500).await;
    let rows = "insert into scheduled_messages (to_number, body, scheduled_at)
                select 'nobody ' || n, 'lost', clock_timestamp() + interval '1 s' from generate_series(1, 1000) n";
    world.app.execute(rows, &[]).await.unwrap();
    let began = Instant::now();
    until("the count of those that failed", async || {
        let (_, metrics) = daemon.get("/metrics").await?;
        let line = "punctual_unused_claims_total{verdict=\"rejected\",reason=\"recipient\"} 1000\n";
        metrics.contains(line).then_some(())
    })
    .await;
    daemon.says("again: rejected").await;
    println!("figure: all of it after {:.1?}", began.elapsed());
    let (code, doctor, _) = world.call(&["doctor"]).await;
    let said = daemon.said();
    let lines: Vec<_> = said
        .lines()
        .filter(|line| line.contains("punctual::outcome"))
        .collect();
    let of = |words: &str| {
        let lines = lines.iter().copied();
        lines
            .filter(|line| line.contains(words))
            .collect::<Vec<_>>()
    };
    let own = of(&sent.to_string()).concat();
    assert!(
        own.contains("INFO") && own.contains("sent") && own.contains("late_ms="),
        "{own}"
    );
    let rejected = of("rejected: ");
    assert_eq!(rejected.len(), 11, "{lines:#?}");
    assert!(rejected.iter().all(|line| line.contains("WARN")));
    assert!(rejected.iter().all(|line| !line.contains("nobody")));
    let sum = of("again: rejected").concat();
    assert!(
        sum.contains("times=990") && sum.contains("recipient"),
        "{sum}"
    );
    let failed = "1000 in the last 24 hours: 1000 recipient (one of them ";
    assert!(doctor.contains(failed), "{code:?} {doctor}");
    daemon.stop().await;
}
