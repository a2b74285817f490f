//! Admission: from bytes to something that may be called.
//!
//! In this order, each step cheaper and safer than the next: size → digest → signatures → static
//! parse (manifest, imports, exports) → compile → link → smoke call. A refusal names the step, the
//! reason and the fix. The first four are [`Package::examine`]'s. Grants are not here: they are the
//! operator's per backend.
//!
//! INVARIANT: an [`Admitted`] has passed all steps over the very bytes that its digest names; they
//! are read once, by the caller, and nothing is fetched or opened again.
//!
//! The smoke call runs guest code for the first time, under limits of its own and without network.

mod error;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::clock::Timestamp;
use symbolon_core::id::RequestId;
use tokio::time::Instant;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::bindings::{self, guest::describe::Descriptor};
use crate::call::{self, CallContext, Exports};
use crate::compiled::{Code, CompiledCache};
use crate::compiler::{CompileError, Compiler};
use crate::engine::{EngineError, EngineSettings, Runtime};
use crate::fault::CallError;
use crate::limits::Limits;
use crate::manifest::{Digest, Inspection, Interface, Manifest};
use crate::outbound::NoEgress;
use crate::signature::{Endorsement, Examined, Package, Refused, Trust};
use crate::state::{Shared, State};

pub use self::error::AdmitError;

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
    compiler: Compiler,
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
        compiler: Compiler,
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
        Ok(Self { runtime, linker, compiler, cache, max_bytes: max_component_bytes, smoke })
    }

    /// The engine.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Admits a component, or says which step refuses it.
    ///
    /// # Errors
    /// [`AdmitError`] names the step, the reason and the fix.
    pub async fn admit(&self, package: Package, trust: &Trust) -> Result<Admitted, AdmitError> {
        let examined = self.examine(package, trust).await;
        self.load(examined.map_err(|refused| refused.error)?).await
    }

    /// The steps of admission that run nothing: size, digest, signatures, static parse.
    ///
    /// # Errors
    /// [`Refused`] with the step that refuses.
    pub async fn examine(&self, package: Package, trust: &Trust) -> Result<Examined, Refused> {
        let (trust, max_bytes) = (trust.clone(), self.max_bytes);
        blocking(move || package.examine(&trust, max_bytes)).await?
    }

    /// The other steps: compile, link, smoke call. Compiling takes from tens of milliseconds (Rust)
    /// to tens of seconds (Python). If the caller goes away, it is given up.
    ///
    /// # Errors
    /// [`AdmitError`] names the step, the reason and the fix.
    pub async fn load(&self, examined: Examined) -> Result<Admitted, AdmitError> {
        let (bytes, inspection, endorsement) = examined.into_parts();
        let component = self.compile(inspection.digest, bytes).await?;
        let link = |error: wasmtime::Error| AdmitError::Link(plain(&error));
        let pre = self.linker.instantiate_pre(&component).map_err(link)?;
        component.initialize_copy_on_write_image().map_err(|e| AdmitError::Compile(plain(&e)))?;
        let exports = Exports::of(&pre);
        let runtime = Arc::clone(&self.runtime);
        let loaded = Arc::new(Loaded { inspection, pre, exports, runtime });
        self.smoke_call(&loaded).await?;
        Ok(Admitted { loaded, endorsement })
    }

    /// The component, from the cache or compiled.
    async fn compile(&self, digest: Digest, bytes: Vec<u8>) -> Result<Component, AdmitError> {
        let (engine, cache) = (self.runtime.engine().clone(), self.cache.clone());
        let cached = move || cache.and_then(|cache| cache.component(&engine, &digest));
        if let Some(component) = blocking(cached).await? {
            return Ok(component);
        }
        let code = match &self.compiler {
            Compiler::Process(process) => process.compile(&self.runtime, &bytes).await?,
            Compiler::Here => {
                let engine = self.runtime.engine().clone();
                let made = blocking(move || Code::made_here(&engine, &bytes)).await?;
                made.map_err(|error| AdmitError::Compile(plain(&error)))?
            }
        };
        let (engine, cache) = (self.runtime.engine().clone(), self.cache.clone());
        let loaded = blocking(move || {
            let component = code.load(&engine)?;
            if let Some(cache) = cache {
                cache.keep(&engine, &digest, &code);
            }
            Ok(component)
        });
        loaded.await?.map_err(|error: wasmtime::Error| AdmitError::Compile(plain(&error)))
    }

    /// Lets the cache forget code of other components than `known`, and of other engines.
    pub async fn forget_code(&self, known: BTreeSet<Digest>) {
        let (engine, cache) = (self.runtime.engine().clone(), self.cache.clone());
        let forgotten = blocking(move || cache.map(|cache| cache.forget(&engine, &known)));
        if let Ok(Some(Err(error))) = forgotten.await {
            tracing::warn!(%error, "the cache of compiled plugins could not be tidied");
        }
    }

    /// Instantiates once, holds the types of every exported interface against the contract, and
    /// `describe` against the manifest.
    async fn smoke_call(&self, loaded: &Loaded) -> Result<(), AdmitError> {
        let context = CallContext {
            request_id: RequestId::new(Timestamp::from_millis(0), 0),
            deadline: Duration::MAX,
            on_behalf: None,
        };
        let until = Instant::now() + self.smoke.limits.wall;
        let state = State::new(Arc::clone(&self.smoke), context, until, &[]);
        let mut store = call::store(&self.runtime, &self.smoke.limits, state);
        let smoke = self.describe(loaded, &mut store);
        let said = match tokio::time::timeout_at(until, smoke).await {
            Ok(described) => described?,
            Err(_) => {
                return Err(AdmitError::Smoke(
                    CallError::Timeout { reached: false, asked: false }.to_string(),
                ));
            }
        };
        match loaded.inspection.manifest.difference(&said) {
            Some(field) => Err(AdmitError::Differs(field)),
            None => Ok(()),
        }
    }

    async fn describe(
        &self,
        loaded: &Loaded,
        store: &mut wasmtime::Store<State>,
    ) -> Result<Descriptor, AdmitError> {
        let smoke =
            |error: wasmtime::Error| AdmitError::Smoke(call::stopped(&error, false).to_string());
        let instance = loaded.pre.instantiate_async(&mut *store).await.map_err(smoke)?;
        for interface in loaded.inspection.interfaces.iter().copied() {
            bindings::typecheck(interface, &loaded.pre, store, &instance)
                .map_err(|error| AdmitError::Types { interface, reason: plain(&error) })?;
        }
        let component = loaded.pre.component();
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

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AdmitError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| AdmitError::Compiler("the gateway is being stopped".to_owned()))
}

