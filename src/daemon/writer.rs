//! The writer: has the texts of messages written by a language model before they are due. A message always has a text
//! of its own, so nothing waits for this.
//!
//! Drafts are taken by a lease, so no two instances write one text; no transaction is open while the model is asked. It
//! is woken by notifications, and sleeps until a lease is over or a draft comes too late.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::event_loop::Wakers;
use crate::clock::{self, Stopwatch};
use crate::dispatch::Dispatch;
use crate::limits::WriterLimits;
use crate::policy::Rules;
use crate::provider::llm::{Answer, Llm, LlmFailure};
use crate::store::StoreError;
use crate::store::drafts::{Draft, Reserved};
use crate::wording::{Brief, BriefError, DraftEnd, Nanos, Prices, Request, Spent, Usage, judge};

mod gate;

use gate::{Gate, Sign};

/// What has texts written.
pub struct Writer {
    llm: Llm,
    prices: Option<Prices>,
    budget: Option<Nanos>,
}

impl Writer {
    /// By this model; its tokens cost this, and a day (UTC) at most that.
    pub const fn new(llm: Llm, prices: Option<Prices>, budget: Option<Nanos>) -> Self {
        Self {
            llm,
            prices,
            budget,
        }
    }

    /// The name of its model.
    pub fn model(&self) -> &str {
        &self.llm.config().model
    }
}

/// What it works on.
pub(super) struct Context {
    writer: Writer,
    dispatch: Dispatch,
    wake: Arc<Notify>,
}

/// Writes until `stop`. What is being written then is taken by another instance once its lease is over.
pub(super) async fn keep(on: Context, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = on.work() => {}
    }
}

impl Context {
    pub(super) fn of(writer: Option<Writer>, dispatch: &Dispatch, wakers: &Wakers) -> Option<Self> {
        writer.map(|writer| Self {
            writer,
            dispatch: dispatch.clone(),
            wake: Arc::clone(&wakers.drafts),
        })
    }

    fn limits(&self) -> &WriterLimits {
        &self.dispatch.limits.daemon.writer
    }

    async fn work(&self) {
        let mut calls: FuturesUnordered<BoxFuture<'_, Sign>> = FuturesUnordered::new();
        let mut gate = Gate::new(*self.limits());
        let mut looked: Option<Stopwatch> = None;
        loop {
            let nap = match self.begin(&mut calls, &mut gate, &mut looked).await {
                Ok(nap) => nap,
                Err(error) => {
                    tracing::warn!(%error, "drafts could not be read; retrying");
                    self.limits().failed_pause
                }
            };
            tokio::select! {
                Some(sign) = calls.next(), if !calls.is_empty() => {
                    gate.note(&sign, clock::reading().up);
                }
                () = self.wake.notified() => {}
                () = sleep(nap) => {}
            }
        }
    }

