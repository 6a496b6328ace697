-- What a cursor's mark is made with: so that a number which is not known here is believed only if it was given here once,
-- before a backup was restored. The key is made with the database and is in every backup of it.
CREATE TABLE mark_keys (
    singleton BIGINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    mark_key  BYTEA  NOT NULL
);

-- A chain that has no row here is still in the history that the database began with.
CREATE TABLE histories (
    tenant     BYTEA  NOT NULL PRIMARY KEY REFERENCES tenants (tenant),
    history_id BYTEA  NOT NULL,
    began_at   BIGINT NOT NULL
);
