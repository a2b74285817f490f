//! The life of a user: made, extended, ended.
//!
//! INVARIANT: a reservation has one user, whose name comes from it. Asking again for it changes the
//! password of that user, and never makes another; one that was disabled is never made usable again.
//!
//! INVARIANT: revocation goes on where it was left: each step takes "not there" for done, and the
//! first of them ends all new logins.

use symbolon_plugin::sql::{Rows, Sql, Statement, username};
use symbolon_plugin::{
    Error, ErrorKind, IssueRequest, Issued, Reference, Seconds, State, Timestamp,
};

use crate::config::{Leftovers, Role};
use crate::statements::{self, User};

/// How much longer than the lease the server takes the password. The lease is ended by its
/// revocation; this end is for the case that the gateway is not there to revoke, and must not come
/// before that of the lease.
const GRACE: Seconds = 5;

/// How often sessions are looked for before a later revocation goes on.
const LOOKS: u32 = 8;

const UNDEFINED_OBJECT: &str = "sqlstate_42704";
const INSUFFICIENT_PRIVILEGE: &str = "sqlstate_42501";
const DEPENDENT_OBJECTS: &str = "sqlstate_2bp01";
const NO_SUCH_DATABASE: &str = "sqlstate_3d000";

/// The users of one backend.
pub(crate) struct Users<'a, S> {
    pub(crate) sql: &'a S,
    /// What tells this gateway's users from another's.
    pub(crate) mark: &'a str,
    /// The gateway's time.
    pub(crate) now: Timestamp,
}

/// What a look at a name shows.
struct Seen {
    /// The server's time.
    now: Timestamp,
    is_superuser: bool,
    user: Option<Found>,
}

struct Found {
    is_usable: bool,
    comment: String,
}

impl<S: Sql> Users<'_, S> {
    /// Makes the user of a reservation, or gives the one that there is a new password.
    pub(crate) fn issue(&self, request: &IssueRequest, role: &Role) -> Result<Issued, Error> {
        let name = agreed_name(request)?;
        let seen = self.look(&name)?;
        if seen.is_superuser {
            return Err(too_mighty());
        }
        let until = seen.now.saturating_add(request.ttl).saturating_add(GRACE);
        let user = User { name: &name, until };
        let mark = self.mark_of(&request.reservation);
        let statements = match &seen.user {
            None => user.creation(role, &mark),
            Some(found) if found.comment != mark => return Err(taken()),
            Some(found) if !found.is_usable => return Err(ended()),
            Some(_) => vec![user.again()],
        };
        self.sql.transaction(None, statements)?;
        Ok(Issued {
            reservation: request.reservation.clone(),
            fields: Vec::new(),
            expires_at: self.now.saturating_add(request.ttl),
            renewable: true,
            revocable: true,
            handle: role.leftovers().handle(),
            metadata: Vec::new(),
        })
    }

    /// Extends a user that is usable.
    pub(crate) fn renew(
        &self,
        reference: &Reference,
        role: &Role,
        ttl: Seconds,
    ) -> Result<Timestamp, Error> {
        let name = username(&reference.role, &reference.reservation);
        let seen = self.look(&name)?;
        let found = seen.user.ok_or_else(|| Error::absent().sent(false))?;
        if !found.is_usable {
            return Err(ended());
        }
        let until = seen.now.saturating_add(ttl).saturating_add(GRACE);
        self.sql.transaction(None, User { name: &name, until }.renewal(role))?;
        Ok(self.now.saturating_add(ttl))
    }

    /// Ends a user: no new logins, no sessions, nothing owned, no user.
    pub(crate) fn revoke(&self, reference: &Reference) -> Result<(), Error> {
        let name = username(&reference.role, &reference.reservation);
        if done(self.sql.execute(None, statements::disable(&name)), UNDEFINED_OBJECT)?.is_none() {
            return Ok(());
        }
        let Some(oid) = self.end_sessions(&name)? else { return Ok(()) };
        let leftovers = Leftovers::of(&reference.role, &reference.role_config, &reference.handle);
        if leftovers.is_wanted() {
            self.settle(&name, &leftovers)?;
        }
        self.sql.execute(None, statements::drop(&name)).map_err(explained)?;
        self.confirm(&name, oid)
    }

    /// What became of a user.
    pub(crate) fn verify(&self, reference: &Reference) -> Result<State, Error> {
        let name = username(&reference.role, &reference.reservation);
        Ok(match self.look(&name)?.user {
            None => State::Gone,
            Some(found) if found.is_usable => State::Usable,
            Some(_) => State::Disabled,
        })
    }

    /// The reservations of a page of users with the mark.
    pub(crate) fn list(&self, next: Option<&str>) -> Result<(Vec<String>, Option<String>), Error> {
        let mark = self.mark_of("");
        let rows = self.sql.query(None, statements::issued(&mark, next.unwrap_or_default()))?;
        let count = rows.rows.len();
        let comments = (0..count).filter_map(|row| rows.text(row, "comment"));
        let reservations =
            comments.filter_map(|comment| comment.strip_prefix(&mark)).map(str::to_owned).collect();
        let is_full = u64::try_from(count).is_ok_and(|count| count >= statements::PAGE.into());
        let last = count.checked_sub(1).and_then(|row| rows.text(row, "name"));
        Ok((reservations, last.filter(|_| is_full).map(str::to_owned)))
    }

    /// The comment by which a user is known as this gateway's.
    fn mark_of(&self, reservation: &str) -> String {
        format!("symbolon mark={} reservation={reservation}", self.mark)
    }

    fn look(&self, name: &str) -> Result<Seen, Error> {
        let rows = self.sql.query(None, statements::look(name))?;
        let there = rows.boolean(0, "there").ok_or_else(odd)?;
        let login = rows.boolean(0, "login").ok_or_else(odd)?;
        let ended = rows.boolean(0, "ended").ok_or_else(odd)?;
        let comment = rows.text(0, "comment").ok_or_else(odd)?.to_owned();
        let now = rows.integer(0, "now").and_then(|now| u64::try_from(now).ok()).ok_or_else(odd)?;
        let found = Found { is_usable: login && !ended, comment };
        Ok(Seen {
            now,
            is_superuser: rows.boolean(0, "super").unwrap_or(true),
            user: there.then_some(found),
        })
    }

    /// Ends sessions until there are none; answers the user's id, or nothing if it is gone.
    fn end_sessions(&self, name: &str) -> Result<Option<u64>, Error> {
        for _ in 0..LOOKS {
            let rows = self.session_rows(name)?;
            let kinds =
                || (0..rows.rows.len()).filter_map(|row| Some((row, rows.text(row, "kind")?)));
            let Some((user, _)) = kinds().find(|(_, kind)| *kind == "user") else {
                return Ok(None);
            };
            if kinds().any(|(_, kind)| kind == "session") {
                continue;
            }
            let gids = kinds().filter(|(_, kind)| *kind == "prepared");
            let gids: Vec<&str> = gids.filter_map(|(row, _)| rows.text(row, "gid")).collect();
            if !gids.is_empty() {
                return Err(prepared(&gids));
            }
            let oid = rows.integer(user, "oid").and_then(|oid| u64::try_from(oid).ok());
            return oid.map(Some).ok_or_else(odd);
        }
        Err(Error::unavailable("sessions_remain", "sessions of the user do not end"))
    }

    /// Where there are sessions, ending them takes membership.
    fn session_rows(&self, name: &str) -> Result<Rows, Error> {
        match self.sql.query(None, statements::end_sessions(name)) {
            Err(refused) if refused.code == INSUFFICIENT_PRIVILEGE => {
                self.sql.execute(None, statements::join(name))?;
                self.sql.query(None, statements::end_sessions(name))
            }
            outcome @ (Ok(_) | Err(_)) => outcome,
        }
    }

    /// Reassigns what the user owns, in each database: a statement reaches the one that it is sent to.
    fn settle(&self, name: &str, leftovers: &Leftovers) -> Result<(), Error> {
        self.sql.execute(None, statements::join(name))?;
        let databases = leftovers.databases.iter().map(|name| Some(name.as_str()));
        for database in std::iter::once(None).chain(databases) {
            let statements: Vec<Statement> = statements::leftovers(name, leftovers);
            done(self.sql.transaction(database, statements), NO_SUCH_DATABASE)?;
        }
        Ok(())
    }

    fn confirm(&self, name: &str, oid: u64) -> Result<(), Error> {
        let rows = self.sql.query(None, statements::remains(name, oid))?;
        match (rows.integer(0, "users"), rows.integer(0, "sessions")) {
            (Some(0), Some(0)) => Ok(()),
            (Some(0), Some(_)) => Err(Error::unavailable(
                "session_outlived",
                "a session of the user outlived it; the login needs pg_signal_backend to end it",
            )),
            (Some(_), Some(_)) => {
                Err(Error::unavailable("still_there", "the user is there after it was dropped"))
            }
            (None, _) | (_, None) => Err(odd()),
        }
    }
}

