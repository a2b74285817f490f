//! Compiled components, kept between starts, and the `unsafe` code that loads them.
//!
//! Loading machine code means running whatever is in the file, so what is loaded was written by
//! this gateway: every file carries an HMAC-SHA256 under a key that never leaves the seal, over the
//! component's digest, the engine's compatibility hash and the code. The file is read once into
//! memory, and exactly those bytes are verified and then loaded; what happens to the file after
//! that does not matter. Compiled code is never taken from anywhere else, a registry least of all.
//!
//! INVARIANT: a [`Code`] is what [`CompiledCache`] verified in this process, or what a compiler of
//! this build has just made ([`crate::compiler`]). Only that is loaded.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, hmac};
use rustix::fs::OFlags;
use symbolon_core::secret::Secret;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::manifest::Digest;
use crate::private;

/// How the name of a file of code ends.
const CODE: &str = ".cwasm";
const TAG_BYTES: usize = 32;
/// How many digits of an engine's hash are in the name of a file.
const SHORT: usize = 16;
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory cannot be made or read.
    #[error("the directory of compiled plugins is not usable")]
    Io(#[from] std::io::Error),
    /// Others may enter the directory.
    #[error("{0} is a link, or belongs to or is open to others: `chmod 700` it, or remove it")]
    Open(PathBuf),
    /// The key is not 32 bytes.
    #[error("the key of the compiled-code cache is not 32 bytes")]
    Key,
}

/// A private directory of compiled components.
#[derive(Debug)]
pub struct CompiledCache {
    directory: PathBuf,
    key: hmac::Key,
}

impl CompiledCache {
    /// Opens `directory`, which is made (0700) if it is not there.
    ///
    /// # Errors
    /// [`CacheError`] if the directory is not private or the key is not 32 bytes.
    pub fn open(directory: &Path, key: &Secret) -> Result<Self, CacheError> {
        if key.len() != TAG_BYTES {
            return Err(CacheError::Key);
        }
        if !private::make(directory)? {
            return Err(CacheError::Open(directory.to_owned()));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        Ok(Self { directory: directory.to_owned(), key })
    }

    fn file(&self, component: &Digest, engine: &EngineHash) -> PathBuf {
        self.directory.join(format!("{}-{}{CODE}", component.hex(), engine.short()))
    }

    fn tag(&self, component: &Digest, engine: &EngineHash, code: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"symbolon compiled component 1\0");
        context.update(component.as_bytes());
        context.update(&engine.0);
        context.update(code);
        context.sign()
    }

    /// The code of `component` for `engine`, if it is there and ours.
    fn read(&self, component: &Digest, engine: &EngineHash) -> Option<Code> {
        let path = self.file(component, engine);
        let bytes = read_file(&path).ok()?;
        let (tag, code) = bytes.split_at_checked(TAG_BYTES)?;
        let expected = self.tag(component, engine, code);
        if aws_lc_rs::constant_time::verify_slices_are_equal(tag, expected.as_ref()).is_err() {
            tracing::warn!(path = %path.display(), "compiled plugin is not ours, compiling anew");
            return None;
        }
        Some(Code { bytes, from: TAG_BYTES })
    }

    fn write(&self, component: &Digest, engine: &EngineHash, code: &[u8]) -> std::io::Result<()> {
        let tag = self.tag(component, engine, code);
        private::put(&self.file(component, engine), &[tag.as_ref(), code])
    }
}

/// What a file of code is of, by its name.
fn component_and_engine(name: &str) -> Option<(Digest, &str)> {
    let (component, engine) = name.strip_suffix(CODE)?.split_once('-')?;
    let is_engine = engine.len() == SHORT && engine.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((Digest::from_hex(component)?, engine)).filter(|_| is_engine)
}

/// All of a file at once: its code is some megabytes, and a buffer that grows is copied again and again.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let no_link = private::flags(OFlags::NOFOLLOW)?;
    let file = fs::OpenOptions::new().read(true).custom_flags(no_link).open(path)?;
    let expected = file.metadata()?.len().min(MAX_FILE_BYTES);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What must be equal for compiled code to fit an engine: wasmtime's version, its settings, the
/// target and the features of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EngineHash([u8; 32]);

