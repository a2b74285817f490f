//! Session policies: the operator's, and an end that comes before AWS's own.
//!
//! The shortest session of AWS lasts 15 minutes, which may be longer than what was permitted. So the
//! inline policy denies everything from the permitted end on: the rights of the session end in
//! time, though its keys are still known to AWS.

use serde_json::{Map, Value, json};
use symbolon_plugin::{Error, Timestamp, time};

use crate::config::faulty;

/// What AWS takes of inline and managed policies together, in characters.
const MOST: usize = 2048;
const MOST_MANAGED: usize = 10;

/// Checks the operator's policies, with room for the end.
pub(crate) fn sound(inline: Option<&str>, managed: &[String]) -> Result<(), Error> {
    let is_policy = |arn: &String| {
        let plain = arn.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_+=,.@-".contains(&b));
        arn.starts_with("arn:aws") && arn.contains(":policy/") && plain && arn.len() <= MOST
    };
    if managed.len() > MOST_MANAGED || !managed.iter().all(is_policy) {
        return Err(faulty("`policy_arns` has more than 10, or one that is no ARN of a policy"));
    }
    document(inline, managed, Some(0)).map(drop)
}

/// The inline policy to send, if one is needed.
pub(crate) fn document(
    inline: Option<&str>,
    managed: &[String],
    ends: Option<Timestamp>,
) -> Result<Option<String>, Error> {
    let mut policy = match inline {
        Some(text) => Some(parse(text)?),
        None => None,
    };
    if let Some(ends) = ends {
        let ended = policy.get_or_insert_with(|| everything(managed));
        close(ended, ends)?;
    }
    let Some(policy) = policy else { return Ok(None) };
    let text = Value::Object(policy).to_string();
    let in_all =
        managed.iter().map(|arn| arn.chars().count()).sum::<usize>() + text.chars().count();
    match in_all <= MOST && text.chars().all(|c| matches!(c, '\u{20}'..='\u{ff}')) {
        true => Ok(Some(text)),
        false => {
            Err(faulty("the session policies have more than 2048 characters, or one beyond U+00FF"))
        }
    }
}

fn parse(text: &str) -> Result<Map<String, Value>, Error> {
    let policy: Option<Map<String, Value>> = serde_json::from_str(text).ok();
    policy
        .filter(|policy| policy.contains_key("Statement"))
        .ok_or_else(|| faulty("`policy` is not a JSON policy with a `Statement`"))
}

/// Takes nothing from the role. Where there are managed policies, they are what is left of it.
fn everything(managed: &[String]) -> Map<String, Value> {
    let statements = match managed {
        [] => json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]),
        _ => json!([]),
    };
    Map::from_iter([
        ("Version".to_owned(), json!("2012-10-17")),
        ("Statement".to_owned(), statements),
    ])
}

/// Adds the end.
fn close(policy: &mut Map<String, Value>, ends: Timestamp) -> Result<(), Error> {
    let end = json!({
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": { "DateGreaterThanEquals": { "aws:CurrentTime": time::format(ends) } },
    });
    let statements = policy.remove("Statement").unwrap_or_default();
    let mut statements = match statements {
        Value::Array(statements) => statements,
        one @ Value::Object(_) => vec![one],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(faulty("the `Statement` of `policy` is neither a list nor a statement"));
        }
    };
    statements.push(end);
    policy.insert("Statement".to_owned(), Value::Array(statements));
    Ok(())
}
