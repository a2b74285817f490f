//! Which parts of a request a policy can look at.
//!
//! Making Cedar values costs more than evaluating a small slice: a time alone is four regular
//! expressions. So only what some policy of the slice can look at is made.
//!
//! INVARIANT: a part that is left out is one that no policy of the slice can reach. What this
//! module does not recognise needs everything; the property test evaluates the whole bundle with
//! every part and compares.

use cedar_policy::Policy;
use serde_json::Value;

/// A set of parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs(u8);

impl Needs {
    pub(super) const TIME: Self = Self(1);
    pub(super) const SOURCE_ADDRESS: Self = Self(2);
    pub(super) const BINDING: Self = Self(4);
    pub(super) const REQUESTED_TTL: Self = Self(8);
    pub(super) const OPERATION: Self = Self(16);
    /// The attributes of the principal.
    pub(super) const PRINCIPAL: Self = Self(32);
    /// The attributes of the resource.
    pub(super) const RESOURCE: Self = Self(64);
    pub(super) const ALL: Self = Self(127);

    /// What a policy can look at beyond its scope.
    pub(super) fn of(policy: &Policy) -> Self {
        let json = policy.to_json().ok();
        json.as_ref().and_then(|json| json.get("conditions")).map_or(Self::ALL, Self::below)
    }

    pub(super) fn includes(self, part: Self) -> bool {
        self.0 & part.0 == part.0
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn below(json: &Value) -> Self {
        match json {
            Value::Array(items) => items.iter().map(Self::below).fold(Self::default(), Self::union),
            Value::Object(fields) => {
                let parts = fields.iter().map(|(name, value)| Self::of_field(name, value));
                parts.fold(Self::default(), Self::union)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Self::default(),
        }
    }

    fn of_field(name: &str, value: &Value) -> Self {
        match name {
            "." | "has" if of_context(value) => Self::named(value.get("attr")),
            // The principal or the resource may also be written as a literal.
            "__entity" => Self::PRINCIPAL.union(Self::RESOURCE),
            "Var" => match value.as_str() {
                Some("principal") => Self::PRINCIPAL,
                Some("resource") => Self::RESOURCE,
                Some("action") => Self::default(),
                Some(_) => Self::ALL,
                None => Self::below(value),
            },
            _ => Self::below(value),
        }
    }

    fn named(attribute: Option<&Value>) -> Self {
        let path = attribute.and_then(Value::as_array);
        let name = path.map_or(attribute, |path| path.first());
        match name.and_then(Value::as_str) {
            Some("time") => Self::TIME,
            Some("source_address") => Self::SOURCE_ADDRESS,
            Some("binding") => Self::BINDING,
            Some("requested_ttl") => Self::REQUESTED_TTL,
            Some("operation") => Self::OPERATION,
            Some(_) | None => Self::ALL,
        }
    }
}

fn of_context(access: &Value) -> bool {
    let left = access.get("left").and_then(|left| left.get("Var"));
    left.and_then(Value::as_str) == Some("context")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_needs_what_it_can_look_at() {
        for (condition, expected) in [
            ("", Needs::default()),
            ("when { true }", Needs::default()),
            ("when { context.binding == \"context.time\" }", Needs::BINDING),
            ("when { context[\"ti\\u{6d}e\"] < datetime(\"2030-01-01\") }", Needs::TIME),
            ("when { context has source_address }", Needs::SOURCE_ADDRESS),
            ("unless { context.operation == \"x\" }", Needs::OPERATION),
            ("when { principal has oidc.env }", Needs::PRINCIPAL),
            ("when { resource.name == \"x\" && context.requested_ttl > 1 }", Needs(64 | 8)),
            ("when { Workload::\"k8s/x\".subject == \"x\" }", Needs(32 | 64)),
            ("when { context == {} }", Needs::ALL),
            ("when { (if true then context else context).time == 1 }", Needs::ALL),
            ("when { {\"Var\": principal}[\"Var\"] has oidc }", Needs::PRINCIPAL),
            ("when { {\".\": context}[\".\"].time == 1 }", Needs::ALL),
        ] {
            let text = format!("permit (principal, action, resource) {condition};");
            assert_eq!(Needs::of(&Policy::parse(None, &text).unwrap()), expected, "{condition}");
        }
    }
}
