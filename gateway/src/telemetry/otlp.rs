//! Export over OTLP/HTTP.
//!
//! The exporters run on threads of their own, outside the runtime; their requests are sent by the
//! gateway's one outgoing client on the runtime, under the same rules as every other request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanProcessor,
};

use super::TelemetryError;

/// Where to export to, and with what.
#[derive(Debug)]
pub struct Otlp {
    /// Base URL of the collector, such as `http://127.0.0.1:4318`.
    pub endpoint: String,
    /// Sends the requests.
    pub client: Arc<dyn HttpClient>,
}

/// An export takes no longer than this.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Otlp {
    pub(super) fn metrics(&self) -> Result<MetricExporter, TelemetryError> {
        MetricExporter::builder()
            .with_http()
            .with_http_client(Shared(self.client.clone()))
            .with_endpoint(self.url("/v1/metrics"))
            .with_timeout(TIMEOUT)
            .build()
            .map_err(TelemetryError::Otlp)
    }

    pub(super) fn traces(
        &self,
        queue: usize,
        resource: Resource,
        counts: &Arc<SpanCounts>,
    ) -> Result<SdkTracerProvider, TelemetryError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Shared(self.client.clone()))
            .with_endpoint(self.url("/v1/traces"))
            .with_timeout(TIMEOUT)
            .build()
            .map_err(TelemetryError::Otlp)?;
        let exporter = Counted { exporter, counts: counts.clone() };
        let config = BatchConfigBuilder::default().with_max_queue_size(queue).build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        Ok(SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(Ended(counts.clone()))
            .with_span_processor(batches)
            .build())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint.trim_end_matches('/'))
    }
}

/// How many spans there were and what became of them.
#[derive(Debug, Default)]
pub struct SpanCounts {
    /// Spans that ended.
    pub ended: AtomicU64,
    /// Spans that the collector took.
    pub exported: AtomicU64,
    /// Spans that it did not take.
    pub failed: AtomicU64,
}

#[derive(Debug)]
struct Shared(Arc<dyn HttpClient>);

#[async_trait::async_trait]
impl HttpClient for Shared {
    async fn send_bytes(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> Result<http::Response<bytes::Bytes>, opentelemetry_http::HttpError> {
        self.0.send_bytes(request).await
    }
}

#[derive(Debug)]
struct Ended(Arc<SpanCounts>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[derive(Debug)]
struct Counted {
    exporter: SpanExporter,
    counts: Arc<SpanCounts>,
}

impl opentelemetry_sdk::trace::SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let number = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let result = self.exporter.export(batch).await;
        let count = if result.is_ok() { &self.counts.exported } else { &self.counts.failed };
        count.fetch_add(number, Ordering::Relaxed);
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
