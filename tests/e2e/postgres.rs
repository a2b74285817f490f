//! The databases that other tests rely on are what they rely on.

use super::parts::Postgres;
use super::parts::postgres::{ADMIN, DATABASE, Version};

#[tokio::test]
async fn a_login_is_verified_over_tls_and_reaches_what_it_may() {
    for version in Version::ALL {
        let server = Postgres::start(version).await;
        let rows = server.sql(DATABASE, "SELECT * FROM orders ORDER BY id").await;
        assert_eq!(rows, [["1", "amphora"], ["2", "brooch"], ["3", "chalice"]]);
        let ssl = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert_eq!(server.sql_as(ADMIN, DATABASE, ssl).await.unwrap(), [["t"]]);
        let asked = "SELECT current_setting('server_version_num')::int / 10000, rolsuper FROM pg_roles WHERE rolname = current_user";
        let number = match version {
            Version::V15 => "15",
            Version::V18 => "18",
        };
        assert_eq!(server.sql_as(ADMIN, DATABASE, asked).await.unwrap(), [[number, "f"]]);
        let denied = server.sql_as(ADMIN, DATABASE, "SELECT * FROM orders").await.unwrap_err();
        assert!(denied.contains("permission denied"), "{denied}");
        let wrong = server.sql_as((ADMIN.0, "wrong"), DATABASE, "SELECT 1").await.unwrap_err();
        assert!(wrong.contains("password authentication failed"), "{wrong}");
        assert!(server.log().contains("SELECT * FROM orders ORDER BY id"), "statements are logged");
    }
}

#[tokio::test]
async fn the_administrator_makes_and_ends_members_of_a_group() {
    for version in Version::ALL {
        let server = Postgres::start(version).await;
        let made = "CREATE ROLE sy_test LOGIN PASSWORD 'p'; GRANT app_readonly TO sy_test";
        server.sql_as(ADMIN, DATABASE, made).await.unwrap();
        let login = ("sy_test", "p");
        let rows = server.sql_as(login, DATABASE, "SELECT count(*) FROM orders").await.unwrap();
        assert_eq!(rows, [["3"]]);
        assert!(server.sql_as(login, DATABASE, "SELECT * FROM payments").await.is_err());
        let mut session = server.session(login, DATABASE).await;
        assert!(session.is_open());
        let ended =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sy_test'";
        server.sql_as(ADMIN, DATABASE, ended).await.unwrap();
        let reason = session.ended().await;
        assert!(reason.contains("terminating connection"), "{reason}");
        server.sql_as(ADMIN, DATABASE, "DROP ROLE sy_test").await.unwrap();
        assert!(!server.has_role("sy_test").await);
    }
}

#[tokio::test]
async fn a_killed_server_comes_back_and_a_frozen_one_goes_on() {
    for version in Version::ALL {
        let mut server = Postgres::start(version).await;
        server.sql(DATABASE, "INSERT INTO orders VALUES (4, 'diadem')").await;
        let mut session = server.session(ADMIN, DATABASE).await;
        server.kill();
        let reason = session.ended().await;
        assert!(reason.contains("connection to server was lost"), "{reason}");
        server.resume().await;
        let count = "SELECT count(*) FROM orders";
        assert_eq!(server.sql(DATABASE, count).await, [["4"]]);
        server.freeze();
        let asked = server.sql(DATABASE, count);
        tokio::pin!(asked);
        let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut asked).await;
        assert!(early.is_err(), "a frozen server answered");
        server.thaw();
        assert_eq!(asked.await, [["4"]]);
    }
}
