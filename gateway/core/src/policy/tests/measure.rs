//! Speed, for whoever wants to know: `cargo test … -- --ignored --nocapture measure`.

use std::time::Instant;

use super::*;
use crate::policy::entity::{entities, request};
use crate::policy::needs::Needs;
use crate::policy::question::Question;

fn policies(count: usize) -> String {
    (0..count)
        .map(|n| {
            format!(
                "@id(\"p{n}\") permit (principal == Workload::\"k8s/app{n}\", action == Action::\"read\", \
                 resource in Folder::\"kv/prod/app{n}\") when {{ principal has oidc.env && \
                 principal.oidc.env like \"prod*\" && context.binding != \"x\" }};\n"
            )
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "this measures the machine, not a rule")]
fn micros<T>(mut work: impl FnMut() -> T) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..500 {
            std::hint::black_box(work());
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / 500.0);
    }
    best
}

#[test]
#[ignore = "a measurement"]
fn measure() {
    for count in [10, 100, 1000, 10_000] {
        let load_time = micros_once(|| load(&policies(count)));
        let bundle = load(&policies(count));
        let who = proven(subject("k8s", "app7", &[env("prod-eu")]), Binding::Dpop);
        let wanted = Arc::new(ask("read kv/prod/app7/db/password"));
        let question = || {
            Question::of_ask(&bundle.vocabulary, (who.subject(), Binding::Dpop), &wanted, &HERE)
                .unwrap()
        };
        let asked = question();
        let bucket = bundle.index.candidates(&asked)[0];
        let prepared = (
            request(&bundle.names, &asked, Needs::ALL).unwrap(),
            entities(&bundle.names, &asked, Needs::ALL).unwrap(),
        );
        let bare =
            micros(|| bundle.authorizer.is_authorized(&prepared.0, &bucket.set, &prepared.1));
        let whole = micros(|| {
            let request = request(&bundle.names, &asked, Needs::ALL).unwrap();
            let entities = entities(&bundle.names, &asked, Needs::ALL).unwrap();
            bundle.authorizer.is_authorized(&request, &bucket.set, &entities)
        });
        let parts = (
            micros(question),
            micros(|| bundle.index.candidates(&asked).len()),
            micros(|| request(&bundle.names, &asked, Needs::ALL).unwrap()),
            micros(|| request(&bundle.names, &asked, bucket.needs).unwrap()),
            micros(|| entities(&bundle.names, &asked, Needs::ALL).unwrap()),
        );
        let ours = micros(|| bundle.decide(Arc::clone(&who), Arc::clone(&wanted), &HERE).unwrap());
        println!(
            "{count:>6} policies: decide {ours:.1} µs, Cedar over the slice {whole:.1} µs with and {bare:.1} µs \
             without building the request (question, lookup, request, request with what is needed, entities: \
             {parts:.1?}), load {load_time:.0?}"
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "this measures the machine, not a rule")]
fn micros_once<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}
