//! Databases: statements in typed pieces, run by the host in the login that it holds.
//!
//! ```
//! use symbolon_plugin::sql;
//!
//! let name = sql::username("reader", "01JBX7K2M9P4QRSTVWXYZ01234");
//! let statement = sql!(
//!     "CREATE ROLE ", identifier(&name),
//!     " LOGIN PASSWORD ", material("password_verifier"),
//!     " VALID UNTIL ", literal(sql::timestamp(1_793_520_000)),
//! );
//! ```
//!
//! INVARIANT: text that is taken as SQL is the plugin's own, fixed when it was compiled, or a
//! [`Template`](template::Template) of the operator's, which was parsed. A value is an identifier, a
//! literal, a material or a parameter, and the host quotes it; none can become another.

mod name;
mod statement;
pub mod template;
mod time;

pub use self::name::username;
pub use self::statement::Statement;
pub use self::time::timestamp;
use crate::Error;
use crate::bindings::sql::symbolon::plugin::sql as host;
pub use crate::bindings::sql::symbolon::plugin::sql::{Rows, Value};

/// The longest identifier that PostgreSQL does not cut.
pub const IDENTIFIER_BYTES: usize = 63;

/// Where statements are run. [`Host`] is the real one; a test may have its own.
pub trait Sql {
    /// Runs one statement that answers rows, in `database`, or the configured one.
    fn query(&self, database: Option<&str>, statement: Statement) -> Result<Rows, Error>;

    /// Runs several in one transaction; answers how many rows each changed.
    fn transaction(
        &self,
        database: Option<&str>,
        statements: Vec<Statement>,
    ) -> Result<Vec<u64>, Error>;

    /// Runs one outside any transaction; answers how many rows it changed.
    fn execute(&self, database: Option<&str>, statement: Statement) -> Result<u64, Error>;
}

/// The host's connections.
#[derive(Clone, Copy, Debug)]
pub struct Host;

impl Sql for Host {
    fn query(&self, database: Option<&str>, statement: Statement) -> Result<Rows, Error> {
        host::query(database, &statement.into_fragments())
    }

    fn transaction(
        &self,
        database: Option<&str>,
        statements: Vec<Statement>,
    ) -> Result<Vec<u64>, Error> {
        let statements: Vec<_> = statements.into_iter().map(Statement::into_fragments).collect();
        host::transaction(database, &statements)
    }

    fn execute(&self, database: Option<&str>, statement: Statement) -> Result<u64, Error> {
        host::execute(database, &statement.into_fragments())
    }
}

impl Rows {
    /// The value in a row, by the name of its column.
    #[must_use]
    pub fn value(&self, row: usize, column: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.rows.get(row)?.get(at)
    }

    /// Text in a row, if it is there and is text.
    #[must_use]
    pub fn text(&self, row: usize, column: &str) -> Option<&str> {
        match self.value(row, column)? {
            Value::Text(text) => Some(text),
            Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Bytes(_) => None,
        }
    }

    /// A number in a row, if it is there and is one.
    #[must_use]
    pub fn integer(&self, row: usize, column: &str) -> Option<i64> {
        match self.value(row, column)? {
            Value::Integer(number) => Some(*number),
            Value::Null | Value::Boolean(_) | Value::Text(_) | Value::Bytes(_) => None,
        }
    }

    /// A truth value in a row, if it is there and is one.
    #[must_use]
    pub fn boolean(&self, row: usize, column: &str) -> Option<bool> {
        match self.value(row, column)? {
            Value::Boolean(truth) => Some(*truth),
            Value::Null | Value::Integer(_) | Value::Text(_) | Value::Bytes(_) => None,
        }
    }
}

/// Whether text can be an identifier: not empty, not so long that the server cuts it and finds
/// another, without characters that no name has.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    (1..=IDENTIFIER_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_column_and_kind() {
        let rows = Rows {
            columns: vec!["name".to_owned(), "there".to_owned(), "age".to_owned()],
            rows: vec![vec![Value::Text("x".into()), Value::Boolean(true), Value::Null]],
        };
        assert_eq!((rows.text(0, "name"), rows.boolean(0, "there")), (Some("x"), Some(true)));
        assert_eq!((rows.integer(0, "age"), rows.text(0, "there")), (None, None));
        assert_eq!((rows.text(1, "name"), rows.text(0, "other")), (None, None));
    }

    #[test]
    fn an_identifier_is_one_that_the_server_keeps_whole() {
        for good in ["a", "Größe", "with \"quotes\"", &"x".repeat(63)] {
            assert!(is_identifier(good), "{good}");
        }
        for bad in ["", "a\0b", "a\nb", &"x".repeat(64), &"ä".repeat(32)] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }
}
