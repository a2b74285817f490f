//! From configuration to backends that take calls: plugin, network, credentials.
//!
//! INVARIANT: what is wrong with one backend (no such plugin, a refused component, a credential that
//! cannot be read, a configuration that the plugin refuses) degrades that backend, with the reason
//! kept for the operator, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use http::HeaderName;
use symbolon_core::id::{BackendName, RoleName, TargetName};
use symbolon_core::secret::Secret;
use symbolon_host::answer::Role;
use symbolon_host::catalog::Entries;
use symbolon_host::egress::{
    Attempt, CallLimits as EgressLimits, ClientIdentity, ClientLimits, Credential,
    CredentialSource, EgressClient, EgressObserver, Form, Grant, Injection, Injections, Trust,
    intersect,
};
use symbolon_host::outbound::{Upstream, asked, filled};
use symbolon_host::sql::{LoginSource, Pool, PoolLimits, ServerSettings, Transport};
use symbolon_host::{
    Admitted, BackendSpec, CallContext, Catalog, Entry, Generation, Limits, Rate, Seat,
};
use tokio::time::Instant;

use super::foundation::Foundation;
use super::grants;
use super::outcome::Outcome;
use super::reread::{self, Reread};
use super::stock;
use crate::catalog::Pointed;
use crate::config::{self, Config, Credentials};
use crate::issuer::{
    Beside, CallerSettings, CallerSource, CallerTarget, CallerTargets, Means, Named, SignedSource,
    TargetSettings, TargetSource,
};
use crate::keyring::TargetAudience;
use crate::line::World;
use crate::line::connections::Connections;
use crate::root_login::Account;
use crate::telemetry::Metrics;

/// The manifest's word for how a target's token is put into requests: `bearer`, `header:<name>` or
/// `aws`.
const TOKEN_KIND: &str = "token-kind";
/// The manifest's words for what signatures of AWS hold for, where the configuration does not say:
/// text in which `{key}` stands for that key of the plugin's configuration.
const SIGNED_FOR: (&str, &str) = ("sigv4-service", "sigv4-region");
/// How long a plugin may take to check its configuration.
const VALIDATION: Duration = Duration::from_secs(10);
/// How many plugins check their configurations at once: one that takes its time does not make a reload
/// wait for it and for each of the others in turn.
const VALIDATIONS: usize = 8;

/// Why a backend is degraded, for the operator.
type Reason = String;

/// What one backend or target is made of, but for the component.
struct Plan<'a> {
    name: BackendName,
    settings: &'a config::Settings,
    roles: Vec<Role>,
    egress: &'a [config::Egress],
    credentials: Option<&'a Credentials>,
    limits: &'a config::CallLimits,
    database: Option<&'a config::Database>,
}

/// Tokens of targets, one source for all backends that use it.
pub(crate) type Sources = BTreeMap<TargetName, Arc<dyn CredentialSource>>;

/// The component that a backend or target is to run, and the one that it runs.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) to: Result<Arc<Admitted>, Reason>,
    /// What runs now.
    pub(super) running: Option<Pointed>,
    /// The last one that is known to be good, if it is another, and the part of calls at which it
    /// failed.
    pub(super) before: Option<(Arc<Admitted>, f64)>,
}

/// Makes the backends of one configuration.
pub(super) struct Builder<'a> {
    foundation: &'a Foundation,
    config: &'a Config,
    /// The component of each backend and target. Their names differ.
    chosen: BTreeMap<BackendName, Chosen>,
    /// Targets made so far.
    exchangers: Arc<Catalog>,
    sources: Sources,
    connections: Arc<Connections>,
    outcomes: BTreeMap<BackendName, Outcome>,
}

/// What was made of one backend or target, not checked yet.
struct Made {
    name: BackendName,
    to: Result<Arc<Generation>, Reason>,
    running: Option<Pointed>,
    before: Option<(Result<Arc<Generation>, Reason>, f64)>,
}

