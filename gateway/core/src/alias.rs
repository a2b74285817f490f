//! Aliases: what workloads ask for, and where the operator has put it.
//!
//! An alias is resolved before anything is decided. Policy, audit and backend see the real resource,
//! so that a rule about a secret holds by whatever name somebody asks for it, and nobody gets by an
//! alias what he could not have by its place; the alias itself is on record beside it.
//!
//! INVARIANT: an alias leads to a secret, never to another alias, and never stands before a backend:
//! its first segment is no backend's name. Whoever makes [`Aliases`] checks that.

use std::collections::BTreeMap;

use crate::ask::{Action, Ask, Resource, Version};
use crate::field::Field;
use crate::id::BackendName;
use crate::path::SecretPath;

/// Where an alias leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The backend.
    pub backend: BackendName,
    /// The path there.
    pub path: SecretPath,
    /// The one version; whichever is asked for if `None`.
    pub version: Option<Version>,
    /// The field that is the secret; all of it if `None`.
    pub field: Option<Field>,
}

/// All aliases, by what is asked for.
#[derive(Clone, Debug, Default)]
pub struct Aliases(BTreeMap<SecretPath, Alias>);

/// What is asked of an alias cannot be had of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// It is of one version, and another is asked for.
    #[error("the alias is of another version")]
    Version,
    /// Its field and the one asked for are too long together.
    #[error("the field of the alias and the one asked for are too long together")]
    Field,
}

impl Aliases {
    /// Aliases by what is asked for.
    #[must_use]
    pub fn new(aliases: BTreeMap<SecretPath, Alias>) -> Self {
        Self(aliases)
    }

    /// `ask`, about the place of what it asks for.
    ///
    /// # Errors
    /// [`AliasError`] if it wants of an alias what that does not have.
    pub fn resolve(&self, ask: Ask) -> Result<Ask, AliasError> {
        let Some((name, alias)) = self.find(&ask) else { return Ok(ask) };
        let version = match (&alias.version, &ask.version) {
            (Some(pinned), Some(asked)) if pinned != asked => return Err(AliasError::Version),
            (Some(pinned), _) => Some(pinned.clone()),
            (None, asked) => asked.clone(),
        };
        let field = match (&alias.field, &ask.field) {
            (Some(outer), Some(inner)) => Some(outer.below(inner).map_err(|_| AliasError::Field)?),
            (outer, inner) => outer.clone().or_else(|| inner.clone()),
        };
        let resource =
            Resource::Secret { backend: alias.backend.clone(), path: alias.path.clone() };
        Ok(Ask { resource, version, field, alias: Some(name), ..ask })
    }

    fn find(&self, ask: &Ask) -> Option<(SecretPath, &Alias)> {
        match (ask.action, &ask.resource) {
            (Action::Read, Resource::Secret { backend, path }) if !self.0.is_empty() => {
                let name = SecretPath::parse(&format!("{backend}/{path}")).ok()?;
                self.0.get(&name).map(|alias| (name, alias))
            }
            (_, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SecretPath {
        SecretPath::parse(text).unwrap()
    }

    fn field(text: &str) -> Option<Field> {
        Some(Field::parse(text).unwrap())
    }

    fn version(text: &str) -> Option<Version> {
        Some(Version::parse(text).unwrap())
    }

    fn aliases() -> Aliases {
        let to = |version: Option<Version>, field: Option<Field>| Alias {
            backend: BackendName::parse("kv").unwrap(),
            path: path("prod/db"),
            version,
            field,
        };
        Aliases::new(BTreeMap::from([
            (path("billing/db"), to(None, None)),
            (path("billing/db-password"), to(version("3"), field("/password"))),
        ]))
    }

    fn ask(text: &str) -> Ask {
        let (backend, rest) = text.split_once('/').unwrap();
        Ask::read(BackendName::parse(backend).unwrap(), path(rest), None)
    }

    #[test]
    fn what_is_no_alias_stays_what_it_is() {
        for text in ["kv/prod/db", "billing/other", "billing/db/x"] {
            assert_eq!(aliases().resolve(ask(text)), Ok(ask(text)), "{text}");
        }
        let list = Ask::list(BackendName::parse("billing").unwrap(), Some(path("db")));
        assert_eq!(aliases().resolve(list.clone()), Ok(list));
    }

    #[test]
    fn an_alias_becomes_its_place_and_stays_known() {
        let asked = Ask { version: version("7"), field: field("/user"), ..ask("billing/db") };
        let resolved = aliases().resolve(asked).unwrap();
        assert_eq!(resolved.resource.to_string(), "kv/prod/db");
        assert_eq!(resolved.alias, Some(path("billing/db")));
        assert_eq!((resolved.version, resolved.field), (version("7"), field("/user")));
    }

    #[test]
    fn what_an_alias_has_is_narrowed_and_never_replaced() {
        let of = |version, field| Ask { version, field, ..ask("billing/db-password") };
        let plain = aliases().resolve(of(None, None)).unwrap();
        assert_eq!((plain.version, plain.field), (version("3"), field("/password")));
        let inner = aliases().resolve(of(version("3"), field("/hash"))).unwrap();
        assert_eq!(inner.field, field("/password/hash"));
        assert_eq!(aliases().resolve(of(version("4"), None)), Err(AliasError::Version));
        let deep = field(&"/a".repeat(8));
        assert_eq!(aliases().resolve(of(None, deep)), Err(AliasError::Field));
    }
}
