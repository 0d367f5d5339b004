//! The change feed: notices of transactions by the write-ahead log, without the lock that NOTIFY takes at each commit.
//!
//! A trigger writes a message to the log (`pg_logical_emit_message`), in its transaction. A logical replication slot
//! decodes the log, and the server sends what was committed. The slot is temporary: it ends with its connection, so no
//! log is kept for a daemon that is gone. They are hints, as notifications are; the plugin is Postgres's own
//! `pgoutput`, with a publication of no table.
//!
//! tokio-postgres has no replication. Three things are translated on their way, and to it the connection is one on
//! which notifications arrive: the first message gets the parameter `replication`; the stream's begin is the end of a
//! query; a message of the log is a notification. What the server wants confirmed is confirmed here.

use std::io;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio_postgres::Client;
use uuid::Uuid;

use super::message::{NUL, message, put, size, text};
use crate::store::{Sql, Store, StoreError, prepared};

#[cfg(test)]
mod tests;

static EMIT: &Sql = sql!("sql/feed_emit.sql");
static UNSEEN: &Sql = sql!("sql/feed_unseen.sql");
static CONDITION: &Sql = sql!("sql/feed_condition.sql");
static SESSION: &Sql = sql!("sql/feed_session.sql");

/// The publication that `pgoutput` wants to be given, of no table. `migrate` makes it.
pub const PUBLICATION: &str = "punctual_feed";

/// Messages of the log with this prefix are ours; also the channel as which they arrive.
const PREFIX: &[u8] = b"punctual";

/// Adds to the first message: this session replicates what is in its database.
const REPLICATION: &[u8] = b"replication\0database\0";

/// As much of the log is confirmed at once: each confirmation is a message, and until then the server keeps the log.
const CONFIRM_AFTER: u64 = 256 * 1_024;

/// A message of ours is far shorter: 200 ids are 7,400 bytes.
const LONGEST: usize = 65_536;

/// How the database is set, as far as a feed depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedCondition {
    /// In Postgres's words.
    pub wal_level: String,
    /// Whether there is the publication.
    pub is_published: bool,
    /// Whether commits would wait until a daemon has confirmed them.
    pub is_waited_for: bool,
    /// Slots of daemons that run, in all databases.
    pub slots: u64,
    /// How many more there may be: each needs a slot and a WAL sender.
    pub free: u64,
    /// How much of the log is kept for the one that is behind most, in bytes.
    pub kept: u64,
}

impl FeedCondition {
    /// Reads it.
    pub async fn read(client: &Client) -> Result<Self, StoreError> {
        const STEP: &str = "reading whether there can be a change feed";
        let row = client.query_one(CONDITION.text(), &[]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let read = || {
            Ok(Self {
                wal_level: row.try_get("wal_level")?,
                is_published: row.try_get("is_published")?,
                is_waited_for: row.try_get("is_waited_for")?,
                slots: row.try_get("slots").map(i64::unsigned_abs)?,
                free: row
                    .try_get("free")
                    .map(|free: i64| free.max(0).unsigned_abs())?,
                kept: row.try_get("kept").map(i64::unsigned_abs)?,
            })
        };
        read().map_err(StoreError::unreadable(STEP))
    }
}

impl Store {
    /// Sends a payload by the feeds, over a connection of the pool.
    pub async fn emit(&self, payload: &str) -> Result<(), StoreError> {
        const STEP: &str = "writing to the change feed";
        let client = self.client().await?;
        let emit = prepared(&client, EMIT, STEP).await?;
        client
            .query(&emit, &[&payload])
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }
}

impl Store {
    /// Of transactions that the log has, by the low halves of their ids: those that statements do not see yet.
    pub async fn unseen(&self, by: &[u32]) -> Result<Vec<u32>, StoreError> {
        const STEP: &str = "reading which transactions have ended";
        let client = self.client().await?;
        let unseen = prepared(&client, UNSEEN, STEP).await?;
        let by: Vec<i64> = by.iter().copied().map(i64::from).collect();
        let rows = client.query(&unseen, &[&by]).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let read = |row: &tokio_postgres::Row| {
            let id: i64 = row.try_get("id").map_err(StoreError::unreadable(STEP))?;
            Ok(u32::try_from(id).unwrap_or(0))
        };
        rows.iter().map(read).collect()
    }
}

/// Makes the slot of a connection ([`Dsn::fed`](super::dsn::Dsn::fed)), and begins. Whatever is committed later by
/// transactions that find the slot arrives. The server makes it when all transactions that have written something and
/// are open have ended, which may take as long as they do.
pub async fn begin(client: &Client) -> Result<(), tokio_postgres::Error> {
    // Not every server has this setting. If it is the connection that fails, the next statement says so.
    let _ = client.batch_execute(SESSION.text()).await;
    // Triggers find it by how its name begins (`is_fed!()`).
    let slot = format!("{PUBLICATION}_{}", Uuid::new_v4().simple());
    let make =
        format!("CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT");
    client.batch_execute(&make).await?;
    let start = format!(
        "START_REPLICATION SLOT {slot} LOGICAL 0/0 \
         (proto_version '1', publication_names '{PUBLICATION}', messages 'true')"
    );
    client.batch_execute(&start).await
}

/// Translates one connection.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// The beginnings of messages whose rest has not come yet.
    from_client: BytesMut,
    from_server: BytesMut,
    /// Bytes of a message of somebody else's that are still to come.
    skipped: usize,
    /// The first message of a client has no tag.
    is_greeted: bool,
    is_streaming: bool,
    /// The low half of the id of the transaction that is being sent.
    transaction: u32,
    /// How far the server has come in the log.
    reached: u64,
    confirmed: u64,
}

