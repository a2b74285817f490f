//! The discovery-only listener: the assertion issuer's two documents and nothing else.
//!
//! Clouds fetch them from the public internet; what faces the internet then need not be able to do
//! anything more. There is no identity here, so nothing is recorded, only counted.

use std::net::IpAddr;
use std::sync::Arc;

use http::Method;
use symbolon_core::error::Kind;

use super::strangers::Stranger;
use super::{Line, address, respond};
use crate::issuer::MAX_AGE;
use crate::listen::{Arrival, Failure, Fault, Handler, Peer, Response};

/// Serves the documents that a [`Line`] serves too: below the path of the issuer's URL, below
/// `/assertions` and, for a proxy that takes the path off, at the root.
#[derive(Debug)]
pub struct Discovery(pub Arc<Line>);

impl Handler for Discovery {
    async fn handle(self: Arc<Self>, arrival: Arrival) -> Response {
        let found = self.0.published.find_alone(arrival.head.uri.path());
        let Some(document) = found.filter(|_| arrival.head.method == Method::GET) else {
            return self.refuse(&arrival);
        };
        let world = self.0.world.load();
        respond::document(world.documents.get(document), MAX_AGE)
    }

    async fn failed(&self, peer: Peer, failure: Failure) -> Response {
        self.0.turn_away(peer, &Stranger::Failed(failure))
    }

    fn fault(&self, peer: Option<IpAddr>, fault: Fault) {
        self.0.count_refusal(peer, fault.code());
    }
}

impl Discovery {
    fn refuse(&self, arrival: &Arrival) -> Response {
        self.0.count_refusal(address(arrival.peer), "no_route");
        let request = self.0.ids.request(self.0.clock.now());
        respond::problem(Kind::NoRoute, request).into_response(request)
    }
}
