-- Messages from one part of head office to another. Each commits with what causes it and is handed over until its consumer
-- confirms it.
CREATE TABLE outbox (
    tenant       BYTEA  NOT NULL,
    id           BYTEA  NOT NULL,
    -- What kind of message: who consumes it.
    topic        TEXT   NOT NULL,
    -- What it is about. Of one topic and key one message is handed over after the other, in the order of their numbers.
    key          TEXT   NOT NULL,
    number       BIGINT NOT NULL CHECK (number > 0),
    -- What causes it.
    source       TEXT   NOT NULL,
    -- JSON.
    body         TEXT   NOT NULL,
    status       TEXT   NOT NULL CHECK (status IN ('pending', 'sent', 'confirmed')),
    -- How often it was handed over.
    tries        BIGINT NOT NULL DEFAULT 0 CHECK (tries >= 0),
    -- When it is handed over (again). Nothing while it waits for an earlier one of its key.
    next_try_at  BIGINT,
    -- When somebody was told that it is not confirmed.
    alerted_at   BIGINT,
    last_error   TEXT,
    created_at   BIGINT NOT NULL,
    -- When it was last handed over.
    sent_at      BIGINT,
    confirmed_at BIGINT,
    -- 1 = its consumer keeps a line in `inbox`.
    in_inbox     BIGINT NOT NULL DEFAULT 0 CHECK (in_inbox IN (0, 1)),
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, topic, source),
    UNIQUE (tenant, topic, key, number),
    CHECK ((status = 'confirmed') = (confirmed_at IS NOT NULL))
);
CREATE INDEX outbox_due ON outbox (topic, next_try_at) WHERE status <> 'confirmed';
CREATE INDEX outbox_open ON outbox (tenant, id) WHERE status <> 'confirmed';
CREATE INDEX outbox_by_key ON outbox (tenant, key, id);
CREATE INDEX outbox_by_topic ON outbox (tenant, topic, id);
CREATE INDEX outbox_confirmed ON outbox (confirmed_at) WHERE status = 'confirmed';

-- Messages whose effect is done. The line commits with the effect, so that a message that is handed over again has none.
-- (What members read is in `member_messages`.)
CREATE TABLE inbox (
    tenant   BYTEA  NOT NULL,
    -- The topic that it consumes.
    consumer TEXT   NOT NULL,
    message  BYTEA  NOT NULL,
    done_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, consumer, message)
);

-- The processes that work on this database.
CREATE TABLE processes (
    id           BYTEA  NOT NULL PRIMARY KEY,
    -- Words, with commas between them.
    roles        TEXT   NOT NULL,
    version      TEXT   NOT NULL,
    started_at   BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL
);
