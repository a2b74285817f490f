//! Whether a script is enough: what each exported interface needs.

use symbolon_host::Admitted;
use symbolon_host::manifest::{Interface, Recovery};

use crate::check::Check;
use crate::report::Report;
use crate::script::{Call, Case, Script};

/// A case that a script must have.
struct Need {
    what: &'static str,
    is_met: fn(&Case) -> bool,
}

const CHECK: &[Need] =
    &[Need { what: "a `probe`", is_met: |case| matches!(case.call, Call::Probe {}) }];

const SECRETS: &[Need] = &[
    Need { what: "a `read` that succeeds", is_met: |case| is(case, "read") && succeeds(case) },
    Need {
        what: "a `read` of what is not there (`not-found`)",
        is_met: |case| is(case, "read") && fails_as(case, "not-found"),
    },
    Need {
        what: "a `read_many` of two or more",
        is_met: |case| matches!(&case.call, Call::ReadMany(all) if all.len() > 1),
    },
    Need {
        what: "a `list` that succeeds, or is `unsupported`",
        is_met: |case| is(case, "list") && (succeeds(case) || fails_as(case, "unsupported")),
    },
];

const EXCHANGE: &[Need] = &[
    Need {
        what: "an `exchange` that succeeds",
        is_met: |case| is(case, "exchange") && succeeds(case),
    },
    Need {
        what: "an `exchange` that the other party refuses",
        is_met: |case| {
            is(case, "exchange") && case.wanted_error().is_some() && !case.upstream.is_empty()
        },
    },
];

const CREDENTIALS: &[Need] = &[
    Need { what: "an `issue` that succeeds", is_met: |case| is(case, "issue") && succeeds(case) },
    Need {
        what: "a `revoke` after an `issue` that succeeds",
        is_met: |case| is(case, "revoke") && succeeds(case) && case.after.is_some(),
    },
    Need { what: "a `verify`", is_met: |case| is(case, "verify") && succeeds(case) },
    Need {
        what: "a `renew` that succeeds, or is `unsupported`",
        is_met: |case| is(case, "renew") && (succeeds(case) || fails_as(case, "unsupported")),
    },
];

/// What is named by its reservation must be ended by it alone.
const FOUND_AGAIN: &[Need] = &[Need {
    what: "a `revoke` of what never was: without `after`, and with success",
    is_met: |case| is(case, "revoke") && succeeds(case) && case.after.is_none(),
}];

const LISTED: &[Need] = &[Need {
    what: "a `list_issued` that succeeds",
    is_met: |case| is(case, "list_issued") && succeeds(case),
}];

const ROTATE: &[Need] = &[Need {
    what: "a `rotate` that succeeds",
    is_met: |case| is(case, "rotate") && succeeds(case),
}];

fn is(case: &Case, call: &str) -> bool {
    case.call.name() == call
}

fn succeeds(case: &Case) -> bool {
    case.wanted_error().is_none()
}

fn fails_as(case: &Case, kind: &str) -> bool {
    case.wanted_kind() == Some(kind)
}

/// Holds the script against what the plugin exports.
pub(crate) fn cover(plugin: &Admitted, script: &Script, report: &mut Report) {
    let recovery = plugin.manifest().recovery;
    for interface in plugin.inspection().interfaces.iter().copied() {
        let (needs, more): (&[Need], &[Need]) = match interface {
            Interface::Describe => continue,
            Interface::Check => (CHECK, &[]),
            Interface::Secrets => (SECRETS, &[]),
            Interface::Exchange => (EXCHANGE, &[]),
            Interface::Rotate => (ROTATE, &[]),
            Interface::Credentials => match recovery {
                Some(Recovery::Named) => (CREDENTIALS, FOUND_AGAIN),
                Some(Recovery::Listable) => (CREDENTIALS, LISTED),
                Some(Recovery::Expires) | None => (CREDENTIALS, &[]),
            },
        };
        for need in needs.iter().chain(more) {
            let is_met = script.cases.iter().any(need.is_met);
            let why = (!is_met).then(|| format!("the script has no case of {}", need.what));
            report.judge(Check::Coverage, interface.as_str(), why);
        }
    }
    again(script, report);
}

/// A revocation that asks the upstream must be asked twice.
fn again(script: &Script, report: &mut Report) {
    let asks = |case: &&Case| is(case, "revoke") && succeeds(case) && !case.upstream.is_empty();
    for case in script.cases.iter().filter(asks) {
        let why = case.again.is_none().then(|| {
            "`again` is missing: what the upstream says when it is revoked once more".to_owned()
        });
        report.judge(Check::Coverage, &format!("case \"{}\"", case.name), why);
    }
}
