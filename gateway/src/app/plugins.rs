//! The components in the plugin directory, admitted once per digest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use symbolon_host::admit::MAX_COMPONENT_BYTES;
use symbolon_host::{Admitted, Digest, Examined, Host, Inspection, Package, Trust};

use crate::config::PluginRef;

/// Components that were admitted, by digest: a reload compiles nothing twice.
#[derive(Debug, Default)]
pub struct Admissions(Mutex<HashMap<Digest, Arc<Admitted>>>);

/// One file of the directory.
#[derive(Clone, Debug)]
pub struct Component {
    /// The file.
    pub path: PathBuf,
    /// The admitted component, or why it is refused; none if no backend names it.
    pub admitted: Option<Result<Arc<Admitted>, String>>,
    /// What is known of it without running it; none if it was refused before it was parsed.
    pub inspection: Option<Inspection>,
}

/// What the plugin directory holds.
#[derive(Clone, Debug, Default)]
pub struct Plugins(Vec<Component>);

impl Plugins {
    /// Reads every `*.wasm` of `directory` with its signatures, and admits those that `wanted`
    /// names. A directory that cannot be read is an empty one, and said in the log: its backends
    /// are degraded.
    pub async fn load(
        (directory, trust): (&Path, &Trust),
        wanted: &[&PluginRef],
        host: &Host,
        admissions: &Admissions,
    ) -> Self {
        let mut components = Vec::new();
        for path in files(directory) {
            let component = match examine(&path, trust, host) {
                Ok(examined) => {
                    let inspection = examined.inspection().clone();
                    let is_wanted = wanted.iter().any(|plugin| names(plugin, &inspection));
                    let admitted = if is_wanted {
                        Some(Box::pin(admissions.admit(host, examined)).await)
                    } else {
                        None
                    };
                    Component { path, admitted, inspection: Some(inspection) }
                }
                Err((reason, inspection)) => {
                    tracing::error!(file = %path.display(), reason, "the component is refused");
                    let inspection = inspection.map(|known| *known);
                    Component { path, admitted: Some(Err(reason)), inspection }
                }
            };
            components.push(component);
        }
        Self(components)
    }

    /// Every file of the directory.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        &self.0
    }

    /// The one component that `plugin` names.
    ///
    /// # Errors
    /// Why there is none, for the operator.
    pub(super) fn find(&self, plugin: &PluginRef) -> Result<Arc<Admitted>, String> {
        let fits = |component: &&Component| {
            component.inspection.as_ref().is_some_and(|inspection| names(plugin, inspection))
        };
        let mut found = self.0.iter().filter(fits);
        let name = &plugin.name;
        match (found.next(), found.next()) {
            (Some(one), None) => {
                one.admitted.clone().unwrap_or_else(|| Err(format!("`{name}` was not admitted")))
            }
            (None, _) => Err(format!(
                "no component in the plugin directory is `{name}`{}{}; see `symbolon plugin ls`",
                wanted_text(plugin),
                self.refused_text(plugin)
            )),
            (Some(_), Some(_)) => {
                Err(format!("several components are `{name}`; name one by `version` or `digest`"))
            }
        }
    }
}

impl Plugins {
    /// Why the file that has the plugin's name was refused before anybody could see whose it is.
    fn refused_text(&self, plugin: &PluginRef) -> String {
        let is_it = |component: &&Component| {
            let stem = component.path.file_stem().and_then(|stem| stem.to_str());
            component.inspection.is_none() && stem == Some(plugin.name.as_str())
        };
        let found = self.0.iter().find(is_it).and_then(|component| component.admitted.as_ref());
        match found {
            Some(Err(reason)) => format!(" (`{}.wasm` is refused: {reason})", plugin.name),
            Some(Ok(_)) | None => String::new(),
        }
    }
}

impl Admissions {
    async fn admit(&self, host: &Host, examined: Examined) -> Result<Arc<Admitted>, String> {
        let digest = examined.inspection().digest;
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(admitted) = known().get(&digest).and_then(|a| a.endorsed_by(&examined)) {
            return Ok(Arc::new(admitted));
        }
        match Box::pin(host.load(examined)).await {
            Ok(admitted) => {
                let admitted = Arc::new(admitted);
                known().insert(digest, admitted.clone());
                Ok(admitted)
            }
            Err(error) => Err(format!("the component is refused: {error}")),
        }
    }
}

fn names(plugin: &PluginRef, inspection: &Inspection) -> bool {
    let digest = inspection.digest.to_string();
    let digest = digest.strip_prefix("sha256:").unwrap_or(&digest);
    plugin.name == inspection.manifest.name
        && plugin.version.as_ref().is_none_or(|version| *version == inspection.manifest.version)
        && plugin.digest.as_ref().is_none_or(|wanted| wanted == digest)
}

fn wanted_text(plugin: &PluginRef) -> String {
    let version = plugin.version.as_ref().map(|version| format!(" version {version}"));
    let digest = plugin.digest.as_ref().map(|digest| format!(" with digest {digest}"));
    version.unwrap_or_default() + &digest.unwrap_or_default()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::error!(directory = %directory.display(), %error, "no plugins can be read");
            return Vec::new();
        }
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "wasm")).collect();
    files.sort();
    files
}

fn examine(
    path: &Path,
    trust: &Trust,
    host: &Host,
) -> Result<Examined, (String, Option<Box<Inspection>>)> {
    let package = Package::read(path, MAX_COMPONENT_BYTES).map_err(|e| (e.to_string(), None))?;
    host.examine(package, trust).map_err(|refused| (refused.error.to_string(), refused.inspection))
}
