//! Which component a backend is to run.
//!
//! One rule, in this order:
//!
//! 1. What the configuration pins (`version`, `digest`) is all that comes into question.
//! 2. Where the catalog's pointer is to one of those, that one.
//! 3. Otherwise the only one there is. What is kept only because it was in use, and what is in
//!    quarantine, is not counted.
//! 4. Otherwise what runs goes on; what does not run yet is degraded, with the list.
//!
//! INVARIANT: what is in quarantine is never chosen, and what runs is not taken down because its file
//! vanished.

use std::collections::BTreeMap;

use symbolon_host::{Digest, Inspection};

use super::{Pointed, Pointer, Quarantined};
use crate::config::PluginRef;

/// A component that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its digest.
    pub digest: Digest,
    /// Name and version.
    pub component: Pointed,
    /// Whether it is there by itself: in the plugin directory, or installed. One that is kept only
    /// because it was in use is not.
    pub is_offered: bool,
}

impl Candidate {
    /// The component that `inspection` is of.
    #[must_use]
    pub fn of(inspection: &Inspection, is_offered: bool) -> Self {
        Self { digest: inspection.digest, component: Pointed::of(inspection), is_offered }
    }
}

/// What the choice is made from.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What the configuration says.
    pub plugin: &'a PluginRef,
    /// Everything there is.
    pub candidates: &'a [Candidate],
    /// Where the catalog points.
    pub pointer: Option<&'a Pointer>,
    /// What runs.
    pub running: Option<&'a Pointed>,
    /// What is not to be used.
    pub quarantine: &'a BTreeMap<Digest, Quarantined>,
}

/// Whether the configuration leaves `component` open.
#[must_use]
pub fn fits(plugin: &PluginRef, component: &Pointed) -> bool {
    plugin.name.as_str() == component.name
        && plugin.version.as_ref().is_none_or(|version| *version == component.version)
        && plugin.digest.as_ref().is_none_or(|digest| *digest == component.digest)
}

impl Question<'_> {
    /// The component to run.
    ///
    /// # Errors
    /// Why there is none, and what to do, for the operator.
    pub fn answer(&self) -> Result<Digest, String> {
        let pointer = self.pointer.filter(|pointer| fits(self.plugin, &pointer.to));
        if let Some(pointer) = pointer {
            return self.pointed(pointer);
        }
        let is_open = |candidate: &&Candidate| {
            candidate.is_offered
                && fits(self.plugin, &candidate.component)
                && !self.quarantine.contains_key(&candidate.digest)
        };
        let open: Vec<&Candidate> = self.candidates.iter().filter(is_open).collect();
        match (open.as_slice(), self.goes_on()) {
            ([only], _) => Ok(only.digest),
            (_, Some(running)) => Ok(running),
            ([], None) => Err(self.none()),
            (several, None) => Err(several_text(self.plugin, several)),
        }
    }

    /// The component that is pointed at, or the one before if that one may not run.
    fn pointed(&self, pointer: &Pointer) -> Result<Digest, String> {
        let to = self.usable(&pointer.to);
        let before = || {
            let before = pointer.previous.as_ref().filter(|before| fits(self.plugin, before))?;
            self.usable(before).ok()
        };
        to.or_else(|reason| before().ok_or(reason))
    }

    fn usable(&self, component: &Pointed) -> Result<Digest, String> {
        let named = |digest: Digest| {
            let is_there = self.candidates.iter().any(|candidate| candidate.digest == digest);
            is_there || self.running.and_then(Pointed::digest) == Some(digest)
        };
        let digest = component.digest().filter(|digest| named(*digest));
        let digest = digest.ok_or_else(|| {
            format!(
                "no component here is {component}, which was activated; install it again, or \
                 activate another"
            )
        })?;
        match self.quarantine.get(&digest) {
            None => Ok(digest),
            Some(quarantined) => Err(quarantined_text(quarantined)),
        }
    }

    /// What runs, as long as the configuration and the quarantine let it.
    fn goes_on(&self) -> Option<Digest> {
        let running = self.running.filter(|running| fits(self.plugin, running))?;
        running.digest().filter(|digest| !self.quarantine.contains_key(digest))
    }

    fn none(&self) -> String {
        let fitting = |candidate: &&Candidate| fits(self.plugin, &candidate.component);
        let mut kept = self.candidates.iter().filter(fitting);
        let held = kept.clone().find_map(|candidate| self.quarantine.get(&candidate.digest));
        if let Some(quarantined) = held {
            return quarantined_text(quarantined);
        }
        let (name, pins) = (&self.plugin.name, pins(self.plugin));
        match kept.next() {
            Some(kept) => format!(
                "no component in the plugin directory is `{name}`{pins}; {} was in use and is kept: \
                 `symbolon plugin activate` takes it",
                kept.component
            ),
            None => format!(
                "no component in the plugin directory or the catalog is `{name}`{pins}; see \
                 `symbolon plugin ls`"
            ),
        }
    }
}

fn several_text(plugin: &PluginRef, several: &[&Candidate]) -> String {
    let list: Vec<_> = several.iter().map(|one| one.component.to_string()).collect();
    format!(
        "several components are `{}`: {}; name one by `version` or `digest`, or activate one",
        plugin.name,
        list.join(", ")
    )
}

/// What is said of a component in quarantine.
#[must_use]
pub fn quarantined_text(quarantined: &Quarantined) -> String {
    let Quarantined { component, backend, reason, is_everywhere, .. } = quarantined;
    let of_whom = if *is_everywhere { "in quarantine" } else { "in quarantine for it alone" };
    format!(
        "{component} is {of_whom} since it was in use for `{backend}` ({reason}); `symbolon plugin \
         release` ends that"
    )
}

/// What is pinned, in words.
fn pins(plugin: &PluginRef) -> String {
    let version = plugin.version.as_ref().map(|version| format!(" version {version}"));
    let digest = plugin.digest.as_ref().map(|digest| format!(" with digest {digest}"));
    version.unwrap_or_default() + &digest.unwrap_or_default()
}
