//! One call of one case, in surroundings of its own.

use std::sync::Arc;
use std::time::Duration;

use symbolon_core::ask::Version;
use symbolon_core::id::{LeaseId, RequestId};
use symbolon_core::path::SecretPath;
use symbolon_core::secret::Secret;
use symbolon_host::answer::{ExchangeRequest, IssueRequest, Reference, Role};
use symbolon_host::sql::Pool;
use symbolon_host::{Admitted, CallContext, CallError, Generation};
use tracing::instrument::WithSubscriber as _;

use crate::database::Database;
use crate::outcome::{Carried, Outcome};
use crate::place::{self, Identity, KitError, Refused, Surroundings};
use crate::script::{Asked, Call, Case, Exchange, Script, Selector};
use crate::terms::{self, Terms};
use crate::upstream::{Mode, Seen, Upstream};
use crate::words::Log;

/// How long a call may take that is not about time.
pub(crate) const WALL: Duration = Duration::from_secs(10);

/// What all runs share.
pub(crate) struct Bench<'a> {
    pub(crate) plugin: &'a Admitted,
    pub(crate) script: &'a Script,
    pub(crate) identity: Identity,
    /// The terms of which each run takes its own.
    pub(crate) terms: Terms,
    pub(crate) database: Option<Database>,
    /// How long a call may take whose upstream says nothing.
    pub(crate) patience: Duration,
}

/// What there was before a call: an outcome of the case before it, or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    pub(crate) carried: Carried,
    pub(crate) reservation: LeaseId,
    /// The id of the requests, so that a call that is made twice is made with the same.
    pub(crate) request: RequestId,
}

/// How a case is run.
pub(crate) struct Plan<'a> {
    pub(crate) case: &'a Case,
    pub(crate) exchanges: &'a [Exchange],
    pub(crate) mode: Mode,
    pub(crate) wall: Duration,
    /// Another time to ask for than the case's own, in seconds.
    pub(crate) ttl: Option<u64>,
    pub(crate) before: &'a Before,
    /// Another database than the one that is named.
    pub(crate) pool: Option<Arc<Pool>>,
}

impl<'a> Plan<'a> {
    /// As the script says.
    pub(crate) fn strict(case: &'a Case, exchanges: &'a [Exchange], before: &'a Before) -> Self {
        // What may pass by itself the host asks once more.
        let again = matches!(case.wanted_kind(), Some("unavailable" | "timeout" | "other"));
        let mode = Mode::Strict { again: again && !case.call.acts() };
        Self { case, exchanges, mode, wall: WALL, ttl: None, before, pool: None }
    }
}

/// What happened in a run.
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    pub(crate) seen: Seen,
    /// What the host refused to send.
    pub(crate) refused: Vec<String>,
    pub(crate) log: String,
    /// The terms in which it happened.
    pub(crate) terms: Terms,
    /// Whether a database was asked, of which no server of the kit's counts the requests.
    pub(crate) of_database: bool,
}

