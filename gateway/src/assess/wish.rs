//! What is asked for in an attempt: drawn from the configuration and from what its policies name.

use symbolon_core::ask::{Action, Ask, Resource};
use symbolon_core::id::{BackendName, RoleName, TargetName};
use symbolon_core::path::SecretPath;
use symbolon_oracle::{Policies, Thing};

use super::random::Random;
use crate::config::Config;

/// Everything that attempts ask for.
#[derive(Debug, Default)]
pub(super) struct Wishes(Vec<Thing>);

impl Wishes {
    /// What can be asked for under this configuration.
    pub(super) fn of(config: &Config, policies: &Policies) -> Self {
        let mut all = Vec::new();
        for (backend, block) in &config.backends {
            all.extend([
                thing("list", "Backend", backend.to_string()),
                thing("read", "Secret", format!("{backend}/assess/secret")),
            ]);
            let roles = block.roles.keys();
            all.extend(roles.map(|role| thing("issue", "Role", format!("{backend}/{role}"))));
        }
        let targets = config.targets.keys();
        all.extend(targets.map(|target| thing("exchange", "Target", target.to_string())));
        for (kind, id) in policies.named() {
            all.extend(match kind.as_str() {
                "Secret" => vec![thing("read", "Secret", id)],
                "Folder" => vec![
                    thing("read", "Secret", format!("{id}/assess")),
                    thing("read", "Secret", format!("{id}x/assess")),
                    thing("list", "Folder", id),
                ],
                _ => Vec::new(),
            });
        }
        Self(all)
    }

    /// Something that is certainly denied to this principal.
    pub(super) fn denied(
        &self,
        policies: &Policies,
        who: (&str, &str),
        random: &mut Random,
    ) -> Option<Ask> {
        let denied = self.0.iter().filter(|thing| policies.must_deny(who, thing));
        let denied: Vec<_> = denied.filter_map(ask_of).collect();
        random.pick(&denied).cloned()
    }
}

fn thing(action: &'static str, kind: &'static str, id: String) -> Thing {
    Thing { action, kind, id }
}

fn ask_of(thing: &Thing) -> Option<Ask> {
    let action = Action::ALL.into_iter().find(|action| action.as_str() == thing.action)?;
    let (backend, rest) = thing.id.split_once('/').unwrap_or((&thing.id, ""));
    let backend = BackendName::parse(backend).ok();
    let resource = match thing.kind {
        "Secret" => Resource::Secret { backend: backend?, path: SecretPath::parse(rest).ok()? },
        "Folder" => {
            let folder = Some(SecretPath::parse(rest).ok()?);
            Resource::Folder { backend: backend?, folder }
        }
        "Backend" => Resource::Folder { backend: backend?, folder: None },
        "Role" => Resource::Role { backend: backend?, role: RoleName::parse(rest).ok()? },
        "Target" => Resource::Target(TargetName::parse(&thing.id).ok()?),
        _ => return None,
    };
    Some(Ask::of(action, resource))
}
