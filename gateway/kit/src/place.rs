//! The host that a plugin is tested in: the gateway's own, with an upstream of the script's behind
//! every name.
//!
//! INVARIANT: nothing here replaces a part of the host. Egress goes through its client, by grants with
//! `resolve` and an authority of their own, as an operator's private installation would have it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use symbolon_core::clock::ManualClock;
use symbolon_core::id::BackendName;
use symbolon_core::secret::Secret;
use symbolon_host::answer::Role;
use symbolon_host::egress::{
    Attempt, BoxFuture, CallLimits, ClientLimits, Credential, CredentialSource, EgressClient,
    EgressObserver, FixedCredential, Form, Grant, Injection, Injections, Methods, Network, Reach,
    Resolver, Trust, intersect,
};
use symbolon_host::outbound::{Upstream as Outbound, asked, filled};
use symbolon_host::sql::Pool;
use symbolon_host::{Admitted, BackendSpec, Generation, Limits, NoEgress};

use crate::asked::origin;
use crate::script::{Backend, Script};
use crate::terms::{self, Terms};

/// What goes wrong with the kit itself, not with the plugin.
#[derive(Debug, thiserror::Error)]
#[error("the conformance kit cannot work: {0}")]
pub struct KitError(String);

impl KitError {
    /// With the cause in words.
    pub(crate) fn new(cause: impl std::fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// A certificate for every name of a script, and the authority behind it.
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    trust: Trust,
}

impl Identity {
    pub(crate) fn new(script: &Script) -> Result<Self, KitError> {
        let hosts: BTreeSet<String> = origins(script, None).into_iter().map(|o| o.1).collect();
        let mut params = CertificateParams::new(Vec::new()).map_err(KitError::new)?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(KitError::new)?;
        let authority = CertifiedIssuer::self_signed(params, key).map_err(KitError::new)?;
        let params = CertificateParams::new(hosts.into_iter().collect::<Vec<_>>());
        let key = KeyPair::generate().map_err(KitError::new)?;
        let leaf = params.and_then(|params| params.signed_by(&key, &authority));
        let leaf = leaf.map_err(KitError::new)?;
        let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())
            .map_err(KitError::new)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key)
            })
            .map_err(KitError::new)?;
        let trust = Trust::from_pem(authority.pem().as_bytes()).map_err(KitError::new)?;
        Ok(Self { server: Arc::new(server), trust })
    }
}

/// Scheme, host and port of every URL of the script, or of one of its backends.
fn origins(script: &Script, backend: Option<&str>) -> BTreeSet<(String, String, u16)> {
    let of_backend =
        script.cases.iter().filter(|case| backend.is_none_or(|name| case.backend == name));
    of_backend
        .flat_map(|case| case.upstream.iter().chain(case.again.iter().flatten()))
        .filter_map(|exchange| origin(&exchange.request.url))
        .collect()
}

/// How one call is surrounded.
pub(crate) struct Surroundings<'a> {
    pub(crate) script: &'a Script,
    pub(crate) identity: &'a Identity,
    pub(crate) terms: &'a Terms,
    /// How long a call may take.
    pub(crate) wall: Duration,
    /// Told of what the host refuses to send.
    pub(crate) refused: Arc<Refused>,
    pub(crate) database: Option<Arc<Pool>>,
}

/// A backend of the script, with its upstream at `address`.
pub(crate) fn backend(
    plugin: &Admitted,
    name: &str,
    address: std::net::SocketAddr,
    around: &Surroundings<'_>,
) -> Result<Generation, KitError> {
    let of = around.script.backends.get(name).ok_or_else(|| KitError::new("no such backend"))?;
    let config = around.terms.value(&of.config);
    let mut grants = Vec::new();
    let mut reaches = Vec::new();
    for (scheme, host, port) in origins(around.script, Some(name)) {
        let reach = Reach::new(&scheme, &host, Some(port), "/").map_err(KitError::new)?;
        let grant = Grant::new(reach.clone(), methods()?).with_encoded_slashes();
        let grant = grant.resolve_to(address).map_err(KitError::new)?;
        grants.push(grant.trusting(around.identity.trust.clone()));
        reaches.push(reach);
    }
    let wanted = asked(plugin.manifest(), &config).map_err(KitError::new)?;
    let network = Network::new(Arc::new(Nowhere), around.identity.trust.clone());
    let outbound = Outbound {
        client: EgressClient::new(
            network,
            intersect(&wanted, &grants).grants,
            ClientLimits::default(),
        ),
        injections: Arc::new(injections(plugin, of, &config, reaches, around.terms)?),
        limits: CallLimits::default(),
        clock: clock(),
        observer: around.refused.clone(),
    };
    let spec = BackendSpec {
        name: BackendName::parse("conformance").map_err(KitError::new)?,
        config,
        roles: roles(of, around.terms),
        limits: Limits { wall: around.wall, ..Limits::default() },
        outbound: Box::new(outbound),
        database: around.database.clone(),
    };
    Ok(Generation::new(plugin, spec, clock()))
}

