use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use symbolon_core::id::{KeyName, PluginName};
use symbolon_core::secret::Secret;

use super::*;
use crate::admit::{AdmitError, MAX_COMPONENT_BYTES};
use crate::manifest::Digest;
use crate::testing::{Guest, host};

fn key_name(name: &str) -> KeyName {
    KeyName::parse(name).unwrap()
}

fn plugin(name: &str) -> PluginName {
    PluginName::parse(name).unwrap()
}

fn names(names: &[&str]) -> BTreeSet<KeyName> {
    names.iter().map(|name| key_name(name)).collect()
}

/// A component, three keys and what to do with them.
struct Scene {
    component: Vec<u8>,
    keys: BTreeMap<&'static str, PrivateKey>,
}

impl Scene {
    fn new() -> Self {
        let schemes =
            [("one", Scheme::Ed25519), ("two", Scheme::EcdsaP256), ("three", Scheme::Ed25519)];
        let made = schemes.map(|(name, scheme)| (name, PrivateKey::generate(scheme).unwrap().0));
        Self { component: Guest::default().component(), keys: made.into_iter().collect() }
    }

    fn claim(&self) -> Claim {
        Claim {
            digest: Digest::of(&self.component),
            name: plugin("guest"),
            version: "1.2.3".to_owned(),
        }
    }

    fn file(&self, claim: Claim, signers: &[&str]) -> String {
        let mut file = Signatures::new(claim);
        for signer in signers {
            file.sign(&self.keys[signer]).unwrap();
        }
        file.to_string()
    }

    fn trusted(&self, keys: &[(&str, Option<&str>)]) -> BTreeMap<KeyName, TrustedKey> {
        let trusted = keys.iter().map(|(name, only)| {
            let plugins = only.map(|only| BTreeSet::from([plugin(only)]));
            (key_name(name), TrustedKey { key: self.keys[name].public().clone(), plugins })
        });
        trusted.collect()
    }

    fn trust(&self, keys: &[&str], policy: Policy) -> Trust {
        let keys: Vec<_> = keys.iter().map(|name| (*name, None)).collect();
        Trust::default().with_keys(self.trusted(&keys), policy).unwrap()
    }

    fn examine(&self, file: Option<&str>, trust: &Trust) -> Result<Endorsement, AdmitError> {
        let package = Package::new(self.component.clone(), file.map(|file| file.into()));
        let examined = package.examine(trust, MAX_COMPONENT_BYTES);
        examined.map(|e| e.endorsement().clone()).map_err(|refused| refused.error)
    }
}

fn all_of(keys: &[&str]) -> Policy {
    Policy { all_of: names(keys), any_of: None }
}

fn any_of(minimum: usize, keys: &[&str]) -> Policy {
    Policy { all_of: BTreeSet::new(), any_of: Some(AnyOf { minimum, keys: names(keys) }) }
}

#[test]
fn each_policy_takes_what_it_demands_and_nothing_less() {
    let scene = Scene::new();
    let three = ["one", "two", "three"];
    let both = Policy { all_of: names(&["one"]), any_of: any_of(1, &["two", "three"]).any_of };
    for (keys, policy, signers, passes) in [
        (&["one"][..], Policy::default(), &["one"][..], true),
        (&["one"], Policy::default(), &["one", "two"], true),
        (&["one"], Policy::default(), &["two"], false),
        (&["two"], Policy::default(), &["two"], true),
        (&three, all_of(&["one", "two"]), &["one", "two"], true),
        (&three, all_of(&["one", "two"]), &["one", "three"], false),
        (&three, all_of(&["one", "two"]), &["two"], false),
        (&three, any_of(1, &["one", "two"]), &["two"], true),
        (&three, any_of(1, &["one", "two"]), &["three"], false),
        (&three, any_of(2, &three), &["three", "one"], true),
        (&three, any_of(2, &three), &["three"], false),
        (&three, both.clone(), &["one", "three"], true),
        (&three, both.clone(), &["one"], false),
        (&three, both, &["two", "three"], false),
    ] {
        let file = scene.file(scene.claim(), signers);
        let found = scene.examine(Some(&file), &scene.trust(keys, policy.clone()));
        let case = format!("{keys:?} {policy:?} {signers:?}: {found:?}");
        match found {
            Ok(Endorsement::Signed(by)) => {
                let counted: Vec<_> = signers.iter().filter(|s| keys.contains(s)).collect();
                assert!(passes && by.len() == counted.len(), "{case}");
            }
            Ok(Endorsement::Unsigned) => panic!("{case}"),
            Err(error) => {
                assert_eq!((passes, error.code()), (false, "plugin_not_endorsed"), "{case}")
            }
        }
    }
}

