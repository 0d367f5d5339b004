//! Spans that follow a message: its claim, its request, its record, its receipts.
//!
//! They are at `debug` and of a target of their own, so that a daemon at `info` makes none. With the
//! feature `otlp` those of one attempt are one trace, whichever instance made them: its id is the attempt's
//! token, so that a callback, hours later and perhaps at another instance, belongs to it as well.

use tracing::Span;

use crate::message::{AttemptToken, MessageId};

/// The target of these spans.
pub const TARGET: &str = "punctual::message";

/// A stretch of a message's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From the claim's request to its response.
    Claim,
    /// From the request to the provider's response.
    Send,
    /// Writing down what came of it.
    Record,
    /// Merging a callback.
    Receipt,
}

/// A span of one attempt.
pub fn of(step: Step, id: MessageId, token: AttemptToken) -> Span {
    macro_rules! span {
        ($name:literal) => {
            tracing::debug_span!(target: TARGET, $name, message.id = %id, attempt.token = %token)
        };
    }
    let span = match step {
        Step::Claim => span!("claim"),
        Step::Send => span!("send"),
        Step::Record => span!("record"),
        Step::Receipt => span!("receipt"),
    };
    #[cfg(feature = "otlp")]
    belong(&span, token);
    span
}

#[cfg(feature = "otlp")]
fn belong(span: &Span, token: AttemptToken) {
    use opentelemetry::Context;
    use opentelemetry::trace::{
        SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    };
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    if span.is_disabled() {
        return;
    }
    let bytes = token.0.into_bytes();
    let mut last = [0; 8];
    last.copy_from_slice(&bytes[8..]);
    let whole = SpanContext::new(
        TraceId::from_bytes(bytes),
        SpanId::from_bytes(last),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    // Refused only where the span has begun already, or there is no collector.
    let _ = span.set_parent(Context::new().with_remote_span_context(whole));
}
