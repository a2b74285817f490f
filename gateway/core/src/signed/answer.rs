//! What STS answered, read so strictly that nothing else can be taken for it: the media type decides
//! how it is read, the root is the answer to the one question, there is one result, and nothing that
//! is not known.

use super::SignedRefusal;
use crate::arn::{Arn, ResourceKind, is_account};
use crate::token::is_printable;
use crate::token::json::{self, Limits, Object, Value};

/// Most bytes of an answer.
pub(super) const MAX_BYTES: usize = 64 * 1024;
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const ROOT: &str = "GetCallerIdentityResponse";
const RESULT: &str = "GetCallerIdentityResult";
const METADATA: &str = "ResponseMetadata";
const LIMITS: Limits = Limits { depth: 3, top: 1, members: 3, items: 0, string: 2048 };

/// Who signed, by the word of STS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    account: String,
    arn: String,
    user_id: String,
}

/// Who that is.
pub(super) struct Caller<'a> {
    pub(super) subject: String,
    pub(super) account: &'a str,
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) unique_id: Option<&'a str>,
    pub(super) session: Option<&'a str>,
}

impl Answer {
    /// Reads an answer of status 200, by its media type.
    ///
    /// # Errors
    /// [`SignedRefusal::Answer`] if it is anything else than the answer.
    pub fn parse(media_type: &str, body: &[u8]) -> Result<Self, SignedRefusal> {
        let kind = media_type.split(';').next().unwrap_or_default().trim();
        let read = match kind {
            _ if body.len() > MAX_BYTES => None,
            "application/json" | "application/x-amz-json-1.1" => Self::of_json(body),
            "text/xml" | "application/xml" => Self::of_xml(body),
            _ => None,
        };
        let is_plain = |text: &String| !text.is_empty() && is_printable(text) && text.is_ascii();
        let fits = |answer: &Self| {
            [&answer.account, &answer.arn, &answer.user_id].into_iter().all(is_plain)
        };
        read.filter(fits).ok_or(SignedRefusal::Answer)
    }

    fn of_json(body: &[u8]) -> Option<Self> {
        let document = json::object(body, LIMITS).ok()?;
        let root = document.get(ROOT)?.as_object()?;
        let result = root.get(RESULT)?.as_object()?;
        let only = |object: &Object, known: &[&str]| object.names().all(|n| known.contains(&n));
        let fits = only(root, &[RESULT, METADATA]) && only(result, &["Account", "Arn", "UserId"]);
        let text = |name| result.get(name).and_then(Value::as_str).map(str::to_owned);
        fits.then_some(())?;
        Some(Self { account: text("Account")?, arn: text("Arn")?, user_id: text("UserId")? })
    }

    fn of_xml(body: &[u8]) -> Option<Self> {
        // The parser refuses document types, and with them entities, unless it is told otherwise.
        let document = roxmltree::Document::parse(std::str::from_utf8(body).ok()?).ok()?;
        let root = document.root_element();
        let is = |node: &roxmltree::Node<'_, '_>, name: &str| {
            node.tag_name().name() == name && node.tag_name().namespace() == Some(NAMESPACE)
        };
        let mut results = root.children().filter(|node| is(node, RESULT));
        let result = results.next()?;
        let known = |node: &roxmltree::Node<'_, '_>| is(node, RESULT) || is(node, METADATA);
        let fits = is(&root, ROOT)
            && results.next().is_none()
            && root.children().filter(|node| node.is_element()).all(|node| known(&node));
        fits.then_some(())?;
        let elements: Vec<_> = result.children().filter(|node| node.is_element()).collect();
        let text = |name: &str| {
            let mut found = elements.iter().filter(|node| is(node, name));
            let node = found.next().filter(|_| found.next().is_none())?;
            let is_text = node.children().count() == 1 && node.attributes().count() == 0;
            is_text.then(|| node.text().map(str::to_owned)).flatten()
        };
        let answer =
            Self { account: text("Account")?, arn: text("Arn")?, user_id: text("UserId")? };
        (elements.len() == 3).then_some(answer)
    }

    pub(super) fn arn(&self) -> &str {
        &self.arn
    }

    /// Who it is: of the partition that was asked, with account, ARN and id that agree.
    pub(super) fn caller(&self, partition: &str) -> Result<Caller<'_>, SignedRefusal> {
        let arn = Arn::parse(&self.arn).ok_or(SignedRefusal::Caller)?;
        let account = self.account.as_str();
        if arn.partition != partition || arn.account != account || !is_account(account) {
            return Err(SignedRefusal::Disagreement);
        }
        let (_, name) = arn.resource.split_once('/').ok_or(SignedRefusal::Caller)?;
        match (arn.service, arn.kind()) {
            ("iam", Some(ResourceKind::User)) => {
                let name = name.rsplit('/').next().unwrap_or(name);
                self.known("user", name, (&self.user_id, None))
            }
            ("sts", Some(ResourceKind::AssumedRole)) => {
                let (role, session) = name.split_once('/').ok_or(SignedRefusal::Caller)?;
                let (id, of) = self.user_id.split_once(':').ok_or(SignedRefusal::Disagreement)?;
                if of != session {
                    return Err(SignedRefusal::Disagreement);
                }
                self.known("role", role, (id, Some(session)))
            }
            ("sts", Some(ResourceKind::FederatedUser)) => {
                if self.user_id != format!("{account}:{name}") {
                    return Err(SignedRefusal::Disagreement);
                }
                let subject = format!("{account}:federated-user/{name}");
                let (kind, unique_id, session) = ("federated-user", None, None);
                Ok(Caller { subject, account, kind, name, unique_id, session })
            }
            _ => Err(SignedRefusal::Caller),
        }
    }

    /// Somebody with an id of its own, which is never given again: a role or user that is deleted and
    /// made anew is somebody else.
    fn known<'a>(
        &'a self,
        kind: &'static str,
        name: &'a str,
        (id, session): (&'a str, Option<&'a str>),
    ) -> Result<Caller<'a>, SignedRefusal> {
        let is_id =
            id.len() >= 16 && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let prefix = if kind == "role" { "AROA" } else { "AIDA" };
        if !is_id || !id.starts_with(prefix) {
            return Err(SignedRefusal::Disagreement);
        }
        let account = self.account.as_str();
        let subject = format!("{account}:{id}");
        Ok(Caller { subject, account, kind, name, unique_id: Some(id), session })
    }
}
