//! What anyone may see, and what the gateway is called: where its documents are, and what an audience
//! or a resource names.

use symbolon_core::id::TargetName;

use super::AskError;

/// What anyone may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Public {
    /// The process is alive.
    Health,
    /// The gateway can serve.
    Ready,
    /// Discovery document of the access-token issuer.
    Configuration,
    /// Keys of the access-token issuer.
    Keys,
    /// Discovery document of the assertion issuer.
    AssertionConfiguration,
    /// Keys of the assertion issuer.
    AssertionKeys,
}

/// The public documents and where they are (paths below the origin of the listener). Those of the
/// assertion issuer are also below the path of its URL: [`Published`].
pub const PUBLIC_ROUTES: [(&str, Public); 7] = [
    ("/healthz", Public::Health),
    ("/readyz", Public::Ready),
    ("/.well-known/openid-configuration", Public::Configuration),
    ("/.well-known/oauth-authorization-server", Public::Configuration),
    ("/.well-known/jwks.json", Public::Keys),
    ("/assertions/.well-known/openid-configuration", Public::AssertionConfiguration),
    ("/assertions/.well-known/jwks.json", Public::AssertionKeys),
];

/// Below it and the origin, a URI names a target (RFC 8707). Nothing is served there.
const TARGETS_PATH: &str = "/targets/";

/// Where the assertion issuer's documents are besides the paths that are always theirs, and what the
/// gateway is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    below: String,
    origin: String,
}

impl Published {
    /// Below the path of the issuer's URL; a trailing `/` counts for nothing.
    #[must_use]
    pub fn below(path: &str) -> Self {
        Self { below: path.trim_end_matches('/').to_owned(), origin: String::new() }
    }

    /// The same for a gateway that is called `origin`.
    #[must_use]
    pub fn at(self, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..self }
    }

    /// What an `audience` names: a target by its name, or the gateway (`None`).
    pub(super) fn audience(&self, audience: &str) -> Result<Option<TargetName>, AskError> {
        if audience == self.origin {
            return Ok(None);
        }
        TargetName::parse(audience).map(Some).map_err(|_| AskError::Target)
    }

    /// What a `resource` names: a target by its URI, or the gateway.
    pub(super) fn resource(&self, resource: &str) -> Result<Option<TargetName>, AskError> {
        let below = resource.strip_prefix(&self.origin).ok_or(AskError::Target)?;
        match below.strip_prefix(TARGETS_PATH) {
            Some(name) => TargetName::parse(name).map(Some).map_err(|_| AskError::Target),
            None if below.is_empty() => Ok(None),
            None => Err(AskError::Target),
        }
    }

    /// The document at `path`, on a listener on which others are at the root.
    pub(super) fn find(&self, path: &str) -> Option<Public> {
        let fixed = PUBLIC_ROUTES.iter().find(|(route, _)| *route == path);
        fixed.map(|(_, public)| *public).or_else(|| {
            let rest = path.strip_prefix(&self.below)?;
            if self.below.is_empty() { None } else { assertion_document(rest) }
        })
    }

    /// The document at `path`, on a listener that has no others.
    #[must_use]
    pub fn find_alone(&self, path: &str) -> Option<Public> {
        let below = [self.below.as_str(), "/assertions", ""];
        below.iter().find_map(|below| assertion_document(path.strip_prefix(below)?))
    }
}

fn assertion_document(path: &str) -> Option<Public> {
    match path {
        crate::issuer::CONFIGURATION_PATH => Some(Public::AssertionConfiguration),
        crate::issuer::KEYS_PATH => Some(Public::AssertionKeys),
        _ => None,
    }
}