#[test]
fn what_is_signed_is_these_bytes_under_this_name_and_version() {
    let scene = Scene::new();
    let trust = scene.trust(&["one"], Policy::default());
    let good = scene.file(scene.claim(), &["one"]);
    assert!(scene.examine(Some(&good), &trust).is_ok());
    let other = Claim { digest: Digest::of(b"other"), ..scene.claim() };
    let renamed = Claim { name: plugin("other"), ..scene.claim() };
    let newer = Claim { version: "1.2.4".to_owned(), ..scene.claim() };
    let moved = |from: &Claim, to: &Claim| {
        let file = scene.file(from.clone(), &["one"]);
        let file = file.replace(&from.digest.to_string(), &to.digest.to_string());
        let file = file.replace(&format!("\"{}\"", from.name), &format!("\"{}\"", to.name));
        file.replace(&from.version, &to.version)
    };
    for (file, code) in [
        // Genuine signatures, of something else.
        (scene.file(other.clone(), &["one"]), "plugin_signature_digest"),
        (scene.file(renamed.clone(), &["one"]), "plugin_signed_as_another"),
        (scene.file(newer.clone(), &["one"]), "plugin_signed_as_another"),
        // The same, made to say what is wanted.
        (moved(&other, &scene.claim()), "plugin_signature_wrong"),
        (moved(&renamed, &scene.claim()), "plugin_signature_wrong"),
        (moved(&newer, &scene.claim()), "plugin_signature_wrong"),
    ] {
        assert_eq!(scene.examine(Some(&file), &trust).unwrap_err().code(), code, "{file}");
    }
}

#[test]
fn a_signature_under_anothers_name_is_refused_whatever_stands_beside_it() {
    let scene = Scene::new();
    let trust = scene.trust(&["one", "two"], any_of(1, &["one", "two"]));
    let id = |name: &str| scene.keys[name].public().id().to_string();
    let file = scene.file(scene.claim(), &["three", "two"]);
    let forged = file.replace(&id("three"), &id("one"));
    let wrong = AdmitError::SignatureWrong(key_name("one"));
    assert_eq!(scene.examine(Some(&forged), &trust).unwrap_err(), wrong);
    // Not even where the component might be unsigned.
    let lenient = trust.with_unsigned([plugin("guest")]);
    assert_eq!(scene.examine(Some(&forged), &lenient).unwrap_err(), wrong);
    let file = scene.file(scene.claim(), &["two"]);
    let other_scheme = file.replace("ecdsa-p256-sha256", "ed25519");
    assert_eq!(
        scene.examine(Some(&other_scheme), &lenient).unwrap_err(),
        AdmitError::SignatureWrong(key_name("two"))
    );
}

#[test]
fn a_key_counts_for_its_plugins_only() {
    let scene = Scene::new();
    let file = scene.file(scene.claim(), &["one"]);
    for (only, passes) in [(None, true), (Some("guest"), true), (Some("gues"), false)] {
        let keys = scene.trusted(&[("one", only)]);
        let trust = Trust::default().with_keys(keys, Policy::default()).unwrap();
        assert_eq!(scene.examine(Some(&file), &trust).is_ok(), passes, "{only:?}");
    }
}

