//! From claims to the typed attributes that policies see.
//!
//! INVARIANT: an attribute has the type its rule states, or there is no principal. A claim of
//! another type (`null` too) is a refusal, never an attribute left out: a policy that forbids by an
//! attribute would otherwise be passed by sending it as a number.

use std::fmt;
use std::sync::Arc;

use super::json::{Object, Value};
use super::refusal::Refusal;
use crate::principal::{Attribute, Attributes};

const MAX_RULES: usize = 64;
const MAX_NAME_BYTES: usize = 63;
const MAX_POINTER_DEPTH: usize = 8;

/// Where a claim is: a JSON pointer (RFC 6901) through objects. There are no array indices: what
/// stands at a place in a list is not a property of a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    names: Vec<String>,
}

/// The text is not a [`Pointer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a claim is named by a JSON pointer of 1 to 8 steps such as `/sub` or `/kubernetes.io/namespace`, with `~` as `~0` and `/` within a name as `~1`"
)]
pub struct PointerError(());

/// Something on the way to the claim is not an object.
pub(super) struct WrongShape;

impl Pointer {
    /// Parses a pointer.
    ///
    /// # Errors
    /// [`PointerError`] if the text does not begin with `/`, has a bad escape or too many steps.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let steps = text.strip_prefix('/').ok_or(PointerError(()))?;
        let names = steps.split('/').map(unescape).collect::<Option<Vec<_>>>();
        match names {
            Some(names) if names.len() <= MAX_POINTER_DEPTH => {
                Ok(Self { text: text.to_owned(), names })
            }
            Some(_) | None => Err(PointerError(())),
        }
    }

    /// The pointer to a claim at the top.
    #[must_use]
    pub fn to_claim(name: &str) -> Self {
        let text = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        Self { text, names: vec![name.to_owned()] }
    }

    /// The pointer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The claim, if it is there.
    pub(super) fn find<'a>(&self, claims: &'a Object) -> Result<Option<&'a Value>, WrongShape> {
        let Some((last, folders)) = self.names.split_last() else { return Ok(None) };
        let mut object = claims;
        for name in folders {
            object = match object.get(name) {
                None => return Ok(None),
                Some(value) => value.as_object().ok_or(WrongShape)?,
            };
        }
        Ok(object.get(last))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn unescape(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = match (part.strip_prefix('0'), part.strip_prefix('1')) {
            (Some(rest), _) => ('~', rest),
            (None, Some(rest)) => ('/', rest),
            (None, None) => return None,
        };
        name.push(character);
        name.push_str(rest);
    }
    Some(name)
}

/// The name of an attribute in policies: `[a-z][a-z0-9_]*`, at most 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName(Arc<str>);

impl AttributeName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`MappingError::Name`] if the text breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let begins_well = text.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let fits = begins_well && text.len() <= MAX_NAME_BYTES && text.bytes().all(is_allowed);
        if fits { Ok(Self(text.into())) } else { Err(MappingError::Name) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The type of an attribute in policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttributeType {
    /// A JSON string.
    String,
    /// A JSON number written as an integer that fits 64 bits.
    Long,
    /// A JSON boolean.
    Bool,
    /// A JSON array of strings.
    Strings,
}

impl AttributeType {
    /// The type of this name in the configuration.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let types = [Self::String, Self::Long, Self::Bool, Self::Strings];
        types.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Long => "long",
            Self::Bool => "bool",
            Self::Strings => "strings",
        }
    }

    fn read(self, claim: &Value) -> Option<Attribute> {
        match (self, claim) {
            (Self::String, Value::String(text)) => Some(Attribute::String(text.clone())),
            (Self::Long, Value::Number(number)) => number.as_long().map(Attribute::Long),
            (Self::Bool, Value::Bool(truth)) => Some(Attribute::Bool(*truth)),
            (Self::Strings, Value::Array(items)) => {
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
                texts.collect::<Option<Vec<_>>>().map(Attribute::Strings)
            }
            (Self::String | Self::Long | Self::Bool | Self::Strings, _) => None,
        }
    }
}

/// How one attribute is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeRule {
    /// Its name in policies.
    pub name: AttributeName,
    /// The claim it is made of.
    pub claim: Pointer,
    /// Its type.
    pub kind: AttributeType,
    /// Whether a token without the claim is refused.
    pub required: bool,
}

/// How the attributes of an issuer's principals are made: at most 64, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimMapping(Vec<AttributeRule>);

/// Why a mapping is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// The name breaks the grammar.
    #[error("an attribute name is 1 to 63 of a-z, 0-9 and `_`, beginning with a letter")]
    Name,
    /// Two rules for one attribute.
    #[error("the attribute `{0}` is mapped twice")]
    Twice(AttributeName),
    /// An attribute of the profile, from another claim or of another type.
    #[error("the attribute `{0}` is the profile's: another name is needed")]
    Taken(AttributeName),
    /// Over 64 rules.
    #[error("more than 64 attributes are mapped")]
    TooMany,
}

impl ClaimMapping {
    /// Takes the rules.
    ///
    /// # Errors
    /// [`MappingError::Twice`] or [`MappingError::TooMany`].
    pub fn new(rules: Vec<AttributeRule>) -> Result<Self, MappingError> {
        if rules.len() > MAX_RULES {
            return Err(MappingError::TooMany);
        }
        for (index, rule) in rules.iter().enumerate() {
            if rules.iter().skip(index + 1).any(|other| other.name == rule.name) {
                return Err(MappingError::Twice(rule.name.clone()));
            }
        }
        Ok(Self(rules))
    }

    /// These rules and an operator's own. One of the profile's can be named again to require it.
    ///
    /// # Errors
    /// [`MappingError`].
    pub fn with(self, own: Vec<AttributeRule>) -> Result<Self, MappingError> {
        let mut rules = self.0;
        let mut added = Vec::new();
        for rule in Self::new(own)?.0 {
            match rules.iter_mut().find(|known| known.name == rule.name) {
                None => added.push(rule),
                Some(known) if known.claim == rule.claim && known.kind == rule.kind => {
                    known.required |= rule.required;
                }
                Some(known) => return Err(MappingError::Taken(known.name.clone())),
            }
        }
        rules.extend(added);
        Self::new(rules)
    }

    /// The rules.
    pub fn rules(&self) -> impl Iterator<Item = &AttributeRule> {
        self.0.iter()
    }

    pub(super) fn apply(&self, claims: &Object) -> Result<Attributes, Refusal> {
        let mut attributes = Attributes::new();
        for rule in &self.0 {
            if let Some(attribute) = rule.apply(claims)? {
                attributes.insert(rule.name.as_str().to_owned(), attribute);
            }
        }
        Ok(attributes)
    }
}

impl AttributeRule {
    fn apply(&self, claims: &Object) -> Result<Option<Attribute>, Refusal> {
        let wrong = || Refusal::AttributeType(self.name.clone());
        match self.claim.find(claims).map_err(|WrongShape| wrong())? {
            Some(claim) => self.kind.read(claim).map(Some).ok_or_else(wrong),
            None if self.required => Err(Refusal::MissingAttribute(self.name.clone())),
            None => Ok(None),
        }
    }
}
