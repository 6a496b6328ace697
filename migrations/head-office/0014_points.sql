-- What members have of points and stored value. A row of accounts is locked before anything of it changes; lots, holds,
-- entries and shares belong to it.
CREATE TABLE accounts (
    tenant            BYTEA  NOT NULL,
    member            BYTEA  NOT NULL,
    version           BIGINT NOT NULL CHECK (version >= 1),
    points_available  BIGINT NOT NULL CHECK (points_available >= 0),
    points_held       BIGINT NOT NULL CHECK (points_held >= 0),
    points_pending    BIGINT NOT NULL CHECK (points_pending >= 0),
    points_debt       BIGINT NOT NULL CHECK (points_debt >= 0),
    points_entries    BIGINT NOT NULL CHECK (points_entries >= 0),
    balance_available BIGINT NOT NULL CHECK (balance_available >= 0),
    balance_held      BIGINT NOT NULL CHECK (balance_held >= 0),
    balance_pending   BIGINT NOT NULL CHECK (balance_pending >= 0),
    balance_debt      BIGINT NOT NULL CHECK (balance_debt >= 0),
    balance_entries   BIGINT NOT NULL CHECK (balance_entries >= 0),
    earned_day        BIGINT NOT NULL,
    earned            BIGINT NOT NULL,
    latest            BYTEA,
    due_at            BIGINT,
    PRIMARY KEY (tenant, member)
);
CREATE INDEX accounts_due ON accounts (tenant, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE ledger_lots (
    tenant    BYTEA  NOT NULL,
    member    BYTEA  NOT NULL,
    asset     TEXT   NOT NULL,
    lot       BIGINT NOT NULL,
    amount    BIGINT NOT NULL CHECK (amount >= 1),
    free      BIGINT NOT NULL CHECK (free >= 0),
    held      BIGINT NOT NULL CHECK (held >= 0),
    earned_at BIGINT NOT NULL,
    ready_at  BIGINT,
    ends_at   BIGINT,
    source_of TEXT,
    source    BYTEA,
    PRIMARY KEY (tenant, member, asset, lot)
);
CREATE INDEX ledger_lots_open ON ledger_lots (tenant, member) WHERE free > 0 OR held > 0;
CREATE INDEX ledger_lots_ends ON ledger_lots (tenant, asset, ends_at) WHERE free > 0 OR held > 0;

CREATE TABLE ledger_holds (
    tenant BYTEA  NOT NULL,
    member BYTEA  NOT NULL,
    asset  TEXT   NOT NULL,
    hold   BYTEA  NOT NULL,
    device BYTEA  NOT NULL,
    until  BIGINT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 1),
    pins   TEXT   NOT NULL,
    PRIMARY KEY (tenant, member, asset, hold)
);

CREATE TABLE ledger_entries (
    tenant    BYTEA  NOT NULL,
    member    BYTEA  NOT NULL,
    asset     TEXT   NOT NULL,
    entry     BIGINT NOT NULL CHECK (entry >= 1),
    kind      TEXT   NOT NULL,
    reason    TEXT   NOT NULL,
    source_of TEXT,
    source    BYTEA,
    hold      BYTEA,
    at        BIGINT NOT NULL,
    store     BYTEA,
    actor     BYTEA,
    note      TEXT,
    amount    BIGINT NOT NULL,
    owed      BIGINT NOT NULL,
    available BIGINT NOT NULL CHECK (available >= 0),
    held      BIGINT NOT NULL CHECK (held >= 0),
    pending   BIGINT NOT NULL CHECK (pending >= 0),
    debt      BIGINT NOT NULL CHECK (debt >= 0),
    PRIMARY KEY (tenant, member, asset, entry),
    -- One thing leaves one entry of a kind; what the ledger does by itself has no source.
    UNIQUE (tenant, asset, source_of, source, kind)
);

CREATE TABLE ledger_shares (
    tenant     BYTEA  NOT NULL,
    member     BYTEA  NOT NULL,
    asset      TEXT   NOT NULL,
    entry      BIGINT NOT NULL,
    lot        BIGINT NOT NULL,
    free       BIGINT NOT NULL,
    held       BIGINT NOT NULL,
    given_back BIGINT NOT NULL DEFAULT 0 CHECK (given_back >= 0),
    PRIMARY KEY (tenant, member, asset, entry, lot)
);

-- What was earned with one thing, so that it can be taken back and is earned once.
CREATE TABLE earnings (
    tenant     BYTEA  NOT NULL,
    source_of  TEXT   NOT NULL,
    source     BYTEA  NOT NULL,
    member     BYTEA  NOT NULL,
    entry      BIGINT NOT NULL,
    amount     BIGINT NOT NULL CHECK (amount >= 0),
    taken_back BIGINT NOT NULL CHECK (taken_back >= 0 AND taken_back <= amount),
    rule       BIGINT NOT NULL,
    paid       BIGINT NOT NULL,
    category   TEXT,
    at         BIGINT NOT NULL,
    PRIMARY KEY (tenant, source_of, source)
);

-- The chain's rule of earning, in versions that never change.
CREATE TABLE earning_rules (
    tenant       BYTEA  NOT NULL,
    version      BIGINT NOT NULL CHECK (version >= 1),
    rule         TEXT   NOT NULL,
    published_at BIGINT NOT NULL,
    published_by BYTEA,
    PRIMARY KEY (tenant, version)
);

-- Adjustments by hand that wait for a second person, and what became of them.
CREATE TABLE point_adjustments (
    tenant     BYTEA  NOT NULL,
    id         BYTEA  NOT NULL,
    member     BYTEA  NOT NULL,
    asset      TEXT   NOT NULL,
    amount     BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    asked_by   BYTEA  NOT NULL,
    asked_at   BIGINT NOT NULL,
    decided_by BYTEA,
    decided_at BIGINT,
    PRIMARY KEY (tenant, id)
);

ALTER TABLE freezes ADD COLUMN points BIGINT NOT NULL DEFAULT 0;
ALTER TABLE freezes ADD COLUMN balance BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sales ADD COLUMN account TEXT;
ALTER TABLE order_freezes ADD COLUMN points BIGINT NOT NULL DEFAULT 0 CHECK (points >= 0);
ALTER TABLE order_freezes ADD COLUMN balance BIGINT NOT NULL DEFAULT 0 CHECK (balance >= 0);
