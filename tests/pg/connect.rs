//! Sessions and what their failures say.

use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};
use punctual::store::{ConnectError, Dsn};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::harness::{TestDb, cluster};

async fn error_of(url: &str) -> ConnectError {
    let dsn = Dsn::parse(url).unwrap();
    dsn.connect().await.err().expect("no session")
}

/// The failure says `why`, and where, and nothing of the password.
#[track_caller]
fn says(error: &ConnectError, all: &[&str]) {
    let shown = format!("{error} {error:?}");
    for part in all {
        assert!(error.to_string().contains(part), "{part:?} in: {error}");
    }
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn a_failure_says_what_is_wrong_and_never_the_password() {
    let port = tokio::task::spawn_blocking(cluster).await.unwrap().port();
    let at = |user_and_database: &str| {
        let (user, database) = user_and_database.split_once('/').unwrap();
        format!("postgres://{user}:secret@127.0.0.1:{port}/{database}")
    };
    let error = error_of(&at("postgres/app")).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    says(&error, &["127.0.0.1", "/app", "28P01", "percent-encoded"]);

    let error = error_of(&cluster().url("nowhere")).await;
    says(&error, &["\"nowhere\" does not exist", "3D000"]);

    let error = error_of(&format!("{}?sslmode=require", at("postgres/app"))).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    says(&error, &["does not offer it", "sslmode"]);

    // To another host nothing goes unencrypted unless that is asked for. This address counts as one, though
    // it leads here.
    let elsewhere = at("postgres/app").replace("127.0.0.1", "0.0.0.0");
    let error = error_of(&elsewhere).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    says(&error, &["unencrypted to another host", "sslmode=disable"]);
    let error = error_of(&format!("{elsewhere}?sslmode=disable")).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");

    // A port that was free a moment ago: nobody is there.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = free.local_addr().unwrap();
    drop(free);
    let error = error_of(&format!("postgres://u:secret@{closed}/app")).await;
    assert!(
        matches!(error, ConnectError::Unreachable { .. }),
        "{error:?}"
    );
    says(&error, &[&closed.to_string(), "refused"]);

    let error = error_of("postgres://u:secret@no-such-host.invalid/app").await;
    assert!(
        matches!(error, ConnectError::Unreachable { .. }),
        "{error:?}"
    );
    says(&error, &["no-such-host.invalid:5432"]);
}

#[tokio::test]
async fn something_that_is_not_postgres_is_no_session() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let other = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        // The request for TLS, so that closing is no reset.
        let mut request = [0; 8];
        socket.read_exact(&mut request).await.unwrap();
    });
    let error = error_of(&format!("postgres://u:secret@{address}/app")).await;
    other.await.unwrap();
    says(&error, &[&address.to_string()]);
}

#[tokio::test]
async fn a_server_without_room_says_so() {
    let server = PrivatePostgres::start(Options {
        fsync: false,
        settings: vec![
            ("max_connections".into(), "2".into()),
            ("superuser_reserved_connections".into(), "0".into()),
            // Postgres counts these in when it looks for room.
            ("max_wal_senders".into(), "0".into()),
        ],
        ..Options::default()
    })
    .unwrap();
    let dsn = Dsn::parse(&server.url("postgres")).unwrap();
    let _both = [dsn.connect().await.unwrap(), dsn.connect().await.unwrap()];
    let error = dsn.connect().await.err().expect("no room");
    says(&error, &["53300", "out of connections"]);
}

#[tokio::test]
async fn every_session_of_the_pool_is_the_daemons() {
    let db = TestDb::empty().await;
    let pool = db.dsn().pool(2);
    // Both at once, so that the second is not the first one used again.
    let (one, two) = tokio::join!(pool.get(), pool.get());
    for client in [one.unwrap(), two.unwrap()] {
        let show = async |name: &str| -> String {
            let row = client.query_one(&format!("show {name}"), &[]).await;
            row.unwrap().get(0)
        };
        assert_eq!(show("punctual.writer").await, "on");
        assert_eq!(show("synchronous_commit").await, "on");
        assert_eq!(show("application_name").await, "punctual");
        assert_ne!(show("lock_timeout").await, "0");
        assert_ne!(show("statement_timeout").await, "0");
        assert_eq!(show("tcp_keepalives_idle").await, "30");
    }
    assert_eq!(pool.status().size, 2);
}

