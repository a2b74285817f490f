//! The token service's answers: XML, read strictly.
//!
//! INVARIANT: keys are taken only from an answer that names the role and the session that were
//! asked for, account included. Of a refusal the code is read, and of its message how it begins.

use roxmltree::{Document, Node, ParsingOptions};
use symbolon_plugin::http::Response;
use symbolon_plugin::{Error, Timestamp, Token, time};

use crate::refusal::{self, Refusal};
use crate::sts::Wanted;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// An answer has some twenty.
const MOST_NODES: u32 = 200;

/// What was asked.
pub(crate) struct Asked<'a> {
    /// `AssumeRole` or `AssumeRoleWithWebIdentity`.
    pub(crate) action: &'a str,
    /// The ARN of the session.
    pub(crate) session: String,
    /// The session.
    pub(crate) wanted: &'a Wanted,
    /// The time now.
    pub(crate) now: Timestamp,
}

/// The keys in an answer.
pub(crate) fn token(answer: &Response, asked: &Asked<'_>) -> Result<Token, Error> {
    if answer.status != 200 {
        return Err(refused(answer));
    }
    let malformed = || Error::malformed_answer("the answer is not that of the token service");
    let text = std::str::from_utf8(&answer.body).map_err(|_| malformed())?;
    let document = parse(text).ok_or_else(malformed)?;
    let action = asked.action;
    let result = root(&document, &format!("{action}Response"))
        .and_then(|root| child(root, &format!("{action}Result")))
        .ok_or_else(malformed)?;
    let session = child(result, "AssumedRoleUser").and_then(|user| leaf(user, "Arn"));
    if session != Some(asked.session.as_str()) {
        return Err(Error::malformed_answer("the session is not one of the role asked for"));
    }
    child(result, "Credentials").and_then(|keys| taken(keys, asked)).ok_or_else(malformed)
}

/// The keys, which end no later than was asked.
fn taken(keys: Node<'_, '_>, asked: &Asked<'_>) -> Option<Token> {
    let plain = |text: &str, longest: usize| {
        (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    let id = leaf(keys, "AccessKeyId").filter(|id| {
        (16..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })?;
    let secret = leaf(keys, "SecretAccessKey").filter(|text| plain(text, 256))?;
    let session = leaf(keys, "SessionToken").filter(|text| plain(text, 32 * 1024))?;
    let known_until = time::parse(leaf(keys, "Expiration")?).filter(|end| *end > asked.now)?;
    let mut token = Token::aws(id, secret, session, known_until.min(asked.wanted.ends_at));
    token.metadata = vec![
        ("session".to_owned(), asked.session.clone()),
        ("keys_known_until".to_owned(), time::format(known_until)),
    ];
    // An ARN may be longer than metadata is.
    token.metadata.retain(|(_, value)| value.len() <= 1024);
    Some(token)
}

/// A refusal, whose error may be another service's, or none.
fn refused(answer: &Response) -> Error {
    let document = std::str::from_utf8(&answer.body).ok().and_then(parse);
    let error = document
        .as_ref()
        .and_then(|document| root(document, "ErrorResponse"))
        .and_then(|root| child(root, "Error"));
    let refusal = error.and_then(|error| {
        Some(Refusal { code: leaf(error, "Code")?, message: leaf(error, "Message") })
    });
    refusal::of_sts(answer, refusal)
}

/// No document type, so no entities but XML's own.
fn parse(text: &str) -> Option<Document<'_>> {
    let options =
        ParsingOptions { allow_dtd: false, nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).ok()
}

fn root<'a, 'i>(document: &'a Document<'i>, name: &str) -> Option<Node<'a, 'i>> {
    Some(document.root_element()).filter(|root| is_named(*root, name))
}

fn is_named(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element()
        && node.tag_name().name() == name
        && node.tag_name().namespace() == Some(NAMESPACE)
}

/// The one child of a name: of two, neither is believed.
fn child<'a, 'i>(of: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    let mut found = of.children().filter(|node| is_named(*node, name));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The text of the one child of a name, which holds nothing else.
fn leaf<'a>(of: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let mut inside = child(of, name)?.children();
    let text = inside.next().filter(Node::is_text)?;
    if inside.next().is_some() {
        return None;
    }
    text.text()
}
