//! Every statement that is sent.
//!
//! INVARIANT: nothing here is text put together: values are identifiers, literals or materials.
//!
//! The statements are those that a `CREATEROLE` login which is no superuser may send on PostgreSQL 15
//! and from 16 on. From 16 on it may grant only the groups of which it has the ADMIN OPTION, and
//! has that of every user that it makes; before, it may grant any group that is no superuser's.
//! On both it must be a member of the user to end its sessions and to reassign what it owns. It
//! becomes one when it has to, which is when the user is ended: before that it would have what the
//! user has.

use symbolon_plugin::sql::template::{Template, Values};
use symbolon_plugin::sql::{Statement, timestamp};
use symbolon_plugin::{Timestamp, sql};

use crate::config::{Leftovers, Role};

/// How long one look waits for a session to end, in milliseconds.
pub(crate) const PATIENCE_MILLIS: u32 = 1000;
/// As many as fit a page of the contract.
pub(crate) const PAGE: u32 = 1000;

/// A user to be, or one that there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User<'a> {
    pub(crate) name: &'a str,
    /// When its password ends.
    pub(crate) until: Timestamp,
}

impl User<'_> {
    fn values(&self) -> Values<'_> {
        Values { name: self.name, expiration: self.until }
    }

    fn filled(&self, templates: &[Template]) -> Vec<Statement> {
        templates.iter().map(|template| template.statement(self.values())).collect()
    }

    /// The user and its comment, in one transaction.
    pub(crate) fn creation(&self, role: &Role, comment: &str) -> Vec<Statement> {
        let mut statements = if role.creation.is_empty() {
            vec![self.create(role)]
        } else {
            self.filled(&role.creation)
        };
        if let Some(group) = role.acts_as() {
            // The name of a group as the value of a setting is a literal, whatever its letters.
            statements.push(sql!(
                "ALTER ROLE ",
                identifier(self.name),
                " SET ROLE TO ",
                literal(group)
            ));
        }
        statements.push(sql!("COMMENT ON ROLE ", identifier(self.name), " IS ", literal(comment)));
        statements
    }

    fn create(&self, role: &Role) -> Statement {
        let statement = sql!(
            "CREATE ROLE ",
            identifier(self.name),
            " LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD ",
            material("password_verifier"),
            " VALID UNTIL ",
            literal(timestamp(self.until)),
        );
        let statement = match role.connection_limit {
            Some(limit) => statement.then(sql!(" CONNECTION LIMIT ", number(limit))),
            None => statement,
        };
        statement.raw(" IN ROLE ").identifiers(&role.member_of)
    }

    /// A new password and end for a user that an earlier call with the same reservation made.
    pub(crate) fn again(&self) -> Statement {
        sql!(
            "ALTER ROLE ",
            identifier(self.name),
            " PASSWORD ",
            material("password_verifier"),
            " VALID UNTIL ",
            literal(timestamp(self.until)),
        )
    }

    /// A later end. Says nothing of LOGIN, so that what was disabled meanwhile stays so.
    pub(crate) fn renewal(&self, role: &Role) -> Vec<Statement> {
        if role.renewal.is_empty() {
            let until = timestamp(self.until);
            vec![sql!("ALTER ROLE ", identifier(self.name), " VALID UNTIL ", literal(until))]
        } else {
            self.filled(&role.renewal)
        }
    }
}

/// Membership of the login in the user. A second time it changes nothing.
pub(crate) fn join(name: &str) -> Statement {
    sql!("GRANT ", identifier(name), " TO CURRENT_USER")
}

/// No new login, whatever the way.
pub(crate) fn disable(name: &str) -> Statement {
    sql!("ALTER ROLE ", identifier(name), " NOLOGIN VALID UNTIL '-infinity'")
}

