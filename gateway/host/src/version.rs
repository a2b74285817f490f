//! Versions of plugins: semantic versions (semver 2.0.0), and which of two is newer.
//!
//! A signature says that a version is genuine, not that it is the one to run: who can replace a
//! component can replace it by an older one that is signed as well, and has a hole. So what goes
//! back is named, and needs the operator's word.

use semver::Version;

/// Longest version, in bytes.
const MAX_BYTES: usize = 64;

/// Whether `text` is a version.
pub(crate) fn is_version(text: &str) -> bool {
    parse(text).is_some()
}

fn parse(text: &str) -> Option<Version> {
    Version::parse(text).ok().filter(|_| text.len() <= MAX_BYTES)
}

/// Where a change from one version to another leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To a newer one.
    Up,
    /// To one of the same precedence: the same, or another build of it.
    Aside,
    /// To an older one.
    Down,
    /// Nobody knows: one of them is no version. To be treated as down.
    Unknown,
}

impl Step {
    /// Where `from` → `to` leads, by semver's precedence (§11): a pre-release is older than its
    /// release, and build metadata says nothing.
    #[must_use]
    pub fn between(from: &str, to: &str) -> Self {
        let (Some(from), Some(to)) = (parse(from), parse(to)) else { return Self::Unknown };
        match to.cmp_precedence(&from) {
            std::cmp::Ordering::Greater => Self::Up,
            std::cmp::Ordering::Equal => Self::Aside,
            std::cmp::Ordering::Less => Self::Down,
        }
    }

    /// Whether it needs the operator's word.
    #[must_use]
    pub const fn is_downgrade(self) -> bool {
        matches!(self, Self::Down | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_back_is_told_from_what_goes_on() {
        for (from, to, step) in [
            ("1.2.3", "1.2.4", Step::Up),
            ("1.2.9", "1.2.10", Step::Up),
            ("1.0.0-rc.1", "1.0.0", Step::Up),
            ("1.0.0-rc.9", "1.0.0-rc.10", Step::Up),
            ("1.2.3", "1.2.3", Step::Aside),
            ("1.2.3+a", "1.2.3+b", Step::Aside),
            ("1.2.3", "1.2.2", Step::Down),
            ("2.0.0", "1.99.99", Step::Down),
            ("1.0.0", "1.0.0-rc.1", Step::Down),
            ("1.0.0", "latest", Step::Unknown),
            ("01.0.0", "1.0.0", Step::Unknown),
        ] {
            let found = Step::between(from, to);
            assert_eq!(found, step, "{from} → {to}");
            assert_eq!(found.is_downgrade(), matches!(step, Step::Down | Step::Unknown));
        }
    }
}
