//! A connection whose server, or whose pool, does not answer.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use tokio::sync::Notify;

use super::*;
use crate::message::InstanceId;

/// The server keeps the log for a feed that is not read, and what it brings would be late.
#[tokio::test]
async fn the_connection_is_read_while_a_check_waits_for_the_pool() {
    // Accepts, and answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let dsn = format!("postgres://nobody@{address}/nothing?sslmode=disable");
    let dsn: Dsn = dsn.parse().unwrap();
    let store = Store::new(dsn.pool(1), InstanceId::fresh());
    let (heard, _reports) = mpsc::channel(1);
    let limits = ChannelLimits::default();
    let way = Way::Feed {
        silence: Duration::from_secs(20),
        others: Arc::new(Notify::new()),
    };
    let mut ended = stream::empty();
    let proven = prove_for_ever(&mut ended, &store, &heard, &mut false, &limits, &way).await;
    // And not that the check has failed, a while later.
    assert!(matches!(proven, Err(Lost::Closed)), "{proven:?}");
}
