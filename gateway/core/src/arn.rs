//! Amazon Resource Names, as far as they name somebody.

/// A parsed ARN: `arn:<partition>:<service>:<region>:<account>:<resource>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: &'a str,
    /// `iam` or `sts`, where it names somebody.
    pub service: &'a str,
    /// Twelve digits.
    pub account: &'a str,
    /// What of the account, such as `role/path/name`.
    pub resource: &'a str,
}

/// What kind of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// `role/…`
    Role,
    /// `user/…`
    User,
    /// `assumed-role/…/…`
    AssumedRole,
    /// `federated-user/…`
    FederatedUser,
    /// `root`
    Root,
}

impl<'a> Arn<'a> {
    /// Parses the ARN of somebody of an account. There is no region in it, and nothing but printable
    /// ASCII.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let is_plain = text.len() <= 2048 && text.bytes().all(|b| b.is_ascii_graphic());
        let mut parts = text.split(':');
        let mut next = || parts.next();
        let (arn, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let is_known = ["aws", "aws-cn", "aws-us-gov"].contains(&partition);
        let fits = is_plain && is_known && arn == "arn" && region.is_empty() && next().is_none();
        let named = ["iam", "sts"].contains(&service) && !resource.is_empty();
        (fits && named && is_account(account)).then_some(Self {
            partition,
            service,
            account,
            resource,
        })
    }

    /// What kind of somebody it is, if of a known kind and with a name.
    #[must_use]
    pub fn kind(&self) -> Option<ResourceKind> {
        if self.resource == "root" {
            return Some(ResourceKind::Root);
        }
        let (kind, name) = self.resource.split_once('/')?;
        if name.split('/').any(str::is_empty) {
            return None;
        }
        match kind {
            "role" => Some(ResourceKind::Role),
            "user" => Some(ResourceKind::User),
            "assumed-role" => Some(ResourceKind::AssumedRole),
            "federated-user" => Some(ResourceKind::FederatedUser),
            _ => None,
        }
    }
}

/// Twelve digits.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_somebody_of_an_account_or_nobody() {
        let arn = Arn::parse("arn:aws:iam::123456789012:role/path/name").unwrap();
        assert_eq!((arn.account, arn.kind()), ("123456789012", Some(ResourceKind::Role)));
        for text in [
            "",
            "arn:aws:iam::123456789012",
            "arn:aws:iam::123456789012:role/a:b",
            "arn:aws:iam:eu-west-1:123456789012:role/a",
            "arn:aws:iam::12345678901:role/a",
            "arn:aws:iam::12345678901a:role/a",
            "arn:evil:iam::123456789012:role/a",
            "arn:aws:s3::123456789012:role/a",
            "arn:aws:iam::123456789012:",
            "ARN:aws:iam::123456789012:role/a",
            "arn:aws:iam::123456789012:role/a b",
        ] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
        for (resource, kind) in [
            ("root", Some(ResourceKind::Root)),
            ("user/a", Some(ResourceKind::User)),
            ("assumed-role/a/b", Some(ResourceKind::AssumedRole)),
            ("federated-user/a", Some(ResourceKind::FederatedUser)),
            ("role/", None),
            ("role/a//b", None),
            ("role", None),
            ("group/a", None),
        ] {
            let text = format!("arn:aws:iam::123456789012:{resource}");
            assert_eq!(Arn::parse(&text).unwrap().kind(), kind, "{resource}");
        }
    }
}
