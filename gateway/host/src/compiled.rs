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

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, hmac};
use rustix::fs::OFlags;
use symbolon_core::secret::Secret;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::manifest::Digest;

const TAG_BYTES: usize = 32;
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
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let known = fs::symlink_metadata(directory)?;
        let is_ours = known.is_dir() && known.uid() == rustix::process::geteuid().as_raw();
        if !is_ours || known.mode() & 0o077 != 0 {
            return Err(CacheError::Open(directory.to_owned()));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        Ok(Self { directory: directory.to_owned(), key })
    }

    fn file(&self, component: &Digest, engine: &EngineHash) -> PathBuf {
        let engine: String = hex::encode(engine.0).chars().take(16).collect();
        self.directory.join(format!("{}-{engine}.cwasm", component.hex()))
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

    /// Written under another name and renamed, so that a crash leaves no half of a file.
    fn write(&self, component: &Digest, engine: &EngineHash, code: &[u8]) -> std::io::Result<()> {
        let path = self.file(component, engine);
        let draft = path.with_extension(format!("{}.draft", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(self.tag(component, engine, code).as_ref())?;
        file.write_all(code)?;
        file.sync_all()?;
        fs::rename(&draft, &path)
    }
}

/// All of a file at once: its code is some megabytes, and a buffer that grows is copied again and again.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(std::io::Error::other)?;
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

    /// Keeps the code of the component with this digest. Blocks.
    pub(crate) fn keep(&self, engine: &Engine, component: &Digest, code: &Code) {
        if let Err(error) = self.write(component, &EngineHash::of(engine), code.bytes()) {
            tracing::warn!(%error, "a compiled plugin could not be kept; it is compiled at each start");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

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
