//! Fuzz target: statements that operators write, from the SDK's parser to the text that the host would
//! send, judged by the host's own lexer.
//!
//! Whatever a template is, if it is accepted: nothing of it is lost, the host sees one statement in
//! which each value is one token of its kind, and no value changes how many tokens there are, nor what
//! the others are.
//!
//! The SDK compiles to another target, in a workspace of its own, and the host shows nobody its lexer. So
//! the sources of both are taken as they are, by their paths, as crates of this one program; what the
//! SDK's bindings would hand to the host comes to [`bindings`].

use std::cell::RefCell;
use std::process::ExitCode;

use symbolon_core::secret::Secret;
use symbolon_fuzz::{Target, drive};

use crate::bindings::sql::Fragment;
use crate::sql::template::{Template, Values};
use crate::sql::{Host, Sql as _};
use crate::statement::{Statement, StatementFault, VERIFIER};

#[path = "../../../../gateway/host/src/sql/lexer.rs"]
mod lexer;
#[expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the SDK's, of which this needs templates alone"
)]
#[path = "../../../../plugins/sdk/src/sql/mod.rs"]
mod sql;
#[expect(dead_code, unreachable_pub, reason = "the host's, of which this needs the text alone")]
#[path = "../../../../gateway/host/src/sql/statement.rs"]
mod statement;
#[expect(dead_code, unreachable_pub, reason = "the SDK's, which writes the moments in statements")]
#[path = "../../../../plugins/sdk/src/time.rs"]
mod time;

/// As the contract has it: seconds.
type Timestamp = u64;

/// The SDK's error, which nothing here makes.
#[derive(Debug)]
pub struct Error;

/// What the contract's bindings are to both sides.
#[expect(dead_code, unreachable_pub, reason = "as much as the contract has")]
mod bindings {
    pub mod sql {
        /// A piece of a statement.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Fragment {
            Raw(String),
            Identifier(String),
            Literal(String),
            Material(String),
            Parameter(Value),
        }

        /// A value of a column or parameter.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Value {
            Null,
            Boolean(bool),
            Integer(i64),
            Text(String),
            Bytes(Vec<u8>),
        }

        pub mod symbolon {
            pub mod plugin {
                pub mod sql {
                    pub use super::super::super::{Fragment, Value};
                    use crate::{Error, take};

                    /// What a query answers.
                    #[derive(Clone, Debug, Default)]
                    pub struct Rows {
                        pub columns: Vec<String>,
                        pub rows: Vec<Vec<Value>>,
                    }

                    pub fn query(_: Option<&str>, of: &[Fragment]) -> Result<Rows, Error> {
                        take(of);
                        Ok(Rows::default())
                    }

                    pub fn transaction(
                        _: Option<&str>,
                        all: &[Vec<Fragment>],
                    ) -> Result<Vec<u64>, Error> {
                        all.iter().for_each(|of| take(of));
                        Ok(Vec::new())
                    }

                    pub fn execute(_: Option<&str>, of: &[Fragment]) -> Result<u64, Error> {
                        take(of);
                        Ok(0)
                    }
                }
            }
        }
    }
}

/// The host's check of a verifier, which is a constant here.
mod material {
    pub(super) fn is_verifier(text: &str) -> bool {
        text == super::SCRAM
    }
}

const SCRAM: &str = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy";

thread_local! {
    /// What came to the host.
    static SENT: RefCell<Vec<Fragment>> = const { RefCell::new(Vec::new()) };
}

fn take(fragments: &[Fragment]) {
    SENT.with_borrow_mut(|sent| *sent = fragments.to_vec());
}

/// Names as no host makes them, and each could be one.
const NAMES: [&str; 8] = [
    "sy_reader_01jbx7k2m9p4qrstvwxyz01234",
    "x\"; DROP ROLE y; --",
    "'; DROP ROLE y; --",
    "$$",
    "/*",
    "\\",
    "\"",
    "é\u{a0}\n",
];

