//! The gateway's own stations, over a configuration and with keys that the assessment made: the very
//! [`Authenticator`] and [`Bundle`] of the line, without listeners, network and backends.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use symbolon_core::ask::Ask;
use symbolon_core::barrier::{Locked, Scope};
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::IssuerAlias;
use symbolon_core::policy::{Bundle, Circumstances};
use symbolon_core::principal::{Identity, Principal};
use symbolon_core::token::{Compact, Issuers, MAX_TOKEN_BYTES, Shown, delegate};
use symbolon_host::egress::Network;
use tempfile::TempDir;

use super::cast::Cast;
use super::evidence::{Evidence, Voices, answers};
use super::{AssessError, Kind};
use crate::app::StartError;
use crate::barriers::{DurableBarriers, OnceSet, Withdrawn};
use crate::config::{Config, SecretRef};
use crate::keyring::{self, Keyring};
use crate::line::authenticate::{
    Authenticator, KeySettings, KeySource, Keys, Online, Reviewer, Standing, Sts, Unproven, Way,
};
use crate::seal::{Seal, Source};
use crate::store::{Options, SledStore, Store};
use crate::telemetry::{LogFormat, Settings, Telemetry};

/// The store of an assessment holds used proofs and a few locks.
const CACHE_BYTES: u64 = 16 << 20;

/// Stations to send attempts through.
#[derive(Debug)]
pub(super) struct Stage {
    authenticator: Authenticator,
    /// The same, but for what is locked and revoked there.
    walls: Vec<Wall>,
    bundle: Bundle,
    barriers: Arc<DurableBarriers>,
    voices: Arc<Voices>,
    clock: Arc<dyn Clock>,
    _store: TempDir,
}

/// Stations that let nobody through.
#[derive(Debug)]
pub(super) struct Wall {
    authenticator: Authenticator,
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    /// The audit code of everybody's refusal.
    pub(super) code: &'static str,
}

/// What stands against everybody at a wall.
#[derive(Clone, Copy, Debug)]
enum Against {
    /// Each issuer is locked.
    Issuers,
    /// The sessions of each issuer are revoked.
    Sessions,
    /// Everybody's sessions are revoked.
    Everybody,
}

/// What became of an attempt.
#[derive(Debug)]
pub(super) enum Answer {
    /// Refused, with the audit code.
    Refused(&'static str),
    /// Let through.
    Accepted,
}

impl Stage {
    /// Builds the stations of `enforced`; `cast` brings the keys. What is revoked at the walls is
    /// revoked for `ahead`, so that an assessment ends before.
    pub(super) async fn build(
        enforced: &Config,
        cast: &Cast,
        clock: Arc<dyn Clock>,
        ahead: Duration,
    ) -> Result<Self, AssessError> {
        let bundle = crate::app::world::bundle(enforced)?;
        let directory = tempfile::tempdir().map_err(AssessError::Directory)?;
        let (path, voices) = (directory.path(), Arc::new(Voices::default()));
        let store = open(&path.join("store"), &clock)?;
        let replays = OnceSet::open(store.clone(), clock.clone()).await;
        let withdrawn = Withdrawn::open(store.clone(), clock.clone()).await;
        let keyring = Box::pin(keyring(enforced, store.clone(), path, clock.clone())).await?;
        let barriers = barriers(store, &clock).await?;
        let standing = Standing {
            barriers: barriers.clone(),
            replays: Arc::new(replays.map_err(StartError::Once)?),
            withdrawn: Arc::new(withdrawn.map_err(StartError::Withdrawn)?),
            keyring: Arc::new(keyring),
            clock: clock.clone(),
            metrics: telemetry().map_err(StartError::Telemetry)?.metrics(),
        };
        let casting = Casting { enforced, cast, voices: &voices, credential: credential(path)? };
        let mut walls = Vec::new();
        for against in [Against::Issuers, Against::Sessions, Against::Everybody] {
            let store = open(&path.join(against.code()), &clock)?;
            let barriers = barriers_of(against, enforced, (store, ahead), &clock).await?;
            let standing = Standing { barriers, ..standing.clone() };
            walls.push(against.wall(casting.authenticator(standing)?));
        }
        let authenticator = casting.authenticator(standing)?;
        Ok(Self { authenticator, walls, bundle, barriers, voices, clock, _store: directory })
    }

    /// Whom a proof proves: the first station, with what was revoked since.
    pub(super) async fn admit(&self, evidence: &Evidence) -> Result<Arc<Principal>, &'static str> {
        self.admit_at(&self.authenticator, evidence).await
    }

    /// The stations that let nobody through.
    pub(super) fn walls(&self) -> &[Wall] {
        &self.walls
    }

