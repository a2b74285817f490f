//! What joins a call to the network: which hosts the manifest asks for, and the client through
//! which everything the guest sends must pass.
//!
//! INVARIANT: whether a request may have reached an upstream is known from the host's own client
//! ([`Line::reached`]); what the guest says of it can only make the host more careful.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use symbolon_core::clock::Clock;
use tokio::time::Instant;
use url::Url;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::call::CallContext;
use crate::egress::{
    CallLimits, EgressClient, EgressObserver, Grant, GrantError, InCallersName, Injections,
    Methods, Outgoing, Reach, Terms,
};
use crate::manifest::{EgressWanted, Manifest};

/// How a backend reaches the network.
pub trait Outbound: Send + Sync + fmt::Debug {
    /// The network of the call that `context` describes, which is given up at `until`. Not every
    /// call needs one: it is opened when the guest first touches HTTP.
    fn open(&self, context: &CallContext, until: Instant) -> Box<dyn Line>;
}

/// The network of one call. Sees every request after the guest has let go of it.
pub trait Line: WasiHttpHooks {
    /// Whether some upstream may have seen a request of this call.
    fn reached(&self) -> bool;

    /// Whether this call began a request that was not refused: it may wait for somebody else then.
    fn asked(&self) -> bool;

    /// The code of what went wrong last: a request that was refused or failed, an answer that was cut.
    fn failure(&self) -> Option<&'static str>;

    /// Lets go of the credentials that were added to this call's requests, since the guest says that
    /// the upstream did not take them. Answers whether another call would have others.
    fn renew(&self) -> bool;

    /// Whether the call was made with the credential of a caller, or should have been.
    fn in_callers_name(&self) -> InCallersName;
}

/// No network at all: every request is refused. What a backend without grants has.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEgress;

impl Outbound for NoEgress {
    fn open(&self, _: &CallContext, _: Instant) -> Box<dyn Line> {
        Box::new(Self)
    }
}

impl Line for NoEgress {
    fn reached(&self) -> bool {
        false
    }

    fn asked(&self) -> bool {
        false
    }

    fn failure(&self) -> Option<&'static str> {
        None
    }

    fn renew(&self) -> bool {
        false
    }

    fn in_callers_name(&self) -> InCallersName {
        InCallersName::No
    }
}

type Worker = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for NoEgress {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Worker,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Worker), Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// The network that operator and manifest agree on, with the credentials to inject.
pub struct Upstream {
    /// The client, with the effective grants.
    pub client: Arc<EgressClient>,
    /// What is added to requests.
    pub injections: Arc<Injections>,
    /// Bounds of each call.
    pub limits: CallLimits,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who counts requests.
    pub observer: Arc<dyn EgressObserver>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Outbound for Upstream {
    fn open(&self, context: &CallContext, until: Instant) -> Box<dyn Line> {
        let context = context.clone();
        let terms = Terms { context, deadline: until, limits: self.limits };
        let (client, injections) = (Arc::clone(&self.client), Arc::clone(&self.injections));
        let (clock, observer) = (Arc::clone(&self.clock), Arc::clone(&self.observer));
        Box::new(Outgoing::new(client, injections, terms, clock, observer))
    }
}

impl Line for Outgoing {
    fn reached(&self) -> bool {
        self.record().reached
    }

    fn asked(&self) -> bool {
        let record = self.record();
        record.requests > record.refused
    }

    fn failure(&self) -> Option<&'static str> {
        self.record().last_error.map(|error| error.code())
    }

    fn renew(&self) -> bool {
        self.renew_used()
    }

    fn in_callers_name(&self) -> InCallersName {
        self.name()
    }
}

/// What `manifest` asks for when its backend is configured with `config`, to be intersected with
/// what the operator grants. A `{key}` that is not in the configuration names no host.
///
/// # Errors
/// [`GrantError`] if an entry, or the URL that it stands for, cannot be granted at all.
pub fn asked(manifest: &Manifest, config: &Value) -> Result<Vec<Grant>, GrantError> {
    manifest.egress.iter().filter_map(|wanted| grant(wanted, config).transpose()).collect()
}

fn grant(wanted: &EgressWanted, config: &Value) -> Result<Option<Grant>, GrantError> {
    let named = match wanted.url_key() {
        Some(key) => named_by(key, config).map(|(host, port)| (host, wanted.port.or(port))),
        None => filled(&wanted.host, config).map(|host| (host, wanted.port)),
    };
    let Some((host, port)) = named else { return Ok(None) };
    let reach = Reach::new(&wanted.scheme, &host, port, &wanted.path_prefix)?;
    let methods = Methods::parse(wanted.methods.iter().map(String::as_str))?;
    Ok(Some(Grant::new(reach, methods)))
}

/// `pattern` with each `{key}` replaced by what the configuration has there, if that is one label of
/// a name (RFC 1123): a value cannot become two labels, or another name.
#[must_use]
pub fn filled(pattern: &str, config: &Value) -> Option<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return Some(pattern.to_owned()) };
    let (key, after) = rest.split_once('}')?;
    let label = config.get(key)?.as_str().filter(|text| is_label(text))?;
    Some(format!("{before}{label}{}", filled(after, config)?))
}

fn is_label(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Host, and port if the URL states one, of the URL under `key`.
fn named_by(key: &str, config: &Value) -> Option<(String, Option<u16>)> {
    let url = Url::parse(config.get(key)?.as_str()?).ok()?;
    Some((url.host_str()?.to_owned(), url.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(host: &str, port: Option<u16>) -> Vec<String> {
        let wanted = EgressWanted {
            scheme: "https".into(),
            host: host.into(),
            port,
            methods: vec!["GET".into()],
            path_prefix: "/v1/".into(),
        };
        let config = serde_json::json!({"url": "https://vault.example:8200/x", "plain": "https://a.example"});
        grant(&wanted, &config).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_key_within_a_name_stands_for_one_label() {
        let config = serde_json::json!({
            "service": "sts", "region": "eu-central-1", "dotted": "evil.example", "empty": "",
            "upper": "EU", "dash": "-a", "number": 7, "nested": "{region}",
        });
        for (pattern, expected) in [
            ("{service}.{region}.amazonaws.com", Some("sts.eu-central-1.amazonaws.com")),
            ("api.{region}.example.com", Some("api.eu-central-1.example.com")),
            ("api.example.com", Some("api.example.com")),
            ("{dotted}.example.com", None),
            ("{empty}.example.com", None),
            ("{upper}.example.com", None),
            ("{dash}.example.com", None),
            ("{number}.example.com", None),
            ("{nested}.example.com", None),
            ("{missing}.example.com", None),
            ("{service.example.com", None),
        ] {
            assert_eq!(filled(pattern, &config).as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn a_key_stands_for_the_host_and_port_of_its_url() {
        for (host, port, expected) in [
            ("{url}", None, Some("https://vault.example:8200/v1")),
            ("{url}", Some(443), Some("https://vault.example:443/v1")),
            ("{plain}", None, Some("https://a.example:443/v1")),
            ("api.example", None, Some("https://api.example:443/v1")),
            ("{missing}", None, None),
        ] {
            let shown = shown(host, port);
            assert_eq!(shown.len(), usize::from(expected.is_some()), "{host}");
            assert!(shown.iter().all(|s| s.contains(expected.unwrap_or_default())), "{shown:?}");
        }
    }
}
