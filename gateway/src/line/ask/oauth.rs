//! The OAuth face: forms (RFC 8693 §2.1, RFC 7009 §2.1, RFC 7662 §2.1), as they are asked.
//!
//! Nobody registers clients here. The token that is shown is the proof of who asks, so whoever tries to
//! authenticate as a client beside is refused rather than ignored; `client_id` must be the principal.
//! Parameters that no RFC gives this endpoint are ignored, as RFC 6749 §3.2 demands.

use std::fmt;

use http::request::Parts;
use http::{Method, header};
use symbolon_core::ask::Ask;
use symbolon_core::error::OauthError;
use symbolon_core::form::Form;
use symbolon_core::id::TargetName;

use super::{AskError, Asked, Published};
use crate::issuer::{INTROSPECTION_PATH, REVOCATION_PATH, TOKEN_PATH};
use crate::line::proof::SIGNED_TYPE;

/// The routes of the OAuth face. All of them are POST.
pub const OAUTH_ROUTES: [(&str, OauthRoute); 3] = [
    (TOKEN_PATH, OauthRoute::Token),
    (INTROSPECTION_PATH, OauthRoute::Introspection),
    (REVOCATION_PATH, OauthRoute::Revocation),
];

/// The one grant.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// Most scopes in a request, and their longest.
const MAX_SCOPES: usize = 32;
const MAX_SCOPE_BYTES: usize = 256;
/// Parameters by which a client would authenticate (RFC 6749 §2.3.1, RFC 7521 §4.2).
const AUTHENTICATION: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OauthRoute {
    /// Exchanges a token.
    Token,
    /// Says what a token is.
    Introspection,
    /// Withdraws a token.
    Revocation,
}

impl OauthRoute {
    /// The route of a path.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        OAUTH_ROUTES.iter().find(|(route, _)| *route == path).map(|(_, what)| *what)
    }
}

/// A token as it was sent: nothing of it is proven, and nothing of it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Presented(String);

impl Presented {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// A type of token (RFC 8693 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// An access token; of this server, where it is of this server.
    AccessToken,
    /// An ID token.
    IdToken,
    /// A JWT as such.
    Jwt,
    /// Temporary keys of AWS, as one JSON text.
    AwsCredentials,
    /// A signed `sts:GetCallerIdentity` request.
    AwsRequest,
}

impl TokenType {
    const ALL: [Self; 5] =
        [Self::AccessToken, Self::IdToken, Self::Jwt, Self::AwsCredentials, Self::AwsRequest];

    /// The URN.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::AwsCredentials => "urn:symbolon:token-type:aws-credentials",
            Self::AwsRequest => SIGNED_TYPE,
        }
    }

    fn parse(text: &str) -> Result<Self, AskError> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or(AskError::TokenType)
    }

    /// The type of a token that is shown.
    fn shown(text: &str) -> Result<Self, AskError> {
        match Self::parse(text)? {
            Self::AwsCredentials => Err(AskError::TokenType),
            shown @ (Self::AccessToken | Self::IdToken | Self::Jwt | Self::AwsRequest) => Ok(shown),
        }
    }

    /// The type of a token of somebody who acts: it has claims, by which `may_act` can name it.
    fn acts(self) -> Result<(), AskError> {
        if self == Self::AwsRequest { Err(AskError::TokenType) } else { Ok(()) }
    }

    /// The type of a token that can be asked for.
    fn wanted(text: &str) -> Result<Self, AskError> {
        match Self::parse(text)? {
            Self::IdToken | Self::AwsRequest => Err(AskError::TokenType),
            wanted @ (Self::AccessToken | Self::Jwt | Self::AwsCredentials) => Ok(wanted),
        }
    }
}

/// A request at the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What is asked for.
    pub ask: Ask,
    /// Proves for whom.
    pub subject: (Presented, TokenType),
    /// Proves who acts.
    pub actor: Option<(Presented, TokenType)>,
    /// What the result shall be.
    pub wanted: Option<TokenType>,
    /// Who the caller says that it is.
    pub client: Option<String>,
}

