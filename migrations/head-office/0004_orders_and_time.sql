-- Orders placed online that hold coupons, the days on which coupons fall due, messages, and who must be told.

-- One row a coupon that ends: first the day to remind its member, then the day it ends. A day is UTC, counted from
-- 1970. A reminder that was sent moves its row on to the last day; a coupon that has ended loses its row.
CREATE TABLE coupon_days (
    tenant      BYTEA  NOT NULL,
    day         BIGINT NOT NULL,
    coupon      BYTEA  NOT NULL,
    member      BYTEA,
    what        TEXT   NOT NULL CHECK (what IN ('remind', 'expire')),
    -- The coupon's end, so that the day's rows can be read without the coupons.
    expires_at  BIGINT NOT NULL,
    status      TEXT   NOT NULL CHECK (status IN ('pending', 'failed')),
    -- Channels that have taken the notice, a bit each.
    told        BIGINT NOT NULL,
    tries       BIGINT NOT NULL CHECK (tries >= 0),
    next_try_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, coupon)
);

-- Coupons that were given before there were days: nobody is reminded late, all end in time.
INSERT INTO coupon_days (tenant, day, coupon, member, what, expires_at, status, told, tries, next_try_at)
SELECT tenant, valid_until / 86400000, id, member, 'expire', valid_until, 'pending', 0, 0, valid_until
FROM coupons WHERE member IS NOT NULL AND valid_until IS NOT NULL AND state IN ('available', 'frozen');

-- An order of the shop's own site that holds coupons. The id follows from the number: one order, one row.
CREATE TABLE order_freezes (
    tenant     BYTEA  NOT NULL,
    id         BYTEA  NOT NULL,
    number     TEXT   NOT NULL,
    status     TEXT   NOT NULL CHECK (status IN ('frozen', 'refused', 'confirmed', 'cancelled', 'voided')),
    -- Name of the question that got this answer: the same question gets it again.
    question   TEXT   NOT NULL,
    member     BYTEA,
    amount     BIGINT NOT NULL CHECK (amount >= 0),
    deadline   BIGINT NOT NULL,
    asked_at   BIGINT NOT NULL,
    asked_by   BYTEA  NOT NULL,
    -- JSON: what was asked for, and every reason against it.
    refusals   TEXT,
    ended_at   BIGINT,
    ended_by   BYTEA,
    -- When the sweeper asks the order's owner next, and how often it has; nothing once the order has ended.
    ask_at     BIGINT,
    asks       BIGINT NOT NULL CHECK (asks >= 0),
    version    BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, number),
    CHECK ((status = 'frozen') = (ask_at IS NOT NULL)),
    CHECK ((status = 'refused') = (refusals IS NOT NULL)),
    CHECK ((status IN ('frozen', 'refused')) = (ended_at IS NULL))
);
CREATE INDEX order_freezes_due ON order_freezes (tenant, ask_at) WHERE ask_at IS NOT NULL;

CREATE TABLE order_freeze_coupons (
    tenant   BYTEA  NOT NULL,
    order_id BYTEA  NOT NULL,
    coupon   BYTEA  NOT NULL,
    -- The operation of a counter that honoured the coupon all the same.
    taken_by BYTEA,
    taken_at BIGINT,
    PRIMARY KEY (tenant, order_id, coupon)
);

-- Where a chain's own site is told and asked, and the key that the requests are signed with.
CREATE TABLE webhooks (
    tenant     BYTEA  NOT NULL PRIMARY KEY REFERENCES tenants (tenant),
    url        TEXT   NOT NULL,
    secret     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);

-- What the chain's own site must be told; a row goes once it has been.
CREATE TABLE notices (
    tenant      BYTEA  NOT NULL,
    id          BYTEA  NOT NULL,
    kind        TEXT   NOT NULL,
    -- JSON, as it is sent.
    body        TEXT   NOT NULL,
    status      TEXT   NOT NULL CHECK (status IN ('pending', 'failed')),
    tries       BIGINT NOT NULL CHECK (tries >= 0),
    next_try_at BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX notices_due ON notices (tenant, next_try_at);

-- One row a message, however many members it is for. One to all has a number, in the order of commits.
CREATE TABLE messages (
    tenant   BYTEA  NOT NULL,
    id       BYTEA  NOT NULL,
    number   BIGINT,
    kind     TEXT   NOT NULL,
    title_zh TEXT   NOT NULL,
    title_en TEXT   NOT NULL,
    body_zh  TEXT   NOT NULL,
    body_en  TEXT   NOT NULL,
    sent_at  BIGINT NOT NULL,
    -- The operator; nothing when head office wrote it by itself.
    sent_by  BYTEA,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, number)
);

CREATE TABLE message_heads (
    tenant BYTEA  NOT NULL PRIMARY KEY REFERENCES tenants (tenant),
    number BIGINT NOT NULL
);

-- A member's own row of a message: made when it is sent to them by name, else when they first look.
CREATE TABLE member_messages (
    tenant     BYTEA  NOT NULL,
    member     BYTEA  NOT NULL,
    message    BYTEA  NOT NULL,
    arrived_at BIGINT NOT NULL,
    read_at    BIGINT,
    PRIMARY KEY (tenant, member, message)
);

-- Up to which number of the messages to all a member has looked.
CREATE TABLE inboxes (
    tenant BYTEA  NOT NULL,
    member BYTEA  NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (tenant, member)
);

-- Where a member wants to be reminded besides their inbox; the shop's own site says so.
ALTER TABLE members ADD COLUMN email TEXT;
