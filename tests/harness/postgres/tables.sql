CREATE TABLE orders (id integer PRIMARY KEY, item text NOT NULL);
INSERT INTO orders VALUES (1, 'amphora'), (2, 'brooch'), (3, 'chalice');
CREATE TABLE payments (id integer PRIMARY KEY, card text NOT NULL);
INSERT INTO payments VALUES (1, '4111111111111111');
CREATE SCHEMA work;
GRANT SELECT ON orders TO app_readonly, app_readwrite;
GRANT INSERT, UPDATE, DELETE ON orders TO app_readwrite;
GRANT USAGE, CREATE ON SCHEMA work TO app_readwrite;
GRANT USAGE, CREATE ON SCHEMA work TO app_leftovers;
