//! Client certificates through the real listener: X.509-SVIDs of a trust domain and certificates of
//! one's own authority, and everything near them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::json;
use symbolon_core::clock::Clock as _;
use symbolon_core::clock::{ManualClock, Timestamp};
use symbolon_tests::harness::{Answer, Gateway, Setup, certificate_client};

use super::DEMO;
use super::wire::admin;

const NOW: i64 = 1_793_520_100;
const READ: &str = "/v1/secrets/demo/app/text";
const ID: &str = "spiffe://acme.example/ns/billing/sa/api";

/// An authority that signs what it is told to.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (date(-3600), date(86_400));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Self { issuer: Issuer::new(params, key), der, pem }
    }

    /// An intermediate authority under this one.
    fn below(&self, name: &str) -> (Self, String) {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params.not_before, params.not_after) = (date(-3600), date(86_400));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        (Self { issuer: Issuer::new(params, key), der, pem: pem.clone() }, pem)
    }

    /// A certificate and its key, PEM, as `change` makes it of a good one.
    fn sign(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = good();
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        format!("{}{}", certificate.pem(), key.serialize_pem())
    }

    /// The bundle of a trust domain with this authority and no other.
    fn bundle(&self) -> String {
        use base64::Engine as _;
        let der = base64::engine::general_purpose::STANDARD.encode(&self.der);
        json!({ "spiffe_sequence": 1, "keys": [
            { "kty": "EC", "use": "x509-svid", "crv": "P-256", "x": "", "y": "", "x5c": [der] },
        ] })
        .to_string()
    }
}

fn date(offset: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(NOW + offset).expect("a date")
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().expect("ASCII"))
}

/// An X.509-SVID.
fn good() -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.subject_alt_names = vec![uri(ID), dns("api.billing.svc")];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    (params.not_before, params.not_after) = (date(-60), date(3600));
    params.is_ca = IsCa::ExplicitNoCa;
    params
}

struct Bench {
    gateway: Gateway,
    clock: Arc<ManualClock>,
    spire: Authority,
    own: Authority,
}

impl Bench {
    async fn start() -> Self {
        let (spire, own) = (Authority::new("spire"), Authority::new("own"));
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)));
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("bundle.json"), spire.bundle()).expect("a bundle");
        std::fs::write(directory.path().join("clients.pem"), &own.pem).expect("authorities");
        let issuers = r#"
[issuers.mesh]
profile = "spiffe"
issuer = "spiffe://acme.example"
keys = { file = "bundle.json" }

[issuers.fleet]
profile = "x509"
authorities = "clients.pem"
subject = "/dns"
"#;
        let setup = Setup {
            blocks: format!("{DEMO}{issuers}"),
            policies: Some(POLICIES.to_owned()),
            clock: Some(clock.clone()),
            ..Setup::default()
        };
        let issuer = symbolon_tests::harness::Issuer::new("https://idp.example.test");
        let gateway = Gateway::start_in(directory, issuer, setup).await;
        Self { gateway, clock, spire, own }
    }

    async fn read(&self, certificate: &str, token: Option<&str>) -> Answer {
        let client = certificate_client(&self.gateway, certificate);
        self.gateway.ask_with(&client, (Method::GET, READ), token, Bytes::new()).await
    }

    /// The code under which a certificate is turned away.
    async fn refusal(&self, certificate: &str) -> String {
        let before = self.reasons();
        let answer = self.read(certificate, None).await;
        assert_ne!(answer.status, StatusCode::OK);
        let after = self.reasons();
        after
            .into_iter()
            .find(|reason| !before.contains(reason))
            .map_or_else(String::new, |r| r.split('"').nth(1).unwrap_or_default().to_owned())
    }

    fn reasons(&self) -> Vec<String> {
        let page = self.gateway.metrics();
        let lines = page.lines().filter(|line| line.starts_with("symbolon_strangers_total"));
        lines.filter_map(|line| Some(line.split("reason=").nth(1)?.to_owned())).collect()
    }
}

