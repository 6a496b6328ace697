-- Typed look-ups that found nothing, by device and day (UTC, days since 1970-01-01).
CREATE TABLE lookup_misses (
    tenant BYTEA  NOT NULL,
    device BYTEA  NOT NULL,
    what   TEXT   NOT NULL CHECK (what IN ('code', 'member')),
    day    BIGINT NOT NULL,
    store  BYTEA  NOT NULL,
    misses BIGINT NOT NULL CHECK (misses >= 1),
    PRIMARY KEY (tenant, device, what, day)
);
CREATE INDEX lookup_misses_by_store ON lookup_misses (tenant, store, day);
