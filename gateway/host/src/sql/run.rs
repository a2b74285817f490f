//! Statements, from a connection to an answer.
//!
//! INVARIANT: every statement goes through the extended protocol, which takes one statement; text
//! of more than one is refused by the server too. Only constant texts of this file go another way.
//!
//! INVARIANT: whether something may have been done is known exactly as far as the connection tells:
//! a transaction that was never committed has done nothing, one whose commit was not answered may
//! have done everything. It is noted before anything is sent, so that a call that is dropped in
//! between is in doubt, not in the clear.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::Type;
use tokio_postgres::{Column, RowStream};

use super::connect::failure;
use super::error::{Failure, SqlError};
use super::pool::{Held, Pool};
use super::statement::Statement;
use super::value::{Bound, Raw};
use crate::bindings::sql::Rows;

const MAX_ROWS: usize = 10_000;
const MAX_ROWS_BYTES: usize = 1 << 20;
const MAX_COLUMNS: usize = 256;

/// Where a call notes that a database may have done something for it.
#[derive(Debug, Default)]
pub(crate) struct Reached(AtomicBool);

impl Reached {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Notes it; answers what was noted before.
    fn set(&self, reached: bool) -> bool {
        self.0.swap(reached, Ordering::AcqRel)
    }
}

/// For whom a statement runs: until when, and where it notes what it may have done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand<'a> {
    pub(crate) deadline: Instant,
    pub(crate) reached: &'a Reached,
}

impl Errand<'_> {
    /// What the server is told: a little less than what is left, so that it is the server that ends
    /// a statement, and says so.
    fn server_limit(&self) -> u128 {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.saturating_sub(left / 10).max(Duration::from_millis(1)).as_millis()
    }
}

/// What a statement did.
struct Done {
    rows: Rows,
    affected: u64,
    /// Whether the connection has looked up types, which another call would trip over.
    is_spent: bool,
}

impl Pool {
    /// Runs one statement outside any transaction.
    pub(crate) async fn query(
        &self,
        errand: Errand<'_>,
        database: Option<&str>,
        statement: &Statement,
    ) -> Result<Rows, Failure> {
        Ok(self.single(errand, database, statement).await?.rows)
    }

    /// Runs one statement outside any transaction; answers how many rows it changed.
    pub(crate) async fn execute(
        &self,
        errand: Errand<'_>,
        database: Option<&str>,
        statement: &Statement,
    ) -> Result<u64, Failure> {
        Ok(self.single(errand, database, statement).await?.affected)
    }

    async fn single(
        &self,
        errand: Errand<'_>,
        database: Option<&str>,
        statement: &Statement,
    ) -> Result<Done, Failure> {
        let held = self.checkout(database, errand.deadline).await?;
        let limit = format!("SET statement_timeout = {}", errand.server_limit());
        let before = errand.reached.set(true);
        let outcome = async {
            let (client, meter) = held.parts()?;
            held.allow();
            // Sent together, in this order: one journey for both.
            let (limited, done) = tokio::join!(
                biased;
                client.batch_execute(&limit),
                run(&held, statement)
            );
            limited.map_err(|error| failure(&error, meter))?;
            done
        };
        let outcome = within(errand.deadline, outcome).await;
        settle(held, errand.reached, (before, statement.is_atomic()), outcome)
    }

    /// Runs several statements in one transaction; answers how many rows each changed.
    pub(crate) async fn transaction(
        &self,
        errand: Errand<'_>,
        database: Option<&str>,
        statements: &[Statement],
    ) -> Result<Vec<u64>, Failure> {
        let held = self.checkout(database, errand.deadline).await?;
        let work = within(errand.deadline, work(&held, errand, statements)).await;
        let affected = match work {
            Ok(affected) => affected,
            Err(error) => {
                // Nothing was committed, whatever happens now.
                undo(held, errand.deadline, &error).await;
                return Err(error.into());
            }
        };
        let before = errand.reached.set(true);
        let commit = async {
            let (client, meter) = held.parts()?;
            client.batch_execute("COMMIT").await.map_err(|error| failure(&error, meter))?;
            Ok(Done { rows: nothing(), affected: 0, is_spent: affected.1 })
        };
        let outcome = within(errand.deadline, commit).await;
        settle(held, errand.reached, (before, true), outcome)?;
        Ok(affected.0)
    }
}

