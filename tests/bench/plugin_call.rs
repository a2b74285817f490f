//! A read through the host in a fresh instance, beside the same component in bare wasmtime.
//!
//! The floor's engine is set as the host's is (pool, copy-on-write, epochs compiled in), and its
//! only import that does something hands out the configuration. No limits, no deadline, no checks.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use symbolon::time::SystemClock;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::{BackendName, PluginName, RequestId};
use symbolon_core::path::SecretPath;
use symbolon_host::engine::EngineSettings;
use symbolon_host::{
    BackendSpec, CallContext, Compiler, Generation, Host, Limits, NoEgress, Package, Trust,
};
use symbolon_tests::harness::plugins;
use tokio::runtime;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
};

use crate::load;
use crate::report::{Report, Row, Unit, median, micros};

mod contract {
    wasmtime::component::bindgen!({ path: "../wit/0.1.0", world: "everything" });
}
use contract::exports::symbolon::plugin::secrets::{Secret, Selector};
use contract::symbolon::plugin::types::{Context, Error};

const CALLS: usize = 1000;
const ROUNDS: usize = 30;
pub(crate) const PATH: &str = "app/db/password";

pub(crate) fn run(report: &mut Report) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (value, floor) = runtime.block_on(measure());
    let case = format!(
        "static read, fresh instance, p50{}",
        if value < 40.0 { "" } else { " (aim < 40 us)" }
    );
    report.add(&Row {
        bench: "plugin-call",
        case,
        unit: Unit::Micros,
        value,
        floor,
        aim: Some(0.67),
    });
}

async fn measure() -> (f64, f64) {
    let bytes = std::fs::read(plugins().join("static.wasm")).expect("static.wasm");
    let config = serde_json::json!({ "secrets": { PATH: "a password" } });
    let (bare, clock) = (Bare::new(&bytes, config.to_string()), load::clock());
    let backend = backend(bytes, config).await;
    let context = CallContext {
        request_id: RequestId::new(Timestamp::from_seconds(1_793_520_000), 1),
        deadline: Duration::from_secs(3600),
        on_behalf: None,
    };
    let path = SecretPath::parse(PATH).expect("a path");
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for _ in 0..CALLS {
            let begun = clock.elapsed();
            black_box(backend.read(&context, &path, None).await.expect("a secret"));
            times.0.push(micros(clock.elapsed().saturating_sub(begun)));
        }
        for _ in 0..CALLS {
            let begun = clock.elapsed();
            black_box(bare.read().await);
            times.1.push(micros(clock.elapsed().saturating_sub(begun)));
        }
    }
    (median(times.0), median(times.1))
}

async fn backend(component: Vec<u8>, config: serde_json::Value) -> Generation {
    let settings = EngineSettings::default();
    let most = symbolon_host::admit::MAX_COMPONENT_BYTES;
    let host = Host::start(&settings, Compiler::Here, None, most).expect("a host");
    first(&host, component, config).await
}

/// A backend of `static`, whose component `host` has just admitted.
pub(crate) async fn first(
    host: &Host,
    component: Vec<u8>,
    config: serde_json::Value,
) -> Generation {
    let trust = Trust::default().with_unsigned([PluginName::parse("static").expect("a name")]);
    let package = Package::new(component, None);
    let admitted = host.admit(package, &trust).await.expect("a component");
    let name = BackendName::parse("demo").expect("a name");
    let outbound = Box::new(NoEgress);
    let (roles, limits) = (Vec::new(), Limits::default());
    let database = None;
    let spec = BackendSpec { name, config, roles, limits, outbound, database };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    Generation::new(&admitted, spec, clock)
}

/// A component in bare wasmtime.
pub(crate) struct Bare {
    engine: Engine,
    pre: InstancePre<()>,
    read: ComponentExportIndex,
    told: Context,
    selector: Selector,
}

impl Bare {
    fn new(bytes: &[u8], config: String) -> Self {
        let engine = Engine::new(&settings()).expect("an engine");
        let component = Component::from_binary(&engine, bytes).expect("a component");
        Self::of(engine, &component, config)
    }

    /// The same of a component that this engine has made or loaded.
    pub(crate) fn of(engine: Engine, component: &Component, config: String) -> Self {
        component.initialize_copy_on_write_image().expect("an image");
        let mut linker = Linker::<()>::new(&engine);
        let mut import = linker.instance("symbolon:plugin/config@0.1.0").expect("an import");
        import.func_wrap("get", move |_, (): ()| Ok((config.clone(),))).expect("a function");
        linker.define_unknown_imports_as_traps(component).expect("traps");
        let pre = linker.instantiate_pre(component).expect("an instance");
        let secrets = component.get_export_index(None, "symbolon:plugin/secrets@0.1.0");
        let read = component.get_export_index(secrets.as_ref(), "read").expect("an export");
        let told =
            Context { request_id: "0".repeat(26), deadline_in_ms: 1000, metadata: Vec::new() };
        let selector = Selector { path: PATH.to_owned(), version: None };
        Self { engine, pre, read, told, selector }
    }

    pub(crate) async fn read(&self) -> Secret {
        let mut store = Store::new(&self.engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate_async(&mut store).await.expect("an instance");
        let read = instance
            .get_typed_func::<(&Context, &Selector), (Result<Secret, Error>,)>(
                &mut store, &self.read,
            )
            .expect("its type");
        let (answer,) =
            read.call_async(&mut store, (&self.told, &self.selector)).await.expect("an answer");
        answer.expect("a secret")
    }
}

/// The host scans the page map only without swap, so the floor does too.
fn swap_is_off() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|table| table.lines().count() <= 1)
}

/// As `symbolon_host::engine` has it for a machine with room for its pool.
pub(crate) fn settings() -> Config {
    const KIB: usize = 1024;
    let host = EngineSettings::default();
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(host.instances)
        .total_core_instances(host.instances * 8)
        .total_memories(host.instances * 2)
        .total_tables(host.instances * 8)
        .total_stacks(host.instances)
        .max_memory_size(host.memory_bytes)
        .table_elements(20_000)
        .linear_memory_keep_resident(64 * KIB)
        .table_keep_resident(64 * KIB)
        .async_stack_keep_resident(32 * KIB)
        .max_unused_warm_slots(host.instances)
        .decommit_batch_size(1)
        .pagemap_scan(if swap_is_off() { Enabled::Auto } else { Enabled::No });
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .memory_init_cow(true)
        .async_stack_zeroing(true)
        .max_wasm_stack(host.stack_bytes)
        .async_stack_size(host.stack_bytes + 1536 * KIB)
        .guard_before_linear_memory(true)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .wasm_memory64(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
