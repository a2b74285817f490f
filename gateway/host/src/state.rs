//! What the host keeps for one call, and the host's side of the imports.
//!
//! INVARIANT: a [`State`] serves one call of one backend and is dropped with its store. Nothing in
//! it is shared with another call but read-only configuration and the outbound client.

use std::fmt;
use std::fmt::Write;
use std::sync::Arc;

use symbolon_core::id::BackendName;
use symbolon_core::secret::Secret;
use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error as HttpError, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
    WasiHttpView,
};

use crate::bindings::log::Level;
use crate::bindings::{config, log, types};
use crate::call::CallContext;
use crate::facade;
use crate::limits::{Budget, Limits, MAX_HANDLES, MAX_RANDOM_BYTES};

/// How a backend reaches the network: makes the hooks of one call. Hooks see every outgoing
/// request of the call after the guest has let go of it. Not every call needs them: they are made
/// when the guest first touches HTTP.
pub trait Outbound: Send + Sync + fmt::Debug {
    /// Hooks for the call that `context` describes, which is given up at `until`.
    fn hooks(&self, context: &CallContext, until: Instant) -> Box<dyn WasiHttpHooks>;
}

/// No network at all: every request is refused. What a backend without grants has.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEgress;

impl Outbound for NoEgress {
    fn hooks(&self, _: &CallContext, _: Instant) -> Box<dyn WasiHttpHooks> {
        Box::new(Self)
    }
}

type Transmission = Box<dyn Future<Output = Result<(), HttpError>> + Send>;
type Exchanged = Result<(http::Response<WasiBody>, Transmission), HttpError>;

impl WasiHttpHooks for NoEgress {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _transmission: Transmission,
    ) -> Box<
        dyn Future<Output = wasmtime_wasi_http::Result<(http::Response<WasiBody>, Transmission)>>
            + Send,
    > {
        Box::new(async { Exchanged::Err(HttpError::HttpRequestDenied) })
    }
}

/// What stays the same over the calls of a backend.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) backend: Option<BackendName>,
    pub(crate) config: String,
    pub(crate) outbound: Box<dyn Outbound>,
    pub(crate) limits: Limits,
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
    hooks: Option<Box<dyn WasiHttpHooks>>,
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
            hooks: None,
            log: LogTap::new(secrets),
        }
    }
}

/// A context that holds nothing. Each denial is spelled out, so that a changed default of the
/// library cannot open anything.
fn sealed() -> WasiCtx {
    WasiCtx::builder()
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .socket_addr_check(|_, _| Box::pin(async { false }))
        .max_random_size(MAX_RANDOM_BYTES)
        .build()
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        // Made on first use: most plugins need none of it, and it costs as much as the instance.
        WasiCtxView { ctx: self.wasi.get_or_insert_with(sealed), table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let make = || self.shared.outbound.hooks(&self.context, self.until);
        let hooks = self.hooks.get_or_insert_with(make).as_mut();
        WasiHttpCtxView { hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

impl types::Host for State {}

impl config::Host for State {
    fn get(&mut self) -> String {
        self.shared.config.clone()
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
