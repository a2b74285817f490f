//! A decision among many policies, beside Cedar with no policy but the one that applies.
//!
//! Three floors. The first builds request and entities for each question, as whoever uses Cedar
//! without a look at the policy does: the gateway can beat it, since it builds no more than the
//! policies in question read. The second builds just what this policy reads. The third has
//! everything ready, which no gateway can, and shows the least there is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hint::black_box;
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression,
};
use symbolon_core::ask::{Ask, Resource};
use symbolon_core::clock::Timestamp;
use symbolon_core::id::{BackendName, IssuerAlias, RoleName};
use symbolon_core::path::SecretPath;
use symbolon_core::policy::{
    AttributeType, BackendTerms, Bundle, Circumstances, IssuerTerms, Permit, Source, Vocabulary,
};
use symbolon_core::principal::Principal;
use symbolon_core::token::{
    Algorithm, AttributeName, AttributeRule, ClaimMapping, Compact, IssuerRules, KeySet,
    MAX_TOKEN_BYTES, Pointer, verify,
};
use symbolon_tests::harness::Issuer;

use crate::report::{Report, Row, Unit, by_turns};

const NOW: i64 = 1_793_520_000;
const PATH: &str = "prod/app7/db/password";

pub(crate) fn run(report: &mut Report) {
    let principal = Arc::new(principal());
    let backend = BackendName::parse("kv").expect("a name");
    let ask = Arc::new(Ask::read(backend, SecretPath::parse(PATH).expect("a path"), None));
    let here = Circumstances { now: Timestamp::from_seconds(NOW), source_address: None };
    let plain = Plain::new();
    let ready = (plain.request(false), plain.entities(false));
    for count in [10, 100, 1_000, 10_000] {
        let bundle = bundle(count);
        let decide = || {
            black_box(bundle.decide(principal.clone(), ask.clone(), &here).expect("a permit"));
        };
        let aim = (count == 10_000).then_some(0.5);
        let built = |whole| plain.decide(&plain.request(whole), &plain.entities(whole));
        let floors: [(&str, &dyn Fn(), _); 3] = [
            ("floor builds the whole request", &|| built(true), aim),
            ("floor builds what is read", &|| built(false), aim),
            ("floor has it ready", &|| plain.decide(&ready.0, &ready.1), None),
        ];
        for (how, floor, aim) in floors {
            let (value, floor) = by_turns(500, decide, floor);
            let case = format!("{count} policies, {how}");
            report.add(&Row { bench: "decide", case, unit: Unit::Micros, value, floor, aim });
        }
    }
}

fn policy(n: usize) -> String {
    format!(
        "@id(\"p{n}\") permit (principal == Workload::\"test/app{n}\", action == Action::\"read\", \
         resource in Folder::\"kv/prod/app{n}\") when {{ principal has oidc.env && \
         principal.oidc.env like \"prod*\" && context.binding != \"x\" }};\n"
    )
}

/// A permit for `ask`, of a bundle that lets everything be issued.
pub(crate) fn permit(ask: Ask) -> Permit {
    let text =
        "@id(\"issue\") permit (principal, action == Action::\"issue\", resource);".to_owned();
    let Resource::Role { backend, .. } = &ask.resource else { panic!("not a role: {ask:?}") };
    let bundle = load(text, 1, backend.clone());
    let here = Circumstances { now: Timestamp::from_seconds(NOW), source_address: None };
    bundle.decide(Arc::new(principal()), Arc::new(ask), &here).expect("a permit")
}

fn bundle(count: usize) -> Bundle {
    load((0..count).map(policy).collect(), 0, BackendName::parse("kv").expect("a name"))
}

fn load(text: String, max_unscoped: usize, backend: BackendName) -> Bundle {
    let attributes = BTreeMap::from([("env".to_owned(), AttributeType::String)]);
    let issuer = IssuerTerms { profile: "oidc", attributes };
    let role = RoleName::parse("app").expect("a name");
    let vocabulary = Vocabulary {
        issuers: BTreeMap::from([(alias(), issuer)]),
        backends: BTreeMap::from([(
            backend,
            BackendTerms { roles: BTreeMap::from([(role, None)]), ttl_max: None },
        )]),
        max_unscoped,
        ..Vocabulary::default()
    };
    let source = Source { file: "p.cedar".to_owned(), text };
    Bundle::load(&[source], &vocabulary).expect("policies")
}

