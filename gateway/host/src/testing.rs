//! Guests for tests, written as text: small, exact, and as hostile as needed.
//!
//! Each is a core module against the canonical ABI, made a component by the same encoder that real
//! plugins go through. The layouts below are those of `wit/0.1.0`; the smoke call, which reads a
//! whole descriptor, would notice a mistake.

use std::sync::Arc;
use std::time::Duration;

use symbolon_core::clock::{Clock, ManualClock, Timestamp};
use symbolon_core::id::{BackendName, PluginName, RequestId};
use symbolon_core::path::SecretPath;
use wit_component::{ComponentEncoder, StringEncoding};

use crate::engine::Runtime;
use crate::manifest::SECTION;
use crate::state::{Shared, State};
use crate::{
    AdmitError, Admitted, BackendSpec, CallContext, Generation, Host, Limits, NoEgress, Package,
    Trust,
};

pub(crate) const MANIFEST: &str = r#"{"contract":"0.1.0","name":"guest","version":"1.2.3",
    "summary":"a guest","config_schema":{},"egress":[],"recovery":null,"metadata":{}}"#;

/// A page of memory, and a heap in its second half that only grows.
pub(crate) const HEAP: &str = r#"(memory (export "memory") 1)
    (global $heap (mut i32) (i32.const 32768))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
        (global.get $heap)
        (global.set $heap (i32.add (global.get $heap) (local.get 3))))"#;

/// Where `read` builds its answer, in the guest's memory.
const ANSWER: u32 = 2048;

/// A guest, part by part.
pub(crate) struct Guest {
    pub(crate) world: &'static str,
    /// Imports and further functions.
    pub(crate) items: &'static str,
    /// Body of `describe`; leaves the address of a descriptor.
    pub(crate) describe: &'static str,
    /// Body of `read`; leaves the address of a result. `call $echo` builds a good one.
    pub(crate) read: &'static str,
    pub(crate) manifests: Vec<String>,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            world: "secrets-plugin",
            items: "",
            describe: "(i32.const 1024)",
            read: GOOD,
            manifests: vec![MANIFEST.to_owned()],
        }
    }
}

/// Answers the value `v` for the path and version that were asked for.
pub(crate) const GOOD: &str = "(call $echo (local.get 5) (local.get 6)
    (local.get 7) (local.get 8) (local.get 9))";

impl Guest {
    pub(crate) fn read(body: &'static str) -> Self {
        Self { read: body, ..Self::default() }
    }

    pub(crate) fn core(&self) -> Vec<u8> {
        let secrets = if self.world == "base" { "" } else { &self.secrets() };
        let text = format!(
            r#"(module {items}
            {HEAP}
            (func (export "symbolon:plugin/describe@0.1.0#describe") (result i32) {describe})
            (func (export "symbolon:plugin/check@0.1.0#validate") (result i32) (i32.const 4096))
            (func (export "symbolon:plugin/check@0.1.0#probe")
                (param i32 i32 i64 i32 i32) (result i32) (i32.const 4096))
            (data (i32.const 100) "guest1.2.3a guest{{}}")
            (data (i32.const 1024)
                "\64\00\00\00\05\00\00\00" "\69\00\00\00\05\00\00\00"
                "\6e\00\00\00\07\00\00\00" "\75\00\00\00\02\00\00\00")
            {secrets})"#,
            items = self.items,
            describe = self.describe,
        );
        wat::parse_str(text).unwrap()
    }

    fn secrets(&self) -> String {
        format!(
            r#"(data (i32.const 200) "text/plain" "v" "slow_down" "do not log hunter2\n")
            (func $echo (param i32 i32 i32 i32 i32) (result i32)
                (i32.store (i32.const {path}) (local.get 0))
                (i32.store (i32.const {path_len}) (local.get 1))
                (i32.store8 (i32.const {version}) (local.get 2))
                (i32.store (i32.const {version_at}) (local.get 3))
                (i32.store (i32.const {version_len}) (local.get 4))
                (i32.store (i32.const {kind}) (i32.const 200))
                (i32.store (i32.const {kind_len}) (i32.const 10))
                (i32.store (i32.const {value}) (i32.const 210))
                (i32.store (i32.const {value_len}) (i32.const 1))
                (i32.const {ANSWER}))
            (func $fail (param $kind i32) (result i32)
                (i32.store8 (i32.const {ANSWER}) (i32.const 1))
                (i32.store8 (i32.const {path}) (local.get $kind))
                (i32.store (i32.const {code}) (i32.const 211))
                (i32.store (i32.const {code_len}) (i32.const 9))
                (i32.store (i32.const {message}) (i32.const 220))
                (i32.store (i32.const {message_len}) (i32.const 19))
                (i32.const {ANSWER}))
            (func (export "symbolon:plugin/secrets@0.1.0#read")
                (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32) (result i32) {read})
            (func (export "symbolon:plugin/secrets@0.1.0#read-many")
                (param i32 i32 i64 i32 i32 i32 i32) (result i32) (i32.const 4096))
            (func (export "symbolon:plugin/secrets@0.1.0#list")
                (param i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 4096))"#,
            path = ANSWER + 8,
            path_len = ANSWER + 12,
            version = ANSWER + 16,
            version_at = ANSWER + 20,
            version_len = ANSWER + 24,
            kind = ANSWER + 28,
            kind_len = ANSWER + 32,
            value = ANSWER + 40,
            value_len = ANSWER + 44,
            code = ANSWER + 12,
            code_len = ANSWER + 16,
            message = ANSWER + 20,
            message_len = ANSWER + 24,
            read = self.read,
        )
    }

    pub(crate) fn component(&self) -> Vec<u8> {
        let mut resolve = wit_parser::Resolve::default();
        let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/0.1.0");
        let (package, _) = resolve.push_path(wit).unwrap();
        let world = resolve.select_world(&[package], Some(self.world)).unwrap();
        let mut core = self.core();
        wit_component::embed_component_metadata(
            &mut core,
            &resolve,
            world,
            StringEncoding::UTF8,
            false,
        )
        .unwrap();
        let mut encoder = ComponentEncoder::default();
        let mut component = encoder.module(&core).unwrap().validate(true).encode().unwrap();
        for manifest in &self.manifests {
            append_section(&mut component, manifest.as_bytes());
        }
        component
    }
}

