//! Whether a signed `sts:GetCallerIdentity` request must be refused, by the words of `issuers.md`, and
//! by what STS says to it. Whether the signature is good only STS can say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::json::object;

/// The block of one issuer of signed requests, in plain values. Times are seconds.
#[derive(Clone, Debug)]
pub struct Asking {
    /// `partition`.
    pub partition: String,
    /// `audiences`: the gateway's own names.
    pub servers: Vec<String>,
    /// `max_age`, at most five minutes.
    pub window: i64,
    /// `leeway`.
    pub leeway: i64,
    /// `owners`: pointer and allowed values.
    pub owners: Vec<(String, Vec<String>)>,
}

/// An answer of somebody who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// The media type.
    pub media_type: &'static str,
    /// The body.
    pub body: String,
}

/// Why the request must be refused at `now` (seconds), if STS answers so and that is certain.
#[must_use]
pub fn must_deny_signed(
    text: &str,
    issuers: &[Asking],
    said: &Said,
    now: i64,
) -> Option<&'static str> {
    let Some(request) = Request::read(text) else { return Some("request") };
    let Some((region, partition)) = endpoint(&request.host) else { return Some("host") };
    let Some(issuer) = issuers.iter().find(|issuer| issuer.partition == partition) else {
        return Some("partition");
    };
    let Some(date) = seconds(request.header("x-amz-date")) else { return Some("date") };
    let checks = [
        ("question", !request.is_the_question()),
        ("authorization", !request.is_authorized(region)),
        ("server", !issuer.servers.iter().any(|own| own == request.header("x-gateway-server-id"))),
        ("too old", now.saturating_sub(date) > issuer.window),
        ("future", date.saturating_sub(now) > issuer.leeway),
        ("answer", issuer.refuses(said)),
    ];
    checks.iter().find(|(_, refuses)| *refuses).map(|(reason, _)| *reason)
}

/// A request, taken apart.
struct Request {
    method: String,
    host: String,
    body: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    fn read(text: &str) -> Option<Self> {
        let members = object(&URL_SAFE_NO_PAD.decode(text).ok()?)?;
        let text = |name: &str| Some(members.get(name)?.as_str()?.to_owned());
        let headers = members.get("headers")?.as_object()?.iter();
        let headers: Option<Vec<_>> = headers
            .map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())))
            .collect();
        let url = text("url")?;
        let host = url.strip_prefix("https://")?.strip_suffix('/')?.to_owned();
        let read = Self { method: text("method")?, host, body: text("body")?, headers: headers? };
        (members.len() == 4).then_some(read)
    }

    fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map_or("", |(_, value)| value)
    }

    /// `GetCallerIdentity` and nothing else, with headers that mean nothing else.
    fn is_the_question(&self) -> bool {
        const KNOWN: [&str; 9] = [
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-amz-content-sha256",
            "x-amz-date",
            "x-amz-security-token",
            "x-gateway-server-id",
        ];
        let mut parameters: Vec<_> = self.body.split('&').collect();
        parameters.sort_unstable();
        let length = self.header("content-length");
        let has_one_text = |value: &str| value.trim() == value && !value.contains("  ");
        let once = |name: &str| self.headers.iter().filter(|(other, _)| other == name).count() == 1;
        self.method == "POST"
            && parameters == ["Action=GetCallerIdentity", "Version=2011-06-15"]
            && self.header("host") == self.host
            && (length.is_empty() || length == self.body.len().to_string())
            && self.headers.iter().all(|(_, value)| has_one_text(value))
            && self.headers.iter().all(|(name, _)| KNOWN.contains(&name.as_str()) && once(name))
    }

    /// Signature Version 4 for this day, this region and STS, over everything that binds it.
    fn is_authorized(&self, region: &str) -> bool {
        let parts = self.header("authorization").strip_prefix("AWS4-HMAC-SHA256 Credential=");
        let parts: Vec<_> = parts.unwrap_or_default().split(", ").collect();
        let [credential, signed, signature] = parts.as_slice() else { return false };
        let scope: Vec<_> = credential.split('/').skip(1).collect();
        let day: String = self.header("x-amz-date").chars().take(8).collect();
        let signed = signed.strip_prefix("SignedHeaders=").unwrap_or_default();
        let signed: Vec<_> = signed.split(';').collect();
        let binds = |name: &str| name.starts_with("x-amz-") || name == "x-gateway-server-id";
        let digits = signature.strip_prefix("Signature=").unwrap_or_default();
        scope == [day.as_str(), region, "sts", "aws4_request"]
            && digits.len() == 64
            && digits.chars().all(|c| c.is_ascii_hexdigit())
            && ["host", "x-amz-date", "x-gateway-server-id"].iter().all(|of| signed.contains(of))
            && self.headers.iter().all(|(name, _)| !binds(name) || signed.contains(&name.as_str()))
            && signed.iter().all(|name| self.headers.iter().any(|(known, _)| known == name))
    }
}