impl Feed {
    /// Translates what the client has written.
    pub(super) fn for_server(&mut self, bytes: &[u8], out: &mut BytesMut) -> io::Result<()> {
        if self.is_greeted {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        self.from_client.extend_from_slice(bytes);
        let Some(size) = size(&self.from_client, 0)? else {
            return Ok(());
        };
        let greeting = self.from_client.split_to(size);
        // Its length, the version, parameters, and an end.
        let Some(parameters) = greeting.get(4..size - 1) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let length = u32::try_from(size + REPLICATION.len());
        out.put_u32(length.map_err(|_| io::ErrorKind::InvalidData)?);
        out.extend_from_slice(parameters);
        out.extend_from_slice(REPLICATION);
        out.put_u8(NUL);
        out.extend_from_slice(&self.from_client.split());
        self.is_greeted = true;
        Ok(())
    }

    /// Translates what the server has written. `confirmed`: for the server.
    pub(super) fn for_client(
        &mut self,
        bytes: &[u8],
        out: &mut BytesMut,
        confirmed: &mut BytesMut,
    ) -> io::Result<()> {
        let skipped = self.skipped.min(bytes.len());
        self.skipped -= skipped;
        self.from_server.extend_from_slice(&bytes[skipped..]);
        loop {
            if self.is_streaming {
                self.skip_longer();
            }
            let Some((tag, body)) = message(&mut self.from_server)? else {
                return Ok(());
            };
            match tag {
                b'W' => {
                    self.is_streaming = true;
                    put(out, b'C', &[b"START_REPLICATION", &[NUL]])?;
                    put(out, b'Z', &[b"I"])?;
                }
                b'd' if self.is_streaming => self.streamed(body, out, confirmed)?,
                // The server shuts down, or has ended the session.
                b'c' if self.is_streaming => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => put(out, tag, &[&body])?,
            }
        }
    }

    /// The log has messages of any program, of up to a gigabyte.
    fn skip_longer(&mut self) {
        let Some(length) = self.from_server.get(1..5) else {
            return;
        };
        let length = length.try_into().map(u32::from_be_bytes);
        let length = length.ok().and_then(|length| usize::try_from(length).ok());
        if let Some(size) = length.filter(|length| *length > LONGEST).map(|l| l + 1) {
            let there = size.min(self.from_server.len());
            self.from_server.advance(there);
            self.skipped = size - there;
        }
    }

    fn streamed(
        &mut self,
        mut body: Bytes,
        out: &mut BytesMut,
        confirmed: &mut BytesMut,
    ) -> io::Result<()> {
        match body.try_get_u8() {
            // Where it begins and the log ends, and when: then what the plugin says.
            Ok(b'w') if body.len() >= 24 => {
                self.reached = self.reached.max(body.get_u64());
                body.advance(16);
                // Its tag, where it ends in the log, and when.
                if body.first() == Some(&b'B') && body.len() >= 21 {
                    body.advance(17);
                    self.transaction = body.get_u32();
                } else if let Some(payload) = notice(body) {
                    // In the place of the process that has notified.
                    let by = self.transaction.to_be_bytes();
                    put(out, b'A', &[&by, PREFIX, &[NUL], &payload, &[NUL]])?;
                }
                self.confirm(false, confirmed)
            }
            // How far it has come, when, and whether it waits for a response.
            Ok(b'k') if body.len() >= 17 => {
                self.reached = self.reached.max(body.get_u64());
                body.advance(8);
                self.confirm(body.get_u8() == 1, confirmed)
            }
            _ => Ok(()),
        }
    }

    fn confirm(&mut self, is_waited_for: bool, out: &mut BytesMut) -> io::Result<()> {
        if !is_waited_for && self.reached < self.confirmed.saturating_add(CONFIRM_AFTER) {
            return Ok(());
        }
        self.confirmed = self.reached;
        let reached = self.reached.to_be_bytes();
        // Written, flushed, applied; by whose clock it is said does not matter; no response is wanted.
        put(
            out,
            b'd',
            &[b"r", &reached, &reached, &reached, &[0; 8], &[0]],
        )
    }
}

/// The payload of a message of ours, from what the plugin says.
fn notice(mut said: Bytes) -> Option<Bytes> {
    // Its tag, and its place in the log after one byte of flags.
    if said.len() < 10 || said.get_u8() != b'M' {
        return None;
    }
    said.advance(9);
    let prefix = text(&mut said).ok()?;
    let length = usize::try_from(said.try_get_u32().ok()?).ok()?;
    let is_ours = prefix == PREFIX && length == said.len() && !said.contains(&NUL);
    (is_ours && std::str::from_utf8(&said).is_ok()).then_some(said)
}
