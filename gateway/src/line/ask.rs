//! From the bytes of an HTTP request to an [`Ask`]: everything is parsed here, once, and bounded.
//!
//! INVARIANT: the path of a secret is taken from the undecoded request target and handed to policy
//! and backend as one [`SecretPath`]; nothing behind this module parses a path again. What the
//! grammar does not foresee (an unknown query parameter, one given twice, an unknown member in a
//! body) is refused, since a parameter that is quietly ignored is a promise that is quietly broken.

mod leases;
mod oauth;
mod published;
mod refused;

use http::request::Parts;
use http::{Method, header};
use serde::Deserialize;
use symbolon_core::alias::Aliases;
use symbolon_core::ask::{Action, Ask, Version};
use symbolon_core::field::Field;
use symbolon_core::id::BackendName;
use symbolon_core::path::SecretPath;

pub use self::oauth::{Exchange, OAUTH_ROUTES, OauthRoute, Presented, TokenType};
pub use self::published::{PUBLIC_ROUTES, Public, Published};
pub use self::refused::AskError;

/// Most asks in one batch (DESIGN §3).
pub const MAX_BATCH: usize = 100;

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Something of a principal: walks the line.
    Principal(Asked),
    /// Something public: no identity, no audit entry.
    Public(Public),
}

/// What is asked by somebody who will have to prove who they are.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// One thing.
    One(Box<Ask>, Page),
    /// Several, each decided and audited on its own.
    Batch(Vec<Ask>),
    /// A token for a token.
    Exchange(Box<Exchange>),
    /// What a token is.
    Introspect(Presented),
    /// The end of the token that is shown.
    Withdraw(Presented),
}

impl Asked {
    /// How many things are asked for.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        match self {
            Self::One(..) | Self::Exchange(_) | Self::Introspect(_) | Self::Withdraw(_) => 1,
            Self::Batch(asks) => asks.len(),
        }
    }
}

impl Asked {
    /// The same about the places of what is asked for by aliases.
    ///
    /// # Errors
    /// [`AskError::Alias`] if an alias does not have what is asked of it.
    pub fn resolved(self, aliases: &Aliases) -> Result<Self, AskError> {
        Ok(match self {
            Self::One(ask, page) => Self::One(Box::new(aliases.resolve(*ask)?), page),
            Self::Batch(asks) => {
                let resolved = asks.into_iter().map(|ask| aliases.resolve(ask));
                Self::Batch(resolved.collect::<Result<_, _>>()?)
            }
            Self::Exchange(_) | Self::Introspect(_) | Self::Withdraw(_) => self,
        })
    }
}

/// Where a listing continues; opaque, from the answer before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page(pub Option<String>);

/// What principals can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Several secrets at once.
    Batch,
    /// One secret, or what lies in a folder.
    Secrets,
    /// A credential of a role.
    Credentials,
    /// The asker's leases.
    Leases,
    /// One lease: to see it.
    Lease,
    /// One lease: to end it.
    EndLease,
    /// One lease: to renew it.
    RenewLease,
}

/// The routes of principals and their methods; a path that ends in `/` stands for all below it.
/// There are no others: what tests of every route go through is what [`parse`] goes through.
pub const PRINCIPAL_ROUTES: [(Method, &str, Route); 7] = [
    (Method::POST, "/v1/secrets:batch", Route::Batch),
    (Method::GET, "/v1/secrets/", Route::Secrets),
    (Method::POST, "/v1/credentials/", Route::Credentials),
    (Method::GET, "/v1/leases", Route::Leases),
    (Method::GET, "/v1/leases/", Route::Lease),
    (Method::DELETE, "/v1/leases/", Route::EndLease),
    (Method::POST, "/v1/leases/", Route::RenewLease),
];

/// Parses a request whose body has been read whole.
///
/// # Errors
/// [`AskError`] says which rule the request breaks.
pub fn parse(head: &Parts, body: &[u8], published: &Published) -> Result<Request, AskError> {
    let path = head.uri.path();
    if let Some(public) = published.find(path) {
        return with_method(head, &Method::GET).map(|()| Request::Public(public));
    }
    if let Some(route) = OauthRoute::of(path) {
        return oauth::parse(route, head, body, published).map(Request::Principal);
    }
    let (rest, route) = route(&head.method, path)?;
    let query = head.uri.query();
    let asked = match route {
        Route::Batch => batch(head, body),
        Route::Secrets => secrets(rest, query.unwrap_or_default()),
        Route::Credentials => leases::credential(rest, (query, body)),
        Route::Leases => leases::own(query.unwrap_or_default()),
        Route::Lease => leases::one(Action::List, rest, (query, body)),
        Route::EndLease => leases::one(Action::Revoke, rest, (query, body)),
        Route::RenewLease => leases::renewal(rest, (query, body)),
    };
    asked.map(Request::Principal)
}