impl From<CompileError> for AdmitError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Refused(reason) => Self::Compile(reason),
            CompileError::Limit(limit) => Self::CompileLimit(limit),
            CompileError::Broken(reason) => Self::Compiler(reason),
        }
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

/// A component that passed admission. Clones share the compiled code.
#[derive(Clone)]
pub struct Admitted {
    loaded: Arc<Loaded>,
    endorsement: Endorsement,
}

/// Compiled, linked and called once.
struct Loaded {
    inspection: Inspection,
    pre: InstancePre<State>,
    exports: Exports,
    runtime: Arc<Runtime>,
}

impl Admitted {
    /// What is known of it.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.loaded.inspection
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.loaded.inspection.manifest
    }

    /// Who vouches for it.
    #[must_use]
    pub const fn endorsement(&self) -> &Endorsement {
        &self.endorsement
    }

    /// The same code, examined anew: after the operator has changed whom to trust, say, nothing
    /// needs to be compiled again. None if `examined` is another component.
    #[must_use]
    pub fn endorsed_by(&self, examined: &Examined) -> Option<Self> {
        let same = examined.inspection().digest == self.loaded.inspection.digest;
        let endorsement = examined.endorsement().clone();
        same.then(|| Self { loaded: Arc::clone(&self.loaded), endorsement })
    }

    pub(crate) fn pre(&self) -> &InstancePre<State> {
        &self.loaded.pre
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.loaded.exports
    }

    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.loaded.runtime
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted")
            .field("inspection", self.inspection())
            .field("endorsement", &self.endorsement)
            .finish_non_exhaustive()
    }
}
