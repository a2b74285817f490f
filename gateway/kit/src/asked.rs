//! A request as it came, and a request as the script wants it.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use serde_json::Value;
use url::Url;

use crate::compare::{self, Members, cut, fits};
use crate::script::Request;
use crate::terms::Terms;

/// Pairs of a query or a form, decoded, in an order that does not depend on how they were written.
type Pairs = Vec<(String, String)>;

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    method: String,
    /// Scheme, host, port where it is not the scheme's own, and path.
    place: String,
    query: Pairs,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    pub(crate) fn new(scheme: &str, parts: &Parts, body: Bytes) -> Self {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let (place, query) = split(&format!("{scheme}://{}{path}", host.unwrap_or_default()));
        let method = parts.method.to_string();
        Self { method, place, query, headers: parts.headers.clone(), body }
    }

    /// Whether such a request may have an effect.
    pub(crate) fn acts(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "LIST" | "OPTIONS")
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.place, joined(&self.query))?;
        if self.body.is_empty() {
            return Ok(());
        }
        write!(f, " with {}", cut(&String::from_utf8_lossy(&self.body)))
    }
}

/// A request as the script wants it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    method: String,
    place: String,
    query: Pairs,
    headers: BTreeMap<String, String>,
    body: WantedBody,
}

#[derive(Clone, Debug, PartialEq)]
enum WantedBody {
    Nothing,
    Json(Value),
    Form(Pairs),
    Text(String),
}

impl Wanted {
    pub(crate) fn of(request: &Request, terms: &Terms) -> Self {
        let (place, query) = split(&terms.text(&request.url));
        let headers = request.headers.iter();
        let headers = headers.map(|(name, v)| (name.to_ascii_lowercase(), terms.text(v))).collect();
        let body = match (&request.json, &request.form, &request.body) {
            (Some(json), _, _) => WantedBody::Json(terms.value(json)),
            (_, Some(form), _) => {
                let pairs = form.iter().map(|(name, value)| (terms.text(name), terms.text(value)));
                WantedBody::Form(sorted(pairs))
            }
            (_, _, Some(text)) => WantedBody::Text(terms.text(text)),
            (None, None, None) => WantedBody::Nothing,
        };
        Self { method: request.method.clone(), place, query, headers, body }
    }

    /// Whether the request is one of the method and path.
    pub(crate) fn is_place_of(&self, asked: &Asked) -> bool {
        self.method == asked.method && fits(&self.place, &asked.place)
    }

    /// In what the request differs.
    pub(crate) fn differences(&self, asked: &Asked) -> Vec<String> {
        let mut all = Vec::new();
        let (wanted, found) = (
            format!("{} {}", self.method, self.place),
            format!("{} {}", asked.method, asked.place),
        );
        if !fits(&wanted, &found) {
            return vec![format!("wanted {wanted}, found {found}")];
        }
        all.extend(pairs("query", &self.query, &asked.query));
        all.extend(self.headers.iter().filter_map(|(name, wanted)| header_of(name, wanted, asked)));
        all.extend(self.body.differences(asked));
        all
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.place, joined(&self.query))
    }
}

impl WantedBody {
    fn differences(&self, asked: &Asked) -> Vec<String> {
        let text = String::from_utf8_lossy(&asked.body);
        match self {
            Self::Nothing if asked.body.is_empty() => Vec::new(),
            Self::Nothing => vec![format!("body: unwanted {}", cut(&text))],
            Self::Text(wanted) if fits(wanted, &text) => Vec::new(),
            Self::Text(wanted) => vec![format!("body: wanted {wanted}, found {}", cut(&text))],
            Self::Form(wanted) => {
                let found = url::form_urlencoded::parse(&asked.body).into_owned();
                pairs("form", wanted, &sorted(found))
            }
            Self::Json(wanted) => match serde_json::from_slice(&asked.body) {
                Ok(found) => compare::differences(wanted, &found, Members::Exactly, "json"),
                Err(_) => vec![format!("body: wanted JSON, found {}", cut(&text))],
            },
        }
    }
}

fn header_of(name: &str, wanted: &str, asked: &Asked) -> Option<String> {
    let found = asked.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let is_right = found.as_ref().is_some_and(|found| fits(wanted, found));
    let shown = found.map_or_else(|| "nothing".to_owned(), |found| cut(&found));
    (!is_right).then(|| format!("header {name}: wanted {wanted}, found {shown}"))
}