/// Ends the user's sessions, and says what there was: the user, each session, each prepared
/// transaction.
pub(crate) fn end_sessions(name: &str) -> Statement {
    sql!(
        "SELECT 'user' AS kind, oid::bigint AS oid, NULL::boolean AS ended, NULL::text AS gid \
         FROM pg_roles WHERE rolname = ",
        literal(name),
        " UNION ALL SELECT 'session', NULL, pg_terminate_backend(pid, ",
        number(PATIENCE_MILLIS),
        "), NULL FROM pg_stat_activity WHERE usename = ",
        literal(name),
        " AND pid <> pg_backend_pid() UNION ALL \
         SELECT 'prepared', NULL, NULL, gid::text FROM pg_prepared_xacts WHERE owner = ",
        literal(name),
    )
}

/// What is done with what a user left in one database.
pub(crate) fn leftovers(name: &str, leftovers: &Leftovers) -> Vec<Statement> {
    let mut statements = User { name, until: 0 }.filled(&leftovers.revocation);
    if let Some(heir) = &leftovers.reassign_to {
        statements.push(sql!("REASSIGN OWNED BY ", identifier(name), " TO ", identifier(heir)));
        // What is left to drop are privileges: everything that was owned has a new owner.
        statements.push(sql!("DROP OWNED BY ", identifier(name)));
    }
    statements
}

pub(crate) fn drop(name: &str) -> Statement {
    sql!("DROP ROLE IF EXISTS ", identifier(name))
}

/// How many users of the name and sessions of its id there still are. After a DROP a session goes
/// on without a name, so it is looked for by the id.
pub(crate) fn remains(name: &str, oid: u64) -> Statement {
    sql!(
        "SELECT (SELECT count(*) FROM pg_roles WHERE rolname = ",
        literal(name),
        ") AS users, (SELECT count(*) FROM pg_stat_activity WHERE usesysid = ",
        number(oid),
        ") AS sessions",
    )
}

/// A user, and what must be known to make it: the server's time and whether the login is too mighty.
pub(crate) fn look(name: &str) -> Statement {
    sql!(
        "SELECT floor(extract(epoch FROM clock_timestamp()))::bigint AS now, \
         (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS super, \
         r.oid IS NOT NULL AS there, \
         coalesce(r.rolcanlogin, false) AS login, \
         coalesce(r.rolvaliduntil <= clock_timestamp(), false) AS ended, \
         coalesce(shobj_description(r.oid, 'pg_authid'), '') AS comment \
         FROM (SELECT 1) AS one LEFT JOIN pg_roles AS r ON r.rolname = ",
        literal(name),
    )
}

/// A page of users with a comment that begins with the mark, after `next` by name.
pub(crate) fn issued(mark: &str, next: &str) -> Statement {
    sql!(
        "SELECT r.rolname::text AS name, d.description AS comment \
         FROM pg_roles AS r JOIN pg_shdescription AS d \
         ON d.objoid = r.oid AND d.classoid = 'pg_authid'::regclass \
         WHERE left(r.rolname::text, 3) = 'sy_' AND starts_with(d.description, ",
        literal(mark),
        ") AND r.rolname::text COLLATE \"C\" > ",
        literal(next),
        " ORDER BY r.rolname::text COLLATE \"C\" LIMIT ",
        number(PAGE),
    )
}

/// What the server is, and what the login may there.
pub(crate) fn login() -> Statement {
    sql!(
        "SELECT current_setting('server_version_num')::bigint AS version, \
         rolsuper AS super, rolcreaterole AS creates, rolinherit AS inherits, \
         rolvaliduntil IS NOT NULL AND rolvaliduntil <> 'infinity' AS ends \
         FROM pg_roles WHERE rolname = current_user",
    )
}

/// What the login may do with a group.
pub(crate) fn group(name: &str) -> Statement {
    sql!(
        "SELECT rolsuper AS super, rolcanlogin AS login, \
         pg_has_role(oid, 'USAGE') AS uses, \
         pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') AS administers \
         FROM pg_roles WHERE rolname = ",
        literal(name),
    )
}

/// A new password for the login itself.
pub(crate) fn rotation() -> Statement {
    sql!("ALTER ROLE CURRENT_USER PASSWORD ", material("password_verifier"))
}
