//! What the host keeps for one call, and the host's side of the imports.
//!
//! INVARIANT: a [`State`] serves one call of one backend and is dropped with its store. Nothing in
//! it is shared with another call but read-only configuration and the outbound client.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::clock::Clock;
use symbolon_core::id::BackendName;
use symbolon_core::secret::Secret;
use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::bindings::log::Level;
use crate::bindings::{config, log, types};
use crate::call::CallContext;
use crate::egress::InCallersName;
use crate::facade;
use crate::limits::{Budget, Limits, MAX_HANDLES, MAX_RANDOM_BYTES};
use crate::outbound::{Line, Outbound};
use crate::sql::{Pool, Tap};

/// What stays the same over the calls of a backend.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) backend: Option<BackendName>,
    pub(crate) config: String,
    /// Names and configurations (JSON) of the backend's roles.
    pub(crate) roles: Vec<(String, String)>,
    pub(crate) outbound: Box<dyn Outbound>,
    pub(crate) database: Option<Arc<Pool>>,
    pub(crate) limits: Limits,
    /// The time that plugins are told; the machine's own if none.
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

/// What the host keeps for one call.
pub(crate) struct State {
    shared: Arc<Shared>,
    context: CallContext,
    until: Instant,
    pub(crate) budget: Budget,
    table: ResourceTable,
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
    line: Option<Box<dyn Line>>,
    sql: Tap,
    log: LogTap,
}

impl State {
    /// State for one call that is told `secrets`; they are cut out of what it logs.
    pub(crate) fn new(
        shared: Arc<Shared>,
        context: CallContext,
        until: Instant,
        secrets: &[&Secret],
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(shared.limits.header_bytes);
        Self {
            budget: Budget::new(&shared.limits),
            shared,
            context,
            until,
            table,
            wasi: None,
            http,
            line: None,
            sql: Tap::default(),
            log: LogTap::new(secrets),
        }
    }

    /// With `materials` that statements may name, and the guest never sees.
    pub(crate) fn with(mut self, materials: &[(String, Secret)]) -> Self {
        self.sql.materials = materials.to_vec();
        self
    }

    /// The backend's database, what this call has of it, and when the call ends.
    pub(crate) fn sql(&mut self) -> (Option<&Pool>, &mut Tap, Instant) {
        (self.shared.database.as_deref(), &mut self.sql, self.until)
    }
}

impl State {
    /// Lets go of the credentials that were added to requests of this call, which the upstream did
    /// not take. Answers whether another call would have others.
    pub(crate) fn renew(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.renew())
    }

    /// Whether the call was made with the credential of a caller, or should have been.
    pub(crate) fn in_callers_name(&self) -> InCallersName {
        self.line.as_ref().map_or(InCallersName::No, |line| line.in_callers_name())
    }

    /// What went wrong last on the way out, by the host's own client: its code.
    pub(crate) fn egress_failure(&self) -> Option<&'static str> {
        self.line.as_ref().and_then(|line| line.failure())
    }

    /// Whether this call asked for something outside, for which it may wait.
    pub(crate) fn asked(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.asked()) || self.sql.asked()
    }

    /// Whether some upstream may have seen a request of this call.
    pub(crate) fn reached(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.reached()) || self.sql.reached()
    }
}

/// A context that holds nothing. Each denial is spelled out, so that a changed default of the
/// library cannot open anything.
fn sealed(clock: Option<&Arc<dyn Clock>>) -> WasiCtx {
    let mut builder = WasiCtx::builder();
    builder
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .socket_addr_check(|_, _| Box::pin(async { false }))
        .max_random_size(MAX_RANDOM_BYTES);
    if let Some(clock) = clock {
        builder.wall_clock(WallClock(clock.clone()));
    }
    builder.build()
}

/// The gateway's clock. The end of what a plugin issues is held against it, so both must agree.
struct WallClock(Arc<dyn Clock>);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now().millis()).unwrap_or(0))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        // Made on first use: most plugins need none of it, and it costs as much as the instance.
        let clock = self.shared.clock.as_ref();
        WasiCtxView { ctx: self.wasi.get_or_insert_with(|| sealed(clock)), table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let open = || self.shared.outbound.open(&self.context, self.until);
        let hooks = self.line.get_or_insert_with(open).as_mut();
        WasiHttpCtxView { hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

impl types::Host for State {}

impl config::Host for State {
    fn get(&mut self) -> String {
        self.shared.config.clone()
    }

    fn roles(&mut self) -> Vec<(String, String)> {
        self.shared.roles.clone()
    }
}

const MAX_LINES: u32 = 100;
const MAX_LINE_BYTES: usize = 4 << 10;
const MAX_FIELDS: usize = 16;
const MAX_FIELD_BYTES: usize = 256;

/// What one call may still log.
#[derive(Debug)]
struct LogTap {
    left: u32,
    dropped: u32,
    secrets: Vec<Secret>,
}

impl LogTap {
    fn new(secrets: &[&Secret]) -> Self {
        let secrets = secrets.iter().map(|secret| (*secret).clone()).collect();
        Self { left: MAX_LINES, dropped: 0, secrets }
    }

    /// Whether one more line fits.
    fn take(&mut self) -> bool {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.dropped = self.dropped.saturating_add(1);
                false
            }
        }
    }

    fn clean(&self, text: &str, max: usize) -> String {
        facade::escape(&facade::scrub(text, &self.secrets), max)
    }
}

impl log::Host for State {
    fn log(&mut self, level: Level, message: String, fields: Vec<(String, String)>) {
        if !self.log.take() {
            return;
        }
        let message = self.log.clean(&message, MAX_LINE_BYTES);
        let mut line = String::new();
        for (name, value) in fields.iter().take(MAX_FIELDS) {
            let name = self.log.clean(name, MAX_FIELD_BYTES);
            let value = self.log.clean(value, MAX_FIELD_BYTES);
            // Writing to a string cannot fail.
            let _ = write!(line, "{name}={value:?} ");
        }
        let backend = self.shared.backend.as_ref().map_or("-", BackendName::as_str);
        let (request_id, fields) = (&self.context.request_id, line.trim_end());
        match level {
            Level::Debug => {
                tracing::debug!(target: "plugin", backend, %request_id, message, fields)
            }
            Level::Info => tracing::info!(target: "plugin", backend, %request_id, message, fields),
            Level::Warn => tracing::warn!(target: "plugin", backend, %request_id, message, fields),
            Level::Error => {
                tracing::error!(target: "plugin", backend, %request_id, message, fields)
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.log.dropped > 0 {
            let backend = self.shared.backend.as_ref().map_or("-", BackendName::as_str);
            let (request_id, dropped) = (&self.context.request_id, self.log.dropped);
            tracing::warn!(target: "plugin", backend, %request_id, dropped, "log lines dropped");
        }
    }
}