/// All that was made.
pub(super) struct All {
    pub(super) targets: CallerTargets,
    pub(super) exchangers: Arc<Catalog>,
    pub(super) sources: Sources,
    pub(super) connections: Arc<Connections>,
    pub(super) backends: Entries,
    pub(super) outcomes: BTreeMap<BackendName, Outcome>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        foundation: &'a Foundation,
        config: &'a Config,
        chosen: BTreeMap<BackendName, Chosen>,
    ) -> Self {
        Self {
            foundation,
            config,
            chosen,
            exchangers: Arc::new(Catalog::default()),
            sources: Sources::new(),
            connections: Arc::default(),
            outcomes: BTreeMap::new(),
        }
    }

    /// One that makes something for `world`, whose targets it uses.
    pub(super) fn beside(foundation: &'a Foundation, config: &'a Config, world: &World) -> Self {
        Self {
            foundation,
            config,
            chosen: BTreeMap::new(),
            exchangers: world.exchangers.clone(),
            sources: world.sources.clone(),
            connections: world.connections.clone(),
            outcomes: BTreeMap::new(),
        }
    }

    /// Everything of the configuration.
    pub(super) async fn all(mut self) -> All {
        let targets = Box::pin(self.targets()).await;
        let backends = Box::pin(self.backends()).await;
        let Self { exchangers, sources, connections, outcomes, .. } = self;
        All { targets, exchangers, sources, connections, backends, outcomes }
    }

    /// A generation of `name` with the component `plugin`, checked with its configuration; none if
    /// the configuration has neither a backend nor a target of this name.
    pub(super) async fn candidate(
        &mut self,
        name: &BackendName,
        plugin: &Admitted,
    ) -> Option<Result<Arc<Generation>, Reason>> {
        let config = self.config;
        let plan = match config.backends.get(name) {
            Some(backend) => backend_plan(name, backend),
            None => target_plan(name, config.targets.get(name.as_str())?),
        };
        let made = Box::pin(self.generation(&plan, plugin)).await;
        Some(self.checked(made).await)
    }

    /// Every target as callers see it, ready or degraded.
    async fn targets(&mut self) -> CallerTargets {
        let mut targets = CallerTargets::new();
        for (name, target) in &self.config.targets {
            let made = Box::pin(self.caller_target(name, target)).await;
            if let Err(reason) = &made {
                tracing::error!(target = %name, reason, "the target is degraded");
            }
            targets.insert(name.clone(), made);
        }
        targets
    }

    async fn caller_target(
        &mut self,
        name: &TargetName,
        target: &config::Target,
    ) -> Result<Arc<CallerTarget>, Reason> {
        let seat = Box::pin(self.target(name)).await?;
        let audience = TargetAudience::from_configuration(&target.audience);
        let exchange = &target.exchange;
        let settings = CallerSettings {
            name: name.clone(),
            audience: audience.map_err(|error| error.to_string())?,
            named: match target.subject {
                config::AssertionSubject::Gateway => Named::Gateway,
                config::AssertionSubject::Caller => Named::Caller {
                    longest: exchange.max_subject,
                    hashed: exchange.long_subject == config::LongSubject::Hash,
                },
            },
            attributes: exchange.attributes.iter().map(ToString::to_string).collect(),
            beside: match exchange.claims {
                config::Claims::None => Beside::Nothing,
                config::Claims::Aws => Beside::Aws,
            },
            scopes: exchange.scopes.clone(),
            is_delivered: exchange.assertion == config::Assertion::Deliver,
            ttl: target.ttl,
            max_leases: exchange.max_leases,
        };
        let keyring = self.foundation.keyring.clone();
        Ok(Arc::new(CallerTarget::new(settings, seat, keyring)))
    }

    /// Every backend, ready or degraded. What the components check themselves is checked at once.
    async fn backends(&mut self) -> Entries {
        let config = self.config;
        let mut made = Vec::with_capacity(config.backends.len());
        for (name, backend) in &config.backends {
            let plan = backend_plan(name, backend);
            made.push(Box::pin(self.made(&plan)).await);
        }
        let settled: Vec<_> = {
            let this = &*self;
            let settled = made.into_iter().map(|made| this.settled(made));
            futures_util::stream::iter(settled).buffered(VALIDATIONS).collect().await
        };
        let keep = |(name, entry, outcome): (BackendName, Entry, Outcome)| {
            self.outcomes.insert(name.clone(), outcome);
            (name, entry)
        };
        settled.into_iter().map(keep).collect()
    }

    /// The generations of a plan: the one that is to run, and the one to go back to.
    async fn made(&mut self, plan: &Plan<'_>) -> Made {
        let chosen = self.chosen.get(&plan.name).cloned();
        let chosen = chosen.unwrap_or_else(|| Chosen {
            to: Err("no component was chosen".to_owned()),
            running: None,
            before: None,
        });
        let to = match &chosen.to {
            Ok(plugin) => Box::pin(self.generation(plan, plugin)).await,
            Err(reason) => Err(reason.clone()),
        };
        let before = match &chosen.before {
            Some((plugin, rate)) => Some((Box::pin(self.generation(plan, plugin)).await, *rate)),
            None => None,
        };
        Made { name: plan.name.clone(), to, running: chosen.running, before }
    }

    /// What the catalog says of what was made, once its plugin has checked its configuration. One
    /// that fails where another runs leaves that one in place, with the configuration of now.
    async fn settled(&self, made: Made) -> (BackendName, Entry, Outcome) {
        let Made { name, to, running, before } = made;
        let to = self.checked(to).await;
        let before = match before {
            Some((before, rate)) => self.checked(before).await.ok().map(|before| (before, rate)),
            None => None,
        };
        let (entry, outcome) = match (to, before) {
            (Ok(to), before) => {
                let outcome = Outcome::of(running, stock::pointed(&to));
                if let Some((before, rate)) = before {
                    to.begin_probation(before, rate);
                }
                (Entry::Ready(to), outcome)
            }
            (Err(reason), Some((before, _))) => {
                let kept = stock::pointed(&before);
                (Entry::Ready(before), Outcome::RolledBack { kept, reason })
            }
            (Err(reason), None) => {
                (Entry::Degraded { reason: reason.clone() }, Outcome::Degraded(reason))
            }
        };
        outcome.log(&name);
        (name, entry, outcome)
    }

    /// One that its plugin has not checked yet.
    async fn generation(
        &mut self,
        plan: &Plan<'_>,
        plugin: &Admitted,
    ) -> Result<Arc<Generation>, Reason> {
        let injections = match plan.credentials {
            Some(credentials) => Box::pin(self.injections(plan, plugin, credentials)).await?,
            None => Vec::new(),
        };
        let outbound = Box::new(self.network(plan, plugin, injections)?);
        let database = match plan.database {
            Some(of) => Some(Box::pin(self.database(plan, of)).await?),
            None => None,
        };
        let spec = BackendSpec {
            name: plan.name.clone(),
            config: plan.settings.as_json().clone(),
            roles: plan.roles.clone(),
            limits: limits(plan.limits),
            outbound,
            database,
        };
        let generation = Generation::new(plugin, spec, self.foundation.clock.clone());
        let generation = generation.alarming(self.foundation.alarm.clone());
        let generation = match plan.database {
            Some(of) if of.probe => generation.remembering(self.foundation.issued.clone()),
            Some(_) | None => generation,
        };
        Ok(Arc::new(generation))
    }

    /// Connections to the plan's database, none of them open yet.
    async fn database(&self, plan: &Plan<'_>, of: &config::Database) -> Result<Arc<Pool>, Reason> {
        if let Some(pool) = self.connections.pool(&plan.name) {
            return Ok(pool);
        }
        let named = |error: &dyn std::error::Error| match error.source() {
            Some(cause) => format!("the database `{}`: {error}: {cause}", of.host),
            None => format!("the database `{}`: {error}", of.host),
        };
        let transport = match of.tls {
            config::DatabaseTls::VerifyFull => {
                Transport::Verified(of.ca.as_deref().map(trust).transpose()?)
            }
            config::DatabaseTls::Disable => Transport::Loopback,
        };
        let settings = ServerSettings {
            host: of.host.clone(),
            port: of.port,
            database: of.name.clone(),
            addresses: of.addresses.clone(),
            resolve: of.resolve,
            transport,
            statement: plan.limits.timeout,
        };
        let limits = PoolLimits {
            connections: usize::try_from(of.connections).unwrap_or(usize::MAX),
            ..PoolLimits::default()
        };
        let login = self.login(&plan.name, of)?;
        let pool = Pool::new(settings, self.foundation.network.clone(), login, limits);
        let pool = Arc::new(pool.map_err(|error| named(&error))?);
        if let Err(error) = Box::pin(self.foundation.logins.settle(&plan.name, &pool)).await {
            tracing::error!(backend = %plan.name, %error, "the rotated login stays pending");
        }
        self.connections.keep_pool(&plan.name, &pool);
        Ok(pool)
    }

    /// The login of a database: the rotated one, or the configured one.
    fn login(
        &self,
        name: &BackendName,
        of: &config::Database,
    ) -> Result<Arc<dyn LoginSource>, Reason> {
        let logins = &self.foundation.logins;
        let account = Account { user: of.user.clone(), server: format!("{}:{}", of.host, of.port) };
        let configured = match load(&of.password) {
            Ok(password) => Some(password),
            // Nobody needs it any more, and it is good if it is gone.
            Err(_) if logins.has(name, &account) => None,
            Err(reason) => return Err(reason),
        };
        Ok(logins.source(name, account, configured))
    }

    /// What was made, if its plugin can use its configuration.
    async fn checked(
        &self,
        made: Result<Arc<Generation>, Reason>,
    ) -> Result<Arc<Generation>, Reason> {
        let generation = made?;
        let clock = &self.foundation.clock;
        let context = CallContext {
            request_id: self.foundation.ids.request(clock.now()),
            deadline: clock.elapsed().saturating_add(VALIDATION),
            on_behalf: None,
        };
        match Box::pin(generation.validate(&context)).await {
            Ok(_) => Ok(generation),
            Err(error) => {
                let detail = error.fault().map(|fault| format!(": {}", fault.message));
                Err(format!(
                    "the plugin refuses its configuration: {error}{}",
                    detail.unwrap_or_default()
                ))
            }
        }
    }

    fn network(
        &self,
        plan: &Plan<'_>,
        plugin: &Admitted,
        injections: Vec<Injection>,
    ) -> Result<Upstream, Reason> {
        let asked = asked(plugin.manifest(), plan.settings.as_json())
            .map_err(|error| format!("the manifest's egress: {error}"))?;
        let wanted = &plugin.manifest().egress;
        let client = match self.connections.client(&plan.name, wanted) {
            Some(client) => client,
            None => self.client(plan, &asked)?,
        };
        self.connections.keep_client(&plan.name, wanted, &client);
        let limits =
            EgressLimits { response_body: plan.limits.response, ..EgressLimits::default() };
        Ok(Upstream {
            client,
            injections: Arc::new(Injections::new(injections)),
            limits,
            clock: self.foundation.clock.clone(),
            observer: Arc::new(Watched {
                backend: plan.name.to_string(),
                metrics: self.foundation.metrics(),
            }),
        })
    }

    /// A client for what the plugin asks for and the operator grants.
    fn client(&self, plan: &Plan<'_>, asked: &[Grant]) -> Result<Arc<EgressClient>, Reason> {
        let granted = plan.egress.iter().map(grant).collect::<Result<Vec<_>, _>>()?;
        let common = intersect(asked, &granted);
        for missing in &common.unmet {
            tracing::warn!(backend = %plan.name, grant = %missing, "asked by the plugin, not granted");
        }
        let limits = ClientLimits {
            exchanges: usize::try_from(plan.limits.concurrency).unwrap_or(usize::MAX),
            connections: usize::try_from(plan.limits.concurrency).unwrap_or(usize::MAX),
            ..ClientLimits::default()
        };
        Ok(EgressClient::new(self.foundation.network.clone(), common.grants, limits))
    }

    async fn injections(
        &mut self,
        plan: &Plan<'_>,
        plugin: &Admitted,
        credentials: &Credentials,
    ) -> Result<Vec<Injection>, Reason> {
        let stated = stated_scope(plugin, plan.settings);
        let (form, source) = Box::pin(self.source(&credentials.source, stated)).await?;
        let to_host = plan.egress.iter().filter(|grant| grant.host == credentials.host);
        let injection = |egress: &config::Egress| {
            let reach = grants::reach(egress)?;
            Ok(Injection::new(reach, form.clone(), source.clone()))
        };
        to_host.map(injection).collect()
    }

    async fn source(
        &mut self,
        source: &config::CredentialSource,
        stated: Option<config::Scope>,
    ) -> Result<(Form, Arc<dyn CredentialSource>), Reason> {
        use config::CredentialSource as From;
        match source {
            From::Target { name, scope } => {
                let source = Box::pin(self.target_source(name)).await?;
                let form = self.target_form(name, scope.as_ref(), stated)?;
                Ok((form, source))
            }
            From::Jwt(jwt) => Ok((Form::Bearer, Arc::new(self.signed(jwt)?))),
            From::Bearer(_) | From::Header { .. } | From::Basic { .. } | From::SigV4(_) => {
                let (form, credential) = fixed(source)?;
                let Some(place) = reread::file(source) else {
                    return Ok((form, Arc::new(Fixed(Arc::new(credential)))));
                };
                let clock = self.foundation.clock.clone();
                Ok((form, Arc::new(Reread::new(place.clone(), credential, clock))))
            }
        }
    }

    fn signed(&self, of: &config::Jwt) -> Result<SignedSource, Reason> {
        let (key, clock) = (load(&of.key)?, self.foundation.clock.clone());
        SignedSource::new(of.issuer.clone(), of.lifetime, &key, clock)
            .map_err(|error| format!("the key `{}`: {error}", of.key))
    }

    /// The source of a target's tokens: one for all backends that use it.
    async fn target_source(
        &mut self,
        name: &TargetName,
    ) -> Result<Arc<dyn CredentialSource>, Reason> {
        if let Some(source) = self.sources.get(name) {
            return Ok(source.clone());
        }
        let target = self.config.targets.get(name).ok_or_else(|| unknown_target(name))?;
        let source: Arc<dyn CredentialSource> = match target.subject {
            config::AssertionSubject::Gateway => {
                Arc::new(Box::pin(self.source_of_gateway(name, target)).await?)
            }
            config::AssertionSubject::Caller => {
                let of_callers = Box::pin(self.caller_target(name, target)).await?;
                let withdrawn = self.foundation.withdrawn.clone();
                CallerSource::new(of_callers, self.means(), withdrawn)
            }
        };
        self.sources.insert(name.clone(), source.clone());
        Ok(source)
    }

    async fn source_of_gateway(
        &mut self,
        name: &TargetName,
        target: &config::Target,
    ) -> Result<TargetSource, Reason> {
        let seat = Box::pin(self.target(name)).await?;
        let settings = TargetSettings {
            name: name.clone(),
            audience: TargetAudience::from_configuration(&target.audience)
                .map_err(|error| format!("the target `{name}`: {error}"))?,
            subject: format!("gateway:{name}"),
            ttl: target.ttl,
        };
        Ok(TargetSource::new(settings, seat, self.means()))
    }

    fn means(&self) -> Means {
        let Foundation { keyring, barriers, clock, ids, .. } = self.foundation;
        Means {
            keyring: keyring.clone(),
            barriers: barriers.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        }
    }

    fn target_form(
        &self,
        name: &TargetName,
        scope: Option<&config::Scope>,
        stated: Option<config::Scope>,
    ) -> Result<Form, Reason> {
        let generation = self.exchangers.find(&seat_name(name)?);
        let generation = generation.map_err(|_| unknown_target(name))?;
        let kind = generation.manifest().metadata.get(TOKEN_KIND).map(String::as_str);
        match kind {
            Some("aws") => match scope.cloned().or(stated) {
                Some(config::Scope { service, region }) => Ok(Form::SigV4 { region, service }),
                None => Err(format!(
                    "the target `{name}` gives keys of AWS: `credentials` needs `service` and `region`"
                )),
            },
            Some(_) | None if scope.is_some() => Err(format!(
                "the target `{name}` gives no keys of AWS, which `service` and `region` are for"
            )),
            None | Some("bearer") => Ok(Form::Bearer),
            Some(kind) => match kind.strip_prefix("header:").map(str::parse::<HeaderName>) {
                Some(Ok(name)) => Ok(Form::Header { name, prefix: String::new() }),
                Some(Err(_)) | None => {
                    Err(format!("the target `{name}` gives tokens of the unknown kind `{kind}`"))
                }
            },
        }
    }

    /// The place of a target, which has a component that takes calls.
    async fn target(&mut self, name: &TargetName) -> Result<Seat, Reason> {
        let target = self.config.targets.get(name).ok_or_else(|| unknown_target(name))?;
        let of = seat_name(name)?;
        if !self.exchangers.entries().contains_key(&of) {
            let made = Box::pin(self.made(&target_plan(&of, target))).await;
            let (_, entry, outcome) = Box::pin(self.settled(made)).await;
            self.exchangers.put(&of, &entry);
            self.outcomes.insert(of.clone(), outcome);
        }
        match self.exchangers.entries().get(&of) {
            Some(Entry::Degraded { reason }) => Err(format!("its target `{name}`: {reason}")),
            Some(Entry::Ready(_)) | None => Ok(Seat::new(self.exchangers.clone(), of)),
        }
    }
}