/// The route of a path and what follows it. A path that exists with other methods is told apart.
fn route<'a>(method: &Method, path: &'a str) -> Result<(&'a str, Route), AskError> {
    let mut known = false;
    for (allowed, route, what) in &PRINCIPAL_ROUTES {
        let rest = path.strip_prefix(route).filter(|rest| rest.is_empty() || route.ends_with('/'));
        match rest {
            Some(rest) if allowed == method => return Ok((rest, *what)),
            Some(_) => known = true,
            None => {}
        }
    }
    Err(if known { AskError::Method } else { AskError::NoRoute })
}

/// The bearer token of the request: exactly one `Authorization: Bearer …`.
///
/// # Errors
/// [`AskError::NoCredential`] or [`AskError::Credential`].
pub fn bearer(head: &Parts) -> Result<&str, AskError> {
    let mut values = head.headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(AskError::NoCredential)?;
    if values.next().is_some() {
        return Err(AskError::Credential);
    }
    let (scheme, token) =
        value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(AskError::Credential)?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    if is_bearer { Ok(token) } else { Err(AskError::Credential) }
}

fn with_method(head: &Parts, method: &Method) -> Result<(), AskError> {
    if head.method == method { Ok(()) } else { Err(AskError::Method) }
}

/// `{backend}/{path}[?version=][&field=]`, `{backend}/?list[&next=]`, `{backend}/{folder}/?list[&next=]`.
fn secrets(rest: &str, query: &str) -> Result<Asked, AskError> {
    let (backend, path) = rest.split_once('/').ok_or(AskError::NoRoute)?;
    let backend = BackendName::parse(backend).map_err(|_| AskError::Backend)?;
    let query = Query::parse(query)?;
    if query.list {
        return listing(backend, path, query);
    }
    if query.next.is_some() {
        return Err(AskError::Query);
    }
    let ask = Ask::read(backend, SecretPath::parse(path)?, query.version);
    let ask = Ask { field: query.field, ..ask };
    Ok(Asked::One(Box::new(ask), Page::default()))
}

fn listing(backend: BackendName, path: &str, query: Query) -> Result<Asked, AskError> {
    if query.version.is_some() || query.field.is_some() {
        return Err(AskError::Query);
    }
    let folder = match path.strip_suffix('/') {
        None if path.is_empty() => None,
        None => return Err(AskError::NoRoute),
        Some(folder) => Some(SecretPath::parse(folder)?),
    };
    Ok(Asked::One(Box::new(Ask::list(backend, folder)), Page(query.next)))
}

#[derive(Default)]
struct Query {
    list: bool,
    version: Option<Version>,
    field: Option<Field>,
    next: Option<String>,
}

impl Query {
    fn parse(text: &str) -> Result<Self, AskError> {
        let mut query = Self::default();
        for parameter in text.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "list" if value.is_empty() && !query.list => query.list = true,
                "version" if query.version.is_none() => {
                    query.version = Some(Version::parse(value).map_err(|_| AskError::Query)?);
                }
                "field" if query.field.is_none() => {
                    query.field = Some(Field::parse(value).map_err(|_| AskError::Query)?);
                }
                "next" if query.next.is_none() => query.next = Some(continuation(value)?),
                _ => return Err(AskError::Query),
            }
        }
        Ok(query)
    }
}

/// Longest continuation: a tag and a cursor of a kibibyte, in base64url.
const MAX_CONTINUATION_BYTES: usize = 1408;