pub(super) fn parse(
    route: OauthRoute,
    head: &Parts,
    body: &[u8],
    published: &Published,
) -> Result<Asked, AskError> {
    if head.method != Method::POST {
        return Err(AskError::Method);
    }
    if head.uri.query().is_some() {
        return Err(AskError::Query);
    }
    is_form(head)?;
    let form = Form::parse(body, &["audience", "resource"]).map_err(|_| AskError::Body)?;
    if AUTHENTICATION.iter().any(|name| form.get(name).is_some()) {
        return Err(AskError::Client);
    }
    match route {
        OauthRoute::Introspection => Ok(Asked::Introspect(token(&form)?)),
        // Whoever holds a token proves itself by it; a header would be another proof.
        _ if head.headers.contains_key(header::AUTHORIZATION) => Err(AskError::Client),
        OauthRoute::Token => exchange(&form, published).map(Box::new).map(Asked::Exchange),
        OauthRoute::Revocation => Ok(Asked::Withdraw(token(&form)?)),
    }
}

fn is_form(head: &Parts) -> Result<(), AskError> {
    let mut values = head.headers.get_all(header::CONTENT_TYPE).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if is_form && values.next().is_none() { Ok(()) } else { Err(AskError::MediaType) }
}

fn token(form: &Form) -> Result<Presented, AskError> {
    form.get("token").map(|token| Presented(token.to_owned())).ok_or(AskError::Body)
}

fn exchange(form: &Form, published: &Published) -> Result<Exchange, AskError> {
    match form.get("grant_type") {
        Some(TOKEN_EXCHANGE) => {}
        Some(_) => return Err(AskError::Grant),
        None => return Err(AskError::Body),
    }
    let subject = presented(form, "subject_token", "subject_token_type")?.ok_or(AskError::Body)?;
    let actor = presented(form, "actor_token", "actor_token_type")?;
    actor.iter().try_for_each(|(_, kind)| kind.acts())?;
    let wanted = form.get("requested_token_type").map(TokenType::wanted).transpose()?;
    let ask = Ask::exchange(target(form, published)?, scopes(form)?);
    let client = form.get("client_id").map(str::to_owned);
    Ok(Exchange { ask, subject, actor, wanted, client })
}