/// Takes leave of the connection, and of the doubt where the server dispelled it.
fn settle(
    held: Held,
    reached: &Reached,
    (before, is_atomic): (bool, bool),
    outcome: Result<Done, SqlError>,
) -> Result<Done, Failure> {
    match outcome {
        Ok(done) => {
            if !done.is_spent {
                held.give_back();
            }
            Ok(done)
        }
        Err(SqlError::Answered(error)) if is_atomic && error.is_definite() => {
            reached.set(before);
            held.give_back();
            Err(Failure { error: error.into(), sent: false })
        }
        Err(error) => Err(Failure { error, sent: true }),
    }
}

/// Begins a transaction and does all of it but the commit.
async fn work(
    held: &Held,
    errand: Errand<'_>,
    statements: &[Statement],
) -> Result<(Vec<u64>, bool), SqlError> {
    let (client, meter) = held.parts()?;
    held.allow();
    let begin = format!("BEGIN; SET LOCAL statement_timeout = {}", errand.server_limit());
    client.batch_execute(&begin).await.map_err(|error| failure(&error, meter))?;
    let (mut affected, mut is_spent) = (Vec::with_capacity(statements.len()), false);
    for statement in statements {
        let done = run(held, statement).await?;
        affected.push(done.affected);
        is_spent |= done.is_spent;
    }
    Ok((affected, is_spent))
}

/// Rolls back where the server only said no; closes the connection where it did not answer.
async fn undo(held: Held, deadline: Instant, error: &SqlError) {
    if !matches!(error, SqlError::Answered(_)) {
        return;
    }
    let rolled_back = async {
        let (client, meter) = held.parts()?;
        client.batch_execute("ROLLBACK").await.map_err(|error| failure(&error, meter))
    };
    if within(deadline, rolled_back).await.is_ok() {
        held.give_back();
    }
}

async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, SqlError>>,
) -> Result<T, SqlError> {
    timeout_at(deadline, work).await.unwrap_or(Err(SqlError::Deadline))
}

/// Sends one statement and takes its whole answer.
async fn run(held: &Held, statement: &Statement) -> Result<Done, SqlError> {
    let (client, meter) = held.parts()?;
    held.allow();
    let bound = statement.parameters().iter().map(Bound).collect::<Vec<_>>();
    let parameters = bound.iter().map(|bound| (bound, bound.kind()));
    let stream = client.query_typed_raw(statement.text(), parameters).await;
    collect(stream.map_err(|error| failure(&error, meter))?, held).await
}

async fn collect(stream: RowStream, held: &Held) -> Result<Done, SqlError> {
    let (_, meter) = held.parts()?;
    let mut stream = pin!(stream);
    let mut answer = Answer::default();
    while let Some(row) = stream.next().await {
        answer.add(&row.map_err(|error| failure(&error, meter))?)?;
    }
    let affected = stream.rows_affected().unwrap_or(0);
    Ok(Done { rows: answer.rows, affected, is_spent: answer.is_spent })
}

fn nothing() -> Rows {
    Rows { columns: Vec::new(), rows: Vec::new() }
}

/// Rows as they come in, within bounds.
struct Answer {
    rows: Rows,
    bytes: usize,
    is_spent: bool,
}

impl Default for Answer {
    fn default() -> Self {
        Self { rows: nothing(), bytes: 0, is_spent: false }
    }
}

impl Answer {
    fn add(&mut self, row: &tokio_postgres::Row) -> Result<(), SqlError> {
        if self.rows.rows.is_empty() {
            self.head(row.columns())?;
        }
        let raw = |index| row.try_get::<_, Raw<'_>>(index).map_err(|_| SqlError::Lost);
        let mut values = Vec::with_capacity(row.len());
        for (index, column) in row.columns().iter().enumerate() {
            let raw = raw(index)?;
            // What a value costs beside its bytes.
            self.bytes = self.bytes.saturating_add(raw.len()).saturating_add(16);
            if self.bytes > MAX_ROWS_BYTES {
                return Err(SqlError::TooLarge);
            }
            values.push(raw.value(column.type_())?);
        }
        self.rows.rows.push(values);
        if self.rows.rows.len() > MAX_ROWS { Err(SqlError::TooLarge) } else { Ok(()) }
    }

    fn head(&mut self, columns: &[Column]) -> Result<(), SqlError> {
        if columns.len() > MAX_COLUMNS {
            return Err(SqlError::TooLarge);
        }
        self.rows.columns = columns.iter().map(|column| column.name().to_owned()).collect();
        // A type that is not built in was looked up by statements that stay prepared.
        self.is_spent = columns.iter().any(|column| Type::from_oid(column.type_().oid()).is_none());
        let names: usize = self.rows.columns.iter().map(String::len).sum();
        self.bytes = self.bytes.saturating_add(names);
        Ok(())
    }
}
