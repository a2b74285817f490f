//! Tokens that must be refused, made from one that is accepted.
//!
//! [`mutations`] changes one claim, one header member or one detail of the text at a time and signs
//! the result again with the issuer's own key (where a signature is possible at all): so it is the
//! rule that refuses, not the signature. Tests of the verifier and of the whole line share the list.
//!
//! Pure: no I/O, no randomness, no key. It takes the good token to be one of the default rules:
//! `typ` absent or `JWT`, `iat` and `exp` integers, one audience.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// A token that must not be accepted.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// What was changed, for the failure message of a test.
    pub description: String,
    /// The text to send.
    pub token: String,
}

/// Signs a signing input and answers the signature in base64url.
pub type Sign<'a> = &'a dyn Fn(&str) -> String;

/// Joins and signs a header and claims, each the JSON text it shall be, good or bad.
#[must_use]
pub fn token(header: &[u8], claims: &[u8], sign: Sign<'_>) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = sign(&input);
    format!("{input}.{signature}")
}

/// Every mutation of the token with this header and these claims.
#[must_use]
pub fn mutations(
    header: &Map<String, Value>,
    claims: &Map<String, Value>,
    sign: Sign<'_>,
) -> Vec<Mutation> {
    let good = Good { header: Members::of(header), claims: Members::of(claims), sign };
    let mut all = Vec::new();
    good.remove(&mut all);
    good.repeat(&mut all);
    good.replace_header(&mut all);
    good.replace_claims(&mut all);
    good.replace_dates(&mut all);
    good.replace_names(&mut all);
    good.rewrite_json(&mut all);
    good.rewrite_text(&mut all);
    all
}

