CREATE ROLE symbolon LOGIN CREATEROLE;
GRANT pg_signal_backend TO symbolon;
CREATE ROLE app_readonly;
CREATE ROLE app_readwrite;
CREATE ROLE app_leftovers;
GRANT app_leftovers TO symbolon;
CREATE DATABASE app;
REVOKE ALL ON DATABASE app FROM PUBLIC;
GRANT CONNECT ON DATABASE app TO symbolon, app_readonly, app_readwrite;
