//! What the gateway says of itself: logs, metrics and traces.
//!
//! Metrics are always kept and shown on the admin listener as a Prometheus page; with an OTLP
//! endpoint configured they, and one span per station of the line, are exported as well. Names follow
//! the OpenTelemetry conventions with the prefix `symbolon.`. No label ever carries a secret, a
//! subject or a path: their number is not bounded, and dashboards are read by many.
//!
//! INVARIANT: telemetry never delays a request. Queues are bounded; what does not fit is dropped and
//! counted (`symbolon.telemetry.spans`, by `state`).
//!
//! INVARIANT: what is exported of a request is the spans of its stations and nothing else: no span of
//! a library (those of the exporter's own requests among them, which would never end), and no line of
//! the log, where plugins' words are.

mod leases;
mod metrics;
mod observed;
mod otlp;
mod spans;

use std::io::IsTerminal as _;
use std::sync::Arc;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Encoder, Registry, TextEncoder};
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

pub use metrics::{Metrics, Outcome};
pub use otlp::Otlp;
pub use spans::{SpanCounts, SpanReading};

/// The target of the spans of stations. They are exported and not logged: without an export nobody
/// makes them.
pub const STATION: &str = "symbolon::station";

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// Text, for people.
    Text,
}

/// What telemetry needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `service.name` of the exported telemetry.
    pub service_name: String,
    /// Filter of the log, in the syntax of `tracing_subscriber::EnvFilter`: `info`, `symbolon=debug`.
    pub log: String,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Most spans that wait for their export.
    pub queue: usize,
}

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("`{0}` is not a log filter; write a level such as `info`, or `symbolon=debug,info`")]
    Filter(String, #[source] tracing_subscriber::filter::ParseError),
    /// The Prometheus exporter refused its registry.
    #[error("the metrics page cannot be set up")]
    Prometheus(#[source] opentelemetry_sdk::error::OTelSdkError),
    /// The OTLP exporter refused its settings.
    #[error("the OTLP export cannot be set up")]
    Otlp(#[source] opentelemetry_otlp::ExporterBuildError),
}

/// The running telemetry.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    meters: SdkMeterProvider,
    traces: Option<SdkTracerProvider>,
    metrics: Arc<Metrics>,
    spans: Arc<SpanCounts>,
}

impl Telemetry {
    /// Sets up metrics and, with an `otlp` endpoint, their export and that of traces. The log is set
    /// up apart, by [`Telemetry::subscribe`], since a process can do that only once.
    ///
    /// # Errors
    /// [`TelemetryError`] if an exporter refuses its settings.
    pub fn start(settings: &Settings, otlp: Option<&Otlp>) -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        let page = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .build()
            .map_err(TelemetryError::Prometheus)?;
        let resource = Resource::builder().with_service_name(settings.service_name.clone()).build();
        let mut meters =
            SdkMeterProvider::builder().with_reader(page).with_resource(resource.clone());
        let counts = Arc::new(SpanCounts::default());
        let mut traces = None;
        if let Some(otlp) = otlp {
            meters = meters.with_periodic_exporter(otlp.metrics()?);
            traces = Some(otlp.traces(settings.queue, resource, &counts)?);
        }
        let meters = meters.build();
        let metrics = Arc::new(Metrics::new(&meters, &counts));
        Ok(Self { registry, meters, traces, metrics, spans: counts })
    }

    /// Makes this the process's log and span sink. Later calls in the same process change nothing.
    ///
    /// # Errors
    /// [`TelemetryError::Filter`] if the filter does not parse.
    pub fn subscribe(&self, settings: &Settings) -> Result<(), TelemetryError> {
        let _ = tracing::subscriber::set_global_default(self.subscriber(settings)?);
        Ok(())
    }

    /// The log and span sink, for whoever wants it in a part of the process only.
    ///
    /// # Errors
    /// [`TelemetryError::Filter`] if the filter does not parse.
    pub fn subscriber(
        &self,
        settings: &Settings,
    ) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError> {
        let wrong = |error| TelemetryError::Filter(settings.log.clone(), error);
        let filter = EnvFilter::try_new(&settings.log).map_err(wrong)?;
        let filter = filter.add_directive(format!("{STATION}=off").parse().map_err(wrong)?);
        let Some(traces) = &self.traces else {
            // One filter over everything: what it refuses is never made.
            let all = tracing_subscriber::registry().with(filter);
            return Ok(Box::new(all.with(lines(settings.log_format))));
        };
        let stations = filter_fn(|metadata| metadata.is_span() && metadata.target() == STATION)
            .with_max_level_hint(LevelFilter::INFO);
        let spans = tracing_opentelemetry::layer().with_tracer(traces.tracer("symbolon"));
        let spans = tracing_subscriber::registry().with(spans.with_filter(stations));
        Ok(Box::new(spans.with(lines(settings.log_format).with_filter(filter))))
    }

    /// What became of the spans so far.
    #[must_use]
    pub fn spans(&self) -> SpanReading {
        self.spans.read()
    }

    /// The instruments.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    /// The Prometheus page (text exposition format 0.0.4).
    #[must_use]
    pub fn page(&self) -> Vec<u8> {
        let mut page = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut page) {
            tracing::error!(%error, "the metrics page could not be written");
        }
        page
    }

    /// Exports what waits, within the exporters' own deadlines. Blocks: call it off the runtime.
    pub fn shut_down(&self) {
        if let Some(traces) = &self.traces {
            let _ = traces.shutdown();
        }
        let _ = self.meters.shutdown();
    }
}

/// The log, as lines on standard error.
fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    match format {
        LogFormat::Json => lines.json().boxed(),
        LogFormat::Text => lines.boxed(),
    }
}

#[cfg(test)]
mod tests;
