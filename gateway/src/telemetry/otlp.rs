//! Export over OTLP/HTTP.
//!
//! The exporters run on threads of their own, outside the runtime; their requests are sent by the
//! gateway's one outgoing client on the runtime, under the same rules as every other request.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};

use super::TelemetryError;
use super::spans::{Bounded, Counted, SpanCounts};

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
        let exporter = Counted::new(exporter, counts.clone());
        let config = BatchConfigBuilder::default().with_max_queue_size(queue).build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        Ok(SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(Bounded::new(batches, counts.clone(), queue))
            .build())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint.trim_end_matches('/'))
    }
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
