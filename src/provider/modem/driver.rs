//! Keeps the connection to the modem: sends one message at a time, and passes on what the modem receives. A modem that
//! is unplugged, reset or silent is connected to again; until then messages are not sent.

use std::time::Duration;

use futures_util::future::pending;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::ModemConfig;
use super::at::Failed;
use super::codes;
use super::inbound::Inbound;
use super::pdu::{Submit, submits};
use super::port::Port;
use super::reports::Accepted;
use super::session::{Broken, Submitted};
use super::setup::{self, NotReady, POLL, Pin, Ready, is_registered};
use crate::clock::Stopwatch;
use crate::message::{AttemptToken, Category, E164, MessageId, Outcome, Retry};
use crate::provider::Heard;
use crate::provider::latch::Latch;

/// Between two attempts to connect; doubling.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// How many time-outs of a message the network may take to answer it. An answer after the first is proof still; a modem
/// that has given none by then is connected to again.
const ANSWER_TIMEOUTS: u32 = 6;

/// For how long a modem that was in a network is taken to be in it.
const REGISTERED_FOR: Duration = Duration::from_secs(10);

/// What the driver is asked to do.
pub(super) enum DriverRequest {
    /// Send a message.
    Send(Box<Job>),
    /// See that the modem is in a network, because messages are due soon.
    Prepare,
}

/// A message to be sent.
pub(super) struct Job {
    pub(super) message: MessageId,
    pub(super) token: AttemptToken,
    pub(super) to: E164,
    pub(super) text: String,
    pub(super) valid_for: Duration,
    /// Taken before the last byte of the first segment.
    pub(super) latch: Latch,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// The task that owns the connection to a modem.
pub(super) struct Driver {
    port: Port,
    answer_max: Duration,
    pin: Pin,
    asks: mpsc::Receiver<DriverRequest>,
    inbound: Inbound,
    /// Since when the modem is known to be in a network.
    registered: Option<Stopwatch>,
    /// How long to wait before the next attempt to connect.
    pause: Duration,
    /// Why the modem could not be used the last time, as it was logged.
    logged: Option<String>,
}

impl Driver {
    pub(super) fn new(
        config: ModemConfig,
        asks: mpsc::Receiver<DriverRequest>,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        let sender = config.sender.as_str().to_owned();
        Self {
            port: config.port,
            answer_max: ANSWER_TIMEOUTS * config.send_timeout,
            pin: Pin::new(config.pin),
            asks,
            inbound: Inbound::new(config.account, sender, heard),
            registered: None,
            pause: PAUSE_MIN,
            logged: None,
        }
    }

    /// Runs for ever.
    pub(super) async fn run(mut self) {
        loop {
            let ready = setup::ready(&self.port, &mut self.pin, self.answer_max).await;
            let why = match ready {
                Ok(mut ready) => NotReady::Broken(self.serve(&mut ready).await),
                Err(why) => why,
            };
            let reason = why.to_string();
            let outcome = match &why {
                NotReady::Broken(broken) => unsent(broken),
                NotReady::Locked(_) | NotReady::Unsupported(_) => codes::account(&reason),
            };
            // Not at every attempt to connect.
            if self.logged.as_ref() != Some(&reason) {
                tracing::warn!(modem = %self.port, %reason, "the modem cannot be used");
                self.logged = Some(reason);
            }
            self.registered = None;
            let pause = self.pause;
            self.pause = (2 * pause).min(PAUSE_MAX);
            self.refuse(&outcome, pause).await;
        }
    }

    /// Refuses what is to be sent meanwhile.
    async fn refuse(&mut self, outcome: &Outcome, pause: Duration) {
        let refuse = async {
            while let Some(ask) = self.asks.recv().await {
                if let DriverRequest::Send(job) = ask {
                    // Who asked may have given up.
                    let _ = job.reply.send(outcome.clone());
                }
            }
            pending::<()>().await;
        };
        tokio::select! {
            () = refuse => {}
            () = sleep(pause) => {}
        }
    }

    /// Uses the modem until its connection is broken.
    async fn serve(&mut self, ready: &mut Ready) -> Broken {
        if let Err(broken) = self.inbound.poll(ready).await {
            return broken;
        }
        // Only now does it work: one that is lost at once each time is not connected to ever faster.
        tracing::info!(modem = %self.port, "the modem is ready");
        self.pause = PAUSE_MIN;
        self.logged = None;
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        poll.reset();
        loop {
            // In no order: whatever there is much of, the others have their turn.
            let done = tokio::select! {
                Some(ask) = self.asks.recv() => match ask {
                    DriverRequest::Send(job) => self.send(ready, *job).await,
                    DriverRequest::Prepare => self.is_registered(ready).await.map(drop),
                },
                Some(recorded) = self.inbound.next_recorded() => self.inbound.recorded(ready, recorded).await,
                news = ready.session.news() => match news {
                    Ok(news) => self.inbound.take(ready, news).await,
                    Err(broken) => Err(broken),
                },
                _ = poll.tick() => self.inbound.poll(ready).await,
            };
            if let Err(broken) = done {
                return broken;
            }
        }
    }

