//! The outgoing client of telemetry: the exporters' requests, under the rules of every other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError};
use symbolon_host::egress::{
    ClientLimits, EgressClient, FetchLimits, Grant, Methods, Network, Reach,
};

use super::StartError;
use crate::telemetry::Otlp;

/// The collector's answers are short.
const LIMITS: FetchLimits = FetchLimits { deadline: Duration::from_secs(10), max_body: 64 << 10 };

/// An exporter to the collector at `endpoint`, which the operator names and which may therefore be
/// on a private or loopback address.
pub(super) fn exporter(endpoint: &str, network: &Network) -> Result<Otlp, StartError> {
    let refused = |error: &dyn std::fmt::Display| StartError::Collector(error.to_string());
    let reach = Reach::parse(endpoint).map_err(|error| refused(&error))?;
    let methods = Methods::parse(["POST"]).map_err(|error| refused(&error))?;
    let anywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|net| net.parse().ok()).collect();
    let grant = Grant::new(reach, methods).at(anywhere);
    let client = EgressClient::new(network.clone(), vec![grant], ClientLimits::default());
    let runtime = tokio::runtime::Handle::current();
    Ok(Otlp { endpoint: endpoint.to_owned(), client: Arc::new(Client { client, runtime }) })
}

struct Client {
    client: Arc<EgressClient>,
    runtime: tokio::runtime::Handle,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    /// The exporters call this outside the runtime; the request is made on it.
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { Box::pin(client.fetch(request, LIMITS)).await });
        Ok(sent.await??)
    }
}