impl EngineHash {
    pub(crate) fn of(engine: &Engine) -> Self {
        struct Feed(digest::Context);
        impl Hasher for Feed {
            fn write(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }
            fn finish(&self) -> u64 {
                0
            }
        }
        let mut feed = Feed(digest::Context::new(&digest::SHA256));
        engine.precompile_compatibility_hash().hash(&mut feed);
        let hash = feed.0.finish();
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// As in names of files.
    fn short(&self) -> String {
        hex::encode(self.0).chars().take(SHORT).collect()
    }

    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Compiled code that may be loaded.
pub(crate) struct Code {
    bytes: Vec<u8>,
    /// Where the code begins in them; a file has its tag before.
    from: usize,
}

impl Code {
    /// What a compiler of this build has just made for this engine.
    pub(crate) const fn of_compiler(bytes: Vec<u8>) -> Self {
        Self { bytes, from: 0 }
    }

    /// Compiles in this process. Blocks, without any limit.
    pub(crate) fn made_here(engine: &Engine, component: &[u8]) -> wasmtime::Result<Self> {
        engine.precompile_component(component).map(Self::of_compiler)
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }

    /// The component. Blocks for a moment.
    #[expect(unsafe_code, reason = "loading compiled code cannot be safe; see the invariant")]
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: the bytes are unmodified output of `precompile_component` of this wasmtime, by
        // the invariant of the module.
        unsafe { Component::deserialize(engine, self.bytes()) }
    }
}

impl CompiledCache {
    /// The component with this digest, if its code is there and ours. Blocks.
    pub(crate) fn component(&self, engine: &Engine, component: &Digest) -> Option<Component> {
        let code = self.read(component, &EngineHash::of(engine))?;
        match code.load(engine) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(%error, "a compiled plugin does not load, compiling anew");
                None
            }
        }
    }

    /// Removes code of other components than `known` and of other engines, and drafts of writers that
    /// are gone. Whoever misses it compiles it anew; what was loaded does not need its file. Blocks.
    pub(crate) fn forget(&self, engine: &Engine, known: &BTreeSet<Digest>) -> std::io::Result<()> {
        let short = EngineHash::of(engine).short();
        for entry in fs::read_dir(&self.directory)?.filter_map(Result::ok) {
            let name = entry.file_name();
            let code = name.to_str().and_then(component_and_engine);
            if code.is_some_and(|(component, of)| of != short || !known.contains(&component)) {
                let _may_be_gone = fs::remove_file(entry.path());
            }
        }
        private::sweep(&self.directory).map(drop)
    }

    /// Keeps the code of the component with this digest. Blocks.
    pub(crate) fn keep(&self, engine: &Engine, component: &Digest, code: &Code) {
        if let Err(error) = self.write(component, &EngineHash::of(engine), code.bytes()) {
            tracing::warn!(%error, "a compiled plugin could not be kept; it is compiled at each start");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    struct Scene {
        home: tempfile::TempDir,
        cache: CompiledCache,
        engine: Engine,
        digest: Digest,
        hash: EngineHash,
    }

    impl Scene {
        /// A cache with the code of one component.
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let cache = CompiledCache::open(&home.path().join("cache"), &key(7)).unwrap();
            let (engine, bytes) = (Engine::default(), wat::parse_str("(component)").unwrap());
            let (digest, hash) = (Digest::of(&bytes), EngineHash::of(&engine));
            let code = Code::made_here(&engine, &bytes).unwrap();
            cache.keep(&engine, &digest, &code);
            Self { home, cache, engine, digest, hash }
        }

        fn file(&self) -> PathBuf {
            self.cache.file(&self.digest, &self.hash)
        }

        fn is_loaded(&self) -> bool {
            self.cache.component(&self.engine, &self.digest).is_some()
        }
    }

    fn key(byte: u8) -> Secret {
        Secret::new(vec![byte; 32])
    }

    #[test]
    fn what_was_compiled_is_loaded_again() {
        let scene = Scene::new();
        assert!(scene.is_loaded());
        assert_eq!(fs::read_dir(&scene.cache.directory).unwrap().count(), 1);
        assert_eq!(fs::metadata(scene.file()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_changed_file_or_another_key_is_not_loaded() {
        let scene = Scene::new();
        let stranger = CompiledCache::open(&scene.home.path().join("cache"), &key(8)).unwrap();
        assert!(stranger.component(&scene.engine, &scene.digest).is_none());
        let good = fs::read(scene.file()).unwrap();
        for at in [0, 31, 32, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(scene.file(), &bad).unwrap();
            assert!(!scene.is_loaded(), "byte {at}");
        }
        for length in [0, 20, TAG_BYTES, good.len() - 1] {
            fs::write(scene.file(), &good[..length]).unwrap();
            assert!(!scene.is_loaded(), "cut to {length}");
        }
        fs::write(scene.file(), [good.as_slice(), b"more"].concat()).unwrap();
        assert!(!scene.is_loaded(), "longer");
        fs::write(scene.file(), &good).unwrap();
        assert!(scene.is_loaded(), "as it was");
    }

    #[test]
    fn code_of_one_component_is_not_taken_for_another() {
        let scene = Scene::new();
        let bytes = wat::parse_str("(component (core module))").unwrap();
        let other = Digest::of(&bytes);
        scene.cache.keep(&scene.engine, &other, &Code::made_here(&scene.engine, &bytes).unwrap());
        assert!(scene.cache.component(&scene.engine, &other).is_some());
        // Two good files, swapped.
        let (one, two, aside) =
            (scene.file(), scene.cache.file(&other, &scene.hash), scene.home.path().join("aside"));
        fs::rename(&one, &aside).unwrap();
        fs::rename(&two, &one).unwrap();
        fs::rename(&aside, &two).unwrap();
        assert!(!scene.is_loaded());
        assert!(scene.cache.component(&scene.engine, &other).is_none());
    }

    #[test]
    fn code_of_another_engine_is_not_taken() {
        let scene = Scene::new();
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let other = Engine::new(&config).unwrap();
        assert!(scene.cache.component(&other, &scene.digest).is_none());
        fs::rename(scene.file(), scene.cache.file(&scene.digest, &EngineHash::of(&other))).unwrap();
        assert!(scene.cache.component(&other, &scene.digest).is_none(), "under its name");
    }

    #[test]
    fn a_link_is_not_followed() {
        let scene = Scene::new();
        let elsewhere = scene.home.path().join("elsewhere");
        fs::rename(scene.file(), &elsewhere).unwrap();
        symlink(&elsewhere, scene.file()).unwrap();
        assert!(!scene.is_loaded());
        // A write replaces the link and not what it leads to.
        let before = fs::read(&elsewhere).unwrap();
        let code = Code::made_here(&scene.engine, &wat::parse_str("(component)").unwrap()).unwrap();
        scene.cache.keep(&scene.engine, &scene.digest, &code);
        assert!(scene.is_loaded());
        assert_eq!(fs::read(&elsewhere).unwrap(), before);
        assert!(!fs::symlink_metadata(scene.file()).unwrap().is_symlink());
    }

    #[test]
    fn what_is_of_no_known_component_or_of_another_engine_is_forgotten() {
        let scene = Scene::new();
        let bytes = wat::parse_str("(component (core module))").unwrap();
        let other = Digest::of(&bytes);
        let code = || Code::made_here(&scene.engine, &bytes).unwrap();
        scene.cache.keep(&scene.engine, &other, &code());
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let newer = Engine::new(&config).unwrap();
        scene.cache.keep(&newer, &scene.digest, &code());
        let loaded = scene.cache.component(&scene.engine, &other).unwrap();
        let foreign = ["notes.txt", "a-b.cwasm", "x.cwasm"];
        for name in foreign {
            fs::write(scene.cache.directory.join(name), "").unwrap();
        }
        fs::write(scene.file().with_extension("1.draft"), "half").unwrap();
        let count = || fs::read_dir(&scene.cache.directory).unwrap().count() - foreign.len();
        assert_eq!(count(), 4);

        let both = BTreeSet::from([scene.digest, other]);
        scene.cache.forget(&scene.engine, &both).unwrap();
        assert_eq!(count(), 2, "the other engine's and the draft are gone");
        scene.cache.forget(&scene.engine, &BTreeSet::from([scene.digest])).unwrap();
        assert_eq!(count(), 1);
        assert!(scene.is_loaded());
        assert!(scene.cache.component(&scene.engine, &other).is_none());
        drop(loaded);

        // An older and a newer gateway at once: each compiles anew what the other has forgotten.
        let older = CompiledCache::open(&scene.cache.directory, &key(7)).unwrap();
        scene.cache.forget(&newer, &both).unwrap();
        assert!(older.component(&scene.engine, &scene.digest).is_none());
        older.keep(&scene.engine, &other, &code());
        assert!(older.component(&scene.engine, &other).is_some());
    }

    #[test]
    fn a_directory_that_is_a_link_or_open_to_others_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let private = home.path().join("private");
        CompiledCache::open(&private, &key(7)).unwrap();
        let link = home.path().join("link");
        symlink(&private, &link).unwrap();
        assert!(matches!(CompiledCache::open(&link, &key(7)), Err(CacheError::Open(_))));
        for mode in [0o750, 0o701, 0o777] {
            fs::set_permissions(&private, fs::Permissions::from_mode(mode)).unwrap();
            let refused = CompiledCache::open(&private, &key(7));
            assert!(matches!(refused, Err(CacheError::Open(_))), "{mode:o}");
        }
        let short = CompiledCache::open(&home.path().join("other"), &Secret::new(vec![7; 31]));
        assert!(matches!(short, Err(CacheError::Key)));
    }
}
