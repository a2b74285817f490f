use proptest::prelude::*;

use super::*;

fn destination(text: &str) -> Destination {
    Destination::parse(&text.parse().expect(text)).expect(text)
}

fn grant(methods: &str, reach: &str) -> Grant {
    Grant::new(Reach::parse(reach).expect(reach), Methods::parse(methods.split(',')).unwrap())
}

#[test]
fn a_reach_covers_its_scheme_host_port_and_prefix_and_nothing_else() {
    for (reach, uri, expected) in [
        ("https://a.example/v1/kv", "https://a.example/v1/kv", true),
        ("https://a.example/v1/kv", "https://a.example:443/v1/kv/x?list=true", true),
        ("https://a.example/v1/kv", "https://a.example/v1/kvs", false),
        ("https://a.example/v1/kv/", "https://a.example/v1/kv", false),
        ("https://a.example/v1/kv/", "https://a.example/v1/kv/x", true),
        ("https://a.example/v1/kv", "https://a.example/V1/kv", false),
        ("https://a.example", "http://a.example/", false),
        ("http://a.example:443", "https://a.example/", false),
        ("https://a.example", "https://a.example:8443/", false),
        ("https://a.example", "https://b.a.example/", false),
        ("https://a.example", "https://a.example.evil.example/", false),
        ("https://*.a.example", "https://b.a.example/", true),
        ("https://*.a.example", "https://c.b.a.example/", true),
        ("https://*.a.example", "https://a.example/", false),
        ("https://*.a.example", "https://ba.example/", false),
        ("https://*.a.example", "https://evila.example/", false),
        ("https://127.0.0.1:8200", "https://127.0.0.1:8200/x", true),
        ("https://127.0.0.1:8200", "https://127.0.0.2:8200/x", false),
        ("https://[::1]:8200", "https://[0:0::1]:8200/x", true),
    ] {
        let covers = Reach::parse(reach).expect(reach).covers(&destination(uri));
        assert_eq!(covers, expected, "{reach} {uri}");
    }
}

#[test]
fn a_reach_is_read_strictly_and_prints_as_it_is_read() {
    for bad in [
        "a.example",
        "ftp://a.example/",
        "https://",
        "https://A.example",
        "https://a.example.",
        "https://user@a.example",
        "https://a.example:0",
        "https://a.example:",
        "https://a.example:080",
        "https://*",
        "https://*.com",
        "https://a.*.example",
        "https://*a.example",
        "https://*.*.example.com",
        "https://a.example/%41",
        "https://a.example/../b",
        "https://a.example//",
        "https://a.example/?x=1",
        "https://a.example?x=1",
        "https://a.example/#f",
    ] {
        assert!(Reach::parse(bad).is_err(), "{bad}");
    }
    for good in ["https://*.a.example:8443/v1/", "http://[::1]:80/", "https://10.0.0.1:443/x"] {
        assert_eq!(Reach::parse(good).expect(good).to_string(), good);
    }
}

#[test]
fn methods_are_a_closed_set_that_never_tunnels() {
    for bad in ["", "get", "CONNECT", "TRACE", "GE T", "ABCDEFGHIJKLMNOPQ"] {
        assert!(Methods::parse([bad]).is_err(), "{bad}");
    }
    assert!(Methods::parse([]).is_err());
    let grant = grant("GET,LIST", "https://a.example");
    let here = destination("https://a.example/");
    assert!(grant.allows(&Method::from_bytes(b"LIST").unwrap(), &here));
    assert!(!grant.allows(&Method::POST, &here));
}

#[test]
fn an_encoded_slash_needs_a_grant_that_says_so() {
    let strict = grant("GET", "https://a.example/v1");
    let path = destination("https://a.example/v1/a%2Fb");
    assert!(!strict.allows(&Method::GET, &path));
    assert!(strict.with_encoded_slashes().allows(&Method::GET, &path));
}

#[test]
fn the_intersection_is_the_smaller_of_the_two() {
    for (asked, granted, expected) in [
        (
            "GET,POST https://*.a.example/v1",
            "GET https://b.a.example/",
            Some("GET https://b.a.example:443/v1"),
        ),
        (
            "GET https://b.a.example/",
            "GET,PUT https://*.a.example/v1",
            Some("GET https://b.a.example:443/v1"),
        ),
        (
            "GET https://*.a.example/",
            "GET https://*.b.a.example/",
            Some("GET https://*.b.a.example:443/"),
        ),
        (
            "GET https://a.example/v1",
            "GET https://a.example/v1",
            Some("GET https://a.example:443/v1"),
        ),
        ("GET https://a.example/v1", "GET https://a.example/v2", None),
        ("GET https://a.example/v1", "GET https://a.example/v11", None),
        ("GET https://a.example/", "POST https://a.example/", None),
        ("GET https://a.example/", "GET http://a.example/", None),
        ("GET https://a.example/", "GET https://a.example:8443/", None),
        ("GET https://*.a.example/", "GET https://a.example/", None),
        ("GET https://*.a.example/", "GET https://*.b.example/", None),
    ] {
        let of = |text: &str| {
            let (methods, reach) = text.split_once(' ').unwrap();
            grant(methods, reach)
        };
        let both = intersect(&[of(asked)], &[of(granted)]);
        let texts: Vec<_> = both.grants.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected.into_iter().collect::<Vec<_>>(), "{asked} ∩ {granted}");
        assert!(expected.is_some() || !both.unmet.is_empty(), "{asked} ∩ {granted}");
    }
}

