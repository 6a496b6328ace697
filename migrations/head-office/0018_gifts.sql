-- Where goods lie, how many, and how they moved; gifts, and members' exchanges of points for them.

-- A location that is no store.
CREATE TABLE warehouses (
    tenant     BYTEA  NOT NULL,
    id         BYTEA  NOT NULL,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, name)
);

-- The id follows from location (a store or a warehouse) and sku.
CREATE TABLE stocks (
    tenant   BYTEA  NOT NULL,
    id       BYTEA  NOT NULL,
    location BYTEA  NOT NULL,
    sku      TEXT   NOT NULL,
    on_hand  BIGINT NOT NULL CHECK (on_hand >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0 AND reserved <= on_hand),
    -- The number of its last movement.
    moves    BIGINT NOT NULL CHECK (moves >= 0),
    version  BIGINT NOT NULL CHECK (version >= 1),
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, location, sku)
);
CREATE INDEX stocks_of_sku ON stocks (tenant, sku, location);

-- Whatever changed what is on hand. No row is ever changed.
CREATE TABLE stock_moves (
    tenant   BYTEA  NOT NULL,
    stock    BYTEA  NOT NULL,
    number   BIGINT NOT NULL CHECK (number >= 1),
    kind     TEXT   NOT NULL,
    quantity BIGINT NOT NULL,
    -- What was on hand after it.
    on_hand  BIGINT NOT NULL CHECK (on_hand >= 0),
    source   BYTEA,
    actor    BYTEA,
    note     TEXT,
    at       BIGINT NOT NULL,
    PRIMARY KEY (tenant, stock, number),
    -- One thing moves goods once in each way; people by hand have no source.
    UNIQUE (tenant, kind, source)
);

CREATE TABLE gifts (
    tenant       BYTEA  NOT NULL,
    id           BYTEA  NOT NULL,
    sku          TEXT   NOT NULL,
    name_zh      TEXT   NOT NULL,
    name_en      TEXT   NOT NULL,
    points       BIGINT NOT NULL CHECK (points >= 1),
    money        BIGINT NOT NULL CHECK (money >= 0),
    worth        BIGINT NOT NULL CHECK (worth >= 0),
    member_limit BIGINT NOT NULL CHECK (member_limit >= 0),
    begins_at    BIGINT,
    ends_at      BIGINT,
    given        TEXT   NOT NULL CHECK (given IN ('shipped', 'collected')),
    -- The warehouse that sends it.
    location     BYTEA,
    status       TEXT   NOT NULL CHECK (status IN ('draft', 'published', 'ended')),
    created_at   BIGINT NOT NULL,
    version      BIGINT NOT NULL CHECK (version >= 1),
    PRIMARY KEY (tenant, id),
    CHECK ((given = 'shipped') = (location IS NOT NULL))
);

-- How many a member has had of a gift, what came to nothing not counted.
CREATE TABLE gift_members (
    tenant  BYTEA  NOT NULL,
    member  BYTEA  NOT NULL,
    gift    BYTEA  NOT NULL,
    taken   BIGINT NOT NULL CHECK (taken >= 0),
    version BIGINT NOT NULL CHECK (version >= 1),
    PRIMARY KEY (tenant, member, gift)
);

-- The id follows from the member and from what their program called it.
CREATE TABLE exchanges (
    tenant       BYTEA  NOT NULL,
    id           BYTEA  NOT NULL,
    member       BYTEA  NOT NULL,
    gift         BYTEA  NOT NULL,
    stock        BYTEA  NOT NULL,
    location     BYTEA  NOT NULL,
    sku          TEXT   NOT NULL,
    name_zh      TEXT   NOT NULL,
    name_en      TEXT   NOT NULL,
    points       BIGINT NOT NULL CHECK (points >= 1),
    money        BIGINT NOT NULL CHECK (money >= 0),
    worth        BIGINT NOT NULL CHECK (worth >= 0),
    -- JSON: where it is sent to.
    address      TEXT,
    -- The pickup order that it has, or will have once it is paid.
    pickup       BYTEA,
    status       TEXT   NOT NULL CHECK (status IN ('awaiting_payment', 'confirmed', 'cancelled', 'returned', 'lost')),
    asked_at     BIGINT NOT NULL,
    deadline     BIGINT,
    confirmed_at BIGINT,
    ended_at     BIGINT,
    ended_by     BYTEA,
    -- When the sweeper asks whether it was paid, and how often it has; nothing once that is known.
    ask_at       BIGINT,
    asks         BIGINT NOT NULL CHECK (asks >= 0),
    version      BIGINT NOT NULL CHECK (version >= 1),
    PRIMARY KEY (tenant, id),
    CHECK ((address IS NULL) = (pickup IS NOT NULL)),
    CHECK ((status = 'awaiting_payment') = (ask_at IS NOT NULL)),
    CHECK ((status IN ('awaiting_payment', 'cancelled')) = (confirmed_at IS NULL)),
    CHECK ((status IN ('awaiting_payment', 'confirmed')) = (ended_at IS NULL))
);
CREATE INDEX exchanges_by_time ON exchanges (tenant, asked_at, id);
CREATE INDEX exchanges_of_member ON exchanges (tenant, member, asked_at, id);
CREATE INDEX exchanges_by_status ON exchanges (tenant, status, asked_at, id);
CREATE INDEX exchanges_due ON exchanges (tenant, ask_at) WHERE ask_at IS NOT NULL;
