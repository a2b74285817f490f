//! Credentials that end, and their leases, from the workload's side.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use symbolon_core::id::{BackendName, LeaseId, RoleName};
use symbolon_core::secret::Secret;

use crate::answer::{Text, field_value, shape};
use crate::error::ClientError;
use crate::gateway::Gateway;

/// A lease as its owner sees it. Members that a newer gateway adds are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id.
    pub id: String,
    /// The backend that issued.
    pub backend: String,
    /// As what.
    pub role: String,
    /// `reserved`, `active`, `revoking` or `revoked`.
    pub state: String,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// How many seconds it lasts from its activation or last renewal on.
    pub lease_duration: u64,
    /// Beyond this no renewal leads.
    pub ends_by: String,
    /// Whether it can be extended.
    pub renewable: bool,
    /// Whether it can be ended before its time.
    pub revocable: bool,
}

/// A page of leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leases {
    /// Those that the asker may see.
    pub leases: Vec<Lease>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A credential, and the lease that it ends with.
#[derive(Debug)]
pub struct CredentialAnswer {
    /// The lease.
    pub lease: Lease,
    /// What the credential is made of.
    pub fields: BTreeMap<String, Secret>,
    /// The whole answer, as it came.
    pub json: Secret,
}

#[derive(Deserialize)]
struct Raw<'a> {
    lease: Lease,
    #[serde(borrow, default)]
    fields: BTreeMap<String, &'a RawValue>,
    #[serde(default)]
    fields_base64: BTreeMap<String, Text>,
}

impl CredentialAnswer {
    fn parse(body: &[u8]) -> Result<Self, String> {
        let raw: Raw<'_> = serde_json::from_slice(body).map_err(|error| shape(&error))?;
        let mut fields: BTreeMap<_, _> =
            raw.fields.into_iter().map(|(name, field)| (name, field_value(field))).collect();
        for (name, text) in raw.fields_base64 {
            let bytes = STANDARD.decode(text.0.expose());
            let bytes = bytes.map_err(|_| format!("its field `{name}` is not base64"))?;
            fields.insert(name, Secret::new(bytes));
        }
        Ok(Self { lease: raw.lease, fields, json: Secret::new(body.to_vec()) })
    }
}

impl Gateway {
    /// Asks for a credential of a role, for `ttl` if it is to last for less than the role says.
    /// Cancelling it closes the connection; a credential that was issued all the same ends with its
    /// lease.
    ///
    /// # Errors
    /// [`ClientError`] says what happened, where, and what to look at next.
    pub async fn issue_credential(
        &self,
        token: &Secret,
        (backend, role): (&BackendName, &RoleName),
        ttl: Option<Duration>,
    ) -> Result<CredentialAnswer, ClientError> {
        let target = self.below(&format!("/v1/credentials/{backend}/{role}"));
        let answer = self.call(Method::POST, &target, token, wish(ttl)).await?;
        CredentialAnswer::parse(&answer).map_err(|reason| self.not_understood(reason))
    }

    /// The asker's leases, from `next` of the page before.
    ///
    /// # Errors
    /// As [`Gateway::issue_credential`].
    pub async fn leases(
        &self,
        token: &Secret,
        next: Option<LeaseId>,
    ) -> Result<Leases, ClientError> {
        let query = next.map(|id| format!("?next={id}")).unwrap_or_default();
        let target = self.below(&format!("/v1/leases{query}"));
        self.json(&self.call(Method::GET, &target, token, Full::default()).await?)
    }

    /// One of the asker's leases.
    ///
    /// # Errors
    /// As [`Gateway::issue_credential`]. What is not yours and what is not there answer alike.
    pub async fn lease(&self, token: &Secret, id: LeaseId) -> Result<Lease, ClientError> {
        let target = self.below(&format!("/v1/leases/{id}"));
        self.json(&self.call(Method::GET, &target, token, Full::default()).await?)
    }

    /// Extends one of the asker's leases to `ttl` from now, as far as it may last.
    ///
    /// # Errors
    /// As [`Gateway::lease`].
    pub async fn renew_lease(
        &self,
        token: &Secret,
        id: LeaseId,
        ttl: Option<Duration>,
    ) -> Result<Lease, ClientError> {
        let target = self.below(&format!("/v1/leases/{id}/renew"));
        self.json(&self.call(Method::POST, &target, token, wish(ttl)).await?)
    }