/// The region and partition of an endpoint of STS, by the form of its name.
fn endpoint(host: &str) -> Option<(&str, &'static str)> {
    if host == "sts.amazonaws.com" {
        return Some(("us-east-1", "aws"));
    }
    let rest = host.strip_prefix("sts.").or(host.strip_prefix("sts-fips."))?;
    let chinese = rest.strip_suffix(".amazonaws.com.cn");
    let region = chinese.or(rest.strip_suffix(".amazonaws.com"))?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_region = region.chars().all(fits) && region.matches('-').count() >= 2;
    let partition = match (chinese, region.starts_with("us-gov-")) {
        (Some(_), _) => "aws-cn",
        (None, true) => "aws-us-gov",
        (None, false) => "aws",
    };
    is_region.then_some((region, partition))
}

impl Asking {
    /// Whether the answer is not that of a role, a user or a federated user of an owner's.
    fn refuses(&self, said: &Said) -> bool {
        if said.status != 200 || said.media_type != "application/json" {
            return true;
        }
        let Some(claims) = caller(&said.body, &self.partition) else { return true };
        !self.owners.iter().all(|(claim, allowed)| {
            let value = claims.iter().find(|(name, _)| claim.strip_prefix('/') == Some(name));
            value.is_some_and(|(_, value)| allowed.contains(value))
        })
    }
}

/// Who STS says it is, if the answer says it of itself without contradiction.
fn caller(body: &str, partition: &str) -> Option<Vec<(&'static str, String)>> {
    let document = object(body.as_bytes())?;
    let root = document.get("GetCallerIdentityResponse")?.as_object()?;
    let result = root.get("GetCallerIdentityResult")?.as_object()?;
    let has_more = document.len() != 1
        || root.keys().any(|name| name != "GetCallerIdentityResult" && name != "ResponseMetadata")
        || result.len() != 3;
    if has_more {
        return None;
    }
    let text = |name: &str| result.get(name).and_then(Value::as_str);
    let (account, arn, id) = (text("Account")?, text("Arn")?, text("UserId")?);
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", of, service, "", owner, resource] = parts.as_slice() else { return None };
    let agrees = *of == partition && *owner == account && account.len() == 12;
    let steps: Vec<_> = resource.split('/').collect();
    let (kind, name) = match (*service, steps.as_slice()) {
        ("sts", ["assumed-role", role, session])
            if id.starts_with("AROA") && id.ends_with(&format!(":{session}")) =>
        {
            ("role", *role)
        }
        ("iam", ["user", .., name]) if id.starts_with("AIDA") => ("user", *name),
        ("sts", ["federated-user", name]) if id == format!("{account}:{name}") => {
            ("federated-user", *name)
        }
        (_, _) => return None,
    };
    let claims = [("account", account), ("arn", arn), ("kind", kind), ("name", name)];
    agrees.then(|| claims.map(|(name, value)| (name, value.to_owned())).to_vec())
}

/// `yyyymmddThhmmssZ` as seconds since 1970.
fn seconds(date: &str) -> Option<i64> {
    let bytes = date.as_bytes();
    let fits = bytes.len() == 16 && bytes.get(8) == Some(&b'T') && bytes.get(15) == Some(&b'Z');
    let part = |range: std::ops::Range<usize>| date.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(9..11)?, part(11..13)?, part(13..15)?);
    let of_month = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let before = of_month.get(usize::try_from(month - 1).ok()?)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let leaps = (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 - 477;
    let days = (year - 1970) * 365 + leaps + before + i64::from(is_leap && month > 2) + day - 1;
    fits.then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, expected) in [
            ("19700101T000000Z", 0),
            ("20000229T000000Z", 951_782_400),
            ("20000301T000000Z", 951_868_800),
            ("20260101T000000Z", 1_767_225_600),
            ("20261101T080140Z", 1_793_520_100),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "20261101 080140Z", "20261301T000000Z", "x0261101T080140Z"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn endpoints_are_those_of_aws_by_their_names() {
        assert_eq!(endpoint("sts.amazonaws.com"), Some(("us-east-1", "aws")));
        assert_eq!(endpoint("sts-fips.us-west-2.amazonaws.com"), Some(("us-west-2", "aws")));
        assert_eq!(endpoint("sts.cn-north-1.amazonaws.com.cn"), Some(("cn-north-1", "aws-cn")));
        for name in ["sts.evil.amazonaws.com", "sts.eu-west-1.amazonaws.com.evil.example", ""] {
            assert_eq!(endpoint(name), None, "{name}");
        }
    }
}
