//! How long revocation takes, how late it is, and how many leases there are.
//!
//! The clocks of a revocation begin when its intent is durable. `gateway` ends when nothing of what is
//! meant is renewed any more; `backend` when the backend has said that it ended it; `verified` when it
//! was asked again and could not find it usable; `probed` when the credential itself was tried and
//! refused, and such an end counts under all three. The backend's word is written down after that
//! second question and the try, so `backend` includes them. What cannot be revoked, what was never issued and what an
//! operator answered for has no duration. What is unfinished is in no histogram: `oldest_age` shows
//! it, and `symbolon report revocation` weighs it.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use symbolon_core::id::BackendName;
use symbolon_core::lease::{Cause, Evidence, Revoked};
use symbolon_host::sql::IssuedLogins;

use super::{Metrics, Telemetry};
use crate::lease::{Clocks, Counts, Ledger, Reaper, Watch};
use crate::store::SledStore;

/// Upper bounds in seconds: from a statement at a database to one that was down over the weekend.
const BOUNDS: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 14_400.0,
    172_800.0,
];

/// The phases of an end that somebody saw, and what each needs at least.
const PHASES: [(&str, Evidence); 3] = [
    ("backend", Evidence::Acknowledged),
    ("verified", Evidence::Verified),
    ("probed", Evidence::Probed),
];

/// Instruments of revocations.
#[derive(Debug)]
pub(super) struct Revocations {
    duration: Histogram<f64>,
    lateness: Histogram<f64>,
    attempts: Counter<u64>,
}

impl Revocations {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, what: &'static str| {
            let builder = meter.f64_histogram(name).with_unit("s").with_description(what);
            builder.with_boundaries(BOUNDS.to_vec()).build()
        };
        let attempts = meter.u64_counter("symbolon.lease.revocation.attempts");
        Self {
            duration: seconds(
                "symbolon.lease.revocation.duration",
                "From the durable intent to revoke to what the phase says",
            ),
            lateness: seconds(
                "symbolon.lease.revocation.lateness",
                "From the end of a lease to the backend's word that it ended it",
            ),
            attempts: attempts
                .with_unit("{attempt}")
                .with_description("Times that a backend was asked to end a lease")
                .build(),
        }
    }

    fn took(&self, phase: &'static str, backend: &str, (trigger, took): (Cause, Duration)) {
        let labels = [
            KeyValue::new("phase", phase),
            KeyValue::new("trigger", trigger.as_str()),
            KeyValue::new("backend.name", backend.to_owned()),
        ];
        self.duration.record(took.as_secs_f64(), &labels);
    }
}

impl Watch for Metrics {
    fn ended(&self, lease: &Revoked) {
        let Some(clocks) = Clocks::of(lease) else { return };
        let backend = lease.terms().backend.as_str();
        for (phase, evidence) in PHASES {
            if clocks.evidence >= evidence {
                self.revocations.took(phase, backend, (lease.cause(), clocks.took));
            }
        }
        if let Some(late) = clocks.late {
            let labels = [KeyValue::new("backend.name", backend.to_owned())];
            self.revocations.lateness.record(late.as_secs_f64(), &labels);
        }
    }

    fn attempted(&self, backend: &BackendName, outcome: &'static str) {
        let labels = [
            KeyValue::new("backend.name", backend.as_str().to_owned()),
            KeyValue::new("outcome", outcome),
        ];
        self.revocations.attempts.add(1, &labels);
    }
}

impl Metrics {
    /// An intent to revoke came into force at this node, so long after it began to be written down.
    /// Of several nodes the last counts, and each reports for itself: there is one so far.
    /// `backend` is empty where leases of several may be meant.
    pub fn revocation_in_force(&self, backend: &str, trigger: Cause, took: Duration) {
        self.revocations.took("gateway", backend, (trigger, took));
    }
}

impl Telemetry {
    /// Shows how many leases there are, and how the reaper is doing, from now on.
    pub fn observe_leases(
        &self,
        store: Arc<SledStore>,
        (ledger, reaper): (Arc<Ledger>, Arc<Reaper>),
    ) {
        let meter = self.meters.meter("symbolon");
        observe_counts(&meter, store);
        observe_hold(&meter, ledger.clone());
        meter
            .f64_observable_gauge("symbolon.lease.revocation.oldest_age")
            .with_unit("s")
            .with_description("For how long a backend's oldest due lease has been due")
            .with_callback(move |observer| {
                let now = ledger.now();
                for lane in reaper.lanes() {
                    let late = lane.oldest_due.map_or(Duration::ZERO, |due| now.since(due));
                    let backend = KeyValue::new("backend.name", lane.backend.as_str().to_owned());
                    observer.observe(late.as_secs_f64(), &[backend]);
                }
            })
            .build();
    }
}

impl Telemetry {
    /// Shows how many issued logins are remembered, from now on.
    pub fn observe_issued(&self, issued: Arc<IssuedLogins>) {
        self.meters
            .meter("symbolon")
            .u64_observable_gauge("symbolon.lease.probe.logins")
            .with_unit("{login}")
            .with_description("Issued logins that are kept in memory to try them after their end")
            .with_callback(move |observer| {
                observer.observe(u64::try_from(issued.count()).unwrap_or(u64::MAX), &[]);
            })
            .build();
    }
}

