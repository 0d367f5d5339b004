//! A session as the app has it: its statements, and the notices they cause.

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use punctual::message::{MessageId, Moment};
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client};
use uuid::Uuid;

use crate::deed::{Wish, message, name};
use crate::facts::{Facts, word};
use crate::harness::TestDb;
use crate::model::{Change, campaign_of, type_of};

/// A session of the app's that hears its own notices: they come before the answer does.
pub(crate) struct Session {
    client: Client,
    hears: mpsc::UnboundedReceiver<(i32, String)>,
    pid: i32,
}

impl Session {
    pub(crate) async fn new(db: &TestDb) -> Self {
        let (client, mut connection) = db.dsn().connect().await.unwrap();
        let (sender, hears) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut messages = poll_fn(move |cx| connection.poll_message(cx));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(n) = message
                    && sender
                        .send((n.process_id(), n.payload().to_owned()))
                        .is_err()
                {
                    return;
                }
            }
        });
        client.batch_execute("listen punctual").await.unwrap();
        let pid = client
            .query_one("select pg_backend_pid()", &[])
            .await
            .unwrap()
            .get(0);
        Self { client, hears, pid }
    }

    pub(crate) async fn batch(&mut self, sql: &str, answer: &mut Facts) {
        self.client.batch_execute(sql).await.unwrap();
        self.notices(answer);
    }

    /// Runs one statement; the rows it changed, or `None` if the guard refused it.
    pub(crate) async fn run(
        &mut self,
        rows: &[u64],
        wish: &Wish,
        start: Moment,
        answer: &mut Facts,
    ) -> Option<u64> {
        let ids: Vec<Uuid> = rows.iter().map(|row| message(*row).0).collect();
        let first = *rows.first().unwrap_or(&1);
        let utc = |at: Moment| at.to_utc().unwrap();
        let set = |what: &str| format!("update scheduled_messages set {what} where id = any($1)");
        let c = &self.client;
        let done = match wish.change(first, start) {
            Change::Insert {
                at,
                channel,
                to,
                body,
                ..
            } => {
                let sql = "insert into scheduled_messages (id, to_number, body, scheduled_at, channel, user_id,
                                                          message_type, campaign_id)
                           select id, $2, $3, $4, $5, id, $6, $7 from unnest($1::uuid[]) id on conflict (id) do nothing";
                let (kind, campaign) = (type_of(message(first)), campaign_of(message(first)));
                let channel = channel.as_str();
                let params: [&(dyn ToSql + Sync); 7] =
                    [&ids, &to, &body, &utc(at), &channel, &kind, &campaign];
                c.execute(sql, &params).await
            }
            Change::Reschedule { at } => {
                c.execute(&set("scheduled_at = $2"), &[&ids, &utc(at)])
                    .await
            }
            Change::Edit { body } => c.execute(&set("body = $2"), &[&ids, &body]).await,
            Change::Reroute { channel, to } => {
                let set = set("channel = $2, to_number = $3");
                c.execute(&set, &[&ids, &channel.as_str(), &to]).await
            }
            Change::Cancel => c.execute(&set("status = 'cancelled'"), &[&ids]).await,
            Change::Mark(status) => {
                c.execute(&set("status = $2"), &[&ids, &status.as_str()])
                    .await
            }
            Change::PutBack { at: Some(at) } => {
                c.execute(
                    &set("status = 'pending', scheduled_at = $2"),
                    &[&ids, &utc(at)],
                )
                .await
            }
            Change::PutBack { at: None } => c.execute(&set("status = 'pending'"), &[&ids]).await,
            Change::Delete => {
                c.execute("delete from scheduled_messages where id = any($1)", &[&ids])
                    .await
            }
            Change::Hold => {
                c.execute(
                    "select from scheduled_messages where id = any($1) for update",
                    &[&ids],
                )
                .await
            }
        };
        let code = match &done {
            Ok(n) => format!("{n} rows"),
            Err(e) => e
                .code()
                .map_or_else(|| e.to_string(), |code| code.code().to_owned()),
        };
        if done.is_err() {
            // Postgres reports an error before it releases the locks of what failed: the next answer comes after that.
            c.batch_execute("").await.unwrap();
        }
        word(answer, "answer", code);
        self.notices(answer);
        done.ok()
    }

    fn notices(&mut self, answer: &mut Facts) {
        while let Ok((pid, payload)) = self.hears.try_recv() {
            // The other session's come whenever they come.
            if pid != self.pid {
                continue;
            }
            let ids = payload.strip_prefix("ids ").expect("few rows are named");
            for id in ids.split(',') {
                let id = MessageId(id.parse().expect("an id"));
                word(answer, format!("notice of {}", name(id)), "heard");
            }
        }
    }
}