    /// The same as [`Stage::admit`], at a wall.
    pub(super) async fn admit_to(
        &self,
        wall: &Wall,
        evidence: &Evidence,
    ) -> Result<Arc<Principal>, &'static str> {
        self.admit_at(&wall.authenticator, evidence).await
    }

    async fn admit_at(
        &self,
        authenticator: &Authenticator,
        evidence: &Evidence,
    ) -> Result<Arc<Principal>, &'static str> {
        let _announced = self.voices.announce(evidence);
        let proven = Box::pin(authenticator.prove(evidence.proof(), None)).await;
        let principal = proven.map_err(|unproven: Unproven| unproven.code())?;
        authenticator.admits(&principal).map_err(|barred| barred.code())?;
        Ok(principal)
    }

    /// Who acts in an exchange of the subject's token, as the line finds it out once both are proven.
    pub(super) async fn delegate(
        &self,
        subject: &Evidence,
        actor: &Evidence,
    ) -> Result<(), &'static str> {
        let (Evidence::Token(subject_text, _), Evidence::Token(actor_text, _)) = (subject, actor)
        else {
            return Err("no_tokens");
        };
        let (subject, actor) = (self.admit(subject).await?, self.admit(actor).await?);
        let parsed = |text| Compact::parse(text, MAX_TOKEN_BYTES).map_err(|error| error.code());
        let (subject_token, actor_token) = (parsed(subject_text)?, parsed(actor_text)?);
        let shown = Shown::new(&subject_token, &subject)
            .and_then(|subject| Ok((subject, Shown::new(&actor_token, &actor)?)));
        let actors = shown.and_then(|(subject, actor)| delegate(Some(subject), Some(actor)));
        actors.map(drop).map_err(|error| error.code())
    }

    /// Whether the principal may do this.
    pub(super) fn decide(&self, principal: Arc<Principal>, ask: Ask) -> Answer {
        let now = Circumstances { now: self.clock.now(), source_address: None };
        match self.bundle.decide(principal, Arc::new(ask), &now) {
            Ok(_) => Answer::Accepted,
            Err(denial) => Answer::Refused(denial.code()),
        }
    }

    /// Locks a principal.
    pub(super) async fn lock(&self, identity: Identity) -> Result<(), AssessError> {
        let locked = self.barriers.lock(Locked::Principal(identity), "assess", "assessed").await;
        Ok(locked.map_err(StartError::Barriers)?)
    }

    /// Revokes everything that is issued to a principal until `epoch`.
    pub(super) async fn revoke(
        &self,
        identity: Identity,
        epoch: Timestamp,
    ) -> Result<(), AssessError> {
        let raised = self.barriers.raise(Scope::Principal(identity), epoch).await;
        raised.map_err(StartError::Barriers)?;
        Ok(())
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Keys of a gateway's own, made anew: those of the live one are never opened.
async fn keyring(
    enforced: &Config,
    store: Arc<dyn Store>,
    directory: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Keyring, StartError> {
    let source = Source::File(directory.join("seal.key"));
    let seal = Arc::new(Seal::open_or_create(&source, store.as_ref()).await?);
    let settings = keyring::Settings {
        assertion_issuer: enforced.assertions.origin.as_str().to_owned(),
        policies: keyring::Policies::default(),
    };
    Ok(Keyring::open(store, seal, clock, settings).await?)
}

/// Instruments that nobody reads.
fn telemetry() -> Result<Telemetry, crate::telemetry::TelemetryError> {
    let settings = Settings {
        service_name: "symbolon-assess".to_owned(),
        log: "off".to_owned(),
        log_format: LogFormat::Text,
        queue: 1,
    };
    Telemetry::start(&settings, None)
}

fn open(path: &Path, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Store>, AssessError> {
    let options = Options { cache_capacity: CACHE_BYTES, ..Options::at(path.to_owned()) };
    let store = SledStore::open(&options, clock.clone()).map_err(StartError::Store)?;
    Ok(Arc::new(store))
}

async fn barriers(
    store: Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<DurableBarriers>, AssessError> {
    let barriers = DurableBarriers::open(store, clock.clone()).await;
    Ok(Arc::new(barriers.map_err(StartError::Barriers)?))
}

/// Barriers in everybody's way.
async fn barriers_of(
    against: Against,
    enforced: &Config,
    (store, ahead): (Arc<dyn Store>, Duration),
    clock: &Arc<dyn Clock>,
) -> Result<Arc<DurableBarriers>, AssessError> {
    let barriers = barriers(store, clock).await?;
    let epoch = clock.now().plus(ahead);
    for alias in enforced.issuers.keys().cloned() {
        let raised = match against {
            Against::Issuers => {
                barriers.lock(Locked::Issuer(alias), "assess", "assessed").await.map(drop)
            }
            Against::Sessions => barriers.raise(Scope::Issuer(alias), epoch).await.map(drop),
            Against::Everybody => barriers.raise(Scope::Global, epoch).await.map(drop),
        };
        raised.map_err(StartError::Barriers)?;
    }
    Ok(barriers)
}

impl Against {
    const fn code(self) -> &'static str {
        match self {
            Self::Issuers => "locked_issuer",
            Self::Sessions => "epoch_issuer",
            Self::Everybody => "epoch_global",
        }
    }

    const fn wall(self, authenticator: Authenticator) -> Wall {
        let (kind, name) = match self {
            Self::Issuers => (Kind::Locked, "of an issuer that is locked"),
            Self::Sessions => (Kind::Revoked, "of an issuer whose sessions are revoked"),
            Self::Everybody => (Kind::Revoked, "when everybody's sessions are revoked"),
        };
        Wall { authenticator, kind, name, code: self.code() }
    }
}

/// What the gateway would show a cluster. Nobody looks at it here.
fn credential(directory: &Path) -> Result<SecretRef, AssessError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = directory.join("reviewer");
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| file.write_all(b"assessed"));
    written.map_err(AssessError::Directory)?;
    Ok(SecretRef::File(path))
}

/// What authenticators are made of.
struct Casting<'a> {
    enforced: &'a Config,
    cast: &'a Cast,
    voices: &'a Arc<Voices>,
    credential: SecretRef,
}

