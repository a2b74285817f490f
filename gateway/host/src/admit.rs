//! Admission: from bytes to something that may be called.
//!
//! In this order, each step cheaper and safer than the next: size → static parse (digest, manifest,
//! imports, exports) → compile → link → smoke call. A refusal names the step, the reason and the
//! fix. Signature and grants are not here: signatures are checked over the same bytes before, and
//! grants are the operator's per backend.
//!
//! INVARIANT: an [`Admitted`] has passed all steps over the very bytes that its digest names; they
//! are read once, by the caller, and nothing is fetched or opened again.
//!
//! The smoke call runs guest code for the first time, under limits of its own and without network.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::clock::Timestamp;
use symbolon_core::id::RequestId;
use tokio::time::Instant;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::bindings::{self, guest::describe::Descriptor};
use crate::call::{self, CallContext, Exports};
use crate::compiled::{self, CompiledCache};
use crate::engine::{EngineError, EngineSettings, Runtime};
use crate::fault::CallError;
use crate::limits::Limits;
use crate::manifest::{CONTRACT, Digest, Inspection, Interface, Manifest, SECTION};
use crate::outbound::NoEgress;
use crate::state::{Shared, State};

/// Why a component is refused. The text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// Too large.
    #[error("size: {bytes} bytes, and at most {max} are admitted; strip debug sections")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The cap.
        max: usize,
    },
    /// A core module.
    #[error(
        "parse: this is a core module, not a component; encode it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Not a component at all.
    #[error("parse: this is not a WebAssembly component: {0}")]
    NotComponent(String),
    /// Not exactly one manifest.
    #[error(
        "manifest: {0} custom sections `{SECTION}`, and exactly one is needed; build with the plugin SDK"
    )]
    Manifests(usize),
    /// A manifest that breaks a rule.
    #[error("manifest: {0}; correct it and build again")]
    Manifest(String),
    /// Built for another version of the contract.
    #[error(
        "contract: built for {found}, and this host speaks {CONTRACT}; build with the matching SDK or use a matching gateway"
    )]
    Contract {
        /// The version it was built for.
        found: String,
    },
    /// Imports what is not given.
    #[error("imports: `{import}` is not linked: {reason}; build without it")]
    Import {
        /// The import.
        import: String,
        /// Why not.
        reason: String,
    },
    /// Lacks an interface that every plugin exports.
    #[error("exports: `{}` is missing; every plugin exports it", .0.export())]
    Missing(Interface),
    /// Does not compile.
    #[error("compile: {0}")]
    Compile(String),
    /// Imports are there but do not fit.
    #[error("link: {0}; its interfaces differ from contract {CONTRACT}")]
    Link(String),
    /// An exported interface differs from the contract.
    #[error("types: `{}` differs from contract {CONTRACT}: {reason}; build with the matching SDK", interface.export())]
    Types {
        /// The interface.
        interface: Interface,
        /// How.
        reason: String,
    },
    /// The smoke call failed.
    #[error("smoke call: `describe` failed: {0}")]
    Smoke(String),
    /// `describe` says something else than the manifest.
    #[error("smoke call: `describe` and the manifest differ in `{0}`; build both from one source")]
    Differs(&'static str),
}

impl AdmitError {
    pub(crate) fn manifest(reason: impl Into<String>) -> Self {
        Self::Manifest(reason.into())
    }

    /// The audit code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "plugin_too_large",
            Self::CoreModule => "plugin_core_module",
            Self::NotComponent(_) => "plugin_not_component",
            Self::Manifests(_) => "plugin_manifest_count",
            Self::Manifest(_) => "plugin_manifest",
            Self::Contract { .. } => "plugin_contract",
            Self::Import { .. } => "plugin_import",
            Self::Missing(_) => "plugin_export_missing",
            Self::Compile(_) => "plugin_compile",
            Self::Link(_) => "plugin_link",
            Self::Types { .. } => "plugin_types",
            Self::Smoke(_) => "plugin_smoke",
            Self::Differs(_) => "plugin_describe_differs",
        }
    }
}

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// There is no engine.
    #[error("no component host")]
    Engine(#[from] EngineError),
    /// The engine does not take the host's own imports: a defect of this build.
    #[error("the host's imports cannot be linked: {0}")]
    Linker(String),
}

/// Largest component, unless the operator says otherwise. Python's are about 20 MiB.
pub const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// The host: an engine, what is linked, and a cache of compiled code. One is one trust domain.
pub struct Host {
    runtime: Arc<Runtime>,
    linker: Linker<State>,
    cache: Option<Arc<CompiledCache>>,
    max_bytes: usize,
    smoke: Arc<Shared>,
}

