//! Why a token is not accepted.
//!
//! One variant a reason, so that a test can name the one it expects and an auditor can count them.
//! The texts say which rule was broken and never show what broke it.

use std::fmt;

use super::json::Fault;
use super::mapping::AttributeName;
use crate::error::Kind;

/// A claim that the rules themselves read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `iss`
    Issuer,
    /// `sub`
    Subject,
    /// `aud`
    Audience,
    /// `exp`
    ExpiresAt,
    /// `nbf`
    NotBefore,
    /// `iat`
    IssuedAt,
    /// `jti`
    TokenId,
    /// `azp`, `client_id` or `appid`
    Client,
    /// `act`
    Act,
    /// `may_act`
    MayAct,
    /// What only access tokens of our own hold.
    Principal,
    /// What the issuer's `subject_claim` points at, where that is not `sub`.
    SubjectClaim,
}

impl Claim {
    /// The claim's name in a token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "iss",
            Self::Subject => "sub",
            Self::Audience => "aud",
            Self::ExpiresAt => "exp",
            Self::NotBefore => "nbf",
            Self::IssuedAt => "iat",
            Self::TokenId => "jti",
            Self::Client => "azp",
            Self::Act => "act",
            Self::MayAct => "may_act",
            Self::Principal => "symbolon",
            Self::SubjectClaim => "subject_claim",
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a token is refused. Ordered as the checks are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than the issuer, or any issuer, may send.
    #[error("the token is too long")]
    TooLong,
    /// A byte outside base64url and the dot.
    #[error("the token has a character outside base64url")]
    Characters,
    /// Not three segments.
    #[error("the token does not have three segments")]
    Segments,
    /// Base64url that no encoder writes: an impossible length or unused bits that are not zero.
    #[error("a segment is not canonical base64url")]
    Encoding,
    /// A header over 2 KiB.
    #[error("the header is too long")]
    HeaderTooLong,
    /// A header that strict JSON refuses.
    #[error("the header is refused: {0}")]
    HeaderJson(Fault),
    /// `alg`, `kid`, `typ` or `cty` missing where required, of another type, too long, or with
    /// control characters.
    #[error("a header member is missing or not what it must be")]
    HeaderMember,
    /// `crit`: no extension is implemented, so none can be honoured.
    #[error("the header declares critical extensions")]
    Critical,
    /// `b64` (RFC 7797).
    #[error("the header declares an unencoded payload")]
    Unencoded,
    /// A member of an encrypted or compressed token.
    #[error("the header is that of an encrypted or compressed token")]
    Encrypted,
    /// `jwk`, `jku`, `x5c` or `x5u`: the sender does not choose the key.
    #[error("the header brings a key of its own")]
    EmbeddedKey,
    /// A token within a token.
    #[error("the token contains another token")]
    Nested,
    /// A payload that strict JSON refuses.
    #[error("the payload is refused: {0}")]
    PayloadJson(Fault),
    /// No registered issuer has this exact `iss`.
    #[error("the issuer is not registered")]
    UnknownIssuer,
    /// The rules at hand are those of another issuer.
    #[error("the token is of another issuer")]
    WrongIssuer,
    /// `alg` is not among those the issuer's rules allow.
    #[error("the algorithm is not allowed for this issuer")]
    Algorithm,
    /// A header member that tokens of this form must not have.
    #[error("the header has a member that must not be there")]
    UnknownHeader,
    /// `typ` is not among those the issuer's rules allow, or is missing where it must not be.
    #[error("the token type is not allowed for this issuer")]
    Type,
    /// No key of the issuer has this `kid`.
    #[error("the key is not known")]
    UnknownKey,
    /// No `kid`, and not exactly one key of the issuer fits the algorithm.
    #[error("the token names no key, and not exactly one fits")]
    AmbiguousKey,
    /// The key of this `kid` is of another type, curve or algorithm.
    #[error("the key does not fit the algorithm")]
    KeyMismatch,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// A required claim is not there.
    #[error("the claim `{0}` is missing")]
    MissingClaim(Claim),
    /// A claim is not of the type, form or size it must be.
    #[error("the claim `{0}` is not what it must be")]
    MalformedClaim(Claim),
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` is to come.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// `exp` is not after `iat`.
    #[error("the token ends before it begins")]
    Backwards,
    /// `exp - iat` is more than the issuer may give.
    #[error("the token lives too long")]
    Lifetime,
    /// `iat` is longer ago than the rules allow.
    #[error("the token is too old")]
    TooOld,
    /// `aud` does not name the gateway.
    #[error("the token is for another audience")]
    Audience,
    /// `aud` names others beside the gateway, who could all replay the token.
    #[error("the token is for several audiences")]
    SeveralAudiences,
    /// `cnf`: the token is bound to a key whose possession was not shown.
    #[error("the token is bound to a key that was not shown")]
    Bound,
    /// The client that the token was issued to is not among those allowed.
    #[error("the token was issued to a client that is not allowed")]
    Client,
    /// An owner's id is missing, or is not among those of the issuer block.
    #[error("the owner is not among those of the issuer's configuration")]
    Owner,
    /// The subject's token names who may act for it, and the actor is somebody else.
    #[error("the actor may not act for the subject")]
    Actor,
    /// More act for the subject, one for another, than is carried on.
    #[error("too many actors act for one another")]
    TooManyActors,
    /// `sub` does not have the form that the platform gives it.
    #[error("the subject does not have the form of its platform")]
    SubjectForm,
    /// Two claims of the token, or a claim and its issuer, contradict each other.
    #[error("claims of the token contradict each other")]
    Disagreement,
    /// The token is a person's, not a workload's.
    #[error("the token is a person's and not a workload's")]
    Person,
    /// The address in the token was not verified.
    #[error("the address in the token was not verified")]
    Unverified,
    /// The token is not bound to an object of the cluster as it must be.
    #[error("the token is not bound to an object of the cluster as it must be")]
    Unbound,
    /// The cluster that was asked does not vouch for the token.
    #[error("the cluster does not vouch for the token")]
    NotVouched,
    /// The cluster vouches for the token, but for no audience of ours.
    #[error("the cluster does not vouch for the token's audience")]
    NotVouchedForUs,
    /// A claim that an attribute requires is not there.
    #[error("the claim of the attribute `{0}` is missing")]
    MissingAttribute(AttributeName),
    /// A claim does not have the type of its attribute.
    #[error("the claim of the attribute `{0}` has another type")]
    AttributeType(AttributeName),
}

impl Refusal {
    /// The reason in the audit record and in metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::Characters => "token_characters",
            Self::Segments => "token_segments",
            Self::Encoding => "token_encoding",
            Self::HeaderTooLong => "header_too_long",
            Self::HeaderJson(_) => "header_json",
            Self::HeaderMember => "header_member",
            Self::Critical => "header_critical",
            Self::Unencoded => "header_unencoded",
            Self::Encrypted => "header_encrypted",
            Self::EmbeddedKey => "header_embedded_key",
            Self::Nested => "token_nested",
            Self::PayloadJson(_) => "payload_json",
            Self::UnknownIssuer => "issuer_unknown",
            Self::WrongIssuer => "issuer_wrong",
            Self::Algorithm => "algorithm",
            Self::UnknownHeader => "header_unknown",
            Self::Type => "token_type",
            Self::UnknownKey => "key_unknown",
            Self::AmbiguousKey => "key_ambiguous",
            Self::KeyMismatch => "key_mismatch",
            Self::Signature => "signature",
            Self::MissingClaim(_) => "claim_missing",
            Self::MalformedClaim(_) => "claim_malformed",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::Backwards => "ends_before_it_begins",
            Self::Lifetime => "lifetime",
            Self::TooOld => "too_old",
            Self::Audience => "audience",
            Self::SeveralAudiences => "several_audiences",
            Self::Bound => "bound",
            Self::Client => "client",
            Self::Owner => "owner",
            Self::Actor => "actor",
            Self::TooManyActors => "actors_too_many",
            Self::NotVouched => "not_vouched",
            Self::NotVouchedForUs => "not_vouched_for_us",
            Self::SubjectForm => "subject_form",
            Self::Disagreement => "claims_disagree",
            Self::Person => "person",
            Self::Unverified => "email_unverified",
            Self::Unbound => "unbound",
            Self::MissingAttribute(_) => "attribute_missing",
            Self::AttributeType(_) => "attribute_type",
        }
    }

    /// What the caller is told: that the token breaks the grammar, or that it proves nothing here.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::TooLong
            | Self::Characters
            | Self::Segments
            | Self::Encoding
            | Self::HeaderTooLong
            | Self::HeaderJson(_)
            | Self::HeaderMember
            | Self::PayloadJson(_)
            | Self::MalformedClaim(_) => Kind::Malformed,
            Self::Critical
            | Self::Unencoded
            | Self::Encrypted
            | Self::EmbeddedKey
            | Self::Nested
            | Self::UnknownIssuer
            | Self::WrongIssuer
            | Self::Algorithm
            | Self::Type
            | Self::UnknownKey
            | Self::AmbiguousKey
            | Self::KeyMismatch
            | Self::Signature
            | Self::MissingClaim(_)
            | Self::Expired
            | Self::NotYetValid
            | Self::IssuedInFuture
            | Self::Backwards
            | Self::Lifetime
            | Self::TooOld
            | Self::Audience
            | Self::SeveralAudiences
            | Self::Bound
            | Self::Client
            | Self::Owner
            | Self::Actor
            | Self::TooManyActors
            | Self::UnknownHeader
            | Self::NotVouched
            | Self::NotVouchedForUs
            | Self::SubjectForm
            | Self::Disagreement
            | Self::Person
            | Self::Unverified
            | Self::Unbound
            | Self::MissingAttribute(_)
            | Self::AttributeType(_) => Kind::Unauthenticated,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_refusal_has_a_code_of_its_own_and_a_plain_text() {
        let name = AttributeName::parse("a").unwrap();
        let all = [
            Refusal::TooLong,
            Refusal::Characters,
            Refusal::Segments,
            Refusal::Encoding,
            Refusal::HeaderTooLong,
            Refusal::HeaderJson(Fault::Syntax),
            Refusal::HeaderMember,
            Refusal::Critical,
            Refusal::Unencoded,
            Refusal::Encrypted,
            Refusal::EmbeddedKey,
            Refusal::Nested,
            Refusal::PayloadJson(Fault::Syntax),
            Refusal::UnknownIssuer,
            Refusal::WrongIssuer,
            Refusal::Algorithm,
            Refusal::Type,
            Refusal::UnknownKey,
            Refusal::AmbiguousKey,
            Refusal::KeyMismatch,
            Refusal::Signature,
            Refusal::MissingClaim(Claim::Subject),
            Refusal::MalformedClaim(Claim::Subject),
            Refusal::Expired,
            Refusal::NotYetValid,
            Refusal::IssuedInFuture,
            Refusal::Backwards,
            Refusal::Lifetime,
            Refusal::TooOld,
            Refusal::Audience,
            Refusal::SeveralAudiences,
            Refusal::Bound,
            Refusal::Client,
            Refusal::Owner,
            Refusal::Actor,
            Refusal::TooManyActors,
            Refusal::UnknownHeader,
            Refusal::NotVouched,
            Refusal::NotVouchedForUs,
            Refusal::SubjectForm,
            Refusal::Disagreement,
            Refusal::Person,
            Refusal::Unverified,
            Refusal::Unbound,
            Refusal::MissingAttribute(name.clone()),
            Refusal::AttributeType(name),
        ];
        let codes: BTreeSet<_> = all.iter().map(Refusal::code).collect();
        assert_eq!(codes.len(), all.len());
        for refusal in all {
            let code = refusal.code();
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
            assert!(matches!(refusal.kind(), Kind::Malformed | Kind::Unauthenticated), "{code}");
            let text = refusal.to_string();
            assert!(text.starts_with(char::is_lowercase) && !text.ends_with('.'), "{text}");
        }
    }
}
