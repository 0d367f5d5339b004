//! Messages that wait for a connection to the table that the app shows: whoever gets one takes along all that wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{self, Receiver, Sender};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::provider::in_app::{Item, Put};

/// Those that wait, by the order in which they came.
#[derive(Default)]
pub(super) struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, Asked>,
}

/// One of them, and who hears of its outcome.
struct Asked {
    message: Uuid,
    part: i32,
    user: Uuid,
    kind: Option<String>,
    subject: Option<String>,
    body: String,
    done: Sender<Put>,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its number, and where its outcome will be heard of.
    pub(super) fn add(&self, item: Item<'_>) -> (u64, Receiver<Put>) {
        let (done, hear) = oneshot::channel();
        let asked = Asked {
            message: item.message.0,
            part: i32::from(item.part),
            user: item.user,
            kind: item.kind.map(str::to_owned),
            subject: item.subject.map(str::to_owned),
            body: item.body.to_owned(),
            done,
        };
        let mut state = self.state();
        let nth = state.next;
        state.next += 1;
        state.waiting.insert(nth, asked);
        (nth, hear)
    }

    /// Whether it was still there: then nothing is done about it.
    pub(super) fn remove(&self, nth: u64) -> bool {
        self.state().waiting.remove(&nth).is_some()
    }

    /// All that wait, if this one is among them; else somebody has taken it along.
    pub(super) fn take_with(&self, nth: u64) -> Option<Group> {
        let mut state = self.state();
        if !state.waiting.contains_key(&nth) {
            return None;
        }
        let all = std::mem::take(&mut state.waiting);
        Some(Group(all.into_values().collect()))
    }
}

/// Those that are put there together.
pub(super) struct Group(Vec<Asked>);

impl Group {
    /// All have this outcome. One whose request was given up hears nothing.
    pub(super) fn notify(self, put: &Put) {
        for asked in self.0 {
            drop(asked.done.send(put.clone()));
        }
    }

    /// Each by itself, if there are several.
    pub(super) fn apart(self) -> Result<Vec<Self>, Self> {
        if self.0.len() < 2 {
            return Err(self);
        }
        Ok(self.0.into_iter().map(|asked| Self(vec![asked])).collect())
    }

    pub(super) fn values(&self) -> Values<'_> {
        Values {
            messages: self.0.iter().map(|asked| asked.message).collect(),
            parts: self.0.iter().map(|asked| asked.part).collect(),
            users: self.0.iter().map(|asked| asked.user).collect(),
            kinds: self.0.iter().map(|asked| asked.kind.as_deref()).collect(),
            subjects: self
                .0
                .iter()
                .map(|asked| asked.subject.as_deref())
                .collect(),
            bodies: self.0.iter().map(|asked| asked.body.as_str()).collect(),
        }
    }
}

/// The parameters of their statement.
pub(super) struct Values<'a> {
    messages: Vec<Uuid>,
    parts: Vec<i32>,
    users: Vec<Uuid>,
    kinds: Vec<Option<&'a str>>,
    subjects: Vec<Option<&'a str>>,
    bodies: Vec<&'a str>,
}

impl Values<'_> {
    pub(super) fn parameters(&self) -> [&(dyn ToSql + Sync); 6] {
        [
            &self.messages,
            &self.parts,
            &self.users,
            &self.kinds,
            &self.subjects,
            &self.bodies,
        ]
    }
}
