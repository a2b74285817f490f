//! Where a backend's credentials come from: the configuration, a key with which the host signs, or a
//! target.

use std::sync::Arc;

use http::HeaderName;
use symbolon_core::id::TargetName;
use symbolon_host::Admitted;
use symbolon_host::egress::{Credential, CredentialSource, FixedCredential, Form, Injection};
use symbolon_host::outbound::filled;

use super::network::load;
use super::{Builder, Plan, Reason, seat_name, unknown_target};
use crate::app::foundation::Foundation;
use crate::app::grants;
use crate::app::reread::{self, Reread};
use crate::config::{self, Credentials};
use crate::issuer::{CallerSource, Means, SignedSource, TargetSettings, TargetSource};
use crate::keyring::TargetAudience;

/// The manifest's word for how a target's token is put into requests: `bearer`, `header:<name>` or
/// `aws`.
const TOKEN_KIND: &str = "token-kind";
/// The manifest's words for what signatures of AWS hold for, where the configuration does not say:
/// text in which `{key}` stands for that key of the plugin's configuration.
const SIGNED_FOR: (&str, &str) = ("sigv4-service", "sigv4-region");

impl Builder<'_> {
    pub(super) async fn injections(
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
                    return Ok((form, Arc::new(FixedCredential::new(credential))));
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