/// The name that both sides derive. If they differ, revocation would look for another user.
fn agreed_name(request: &IssueRequest) -> Result<String, Error> {
    let name = username(&request.role, &request.reservation);
    let stated = request.materials.iter().find(|(material, _)| material == "username");
    match stated {
        Some((_, stated)) if *stated != name.as_bytes() => Err(Error::internal(
            "name_mismatch",
            "host and plugin derive different names from one reservation",
        )
        .sent(false)),
        Some(_) | None => Ok(name),
    }
}

/// An outcome, where one failure means that there was nothing to do.
fn done<T>(outcome: Result<T, Error>, nothing: &str) -> Result<Option<T>, Error> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code == nothing => Ok(None),
        Err(error) => Err(error),
    }
}

fn explained(error: Error) -> Error {
    if error.code != DEPENDENT_OBJECTS {
        return error;
    }
    Error::conflict(
        "owns_objects",
        "the user can no longer log in, but owns objects or has privileges of its own: the role \
         needs `reassign_to` and `databases`, or `revocation`",
    )
}

fn prepared(gids: &[&str]) -> Error {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    let named = |gid: &&str| gid.chars().filter(|c| plain(*c)).take(64).collect::<String>();
    let names: Vec<String> = gids.iter().take(8).map(named).collect();
    let message = format!("prepared transactions of the user must be ended: {}", names.join(", "));
    Error::conflict("prepared_transactions", message)
}

/// The login must not be able to do what no role of this backend needs.
pub(crate) fn too_mighty() -> Error {
    Error::invalid_config("login_is_superuser", "the login must not be a superuser").sent(false)
}

fn taken() -> Error {
    Error::conflict("name_taken", "there is a user of this name that is not this gateway's")
        .sent(false)
}

fn ended() -> Error {
    Error { kind: ErrorKind::Conflict, ..Error::conflict("ended", "the user was ended") }
        .sent(false)
}

pub(crate) fn odd() -> Error {
    Error::malformed_answer("the server's catalogue answers otherwise than it should")
}
