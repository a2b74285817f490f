//! The components that there are: files of the plugin directory and what is installed, looked at
//! together; and those that were admitted, once per digest.
//!
//! A file of the directory is read again when its size, its times or its inode changed, and not
//! otherwise. One that is being written does not parse, or parses and is another when it is whole:
//! what is admitted is what the digest says that was chosen, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt as _, stream};
use symbolon_core::id::BackendName;
use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::version::Step;
use symbolon_host::{
    AdmitError, Admitted, Digest, Endorsement, Generation, Host, Inspection, Package, Trust,
};

use crate::catalog::choice::Candidate;
use crate::catalog::{Components, Incoming, Installed, Origin, Pointed, Snapshot};

/// How many files are examined at once.
const EXAMINATIONS: usize = 8;

/// By what a change of a file is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The files of a directory by what they look like from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look(BTreeMap<PathBuf, Stamp>);

impl Look {
    /// Looks at `directory`: nothing is opened. One that cannot be read is an empty one.
    pub(super) fn at(directory: &Path) -> Self {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(directory = %directory.display(), %error, "no plugins can be read");
                return Self::default();
            }
        };
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.ends_with(".wasm") || name.ends_with(".wasm.sig")
        };
        let stamped = |path: PathBuf| {
            let stamp = stamp(&path)?;
            Some((path, stamp))
        };
        Self(paths.filter(is_ours).filter_map(stamped).collect())
    }

    /// Components, each with the look of its signatures.
    fn components(&self) -> impl Iterator<Item = (&PathBuf, (Stamp, Option<Stamp>))> {
        let is_component = |path: &Path| path.extension().is_some_and(|end| end == "wasm");
        let components = self.0.iter().filter(move |(path, _)| is_component(path));
        components.map(|(path, stamp)| {
            let signatures = self.0.get(&Package::signature_file(path));
            (path, (*stamp, signatures.copied()))
        })
    }
}

/// Links are followed: what is mounted into containers is a link that is swapped.
fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some(Stamp {
        bytes: found.len(),
        inode: found.ino(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

/// What is known of a file without running it: what it is and who signed it, or why it is refused.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// It was examined and found good, and these vouch for it.
    Good(Box<Inspection>, Endorsement),
    /// It was refused; with what it says of itself, if it came so far that this was read.
    Refused(String, Option<Box<Inspection>>),
}

/// Who examines components, and whom the operator trusts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge<'a> {
    pub(super) host: &'a Arc<Host>,
    pub(super) trust: &'a Trust,
}

/// The files as they were seen last, and whom the operator trusted then.
#[derive(Debug, Default)]
struct Seen {
    trust: Trust,
    files: HashMap<PathBuf, ((Stamp, Option<Stamp>), Known)>,
}

/// What was looked at and admitted: a reload compiles nothing twice.
#[derive(Debug, Default)]
pub struct Admissions {
    /// Held while files are examined: whoever looks at the same time would examine them too.
    seen: tokio::sync::Mutex<Seen>,
    /// With whom the operator trusted when it was admitted.
    admitted: Mutex<HashMap<Digest, (Arc<Admitted>, Trust)>>,
    refused: Mutex<HashMap<Digest, String>>,
}

/// One file of the directory.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) known: Known,
}

impl File {
    /// What was examined and found good.
    pub(super) fn good(&self) -> Option<&Inspection> {
        match &self.known {
            Known::Good(inspection, _) => Some(inspection),
            Known::Refused(..) => None,
        }
    }

    /// Whether it is, or by its name may be, a component of this plugin.
    fn is_of(&self, plugin: &str) -> bool {
        match &self.known {
            Known::Good(inspection, _) | Known::Refused(_, Some(inspection)) => {
                inspection.manifest.name.as_str() == plugin
            }
            Known::Refused(_, None) => {
                self.path.file_stem().and_then(|stem| stem.to_str()) == Some(plugin)
            }
        }
    }
}

/// Everything there is, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    pub(super) files: Vec<File>,
    pub(super) catalog: Snapshot,
}

