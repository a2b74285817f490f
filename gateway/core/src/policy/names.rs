//! The one table of what policies speak of: entity types, what lies in what, and which action goes
//! with which resource. The generated schema, the index and every request are read off it, so that
//! they cannot disagree.

use std::str::FromStr;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, ParseErrors};

use crate::ask::Action;

/// The entity types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// `<issuer>/<subject>`.
    Workload,
    /// `<alias>`.
    Issuer,
    /// `uid:<number>`.
    Admin,
    /// `<backend>`.
    Backend,
    /// `<backend>/<path>`.
    Folder,
    /// `<backend>/<path>`.
    Secret,
    /// `<backend>/<role>`.
    Role,
    /// `<target>`.
    Target,
    /// `gateway`.
    Gateway,
}

impl Kind {
    pub(super) const ALL: [Self; 9] = [
        Self::Workload,
        Self::Issuer,
        Self::Admin,
        Self::Backend,
        Self::Folder,
        Self::Secret,
        Self::Role,
        Self::Target,
        Self::Gateway,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "Workload",
            Self::Issuer => "Issuer",
            Self::Admin => "Admin",
            Self::Backend => "Backend",
            Self::Folder => "Folder",
            Self::Secret => "Secret",
            Self::Role => "Role",
            Self::Target => "Target",
            Self::Gateway => "Gateway",
        }
    }

    /// The kind of an entity, `None` if it is none of ours (an action).
    pub(super) fn of(name: &EntityTypeName) -> Option<Self> {
        let ours = |kind: &Self| kind.as_str() == name.basename();
        Self::ALL.into_iter().find(ours).filter(|_| name.namespace_components().next().is_none())
    }

    /// The types in which an entity of this type can lie.
    pub(super) const fn containers(self) -> &'static [Self] {
        match self {
            Self::Workload => &[Self::Issuer],
            Self::Folder | Self::Secret => &[Self::Folder, Self::Backend],
            Self::Role => &[Self::Backend],
            Self::Issuer | Self::Admin | Self::Backend | Self::Target | Self::Gateway => &[],
        }
    }

    /// Whether an entity of this type can be `in` one of type `other`.
    pub(super) fn can_be_in(self, other: Self) -> bool {
        self == other || self.containers().contains(&other)
    }
}

/// An action together with a type of resource on which it is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Lane {
    pub(super) action: Action,
    pub(super) resource: Kind,
}

impl Lane {
    /// Every lane. What has a lease (a role's credential, a target's token) can be renewed and
    /// revoked, and the leases themselves listed; the top of a backend is listed like a folder. Of the
    /// gateway itself one gets access tokens, and looks at what they say.
    pub(super) const ALL: [Self; 14] = [
        Self::new(Action::Read, Kind::Secret),
        Self::new(Action::Issue, Kind::Role),
        Self::new(Action::Exchange, Kind::Target),
        Self::new(Action::Renew, Kind::Role),
        Self::new(Action::Renew, Kind::Target),
        Self::new(Action::Revoke, Kind::Role),
        Self::new(Action::Revoke, Kind::Target),
        Self::new(Action::List, Kind::Folder),
        Self::new(Action::List, Kind::Backend),
        Self::new(Action::List, Kind::Role),
        Self::new(Action::List, Kind::Target),
        Self::new(Action::Exchange, Kind::Gateway),
        Self::new(Action::List, Kind::Gateway),
        Self::new(Action::Administer, Kind::Gateway),
    ];

    const fn new(action: Action, resource: Kind) -> Self {
        Self { action, resource }
    }

    /// The lane of an action on a type of resource, if the action is defined on it.
    pub(super) fn find(action: Action, resource: Kind) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| *lane == Self::new(action, resource))
    }

    /// Who can act here. Only administration knows peers of the admin socket.
    pub(super) const fn principals(self) -> &'static [Kind] {
        match self.action {
            Action::Administer => &[Kind::Admin, Kind::Workload],
            Action::Read
            | Action::Issue
            | Action::Exchange
            | Action::Renew
            | Action::Revoke
            | Action::List => &[Kind::Workload],
        }
    }
}

/// Cedar's names, parsed once.
#[derive(Clone, Debug)]
pub(super) struct Names {
    workload: EntityTypeName,
    issuer: EntityTypeName,
    admin: EntityTypeName,
    backend: EntityTypeName,
    folder: EntityTypeName,
    secret: EntityTypeName,
    role: EntityTypeName,
    target: EntityTypeName,
    gateway: EntityTypeName,
    action: EntityTypeName,
}

impl Names {
    pub(super) fn new() -> Result<Self, Box<ParseErrors>> {
        let name = |kind: Kind| EntityTypeName::from_str(kind.as_str()).map_err(Box::new);
        Ok(Self {
            workload: name(Kind::Workload)?,
            issuer: name(Kind::Issuer)?,
            admin: name(Kind::Admin)?,
            backend: name(Kind::Backend)?,
            folder: name(Kind::Folder)?,
            secret: name(Kind::Secret)?,
            role: name(Kind::Role)?,
            target: name(Kind::Target)?,
            gateway: name(Kind::Gateway)?,
            action: EntityTypeName::from_str("Action").map_err(Box::new)?,
        })
    }

    /// The entity of a type with an id. The id is a value: nothing in it is ever parsed.
    pub(super) fn uid(&self, kind: Kind, id: &str) -> EntityUid {
        let name = match kind {
            Kind::Workload => &self.workload,
            Kind::Issuer => &self.issuer,
            Kind::Admin => &self.admin,
            Kind::Backend => &self.backend,
            Kind::Folder => &self.folder,
            Kind::Secret => &self.secret,
            Kind::Role => &self.role,
            Kind::Target => &self.target,
            Kind::Gateway => &self.gateway,
        };
        EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
    }

    /// The entity of an action.
    pub(super) fn action(&self, action: Action) -> EntityUid {
        EntityUid::from_type_name_and_id(self.action.clone(), EntityId::new(action.as_str()))
    }
}