fn observe_counts(meter: &Meter, store: Arc<SledStore>) {
    meter
        .u64_observable_gauge("symbolon.lease.count")
        .with_unit("{lease}")
        .with_description("Leases, by state")
        .with_callback(move |observer| {
            let counts = Counts::glance(|key| store.glance(key));
            for (state, number) in counts.iter().flat_map(Counts::by_state) {
                observer.observe(number, &[KeyValue::new("state", state)]);
            }
        })
        .build();
}

fn observe_hold(meter: &Meter, ledger: Arc<Ledger>) {
    let held = ledger.clone();
    meter
        .u64_observable_gauge("symbolon.lease.held")
        .with_description(
            "1 while nothing is issued or revoked until an operator confirms the store",
        )
        .with_callback(move |observer| {
            observer.observe(u64::from(held.hold().reason().is_some()), &[]);
        })
        .build();
    meter
        .f64_observable_gauge("symbolon.lease.clock.offset")
        .with_unit("s")
        .with_description("How far the wall clock has moved ahead of the ledger's")
        .with_callback(move |observer| {
            let offset = Duration::from_millis(ledger.clock_offset().unsigned_abs()).as_secs_f64();
            observer.observe(if ledger.clock_offset() < 0 { -offset } else { offset }, &[]);
        })
        .build();
}

#[cfg(test)]
mod tests {
    use symbolon_core::clock::Timestamp;
    use symbolon_core::id::{IssuerAlias, LeaseId, PluginName, RoleName};
    use symbolon_core::lease::{Confirmed, Issued, Maker, Recovery, Reserved, SealedHandle, Terms};
    use symbolon_core::principal::Identity;

    use super::*;
    use crate::telemetry::{LogFormat, Settings};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_793_520_000 + seconds)
    }

    fn telemetry() -> Telemetry {
        let settings = Settings {
            service_name: "symbolon".to_owned(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            queue: 1,
        };
        Telemetry::start(&settings, None).unwrap()
    }

    fn ended(evidence: Evidence, cause: Cause) -> Revoked {
        let terms = Terms {
            id: LeaseId::new(at(0), 1),
            owner: Identity { issuer: IssuerAlias::parse("ci").unwrap(), subject: "a".to_owned() },
            backend: BackendName::parse("db").unwrap(),
            role: RoleName::parse("reader").unwrap(),
            maker: Maker {
                plugin: PluginName::parse("postgresql").unwrap(),
                version: "1".to_owned(),
                digest: String::new(),
            },
            recovery: Recovery::Named,
            token: [0; 32],
            share: symbolon_core::lease::Share::Alone,
            reserved_at: at(0),
            issue_by: at(30),
            ends_by: at(3600),
        };
        let handle = SealedHandle::from_wrapped(vec![1]);
        let issued = Issued { handle, expires_at: at(60), renewable: true, revocable: true };
        let active = Reserved::new(terms).activate(issued, at(1)).unwrap();
        match active.revoke(cause, at(61)).confirmed(evidence, at(63)) {
            Confirmed::Gone(revoked) => revoked,
            Confirmed::LookAgain(_) => panic!("it is certain"),
        }
    }

    #[test]
    fn the_clocks_of_a_revocation_are_on_the_page() {
        let telemetry = telemetry();
        let metrics = telemetry.metrics();
        metrics.ended(&ended(Evidence::Verified, Cause::Expired));
        metrics.ended(&ended(Evidence::Acknowledged, Cause::Cascade));
        metrics.ended(&ended(Evidence::Probed, Cause::Owner));
        metrics.revocation_in_force("", Cause::Cascade, Duration::from_millis(4));
        metrics.attempted(&BackendName::parse("db").unwrap(), "timeout");
        let page = String::from_utf8(telemetry.page()).unwrap();
        let lines: Vec<&str> = page.lines().collect();
        let has = |name: &str, labels: &[&str], value: &str| {
            let fits = |line: &&&str| {
                line.starts_with(name)
                    && labels.iter().all(|label| line.contains(label))
                    && line.ends_with(&format!(" {value}"))
            };
            assert!(lines.iter().any(|line| fits(&line)), "{name} {labels:?} {value}\n{page}");
        };
        let duration = "symbolon_lease_revocation_duration_seconds_sum";
        has(duration, &["phase=\"backend\"", "trigger=\"expired\"", "backend_name=\"db\""], "2");
        has(duration, &["phase=\"verified\"", "trigger=\"expired\""], "2");
        has(duration, &["phase=\"backend\"", "trigger=\"cascade\""], "2");
        has(duration, &["phase=\"gateway\"", "trigger=\"cascade\"", "backend_name=\"\""], "0.004");
        for phase in ["backend", "verified", "probed"] {
            let phase = format!("phase=\"{phase}\"");
            has(duration, &[&phase, "trigger=\"owner\""], "2");
        }
        let of_phase = |phase| lines.iter().filter(move |line| line.contains(phase));
        assert!(of_phase("phase=\"verified\"").all(|line| !line.contains("cascade")), "{page}");
        assert!(of_phase("phase=\"probed\"").all(|line| line.contains("owner")), "{page}");
        has("symbolon_lease_revocation_lateness_seconds_sum", &["backend_name=\"db\""], "3");
        has("symbolon_lease_revocation_attempts_total", &["outcome=\"timeout\""], "1");
    }
}