impl Host {
    /// Starts the engine. Without a `cache` every component is compiled at each start.
    ///
    /// # Errors
    /// [`HostError`] if no engine can be made on this machine.
    pub fn start(
        settings: &EngineSettings,
        cache: Option<CompiledCache>,
        max_component_bytes: usize,
    ) -> Result<Self, HostError> {
        let runtime = Runtime::start(settings)?;
        let linker = crate::imports::linker(runtime.engine())
            .map_err(|error| HostError::Linker(format!("{error:#}")))?;
        let smoke = Arc::new(Shared {
            backend: None,
            config: "{}".to_owned(),
            roles: Vec::new(),
            outbound: Box::new(NoEgress),
            database: None,
            limits: Limits {
                memory_bytes: settings.memory_bytes,
                cpu: Duration::from_secs(2),
                wall: Duration::from_secs(10),
                ..Limits::default()
            },
            clock: None,
        });
        let cache = cache.map(Arc::new);
        Ok(Self { runtime, linker, cache, max_bytes: max_component_bytes, smoke })
    }

    /// The engine.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Admits a component, or says which step refuses it. Compiling takes from tens of
    /// milliseconds (Rust) to tens of seconds (Python), on a thread for blocking work. If the
    /// caller goes away, compilation ends in the background and its result stays in the cache.
    ///
    /// # Errors
    /// [`AdmitError`] names the step, the reason and the fix.
    pub async fn admit(&self, bytes: Vec<u8>) -> Result<Admitted, AdmitError> {
        let inspection = Inspection::of(&bytes, self.max_bytes)?;
        let component = self.compile(inspection.digest, bytes).await?;
        let link = |error: wasmtime::Error| AdmitError::Link(plain(&error));
        let pre = self.linker.instantiate_pre(&component).map_err(link)?;
        component.initialize_copy_on_write_image().map_err(|e| AdmitError::Compile(plain(&e)))?;
        let exports = Exports::of(&pre);
        let runtime = Arc::clone(&self.runtime);
        let admitted = Admitted { inspection, pre, exports, runtime };
        self.smoke_call(&admitted).await?;
        Ok(admitted)
    }

    async fn compile(&self, digest: Digest, bytes: Vec<u8>) -> Result<Component, AdmitError> {
        let (engine, cache) = (self.runtime.engine().clone(), self.cache.clone());
        let compiled = tokio::task::spawn_blocking(move || {
            compiled::component(&engine, &digest, &bytes, cache.as_deref())
        });
        match compiled.await {
            Ok(Ok(component)) => Ok(component),
            Ok(Err(error)) => Err(AdmitError::Compile(plain(&error))),
            Err(_) => Err(AdmitError::Compile("the compiler was stopped".to_owned())),
        }
    }

    /// Instantiates once, holds the types of every exported interface against the contract, and
    /// `describe` against the manifest.
    async fn smoke_call(&self, admitted: &Admitted) -> Result<(), AdmitError> {
        let context = CallContext {
            request_id: RequestId::new(Timestamp::from_millis(0), 0),
            deadline: Duration::MAX,
        };
        let until = Instant::now() + self.smoke.limits.wall;
        let state = State::new(Arc::clone(&self.smoke), context, until, &[]);
        let mut store = call::store(&self.runtime, &self.smoke.limits, state);
        let smoke = self.describe(admitted, &mut store);
        let said = match tokio::time::timeout_at(until, smoke).await {
            Ok(described) => described?,
            Err(_) => {
                return Err(AdmitError::Smoke(CallError::Timeout { reached: false }.to_string()));
            }
        };
        match admitted.manifest().difference(&said) {
            Some(field) => Err(AdmitError::Differs(field)),
            None => Ok(()),
        }
    }

    async fn describe(
        &self,
        admitted: &Admitted,
        store: &mut wasmtime::Store<State>,
    ) -> Result<Descriptor, AdmitError> {
        let smoke =
            |error: wasmtime::Error| AdmitError::Smoke(call::stopped(&error, false).to_string());
        let instance = admitted.pre.instantiate_async(&mut *store).await.map_err(smoke)?;
        for interface in admitted.inspection.interfaces.iter().copied() {
            bindings::typecheck(interface, &admitted.pre, store, &instance)
                .map_err(|error| AdmitError::Types { interface, reason: plain(&error) })?;
        }
        let component = admitted.pre.component();
        let describe = component
            .get_export_index(None, Interface::Describe.export())
            .and_then(|instance| component.get_export_index(Some(&instance), "describe"))
            .ok_or(AdmitError::Missing(Interface::Describe))?;
        let function =
            instance.get_typed_func::<(), (Descriptor,)>(&mut *store, &describe).map_err(smoke)?;
        let (said,) = function.call_async(&mut *store, ()).await.map_err(smoke)?;
        Ok(said)
    }
}

/// The causes in one line.
fn plain(error: &wasmtime::Error) -> String {
    crate::facade::escape(&format!("{error:#}"), 1024)
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}

/// A component that passed admission.
pub struct Admitted {
    inspection: Inspection,
    pre: InstancePre<State>,
    exports: Exports,
    runtime: Arc<Runtime>,
}

impl Admitted {
    /// What is known of it.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.inspection.manifest
    }

    pub(crate) fn pre(&self) -> &InstancePre<State> {
        &self.pre
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.exports
    }

    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("inspection", &self.inspection).finish_non_exhaustive()
    }
}
