//! Those who have not proven who they are: turned away with a constant, counted, never recorded one
//! by one.
//!
//! A flood from outside must not fill the disk, so refusals are summed up by the journal; and it
//! must not burn our CPU, so a source that was refused too often is refused before any signature is
//! looked at. That limit is charged here and asked in [`super::Line::admit`].

use std::net::IpAddr;

use symbolon_core::error::Kind;

use super::ask::{AskError, OauthRoute};
use super::authenticate::Unproven;
use super::limits::source_of;
use super::{Line, address, respond};
use crate::listen::{Failure, Peer, Response};

/// Why a request is turned away before it belongs to anybody.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stranger {
    /// It is not an ask.
    #[error("not an ask")]
    Ask(#[from] AskError),
    /// Nobody is proven by it.
    #[error("not proven")]
    Unproven(#[from] Unproven),
    /// Its source has been refused too often.
    #[error("its source has been refused too often")]
    TooOften,
    /// Its principal, or the principals of its issuer, ask too often.
    #[error("its principal or issuer asks too often")]
    OverRate,
    /// It could not be read, or not be answered in time.
    #[error("it could not be read, or not be answered in time")]
    Failed(Failure),
}

impl Stranger {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Ask(error) => error.kind(),
            Self::Unproven(error) => error.kind(),
            Self::TooOften | Self::OverRate => Kind::Exhausted,
            Self::Failed(Failure::Body | Failure::Forwarded) => Kind::Malformed,
            Self::Failed(Failure::Late) => Kind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Ask(error) => error.code(),
            Self::Unproven(error) => error.code(),
            Self::TooOften => "source_bucket",
            Self::OverRate => "rate_bucket",
            Self::Failed(Failure::Body) => "body_unreadable",
            Self::Failed(Failure::Forwarded) => "forwarded_for",
            Self::Failed(Failure::Late) => "answer_late",
        }
    }

    /// Whether the source did something that honest callers do not do all the time.
    fn is_charged(&self) -> bool {
        match self {
            // The queue may be full of others.
            Self::Unproven(Unproven::Crowded) => false,
            Self::Ask(_) | Self::Unproven(_) | Self::Failed(Failure::Body) => {
                self.kind() != Kind::Unavailable
            }
            Self::TooOften | Self::OverRate | Self::Failed(Failure::Late | Failure::Forwarded) => {
                false
            }
        }
    }
}

impl Line {
    /// Answers with the constant of the refusal's kind. The response type is the same as a
    /// principal's; what it says cannot depend on anything but the kind.
    pub(super) fn turn_away(&self, peer: Peer, stranger: &Stranger) -> Response {
        self.turn_away_from(None, peer, stranger)
    }

    /// The same, in the shape of the face that was asked.
    pub(super) fn turn_away_from(
        &self,
        face: Option<OauthRoute>,
        peer: Peer,
        stranger: &Stranger,
    ) -> Response {
        let code = stranger.code();
        tracing::debug!(code, ?peer, "turned away");
        let source = address(peer);
        if stranger.is_charged() {
            self.count_refusal(source, code);
        } else {
            self.note(source, code);
        }
        let request = self.ids.request(self.clock.now());
        match face {
            Some(route) => respond::turn_away(route, stranger, request),
            None => respond::problem(stranger.kind(), request).into_response(request),
        }
    }

    /// Charges a refusal to its source and counts it.
    pub(super) fn count_refusal(&self, source: Option<IpAddr>, code: &'static str) {
        if let Some(source) = source {
            self.refusals.take(source_of(source));
        }
        self.note(source, code);
    }

    fn note(&self, source: Option<IpAddr>, code: &'static str) {
        self.metrics.refused(code);
        if let Some(source) = source {
            self.journal.note_stranger(code, source);
        }
    }
}