/// As hosts set it for roles and databases whose apps forget their sessions.
#[tokio::test]
async fn no_session_inherits_a_time_out() {
    let db = TestDb::empty().await;
    let client = db.client().await;
    let hostile = "do $$
      declare setting text;
      begin
        foreach setting in array array['statement_timeout', 'lock_timeout', 'idle_session_timeout',
                                       'idle_in_transaction_session_timeout'] loop
          execute format('alter database %I set %I = %L', current_database(), setting, case when setting like 'idle%' then '3s' else '50ms' end);
        end loop;
      end $$";
    client.batch_execute(hostile).await.unwrap();
    let show = async |client: &tokio_postgres::Client, name: &str| -> String {
        let row = client.query_one(&format!("show {name}"), &[]).await;
        row.unwrap().get(0)
    };
    // Every command's session, and the one that listens.
    let plain = db.client().await;
    assert_eq!(show(&plain, "statement_timeout").await, "5min");
    for name in [
        "lock_timeout",
        "idle_session_timeout",
        "idle_in_transaction_session_timeout",
    ] {
        assert_eq!(show(&plain, name).await, "0", "{name}");
    }
    // The daemon's, which sets limits of its own.
    let pooled = db.dsn().pool(1).get().await.unwrap();
    assert_eq!(show(&pooled, "idle_session_timeout").await, "0");
    assert_eq!(show(&pooled, "statement_timeout").await, "15s");
    // All of it takes longer.
    let migrator = punctual::store::Migrator::embedded();
    migrator.run(db.dsn()).await.unwrap();
    migrator.check(db.dsn()).await.unwrap();
    let findings = punctual::store::doctor::catalog(&plain, &migrator.triggers()).await;
    assert!(
        findings.iter().all(|f| !f.found.contains("not checked")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_listener_hears_by_polling_its_connection() {
    let db = TestDb::empty().await;
    let (client, mut connection) = db.dsn().connect().await.unwrap();
    let mut messages = futures_util::stream::poll_fn(move |cx| connection.poll_message(cx));
    let heard = tokio::spawn(async move {
        use futures_util::StreamExt;
        while let Some(message) = messages.next().await {
            if let tokio_postgres::AsyncMessage::Notification(notice) = message.unwrap() {
                return notice.payload().to_owned();
            }
        }
        panic!("the connection ended");
    });
    client.batch_execute("listen here").await.unwrap();
    let other = db.client().await;
    other.batch_execute("notify here, 'you'").await.unwrap();
    assert_eq!(heard.await.unwrap(), "you");
}

/// libpq is the judge: what it accepts and Punctual understands leads to a session with both.
#[tokio::test]
async fn strings_that_psql_accepts_lead_to_a_session() {
    let db = TestDb::empty().await;
    let name = db.dsn().to_string();
    let url = cluster().url(name.rsplit_once('/').unwrap().1);
    let has_psql = std::process::Command::new("psql")
        .arg("--version")
        .output()
        .is_ok();
    if !has_psql {
        eprintln!("there is no psql here: strings were tried without a judge");
    }
    for query in [
        "target_session_attrs=primary",
        "target_session_attrs=read-write",
        "fallback_application_name=app",
        "passfile=/no/such/file",
        "gssencmode=disable",
        "gssencmode=prefer",
        "channel_binding=prefer",
        "channel_binding=disable",
        "keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3",
        "keepalives=0",
        "tcp_user_timeout=5000",
        "connect_timeout=5",
        "client_encoding=UTF8",
        "options=-c%20geqo%3Doff",
        "sslcompression=0",
        "sslsni=1",
        "ssl_min_protocol_version=TLSv1.2",
        "ssl_max_protocol_version=TLSv1.3",
        "sslmode=allow",
        "replication=false",
        "krbsrvname=postgres",
        "hostaddr=127.0.0.1",
    ] {
        let url = format!("{url}?{query}");
        let connected = Dsn::parse(&url).unwrap().connect_to_primary().await;
        assert!(connected.is_ok(), "{query}: {:?}", connected.err());
        if has_psql {
            let mut psql = tokio::process::Command::new("psql");
            let out = psql
                .args([&url, "-Atc", "select 1"])
                .output()
                .await
                .unwrap();
            assert!(out.status.success(), "{query}: {out:?}");
        }
    }
}

#[tokio::test]
async fn a_standby_is_refused_with_what_to_do() {
    let mut server = PrivatePostgres::start(Options {
        fsync: false,
        ..Options::default()
    })
    .unwrap();
    let dsn = Dsn::parse(&server.url("postgres")).unwrap();
    drop(dsn.connect_to_primary().await.unwrap());
    std::fs::write(server.data_dir().join("standby.signal"), "").unwrap();
    server.restart(Shutdown::Fast).unwrap();
    let error = dsn.connect_to_primary().await.err().unwrap();
    assert!(matches!(error, ConnectError::Standby { .. }), "{error:?}");
    says(&error, &["is a standby", "primary"]);
    assert!(error.is_away(), "it may be promoted");
    // Who only reads may.
    drop(dsn.connect().await.unwrap());
    // Of two the one that accepts writes.
    let (both, port) = (cluster().url("postgres"), server.port());
    let own = cluster().port();
    let both = both.replace(
        &format!("127.0.0.1:{own}"),
        &format!("127.0.0.1:{port},127.0.0.1:{own}"),
    );
    let (client, connection) = Dsn::parse(&both)
        .unwrap()
        .connect_to_primary()
        .await
        .unwrap();
    tokio::spawn(connection);
    let row = client
        .query_one("select current_setting('port')::int", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), i32::from(own));
}
