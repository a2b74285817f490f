//! What a target gives to callers, and how its assertions name them: keys of `[targets.*]`.

use symbolon_core::token::AttributeName;

use super::cursor::{Block, Value};
use super::database::quota;
use super::fault::Problem;
use super::parse;

/// Longest scope, in bytes.
const MAX_SCOPE_BYTES: usize = 256;
/// Most scopes, and most attributes.
const MOST: usize = 32;
/// Length of a subject that was hashed.
const HASHED_BYTES: usize = 50;

/// How a target serves callers.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The scopes that its tokens may have.
    pub scopes: Vec<String>,
    /// Attributes of the caller that go to the target.
    pub attributes: Vec<AttributeName>,
    /// Longest `sub` of an assertion that names a caller, in bytes.
    pub max_subject: usize,
    /// What becomes of a longer one.
    pub long_subject: LongSubject,
    /// What assertions say beside.
    pub claims: Claims,
    /// Whether callers may have the assertion itself.
    pub assertion: Assertion,
    /// Most tokens alive at a time.
    pub max_leases: Option<u64>,
}

/// What becomes of the assertion that the gateway signs for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// It goes to the target alone.
    Keep,
    /// The caller gets it who asks for it, for libraries of clouds that make the exchange themselves.
    Deliver,
}

/// What becomes of a subject that is too long for the target. Never is it cut: two callers would be
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongSubject {
    /// The caller gets no token.
    Refuse,
    /// The assertion has its SHA-256 in its place.
    Hash,
}

/// What assertions say beside the registered claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claims {
    /// Nothing.
    None,
    /// Session tags and source identity of AWS.
    Aws,
}

impl Exchange {
    pub(super) fn read(block: &mut Block<'_>) -> Self {
        const LONG: &[(&str, LongSubject)] =
            &[("refuse", LongSubject::Refuse), ("hash", LongSubject::Hash)];
        const CLAIMS: &[(&str, Claims)] = &[("none", Claims::None), ("aws", Claims::Aws)];
        const ASSERTIONS: &[(&str, Assertion)] =
            &[("keep", Assertion::Keep), ("deliver", Assertion::Deliver)];
        let scopes = block.list("scopes", scope).unwrap_or_default();
        let attributes = block.list("attributes", attribute).unwrap_or_default();
        let max_subject = block.or("max_subject", 127, parse::integer(16, 1024));
        let long_subject = block.or("long_subject", LongSubject::Refuse, parse::one_of(LONG));
        let claims = block.or("claims", Claims::None, parse::one_of(CLAIMS));
        let assertion = block.or("assertion", Assertion::Keep, parse::one_of(ASSERTIONS));
        let max_leases = block.optional("max_leases", quota);
        if long_subject == LongSubject::Hash && max_subject < HASHED_BYTES {
            let problem = Problem::new(format!("a hash of a subject has {HASHED_BYTES} bytes"));
            block.fault_at("max_subject", problem);
        }
        distinct(block, "scopes", &scopes);
        let names: Vec<String> = attributes.iter().map(ToString::to_string).collect();
        distinct(block, "attributes", &names);
        Self { scopes, attributes, max_subject, long_subject, claims, assertion, max_leases }
    }
}

fn distinct(block: &Block<'_>, key: &str, values: &[String]) {
    if values.len() > MOST {
        block.fault_at(key, Problem::new(format!("has more than {MOST} entries")));
    }
    let again = values
        .iter()
        .enumerate()
        .find(|(at, value)| values.iter().take(*at).any(|earlier| earlier == *value));
    if let Some((_, value)) = again {
        block.fault_at(key, Problem::new(format!("names `{value}` twice")));
    }
}

/// RFC 6749 §3.3.
fn scope(value: &Value<'_>) -> Result<String, Problem> {
    let text = parse::text(value)?;
    let allowed = |b: u8| b == b'!' || (b'#'..=b'[').contains(&b) || (b']'..=b'~').contains(&b);
    match text.len() <= MAX_SCOPE_BYTES && text.bytes().all(allowed) {
        true => Ok(text),
        false => Err(Problem::new("is not a scope").with_help(
            "a scope has no space, quote or backslash, and at most 256 characters of ASCII",
        )),
    }
}

fn attribute(value: &Value<'_>) -> Result<AttributeName, Problem> {
    AttributeName::parse(value.text()?).map_err(|error| Problem::new(error.to_string()))
}