pub(crate) fn append_section(component: &mut Vec<u8>, data: &[u8]) {
    fn leb(mut n: usize, out: &mut Vec<u8>) {
        while n >= 0x80 {
            out.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
            n >>= 7;
        }
        out.push(u8::try_from(n).unwrap());
    }
    let mut body = Vec::new();
    leb(SECTION.len(), &mut body);
    body.extend_from_slice(SECTION.as_bytes());
    body.extend_from_slice(data);
    component.push(0);
    leb(body.len(), component);
    component.extend_from_slice(&body);
}

/// A host, a backend, and the clock it lives by.
pub(crate) struct Scene {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) backend: Generation,
}

pub(crate) fn host() -> Host {
    let settings = crate::engine::EngineSettings { instances: 32, ..Default::default() };
    Host::start(&settings, crate::Compiler::Here, None, crate::admit::MAX_COMPONENT_BYTES).unwrap()
}

/// What a call runs in, without a backend; at the time of this clock.
pub(crate) fn store(runtime: &Runtime, clock: Arc<dyn Clock>) -> wasmtime::Store<State> {
    let shared = Shared {
        backend: None,
        config: "{}".to_owned(),
        roles: Vec::new(),
        outbound: Box::new(NoEgress),
        database: None,
        limits: Limits::default(),
        clock: Some(clock),
    };
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    let state = State::new(Arc::new(shared), context(), until, &[]);
    crate::call::store(runtime, &Limits::default(), state)
}

/// Trust that lets the guest be unsigned, as an operator has to say.
pub(crate) fn unsigned() -> Trust {
    Trust::default().with_unsigned([PluginName::parse("guest").unwrap()])
}

/// Admits an unsigned component.
pub(crate) async fn admit(host: &Host, component: Vec<u8>) -> Result<Admitted, AdmitError> {
    host.admit(Package::new(component, None), &unsigned()).await
}

impl Scene {
    pub(crate) async fn of(guest: &Guest) -> Self {
        Self::with(guest, Limits { cpu: Duration::from_millis(20), ..Limits::default() }).await
    }

    pub(crate) async fn with(guest: &Guest, limits: Limits) -> Self {
        let admitted = admit(&host(), guest.component()).await.unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let spec = BackendSpec {
            name: BackendName::parse("kv").unwrap(),
            config: serde_json::json!({"key": "value"}),
            roles: Vec::new(),
            limits,
            outbound: Box::new(NoEgress),
            database: None,
        };
        let backend = Generation::new(&admitted, spec, clock.clone());
        Self { clock, backend }
    }

    pub(crate) async fn read(&self) -> Result<crate::answer::SecretValue, crate::CallError> {
        self.backend.read(&context(), &path("a/b"), None).await
    }
}

pub(crate) fn context() -> CallContext {
    let request_id = RequestId::new(Timestamp::from_seconds(1_800_000_000), 1);
    CallContext { request_id, deadline: Duration::from_secs(3600), on_behalf: None }
}

pub(crate) fn path(text: &str) -> SecretPath {
    SecretPath::parse(text).unwrap()
}
