//! The checks of a token by name, in the order in which they are made: how an operator is told which
//! of them a token passes.

use super::compact::Compact;
use super::json::Value;
use super::refusal::{Claim, Refusal};

/// One check. The order is that of the verifier, so that where one fails all before it have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Size, alphabet, segments, canonical base64url.
    Text,
    /// The header: strict JSON, nothing unusual.
    Header,
    /// The payload: strict JSON.
    Payload,
    /// `iss`, or the trust domain: a registered issuer.
    Issuer,
    /// `alg`: allowed for the issuer.
    Algorithm,
    /// `typ`: allowed for the issuer.
    Type,
    /// `kid`: a key of the issuer that fits.
    Key,
    /// The signature.
    Signature,
    /// `exp`, `iat`, `nbf`.
    Dates,
    /// `aud`: the gateway and nobody else.
    Audience,
    /// `jti`, if there is one.
    TokenId,
    /// `cnf`: no key that would have to be shown.
    Binding,
    /// `azp`, `client_id`, `appid`: one of ours, where the issuer's block says whose.
    Client,
    /// The owners of the issuer's block.
    Owner,
    /// The claims that become attributes.
    Attributes,
    /// The subject, and what the platform's claims say of each other.
    Subject,
    /// The cluster's own word, where the issuer's block has it asked.
    Review,
}

impl Check {
    /// All of them, in order.
    pub const ALL: [Self; 17] = [
        Self::Text,
        Self::Header,
        Self::Payload,
        Self::Issuer,
        Self::Algorithm,
        Self::Type,
        Self::Key,
        Self::Signature,
        Self::Dates,
        Self::Audience,
        Self::TokenId,
        Self::Binding,
        Self::Client,
        Self::Owner,
        Self::Attributes,
        Self::Subject,
        Self::Review,
    ];

    /// The name, as operators see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Issuer => "issuer",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Dates => "dates",
            Self::Audience => "audience",
            Self::TokenId => "token id",
            Self::Binding => "binding",
            Self::Client => "client",
            Self::Owner => "owners",
            Self::Attributes => "attributes",
            Self::Subject => "subject",
            Self::Review => "review",
        }
    }
}

impl Refusal {
    /// The check that refuses. Two refusals come later than their check's place: a token that is too
    /// long for its issuer, and a header member that its profile does not know.
    #[must_use]
    pub const fn check(&self) -> Check {
        match self {
            Self::TooLong | Self::Characters | Self::Segments | Self::Encoding => Check::Text,
            Self::HeaderTooLong
            | Self::HeaderJson(_)
            | Self::HeaderMember
            | Self::Critical
            | Self::Unencoded
            | Self::Encrypted
            | Self::EmbeddedKey
            | Self::Nested
            | Self::UnknownHeader => Check::Header,
            Self::PayloadJson(_) => Check::Payload,
            Self::UnknownIssuer | Self::WrongIssuer => Check::Issuer,
            Self::Algorithm => Check::Algorithm,
            Self::Type => Check::Type,
            Self::UnknownKey | Self::AmbiguousKey | Self::KeyMismatch => Check::Key,
            Self::Signature => Check::Signature,
            Self::MissingClaim(claim) | Self::MalformedClaim(claim) => of_claim(*claim),
            Self::Expired
            | Self::NotYetValid
            | Self::IssuedInFuture
            | Self::Backwards
            | Self::Lifetime
            | Self::TooOld => Check::Dates,
            Self::Audience | Self::SeveralAudiences => Check::Audience,
            Self::Bound => Check::Binding,
            Self::Client | Self::Actor | Self::TooManyActors => Check::Client,
            Self::Owner => Check::Owner,
            Self::MissingAttribute(_) | Self::AttributeType(_) => Check::Attributes,
            Self::NotVouched | Self::NotVouchedForUs => Check::Review,
            Self::SubjectForm
            | Self::Disagreement
            | Self::Person
            | Self::Unverified
            | Self::Unbound => Check::Subject,
        }
    }
}

const fn of_claim(claim: Claim) -> Check {
    match claim {
        Claim::Issuer => Check::Issuer,
        Claim::Subject | Claim::SubjectClaim | Claim::Principal => Check::Subject,
        Claim::Audience => Check::Audience,
        Claim::ExpiresAt | Claim::NotBefore | Claim::IssuedAt => Check::Dates,
        Claim::TokenId => Check::TokenId,
        Claim::Client | Claim::Act | Claim::MayAct => Check::Client,
    }
}

/// What a token says of itself, unproven: enough to see why it is refused, and nothing that a secret
/// would be written in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// `alg`
    pub algorithm: String,
    /// `kid`
    pub key_id: Option<String>,
    /// `typ`, without `application/`, in lower case.
    pub media_type: Option<String>,
    /// `iss`
    pub issuer: Option<String>,
    /// `sub`
    pub subject: Option<String>,
    /// `aud`
    pub audiences: Vec<String>,
    /// `iat`, `nbf` and `exp`, as they are written.
    pub dates: [Option<String>; 3],
}

impl Compact<'_> {
    /// The outline of the token.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let text = |name: &str| self.claims().get(name).and_then(Value::as_str).map(str::to_owned);
        let date = |name: &str| match self.claims().get(name) {
            Some(Value::Number(number)) => number.as_integer_text().map(str::to_owned),
            Some(_) | None => None,
        };
        let audiences = match self.claims().get("aud") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(name) => name.as_str().into_iter().collect::<Vec<_>>(),
            None => Vec::new(),
        };
        let header = &self.jws().header;
        Outline {
            algorithm: header.algorithm.clone(),
            key_id: header.key_id.clone(),
            media_type: header.media_type.clone(),
            issuer: text("iss"),
            subject: text("sub"),
            audiences: audiences.into_iter().map(str::to_owned).collect(),
            dates: ["iat", "nbf", "exp"].map(date),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_in_order_and_named_apart() {
        let mut sorted = Check::ALL;
        sorted.sort_unstable();
        assert_eq!(sorted, Check::ALL);
        let names: std::collections::BTreeSet<_> = Check::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), Check::ALL.len());
    }
}