const POLICIES: &str = r#"
@id("mesh")
permit (principal in Issuer::"mesh", action == Action::"read", resource)
when { context.binding == "mtls" && principal has spiffe.path && principal.spiffe.path like "/ns/billing/*" };
@id("fleet")
permit (principal == Workload::"fleet/robot-7.acme.example", action == Action::"read", resource)
when { principal has x509.dns_names && principal.x509.dns_names.contains("robot-7.acme.example") };
@id("tokens")
permit (principal in Issuer::"test", action, resource);
"#;

fn robot(params: &mut CertificateParams) {
    params.subject_alt_names = vec![dns("robot-7.acme.example")];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

#[tokio::test]
async fn a_certificate_proves_whose_it_is_and_policies_see_what_it_says() {
    let bench = Bench::start().await;
    let svid = bench.spire.sign(|_| {});
    let answer = bench.read(&svid, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    let closing = bench.gateway.closing(&answer);
    let opening = bench.gateway.audit();
    let opening = opening.iter().find(|line| line["kind"] == "request.open").expect("an opening");
    assert!(opening.to_string().contains(ID), "{opening}");
    assert_eq!(closing["outcome"], "allow");
    // By way of an intermediate that the client sends.
    let (below, pem) = bench.spire.below("intermediate");
    let leaf = below.sign(|_| {});
    let answer = bench.read(&format!("{leaf}{pem}"), None).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    let answer = bench.read(&bench.own.sign(robot), None).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.json);
    bench.gateway.stop().await;
}

#[tokio::test]
async fn a_token_says_who_it_is_whatever_certificate_the_connection_has() {
    let bench = Bench::start().await;
    let svid = bench.spire.sign(|_| {});
    let token = bench.gateway.token("alice");
    let answer = bench.read(&svid, Some(&token)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let lines = bench.gateway.audit();
    let opening = lines.iter().find(|line| line["kind"] == "request.open").expect("an opening");
    assert!(opening.to_string().contains("alice") && !opening.to_string().contains(ID));
    // A bad token is not made good by the certificate.
    let answer = bench.read(&svid, Some("a.b.c")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    // Nobody's certificate does no harm to a good token, and proves nothing by itself.
    let nobody =
        Authority::new("nobody").sign(|params| params.subject_alt_names = vec![dns("a.b")]);
    assert_eq!(bench.read(&nobody, Some(&token)).await.status, StatusCode::OK);
    assert_eq!(bench.refusal(&nobody).await, "certificate_path");
    bench.gateway.stop().await;
}

#[tokio::test]
async fn every_certificate_near_a_good_one_is_refused_for_its_own_reason() {
    let bench = Bench::start().await;
    type Change = fn(&mut CertificateParams);
    let cases: [(Change, &str); 16] = [
        (|p| p.subject_alt_names.push(uri("spiffe://acme.example/other")), "certificate_ids"),
        (|p| p.subject_alt_names.push(uri("https://acme.example/")), "certificate_ids"),
        (|p| p.subject_alt_names = vec![uri("spiffe://acme.example")], "certificate_id"),
        (|p| p.subject_alt_names = vec![uri("spiffe://acme.example/")], "certificate_id"),
        (|p| p.subject_alt_names = vec![uri("spiffe://ACME.example/a")], "certificate_id"),
        (|p| p.subject_alt_names = vec![uri("SPIFFE://acme.example/a")], "certificate_id"),
        (|p| p.subject_alt_names = vec![uri("spiffe://acme.example/a/../b")], "certificate_id"),
        (|p| p.subject_alt_names = vec![uri("spiffe://acme.example:1/a")], "certificate_id"),
        (
            |p| p.subject_alt_names = vec![uri("spiffe://evil.example/a")],
            "certificate_issuer_unknown",
        ),
        (|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), "certificate_authority"),
        (|p| p.key_usages.clear(), "certificate_key_usage"),
        (|p| p.key_usages.push(KeyUsagePurpose::KeyCertSign), "certificate_key_usage"),
        (
            |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
            "certificate_extended_key_usage",
        ),
        (
            |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            "certificate_extended_key_usage",
        ),
        (|p| p.not_before = date(60), "certificate_not_yet_valid"),
        (|p| p.not_after = date(-1), "certificate_expired"),
    ];
    for (index, (change, code)) in cases.into_iter().enumerate() {
        assert_eq!(bench.refusal(&bench.spire.sign(change)).await, code, "case {index}");
    }
    bench.gateway.stop().await;
}

#[tokio::test]
async fn an_authority_vouches_for_its_own_names_and_no_others() {
    let bench = Bench::start().await;
    // Our own authority for a SPIFFE ID of the domain: not the domain's.
    assert_eq!(bench.refusal(&bench.own.sign(|_| {})).await, "certificate_path");
    // The domain's authority for a name without SPIFFE ID: no authority of the fleet.
    assert_eq!(bench.refusal(&bench.spire.sign(robot)).await, "certificate_path");
    // Two names of the kind are no name.
    let two = bench.own.sign(|params| {
        robot(params);
        params.subject_alt_names.push(dns("robot-8.acme.example"));
    });
    assert_eq!(bench.refusal(&two).await, "claim_missing");
    // Without a certificate there is nobody.
    let answer = bench.gateway.ask(Method::GET, READ, None, Bytes::new()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    bench.gateway.stop().await;
}

#[tokio::test]
async fn a_certificate_ends_with_its_date_on_an_open_connection_too() {
    let bench = Bench::start().await;
    let svid = bench.spire.sign(|params| params.not_after = date(30));
    let client = certificate_client(&bench.gateway, &svid);
    let ask = || bench.gateway.ask_with(&client, (Method::GET, READ), None, Bytes::new());
    assert_eq!(ask().await.status, StatusCode::OK);
    bench.clock.advance(Duration::from_secs(31));
    assert_eq!(ask().await.status, StatusCode::UNAUTHORIZED);
    bench.gateway.stop().await;
}

#[tokio::test]
async fn revoked_sessions_refuse_certificates_from_before_and_locks_refuse_all() {
    let bench = Bench::start().await;
    let old = bench.spire.sign(|_| {});
    assert_eq!(bench.read(&old, None).await.status, StatusCode::OK);
    let whom = json!({ "principal": format!("mesh/{ID}") }).to_string();
    assert_eq!(admin(&bench.gateway, "POST", "/v1/sessions:revoke", &whom).await.status, 200);
    let refused = bench.read(&old, None).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(bench.gateway.closing(&refused)["code"], "epoch_principal");
    bench.clock.advance(Duration::from_secs(120));
    let now = bench.clock.now().seconds() - NOW;
    let new = bench.spire.sign(|params| params.not_before = date(now - 10));
    assert_eq!(bench.read(&new, None).await.status, StatusCode::OK);
    let lock = json!({ "principal": format!("mesh/{ID}"), "reason": "stolen" }).to_string();
    assert_eq!(admin(&bench.gateway, "POST", "/v1/locks", &lock).await.status, 200);
    let locked = bench.read(&new, None).await;
    assert_eq!(bench.gateway.closing(&locked)["code"], "locked_principal");
    bench.gateway.stop().await;
}

#[tokio::test]
async fn an_empty_bundle_revokes_everything_of_its_domain_and_nothing_else() {
    let bench = Bench::start().await;
    let (svid, robot) = (bench.spire.sign(|_| {}), bench.own.sign(robot));
    assert_eq!(bench.read(&svid, None).await.status, StatusCode::OK);
    let bundle = bench.gateway.directory.path().join("bundle.json");
    std::fs::write(bundle, r#"{"spiffe_sequence":2,"keys":[]}"#).expect("a bundle");
    assert_eq!(admin(&bench.gateway, "POST", "/v1/reload", "{}").await.status, 200);
    assert_eq!(bench.refusal(&svid).await, "certificate_path");
    assert_eq!(bench.read(&robot, None).await.status, StatusCode::OK);
    bench.gateway.stop().await;
}