/// The name of a target among the places of components. No backend has it.
pub(super) fn seat_name(target: &TargetName) -> Result<BackendName, Reason> {
    BackendName::parse(target.as_str()).map_err(|error| error.to_string())
}

fn backend_plan<'a>(name: &BackendName, backend: &'a config::Backend) -> Plan<'a> {
    Plan {
        name: name.clone(),
        settings: &backend.settings,
        roles: roles(backend),
        egress: &backend.egress,
        credentials: backend.credentials.as_ref(),
        limits: &backend.limits,
        database: backend.database.as_ref(),
    }
}

fn target_plan<'a>(name: &BackendName, target: &'a config::Target) -> Plan<'a> {
    Plan {
        name: name.clone(),
        settings: &target.settings,
        roles: Vec::new(),
        egress: &target.egress,
        credentials: target.credentials.as_ref(),
        limits: &target.limits,
        database: None,
    }
}

fn unknown_target(name: &TargetName) -> Reason {
    format!("there is no target `{name}`")
}

fn grant(egress: &config::Egress) -> Result<Grant, Reason> {
    let named = |error: &dyn std::fmt::Display| format!("the grant for `{}`: {error}", egress.host);
    let mut grant = grants::plain(egress)?.at(egress.reach.addresses.clone());
    if let Some(address) = egress.reach.resolve.get(&egress.host) {
        grant = grant.resolve_to(*address).map_err(|e| named(&e))?;
    }
    if let Some(ca) = &egress.reach.ca {
        grant = grant.trusting(trust(ca)?);
    }
    if let Some(tls) = &egress.client_certificate {
        let chain = std::fs::read(&tls.certificate)
            .map_err(|error| format!("{}: {error}", tls.certificate.display()))?;
        let key = load(&tls.key)?;
        let identity = ClientIdentity::from_pem(&chain, &key).map_err(|e| named(&e))?;
        grant = grant.presenting(Arc::new(identity));
    }
    Ok(grant)
}

