//! What an administrator can ask of one backend.

use http::Method;
use serde::Deserialize;
use symbolon_core::id::BackendName;

use super::plugins::Activation;
use super::{OperationError, body, malformed, no_route};
use crate::listen::Arrival;

/// Where all of these are.
pub(super) const PATH: &str = "/v1/backends/";

/// What can be done with a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Ask whether it is there and lets the gateway in.
    Probe(BackendName),
    /// Compare what it holds with our mark to the ledger; the flag: and end what has no lease.
    Reconcile(BackendName, bool),
    /// Replace the login that the gateway itself has there.
    RotateRoot(BackendName),
    /// Let it, or a target of this name, run another component.
    Activate(BackendName, Activation),
    /// Let it run the component before.
    RollBack(BackendName),
}

impl Verb {
    /// The name in policies and in the audit log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Probe(_) => "backend.probe",
            Self::Reconcile(..) => "backend.reconcile",
            Self::RotateRoot(_) => "backend.rotate-root",
            Self::Activate(..) => "backend.activate",
            Self::RollBack(_) => "backend.rollback",
        }
    }

    /// The backend.
    #[must_use]
    pub fn object(&self) -> String {
        match self {
            Self::Activate(backend, activation) => format!("{backend} {}", activation.wanted),
            Self::Probe(backend)
            | Self::Reconcile(backend, _)
            | Self::RotateRoot(backend)
            | Self::RollBack(backend) => backend.to_string(),
        }
    }

    /// Whether it changes something.
    #[must_use]
    pub const fn changes(&self) -> bool {
        match self {
            Self::Probe(_) => false,
            Self::Reconcile(_, remove) => *remove,
            Self::RotateRoot(_) | Self::Activate(..) | Self::RollBack(_) => true,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReconcileBody {
    #[serde(default)]
    remove: bool,
}

/// What follows [`PATH`] in the path: `name/verb`.
pub(super) fn parse(arrival: &Arrival, rest: &str) -> Result<Verb, OperationError> {
    let (name, verb) = rest.split_once('/').ok_or_else(no_route)?;
    if arrival.head.method != Method::POST {
        return Err(no_route());
    }
    let backend = || BackendName::parse(name).map_err(|error| malformed(&error.to_string()));
    match verb {
        "probe" => Ok(Verb::Probe(backend()?)),
        "rotate-root" => Ok(Verb::RotateRoot(backend()?)),
        "activate" => Ok(Verb::Activate(backend()?, Activation::read(&arrival.body)?)),
        "rollback" => Ok(Verb::RollBack(backend()?)),
        "reconcile" => {
            let bytes = &arrival.body;
            let wish: ReconcileBody =
                if bytes.is_empty() { ReconcileBody::default() } else { body(bytes)? };
            Ok(Verb::Reconcile(backend()?, wish.remove))
        }
        _ => Err(no_route()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::listen::Peer;

    fn parsed(method: &str, path: &str, body: &'static str) -> Option<Verb> {
        let request = http::Request::builder().method(method).uri(path).body(()).unwrap();
        let head = request.into_parts().0;
        let rest = path.strip_prefix(PATH).unwrap().to_owned();
        let body = Bytes::from_static(body.as_bytes());
        parse(&Arrival { head, body, peer: Peer::User(0) }, &rest).ok()
    }

    #[test]
    fn nothing_is_removed_unless_it_is_asked_for() {
        let db = BackendName::parse("db").unwrap();
        let path = "/v1/backends/db/reconcile";
        assert_eq!(parsed("POST", path, ""), Some(Verb::Reconcile(db.clone(), false)));
        assert_eq!(parsed("POST", path, "{}"), Some(Verb::Reconcile(db.clone(), false)));
        let remove = Verb::Reconcile(db.clone(), true);
        assert_eq!(parsed("POST", path, r#"{"remove":true}"#), Some(remove));
        assert_eq!(parsed("POST", path, r#"{"delete":true}"#), None);
        assert_eq!(parsed("GET", path, ""), None);
        assert_eq!(parsed("POST", "/v1/backends/DB/probe", ""), None);
        assert_eq!(parsed("POST", "/v1/backends/db/probe", ""), Some(Verb::Probe(db)));
    }
}