    /// Ends one of the asker's leases. When this returns, its end is certain: the gateway tries until
    /// the backend confirms it.
    ///
    /// # Errors
    /// As [`Gateway::lease`].
    pub async fn revoke_lease(&self, token: &Secret, id: LeaseId) -> Result<Lease, ClientError> {
        let target = self.below(&format!("/v1/leases/{id}"));
        self.json(&self.call(Method::DELETE, &target, token, Full::default()).await?)
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| self.not_understood(shape(&error)))
    }
}

fn wish(ttl: Option<Duration>) -> Full<Bytes> {
    let body = ttl.map(|ttl| serde_json::json!({ "ttl": ttl.as_secs() }).to_string());
    Full::from(body.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::asked;

    const ID: &str = "01JBX7K2M9P4QRSTVWXYZ01234";
    const LEASE: &str = r#"{"id":"01JBX7K2M9P4QRSTVWXYZ01234","backend":"db","role":"reader","state":"active","expires_at":"2026-11-24T00:10:00.000Z","lease_duration":600,"ends_by":"2026-11-24T00:30:00.000Z","renewable":true,"revocable":true}"#;

    #[tokio::test]
    async fn a_credential_is_issued_with_its_lease() {
        let body = format!(
            r#"{{"lease":{LEASE},"fields":{{"username":"sy_a","password":"p\"w"}},"fields_base64":{{"key":"AP8="}}}}"#
        );
        let (answer, request) = asked(&body, async |gateway, token| {
            let (backend, role) = ("db".parse().unwrap(), "reader".parse().unwrap());
            let ttl = Some(Duration::from_secs(600));
            gateway.issue_credential(&token, (&backend, &role), ttl).await
        })
        .await;
        let answer = answer.unwrap();
        assert_eq!((answer.lease.id.as_str(), answer.lease.lease_duration), (ID, 600));
        assert_eq!(answer.fields["password"].expose(), b"p\"w");
        assert_eq!(answer.fields["key"].expose(), [0, 255]);
        assert!(request.starts_with("POST /below/v1/credentials/db/reader HTTP/1.1\r\n"));
        assert!(request.ends_with(r#"{"ttl":600}"#), "{request}");
    }

    #[tokio::test]
    async fn leases_are_listed_shown_renewed_and_ended() {
        let id = LeaseId::parse(ID).unwrap();
        let page = format!(r#"{{"leases":[{LEASE}],"next":"{ID}"}}"#);
        let (leases, request) =
            asked(&page, async |gateway, token| gateway.leases(&token, Some(id)).await).await;
        assert_eq!(leases.unwrap().next.as_deref(), Some(ID));
        assert!(request.starts_with(&format!("GET /below/v1/leases?next={ID} ")), "{request}");
        let (lease, request) =
            asked(LEASE, async |gateway, token| gateway.lease(&token, id).await).await;
        assert_eq!(lease.unwrap().state, "active");
        assert!(request.starts_with(&format!("GET /below/v1/leases/{ID} ")), "{request}");
        let renew = async |gateway: Gateway, token| gateway.renew_lease(&token, id, None).await;
        let (lease, request) = asked(LEASE, renew).await;
        assert!(
            lease.is_ok() && request.starts_with(&format!("POST /below/v1/leases/{ID}/renew "))
        );
        let end = async |gateway: Gateway, token| gateway.revoke_lease(&token, id).await;
        let (lease, request) = asked(LEASE, end).await;
        assert!(lease.is_ok() && request.starts_with(&format!("DELETE /below/v1/leases/{ID} ")));
    }

    #[tokio::test]
    async fn a_wrong_answer_is_not_quoted() {
        let body = r#"{"lease":{"id":7},"fields":{"password":"hunter2"}}"#;
        let (answer, _) = asked(body, async |gateway, token| {
            let (backend, role) = ("db".parse().unwrap(), "reader".parse().unwrap());
            gateway.issue_credential(&token, (&backend, &role), None).await
        })
        .await;
        let error = answer.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
