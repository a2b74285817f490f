//! From fragments to the text of one statement.
//!
//! INVARIANT: a value is an identifier, a literal or a bind parameter because the host made it one:
//! each is surrounded by blanks and must come out as exactly one token of its kind in the finished
//! text. A template that would let it be anything else is refused, whatever the value is.
//!
//! INVARIANT: a text holds one statement, and none that begins or ends a transaction: those belong
//! to the host. (The server would refuse several as well: everything goes through the extended
//! protocol, which takes one.)

use symbolon_core::secret::Secret;
use zeroize::Zeroizing;

use super::lexer::{self, Kind, Token};
use super::material::is_verifier;
use crate::bindings::sql::{Fragment, Value};

/// Longest text of a statement, its parameters included.
pub(crate) const MAX_STATEMENT_BYTES: usize = 64 << 10;
/// Longer identifiers are cut by the server, and then name something else.
pub(crate) const MAX_IDENTIFIER_BYTES: usize = 63;
/// The material that must be a SCRAM verifier: anything else would be taken for a password in the
/// clear.
pub(crate) const VERIFIER: &str = "password_verifier";

/// The words with which only the host may begin a statement.
const CONTROL: &[&str] = &[
    "ABORT",
    "BEGIN",
    "COMMIT",
    "COPY",
    "END",
    "PREPARE",
    "RELEASE",
    "ROLLBACK",
    "SAVEPOINT",
    "START",
];

/// Statements that happen as a whole or not at all, outside a transaction too. Others (`VACUUM`,
/// `CREATE DATABASE`, a procedure) may have done a part when they fail.
const ATOMIC: &[&str] = &[
    "DELETE", "GRANT", "INSERT", "MERGE", "REASSIGN", "REVOKE", "SELECT", "SHOW", "TABLE",
    "UPDATE", "VALUES", "WITH",
];

/// Of these, so is what changes roles.
const ATOMIC_FOR_ROLES: &[&str] = &["ALTER", "CREATE", "DROP"];
const ROLES: &[&str] = &["GROUP", "OWNED", "ROLE", "USER"];

/// Why a statement is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    /// Nothing in it.
    #[error("the statement is empty")]
    Empty,
    /// Too long.
    #[error("the statement is longer than 64 KiB")]
    TooLong,
    /// Too many in one transaction.
    #[error("a transaction has more than 64 statements")]
    TooMany,
    /// A NUL, which no text of PostgreSQL's can hold.
    #[error("a part of the statement has a NUL")]
    Nul,
    /// A backslash in a literal.
    #[error("a literal has a backslash")]
    Backslash,
    /// An identifier that is empty or longer than 63 bytes.
    #[error("an identifier is empty or longer than 63 bytes")]
    Identifier,
    /// No such material in this call.
    #[error("the call has no such material")]
    Material,
    /// A verifier that is not one.
    #[error("the password's verifier is malformed")]
    Verifier,
    /// A string, quoted name or comment is not closed.
    #[error("a string, quoted name or comment is not closed")]
    Unclosed,
    /// A value stands inside a string, quoted name or comment.
    #[error("a value stands where it would not be by itself")]
    Boundary,
    /// Several statements.
    #[error("the text has more than one statement")]
    Several,
    /// The beginning or end of a transaction, or `COPY`.
    #[error("transactions belong to the host, and COPY is not offered")]
    Control,
    /// A name that no database can have.
    #[error("a database's name has 1 to 63 bytes and no control characters")]
    Database,
}

impl StatementFault {
    /// The name in audit records and logs, and the code that a plugin sees.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "statement_empty",
            Self::TooLong => "statement_too_long",
            Self::TooMany => "statement_too_many",
            Self::Nul => "statement_nul",
            Self::Backslash => "statement_backslash",
            Self::Identifier => "statement_identifier",
            Self::Material => "statement_material",
            Self::Verifier => "statement_verifier",
            Self::Unclosed => "statement_unclosed",
            Self::Boundary => "statement_boundary",
            Self::Several => "statement_several",
            Self::Control => "statement_control",
            Self::Database => "statement_database",
        }
    }
}