fn pairs(what: &str, wanted: &Pairs, found: &Pairs) -> Vec<String> {
    let mut left: Vec<&(String, String)> = found.iter().collect();
    let mut all = Vec::new();
    for (name, value) in wanted {
        match left.iter().position(|(n, v)| n == name && fits(value, v)) {
            Some(at) => drop(left.remove(at)),
            None => all.push(format!("{what}: wanted {name}={}", cut(value))),
        }
    }
    all.extend(left.iter().map(|(name, value)| format!("{what}: found {name}={}", cut(value))));
    all
}

/// What stands before the query, and the query. `${any}` survives in both.
fn split(url: &str) -> (String, Pairs) {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    (plain(place), sorted(pairs))
}

/// Without the port that the scheme has by itself.
fn plain(place: &str) -> String {
    let stated = |scheme: &str, port: &str| {
        let rest = place.strip_prefix(scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        Some(format!("{scheme}{}/{path}", authority.strip_suffix(port).unwrap_or(authority)))
    };
    stated("https://", ":443").or_else(|| stated("http://", ":80")).unwrap_or_else(|| place.into())
}

fn sorted(pairs: impl Iterator<Item = (String, String)>) -> Pairs {
    let mut pairs: Pairs = pairs.collect();
    pairs.sort();
    pairs
}

fn joined(query: &Pairs) -> String {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Scheme, host and port of every URL.
pub(crate) fn origin(url: &str) -> Option<(String, String, u16)> {
    let url = Url::parse(url).ok()?;
    Some((url.scheme().to_owned(), url.host_str()?.to_owned(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Request;
    use crate::terms::tests::terms;

    fn asked(method: &str, path: &str, body: &str) -> Asked {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "h.test:443")
            .header("x-a", "b");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Asked::new("https", &parts, Bytes::copy_from_slice(body.as_bytes()))
    }

    fn wanted(method: &str, url: &str, rest: &str) -> Wanted {
        let text = format!("method = \"{method}\"\nurl = \"{url}\"\n{rest}");
        Wanted::of(&toml::from_str::<Request>(&text).unwrap(), &terms())
    }

    #[test]
    fn a_request_is_the_one_of_the_script_in_every_part() {
        let get = wanted("GET", "https://h.test/a/${any}?x=1&y=a%20b", "headers = { X-A = \"b\" }");
        assert!(get.differences(&asked("GET", "/a/b?y=a+b&x=1", "")).is_empty());
        for (found, expected) in [
            (asked("POST", "/a/b?y=a+b&x=1", ""), "wanted GET"),
            (asked("GET", "/b?y=a+b&x=1", ""), "found GET https://h.test/b"),
            (asked("GET", "/a/b?x=1", ""), "query: wanted y=a b"),
            (asked("GET", "/a/b?y=a+b&x=1&z=", ""), "query: found z="),
            (asked("GET", "/a/b?y=a+b&x=1", "more"), "body: unwanted more"),
        ] {
            let differences = get.differences(&found).join("; ");
            assert!(differences.contains(expected), "{differences}");
        }
        let header = wanted("GET", "https://h.test/", "headers = { X-A = \"c\" }");
        let differences = header.differences(&asked("GET", "/", ""));
        assert_eq!(differences, ["header x-a: wanted c, found b"]);
    }

    #[test]
    fn bodies_are_compared_by_what_they_say() {
        let json = wanted("POST", "https://h.test/", "json = { ttl = \"${ttl}\", a = [1] }");
        assert!(json.differences(&asked("POST", "/", "{\"a\":[1],\"ttl\":900}")).is_empty());
        let differences = json.differences(&asked("POST", "/", "{\"a\":[1],\"ttl\":1,\"b\":2}"));
        assert_eq!(differences, ["json.ttl: wanted 900, found 1", "json.b: unwanted 2"]);
        assert!(!json.differences(&asked("POST", "/", "a=1")).is_empty());
        let form =
            wanted("POST", "https://h.test/", "form = { t = \"${assertion}\", u = \"a b\" }");
        assert!(form.differences(&asked("POST", "/", "u=a%20b&t=head.body.signature")).is_empty());
        assert_eq!(form.differences(&asked("POST", "/", "u=a%20b")).len(), 1);
        let text = wanted("POST", "https://h.test/", "body = \"a${any}\"");
        assert!(text.differences(&asked("POST", "/", "abc")).is_empty());
    }
}
