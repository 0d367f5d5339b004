//! Starts what the reactor has decided.

use std::collections::VecDeque;

use super::EventLoop;
use crate::dispatch::Payload;
use crate::reactor::Command;

impl EventLoop {
    /// Starts what the reactor has decided.
    pub(super) fn begin(&mut self) {
        // Requests first: they are the ones that are due this instant.
        let mut rest = VecDeque::new();
        while let Some(command) = self.reactor.next_command() {
            match command {
                Command::Start { .. } => self.perform(command),
                other => rest.push_back(other),
            }
        }
        for command in rest {
            self.perform(command);
        }
    }

    fn perform(&mut self, command: Command<Payload>) {
        let dispatch = self.dispatch.clone();
        let parts = self.parts.clone();
        match command {
            Command::Start {
                id,
                payload,
                start_before,
            } => self
                .tasks
                .spawn(async move { Some(dispatch.send(id, payload, start_before).await) }),
            Command::Claim(asks) => self
                .tasks
                .spawn(async move { Some(dispatch.claim(asks).await) }),
            Command::ClaimPaced { asks, until } => self
                .tasks
                .spawn(async move { Some(dispatch.claim_paced(asks, until).await) }),
            Command::ReadPauses => self
                .tasks
                .spawn(async move { Some(dispatch.read_pauses().await) }),
            Command::Record { group, records } => self
                .tasks
                .spawn(async move { Some(dispatch.record(group, records).await) }),
            Command::Read(ids) => self
                .tasks
                .spawn(async move { Some(dispatch.read(ids).await) }),
            Command::Load { from, until, most } => self.tasks.spawn(async move {
                dispatch.load((from, until), most, parts).await;
                None
            }),
            Command::Prewarm { lane, connections } => self.tasks.spawn(async move {
                if let Some(provider) = dispatch.providers.get(&lane) {
                    provider.prewarm(connections).await;
                }
                None
            }),
        };
    }
}
