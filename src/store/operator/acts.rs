//! What a person does to messages: cancel, reschedule, retry, resolve. To one, or to all of a filter once the number of
//! messages that it has is confirmed.
//!
//! Changes are made as the app makes them, so that the guard and the notifications apply; only what resolves an
//! uncertain outcome is Punctual's own change.

use uuid::Uuid;

use super::OperatorError;
use crate::message::filter::PageStart;
use crate::message::{Filter, MessageId, Moment, Status};
use crate::store::halving::Halving;
use crate::store::ledger::resolve::{Decision, Resolved};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

pub(in crate::store) static BEGIN: &Sql = sql!("sql/act_begin.sql");
pub(super) static CANCEL: &Sql = sql!("sql/act_cancel.sql");
static RESCHEDULE: &Sql = sql!("sql/act_reschedule.sql");
static RETRY: &Sql = sql!("sql/act_retry.sql");

/// The most messages of one act.
pub const ACT_MAX: usize = 100_000;

/// Messages that are changed in one transaction, whose locks claims skip meanwhile.
const BATCH: usize = 500;

/// Messages that one statement looks for.
const STRETCH: usize = 10_000;

/// The most characters of a name.
const NAME_MAX: usize = 100;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Pending messages will not be sent.
    Cancel,
    /// Pending messages get another time.
    Reschedule(NewTime),
    /// Failed messages are to be sent after all: at this time, or now.
    Retry(Option<Moment>),
    /// Unconfirmed messages are settled.
    Resolve(Decision),
}

/// Another time for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTime {
    /// This one.
    At(Moment),
    /// Each by so many microseconds later, or earlier.
    By {
        /// Negative: earlier.
        us: i64,
        /// Whether its new time may have passed: then it is sent at once. Without it such a message is skipped.
        past_ok: bool,
    },
}

impl Act {
    /// Which messages it applies to.
    pub const fn applies_to(&self) -> Status {
        match self {
            Self::Cancel | Self::Reschedule(_) => Status::Pending,
            Self::Retry(_) => Status::Failed,
            Self::Resolve(_) => Status::Unconfirmed,
        }
    }

    /// Their status afterwards.
    pub const fn status(&self) -> Status {
        match self {
            Self::Cancel => Status::Cancelled,
            Self::Reschedule(_) | Self::Retry(_) => Status::Pending,
            Self::Resolve(verdict) => verdict.status(),
        }
    }

    /// The verb.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Reschedule(_) => "reschedule",
            Self::Retry(_) => "retry",
            Self::Resolve(_) => "resolve",
        }
    }
}

/// Who acts, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// By this name; one that is too long is cut, and without one it is the role that acted.
    pub fn named(name: Option<&str>, role: &str) -> Self {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        let line = name.unwrap_or(role).chars();
        Self(line.filter(|c| !c.is_control()).take(NAME_MAX).collect())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The result of an act on one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted {
    /// It is done.
    Done,
    /// It was so already.
    Already,
    /// It cannot be done, in a sentence.
    Refused(String),
    /// There is no such message, or none that this role sees.
    Missing,
}

/// The result of an act on the messages of a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Done {
    /// The messages that were changed.
    pub changed: u64,
    /// Those that were not: meanwhile claimed, changed by others, or not to be changed so.
    pub skipped: u64,
}

impl Store {
    /// Does this to one message.
    pub async fn act(&self, id: MessageId, act: &Act, who: &Actor) -> Result<Acted, StoreError> {
        let done = match act {
            Act::Resolve(verdict) => self.resolve(id, verdict, who.as_str()).await?,
            _ => match self.change(&[id.0], act, who).await {
                Ok(0) => return self.why_not(id, act).await,
                Ok(_) => Resolved::Done,
                Err(error) => match guarded(&error) {
                    Some(sentence) => return Ok(Acted::Refused(sentence)),
                    None => return Err(error),
                },
            },
        };
        Ok(match done {
            Resolved::Done => {
                report(act, who, 1, 0);
                Acted::Done
            }
            Resolved::Missing => Acted::Missing,
            Resolved::NotInDoubt(status) => Acted::Refused(format!(
                "message {id} is {status}, not unconfirmed: there is nothing to resolve"
            )),
            Resolved::SidTaken => Acted::Refused(
                "that sid belongs to another message: nothing was changed".to_owned(),
            ),
        })
    }

    /// Does this to all messages of a filter to which it applies, if there are as many as were confirmed.
    pub async fn act_on_all(
        &self,
        filter: &Filter,
        act: &Act,
        who: &Actor,
        confirmed: Option<u64>,
    ) -> Result<Done, OperatorError> {
        let ids = self.meant(filter, act).await?;
        let messages = ids.len() as u64;
        if confirmed != Some(messages) {
            return Err(OperatorError::Count {
                messages,
                confirmed,
            });
        }
        let mut done = Done::default();
        if let Act::Resolve(verdict) = act {
            for id in ids {
                match self.resolve(MessageId(id), verdict, who.as_str()).await {
                    Ok(resolved) => done.changed += u64::from(resolved == Resolved::Done),
                    Err(error) if error.is_about_a_row() => {}
                    Err(error) => return Err(interrupted(error, done)),
                }
            }
        } else {
            let mut groups = Halving::new(&ids, BATCH);
            while let Some(group) = groups.next_group() {
                match self.change(group, act, who).await {
                    Ok(changed) => done.changed += changed,
                    Err(error) if groups.halve(group, &error) => {}
                    // Of a message that the app's table refuses to change so.
                    Err(error) if error.is_about_a_row() => {}
                    Err(error) => return Err(interrupted(error, done)),
                }
            }
        }
        done.skipped = messages.saturating_sub(done.changed);
        report(act, who, done.changed, done.skipped);
        Ok(done)
    }

