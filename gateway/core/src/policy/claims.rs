//! Does a policy open up when a claim is missing?
//!
//! A token with fewer claims should never get more. Strict validation demands `has` before every
//! optional attribute, and where that `has` counts *against* the effect the rule falls open:
//! `forbid … when { … has environment && … environment == "untrusted" }` stops forbidding when the
//! claim is gone. Such policies are legal Cedar and sometimes meant, so they get a warning with the
//! way to write them closed.
//!
//! What this promises: in a bundle without this warning, taking a mapped claim away from a subject
//! never turns a denial into a permission (a property test holds it).

use cedar_policy::{Effect, Policy};
use serde_json::Value;

/// How a sub-expression bears on whether access is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// True makes access more likely.
    For,
    /// True makes access less likely.
    Against,
    /// Both ways, or not known.
    Either,
}

impl Sign {
    const fn flipped(self) -> Self {
        match self {
            Self::For => Self::Against,
            Self::Against => Self::For,
            Self::Either => Self::Either,
        }
    }
}

/// Whether taking a claim away can make the policy grant more. `json` is the policy's.
pub(super) fn opens_without_claim(policy: &Policy, json: &Value) -> bool {
    // What cannot be shown harmless gets the warning.
    let Some(conditions) = json.get("conditions").and_then(Value::as_array) else { return true };
    conditions.iter().any(|condition| {
        let when = condition.get("kind").and_then(Value::as_str) == Some("when");
        let permit = policy.effect() == Effect::Permit;
        let sign = if when == permit { Sign::For } else { Sign::Against };
        condition.get("body").is_none_or(|body| opens(body, sign))
    })
}

fn opens(expression: &Value, sign: Sign) -> bool {
    let Some(object) = expression.as_object() else { return false };
    object.iter().any(|(operator, operands)| match operator.as_str() {
        "Value" | "Var" => false,
        "!" => operand(operands, "arg", sign.flipped()),
        "&&" | "||" => operand(operands, "left", sign) || operand(operands, "right", sign),
        "if-then-else" => {
            operand(operands, "if", Sign::Either)
                || operand(operands, "then", sign)
                || operand(operands, "else", sign)
        }
        "has" => sign != Sign::For && tests_claim(operands),
        _ => any_operand(operands),
    })
}

fn operand(operands: &Value, name: &str, sign: Sign) -> bool {
    operands.get(name).is_some_and(|operand| opens(operand, sign))
}

/// The operands of everything else: a truth value in there may be used either way.
fn any_operand(operands: &Value) -> bool {
    match operands {
        Value::Array(items) => items.iter().any(|item| opens(item, Sign::Either)),
        Value::Object(fields) => fields.values().any(|field| match field {
            Value::Array(items) => items.iter().any(|item| opens(item, Sign::Either)),
            Value::Object(_) => opens(field, Sign::Either),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// `principal has github` tests the profile, which a token cannot drop; anything deeper is a claim.
fn tests_claim(operands: &Value) -> bool {
    let Some(left) = operands.get("left") else { return true };
    let deep = operands.get("attr").and_then(Value::as_array).is_some_and(|path| path.len() > 1);
    let bare = left.get("Var").is_some();
    mentions_principal(left) && (deep || !bare)
}

fn mentions_principal(expression: &Value) -> bool {
    match expression {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            (name == "Var" && value == "principal") || mentions_principal(value)
        }),
        Value::Array(items) => items.iter().any(mentions_principal),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Every path below `principal` that a `has` of the policy tests, such as `["github", "ref"]`.
///
/// Strict validation lets a `has` of an undeclared attribute pass: it is simply false, and a
/// `forbid` with a misspelt claim would never apply.
pub(super) fn tested_paths(json: &Value) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    collect_paths(json, &mut found);
    found
}

fn collect_paths<'a>(json: &'a Value, found: &mut Vec<Vec<&'a str>>) {
    match json {
        Value::Object(fields) => {
            found.extend(fields.get("has").and_then(tested_path));
            fields.values().for_each(|value| collect_paths(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_paths(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn tested_path(operands: &Value) -> Option<Vec<&str>> {
    let mut path = path_of(operands.get("left")?)?;
    let attribute = operands.get("attr")?;
    match attribute.as_array() {
        Some(names) => path.extend(names.iter().filter_map(Value::as_str)),
        None => path.push(attribute.as_str()?),
    }
    Some(path)
}

/// The attributes from `principal` to the expression, if it is such a path.
fn path_of(expression: &Value) -> Option<Vec<&str>> {
    if expression.get("Var").and_then(Value::as_str) == Some("principal") {
        return Some(Vec::new());
    }
    let access = expression.get(".")?;
    let mut path = path_of(access.get("left")?)?;
    path.push(access.get("attr")?.as_str()?);
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_counts_against_access_is_seen() {
        const CLAIM: &str = "principal.oidc has env";
        for (policy, expected) in [
            (format!("permit (principal, action, resource) when {{ {CLAIM} }};"), false),
            (format!("permit (principal, action, resource) unless {{ {CLAIM} }};"), true),
            (format!("permit (principal, action, resource) when {{ !({CLAIM}) }};"), true),
            (format!("permit (principal, action, resource) unless {{ !({CLAIM}) }};"), false),
            (format!("forbid (principal, action, resource) when {{ {CLAIM} }};"), true),
            (format!("forbid (principal, action, resource) unless {{ {CLAIM} }};"), false),
            (format!("permit (principal, action, resource) when {{ ({CLAIM}) == false }};"), true),
            (format!("permit (principal, action, resource) when {{ true && {CLAIM} }};"), false),
            (
                format!(
                    "permit (principal, action, resource) when {{ if {CLAIM} then false else true }};"
                ),
                true,
            ),
            (
                String::from(
                    "forbid (principal, action, resource) when { principal has oidc.env };",
                ),
                true,
            ),
            (
                String::from("forbid (principal, action, resource) when { principal has oidc };"),
                false,
            ),
            (
                String::from(
                    "forbid (principal, action, resource) when { context has source_address };",
                ),
                false,
            ),
            (String::from("forbid (principal, action, resource);"), false),
        ] {
            let parsed = Policy::parse(None, &policy).unwrap();
            let json = parsed.to_json().unwrap();
            assert_eq!(opens_without_claim(&parsed, &json), expected, "{policy}");
        }
    }

    #[test]
    fn the_claims_that_a_policy_tests_are_found_however_they_are_written() {
        let text =
            "permit (principal, action, resource) when { principal has a && principal.a has b
            && principal has c.d && principal[\"e\"] has \"f\" && !(context has g) };";
        let json = Policy::parse(None, text).unwrap().to_json().unwrap();
        let mut paths = tested_paths(&json);
        paths.retain(|path| *path != ["c"]);
        assert_eq!(paths, [vec!["a"], vec!["a", "b"], vec!["c", "d"], vec!["e", "f"]]);
    }
}
