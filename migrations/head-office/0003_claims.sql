-- Batches in the background, codes by policy, claims and grants.

-- Which digits coupon codes have, JSON; NULL = the default policy.
ALTER TABLE tenants ADD COLUMN code_policy TEXT;

-- One counter for all codes that have the same digits but for the random ones.
CREATE TABLE code_counters (
    tenant BYTEA  NOT NULL REFERENCES tenants (tenant),
    head   TEXT   NOT NULL,
    next   BIGINT NOT NULL CHECK (next >= 0),
    PRIMARY KEY (tenant, head)
);

-- claim: its coupons wait for members; print: they belong to whoever holds the paper; grant: made as they are given.
ALTER TABLE batches ADD COLUMN purpose TEXT NOT NULL DEFAULT 'grant' CHECK (purpose IN ('claim', 'print', 'grant'));
-- What its codes have in common, their form (JSON) and the counter of the first one; NULL for batches made before there were forms, and
-- the counter for batches that take counters as they go.
ALTER TABLE batches ADD COLUMN code_head TEXT;
ALTER TABLE batches ADD COLUMN code_form TEXT;
ALTER TABLE batches ADD COLUMN first_counter BIGINT;
-- Validity of printed coupons; claimed ones get theirs when they are claimed.
ALTER TABLE batches ADD COLUMN valid_from BIGINT;
ALTER TABLE batches ADD COLUMN valid_until BIGINT;
CREATE INDEX batches_by_template ON batches (tenant, template);

-- What head office does in the background. done moves in the transaction that does the work.
CREATE TABLE jobs (
    tenant      BYTEA  NOT NULL REFERENCES tenants (tenant),
    id          BYTEA  NOT NULL,
    kind        TEXT   NOT NULL,
    -- What it works on: a batch, a grant.
    subject     BYTEA  NOT NULL,
    status      TEXT   NOT NULL CHECK (status IN ('queued', 'running', 'paused', 'done', 'failed', 'cancelled')),
    done        BIGINT NOT NULL CHECK (done >= 0 AND done <= total),
    total       BIGINT NOT NULL,
    -- What the kind needs to go on, JSON.
    detail      TEXT   NOT NULL,
    error       TEXT,
    -- Who works on it, and until when nobody else may.
    lease_owner BYTEA,
    lease_until BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    version     BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX jobs_by_status ON jobs (status);
CREATE INDEX jobs_by_subject ON jobs (tenant, subject);

-- Timed work, once in a period whatever the number of processes.
CREATE TABLE sweeps (
    name        TEXT   NOT NULL PRIMARY KEY,
    next_at     BIGINT NOT NULL,
    lease_owner BYTEA,
    lease_until BIGINT NOT NULL
);

-- What a member has ever claimed of a template: what a limit counts, and the row under which their claims queue.
CREATE TABLE holdings (
    tenant   BYTEA  NOT NULL,
    member   BYTEA  NOT NULL,
    template BYTEA  NOT NULL,
    taken    BIGINT NOT NULL CHECK (taken >= 0),
    version  BIGINT NOT NULL,
    PRIMARY KEY (tenant, member, template)
);

-- Claims by the name that the member's program gave them, refused ones too.
CREATE TABLE claims (
    tenant   BYTEA  NOT NULL,
    member   BYTEA  NOT NULL,
    key      BYTEA  NOT NULL,
    template BYTEA  NOT NULL,
    coupon   BYTEA,
    reasons  TEXT,
    at       BIGINT NOT NULL,
    PRIMARY KEY (tenant, member, key),
    CHECK ((coupon IS NULL) = (reasons IS NOT NULL))
);

-- Refusals are forgotten after a week; claims that got a coupon are not in here.
CREATE INDEX claims_refused ON claims (at) WHERE coupon IS NULL;

CREATE TABLE grants (
    tenant           BYTEA  NOT NULL,
    id               BYTEA  NOT NULL,
    template         BYTEA  NOT NULL,
    template_version BIGINT NOT NULL,
    batch            BYTEA  NOT NULL,
    audience         TEXT   NOT NULL CHECK (audience IN ('list', 'all')),
    status           TEXT   NOT NULL CHECK (status IN ('open', 'paused', 'closed')),
    -- Members on the list; of a grant to all, how many there were.
    members          BIGINT NOT NULL CHECK (members >= 0),
    created_at       BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, batch) REFERENCES batches (tenant, id)
);
CREATE INDEX grants_open ON grants (tenant, audience, status);

-- Of a list: everybody on it, the coupon once it is given. Of a grant to all: who has theirs.
CREATE TABLE grant_members (
    tenant   BYTEA  NOT NULL,
    grant_id BYTEA  NOT NULL,
    member   BYTEA  NOT NULL,
    coupon   BYTEA,
    given_at BIGINT,
    PRIMARY KEY (tenant, grant_id, member)
);
