//! What the gateway says of itself: logs, metrics and traces.
//!
//! Metrics are always kept and shown on the admin listener as a Prometheus page; with an OTLP
//! endpoint configured they, and one span per station of the line, are exported as well. Names follow
//! the OpenTelemetry conventions with the prefix `symbolon.`. No label ever carries a secret, a
//! subject or a path: their number is not bounded, and dashboards are read by many.
//!
//! INVARIANT: telemetry never delays a request. Queues are bounded; what does not fit is dropped and
//! counted (`symbolon.telemetry.spans`, by `state`).

mod metrics;
mod observed;
mod otlp;

use std::sync::Arc;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Encoder, Registry, TextEncoder};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use metrics::{Metrics, Outcome};
pub use otlp::{Otlp, SpanCounts};

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
        Ok(Self { registry, meters, traces, metrics })
    }

    /// Makes this the process's log and span sink. Later calls in the same process change nothing.
    ///
    /// # Errors
    /// [`TelemetryError::Filter`] if the filter does not parse.
    pub fn subscribe(&self, settings: &Settings) -> Result<(), TelemetryError> {
        let filter = EnvFilter::try_new(&settings.log)
            .map_err(|error| TelemetryError::Filter(settings.log.clone(), error))?;
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match settings.log_format {
            LogFormat::Json => lines.json().boxed(),
            LogFormat::Text => lines.boxed(),
        };
        let spans = self
            .traces
            .as_ref()
            .map(|traces| tracing_opentelemetry::layer().with_tracer(traces.tracer("symbolon")));
        let subscriber = tracing_subscriber::registry().with(spans).with(lines.with_filter(filter));
        let _ = tracing::subscriber::set_global_default(subscriber);
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_page_shows_a_decision_under_its_documented_name() {
        let settings = Settings {
            service_name: "symbolon".to_owned(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            queue: 16,
        };
        let telemetry = Telemetry::start(&settings, None).unwrap();
        telemetry.metrics().decided("deny", "no_rule", Duration::from_micros(40));
        let page = String::from_utf8(telemetry.page()).unwrap();
        assert!(page.contains("symbolon_authz_decisions_total{"), "{page}");
        assert!(page.contains("reason=\"no_rule\""), "{page}");
        assert!(page.contains("symbolon_authz_decision_duration_seconds_bucket"), "{page}");
    }
}
