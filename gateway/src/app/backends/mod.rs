//! From configuration to backends that take calls: plugin, network, credentials.
//!
//! INVARIANT: what is wrong with one backend (no such plugin, a refused component, a credential that
//! cannot be read, a configuration that the plugin refuses) degrades that backend, with the reason
//! kept for the operator, and nothing else.

mod credentials;
mod network;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use symbolon_core::id::{BackendName, RoleName, TargetName};
use symbolon_host::answer::Role;
use symbolon_host::catalog::Entries;
use symbolon_host::egress::CredentialSource;
use symbolon_host::{
    Admitted, BackendSpec, CallContext, Catalog, Entry, Generation, Limits, Rate, Seat,
};

pub(super) use self::network::trust;
use super::foundation::Foundation;
use super::outcome::Outcome;
use super::stock;
use crate::catalog::Pointed;
use crate::config::{self, Config, Credentials};
use crate::issuer::{Beside, CallerSettings, CallerTarget, CallerTargets, Named};
use crate::keyring::TargetAudience;
use crate::line::World;
use crate::line::connections::Connections;

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
