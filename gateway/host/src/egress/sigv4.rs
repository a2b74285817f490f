//! AWS Signature Version 4, made by the host.
//!
//! The body is buffered and its own hash is signed: a plugin's claim about it (an SDK sends one in
//! `x-amz-content-sha256`) is dropped, and a body in AWS's own streaming framing, which nobody but
//! the signer could produce, is refused. What an SDK in the guest signed with made-up keys is
//! removed; an `Authorization` of another scheme, and presigned URLs, are refused.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    self, PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use symbolon_core::clock::Timestamp;

use super::destination::Destination;
use super::error::EgressError;
use super::inject::Credential;

/// For what a signature holds.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) now: Timestamp,
}

const CONTENT_HASH: &str = "x-amz-content-sha256";

/// Headers that belong to a signature. `x-amz-target` and its like belong to the request.
const SIGNING_HEADERS: [&str; 4] =
    ["x-amz-date", "x-amz-security-token", CONTENT_HASH, "x-amz-region-set"];

/// Removes what a plugin's own signer left; refuses what cannot be signed anew.
pub(super) fn strip(destination: &Destination, headers: &mut HeaderMap) -> Result<(), EgressError> {
    let is_streaming = |hash: &HeaderValue| hash.as_bytes().starts_with(b"STREAMING-");
    if headers.get_all(CONTENT_HASH).iter().any(is_streaming) {
        return Err(EgressError::ReservedHeader(CONTENT_HASH.to_owned()));
    }
    let is_presigned = |pair: &str| pair.to_ascii_lowercase().starts_with("x-amz-");
    if destination.uri().query().is_some_and(|query| query.split('&').any(is_presigned)) {
        return Err(EgressError::ReservedHeader(String::from("x-amz-signature")));
    }
    let is_made_up = |value: &HeaderValue| value.as_bytes().starts_with(b"AWS4-HMAC-SHA256");
    if headers.get_all(header::AUTHORIZATION).iter().all(is_made_up) {
        headers.remove(header::AUTHORIZATION);
    }
    for name in SIGNING_HEADERS {
        headers.remove(name);
    }
    Ok(())
}

/// Signs a request: host, content type and every `x-amz-*` header that it has.
pub(super) fn sign(
    request: &mut Request<Bytes>,
    destination: &Destination,
    credential: &Credential,
    scope: &Scope<'_>,
) -> Result<(), EgressError> {
    let instructions = instructions(request, destination, credential, scope)?;
    let (headers, _) = instructions.into_parts();
    for signed in headers {
        let value = HeaderValue::from_str(signed.value());
        let mut value = value.map_err(|_| EgressError::CredentialKind)?;
        value.set_sensitive(true);
        request.headers_mut().insert(HeaderName::from_static(signed.name()), value);
    }
    Ok(())
}

fn instructions(
    request: &Request<Bytes>,
    destination: &Destination,
    credential: &Credential,
    scope: &Scope<'_>,
) -> Result<http_request::SigningInstructions, EgressError> {
    let identity = credentials(credential)?.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(system_time(scope.now))
        .settings(settings(scope.service))
        .build()
        .map_err(|cause| EgressError::Configuration(Arc::new(cause)))?;
    let signable = SignableRequest::new(
        request.method().as_str(),
        destination.uri().to_string(),
        request.headers().iter().filter_map(signed_header),
        SignableBody::Bytes(request.body()),
    );
    let refused = |cause| EgressError::Configuration(Arc::new(cause));
    let output = http_request::sign(signable.map_err(refused)?, &params.into()).map_err(refused)?;
    Ok(output.into_parts().0)
}

/// What is signed: not what a proxy or hyper may change on the way. A value that is not text is
/// left unsigned, and AWS will refuse it if it matters.
fn signed_header<'a>(
    (name, value): (&'a HeaderName, &'a HeaderValue),
) -> Option<(&'a str, &'a str)> {
    let counts = name == header::CONTENT_TYPE || name.as_str().starts_with("x-amz-");
    let text = value.to_str().ok()?;
    counts.then_some((name.as_str(), text))
}

fn credentials(credential: &Credential) -> Result<Credentials, EgressError> {
    let Credential::Aws { access_key_id, secret_access_key, session_token } = credential else {
        return Err(EgressError::CredentialKind);
    };
    let secret = secret_access_key.expose_str().ok_or(EgressError::CredentialKind)?;
    let token = session_token.as_ref().map(|t| t.expose_str().ok_or(EgressError::CredentialKind));
    let token = token.transpose()?.map(str::to_owned);
    Ok(Credentials::new(access_key_id, secret, token, None, "symbolon"))
}