/// Reads a bundle of certificate authorities.
pub(super) fn trust(ca: &std::path::Path) -> Result<Trust, Reason> {
    let bundle = std::fs::read(ca).map_err(|error| format!("{}: {error}", ca.display()))?;
    Trust::from_pem(&bundle).map_err(|error| format!("{}: {error}", ca.display()))
}

fn load(secret: &config::SecretRef) -> Result<Secret, Reason> {
    secret.load().map_err(|error| error.to_string())
}

/// What requests of this plugin are signed for, if its manifest says so.
fn stated_scope(plugin: &Admitted, settings: &config::Settings) -> Option<config::Scope> {
    let stated = |key: &str| filled(plugin.manifest().metadata.get(key)?, settings.as_json());
    let (service, region) = SIGNED_FOR;
    Some(config::Scope { service: stated(service)?, region: stated(region)? })
}

/// The forms whose credential stands in the configuration, by reference.
fn fixed(source: &config::CredentialSource) -> Result<(Form, Credential), Reason> {
    use config::CredentialSource as From;
    Ok(match source {
        From::Bearer(token) => (Form::Bearer, Credential::Token(load(token)?)),
        From::Header { name, value } => {
            let header = name.parse().map_err(|_| format!("`{name}` is not a header name"))?;
            let form = Form::Header { name: header, prefix: String::new() };
            (form, Credential::Token(load(value)?))
        }
        From::Basic { user, password } => {
            let password = load(password)?;
            (Form::Basic, Credential::Password { user: user.clone(), password })
        }
        From::SigV4(keys) => sigv4(keys)?,
        From::Target { name, .. } => return Err(unknown_target(name)),
        From::Jwt(jwt) => return Err(format!("the key `{}` is no credential by itself", jwt.key)),
    })
}