impl Stock {
    /// Looks at `directory` and at the catalog. What cannot be read is said in the log, and is as
    /// good as missing: it degrades the backends that need it, and nothing else.
    pub(super) async fn take(
        directory: &Path,
        components: &Components,
        (admissions, judge): (&Admissions, Judge<'_>),
    ) -> Self {
        let files = Box::pin(admissions.look(directory, judge)).await;
        let catalog = components.snapshot().await.unwrap_or_else(|error| {
            tracing::error!(error = super::chain(&error), "the catalog cannot be read");
            Snapshot::default()
        });
        Self { files, catalog }
    }

    /// All that a backend can be given.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let mut found = BTreeMap::<Digest, Candidate>::new();
        for inspection in self.files.iter().filter_map(File::good) {
            found.insert(inspection.digest, Candidate::of(inspection, true));
        }
        for (digest, installed) in &self.catalog.components {
            if self.catalog.present.contains(digest) {
                let (component, is_offered) = (installed.component.clone(), !installed.is_adopted);
                let fresh = Candidate { digest: *digest, component, is_offered };
                let known = found.entry(*digest).or_insert(fresh);
                known.is_offered |= is_offered;
            }
        }
        found.into_values().collect()
    }

    /// What the files of the directory say of themselves, those that are refused too.
    pub(super) fn inspections(&self) -> impl Iterator<Item = &Inspection> {
        self.files.iter().filter_map(|file| match &file.known {
            Known::Good(inspection, _) | Known::Refused(_, Some(inspection)) => Some(&**inspection),
            Known::Refused(_, None) => None,
        })
    }

    /// Every component that there is, in the directory or the catalog.
    pub(super) fn digests(&self) -> impl Iterator<Item = Digest> {
        let files = self.inspections().map(|of| of.digest);
        files.chain(self.catalog.components.keys().chain(&self.catalog.present).copied())
    }

    /// The file of the directory with this digest.
    pub(super) fn file(&self, digest: Digest) -> Option<&File> {
        let is_it = |file: &&File| file.good().is_some_and(|known| known.digest == digest);
        self.files.iter().find(is_it)
    }

    /// The bytes of `digest`, from the directory or the catalog.
    pub(super) async fn package(
        &self,
        digest: Digest,
        components: &Components,
    ) -> Result<Package, String> {
        if let Some(file) = self.file(digest) {
            let path = file.path.clone();
            let read =
                tokio::task::spawn_blocking(move || Package::read(&path, MAX_COMPONENT_BYTES))
                    .await;
            let package = read.ok().and_then(Result::ok);
            let is_it = |package: &Package| package.digest() == digest;
            if let Some(package) = package.filter(is_it) {
                return Ok(package);
            }
        }
        components.package(digest).await.map_err(|error| super::chain(&error))
    }

    /// Puts into the catalog what is in use and not in it, or has more signatures than there, so that
    /// going back to it is possible when its file is replaced. What is in use is asked again once its
    /// turn has come. What cannot be kept is said in the log.
    pub(super) async fn adopt(
        &self,
        used: &(dyn Fn() -> BTreeSet<Digest> + Send + Sync),
        (components, trust): (&Components, &Trust),
    ) {
        for digest in used() {
            let Some(file) = self.file(digest).filter(|file| !self.is_kept(digest, file)) else {
                continue;
            };
            let is_used = || used().contains(&digest);
            if let Err(reason) = self.adopt_one(file, is_used, (components, trust)).await {
                tracing::warn!(%digest, reason, "a component in use cannot be kept");
            }
        }
    }

    async fn adopt_one(
        &self,
        file: &File,
        is_used: impl Fn() -> bool + Send,
        (components, trust): (&Components, &Trust),
    ) -> Result<(), String> {
        let Some(inspection) = file.good() else { return Ok(()) };
        let source = file.path.display().to_string();
        let origin = Origin { source, by: "symbolon".to_owned(), is_adopted: true };
        let component = Pointed::of(inspection);
        let package = self.package(inspection.digest, components).await?;
        let incoming = Incoming { component, package, origin, trust };
        let adopted = components.adopt(incoming, is_used).await;
        adopted.map(drop).map_err(|error| super::chain(&error))
    }

