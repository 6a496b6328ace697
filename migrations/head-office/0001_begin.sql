-- Head office, one text for SQLite and PostgreSQL.
-- TEXT, BIGINT and BYTEA only; times are UTC milliseconds, ids 16 bytes made by the program, flags 0 or 1.
-- Every key of a tenant's table begins with the tenant.

-- One row: which unbroken history this database is. A restore from a backup gets another history_id.
CREATE TABLE history (
    singleton  BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    history_id BYTEA  NOT NULL,
    began_at   BIGINT NOT NULL
);

CREATE TABLE tenants (
    tenant     BYTEA  NOT NULL PRIMARY KEY,
    code       TEXT   NOT NULL UNIQUE,
    name       TEXT   NOT NULL,
    currency   TEXT   NOT NULL,
    -- Key of the permutation behind coupon codes: secret, never leaves head office.
    code_key   BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE token_keys (
    tenant     BYTEA  NOT NULL REFERENCES tenants (tenant),
    key_id     BIGINT NOT NULL,
    public_key BYTEA  NOT NULL,
    secret_key BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT,
    version    BIGINT NOT NULL,
    PRIMARY KEY (tenant, key_id)
);

CREATE TABLE stores (
    tenant     BYTEA  NOT NULL REFERENCES tenants (tenant),
    id         BYTEA  NOT NULL,
    code       TEXT   NOT NULL,
    name_zh    TEXT   NOT NULL,
    name_en    TEXT   NOT NULL,
    time_zone  TEXT   NOT NULL,
    -- What its counters may do offline, minor units.
    max_count      BIGINT NOT NULL CHECK (max_count >= 0),
    max_amount     BIGINT NOT NULL CHECK (max_amount >= 0),
    max_each       BIGINT NOT NULL CHECK (max_each >= 0),
    max_per_member BIGINT NOT NULL CHECK (max_per_member >= 0),
    max_hours      BIGINT NOT NULL CHECK (max_hours >= 0),
    created_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, code)
);

CREATE TABLE clerks (
    tenant     BYTEA  NOT NULL,
    id         BYTEA  NOT NULL,
    store      BYTEA  NOT NULL,
    name       TEXT   NOT NULL,
    role       TEXT   NOT NULL CHECK (role IN ('clerk', 'manager')),
    pin_hash   TEXT   NOT NULL,
    active     BIGINT NOT NULL CHECK (active IN (0, 1)),
    created_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, store, name),
    FOREIGN KEY (tenant, store) REFERENCES stores (tenant, id)
);

CREATE TABLE operators (
    tenant     BYTEA  NOT NULL REFERENCES tenants (tenant),
    id         BYTEA  NOT NULL,
    name       TEXT   NOT NULL,
    role       TEXT   NOT NULL CHECK (role IN ('admin', 'operator', 'warehouse', 'auditor')),
    -- SHA-256 of the token; the token itself is shown once.
    token_hash BYTEA  NOT NULL UNIQUE,
    active     BIGINT NOT NULL CHECK (active IN (0, 1)),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
);

CREATE TABLE devices (
    tenant      BYTEA  NOT NULL,
    id          BYTEA  NOT NULL,
    store       BYTEA  NOT NULL,
    name        TEXT   NOT NULL,
    public_key  BYTEA  NOT NULL,
    status      TEXT   NOT NULL CHECK (status IN ('active', 'frozen', 'revoked')),
    epoch       BIGINT NOT NULL CHECK (epoch >= 1),
    last_seq    BIGINT NOT NULL CHECK (last_seq >= 0),
    last_hash   BYTEA  NOT NULL,
    -- Last instant at which it had nothing left to deliver and pulled.
    settled_at  BIGINT,
    enrolled_at BIGINT NOT NULL,
    version     BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, store) REFERENCES stores (tenant, id)
);

-- Not a tenant's business key: whoever types the code does not know the tenant yet. Only its hash is kept.
CREATE TABLE enrol_codes (
    code_hash  BYTEA  NOT NULL PRIMARY KEY,
    tenant     BYTEA  NOT NULL,
    store      BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    device     BYTEA,
    FOREIGN KEY (tenant, store) REFERENCES stores (tenant, id)
);