/// S3 signs the path as it is and wants the body's hash in a header; everything else signs it
/// encoded once more.
fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

fn system_time(now: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(now.millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use symbolon_core::secret::Secret;

    fn example(token: Option<&str>) -> Credential {
        Credential::Aws {
            access_key_id: String::from("AKIDEXAMPLE"),
            secret_access_key: Secret::from(String::from(
                "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            )),
            session_token: token.map(|t| Secret::from(t.to_owned())),
        }
    }

    fn destination(text: &str) -> Destination {
        Destination::parse(&text.parse().unwrap()).unwrap()
    }

    /// 2015-08-30T12:36:00Z, the time of the official suite.
    const SUITE_TIME: Timestamp = Timestamp::from_seconds(1_440_938_160);

    fn authorization(uri: &str, credential: &Credential) -> String {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::GET;
        let scope = Scope { region: "us-east-1", service: "service", now: SUITE_TIME };
        sign(&mut request, &destination(uri), credential, &scope).unwrap();
        assert!(request.headers()[header::AUTHORIZATION].is_sensitive());
        request.headers()[header::AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn signatures_equal_those_of_the_official_suite() {
        let vanilla = authorization("https://example.amazonaws.com/", &example(None));
        assert_eq!(
            vanilla,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let with_token = authorization("https://example.amazonaws.com/", &example(Some(token)));
        assert!(with_token.ends_with(
            "Signature=07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
        ));
    }

    /// Requests as the aws plugin makes them, with signatures that two other implementations agreed on.
    #[test]
    fn requests_with_a_body_are_signed_as_others_sign_them() {
        const JSON: &str = "application/x-amz-json-1.1";
        const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
        let assume = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fbilling\
                      &RoleSessionName=gw-lease-01HX&DurationSeconds=900";
        for (service, kind, target, body, signature) in [
            (
                "secretsmanager",
                JSON,
                Some("secretsmanager.GetSecretValue"),
                r#"{"SecretId":"prod/db"}"#,
                "21042eacf8fc4ced4429cc0f4d625e3b44262ef4dddbbb7137f12c821bf12209",
            ),
            (
                "ssm",
                JSON,
                Some("AmazonSSM.GetParameter"),
                r#"{"Name":"/prod/db/password","WithDecryption":true}"#,
                "7da3cdc5bd238dc45d944974badeb5f08e0dcd8e1ee749f2057bc3d81a241833",
            ),
            (
                "sts",
                FORM,
                None,
                assume,
                "f37ca8eac9a40c8b98ea213710220e05fb923fdcf11bd774f3f1d9df8509dbab",
            ),
        ] {
            let mut request = Request::new(Bytes::from_static(body.as_bytes()));
            *request.method_mut() = Method::POST;
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            if let Some(target) = target {
                request.headers_mut().insert("x-amz-target", HeaderValue::from_static(target));
            }
            let here = destination(&format!("https://{service}.us-east-1.amazonaws.com/"));
            let now = Timestamp::from_seconds(1_767_225_600);
            let scope = Scope { region: "us-east-1", service, now };
            sign(&mut request, &here, &example(None), &scope).unwrap();
            let value = request.headers()[header::AUTHORIZATION].to_str().unwrap();
            assert!(value.ends_with(&format!("Signature={signature}")), "{service}: {value}");
        }
    }

    #[test]
    fn a_guests_own_signature_is_removed_and_its_request_headers_stay() {
        let here = destination("https://secretsmanager.us-east-1.amazonaws.com/");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "AWS4-HMAC-SHA256 Credential=made-up"),
            ("x-amz-date", "20150830T123600Z"),
            ("x-amz-security-token", "made-up"),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ("x-amz-target", "secretsmanager.GetSecretValue"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        strip(&here, &mut headers).unwrap();
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-amz-target"]);
    }

    #[test]
    fn streaming_bodies_and_presigned_urls_are_refused() {
        let mut headers = HeaderMap::new();
        let plain = destination("https://s3.amazonaws.com/b/k");
        let presigned = destination("https://s3.amazonaws.com/b/k?a=1&X-Amz-Signature=00");
        assert!(strip(&presigned, &mut headers).is_err());
        headers
            .insert(CONTENT_HASH, HeaderValue::from_static("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"));
        assert!(strip(&plain, &mut headers).is_err());
    }
}