impl Bench<'_> {
    /// A fresh reservation, with nothing before it.
    pub(crate) fn nothing_before(&self) -> Result<Before, KitError> {
        Ok(Before {
            carried: Carried::default(),
            reservation: LeaseId::new(terms::now(), number()?),
            request: RequestId::new(terms::now(), number()?),
        })
    }

    /// Whether a case is about a database.
    pub(crate) fn is_of_database(&self, case: &Case) -> bool {
        self.script.backends.get(&case.backend).is_some_and(|backend| backend.database)
    }

    /// Runs a case by a plan.
    pub(crate) async fn run(&self, plan: Plan<'_>) -> Result<Run, KitError> {
        let own = plan.case.call.ttl().unwrap_or_default();
        let said = Terms {
            reservation: plan.before.reservation,
            request: plan.before.request,
            ttl: own,
            ..self.terms.clone()
        };
        let terms = Terms { ttl: plan.ttl.unwrap_or(own), ..said.clone() };
        let tls = self.identity.server.clone();
        let upstream = Upstream::start(plan.exchanges, plan.mode, (&terms, &said), tls).await;
        let upstream = upstream.map_err(KitError::new)?;
        let refused = Arc::new(Refused::default());
        let around = Surroundings {
            script: self.script,
            identity: &self.identity,
            terms: &terms,
            wall: plan.wall,
            refused: refused.clone(),
            database: self.pool(&plan),
        };
        let backend = place::backend(self.plugin, &plan.case.backend, upstream.address, &around)?;
        let of = self.script.backends.get(&plan.case.backend);
        let roles = of.map(|of| place::roles(of, &terms)).unwrap_or_default();
        let (log, caller) = (Log::default(), Caller { backend, roles, terms: &terms, plan: &plan });
        let call = Box::pin(self.call(&caller));
        let outcome = call.with_subscriber(log.dispatch()).await?;
        let (seen, refused) = (upstream.seen(), refused.all());
        let of_database = self.is_of_database(plan.case);
        Ok(Run { outcome, seen, refused, log: log.text(), terms, of_database })
    }

    fn pool(&self, plan: &Plan<'_>) -> Option<Arc<Pool>> {
        let named = || self.database.as_ref().map(|database| database.pool.clone());
        self.is_of_database(plan.case).then(|| plan.pool.clone().or_else(named)).flatten()
    }

    async fn call(&self, caller: &Caller<'_>) -> Result<Outcome, KitError> {
        let database = self.database.as_ref().filter(|_| self.is_of_database(caller.plan.case));
        match (&caller.plan.case.call, database) {
            (Call::Rotate {}, Some(database)) if caller.plan.pool.is_none() => {
                Box::pin(self.rotate_and_back(caller, database)).await
            }
            (call, _) => caller.make(call).await,
        }
    }

    /// Replaces the login of the named server, proves the new one by using it, and puts the old one
    /// back.
    async fn rotate_and_back(
        &self,
        caller: &Caller<'_>,
        database: &Database,
    ) -> Result<Outcome, KitError> {
        let context = caller.context();
        let new = symbolon_host::sql::password().map_err(KitError::new)?;
        if let Err(error) = Box::pin(caller.backend.rotate(&context, &new)).await {
            return Ok(Outcome::error(&error));
        }
        let around = Surroundings {
            script: self.script,
            identity: &self.identity,
            terms: caller.terms,
            wall: WALL,
            refused: Arc::default(),
            database: Some(Arc::new(database.pool_with(&new)?)),
        };
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        let backend = place::backend(self.plugin, &caller.plan.case.backend, nowhere, &around)?;
        match Box::pin(backend.rotate(&context, &database.password)).await {
            Ok(()) => Ok(Outcome::done()),
            Err(error) => Ok(Outcome::error(&error)),
        }
    }
}

/// A backend, and the call that is made of it.
struct Caller<'a> {
    backend: Generation,
    roles: Vec<Role>,
    terms: &'a Terms,
    plan: &'a Plan<'a>,
}

