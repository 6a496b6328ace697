-- The API for operators and members: sessions, and the answers to questions that were asked with a name.

-- Key that the shop's own site signs a member's link with: secret. NULL: no link is good.
ALTER TABLE tenants ADD COLUMN link_key BYTEA;

-- What happened to a template version, for people.
ALTER TABLE templates ADD COLUMN published_at BIGINT;
ALTER TABLE templates ADD COLUMN retired_at BIGINT;

-- Not a tenant's business key: whoever shows a token does not say the tenant. Only its SHA-256 is kept.
CREATE TABLE member_sessions (
    token_hash BYTEA  NOT NULL PRIMARY KEY,
    tenant     BYTEA  NOT NULL,
    member     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    FOREIGN KEY (tenant, member) REFERENCES members (tenant, id)
);
CREATE INDEX member_sessions_by_member ON member_sessions (tenant, member);
CREATE INDEX member_sessions_by_end ON member_sessions (expires_at);

-- Decided answers, refusals included; written in the transaction of the effect. In flight ones live in memory.
CREATE TABLE idempotency (
    tenant       BYTEA  NOT NULL,
    -- operator:<id> or member:<id>.
    actor        TEXT   NOT NULL,
    key          TEXT   NOT NULL,
    -- SHA-256 over method, path and body.
    request_hash BYTEA  NOT NULL,
    status       BIGINT NOT NULL,
    body         TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant, actor, key)
);
CREATE INDEX idempotency_by_time ON idempotency (created_at);