#[test]
fn what_is_unsigned_needs_the_operators_word_by_name() {
    let scene = Scene::new();
    let strangers = scene.file(scene.claim(), &["three"]);
    let trust = scene.trust(&["one"], Policy::default());
    assert_eq!(
        scene.examine(None, &Trust::default()).unwrap_err(),
        AdmitError::Unsigned(plugin("guest"))
    );
    assert_eq!(scene.examine(None, &trust).unwrap_err().code(), "plugin_unsigned");
    assert_eq!(scene.examine(Some(&strangers), &trust).unwrap_err().code(), "plugin_not_endorsed");
    let other = trust.clone().with_unsigned([plugin("gues"), plugin("guest-2")]);
    assert_eq!(scene.examine(None, &other).unwrap_err().code(), "plugin_unsigned");
    let named = trust.with_unsigned([plugin("guest")]);
    assert_eq!(scene.examine(None, &named).unwrap(), Endorsement::Unsigned);
    assert_eq!(scene.examine(Some(&strangers), &named).unwrap(), Endorsement::Unsigned);
    // A name in the signature file is no name in the manifest.
    let lying = scene.file(Claim { name: plugin("gues"), ..scene.claim() }, &["three"]);
    assert_eq!(scene.examine(Some(&lying), &other).unwrap_err(), AdmitError::SignedAs("name"));
}

#[test]
fn nothing_is_parsed_before_the_signatures_hold() {
    let scene = Scene { component: b"no component at all".to_vec(), ..Scene::new() };
    let trust = scene.trust(&["one"], Policy::default());
    let by = |signer| scene.examine(Some(&scene.file(scene.claim(), &[signer])), &trust);
    assert_eq!(by("three").unwrap_err().step(), "signature");
    assert_eq!(by("one").unwrap_err().code(), "plugin_not_component");
}

#[tokio::test]
async fn an_admitted_component_is_judged_anew_without_being_compiled_anew() {
    let scene = Scene::new();
    let (host, file) = (host(), scene.file(scene.claim(), &["one", "two"]));
    let package = || Package::new(scene.component.clone(), Some(file.clone().into()));
    let admitted = host.admit(package(), &scene.trust(&["one"], Policy::default())).await.unwrap();
    assert_eq!(admitted.endorsement(), &Endorsement::Signed(names(&["one"])));
    let examined =
        host.examine(package(), &scene.trust(&["two"], Policy::default())).await.unwrap();
    let again = admitted.endorsed_by(&examined).unwrap();
    assert_eq!(again.endorsement(), &Endorsement::Signed(names(&["two"])));
    let other = Guest { items: "(func)", ..Guest::default() }.component();
    let other = Package::new(other, None);
    let other = host.examine(other, &crate::testing::unsigned()).await.unwrap();
    assert!(admitted.endorsed_by(&other).is_none(), "of another component");
}