CREATE TABLE members (
    tenant        BYTEA  NOT NULL REFERENCES tenants (tenant),
    id            BYTEA  NOT NULL,
    number        TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    phone         TEXT   NOT NULL,
    -- Where they were seen, latest first: up to 8 store ids of 16 bytes in a row.
    recent_stores BYTEA  NOT NULL,
    created_at    BIGINT NOT NULL,
    version       BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, number)
);
CREATE INDEX members_by_phone ON members (tenant, phone);

-- One row a version; a published version does not change. rule, scope and stores are JSON.
CREATE TABLE templates (
    tenant          BYTEA  NOT NULL REFERENCES tenants (tenant),
    id              BYTEA  NOT NULL,
    template_version BIGINT NOT NULL CHECK (template_version >= 1),
    status          TEXT   NOT NULL CHECK (status IN ('draft', 'published', 'retired')),
    name_zh         TEXT   NOT NULL,
    name_en         TEXT   NOT NULL,
    logo            TEXT,
    category        TEXT   NOT NULL,
    product_line    TEXT   NOT NULL,
    currency        TEXT   NOT NULL,
    rule            TEXT   NOT NULL,
    scope           TEXT   NOT NULL,
    stacking        TEXT   NOT NULL,
    stores          TEXT,
    -- Either fixed dates or a number of days after the claim.
    valid_from      BIGINT,
    valid_until     BIGINT,
    valid_days      BIGINT,
    claim_from      BIGINT,
    claim_until     BIGINT,
    member_limit    BIGINT NOT NULL CHECK (member_limit >= 0),
    limit_counts    TEXT   NOT NULL CHECK (limit_counts IN ('taken', 'held')),
    offline         TEXT   NOT NULL CHECK (offline IN ('online_only', 'home_store', 'floor_limit')),
    floor_limit     BIGINT NOT NULL CHECK (floor_limit >= 0),
    worth_unbounded BIGINT NOT NULL CHECK (worth_unbounded >= 0),
    created_at      BIGINT NOT NULL,
    version         BIGINT NOT NULL,
    PRIMARY KEY (tenant, id, template_version)
);

CREATE TABLE batches (
    tenant           BYTEA  NOT NULL,
    id               BYTEA  NOT NULL,
    template         BYTEA  NOT NULL,
    template_version BIGINT NOT NULL,
    size             BIGINT NOT NULL CHECK (size >= 0),
    made             BIGINT NOT NULL CHECK (made >= 0 AND made <= size),
    claimed          BIGINT NOT NULL CHECK (claimed >= 0 AND claimed <= made),
    status           TEXT   NOT NULL CHECK (status IN ('making', 'ready', 'closed')),
    created_at       BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, template, template_version) REFERENCES templates (tenant, id, template_version)
);

CREATE TABLE coupons (
    tenant           BYTEA  NOT NULL,
    id               BYTEA  NOT NULL,
    code             TEXT   NOT NULL,
    member           BYTEA,
    template         BYTEA  NOT NULL,
    template_version BIGINT NOT NULL,
    batch            BYTEA  NOT NULL,
    home_store       BYTEA,
    valid_from       BIGINT,
    valid_until      BIGINT,
    state            TEXT   NOT NULL CHECK (state IN ('available', 'frozen', 'redeemed', 'expired')),
    -- What the state carries: the freeze or the operation; its deadline or its time; the device or the store.
    holder           BYTEA,
    held_at          BIGINT,
    held_where       BYTEA,
    version          BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, code),
    CHECK ((state IN ('frozen', 'redeemed')) = (holder IS NOT NULL AND held_at IS NOT NULL AND held_where IS NOT NULL))
);
CREATE INDEX coupons_by_member ON coupons (tenant, member);

-- A coupon's own record: locked, redeemed, unlocked, voided; by whom, where.
CREATE TABLE coupon_entries (
    tenant  BYTEA  NOT NULL,
    coupon  BYTEA  NOT NULL,
    version BIGINT NOT NULL,
    what    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    store   BYTEA  NOT NULL,
    device  BYTEA  NOT NULL,
    actor   BYTEA,
    -- The operation or the freeze behind it.
    source  BYTEA  NOT NULL,
    PRIMARY KEY (tenant, coupon, version)
);