impl Caller<'_> {
    fn context(&self) -> CallContext {
        CallContext { request_id: self.terms.request, deadline: self.plan.wall, on_behalf: None }
    }

    async fn make(&self, call: &Call) -> Result<Outcome, KitError> {
        let made = match call {
            Call::Probe {} => {
                self.backend.probe(&self.context()).await.map(|r| Outcome::report(&r))
            }
            Call::Read(_) | Call::ReadMany(_) | Call::List { .. } => self.read(call).await?,
            Call::Exchange(asked) => self.exchange(asked).await,
            Call::Issue { role, .. } => Box::pin(self.issue(role)).await?,
            Call::Renew { .. } | Call::Revoke { .. } | Call::Verify { .. } => {
                self.of_lease(call).await?
            }
            Call::ListIssued { next } => {
                let next = self.next(next.as_ref());
                let page = self.backend.list_issued(&self.context(), next.as_deref()).await;
                page.map(Outcome::issued_page)
            }
            Call::Rotate {} => {
                let password = symbolon_host::sql::password().map_err(KitError::new)?;
                let rotated = Box::pin(self.backend.rotate(&self.context(), &password)).await;
                rotated.map(|()| Outcome::done())
            }
        };
        Ok(made.unwrap_or_else(|error| Outcome::error(&error)))
    }

    async fn read(&self, call: &Call) -> Result<Result<Outcome, CallError>, KitError> {
        let context = self.context();
        Ok(match call {
            Call::Read(selector) => {
                let (path, version) = self.selector(selector)?;
                let secret = self.backend.read(&context, &path, version.as_ref()).await;
                secret.map(|secret| Outcome::secret(&secret))
            }
            Call::ReadMany(selectors) => {
                let asked = selectors.iter().map(|selector| self.selector(selector));
                let asked = asked.collect::<Result<Vec<_>, _>>()?;
                let secrets = self.backend.read_many(&context, &asked).await;
                secrets.map(|secrets| Outcome::secrets(&secrets))
            }
            Call::List { folder, next } => {
                let folder = folder.as_ref().map(|folder| self.path(folder)).transpose()?;
                let next = self.next(next.as_ref());
                let page = self.backend.list(&context, folder.as_ref(), next.as_deref()).await;
                page.map(Outcome::listing)
            }
            Call::Probe {}
            | Call::Exchange(_)
            | Call::Issue { .. }
            | Call::Renew { .. }
            | Call::Revoke { .. }
            | Call::Verify { .. }
            | Call::ListIssued { .. }
            | Call::Rotate {} => return Err(KitError::new("a call is taken for a read")),
        })
    }

    async fn exchange(&self, asked: &Asked) -> Result<Outcome, CallError> {
        let attributes = asked.attributes.iter();
        let request = ExchangeRequest {
            assertion: Secret::from(self.terms.assertion.clone()),
            scopes: asked.scopes.iter().map(|scope| self.terms.text(scope)).collect(),
            ttl: self.ttl(),
            attributes: attributes.map(|(n, v)| (n.clone(), self.terms.text(v))).collect(),
            metadata: Vec::new(),
        };
        let token = self.backend.exchange(&self.context(), &request).await?;
        Ok(Outcome::token(&token))
    }

    async fn issue(&self, role: &str) -> Result<Result<Outcome, CallError>, KitError> {
        let request = IssueRequest {
            reservation: self.terms.reservation,
            role: self.role(Some(role))?,
            ttl: self.ttl(),
            principal: ("conformance".to_owned(), "somebody".to_owned()),
            materials: Vec::new(),
            metadata: Vec::new(),
        };
        let issued = Box::pin(self.backend.issue(&self.context(), &request)).await;
        Ok(issued.map(|issued| Outcome::issued(&issued, role)))
    }

    async fn of_lease(&self, call: &Call) -> Result<Result<Outcome, CallError>, KitError> {
        let context = self.context();
        let of = |role: &Option<String>| self.reference(role.as_deref());
        Ok(match call {
            Call::Renew { role, .. } => {
                let renewed = self.backend.renew(&context, &of(role)?, self.ttl()).await;
                renewed.map(Outcome::renewed)
            }
            Call::Revoke { role } => {
                self.backend.revoke(&context, &of(role)?).await.map(|()| Outcome::done())
            }
            Call::Verify { role } => {
                self.backend.verify(&context, &of(role)?).await.map(Outcome::state)
            }
            Call::Probe {}
            | Call::Read(_)
            | Call::ReadMany(_)
            | Call::List { .. }
            | Call::Exchange(_)
            | Call::Issue { .. }
            | Call::ListIssued { .. }
            | Call::Rotate {} => return Err(KitError::new("a call is taken for one of a lease")),
        })
    }

    fn reference(&self, role: Option<&str>) -> Result<Reference, KitError> {
        let Before { carried, reservation, .. } = self.plan.before;
        Ok(Reference {
            reservation: *reservation,
            role: self.role(role.or(carried.role.as_deref()))?,
            handle: Secret::new(carried.handle.clone()),
        })
    }

    /// A role of the backend; the first one where a script names none.
    fn role(&self, name: Option<&str>) -> Result<Role, KitError> {
        let of = self.plan.case;
        let missing = || KitError::new(format!("case \"{}\": the backend has no role", of.name));
        let all = self.roles.clone();
        let found = match name {
            Some(name) => all.into_iter().find(|role| role.name == name),
            None => all.into_iter().next(),
        };
        found.ok_or_else(missing)
    }

    fn ttl(&self) -> Duration {
        Duration::from_secs(self.terms.ttl)
    }

    fn next(&self, next: Option<&String>) -> Option<String> {
        let stated = next.map(|next| self.terms.text(next));
        stated.or_else(|| self.plan.before.carried.next.clone())
    }

    fn path(&self, path: &str) -> Result<SecretPath, KitError> {
        let path = self.terms.text(path);
        SecretPath::parse(&path).map_err(|error| KitError::new(format!("the path {path}: {error}")))
    }

    fn selector(&self, of: &Selector) -> Result<(SecretPath, Option<Version>), KitError> {
        let version = of.version.as_ref().map(|version| Version::parse(&self.terms.text(version)));
        Ok((self.path(&of.path)?, version.transpose().map_err(KitError::new)?))
    }
}

/// A number that nobody has had.
pub(crate) fn number() -> Result<u128, KitError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(KitError::new)?;
    Ok(u128::from_le_bytes(bytes))
}
