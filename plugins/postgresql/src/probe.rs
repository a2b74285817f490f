//! Whether the server can be used: what the login is, and what each role needs of it.
//!
//! INVARIANT: a login that is a superuser, or that cannot make users, is refused; what concerns one
//! role is a remark, since the others can be used.

use symbolon_plugin::sql::Sql;
use symbolon_plugin::{Error, Report};

use crate::config::Role;
use crate::statements;
use crate::users::{odd, too_mighty};

/// From this version on, users and groups are granted by ADMIN OPTION only.
const STRICT: i64 = 160_000;
/// Before it sessions cannot be ended and waited for.
const OLDEST: i64 = 140_000;

/// Asks the server.
pub(crate) fn probe(sql: &impl Sql, roles: &[(String, Role)]) -> Result<Report, Error> {
    let login = sql.query(None, statements::login())?;
    let version = login.integer(0, "version").ok_or_else(odd)?;
    if login.boolean(0, "super").ok_or_else(odd)? {
        return Err(too_mighty());
    }
    if !login.boolean(0, "creates").ok_or_else(odd)? {
        return Err(faulty("login_cannot_create", "the login lacks CREATEROLE"));
    }
    if !login.boolean(0, "inherits").ok_or_else(odd)? {
        return Err(faulty(
            "login_inherits_nothing",
            "the login is NOINHERIT; it could end no session",
        ));
    }
    if version < OLDEST {
        return Err(faulty("server_too_old", "PostgreSQL 14 is the oldest that is known"));
    }
    let mut remarks = Vec::new();
    if login.boolean(0, "ends").ok_or_else(odd)? {
        remarks.push("the login's own password has an end (VALID UNTIL)".to_owned());
    }
    for (name, role) in roles {
        for remark in of_role(sql, role, version)? {
            remarks.push(format!("role `{name}`: {remark}"));
        }
    }
    remarks.truncate(32);
    let release = format!("{}.{}", version / 10_000, version % 10_000);
    Ok(Report { remarks, metadata: vec![("version".to_owned(), release)] })
}

fn of_role(sql: &impl Sql, role: &Role, version: i64) -> Result<Vec<String>, Error> {
    let mut remarks = Vec::new();
    for name in &role.member_of {
        let group = sql.query(None, statements::group(name))?;
        let is = |column: &str| group.boolean(0, column).unwrap_or_default();
        let remark = match () {
            () if group.rows.is_empty() => "is not there",
            () if is("super") => "is a superuser and cannot be granted",
            () if version >= STRICT && !is("administers") => {
                "cannot be granted by the login: it needs the ADMIN OPTION"
            }
            () if is("login") => "can log in itself; a group should be NOLOGIN",
            () => continue,
        };
        remarks.push(format!("`{name}` {remark}"));
    }
    if let Some(heir) = &role.leftovers().reassign_to {
        let group = sql.query(None, statements::group(heir))?;
        if !group.boolean(0, "uses").unwrap_or_default() {
            remarks.push(format!("`{heir}` is not there, or the login is not a member of it"));
        }
    }
    Ok(remarks)
}

fn faulty(code: &str, message: &str) -> Error {
    Error::invalid_config(code, message)
}