/// What the gateway handed out itself: base64url, so nothing in it ever needs an escape. Whether it
/// did is known when there is somebody whose it is.
fn continuation(text: &str) -> Result<String, AskError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let fits = (1..=MAX_CONTINUATION_BYTES).contains(&text.len()) && text.bytes().all(allowed);
    if fits { Ok(text.to_owned()) } else { Err(AskError::Query) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchBody {
    secrets: Vec<BatchItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchItem {
    backend: String,
    path: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    field: Option<String>,
}

fn batch(head: &Parts, body: &[u8]) -> Result<Asked, AskError> {
    if head.uri.query().is_some() {
        return Err(AskError::Query);
    }
    let body: BatchBody = serde_json::from_slice(body).map_err(|_| AskError::Body)?;
    if !(1..=MAX_BATCH).contains(&body.secrets.len()) {
        return Err(AskError::BatchSize);
    }
    body.secrets.iter().map(batch_item).collect::<Result<_, _>>().map(Asked::Batch)
}

fn batch_item(item: &BatchItem) -> Result<Ask, AskError> {
    let backend = BackendName::parse(&item.backend).map_err(|_| AskError::Backend)?;
    let version = item.version.as_deref().map(Version::parse).transpose();
    let version = version.map_err(|_| AskError::Body)?;
    let field = item.field.as_deref().map(Field::parse).transpose();
    let field = field.map_err(|_| AskError::Body)?;
    Ok(Ask { field, ..Ask::read(backend, SecretPath::parse(&item.path)?, version) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_core::path::PathError;

    fn head(method: &str, target: &str) -> Parts {
        http::Request::builder().method(method).uri(target).body(()).unwrap().into_parts().0
    }

    fn parse(head: &Parts, body: &[u8]) -> Result<Request, AskError> {
        super::parse(head, body, &Published::below("/tenants/a"))
    }

    fn ask(target: &str) -> Result<Request, AskError> {
        parse(&head("GET", target), b"")
    }

    #[test]
    fn the_assertion_documents_are_below_the_path_of_their_issuer() {
        for (target, found) in [
            ("/tenants/a/.well-known/jwks.json", Ok(Public::AssertionKeys)),
            ("/tenants/a/.well-known/openid-configuration", Ok(Public::AssertionConfiguration)),
            ("/assertions/.well-known/jwks.json", Ok(Public::AssertionKeys)),
            ("/.well-known/jwks.json", Ok(Public::Keys)),
            ("/tenants/a/.well-known/jwks.json/", Err(AskError::NoRoute)),
            ("/tenants/b/.well-known/jwks.json", Err(AskError::NoRoute)),
            ("/tenants/a/healthz", Err(AskError::NoRoute)),
        ] {
            assert_eq!(ask(target), found.map(Request::Public), "{target}");
        }
        let root = Published::below("/");
        assert_eq!(root.find("/.well-known/jwks.json"), Some(Public::Keys));
        assert_eq!(root.find_alone("/.well-known/jwks.json"), Some(Public::AssertionKeys));
        assert_eq!(root.find_alone("/healthz"), None);
    }

    fn backend() -> BackendName {
        BackendName::parse("kv").unwrap()
    }

    fn read(path: &str, version: Option<&str>) -> Request {
        let version = version.map(|v| Version::parse(v).unwrap());
        let ask = Ask::read(backend(), SecretPath::parse(path).unwrap(), version);
        Request::Principal(Asked::One(Box::new(ask), Page::default()))
    }

    #[test]
    fn reads_and_lists_are_told_apart_by_the_query() {
        assert_eq!(ask("/v1/secrets/kv/prod/db"), Ok(read("prod/db", None)));
        assert_eq!(ask("/v1/secrets/kv/prod/db?version=3"), Ok(read("prod/db", Some("3"))));
        let list = |folder: Option<&str>, next: Option<&str>| {
            let folder = folder.map(|f| SecretPath::parse(f).unwrap());
            let page = Page(next.map(str::to_owned));
            Ok(Request::Principal(Asked::One(Box::new(Ask::list(backend(), folder)), page)))
        };
        assert_eq!(ask("/v1/secrets/kv/?list"), list(None, None));
        assert_eq!(ask("/v1/secrets/kv/prod/?list&next=YWI"), list(Some("prod"), Some("YWI")));
    }

    #[test]
    fn a_field_is_a_pointer_with_one_text() {
        let field = |text: &str| match ask(&format!("/v1/secrets/kv/a?{text}")) {
            Ok(Request::Principal(Asked::One(ask, _))) => Ok(ask.field.unwrap().to_string()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        };
        assert_eq!(field("field=/tls.crt"), Ok("/tls.crt".to_owned()));
        assert_eq!(field("version=3&field=/a~1b/0"), Ok("/a~1b/0".to_owned()));
        for bad in
            ["field=", "field=a", "field=/a&field=/b", "field=/a%2fb", "field=/a%20b", "field=/~2"]
        {
            assert_eq!(field(bad), Err(AskError::Query), "{bad}");
        }
        assert_eq!(ask("/v1/secrets/kv/?list&field=/a"), Err(AskError::Query));
        let post = |field: &str| {
            let body =
                format!(r#"{{"secrets":[{{"backend":"kv","path":"a","field":"{field}"}}]}}"#);
            parse(&head("POST", "/v1/secrets:batch"), body.as_bytes())
        };
        assert!(
            matches!(post("/b"), Ok(Request::Principal(Asked::Batch(b))) if b[0].field.is_some())
        );
        assert_eq!(post("b"), Err(AskError::Body));
    }

    #[test]
    fn path_tricks_never_become_an_ask() {
        for (target, expected) in [
            ("/v1/secrets/kv/a/../b", AskError::Path(PathError::DotSegment)),
            ("/v1/secrets/kv/a//b", AskError::Path(PathError::EmptySegment)),
            ("/v1/secrets/kv/a%2fb", AskError::Path(PathError::Encoding)),
            ("/v1/secrets/kv/%2e%2e/b", AskError::Path(PathError::Encoding)),
            ("/v1/secrets/kv/a%00", AskError::Path(PathError::Encoding)),
            ("/v1/secrets/kv/a/", AskError::Path(PathError::EmptySegment)),
            ("/v1/secrets/KV/a", AskError::Backend),
            ("/v1/secrets/k%76/a", AskError::Backend),
            ("/v1/secrets//a", AskError::Backend),
            ("/v1//secrets/kv/a", AskError::NoRoute),
            ("/v1/Secrets/kv/a", AskError::NoRoute),
            ("/v1/../v1/secrets/kv/a", AskError::NoRoute),
            ("/v1/secrets/kv", AskError::NoRoute),
            ("/v1/secrets/kv/a?Version=1", AskError::Query),
            ("/v1/secrets/kv/a?version=1&version=2", AskError::Query),
            ("/v1/secrets/kv/a?version=", AskError::Query),
            ("/v1/secrets/kv/a?list", AskError::NoRoute),
            ("/v1/secrets/kv/a?next=YWI", AskError::Query),
            ("/v1/secrets/kv/?list&next=", AskError::Query),
            ("/v1/secrets/kv/?list&next=a%0ab", AskError::Query),
            ("/v1/secrets/kv/?list&next=YWI=", AskError::Query),
        ] {
            assert_eq!(ask(target), Err(expected), "{target}");
        }
    }

    #[test]
    fn a_batch_is_bounded_and_strict() {
        let post = |body: &str| parse(&head("POST", "/v1/secrets:batch"), body.as_bytes());
        let item = r#"{"backend":"kv","path":"a"}"#;
        let of = |n: usize| format!(r#"{{"secrets":[{}]}}"#, vec![item; n].join(","));
        assert!(
            matches!(post(&of(100)), Ok(Request::Principal(Asked::Batch(b))) if b.len() == 100)
        );
        assert_eq!(post(&of(101)), Err(AskError::BatchSize));
        assert_eq!(post(&of(0)), Err(AskError::BatchSize));
        assert_eq!(post(r#"{"secrets":[],"x":1}"#), Err(AskError::Body));
        let encoded = r#"{"secrets":[{"backend":"kv","path":"a%2fb"}]}"#;
        assert_eq!(post(encoded), Err(AskError::Path(PathError::Encoding)));
        assert_eq!(ask("/v1/secrets:batch"), Err(AskError::Method));
    }

    #[test]
    fn a_bearer_token_comes_exactly_once() {
        let with = |values: &[&str]| {
            let mut head = head("GET", "/");
            for value in values {
                head.headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&head).map(str::to_owned)
        };
        assert_eq!(with(&["Bearer a.b.c"]), Ok("a.b.c".to_owned()));
        assert_eq!(with(&["bearer a.b.c"]), Ok("a.b.c".to_owned()));
        assert_eq!(with(&[]), Err(AskError::NoCredential));
        for bad in [&["Bearer a", "Bearer a"][..], &["Bearer "], &["Basic YTpi"], &["a.b.c"]] {
            assert_eq!(with(bad), Err(AskError::Credential), "{bad:?}");
        }
    }
}
