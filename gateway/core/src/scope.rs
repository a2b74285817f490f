//! What an access token of our own is good for: some of the verbs that policies speak of.
//!
//! A scope only takes away. Whoever asks for a token may leave out what the token will not be used
//! for, so that one which is lost does less; what is left is decided by the policies as ever.
//!
//! INVARIANT: no scope holds `administer`. Operating the gateway takes a proof that was made for it.

use std::fmt;

use crate::ask::Action;

/// A set of actions, `administer` never among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope(u8);

impl Scope {
    /// Everything that a token can be good for.
    pub const EVERYTHING: Self = Self(0b0011_1111);

    /// The actions that a scope can name.
    pub const ACTIONS: [Action; 6] = [
        Action::Read,
        Action::Issue,
        Action::Exchange,
        Action::Renew,
        Action::Revoke,
        Action::List,
    ];

    /// The scope of these names; `None` if one is unknown, or there is none.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut scope = Self(0);
        for name in names {
            let action = Self::ACTIONS.into_iter().find(|action| action.as_str() == name)?;
            scope.0 |= bit(action);
        }
        (scope.0 != 0).then_some(scope)
    }

    /// Reads what [`Scope`] displays as: names with one space between.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::of(text.split(' '))
    }

    /// Whether it is good for `action`.
    #[must_use]
    pub fn allows(self, action: Action) -> bool {
        self.0 & bit(action) != 0
    }

    /// Whether everything in it is in `other` too.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.0 & other.0 == self.0
    }
}

const fn bit(action: Action) -> u8 {
    match action {
        Action::Read => 1,
        Action::Issue => 2,
        Action::Exchange => 4,
        Action::Renew => 8,
        Action::Revoke => 16,
        Action::List => 32,
        Action::Administer => 0,
    }
}

/// As in the claim `scope` (RFC 8693 §4.2): names with one space between.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::ACTIONS.into_iter().filter(|action| self.allows(*action));
        names.enumerate().try_for_each(|(at, action)| match at {
            0 => write!(f, "{action}"),
            _ => write!(f, " {action}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_as_it_is_written_and_never_administers() {
        for text in ["read", "read list", "read issue exchange renew revoke list"] {
            assert_eq!(Scope::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", " ", "read  list", "administer", "read administer", "Read", "read,list"] {
            assert_eq!(Scope::parse(bad), None, "{bad:?}");
        }
        assert!(!Scope::EVERYTHING.allows(Action::Administer));
        assert!(Scope::ACTIONS.into_iter().all(|action| Scope::EVERYTHING.allows(action)));
    }

    #[test]
    fn what_is_within_has_nothing_more() {
        let of = |text| Scope::parse(text).unwrap();
        assert!(of("read").is_within(of("read list")));
        assert!(!of("read issue").is_within(of("read list")));
        assert!(of("read").is_within(Scope::EVERYTHING));
    }
}