const SEEDS: [&str; 8] = [
    "CREATE ROLE {{name}} LOGIN PASSWORD {{password_verifier}} VALID UNTIL {{expiration}}",
    "GRANT CONNECT ON DATABASE app TO {{name}};",
    "ALTER ROLE {{name}} SET search_path TO 'a', \"b\" -- a comment\n;",
    "DO $do$ BEGIN PERFORM 1; END $do$ /* {{1,2}} /* nested */ */",
    "SELECT E'a\\'b' 'c', U&'d\\0061' UESCAPE '!', U&\"e\", b'1', x'1F', $1, {{expiration}}",
    "SELECT E'a'\n'b\\'', {{name}}",
    "COMMENT ON ROLE {{name}} IS N'{{1,2},{3,4}}'",
    "ALTER ROLE\t{{name}}\nRENAME TO a$b",
];
const WORDS: &[&str] = &[
    "{{name}}",
    "{{password_verifier}}",
    "{{expiration}}",
    " {{name}} ",
    "{{",
    "}}",
    "'",
    "''",
    "\"",
    "\\",
    "\\'",
    "$$",
    "$a$",
    "$1",
    "$",
    "E'",
    "e'",
    "U&'",
    "u&\"",
    "N'",
    "B'",
    "X'",
    "--",
    "\n",
    "\r",
    "/*",
    "*/",
    ";",
    "UESCAPE",
    "é",
    "\u{b}",
    ",",
    "(",
    ")",
    "CREATE ROLE ",
    "COMMIT",
    "1e",
    "&",
    ":",
];

fn main() -> ExitCode {
    let seeds = SEEDS.map(|seed| seed.as_bytes().to_vec()).to_vec();
    drive(&Target { name: "sql_template", seeds, words: WORDS, check })
}

fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(fault) => {
            assert!((1..=text.chars().count() + 1).contains(&fault.position), "{fault}");
            return false;
        }
    };
    let [first, others @ ..] = NAMES;
    let fragments = sent(&template, first, 0);
    assert_whole(text, first, &fragments);
    let expected = rendered(fragments);
    for (name, expiration) in others.into_iter().zip([1, u64::MAX].into_iter().cycle()) {
        let found = rendered(sent(&template, name, expiration));
        assert_alike(&expected, &found, name);
    }
    true
}

/// What the host gets of it.
fn sent(template: &Template, name: &str, expiration: Timestamp) -> Vec<Fragment> {
    let statement = template.statement(Values { name, expiration });
    assert!(Host.execute(None, statement).is_ok(), "it was sent");
    SENT.take()
}

/// The template is what was written, but for the marks of its end.
fn assert_whole(text: &str, name: &str, fragments: &[Fragment]) {
    let source = |fragment: &Fragment| match fragment {
        Fragment::Raw(text) => text.clone(),
        Fragment::Identifier(found) => {
            assert_eq!(found, name, "a name and nothing else is an identifier");
            "{{name}}".to_owned()
        }
        Fragment::Literal(_) => "{{expiration}}".to_owned(),
        Fragment::Material(_) => "{{password_verifier}}".to_owned(),
        Fragment::Parameter(value) => format!("a parameter: {value:?}"),
    };
    let rebuilt: String = fragments.iter().map(source).collect();
    assert_eq!(rebuilt.replace(';', ""), text.replace(';', ""), "something is lost");
}

type Rendered = Result<Vec<lexer::Kind>, StatementFault>;

/// What the tokens of the text that the host would send are; or why it would not.
fn rendered(fragments: Vec<Fragment>) -> Rendered {
    let materials = [(VERIFIER.to_owned(), Secret::from(SCRAM.to_owned()))];
    let statement = Statement::render(fragments, &materials)?;
    let tokens = lexer::tokens(statement.text()).map_err(|_| StatementFault::Unclosed)?;
    Ok(tokens.iter().map(|token| token.kind).collect())
}

/// A name changes no token. What the host does not send at all, it does not send whatever the name is.
fn assert_alike(expected: &Rendered, found: &Rendered, name: &str) {
    // Quotes are doubled, so that one name has room and another has not.
    let is_long = |outcome: &Rendered| matches!(outcome, Err(StatementFault::TooLong));
    if !is_long(expected) && !is_long(found) {
        assert_eq!(found, expected, "{name}");
    }
    // Whose transactions are, is not a matter of quoting; nothing else may be left to refuse.
    let is_fair =
        |fault: &StatementFault| matches!(fault, StatementFault::Control | StatementFault::TooLong);
    let fault = expected.as_ref().err();
    assert!(fault.is_none_or(is_fair), "it was taken, and the host refuses it: {fault:?}");
}