CREATE TABLE orders (
    tenant     BYTEA  NOT NULL,
    id         BYTEA  NOT NULL,
    number     TEXT   NOT NULL,
    code       TEXT   NOT NULL,
    store      BYTEA  NOT NULL,
    member     BYTEA,
    collector  TEXT   NOT NULL,
    deadline   BIGINT,
    lines      TEXT   NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('ready', 'collected', 'returned', 'cancelled')),
    -- As for coupons: of a ready order its freeze, of a collected one its operation.
    holder     BYTEA,
    held_at    BIGINT,
    held_where BYTEA,
    created_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, number),
    FOREIGN KEY (tenant, store) REFERENCES stores (tenant, id)
);

-- A code is taken while its order waits, and rests a while after; then the row goes and the code may be used again.
CREATE TABLE pickup_codes (
    tenant     BYTEA  NOT NULL,
    code       TEXT   NOT NULL,
    order_id   BYTEA  NOT NULL,
    rests_until BIGINT,
    PRIMARY KEY (tenant, code),
    FOREIGN KEY (tenant, order_id) REFERENCES orders (tenant, id)
);

CREATE TABLE freezes (
    tenant  BYTEA  NOT NULL,
    id      BYTEA  NOT NULL,
    device  BYTEA  NOT NULL,
    subject_kind TEXT,
    subject BYTEA,
    asked_at BIGINT NOT NULL,
    status  TEXT   NOT NULL CHECK (status IN ('granted', 'refused', 'cancelled')),
    until   BIGINT,
    reasons TEXT,
    PRIMARY KEY (tenant, id)
);

-- Head office's copy of every journal. A row never changes.
CREATE TABLE operations (
    tenant      BYTEA  NOT NULL,
    device      BYTEA  NOT NULL,
    epoch       BIGINT NOT NULL,
    seq         BIGINT NOT NULL CHECK (seq >= 1),
    id          BYTEA  NOT NULL,
    store       BYTEA  NOT NULL,
    subject_kind TEXT,
    subject     BYTEA,
    fingerprint BYTEA  NOT NULL,
    received_at BIGINT NOT NULL,
    outcome     TEXT   NOT NULL CHECK (outcome IN ('applied', 'applied_with_exception', 'quarantined')),
    detail      TEXT,
    -- The exact bytes that the device signed for.
    body        BYTEA  NOT NULL,
    PRIMARY KEY (tenant, device, epoch, seq),
    UNIQUE (tenant, id)
);

-- Operations of a second branch of a journal: kept for a person, never applied.
CREATE TABLE branches (
    tenant      BYTEA  NOT NULL,
    device      BYTEA  NOT NULL,
    fingerprint BYTEA  NOT NULL,
    epoch       BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    body        BYTEA  NOT NULL,
    PRIMARY KEY (tenant, device, fingerprint)
);

-- Cases: what broke a rule and waits for a person.
CREATE TABLE exceptions (
    tenant    BYTEA  NOT NULL,
    operation BYTEA  NOT NULL,
    kind      TEXT   NOT NULL,
    store     BYTEA  NOT NULL,
    subject_kind TEXT,
    subject   BYTEA,
    loss      BIGINT NOT NULL CHECK (loss >= 0),
    status    TEXT   NOT NULL CHECK (status IN ('open', 'voided', 'decided')),
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    note      TEXT,
    PRIMARY KEY (tenant, operation)
);
CREATE INDEX exceptions_open ON exceptions (tenant, status, store, opened_at);

-- Feeds: what changed, in the order of commits. store = 16 zero bytes is the tenant's own feed.
CREATE TABLE feed_heads (
    tenant BYTEA  NOT NULL,
    store  BYTEA  NOT NULL,
    number BIGINT NOT NULL,
    mark   BIGINT NOT NULL,
    PRIMARY KEY (tenant, store)
);

CREATE TABLE feed (
    tenant BYTEA  NOT NULL,
    store  BYTEA  NOT NULL,
    number BIGINT NOT NULL,
    entity TEXT   NOT NULL,
    id     BYTEA  NOT NULL,
    -- Random, one a commit: see the protocol's cursor.
    mark   BIGINT NOT NULL,
    PRIMARY KEY (tenant, store, number)
);

CREATE TABLE audit (
    tenant BYTEA  NOT NULL,
    id     BYTEA  NOT NULL,
    at     BIGINT NOT NULL,
    actor  TEXT   NOT NULL,
    action TEXT   NOT NULL,
    detail TEXT   NOT NULL,
    PRIMARY KEY (tenant, id)
);
