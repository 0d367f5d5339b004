//! Exports the spans of messages to a collector by OTLP over HTTP, with the feature `otlp` and if
//! `OTEL_EXPORTER_OTLP_ENDPOINT` names one.
//!
//! The exporter's other `OTEL_…` variables apply as well. Plain HTTP only: a collector beside the
//! daemon forwards the spans.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::metrics::span::TARGET;
use crate::version::VERSION;

/// Names the collector.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Exports the remaining spans when it is dropped, at the end of the process.
pub(super) struct Exporting(SdkTracerProvider);

impl Drop for Exporting {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

/// A layer for the spans of messages; `None` if no collector is named.
pub(super) fn layer<S>() -> anyhow::Result<Option<(impl Layer<S>, Exporting)>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if std::env::var_os(ENDPOINT).is_none_or(|endpoint| endpoint.is_empty()) {
        return Ok(None);
    }
    // Its client needs one even without encryption. Fails only if one is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = SpanExporter::builder().with_http().build()?;
    let resource = Resource::builder()
        .with_service_name("punctual")
        .with_attribute(opentelemetry::KeyValue::new("service.version", VERSION))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("punctual"))
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::DEBUG));
    Ok(Some((layer, Exporting(provider))))
}