#[test]
fn a_signature_file_is_read_strictly() {
    let scene = Scene::new();
    let good = scene.file(scene.claim(), &["one", "two"]);
    assert_eq!(Signatures::parse(good.as_bytes()).unwrap().to_string(), good);
    let id = scene.keys["one"].public().id().to_string();
    let other = scene.keys["two"].public().id().to_string();
    for (from, to) in [
        ("signatures 1\"", "signatures 2\""),
        ("\"name\": \"guest\"", "\"name\": \"guest\", \"name\": \"guest\""),
        ("\"name\": \"guest\"", "\"name\": \"Guest\""),
        ("\"name\": \"guest\",", ""),
        ("\"name\": \"guest\"", "\"name\": \"guest\", \"extra\": 1"),
        ("1.2.3", "1.2"),
        ("sha256:", "sha512:"),
        ("\"algorithm\": \"ed25519\"", "\"algorithm\": \"rsa\""),
        ("\"algorithm\": \"ed25519\"", "\"algorithm\": \"ed25519\", \"algorithm\": \"ed25519\""),
        ("\"signature\": \"", "\"signature\": \"!"),
        (id.as_str(), other.as_str()),
        (id.as_str(), &id.to_uppercase()),
        ("\n}", "\n} {}"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(Signatures::parse(bad.as_bytes()).is_err(), "{to}");
    }
    let nobody = Signatures::new(scene.claim()).to_string();
    assert_eq!(Signatures::parse(nobody.as_bytes()).unwrap_err(), FileError::Count(0));
    let long = " ".repeat(MAX_SIGNATURE_FILE_BYTES) + &good;
    assert_eq!(Signatures::parse(long.as_bytes()).unwrap_err(), FileError::Long);
    let mut full = Signatures::new(scene.claim());
    for at in 0..=MAX_SIGNATURES {
        let signed = full.sign(&PrivateKey::generate(Scheme::Ed25519).unwrap().0);
        assert_eq!(signed.is_ok(), at < MAX_SIGNATURES, "{at}");
    }
    // The same key again replaces what it signed.
    let mut twice = Signatures::new(scene.claim());
    twice.sign(&scene.keys["two"]).unwrap();
    twice.sign(&scene.keys["two"]).unwrap();
    assert_eq!(twice.keys().count(), 1);
}

#[test]
fn keys_and_policies_that_make_no_sense_are_refused() {
    let scene = Scene::new();
    let trust = |keys, policy| Trust::default().with_keys(keys, policy).map_err(|(_, error)| error);
    let two = || scene.trusted(&[("one", None), ("two", None)]);
    assert_eq!(trust(two(), Policy::default()), Err(TrustError::Undecided));
    let unknown = TrustError::NoKey(key_name("three"));
    assert_eq!(trust(two(), all_of(&["three"])), Err(unknown.clone()));
    assert_eq!(trust(two(), any_of(1, &["one", "three"])), Err(unknown));
    for minimum in [0, 3] {
        let found = trust(two(), any_of(minimum, &["one", "two"]));
        assert_eq!(found, Err(TrustError::Minimum(2)), "{minimum}");
    }
    let mut same = two();
    same.insert(key_name("twin"), same[&key_name("one")].clone());
    assert_eq!(trust(same, any_of(2, &["one", "twin"])), Err(TrustError::SameKey(key_name("one"))));
}

#[test]
fn keys_have_one_text_and_survive_being_written() {
    for scheme in [Scheme::Ed25519, Scheme::EcdsaP256] {
        let (key, pem) = PrivateKey::generate(scheme).unwrap();
        let again = PrivateKey::from_pem(&pem).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(again.public().scheme(), scheme);
        let text = key.public().to_string();
        assert_eq!(&PublicKey::parse(&text).unwrap(), key.public());
        assert!(!format!("{key:?}").contains("PRIVATE"));
        for bad in
            [format!(" {text}"), format!("{text}\n"), text[4..].to_owned(), format!("{text}AAAA")]
        {
            assert_eq!(PublicKey::parse(&bad).unwrap_err(), KeyError::Public, "{bad}");
        }
    }
    let of_another_curve = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE";
    assert_eq!(PublicKey::parse(of_another_curve).unwrap_err(), KeyError::Public);
    // 65 bytes that are no point of the curve.
    let spki = [&super::key::P256_PREFIX[..], &[4], &[1; 64]].concat();
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, spki);
    assert_eq!(PublicKey::parse(&text).unwrap_err(), KeyError::Public);
    let public = Secret::from(
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n".to_owned(),
    );
    assert_eq!(PrivateKey::from_pem(&public).unwrap_err(), KeyError::Private);
}

proptest! {
    /// No two claims have one message: a signature holds for one of them.
    #[test]
    fn different_claims_have_different_messages(
        a in ("[a-c]{1,3}", "[0-2]\\.[0-2]\\.[0-2](-[a-c]{1,2})?", 0_u8..2),
        b in ("[a-c]{1,3}", "[0-2]\\.[0-2]\\.[0-2](-[a-c]{1,2})?", 0_u8..2),
    ) {
        let claim = |(name, version, of): &(String, String, u8)| Claim {
            digest: Digest::of(&[*of]), name: plugin(name), version: version.clone(),
        };
        prop_assert_eq!(claim(&a) == claim(&b), claim(&a).message() == claim(&b).message());
    }

    /// Whatever bytes stand in the file, nothing panics and nothing is believed.
    #[test]
    fn no_file_that_nobody_signed_endorses_anything(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let key = PrivateKey::generate(Scheme::Ed25519).unwrap().0;
        let keys = BTreeMap::from([(key_name("one"), TrustedKey { key: key.public().clone(), plugins: None })]);
        let trust = Trust::default().with_keys(keys, Policy::default()).unwrap();
        prop_assert!(trust.judge(Digest::of(b""), Some(&bytes)).is_err());
    }
}