/// A backend that can ask nobody, for checks of its configuration.
pub(crate) fn lone(
    plugin: &Admitted,
    config: Value,
    roles: Vec<Role>,
) -> Result<Generation, KitError> {
    let spec = BackendSpec {
        name: BackendName::parse("conformance").map_err(KitError::new)?,
        config,
        roles,
        limits: Limits::default(),
        outbound: Box::new(NoEgress),
        database: None,
    };
    Ok(Generation::new(plugin, spec, clock()))
}

/// Every method that can be granted to a plugin: the manifest narrows them.
fn methods() -> Result<Methods, KitError> {
    Methods::parse(["DELETE", "GET", "HEAD", "LIST", "OPTIONS", "PATCH", "POST", "PUT"])
        .map_err(KitError::new)
}

pub(crate) fn roles(of: &Backend, terms: &Terms) -> Vec<Role> {
    let role = |(name, config): (&String, &Value)| Role {
        name: name.clone(),
        config: terms.value(config).to_string(),
    };
    of.roles.iter().map(role).collect()
}

/// A clock that stands still: what is issued ends when the script says, to the second.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(terms::now()))
}

/// Names of the canaries of what the host adds to requests.
pub(crate) const INJECTED: &str = "injected credential";

/// What the host adds to requests. The value is a canary, so that it is recognised if it ever comes
/// back.
fn injections(
    plugin: &Admitted,
    of: &Backend,
    config: &Value,
    reaches: Vec<Reach>,
    terms: &Terms,
) -> Result<Injections, KitError> {
    let Some(form) = &of.credentials else { return Ok(Injections::default()) };
    let canary = terms.canaries.get(INJECTED).cloned().unwrap_or_default();
    let (form, credential) = injected(plugin, form, config, Secret::from(canary))?;
    let source: Arc<dyn CredentialSource> = Arc::new(FixedCredential::new(credential));
    let injection = |reach| Injection::new(reach, form.clone(), source.clone());
    Ok(Injections::new(reaches.into_iter().map(injection).collect()))
}

fn injected(
    plugin: &Admitted,
    form: &str,
    config: &Value,
    secret: Secret,
) -> Result<(Form, Credential), KitError> {
    let unknown = || KitError::new(format!("`credentials = \"{form}\"` is not understood"));
    Ok(match form {
        "bearer" => (Form::Bearer, Credential::Token(secret)),
        "basic" => (Form::Basic, Credential::Password { user: "gateway".into(), password: secret }),
        "sigv4" => {
            let stated = |key: &str| filled(plugin.manifest().metadata.get(key)?, config);
            let (service, region) =
                stated("sigv4-service").zip(stated("sigv4-region")).ok_or_else(|| {
                    KitError::new(
                        "`sigv4` needs `sigv4-service` and `sigv4-region` in the manifest",
                    )
                })?;
            let keys = Credential::Aws {
                access_key_id: "AKIACONFORMANCE".to_owned(),
                secret_access_key: secret,
                session_token: None,
            };
            (Form::SigV4 { region, service }, keys)
        }
        other => {
            let name = other.strip_prefix("header:").ok_or_else(unknown)?;
            let name = name.parse().map_err(|_| unknown())?;
            (Form::Header { name, prefix: String::new() }, Credential::Token(secret))
        }
    })
}

/// A resolver that knows nobody: every name of the script has its `resolve`.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<std::net::IpAddr>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// What the host refused to send.
#[derive(Debug, Default)]
pub(crate) struct Refused(std::sync::Mutex<Vec<String>>);

impl Refused {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

impl EgressObserver for Refused {
    fn attempt(&self, attempt: &Attempt<'_>) {
        if let Err(error) = attempt.outcome
            && error.is_refusal()
        {
            let refused = format!("the host refused a {} request: {error}", attempt.method);
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(refused);
        }
    }
}

/// The canaries of a script, and that of what the host adds.
pub(crate) fn canaries(script: &Script) -> Result<BTreeMap<String, String>, KitError> {
    let names = script.secrets.iter().map(String::as_str).chain([INJECTED]);
    let canary =
        |name: &str| Ok((name.to_owned(), terms::random("canary").map_err(KitError::new)?));
    names.map(canary).collect()
}