fn sigv4(keys: &config::SigV4) -> Result<(Form, Credential), Reason> {
    let id = load(&keys.access_key_id)?;
    let access_key_id = id.expose_str().ok_or("the access key id is not text")?.to_owned();
    let credential = Credential::Aws {
        access_key_id,
        secret_access_key: load(&keys.secret_access_key)?,
        session_token: keys.session_token.as_ref().map(load).transpose()?,
    };
    Ok((Form::SigV4 { region: keys.region.clone(), service: keys.service.clone() }, credential))
}

/// A credential from the configuration: always the same.
#[derive(Debug)]
struct Fixed(Arc<Credential>);

impl CredentialSource for Fixed {
    fn credential<'a>(
        &'a self,
        _: &'a CallContext,
        _: Instant,
    ) -> symbolon_host::egress::BoxFuture<
        'a,
        Result<Arc<Credential>, symbolon_host::egress::SourceError>,
    > {
        Box::pin(async { Ok(self.0.clone()) })
    }

    fn invalidate(&self, _: &CallContext, _: &Arc<Credential>, status: http::StatusCode) -> bool {
        tracing::warn!(%status, "the upstream does not take the configured credential");
        false
    }
}

/// Counts the requests of one backend.
struct Watched {
    backend: String,
    metrics: Arc<Metrics>,
}

impl EgressObserver for Watched {
    fn attempt(&self, attempt: &Attempt<'_>) {
        let result = match attempt.outcome {
            Ok(status) => status.as_str().to_owned(),
            Err(error) => error.code().to_owned(),
        };
        self.metrics.reached_out(&self.backend, result, attempt.elapsed);
    }
}

fn roles(backend: &config::Backend) -> Vec<Role> {
    let role = |(name, role): (&RoleName, &config::Role)| Role {
        name: name.to_string(),
        config: role.settings.as_json().to_string(),
    };
    backend.roles.iter().map(role).collect()
}

fn limits(of: &config::CallLimits) -> Limits {
    Limits {
        memory_bytes: usize::try_from(of.memory).unwrap_or(usize::MAX),
        cpu: of.cpu,
        wall: of.timeout,
        concurrency: of.concurrency,
        rate: of.rate.map(|config::Rate { rate: per_second, burst }| Rate { per_second, burst }),
        ..Limits::default()
    }
}