fn alias() -> IssuerAlias {
    IssuerAlias::parse("test").expect("an alias")
}

/// Only a verified token makes a principal, here too.
fn principal() -> Principal {
    let issuer = Issuer::new("https://idp.example.test");
    let audience = "https://gw.example.test";
    let env = AttributeRule {
        name: AttributeName::parse("env").expect("a name"),
        claim: Pointer::to_claim("env"),
        kind: symbolon_core::token::AttributeType::String,
        required: true,
    };
    let rules = IssuerRules {
        attributes: ClaimMapping::new(vec![env]).expect("a mapping"),
        ..IssuerRules::new(alias(), &issuer.name, vec![audience.to_owned()])
    };
    let set = issuer.key_set().to_string();
    let keys = KeySet::parse(set.as_bytes(), &[Algorithm::Es256], 1).expect("a key set");
    let mut claims = issuer.claims("app7", audience, NOW);
    claims["env"] = "prod-eu".into();
    let token = issuer.token_of(&Issuer::header(), &claims);
    let token = Compact::parse(&token, MAX_TOKEN_BYTES).expect("a token");
    verify(&token, &rules, &keys, Timestamp::from_seconds(NOW)).expect("a principal")
}

/// Cedar, and the one policy that applies.
struct Plain {
    authorizer: Authorizer,
    policies: PolicySet,
    types: HashMap<&'static str, EntityTypeName>,
}

impl Plain {
    fn new() -> Self {
        let named = |name| (name, EntityTypeName::from_str(name).expect("a type"));
        let types = ["Workload", "Issuer", "Action", "Secret", "Folder", "Backend"].map(named);
        Self {
            authorizer: Authorizer::new(),
            policies: PolicySet::from_str(&policy(7)).expect("a policy"),
            types: HashMap::from(types),
        }
    }

    fn uid(&self, kind: &str, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.types[kind].clone(), EntityId::new(id))
    }

    /// The whole request, or with just the context that the policy reads.
    fn request(&self, whole: bool) -> Request {
        let mut pairs = vec![("binding".to_owned(), text("none"))];
        if whole {
            let now = Timestamp::from_seconds(NOW).to_string();
            pairs.push(("time".to_owned(), RestrictedExpression::new_datetime(now)));
        }
        let context = Context::from_pairs(pairs);
        let principal = self.uid("Workload", "test/app7");
        let resource = self.uid("Secret", &format!("kv/{PATH}"));
        let action = self.uid("Action", "read");
        Request::new(principal, action, resource, context.expect("a context"), None)
            .expect("a request")
    }

    /// Principal and resource, all of them or with just the attributes that the policy reads.
    fn entities(&self, whole: bool) -> Entities {
        let oidc = RestrictedExpression::new_record([("env".to_owned(), text("prod-eu"))]);
        let mut attributes = HashMap::from([("oidc".to_owned(), oidc.expect("a record"))]);
        if whole {
            attributes.insert("issuer".to_owned(), text("test"));
            attributes.insert("subject".to_owned(), text("app7"));
        }
        let parents = HashSet::from([self.uid("Issuer", "test")]);
        let principal = Entity::new(self.uid("Workload", "test/app7"), attributes, parents);
        let folders = ["kv/prod/app7/db", "kv/prod/app7", "kv/prod"];
        let mut parents = HashSet::from(folders.map(|folder| self.uid("Folder", folder)));
        parents.insert(self.uid("Backend", "kv"));
        let named = [("path".to_owned(), text(PATH)), ("name".to_owned(), text("password"))];
        let attributes = if whole { HashMap::from(named) } else { HashMap::new() };
        let secret = self.uid("Secret", &format!("kv/{PATH}"));
        let resource = Entity::new(secret, attributes, parents);
        let both = [principal.expect("an entity"), resource.expect("an entity")];
        Entities::from_entities(both, None).expect("entities")
    }

    fn decide(&self, request: &Request, entities: &Entities) {
        let response = self.authorizer.is_authorized(request, &self.policies, entities);
        assert_eq!(response.decision(), Decision::Allow);
    }
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}