#[test]
fn the_rules_of_connection_come_from_the_operator_alone() {
    let asked = grant("GET", "https://a.example").at(vec!["10.0.0.0/8".parse().unwrap()]);
    let granted = grant("GET", "https://a.example");
    let both = intersect(&[asked], &[granted]);
    assert!(both.grants[0].addresses().is_empty());
}

#[test]
fn an_address_to_resolve_to_is_for_one_host_and_never_metadata() {
    let metadata = "169.254.169.254:443".parse().unwrap();
    let mapped = "[::ffff:169.254.169.254]:443".parse().unwrap();
    let loopback = "127.0.0.1:1".parse().unwrap();
    let one = grant("GET", "https://a.example");
    assert_eq!(one.clone().resolve_to(metadata).unwrap_err(), GrantError::Metadata);
    assert_eq!(one.clone().resolve_to(mapped).unwrap_err(), GrantError::Metadata);
    assert!(one.resolve_to(loopback).is_ok());
    let many = grant("GET", "https://*.a.example");
    assert_eq!(many.resolve_to(loopback).unwrap_err(), GrantError::Resolve);
}

#[test]
fn what_is_missing_and_what_is_unused_is_said_exactly() {
    let of = |text: &str| {
        let (methods, reach) = text.split_once(' ').unwrap();
        grant(methods, reach)
    };
    let asked = [
        of("GET,POST,DELETE https://a.example/v1"),
        of("GET https://*.b.example/"),
        of("GET https://c.example/"),
    ];
    let granted = [
        of("GET https://a.example/v1/kv"),
        of("GET https://d.example/"),
        of("PUT https://c.example/"),
    ];
    let both = intersect(&asked, &granted);
    let texts: Vec<_> = both.grants.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["GET https://a.example:443/v1/kv"]);
    assert_eq!(
        both.unmet,
        [
            "POST,DELETE https://a.example:443/v1",
            "GET https://*.b.example:443/",
            "GET https://c.example:443/"
        ]
    );
    assert_eq!(both.unused, ["GET https://d.example:443/", "PUT https://c.example:443/"]);
}

const HOSTS: [&str; 9] = [
    "a.example",
    "b.a.example",
    "c.b.a.example",
    "ba.example",
    "*.a.example",
    "*.b.a.example",
    "*.ba.example",
    "127.0.0.1",
    "[::1]",
];

fn any_grant() -> impl Strategy<Value = Grant> {
    let methods = proptest::sample::subsequence(vec!["GET", "POST", "LIST"], 1..=3);
    let prefix = proptest::sample::select(vec!["/", "/v1", "/v1/", "/v1/kv", "/v11"]);
    let host = proptest::sample::select(HOSTS.to_vec());
    (methods, prefix, host, any::<bool>(), proptest::sample::select(vec![443_u16, 8200])).prop_map(
        |(methods, prefix, host, is_plain, port)| {
            let scheme = if is_plain { "http" } else { "https" };
            let reach = Reach::new(scheme, host, Some(port), prefix).unwrap();
            Grant::new(reach, Methods::parse(methods).unwrap())
        },
    )
}

fn any_request() -> impl Strategy<Value = (Method, Destination)> {
    let method = proptest::sample::select(vec![Method::GET, Method::POST, Method::PUT]);
    let path = proptest::sample::select(vec!["/", "/v1", "/v1/", "/v1/kv/x", "/v11/x", "/x"]);
    let host = proptest::sample::select(vec![
        "a.example",
        "b.a.example",
        "c.b.a.example",
        "ba.example",
        "x.ba.example",
        "a.example.evil.example",
        "127.0.0.1",
        "[::1]",
    ]);
    (method, path, host, any::<bool>(), proptest::sample::select(vec![443_u16, 8200])).prop_map(
        |(method, path, host, is_plain, port)| {
            let scheme = if is_plain { "http" } else { "https" };
            (method, destination(&format!("{scheme}://{host}:{port}{path}")))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// A request passes the intersection if some ask and some grant let it pass, and not otherwise.
    #[test]
    fn the_intersection_allows_what_both_sides_allow_and_nothing_else(
        asked in proptest::collection::vec(any_grant(), 0..4),
        granted in proptest::collection::vec(any_grant(), 0..4),
        (method, to) in any_request(),
    ) {
        let passes = |grants: &[Grant]| grants.iter().any(|grant| grant.allows(&method, &to));
        let both = intersect(&asked, &granted);
        prop_assert_eq!(passes(&both.grants), passes(&asked) && passes(&granted));
        // What is said to be missing or unused has no part in it.
        let unused: Vec<_> = granted.iter().filter(|g| both.unused.contains(&g.to_string())).collect();
        prop_assert!(unused.iter().all(|grant| !(grant.allows(&method, &to) && passes(&asked))));
    }
}
