//! `symbolon check`: everything about a configuration that can be known without starting.

use std::path::Path;

use super::failure::Failure;
use super::{ConfigArgs, output};
use crate::config::{Config, Keys, SecretRef, Tls};
use crate::issuer::check_key;

/// What a start finds out and a check does not, since it would have to run components and go out.
pub(super) const NOT_CHECKED: &str = "not checked: whether a plugin is there and takes its \
    `config` (its own `validate` says so when the gateway starts), whether issuers, backends and \
    targets answer and take our credentials; `symbolon status` and `symbolon plugin ls` show that";

/// Checks a configuration, then the files it names, then its policies.
pub(super) fn check(args: &ConfigArgs) -> Result<(), Failure> {
    let config = Config::load(&args.config)?;
    let missing = [files(&config), secrets(&config)].concat();
    if !missing.is_empty() {
        return Err(Failure::new(missing.join("\nerror: ")).of_configuration());
    }
    let bundle = crate::app::world::bundle(&config)
        .map_err(|error| Failure::from(error).of_configuration())?;
    for warning in bundle.warnings() {
        output::note(&warning.to_string());
    }
    output::line(&format!(
        "{}: no faults; {} issuers, {} backends, {} targets, {} policies",
        args.config.display(),
        config.issuers.len(),
        config.backends.len(),
        config.targets.len(),
        bundle.policy_count(),
    ))?;
    output::note(NOT_CHECKED);
    Ok(())
}

fn files(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    let mut readable = |key: String, path: &Path| {
        if let Err(error) = std::fs::File::open(path) {
            faults.push(format!("{key}: {}: {error}", path.display()));
        }
    };
    let discovery = config.server.discovery.as_ref().and_then(|discovery| discovery.tls.as_ref());
    for (key, tls) in [("server", config.server.tls.as_ref()), ("server.discovery", discovery)] {
        if let Some(Tls { certificate, .. }) = tls {
            readable(format!("{key}.tls.certificate"), certificate);
        }
    }
    for (alias, issuer) in &config.issuers {
        if let Keys::File(path) = &issuer.keys {
            readable(format!("issuers.{alias}.keys.file"), path);
        }
        if let Keys::Authorities(path) = &issuer.keys {
            readable(format!("issuers.{alias}.authorities"), path);
        }
        if let Some(ca) = &issuer.reach.ca {
            readable(format!("issuers.{alias}.ca"), ca);
        }
    }
    let backends = config.backends.iter().map(|(name, b)| (format!("backends.{name}"), &b.egress));
    let targets = config.targets.iter().map(|(name, t)| (format!("targets.{name}"), &t.egress));
    for (holder, egress) in backends.chain(targets) {
        for (index, grant) in egress.iter().enumerate() {
            let key = |part: &str| format!("{holder}.egress[{index}].{part}");
            if let Some(ca) = &grant.reach.ca {
                readable(key("ca"), ca);
            }
            if let Some(tls) = &grant.client_certificate {
                readable(key("client_certificate.certificate"), &tls.certificate);
            }
        }
    }
    faults
}

fn secrets(config: &Config) -> Vec<String> {
    let fault = |(key, place): (String, &SecretRef)| {
        // The seal is made at the first start; until then its file need not be there.
        if key == "seal.key" && matches!(place, SecretRef::File(path) if !path.exists()) {
            return None;
        }
        match place.load() {
            Ok(secret) if key.ends_with(".credentials.jwt.key") => {
                check_key(&secret).err().map(|error| format!("{key}: {error}"))
            }
            Ok(_) => None,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                Some(format!("{key}: {error}{}", cause.unwrap_or_default()))
            }
        }
    };
    config.secrets().into_iter().filter_map(fault).collect()
}
