-- What keeps a database from being spread over several nodes goes: see docs/SCALE.md.

-- Whoever types a code or shows a token does not say the tenant, so these two tables are on every node, and name no rows
-- of tables that are not.
CREATE TABLE enrol_codes_kept AS SELECT code_hash, tenant, store, created_at, expires_at, device FROM enrol_codes;
DROP TABLE enrol_codes;
CREATE TABLE enrol_codes (
    code_hash  BYTEA  NOT NULL PRIMARY KEY,
    tenant     BYTEA  NOT NULL,
    store      BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    device     BYTEA
);
INSERT INTO enrol_codes (code_hash, tenant, store, created_at, expires_at, device)
SELECT code_hash, tenant, store, created_at, expires_at, device FROM enrol_codes_kept;
DROP TABLE enrol_codes_kept;

CREATE TABLE member_sessions_kept AS SELECT token_hash, tenant, member, created_at, expires_at FROM member_sessions;
DROP TABLE member_sessions;
CREATE TABLE member_sessions (
    token_hash BYTEA  NOT NULL PRIMARY KEY,
    tenant     BYTEA  NOT NULL,
    member     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
INSERT INTO member_sessions (token_hash, tenant, member, created_at, expires_at)
SELECT token_hash, tenant, member, created_at, expires_at FROM member_sessions_kept;
DROP TABLE member_sessions_kept;
CREATE INDEX member_sessions_by_member ON member_sessions (tenant, member);
CREATE INDEX member_sessions_by_end ON member_sessions (expires_at);

-- Room on each page for the next version of a row: an update then touches none of the table's indexes. (Lines that begin
-- so are PostgreSQL's alone: see db/migrations.rs.)
-- PostgreSQL: ALTER TABLE coupons SET (fillfactor = 70);
-- PostgreSQL: ALTER TABLE orders SET (fillfactor = 70);
-- PostgreSQL: ALTER TABLE devices SET (fillfactor = 70);
-- PostgreSQL: ALTER TABLE freezes SET (fillfactor = 70);
-- PostgreSQL: ALTER TABLE feed_heads SET (fillfactor = 70);
-- PostgreSQL: ALTER TABLE batches SET (fillfactor = 70);
-- PostgreSQL: ALTER TABLE holdings SET (fillfactor = 70);
-- PostgreSQL: ALTER TABLE code_counters SET (fillfactor = 70);
