//! Whether no policy can permit something, by the scopes of the policies alone.
//!
//! Conditions are not read: a policy whose scope fits may permit. So what is said is certain, and less
//! than everything.

use std::str::FromStr;

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, PolicySet, PrincipalConstraint, ResourceConstraint,
};

/// The scopes of every policy that permits.
#[derive(Debug, Default)]
pub struct Policies(Vec<(PrincipalConstraint, ActionConstraint, ResourceConstraint)>);

/// Something that is asked for, in the words of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// The action's name.
    pub action: &'static str,
    /// `Secret`, `Folder`, `Backend`, `Role` or `Target`.
    pub kind: &'static str,
    /// Its id, such as `kv/prod/db`.
    pub id: String,
}

impl Policies {
    /// Reads policies. `None` if one of the texts is not understood: then nothing is certain.
    #[must_use]
    pub fn read(texts: &[String]) -> Option<Self> {
        let mut all = Self::default();
        for text in texts {
            let set = PolicySet::from_str(text).ok()?;
            if set.templates().next().is_some() {
                return None;
            }
            all.0.extend(set.policies().filter(|policy| policy.effect() == Effect::Permit).map(
                |policy| {
                    let principal = policy.principal_constraint();
                    (principal, policy.action_constraint(), policy.resource_constraint())
                },
            ));
        }
        Some(all)
    }

    /// Whether it is certain that nobody with this issuer and subject may do this.
    #[must_use]
    pub fn must_deny(&self, (issuer, subject): (&str, &str), thing: &Thing) -> bool {
        !self.0.iter().any(|(principal, action, resource)| {
            may_act(principal, issuer, subject)
                && may_do(action, thing.action)
                && may_be(resource, thing)
        })
    }

    /// The things that scopes name, for attempts that come close.
    #[must_use]
    pub fn named(&self) -> Vec<(String, String)> {
        let named = |constraint: &ResourceConstraint| match constraint {
            ResourceConstraint::In(uid)
            | ResourceConstraint::Eq(uid)
            | ResourceConstraint::IsIn(_, uid) => {
                Some((uid.type_name().basename().to_owned(), uid.id().unescaped().to_owned()))
            }
            ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
        };
        self.0.iter().filter_map(|(_, _, resource)| named(resource)).collect()
    }
}

fn is(uid: &EntityUid, kind: &str, id: &str) -> bool {
    uid.type_name().basename() == kind && uid.id().unescaped() == id
}

fn may_act(constraint: &PrincipalConstraint, issuer: &str, subject: &str) -> bool {
    let id = format!("{issuer}/{subject}");
    let within = |uid: &EntityUid| is(uid, "Workload", &id) || is(uid, "Issuer", issuer);
    match constraint {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::Eq(uid) => is(uid, "Workload", &id),
        PrincipalConstraint::In(uid) => within(uid),
        PrincipalConstraint::Is(kind) => kind.basename() == "Workload",
        PrincipalConstraint::IsIn(kind, uid) => kind.basename() == "Workload" && within(uid),
    }
}

fn may_do(constraint: &ActionConstraint, action: &str) -> bool {
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::In(uids) => uids.iter().any(|uid| is(uid, "Action", action)),
        ActionConstraint::Eq(uid) => is(uid, "Action", action),
    }
}

fn may_be(constraint: &ResourceConstraint, thing: &Thing) -> bool {
    match constraint {
        ResourceConstraint::Any => true,
        ResourceConstraint::Eq(uid) => is(uid, thing.kind, &thing.id),
        ResourceConstraint::In(uid) => lies_in(thing, uid),
        ResourceConstraint::Is(kind) => kind.basename() == thing.kind,
        ResourceConstraint::IsIn(kind, uid) => kind.basename() == thing.kind && lies_in(thing, uid),
    }
}

/// A path lies in every folder above it, and everything of a backend in the backend.
fn lies_in(thing: &Thing, uid: &EntityUid) -> bool {
    let (kind, id) = (uid.type_name().basename(), uid.id().unescaped());
    let below = thing.id.starts_with(&format!("{id}/"));
    is(uid, thing.kind, &thing.id) || ["Folder", "Backend"].contains(&kind) && below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies() -> Policies {
        let text = r#"
            permit (principal == Workload::"ci/a", action == Action::"read", resource in Folder::"kv/prod");
            permit (principal in Issuer::"k8s", action in [Action::"issue"], resource in Backend::"db")
            when { context.binding == "mtls" };
            forbid (principal, action, resource);
        "#;
        Policies::read(&[text.to_owned()]).unwrap()
    }

    #[test]
    fn what_no_scope_fits_must_be_denied() {
        let thing = |action, kind, id: &str| Thing { action, kind, id: id.to_owned() };
        for (who, thing, denied) in [
            (("ci", "a"), thing("read", "Secret", "kv/prod/db"), false),
            (("ci", "a"), thing("read", "Secret", "kv/production/db"), true),
            (("ci", "a"), thing("list", "Folder", "kv/prod"), true),
            (("ci", "b"), thing("read", "Secret", "kv/prod/db"), true),
            (("k8s", "b"), thing("issue", "Role", "db/reader"), false),
            (("k8s", "b"), thing("issue", "Role", "dbx/reader"), true),
            (("k8", "s/b"), thing("issue", "Role", "db/reader"), true),
        ] {
            assert_eq!(policies().must_deny(who, &thing), denied, "{who:?} {thing:?}");
        }
    }

    #[test]
    fn what_is_not_understood_leaves_everything_open() {
        assert!(Policies::read(&["permit (".to_owned()]).is_none());
        let template = "permit (principal == ?principal, action, resource);".to_owned();
        assert!(Policies::read(&[template]).is_none());
    }
}