    /// What `to` is older than: what runs; or, where nothing runs, something of its plugin that is kept
    /// and was not taken out of the catalog since, so that a start forgets nothing. What is in
    /// quarantine is not counted.
    pub(super) fn newer(
        &self,
        (backend, running): (&BackendName, Option<&Generation>),
        to: &Pointed,
    ) -> Option<String> {
        let held = self.catalog.held(backend);
        let is_held = |digest: &Digest| held.contains_key(digest);
        let is_newer = |version: &String| Step::between(version, &to.version).is_downgrade();
        if let Some(running) = running.filter(|running| !is_held(&running.digest())) {
            return Some(running.manifest().version.clone()).filter(is_newer);
        }
        let kept = self.catalog.components.iter().filter(|(digest, _)| !is_held(digest));
        let of_plugin = kept.filter(|(_, of)| of.component.name == to.name);
        let mut versions = of_plugin.map(|(_, of)| &of.component.version);
        versions.find(|version| is_newer(version)).cloned()
    }

    /// Why a file was refused that is, or by its name may be, of `plugin`.
    pub(super) fn refusal(&self, plugin: &str) -> Option<String> {
        let refused = |file: &File| match &file.known {
            Known::Refused(reason, _) if file.is_of(plugin) => {
                let name = file.path.file_name().unwrap_or_default().to_string_lossy();
                Some(format!("`{name}` is refused: {reason}"))
            }
            Known::Refused(..) | Known::Good(..) => None,
        };
        self.files.iter().find_map(refused)
    }

    /// Whether it is in the catalog, and so is everyone who vouches for its file.
    fn is_kept(&self, digest: Digest, file: &File) -> bool {
        let Known::Good(_, endorsement) = &file.known else { return true };
        let record = self.catalog.components.get(&digest);
        let is_signed =
            |of: &Installed| signers(endorsement).iter().all(|key| of.signers.contains(key));
        record.is_some_and(is_signed) && self.catalog.present.contains(&digest)
    }
}

/// Why a component is not to be had.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The code for the record: of the step that refuses.
    pub(super) code: &'static str,
    /// The reason, for the operator.
    pub(super) reason: String,
}

impl Refusal {
    /// It did not get to the first step.
    fn unread(reason: String) -> Self {
        Self { code: "plugin_refused", reason }
    }
}

impl Admissions {
    /// What the directory holds. Only what changed is read, unless whom the operator trusts did.
    async fn look(&self, directory: &Path, judge: Judge<'_>) -> Vec<File> {
        let mut seen = self.seen.lock().await;
        let directory = directory.to_owned();
        let look = tokio::task::spawn_blocking(move || Look::at(&directory)).await;
        let look = look.unwrap_or_default();
        if seen.trust != *judge.trust {
            *seen = Seen { trust: judge.trust.clone(), files: HashMap::new() };
        }
        let known = |(path, stamps): (&PathBuf, _)| {
            let before = seen.files.remove(path).filter(|(before, _)| *before == stamps);
            let path = path.clone();
            async move {
                let known = match before {
                    Some((_, known)) => known,
                    None => examined(path.clone(), judge).await,
                };
                (path, (stamps, known))
            }
        };
        let files: Vec<_> =
            stream::iter(look.components().map(known)).buffered(EXAMINATIONS).collect().await;
        let file = |(path, (_, known)): &(PathBuf, (_, Known))| File {
            path: path.clone(),
            known: known.clone(),
        };
        let found = files.iter().map(file).collect();
        seen.files = files.into_iter().collect();
        found
    }

