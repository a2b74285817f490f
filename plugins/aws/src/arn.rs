//! ARNs, as far as answers are held against them.

/// A role, by its ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Role<'a> {
    pub(crate) partition: &'a str,
    account: &'a str,
    /// Without its path, which sessions do not show.
    name: &'a str,
}

impl<'a> Role<'a> {
    /// Reads `arn:aws:iam::123456789012:role/path/name`.
    pub(crate) fn parse(arn: &'a str) -> Option<Self> {
        let pieces: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = pieces.as_slice() else {
            return None;
        };
        let path = resource.strip_prefix("role/")?;
        let name = path.rsplit('/').next()?;
        let plain = |text: &str, marks: &[u8]| {
            text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
        };
        let sound = is_account(account)
            && (1..=64).contains(&name.len())
            && (20..=2048).contains(&arn.len())
            && plain(name, b"_+=,.@-")
            && plain(path, b"_+=,.@-/");
        sound.then_some(Self { partition, account, name })
    }

    /// The ARN of a session of it.
    pub(crate) fn session(&self, name: &str) -> String {
        let Self { partition, account, name: role } = self;
        format!("arn:{partition}:sts::{account}:assumed-role/{role}/{name}")
    }
}

/// Whether this is the whole ARN of a secret of a region: one without the six characters that AWS
/// adds to a name is a partial one, which can mean another secret.
pub(crate) fn is_secret(arn: &str, partition: &str, region: &str) -> bool {
    let pieces: Vec<&str> = arn.splitn(7, ':').collect();
    let ["arn", of, "secretsmanager", place, account, "secret", name] = pieces.as_slice() else {
        return false;
    };
    let is_whole = name.rsplit_once('-').is_some_and(|(name, suffix)| {
        !name.is_empty() && suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    *of == partition && *place == region && is_account(account) && is_whole && !name.contains(':')
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