/// Raw values that the header member of the name must not have.
const BAD_HEADER: [(&str, &[&str]); 20] = [
    (
        "alg",
        &[
            r#""none""#,
            r#""None""#,
            r#""NONE""#,
            r#""nOnE""#,
            r#""""#,
            "null",
            "1",
            "true",
            "{}",
            r#"["RS256"]"#,
            r#"["ES256"]"#,
            r#""RS256 ""#,
            r#""ES256 ""#,
            r#""rs256""#,
            r#""es256""#,
            r#""ES256K""#,
            r#""ES512""#,
            r#""HS256""#,
            r#""HS384""#,
            r#""HS512""#,
            r#""dir""#,
            r#""RSA-OAEP""#,
            r#""PBES2-HS256+A128KW""#,
        ],
    ),
    (
        "kid",
        &[
            r#""no-such-key""#,
            r#""../../../../dev/null""#,
            r#""/proc/self/environ""#,
            r#""' OR 1=1--""#,
            r#""$(id)""#,
            r#""https://evil.example/key""#,
            r#""""#,
            "1",
            r#"["k1"]"#,
            "null",
            "{}",
            r#""k\u0000""#,
        ],
    ),
    (
        "typ",
        &[
            r#""at+jwt""#,
            r#""dpop+jwt""#,
            r#""wit+jwt""#,
            r#""logout+jwt""#,
            r#""secevent+jwt""#,
            r#""JWT ""#,
            r#""""#,
            r#""text/jwt""#,
            "null",
            "1",
            r#"["JWT"]"#,
        ],
    ),
    ("cty", &[r#""JWT""#, r#""jwt""#, r#""application/jwt""#, "1"]),
    ("crit", &["[]", r#"["exp"]"#, r#"["b64"]"#, r#""exp""#, "null"]),
    ("b64", &["false", "true"]),
    ("zip", &[r#""DEF""#]),
    ("enc", &[r#""A256GCM""#]),
    ("epk", &["{}"]),
    ("apu", &[r#""AA""#]),
    ("apv", &[r#""AA""#]),
    ("iv", &[r#""AA""#]),
    ("tag", &[r#""AA""#]),
    ("p2s", &[r#""AA""#]),
    ("p2c", &["1000000000"]),
    ("jku", &[r#""https://evil.example/jwks.json""#]),
    ("jwk", &[r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#]),
    ("x5u", &[r#""https://evil.example/x5c.pem""#]),
    ("x5c", &[r#"["MIIB"]"#]),
    ("deep", &["[[[[1]]]]"]),
];

/// Raw values that no date may have.
const BAD_DATES: [&str; 16] = [
    "null",
    "true",
    "{}",
    "[]",
    r#""1793520300""#,
    r#""""#,
    "-1",
    "-0",
    "1e10",
    "1E10",
    "1e400",
    "1.8e308",
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999",
];

/// Raw values that the claim of the name must not have.
const BAD_CLAIMS: [(&str, &[&str]); 5] = [
    ("iss", &["null", "1", "true", "{}", "[]", r#""""#]),
    (
        "sub",
        &["null", "1", "true", "{}", "[]", r#"["svc:a"]"#, r#""""#, r#""a\u0000""#, r#""a\nb""#],
    ),
    ("aud", &["null", "1", "true", "{}", "[]", "[[]]", "[1]", r#""""#, r#"[""]"#, r#""other""#]),
    ("jti", &["1", "null", r#""a\u0000""#]),
    ("cnf", &["{}", "null", r#"{"jkt":"AA"}"#]),
];

/// What a look-alike of a URL is.
fn look_alikes(url: &str) -> Vec<String> {
    let bare = url.trim_end_matches('/');
    let host = bare.split_once("://").map_or(bare, |(_, rest)| rest);
    let mut all = vec![
        format!("{url}/"),
        bare.to_owned(),
        url.to_uppercase(),
        url.replacen("https:", "http:", 1),
        format!("{bare}:443"),
        format!("{bare}/."),
        format!("{bare}%2e"),
        format!("{bare}.evil.example"),
        format!("{bare}.evil"),
        format!("https://good@{host}"),
        format!("https://{host}@evil.example"),
        format!(" {url}"),
        format!("{url} "),
        format!("{url}\0"),
        format!("{url}#"),
        format!("{url}?"),
        url.replace('e', "\u{435}"), // Cyrillic
        url.replace('i', "\u{131}"), // dotless
        host.to_owned(),
        url.chars().skip(1).collect(),
        url.chars().take(url.chars().count().saturating_sub(1)).collect(),
    ];
    all.retain(|text| text != url);
    all
}

/// The members of an object as raw JSON texts, name and value, so that anything can be written.
#[derive(Clone)]
struct Members(Vec<(String, String)>);

impl Members {
    fn of(object: &Map<String, Value>) -> Self {
        let raw = |(name, value): (&String, &Value)| (quote(name), value.to_string());
        Self(object.iter().map(raw).collect())
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.without(name);
        changed.0.push((quote(name), value.to_owned()));
        changed
    }

    fn without(&self, name: &str) -> Self {
        let name = quote(name);
        Self(self.0.iter().filter(|(known, _)| *known != name).cloned().collect())
    }

    fn and(&self, name: String, value: String) -> Self {
        let mut changed = self.clone();
        changed.0.push((name, value));
        changed
    }

    fn text(&self) -> String {
        let members: Vec<_> =
            self.0.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// `"sub"` as `"\u0073ub"`.
fn escape_first(quoted: &str) -> String {
    let mut characters = quoted.chars().skip(1);
    let first = characters.next().map_or(0, u32::from);
    format!("\"\\u{first:04x}{}", characters.collect::<String>())
}

struct Good<'a> {
    header: Members,
    claims: Members,
    sign: Sign<'a>,
}

impl Good<'_> {
    fn with_header(&self, description: String, header: &Members) -> Mutation {
        let token = self.raw(&header.text(), &self.claims.text());
        Mutation { description, token }
    }

    fn with_claims(&self, description: String, claims: &Members) -> Mutation {
        let token = self.raw(&self.header.text(), &claims.text());
        Mutation { description, token }
    }

    fn raw(&self, header: &str, claims: &str) -> String {
        token(header.as_bytes(), claims.as_bytes(), self.sign)
    }

    fn remove(&self, all: &mut Vec<Mutation>) {
        all.push(self.with_header("header without `alg`".into(), &self.header.without("alg")));
        for name in ["iss", "sub", "aud", "exp", "iat"] {
            all.push(self.with_claims(format!("without `{name}`"), &self.claims.without(name)));
        }
    }

    /// Every member twice: with its own value, with another, and under an escaped name.
    fn repeat(&self, all: &mut Vec<Mutation>) {
        for (name, value) in &self.header.0 {
            for (name, value) in twins(name, value) {
                let header = self.header.and(name.clone(), value);
                all.push(self.with_header(format!("header with another {name}"), &header));
            }
        }
        for (name, value) in &self.claims.0 {
            for (name, value) in twins(name, value) {
                let claims = self.claims.and(name.clone(), value);
                all.push(self.with_claims(format!("with another {name}"), &claims));
            }
        }
        let nested = self.claims.with("nested", r#"{"a":{"b":1,"\u0062":2}}"#);
        all.push(self.with_claims("with a nested duplicate".into(), &nested));
    }

    fn replace_header(&self, all: &mut Vec<Mutation>) {
        for (name, values) in BAD_HEADER {
            for value in values {
                let header = self.header.with(name, value);
                all.push(self.with_header(format!("header with `{name}` {value}"), &header));
            }
        }
        let long = quote(&"k".repeat(257));
        let header = self.header.with("kid", &long);
        all.push(self.with_header("header with `kid` of 257 bytes".into(), &header));
        let huge = quote(&"k".repeat(4096));
        let header = self.header.with("unknown", &huge);
        all.push(self.with_header("header of over 2 KiB".into(), &header));
    }

    fn replace_claims(&self, all: &mut Vec<Mutation>) {
        for (name, values) in BAD_CLAIMS {
            for value in values {
                let claims = self.claims.with(name, value);
                all.push(self.with_claims(format!("with `{name}` {value}"), &claims));
            }
        }
        let long = quote(&"s".repeat(2049));
        all.push(
            self.with_claims("with `sub` of 2049 bytes".into(), &self.claims.with("sub", &long)),
        );
        for (what, value) in [
            ("nested too deeply", format!("{}{}", "[".repeat(8), "]".repeat(8))),
            ("nested much too deeply", format!("{}{}", "[".repeat(3000), "]".repeat(3000))),
            ("with an array of 257", format!("[{}]", vec!["1"; 257].join(","))),
            ("with a string over 4 KiB", quote(&"x".repeat(4097))),
            ("with a number of 65 digits", "9".repeat(65)),
        ] {
            all.push(self.with_claims(what.into(), &self.claims.with("unknown", &value)));
        }
        let crowd = (0..65).fold(self.claims.clone(), |claims, index| {
            claims.and(quote(&format!("extra{index}")), "1".to_owned())
        });
        all.push(self.with_claims("with over 64 claims".into(), &crowd));
    }

    fn replace_dates(&self, all: &mut Vec<Mutation>) {
        for name in ["exp", "iat", "nbf"] {
            for value in BAD_DATES {
                let claims = self.claims.with(name, value);
                all.push(self.with_claims(format!("with `{name}` {value}"), &claims));
            }
        }
        let issued = self.date("iat");
        for (name, value) in [
            ("exp", 0),
            ("exp", 1),
            ("exp", issued.saturating_sub(1)),
            ("exp", issued),
            ("exp", issued.saturating_add(10 * 365 * 86_400)),
            ("exp", (1 << 53) - 1),
            ("iat", 0),
            ("iat", issued.saturating_add(10 * 365 * 86_400)),
            ("iat", (1 << 53) - 1),
            ("nbf", issued.saturating_add(10 * 365 * 86_400)),
            ("nbf", (1 << 53) - 1),
        ] {
            let claims = self.claims.with(name, &value.to_string());
            all.push(self.with_claims(format!("with `{name}` {value}"), &claims));
        }
    }

    fn date(&self, name: &str) -> i64 {
        let name = quote(name);
        let found = self.claims.0.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
    }

    fn replace_names(&self, all: &mut Vec<Mutation>) {
        for name in ["iss", "aud"] {
            let Some(good) = self.name(name) else { continue };
            for text in look_alikes(&good) {
                let claims = self.claims.with(name, &quote(&text));
                all.push(self.with_claims(format!("with `{name}` {text:?}"), &claims));
            }
            let twice = format!("[{0},{0}]", quote(&good));
            let among = format!("[{},\"https://other.example\"]", quote(&good));
            for value in [twice, among] {
                let claims = self.claims.with(name, &value);
                all.push(self.with_claims(format!("with `{name}` {value}"), &claims));
            }
        }
    }

    fn name(&self, name: &str) -> Option<String> {
        let name = quote(name);
        let (_, value) = self.claims.0.iter().find(|(known, _)| *known == name)?;
        serde_json::from_str(value).ok()
    }

    fn rewrite_json(&self, all: &mut Vec<Mutation>) {
        let (header, claims) = (self.header.text(), self.claims.text());
        for (what, text) in [
            ("", String::new()),
            ("[]", "[]".to_owned()),
            ("null", "null".to_owned()),
            ("1", "1".to_owned()),
            ("a string", "\"x\"".to_owned()),
            ("{}", "{}".to_owned()),
        ] {
            let description = format!("with {what} for a payload");
            all.push(Mutation { description, token: self.raw(&header, &text) });
            let description = format!("with {what} for a header");
            all.push(Mutation { description, token: self.raw(&text, &claims) });
        }
        for (what, before, after) in [
            ("a byte-order mark", "\u{feff}", ""),
            ("bytes after the end", "", "\0"),
            ("two values", "", "{}"),
            ("a comment", "/**/", ""),
        ] {
            let changed = format!("{before}{claims}{after}");
            let description = format!("payload with {what}");
            all.push(Mutation { description, token: self.raw(&header, &changed) });
            let changed = format!("{before}{header}{after}");
            let description = format!("header with {what}");
            all.push(Mutation { description, token: self.raw(&changed, &claims) });
        }
        for value in [r#""\ud800""#, r#""\udc00\ud800""#, "NaN", "Infinity", "01", "1,"] {
            let changed = self.claims.with("unknown", value);
            all.push(self.with_claims(format!("with a claim {value}"), &changed));
        }
        let utf_16: Vec<u8> = claims.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let token = token(header.as_bytes(), &utf_16, self.sign);
        all.push(Mutation { description: "payload in UTF-16".into(), token });
    }

    fn rewrite_text(&self, all: &mut Vec<Mutation>) {
        let good = self.raw(&self.header.text(), &self.claims.text());
        let (input, signature) = good.rsplit_once('.').unwrap_or((&good, ""));
        let (header, payload) = input.split_once('.').unwrap_or((input, ""));
        for (what, token) in [
            ("empty", String::new()),
            ("one segment", header.to_owned()),
            ("two segments", input.to_owned()),
            ("no signature", format!("{input}.")),
            ("no payload", format!("{header}..{signature}")),
            ("no header", format!(".{payload}.{signature}")),
            ("four segments", format!("{good}.{signature}")),
            ("an empty fourth segment", format!("{good}.")),
            ("five segments", format!("{good}..")),
            ("six segments", format!("{good}...")),
            ("padding", format!("{good}=")),
            ("percent-encoded dots", good.replace('.', "%2e")),
            ("full-width dots", good.replace('.', "\u{ff0e}")),
            ("a leading space", format!(" {good}")),
            ("a trailing newline", format!("{good}\n")),
            ("a newline before the payload", good.replacen('.', "\n.", 1)),
            ("a scheme", format!("Bearer {good}")),
            ("the standard alphabet", format!("{input}.+/{signature}")),
            ("one more character", format!("{good}A")),
            ("five more characters", format!("{good}AAAAA")),
            ("a signature of zeros", format!("{input}.{}", "A".repeat(signature.len()))),
            ("a signature cut short", good.chars().take(good.len().saturating_sub(4)).collect()),
            ("the payload's signature elsewhere", format!("{payload}.{header}.{signature}")),
            (
                "flattened JSON",
                format!(
                    r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#
                ),
            ),
            (
                "general JSON",
                format!(
                    r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#
                ),
            ),
            ("over the size limit", format!("{}.{payload}.{signature}", "A".repeat(20_001))),
        ] {
            all.push(Mutation { description: format!("text with {what}"), token });
        }
    }
}

fn twins(name: &str, value: &str) -> [(String, String); 3] {
    let other = r#""other""#.to_owned();
    [
        (name.to_owned(), value.to_owned()),
        (name.to_owned(), other.clone()),
        (escape_first(name), other),
    ]
}