impl Casting<'_> {
    fn authenticator(&self, standing: Standing) -> Result<Authenticator, AssessError> {
        let network = Network::system().map_err(StartError::Roots)?;
        let mut all = HashMap::new();
        for (alias, block) in &self.enforced.issuers {
            let way = Way {
                network: network.clone(),
                trust: None,
                addresses: Vec::new(),
                resolve: Default::default(),
            };
            let settings = KeySettings {
                source: self.source(alias),
                way,
                refresh: block.refresh,
                max_stale: block.max_stale,
            };
            let (clock, metrics) = (standing.clock.clone(), standing.metrics.clone());
            let keys = Keys::new(Arc::new(block.rules.clone()), settings, clock, metrics);
            let keys = keys.map_err(|error| unusable(alias, &error))?;
            all.insert(alias.clone(), Arc::new(keys));
        }
        let rules = all.values().map(|keys: &Arc<Keys>| keys.rules().clone());
        let registered = Issuers::new(rules).map_err(|(alias, error)| unusable(&alias, &error))?;
        let own = crate::app::world::own(self.enforced)?;
        let online = self.online(&standing.clock);
        let remembered = self.enforced.limits.token_cache;
        Ok(Authenticator::new((registered, own), all, remembered, standing).asking(online))
    }

    /// The keys and authorities that the assessment has made for an issuer.
    fn source(&self, alias: &IssuerAlias) -> KeySource {
        let mut issuers = self.cast.forger.issuers.iter();
        let issuer = issuers.find(|issuer| issuer.rules.alias == *alias);
        let mut vouchers = self.cast.vouchers.iter();
        let authority = vouchers.find(|voucher| voucher.rules.alias == *alias);
        let authority = authority.map(|voucher| voucher.own.der.clone());
        match issuer.filter(|issuer| issuer.keyed) {
            None => KeySource::Authorities(authority.into_iter().collect()),
            Some(issuer) => {
                // Of a SPIFFE bundle; there is none elsewhere.
                let authority = authority.map(
                    |der| json!({ "kty": "EC", "use": "x509-svid", "x5c": [STANDARD.encode(der)] }),
                );
                let keys: Vec<_> =
                    std::iter::once(issuer.signer.jwk.clone()).chain(authority).collect();
                KeySource::Inline(json!({ "keys": keys }).to_string().into_bytes())
            }
        }
    }

    /// The voices, in the place of those who are asked.
    fn online(&self, clock: &Arc<dyn Clock>) -> Online {
        let mut online = Online::default();
        for (alias, block) in &self.enforced.issuers {
            if block.partition.is_some() {
                let sts = Sts::within(answers(self.voices), clock.clone());
                online.sts.insert(alias.clone(), sts);
            }
            if block.review.is_some() {
                let (credential, voices) = (self.credential.clone(), answers(self.voices));
                let reviewer = Reviewer::within(credential, voices, clock.clone());
                online.reviewers.insert(alias.clone(), reviewer);
            }
        }
        online
    }
}

fn unusable(alias: &IssuerAlias, error: &dyn std::fmt::Display) -> AssessError {
    let reason = error.to_string();
    AssessError::Start(StartError::Issuer { alias: alias.clone(), reason })
}