/// The text of one statement and its parameters, ready to be sent.
#[derive(Debug)]
pub(crate) struct Statement {
    text: Zeroizing<String>,
    parameters: Vec<Value>,
    /// Whether it does everything or nothing when the server answers it with an error.
    is_atomic: bool,
}

impl Statement {
    /// Renders `fragments`, with the materials of the call.
    pub(crate) fn render(
        fragments: Vec<Fragment>,
        materials: &[(String, Secret)],
    ) -> Result<Self, StatementFault> {
        let mut rendering = Rendering::default();
        for fragment in fragments {
            rendering.push(fragment, materials)?;
            if rendering.text.len().saturating_add(rendering.bound) > MAX_STATEMENT_BYTES {
                return Err(StatementFault::TooLong);
            }
        }
        let is_atomic = rendering.check()?;
        Ok(Self { text: rendering.text, parameters: rendering.parameters, is_atomic })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn parameters(&self) -> &[Value] {
        &self.parameters
    }

    pub(crate) const fn is_atomic(&self) -> bool {
        self.is_atomic
    }
}

#[derive(Default)]
struct Rendering {
    text: Zeroizing<String>,
    parameters: Vec<Value>,
    /// Bytes of the parameters.
    bound: usize,
    /// What the host made: each must be one token.
    made: Vec<Token>,
}

impl Rendering {
    fn push(
        &mut self,
        fragment: Fragment,
        materials: &[(String, Secret)],
    ) -> Result<(), StatementFault> {
        match fragment {
            Fragment::Raw(text) => {
                no_nul(&text)?;
                self.text.push_str(&text);
            }
            Fragment::Identifier(name) => {
                no_nul(&name)?;
                if name.is_empty() || name.len() > MAX_IDENTIFIER_BYTES {
                    return Err(StatementFault::Identifier);
                }
                self.quoted(Kind::Quoted, '"', &name);
            }
            Fragment::Literal(value) => self.literal(&value)?,
            Fragment::Material(name) => {
                let found = materials.iter().find(|(known, _)| *known == name);
                let (_, value) = found.ok_or(StatementFault::Material)?;
                let value = value.expose_str().ok_or(StatementFault::Material)?;
                if name == VERIFIER && !is_verifier(value) {
                    return Err(StatementFault::Verifier);
                }
                self.literal(value)?;
            }
            Fragment::Parameter(value) => self.parameter(value)?,
        }
        Ok(())
    }

    fn literal(&mut self, value: &str) -> Result<(), StatementFault> {
        no_nul(value)?;
        if value.contains('\\') {
            return Err(StatementFault::Backslash);
        }
        self.quoted(Kind::Text, '\'', value);
        Ok(())
    }

    fn parameter(&mut self, value: Value) -> Result<(), StatementFault> {
        let bytes = match &value {
            Value::Null | Value::Boolean(_) | Value::Integer(_) => 8,
            Value::Bytes(bytes) => bytes.len(),
            Value::Text(text) => {
                no_nul(text)?;
                text.len()
            }
        };
        self.bound = self.bound.saturating_add(bytes);
        self.parameters.push(value);
        let number = format!("${}", self.parameters.len());
        self.made(Kind::Parameter, &number);
        Ok(())
    }

    fn quoted(&mut self, kind: Kind, quote: char, value: &str) {
        let doubled = if quote == '"' { "\"\"" } else { "''" };
        let value = Zeroizing::new(value.replace(quote, doubled));
        let token = Zeroizing::new(format!("{quote}{}{quote}", value.as_str()));
        self.made(kind, &token);
    }

    /// Blanks around it, so that nothing beside it can become a part of it.
    fn made(&mut self, kind: Kind, token: &str) {
        self.text.push(' ');
        let start = self.text.len();
        self.text.push_str(token);
        self.made.push(Token { kind, start, end: self.text.len() });
        self.text.push(' ');
    }