    /// Begins what can be begun; returns how long there is nothing else to do.
    async fn begin<'a>(
        &'a self,
        calls: &mut FuturesUnordered<BoxFuture<'a, Sign>>,
        gate: &mut Gate,
        looked: &mut Option<Stopwatch>,
    ) -> Result<Duration, StoreError> {
        let (store, limits) = (&self.dispatch.store, self.limits());
        let now = clock::reading().up;
        let free = gate.free(self.writer.llm.config().concurrency, now);
        let free = free.saturating_sub(calls.len());
        let mut has_more = false;
        if free > 0 {
            let lease = self.writer.llm.config().timeout + limits.lease_beyond;
            let take = store.take_drafts(free, lease, limits.due_after);
            let drafts = store.bounded(take).await?;
            has_more = drafts.len() == free;
            calls.extend(drafts.into_iter().map(|draft| self.write(draft).boxed()));
        }
        let is_soon = looked.is_some_and(|looked| looked.elapsed() < limits.late_every);
        if has_more && is_soon {
            return Ok(limits.late_every);
        }
        *looked = Some(Stopwatch::start());
        let late = store.end_late_drafts(limits.due_after, limits.late);
        let late = store.bounded(late).await?;
        for end in &late {
            self.dispatch.metrics.texts().ended(*end, 1);
        }
        let (least, most) = limits.nap;
        if late.len() == limits.late {
            return Ok(least);
        }
        let next = store.bounded(store.next_draft(limits.due_after)).await?;
        let opens = gate.opens_in(now);
        let nap = next.into_iter().chain(opens).min().unwrap_or(most);
        Ok(nap.clamp(least, most))
    }

    async fn write(&self, draft: Draft) -> Sign {
        match self.attempt(&draft).await {
            Ok(sign) => sign,
            Err(error) => {
                tracing::warn!(
                    message.id = %draft.message, %error,
                    "what became of a draft was not recorded; it is tried again once its lease is over"
                );
                Sign::None
            }
        }
    }

    async fn attempt(&self, draft: &Draft) -> Result<Sign, StoreError> {
        let nothing = Spent::default();
        if !draft.is_current {
            self.end(draft, Some(DraftEnd::Changed), None, &nothing)
                .await?;
            return Ok(Sign::None);
        }
        let brief = match brief(draft, &self.dispatch.rules) {
            Ok(brief) => brief,
            Err(why) => {
                let (end, why) = (Some(DraftEnd::Unusable), why.to_string());
                self.end(draft, end, Some(&why), &nothing).await?;
                return Ok(Sign::None);
            }
        };
        let request = Request::of(&brief);
        let Ok(reserved) = self.reserve(&request).await? else {
            let end = Some(DraftEnd::OverBudget);
            self.end(draft, end, None, &nothing).await?;
            return Ok(Sign::None);
        };
        let left = draft.due.since(self.dispatch.clock.now().db);
        let within = left.saturating_sub(self.limits().spare);
        let began = Stopwatch::start();
        let asked = self.writer.llm.ask(&request, within).await;
        let spent = self
            .writer
            .llm
            .spent(&request, &asked, self.writer.prices, began.elapsed());
        self.dispatch.metrics.texts().called(&spent);
        if let Some(reserved) = reserved {
            self.settle(&reserved, &spent).await;
        }
        match asked {
            Ok(answer) => self.put(draft, &brief, &answer, &spent).await,
            Err(failure) => self.failed(draft, &failure, &spent).await,
        }
    }

    /// Reserves the most that a request may cost. `Err`: the budget has not as much left.
    async fn reserve(&self, request: &Request) -> Result<Result<Option<Reserved>, ()>, StoreError> {
        let (Some(prices), Some(budget)) = (self.writer.prices, self.writer.budget) else {
            return Ok(Ok(None));
        };
        let most = prices.cost(Usage::most(request));
        let store = &self.dispatch.store;
        let reserved = store.bounded(store.reserve_cost(most, budget)).await?;
        Ok(reserved.map(Some).ok_or(()))
    }

    /// What was not entered stays reserved: then the day has cost less than the budget says.
    async fn settle(&self, reserved: &Reserved, spent: &Spent) {
        let store = &self.dispatch.store;
        let cost = spent.cost.unwrap_or_default();
        if let Err(error) = store.bounded(store.settle_cost(reserved, cost)).await {
            tracing::warn!(%error, "the cost of a text was not entered");
        }
    }

    async fn put(
        &self,
        draft: &Draft,
        brief: &Brief,
        answer: &Answer,
        spent: &Spent,
    ) -> Result<Sign, StoreError> {
        let (store, rules) = (&self.dispatch.store, &self.dispatch.rules);
        let separator = rules.part_separator.as_deref();
        match judge(&answer.text, brief, separator) {
            Ok(text) => {
                if store.bounded(store.put_draft(draft, &text, spent)).await? {
                    self.dispatch.metrics.texts().ended(DraftEnd::Written, 1);
                } else {
                    self.end(draft, None, None, spent).await?;
                }
            }
            Err(fault) => {
                let (end, why) = (Some(DraftEnd::Refused), fault.to_string());
                self.end(draft, end, Some(&why), spent).await?;
            }
        }
        Ok(Sign::Answered)
    }

    async fn failed(
        &self,
        draft: &Draft,
        failure: &LlmFailure,
        spent: &Spent,
    ) -> Result<Sign, StoreError> {
        let limits = self.limits();
        let why = failure.to_string();
        let (end, sign) = match failure {
            LlmFailure::TimedOut => (DraftEnd::TimedOut, Sign::None),
            LlmFailure::Unusable(..) => (DraftEnd::Failed, Sign::Answered),
            LlmFailure::Forbidden(_) => (DraftEnd::Failed, Sign::Forbidden(why.clone())),
            LlmFailure::Unavailable(_) if draft.attempts >= limits.attempts => {
                (DraftEnd::Failed, Sign::None)
            }
            LlmFailure::Unavailable(_) => {
                let failures = u32::try_from(draft.attempts).unwrap_or(1);
                self.release(draft, limits.retry.pause(failures), false)
                    .await?;
                return Ok(Sign::None);
            }
            LlmFailure::Throttled(pause) => {
                let pause = (*pause).unwrap_or(limits.throttled_pause);
                self.release(draft, pause, true).await?;
                return Ok(Sign::Throttled(pause));
            }
            LlmFailure::NotAdmitted(_) => {
                self.release(draft, limits.refused_pause, true).await?;
                return Ok(Sign::NotAdmitted(why));
            }
        };
        self.end(draft, Some(end), Some(&why), spent).await?;
        Ok(sign)
    }

    async fn release(&self, draft: &Draft, pause: Duration, free: bool) -> Result<(), StoreError> {
        let store = &self.dispatch.store;
        let release = store.release_draft(draft, pause, free);
        store.bounded(release).await
    }

    async fn end(
        &self,
        draft: &Draft,
        end: Option<DraftEnd>,
        reason: Option<&str>,
        spent: &Spent,
    ) -> Result<(), StoreError> {
        let store = &self.dispatch.store;
        let ended = store.end_draft(draft, end, reason, spent);
        let Some(end) = store.bounded(ended).await? else {
            return Ok(());
        };
        self.dispatch.metrics.texts().ended(end, 1);
        if end.is_fallback() {
            tracing::info!(
                message.id = %draft.message, outcome = end.as_str(), reason,
                "no text was written; the message keeps its own"
            );
        }
        Ok(())
    }
}

/// The brief of a draft, by the recipient's clock.
fn brief(draft: &Draft, rules: &Rules) -> Result<Brief, BriefError> {
    let zone = Brief::zone_of(&draft.facts).and_then(|name| rules.zones.get(&name));
    let zone = zone.as_ref().unwrap_or(&rules.timezone);
    Brief::of(&draft.facts, draft.due, zone)
}
