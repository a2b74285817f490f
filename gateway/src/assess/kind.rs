//! What can be wrong with an attempt, and what it would mean if it were let through.

/// What is wrong with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nothing by the generator's count, and yet the oracle denies it.
    Sample,
    /// The text is no compact token.
    Text,
    /// The header has what it must not have.
    Header,
    /// The algorithm is not the issuer's.
    Algorithm,
    /// The key is not the issuer's.
    Key,
    /// The signature is not that of the token.
    Signature,
    /// It is over, not yet begun, or too long.
    Dates,
    /// It is for somebody else.
    Audience,
    /// It is of somebody who only looks like the issuer.
    Issuer,
    /// A claim is missing, malformed or stands twice.
    Claims,
    /// It was issued to another client.
    Client,
    /// It is another owner's.
    Owner,
    /// The platform's claims contradict each other.
    Platform,
    /// The certificate, or its key, is for something else.
    Usage,
    /// Who is asked about it does not vouch for it.
    Answer,
    /// Who acts may not act for whom it is about.
    Actor,
    /// It was used before.
    Replay,
    /// Its subject, or its issuer, is locked.
    Locked,
    /// It was issued before the sessions of its subject, its issuer or everybody were revoked.
    Revoked,
    /// It is good, and what it is used for belongs to somebody else.
    Tenant,
}

impl Kind {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Text => "text",
            Self::Header => "header",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Dates => "dates",
            Self::Audience => "audience",
            Self::Issuer => "issuer",
            Self::Claims => "claims",
            Self::Client => "client",
            Self::Owner => "owner",
            Self::Platform => "platform",
            Self::Usage => "usage",
            Self::Answer => "answer",
            Self::Actor => "actor",
            Self::Replay => "replay",
            Self::Locked => "locked",
            Self::Revoked => "revoked",
            Self::Tenant => "tenant",
        }
    }

    /// What would be at fault if one of these were let through.
    #[must_use]
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Algorithm | Self::Key | Self::Signature => "crypto",
            Self::Audience
            | Self::Issuer
            | Self::Client
            | Self::Owner
            | Self::Tenant
            | Self::Actor => "confused_deputy",
            Self::Replay => "replay",
            Self::Locked | Self::Revoked => "revoked_subject",
            Self::Sample
            | Self::Text
            | Self::Header
            | Self::Dates
            | Self::Claims
            | Self::Platform
            | Self::Usage
            | Self::Answer => "logic",
        }
    }
}