    /// Looks at the finished text as the server will; answers whether the statement is atomic.
    fn check(&self) -> Result<bool, StatementFault> {
        let tokens = lexer::tokens(&self.text).map_err(|_| StatementFault::Unclosed)?;
        let at = |made: &Token| tokens.binary_search_by_key(&made.start, |token| token.start).ok();
        let stands = |made: &Token| at(made).and_then(|at| tokens.get(at)) == Some(made);
        if !self.made.iter().all(stands) {
            return Err(StatementFault::Boundary);
        }
        let is_end = |token: &&Token| token.kind == Kind::End;
        let mut body = tokens.iter().skip_while(is_end);
        let first = self.word(body.next().ok_or(StatementFault::Empty)?);
        let second = body.clone().next().map(|token| self.word(token)).unwrap_or_default();
        if body.skip_while(|token| !is_end(token)).any(|token| !is_end(&token)) {
            return Err(StatementFault::Several);
        }
        if CONTROL.contains(&first.as_str()) {
            return Err(StatementFault::Control);
        }
        let of_roles =
            ATOMIC_FOR_ROLES.contains(&first.as_str()) && ROLES.contains(&second.as_str());
        Ok(of_roles || ATOMIC.contains(&first.as_str()))
    }

    fn word(&self, token: &Token) -> String {
        let text = self.text.get(token.start..token.end).unwrap_or_default();
        if token.kind == Kind::Word { text.to_ascii_uppercase() } else { String::new() }
    }
}

fn no_nul(text: &str) -> Result<(), StatementFault> {
    if text.contains('\0') { Err(StatementFault::Nul) } else { Ok(()) }
}

/// Whether a database can have this name. It goes into a startup packet, where nothing quotes it.
pub(crate) fn check_database(name: &str) -> Result<(), StatementFault> {
    let fits =
        (1..=MAX_IDENTIFIER_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(StatementFault::Database) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCRAM: &str = "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$zHCdol2044/ZyWzPLi7oxApCkamKw9Z+E4U/QApd/5Y=:dd5peBOitVnLNFu7VmwP+HiDaaw4OUCv396eVCWhYiE=";

    fn raw(text: &str) -> Fragment {
        Fragment::Raw(text.into())
    }

    fn identifier(text: &str) -> Fragment {
        Fragment::Identifier(text.into())
    }

    fn literal(text: &str) -> Fragment {
        Fragment::Literal(text.into())
    }

    fn rendered(fragments: Vec<Fragment>) -> Result<String, StatementFault> {
        let materials = [
            (VERIFIER.to_owned(), Secret::from(SCRAM.to_owned())),
            ("username".to_owned(), Secret::from("sy_o'r".to_owned())),
        ];
        Statement::render(fragments, &materials).map(|statement| statement.text().to_owned())
    }

    #[test]
    fn what_is_quoted_is_one_token_whatever_is_in_it() {
        for (fragments, expected) in [
            (
                vec![raw("CREATE ROLE"), identifier("a\"; DROP ROLE b --"), raw("LOGIN")],
                "CREATE ROLE \"a\"\"; DROP ROLE b --\" LOGIN",
            ),
            (vec![raw("SELECT"), literal("o'; --")], "SELECT 'o''; --' "),
            (vec![raw("SELECT"), Fragment::Material("username".into())], "SELECT 'sy_o''r' "),
            (vec![raw("SELECT"), Fragment::Parameter(Value::Integer(1)), raw("0")], "SELECT $1 0"),
            (vec![raw("SELECT E"), literal("x")], "SELECT E 'x' "),
        ] {
            assert_eq!(rendered(fragments), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn a_verifier_is_checked_and_a_password_is_no_material() {
        let statement = |name: &str| vec![raw("SELECT"), Fragment::Material(name.into())];
        assert!(rendered(statement(VERIFIER)).unwrap().contains(SCRAM));
        assert_eq!(rendered(statement("password")), Err(StatementFault::Material));
        let cut = [(VERIFIER.to_owned(), Secret::from(SCRAM[..SCRAM.len() - 1].to_owned()))];
        let refused = Statement::render(statement(VERIFIER), &cut);
        assert_eq!(refused.unwrap_err(), StatementFault::Verifier);
    }

    #[test]
    fn what_could_be_more_than_one_statement_or_token_is_refused() {
        let long = "x".repeat(64);
        for (fragments, fault) in [
            (vec![], StatementFault::Empty),
            (vec![raw(" ; -- x")], StatementFault::Empty),
            (vec![raw("SELECT 1; SELECT 2")], StatementFault::Several),
            (vec![raw(";SELECT 1;;SELECT 2")], StatementFault::Several),
            (vec![raw("SELECT 1 /* ; */; DROP ROLE x")], StatementFault::Several),
            (vec![raw("SELECT"), literal("a"), raw("; DROP ROLE x")], StatementFault::Several),
            (vec![raw("SELECT '"), literal("a"), raw("'")], StatementFault::Boundary),
            (vec![raw("SELECT \""), identifier("a"), raw("\"")], StatementFault::Boundary),
            (vec![raw("SELECT 1 --"), literal("a")], StatementFault::Boundary),
            (vec![raw("SELECT E'a'\n'\\'"), identifier("a"), raw("'")], StatementFault::Boundary),
            (vec![raw("SELECT 'a'\n"), literal("b")], StatementFault::Boundary),
            (vec![raw("SELECT /*"), identifier("a"), raw("*/ 1")], StatementFault::Boundary),
            (vec![raw("DO $$ BEGIN"), literal("a"), raw("$$")], StatementFault::Boundary),
            (vec![raw("SELECT $$"), literal("$$; x"), raw("$$")], StatementFault::Unclosed),
            (vec![raw("SELECT 'a")], StatementFault::Unclosed),
            (vec![raw("SELECT"), literal("a\\'b")], StatementFault::Backslash),
            (vec![raw("SELECT"), literal("a\0")], StatementFault::Nul),
            (vec![raw("SELECT \0")], StatementFault::Nul),
            (vec![identifier("a\0")], StatementFault::Nul),
            (vec![identifier("")], StatementFault::Identifier),
            (vec![identifier(&long)], StatementFault::Identifier),
            (vec![raw("commit")], StatementFault::Control),
            (vec![raw("; /* x */ -- y\n Rollback TO a")], StatementFault::Control),
            (vec![raw("COPY t FROM STDIN")], StatementFault::Control),
            (vec![raw(&"x".repeat(64 << 10)), raw("x")], StatementFault::TooLong),
        ] {
            let shown = format!("{fragments:?}");
            assert_eq!(rendered(fragments), Err(fault), "{shown:.200}");
        }
    }

    #[test]
    fn what_may_have_done_a_part_is_known() {
        for (text, is_atomic) in [
            ("select 1", true),
            ("CREATE ROLE x", true),
            ("create /* x */ user x", true),
            ("DROP OWNED BY x", true),
            ("CREATE DATABASE x", false),
            ("DROP INDEX CONCURRENTLY x", false),
            ("CALL p()", false),
            ("VACUUM", false),
        ] {
            let statement = Statement::render(vec![raw(text)], &[]).unwrap();
            assert_eq!(statement.is_atomic(), is_atomic, "{text}");
        }
    }

    proptest! {
        /// A value never changes how many tokens there are, nor what the others are.
        #[test]
        fn no_value_breaks_out(value in "[ -~\n\u{e9}]{0,40}") {
            let fragments = |value: &str| vec![
                raw("ALTER ROLE"), identifier("x"), raw("SET application_name ="), literal(value),
                raw(";"),
            ];
            let safe = rendered(fragments("safe")).unwrap();
            match rendered(fragments(&value)) {
                Ok(text) => {
                    let kinds = |text: &str| lexer::tokens(text).unwrap().iter().map(|t| t.kind).collect::<Vec<_>>();
                    prop_assert_eq!(kinds(&text), kinds(&safe));
                }
                Err(fault) => prop_assert!(value.contains('\\'), "{value:?}: {fault}"),
            }
        }
    }
}
