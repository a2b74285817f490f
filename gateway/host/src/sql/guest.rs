//! The host's side of `symbolon:plugin/sql`.

use tokio::time::Instant;

use super::error::{Failure, SqlError};
use super::run::{Errand, Reached};
use super::statement::{Statement, StatementFault, check_database};
use crate::bindings::sql::{self, Fragment, Rows};
use crate::bindings::types;
use crate::sql::Pool;
use crate::state::State;

/// Statements and transactions of one call. Revocation goes through every database of a server.
const MAX_ERRANDS: u32 = 256;
const MAX_STATEMENTS: usize = 64;

/// What one call has of the backend's database.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    used: u32,
    reached: Reached,
    /// What statements may name; the guest never sees it.
    pub(crate) materials: Vec<(String, symbolon_core::secret::Secret)>,
}

impl Tap {
    /// Whether the database may have done something for this call.
    pub(crate) fn reached(&self) -> bool {
        self.reached.is_set()
    }

    /// Whether this call asked the database for anything.
    pub(crate) fn asked(&self) -> bool {
        self.used > 0
    }

    fn begin(&mut self, database: Option<&str>) -> Result<(), SqlError> {
        self.used = self.used.saturating_add(1);
        if self.used > MAX_ERRANDS {
            return Err(SqlError::Budget);
        }
        database.map_or(Ok(()), |name| Ok(check_database(name)?))
    }

    fn render(&self, fragments: Vec<Fragment>) -> Result<Statement, SqlError> {
        Ok(Statement::render(fragments, &self.materials)?)
    }
}

/// A little earlier than the call's own end, so that the plugin can still say what happened.
fn deadline(until: Instant) -> Instant {
    let left = until.saturating_duration_since(Instant::now());
    until - (left / 10).min(std::time::Duration::from_millis(200))
}

impl State {
    fn database(&mut self) -> Result<(&Pool, &mut Tap, Instant), SqlError> {
        let (pool, tap, until) = self.sql();
        Ok((pool.ok_or(SqlError::NoDatabase)?, tap, deadline(until)))
    }

    async fn run_query(
        &mut self,
        name: Option<String>,
        fragments: Vec<Fragment>,
    ) -> Result<Rows, Failure> {
        let (pool, tap, deadline) = self.database()?;
        tap.begin(name.as_deref())?;
        let statement = tap.render(fragments)?;
        let errand = Errand { deadline, reached: &tap.reached };
        pool.query(errand, name.as_deref(), &statement).await
    }

    async fn run_execute(
        &mut self,
        name: Option<String>,
        fragments: Vec<Fragment>,
    ) -> Result<u64, Failure> {
        let (pool, tap, deadline) = self.database()?;
        tap.begin(name.as_deref())?;
        let statement = tap.render(fragments)?;
        let errand = Errand { deadline, reached: &tap.reached };
        pool.execute(errand, name.as_deref(), &statement).await
    }

    async fn run_transaction(
        &mut self,
        name: Option<String>,
        statements: Vec<Vec<Fragment>>,
    ) -> Result<Vec<u64>, Failure> {
        let (pool, tap, deadline) = self.database()?;
        tap.begin(name.as_deref())?;
        if statements.len() > MAX_STATEMENTS {
            return Err(SqlError::from(StatementFault::TooMany).into());
        }
        let render = |fragments| tap.render(fragments);
        let statements = statements.into_iter().map(render).collect::<Result<Vec<_>, _>>()?;
        let errand = Errand { deadline, reached: &tap.reached };
        pool.transaction(errand, name.as_deref(), &statements).await
    }
}

impl sql::Host for State {
    async fn query(
        &mut self,
        database: Option<String>,
        statement: Vec<Fragment>,
    ) -> Result<Rows, types::Error> {
        Box::pin(self.run_query(database, statement)).await.map_err(Failure::into_fault)
    }

    async fn transaction(
        &mut self,
        database: Option<String>,
        statements: Vec<Vec<Fragment>>,
    ) -> Result<Vec<u64>, types::Error> {
        Box::pin(self.run_transaction(database, statements)).await.map_err(Failure::into_fault)
    }

    async fn execute(
        &mut self,
        database: Option<String>,
        statement: Vec<Fragment>,
    ) -> Result<u64, types::Error> {
        Box::pin(self.run_execute(database, statement)).await.map_err(Failure::into_fault)
    }
}