    async fn is_registered(&mut self, ready: &mut Ready) -> Result<bool, Broken> {
        if self
            .registered
            .is_some_and(|since| since.elapsed() < REGISTERED_FOR)
        {
            return Ok(true);
        }
        let is_registered = is_registered(&mut ready.session).await?;
        self.registered = is_registered.then(Stopwatch::start);
        Ok(is_registered)
    }

    /// Sends a message, and answers who asked for it.
    async fn send(&mut self, ready: &mut Ready, job: Job) -> Result<(), Broken> {
        if job.reply.is_closed() {
            // It was withdrawn while the modem was busy.
            return Ok(());
        }
        let (outcome, accepted, broken) = self.sent(ready, &job).await;
        let late = job.reply.send(outcome).is_err();
        if let (true, Some(accepted)) = (late, accepted) {
            // Nobody waits for it any more, so the outcome is uncertain. This is the proof.
            self.inbound.prove(ready, &accepted);
        }
        broken.map_or(Ok(()), Err)
    }

    /// The outcome, what was accepted, and why the connection is broken, if it is.
    async fn sent(
        &mut self,
        ready: &mut Ready,
        job: &Job,
    ) -> (Outcome, Option<Accepted>, Option<Broken>) {
        match self.is_registered(ready).await {
            Ok(true) => {}
            Ok(false) => {
                const NO_NETWORK: Failed = Failed::Message(331);
                return (codes::outcome(NO_NETWORK, false), None, None);
            }
            Err(broken) => return (unsent(&broken), None, Some(broken)),
        }
        let Some(segments) = submits(&job.to, &job.text, job.valid_for, job.token) else {
            return (too_long(), None, None);
        };
        match submit_all(ready, &segments, &job.latch).await {
            Ok(references) => {
                let accepted = Accepted {
                    message: job.message,
                    token: job.token,
                    to: job.to.clone(),
                    references,
                };
                let sid = self.inbound.expect(ready, accepted.clone());
                let broken = ready.session.broken();
                (Outcome::Accepted { sid }, Some(accepted), broken)
            }
            Err(outcome) => {
                // It may have lost its network.
                self.registered = None;
                (outcome, None, ready.session.broken())
            }
        }
    }
}

/// Sends the segments of a text, and returns the modem's numbers of them.
async fn submit_all(
    ready: &mut Ready,
    segments: &[Submit],
    latch: &Latch,
) -> Result<Vec<u8>, Outcome> {
    let mut references = Vec::with_capacity(segments.len());
    for segment in segments {
        let is_first = references.is_empty();
        let submitted = ready
            .session
            .submit(segment, || !is_first || latch.take())
            .await;
        let outcome = match submitted {
            Submitted::Accepted(reference) => {
                references.push(reference);
                continue;
            }
            Submitted::Failed {
                failed,
                after_last_byte,
            } => codes::outcome(failed, after_last_byte),
            Submitted::Unsent(reason) => Outcome::Unsent { reason },
            Submitted::Unknown(reason) => Outcome::Unknown { reason },
        };
        if is_first {
            return Err(outcome);
        }
        // A part of the text is out, so it is not unsent, and to send all of it again would double that part.
        let why = match outcome {
            Outcome::Unsent { reason } | Outcome::Unknown { reason } => reason,
            Outcome::Refused { text, .. } => text,
            Outcome::Throttled { .. } => "too many messages".to_owned(),
            Outcome::Accepted { .. } => continue,
        };
        let (sent, all) = (references.len(), segments.len());
        return Err(Outcome::Unknown {
            reason: format!("{sent} of {all} segments were sent, and then: {why}"),
        });
    }
    Ok(references)
}

fn unsent(broken: &Broken) -> Outcome {
    Outcome::Unsent {
        reason: format!("no modem: {broken}"),
    }
}

fn too_long() -> Outcome {
    Outcome::Refused {
        code: None,
        category: Category::Content,
        text: "the text has more than 255 segments".to_owned(),
        retry: Retry::No,
    }
}
