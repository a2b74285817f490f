//! How a backend reaches what is behind it: the hosts that plugin and operator agree on, and its
//! database. What was there before a change of the component and still fits is taken along.

use std::sync::Arc;

use symbolon_core::id::BackendName;
use symbolon_core::secret::Secret;
use symbolon_host::Admitted;
use symbolon_host::egress::{
    Attempt, CallLimits as EgressLimits, ClientIdentity, ClientLimits, EgressClient,
    EgressObserver, Grant, Injection, Injections, Trust, intersect,
};
use symbolon_host::outbound::{Upstream, asked};
use symbolon_host::sql::{LoginSource, Pool, PoolLimits, ServerSettings, Transport};

use super::{Builder, Plan, Reason};
use crate::app::grants;
use crate::config;
use crate::root_login::Account;
use crate::telemetry::Metrics;

impl Builder<'_> {
    /// Connections to the plan's database, none of them open yet.
    pub(super) async fn database(
        &self,
        plan: &Plan<'_>,
        of: &config::Database,
    ) -> Result<Arc<Pool>, Reason> {
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

    pub(super) fn network(
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
pub(in crate::app) fn trust(ca: &std::path::Path) -> Result<Trust, Reason> {
    let bundle = std::fs::read(ca).map_err(|error| format!("{}: {error}", ca.display()))?;
    Trust::from_pem(&bundle).map_err(|error| format!("{}: {error}", ca.display()))
}

/// A secret of the configuration.
pub(super) fn load(secret: &config::SecretRef) -> Result<Secret, Reason> {
    secret.load().map_err(|error| error.to_string())
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