/// A token comes with its type, and a type with its token.
fn presented(
    form: &Form,
    token: &str,
    kind: &str,
) -> Result<Option<(Presented, TokenType)>, AskError> {
    match (form.get(token), form.get(kind)) {
        (Some(token), Some(kind)) => {
            Ok(Some((Presented(token.to_owned()), TokenType::shown(kind)?)))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(AskError::Body),
    }
}

/// The one target that `audience` and `resource` name; `None` for the gateway itself. Whether there is
/// such a target, and whether it is for the caller, is decided: both answers are one.
fn target(form: &Form, published: &Published) -> Result<Option<TargetName>, AskError> {
    let mut audiences = form.all("audience");
    let mut resources = form.all("resource");
    let named = match (audiences.next(), resources.next()) {
        (Some(audience), None) => published.audience(audience),
        (None, Some(resource)) => published.resource(resource),
        (Some(_), Some(_)) | (None, None) => return Err(AskError::Target),
    };
    if audiences.next().or(resources.next()).is_some() {
        return Err(AskError::Target);
    }
    named
}

/// RFC 6749 §3.3: tokens of visible characters with one space between; each once.
fn scopes(form: &Form) -> Result<Vec<String>, AskError> {
    let Some(text) = form.get("scope") else { return Ok(Vec::new()) };
    let allowed = |b: u8| b == b'!' || (b'#'..=b'[').contains(&b) || (b']'..=b'~').contains(&b);
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.split(' ') {
        let fits = (1..=MAX_SCOPE_BYTES).contains(&scope.len()) && scope.bytes().all(allowed);
        let again = scopes.iter().any(|known| known == scope);
        if !fits || again || scopes.len() == MAX_SCOPES {
            return Err(AskError::Scope);
        }
        scopes.push(scope.to_owned());
    }
    Ok(scopes)
}

impl AskError {
    /// What the OAuth face tells of it.
    #[must_use]
    pub fn oauth(self) -> OauthError {
        match self {
            Self::Client => OauthError::Client,
            Self::Grant => OauthError::Grant,
            Self::Target => OauthError::Target,
            Self::Scope => OauthError::Scope,
            Self::Foreign => OauthError::TokenType,
            Self::Method => OauthError::Method,
            Self::MediaType => OauthError::MediaType,
            Self::NoRoute
            | Self::Path(_)
            | Self::Backend
            | Self::Query
            | Self::Alias(_)
            | Self::Role
            | Self::Lease
            | Self::Body
            | Self::BatchSize
            | Self::TokenType
            | Self::NoCredential
            | Self::Credential => OauthError::Of(self.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> Published {
        Published::below("/assertions").at("https://gw.example.com")
    }

    fn head(kind: Option<&str>) -> Parts {
        let mut head = http::Request::builder().method("POST").uri(TOKEN_PATH);
        if let Some(kind) = kind {
            head = head.header("content-type", kind);
        }
        head.body(()).unwrap().into_parts().0
    }

    const GOOD: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
        &subject_token=a.b.c&subject_token_type=urn:ietf:params:oauth:token-type:jwt";

    fn token(more: &str) -> Result<Exchange, AskError> {
        let head = head(Some("application/x-www-form-urlencoded; charset=UTF-8"));
        let body = format!("{GOOD}&{more}");
        let asked = parse(OauthRoute::Token, &head, body.as_bytes(), &published())?;
        let Asked::Exchange(exchange) = asked else { panic!("{asked:?}") };
        Ok(*exchange)
    }

    fn named(more: &str) -> Result<Option<String>, AskError> {
        token(more).map(|exchange| match exchange.ask.resource.to_string() {
            name if name == "gateway" => None,
            name => Some(name.trim_start_matches("target:").to_owned()),
        })
    }

    #[test]
    fn exactly_one_target_is_named_or_the_gateway_itself() {
        let aws = Ok(Some(String::from("aws")));
        assert_eq!(named("audience=aws"), aws);
        assert_eq!(named("resource=https://gw.example.com/targets/aws"), aws);
        assert_eq!(named("audience=https://gw.example.com"), Ok(None));
        assert_eq!(named("resource=https://gw.example.com"), Ok(None));
        for bad in [
            "",
            "audience=",
            "audience=aws&audience=aws",
            "audience=aws&resource=https://gw.example.com/targets/aws",
            "audience=AWS",
            "audience=../aws",
            "audience=https://gw.example.com/",
            "resource=aws",
            "resource=https://gw.example.com/targets/",
            "resource=https://gw.example.com/targets/aws%23x",
            "resource=https://gw.example.com.evil.example/targets/aws",
        ] {
            assert_eq!(named(bad), Err(AskError::Target), "{bad}");
        }
    }

    #[test]
    fn what_the_form_must_not_be_is_refused_for_its_reason() {
        for (more, error) in [
            ("audience=aws&client_secret=x", AskError::Client),
            ("audience=aws&client_assertion=x", AskError::Client),
            ("audience=aws&scope=a++b", AskError::Scope),
            ("audience=aws&scope=a+a", AskError::Scope),
            ("audience=aws&scope=%22", AskError::Scope),
            ("audience=aws&actor_token=a.b.c", AskError::Body),
            ("audience=aws&actor_token_type=urn:ietf:params:oauth:token-type:jwt", AskError::Body),
            ("audience=aws&requested_token_type=jwt", AskError::TokenType),
            (
                "audience=aws&requested_token_type=urn:ietf:params:oauth:token-type:saml2",
                AskError::TokenType,
            ),
            (
                "audience=aws&requested_token_type=urn:symbolon:params:oauth:token-type:aws4-request",
                AskError::TokenType,
            ),
            (
                "audience=aws&actor_token=a&actor_token_type=urn:symbolon:params:oauth:token-type:aws4-request",
                AskError::TokenType,
            ),
            ("audience=aws&subject_token=x", AskError::Body),
        ] {
            assert_eq!(token(more), Err(error), "{more}");
        }
        let exchange = token("audience=aws&scope=a+b&whatever=1").unwrap();
        assert_eq!(exchange.ask.scopes, ["a", "b"]);
        assert!(!format!("{exchange:?}").contains("a.b.c"));
    }

    #[test]
    fn the_body_is_a_form_and_says_so() {
        let parse = |head: &Parts| {
            let body = format!("{GOOD}&audience=aws");
            parse(OauthRoute::Token, head, body.as_bytes(), &published()).map(|_| ())
        };
        for (kind, expected) in [
            (Some("application/x-www-form-urlencoded"), Ok(())),
            (Some("Application/X-WWW-Form-Urlencoded;charset=utf-8"), Ok(())),
            (Some("application/json"), Err(AskError::MediaType)),
            (Some("multipart/form-data; boundary=x"), Err(AskError::MediaType)),
            (None, Err(AskError::MediaType)),
        ] {
            assert_eq!(parse(&head(kind)), expected, "{kind:?}");
        }
        let mut with_header = head(Some("application/x-www-form-urlencoded"));
        with_header.headers.insert(header::AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert_eq!(parse(&with_header), Err(AskError::Client));
    }
}
