//! Compiled components, kept between starts. The one module with `unsafe` code.
//!
//! Loading machine code means running whatever is in the file, so what is loaded was written by
//! this gateway: every file carries an HMAC-SHA256 under a key that never leaves the seal, over the
//! component's digest, the engine's compatibility hash and the code. The file is read once into
//! memory, and exactly those bytes are verified and then loaded; what happens to the file after
//! that does not matter. Compiled code is never taken from anywhere else, a registry least of all.
//!
//! INVARIANT: [`load`] is called with bytes that [`CompiledCache`] verified in this process, or
//! that the engine itself has just made.
//!
//! Compilation runs on a thread for blocking work. It can be made to take long by whoever writes
//! the component; the size cap at admission bounds that, a limited child process is to come.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, hmac};
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
    #[error("{0} is open to others: `chmod 700` it, or remove it")]
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
        if fs::symlink_metadata(directory)?.permissions().mode() & 0o077 != 0 {
            return Err(CacheError::Open(directory.to_owned()));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        Ok(Self { directory: directory.to_owned(), key })
    }

    fn file(&self, component: &Digest, engine: &EngineHash) -> PathBuf {
        let engine: String = hex::encode(engine.0.as_ref()).chars().take(16).collect();
        self.directory.join(format!("{}-{engine}.cwasm", component.hex()))
    }

    fn tag(&self, component: &Digest, engine: &EngineHash, code: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"symbolon compiled component 1\0");
        context.update(component.as_bytes());
        context.update(engine.0.as_ref());
        context.update(code);
        context.sign()
    }

    /// The code of `component` for `engine`, if it is there and ours.
    fn read(&self, component: &Digest, engine: &EngineHash) -> Option<Vec<u8>> {
        let path = self.file(component, engine);
        let mut bytes = Vec::new();
        fs::File::open(&path).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
        let (tag, code) = bytes.split_at_checked(TAG_BYTES)?;
        let expected = self.tag(component, engine, code);
        if aws_lc_rs::constant_time::verify_slices_are_equal(tag, expected.as_ref()).is_err() {
            tracing::warn!(path = %path.display(), "compiled plugin is not ours, compiling anew");
            return None;
        }
        Some(code.to_vec())
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

/// What must be equal for compiled code to fit an engine: wasmtime's version, its settings, the
/// target and the features of the processor.
struct EngineHash(digest::Digest);

impl EngineHash {
    fn of(engine: &Engine) -> Self {
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
        Self(feed.0.finish())
    }
}

/// The component, from the cache or compiled. Blocks, for seconds if it compiles.
pub(crate) fn component(
    engine: &Engine,
    digest: &Digest,
    bytes: &[u8],
    cache: Option<&CompiledCache>,
) -> wasmtime::Result<Component> {
    let Some(cache) = cache else { return Component::from_binary(engine, bytes) };
    let hash = EngineHash::of(engine);
    if let Some(code) = cache.read(digest, &hash) {
        return load(engine, &code);
    }
    let code = engine.precompile_component(bytes)?;
    if let Err(error) = cache.write(digest, &hash, &code) {
        tracing::warn!(%error, "a compiled plugin could not be kept; it is compiled at each start");
    }
    load(engine, &code)
}

#[expect(unsafe_code, reason = "loading compiled code cannot be safe; see the module's invariant")]
fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` is unmodified output of `precompile_component` of this wasmtime: either it was
    // made two lines before the call, or its MAC under a key of ours has just been verified.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "(component)";

    fn scene() -> (tempfile::TempDir, CompiledCache, Engine, Vec<u8>) {
        let home = tempfile::tempdir().unwrap();
        let key = Secret::new(vec![7; 32]);
        let cache = CompiledCache::open(&home.path().join("cache"), &key).unwrap();
        (home, cache, Engine::default(), wat::parse_str(EMPTY).unwrap())
    }

    fn only_file(cache: &CompiledCache) -> PathBuf {
        let mut files = fs::read_dir(&cache.directory).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        file
    }

    #[test]
    fn what_was_compiled_is_loaded_again() {
        let (_home, cache, engine, bytes) = scene();
        let digest = Digest::of(&bytes);
        component(&engine, &digest, &bytes, Some(&cache)).unwrap();
        assert!(cache.read(&digest, &EngineHash::of(&engine)).is_some());
        // Bytes that do not compile: so the second one can only come from the cache.
        component(&engine, &digest, b"", Some(&cache)).unwrap();
    }

    #[test]
    fn a_changed_file_or_another_key_is_not_loaded() {
        let (home, cache, engine, bytes) = scene();
        let digest = Digest::of(&bytes);
        component(&engine, &digest, &bytes, Some(&cache)).unwrap();
        let hash = EngineHash::of(&engine);

        let other = Secret::new(vec![8; 32]);
        let stranger = CompiledCache::open(&home.path().join("cache"), &other).unwrap();
        assert!(stranger.read(&digest, &hash).is_none());

        let path = only_file(&cache);
        let good = fs::read(&path).unwrap();
        for at in [0, 31, 32, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(cache.read(&digest, &hash).is_none(), "byte {at}");
        }
        fs::write(&path, &good[..20]).unwrap();
        assert!(cache.read(&digest, &hash).is_none());
    }

    #[test]
    fn code_of_one_component_is_not_taken_for_another() {
        let (_home, cache, engine, bytes) = scene();
        let (digest, other) = (Digest::of(&bytes), Digest::of(b"other"));
        component(&engine, &digest, &bytes, Some(&cache)).unwrap();
        let hash = EngineHash::of(&engine);
        fs::rename(only_file(&cache), cache.file(&other, &hash)).unwrap();
        assert!(cache.read(&other, &hash).is_none());
    }

    #[test]
    fn a_directory_open_to_others_is_refused() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let refused = CompiledCache::open(home.path(), &Secret::new(vec![7; 32]));
        assert!(matches!(refused, Err(CacheError::Open(_))));
    }
}