    /// The component of this digest, admitted now, or before and examined anew. One whose bytes are
    /// gone is what it was as long as the operator trusts whom he trusted.
    ///
    /// # Errors
    /// Why it is refused, for the operator.
    pub(super) async fn admit(
        &self,
        digest: Digest,
        (stock, components, judge): (&Stock, &Components, Judge<'_>),
    ) -> Result<Arc<Admitted>, Refusal> {
        let package = match stock.package(digest, components).await {
            Ok(package) => package,
            Err(reason) => {
                let known = locked(&self.admitted).get(&digest).cloned();
                let known = known.filter(|(_, trust)| trust == judge.trust);
                return known.map(|(admitted, _)| admitted).ok_or(Refusal::unread(reason));
            }
        };
        let admitted = Box::pin(self.admit_package(package, judge)).await?;
        match admitted.inspection().digest == digest {
            true => Ok(admitted),
            false => Err(Refusal::unread("it changed while it was read".to_owned())),
        }
    }

    /// Admits what has just come in.
    ///
    /// # Errors
    /// Why it is refused, for the operator.
    pub(super) async fn admit_package(
        &self,
        package: Package,
        judge: Judge<'_>,
    ) -> Result<Arc<Admitted>, Refusal> {
        let digest = package.digest();
        match Box::pin(self.judged(package, judge)).await {
            Ok(admitted) => {
                let admitted = Arc::new(admitted);
                locked(&self.refused).remove(&digest);
                let known = (admitted.clone(), judge.trust.clone());
                locked(&self.admitted).insert(digest, known);
                Ok(admitted)
            }
            Err(error) => {
                let reason = format!("the component is refused: {error}");
                locked(&self.refused).insert(digest, reason.clone());
                Err(Refusal { code: error.code(), reason })
            }
        }
    }

    async fn judged(&self, package: Package, judge: Judge<'_>) -> Result<Admitted, AdmitError> {
        let examined = judge.host.examine(package, judge.trust).await;
        let examined = examined.map_err(|refused| refused.error)?;
        let known = locked(&self.admitted).get(&examined.inspection().digest).cloned();
        match known.and_then(|(admitted, _)| admitted.endorsed_by(&examined)) {
            Some(admitted) => Ok(admitted),
            None => Box::pin(judge.host.load(examined)).await,
        }
    }

    /// Why the component of this digest was refused the last time.
    pub(super) fn refusal(&self, digest: Digest) -> Option<String> {
        locked(&self.refused).get(&digest).cloned()
    }

    /// Lets everything go that is not `used`: compiled code is memory.
    pub(super) fn keep(&self, used: &BTreeSet<Digest>) {
        let gone = {
            let mut admitted = locked(&self.admitted);
            let (kept, gone): (HashMap<_, _>, HashMap<_, _>) =
                admitted.drain().partition(|(digest, _)| used.contains(digest));
            *admitted = kept;
            gone
        };
        // Outside of the lock: unmapping takes its time.
        drop(gone);
    }

    /// How many admitted components are held.
    #[must_use]
    pub fn held(&self) -> usize {
        locked(&self.admitted).len()
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn examined(path: PathBuf, judge: Judge<'_>) -> Known {
    let refused = |reason: String, inspection| {
        // Whoever needs it is degraded, which is the error; that it lies there is none.
        tracing::warn!(file = %path.display(), reason, "the component is refused");
        Known::Refused(reason, inspection)
    };
    let place = path.clone();
    let read = move || Package::read(&place, MAX_COMPONENT_BYTES);
    let package = match tokio::task::spawn_blocking(read).await.map_err(std::io::Error::from) {
        Ok(Ok(package)) => package,
        Ok(Err(error)) | Err(error) => return refused(error.to_string(), None),
    };
    match judge.host.examine(package, judge.trust).await {
        Ok(examined) => {
            let endorsement = examined.endorsement().clone();
            Known::Good(Box::new(examined.inspection().clone()), endorsement)
        }
        Err(found) => refused(found.error.to_string(), found.inspection),
    }
}

/// The keys that vouch for a component.
pub(super) fn signers(endorsement: &Endorsement) -> Vec<String> {
    endorsement.keys().map(ToString::to_string).collect()
}

/// What a running component is called.
pub(super) fn pointed(generation: &symbolon_host::Generation) -> Pointed {
    Pointed {
        name: generation.plugin().to_string(),
        version: generation.manifest().version.clone(),
        digest: generation.digest().hex(),
    }
}