    /// The messages of a filter that an act applies to.
    async fn meant(&self, filter: &Filter, act: &Act) -> Result<Vec<Uuid>, OperatorError> {
        let status = act.applies_to();
        if !filter.statuses.is_empty() && !filter.statuses.contains(&status) {
            return Err(OperatorError::Status {
                act: act.as_str(),
                status,
            });
        }
        let filter = Filter {
            statuses: vec![status],
            ..filter.clone()
        };
        let searched = self.searched(&filter).await?;
        let (mut ids, mut after): (Vec<Uuid>, Option<PageStart>) = (Vec::new(), None);
        loop {
            let stretch = self
                .stretch(&filter, searched.clone(), after, STRETCH)
                .await?;
            ids.extend(stretch.rows.iter().map(|row| row.id));
            if ids.len() > ACT_MAX {
                return Err(OperatorError::TooMany);
            }
            after = stretch.next;
            if after.is_none() {
                return Ok(ids);
            }
        }
    }

    /// Changes those of these messages that it applies to, in one transaction; returns how many.
    async fn change(&self, ids: &[Uuid], act: &Act, who: &Actor) -> Result<u64, StoreError> {
        const STEP: &str = "changing messages for an operator";
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let begin = prepared(&tx, BEGIN, STEP).await?;
        let named = tx.query_one(&begin, &[&who.as_str()]).await;
        named.map_err(StoreError::at(STEP))?;
        let changed = match act {
            Act::Cancel => {
                let statement = prepared(&tx, CANCEL, STEP).await?;
                let reason = format!("cancelled by {}", who.as_str());
                tx.execute(&statement, &[&ids, &reason]).await
            }
            Act::Reschedule(to) => {
                let statement = prepared(&tx, RESCHEDULE, STEP).await?;
                let (at, by, past_ok) = match *to {
                    NewTime::At(at) => (Some(PgTimestamp(at)), None, true),
                    NewTime::By { us, past_ok } => (None, Some(us), past_ok),
                };
                tx.execute(&statement, &[&ids, &at, &by, &past_ok]).await
            }
            Act::Retry(at) => {
                let statement = prepared(&tx, RETRY, STEP).await?;
                tx.execute(&statement, &[&ids, &at.map(PgTimestamp)]).await
            }
            Act::Resolve(_) => Ok(0),
        };
        let changed = changed.map_err(StoreError::at(STEP))?;
        tx.commit().await.map_err(StoreError::at(STEP))?;
        Ok(changed)
    }

    /// Why a message was not changed.
    async fn why_not(&self, id: MessageId, act: &Act) -> Result<Acted, StoreError> {
        let listed = self.listed(&[id.0], false).await?;
        let Some(row) = listed.first() else {
            return Ok(Acted::Missing);
        };
        let status = row.status.parse().ok();
        if (status, act) == (Some(Status::Cancelled), &Act::Cancel) {
            return Ok(Acted::Already);
        }
        let why = match (status, act) {
            (Some(Status::Pending), Act::Retry(_)) => {
                "is pending: it will be sent without that; to send it at once, reschedule it"
            }
            (Some(Status::Pending), Act::Reschedule(NewTime::By { past_ok: false, .. })) => {
                "is pending, and was not changed: its new time would have passed (past_ok accepts that), or another \
                 transaction has locked it"
            }
            (Some(Status::Pending), _) => {
                "is pending, but another transaction has locked it, or this role may not change it; try again"
            }
            (Some(Status::Sending), _) => "is being sent this moment",
            (Some(Status::Unconfirmed), _) => {
                "is unconfirmed: whether it was sent is not known; resolve it"
            }
            (Some(Status::Sent | Status::Delivered), _) => {
                "was already sent; to send it again, schedule a new one"
            }
            (Some(Status::Failed), Act::Retry(_)) => {
                "has failed, and was not changed: it may have been accepted before, or another transaction has locked it; \
                 its history shows its attempts"
            }
            (Some(Status::Failed), Act::Cancel) => "has already failed; there is nothing to cancel",
            (Some(Status::Failed), _) => "has failed; to send it after all, retry it",
            (Some(Status::Cancelled), _) => {
                "is cancelled; to send it after all, set its status to 'pending'"
            }
            (None, _) => "has a status that this version does not know",
        };
        Ok(Acted::Refused(format!("message {id} {why}")))
    }
}

/// The guard's sentence, if it refused the change.
fn guarded(error: &StoreError) -> Option<String> {
    let (message, hint) = error.guarded()?;
    Some(match hint {
        Some(hint) => format!("{message}. {hint}"),
        None => message.to_owned(),
    })
}

fn interrupted(source: StoreError, done: Done) -> OperatorError {
    OperatorError::Interrupted {
        changed: done.changed,
        source,
    }
}

/// One line for each act.
fn report(act: &Act, who: &Actor, changed: u64, skipped: u64) {
    let (act, who) = (act.as_str(), who.as_str());
    tracing::info!(
        act,
        who,
        changed,
        skipped,
        "messages were changed by an operator"
    );
}
