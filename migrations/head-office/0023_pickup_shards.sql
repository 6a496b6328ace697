-- Pickup orders and their codes by shard: a code says where its order is kept, and so does the order's id (docs/adr/0023).
-- On PostgreSQL each shard is a partition, so that a look-up reads one of them however many orders there are.

DROP INDEX orders_surplus;
DROP INDEX orders_of_member;
DROP INDEX pickup_codes_by_order;
ALTER TABLE pickup_codes RENAME TO pickup_codes_before;
ALTER TABLE orders RENAME TO orders_before;

CREATE TABLE orders (
    tenant     BYTEA  NOT NULL,
    -- Database * tables + table. Orders from before there were shards are in the first one.
    shard      BIGINT NOT NULL CHECK (shard BETWEEN 0 AND 99),
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
    surplus    TEXT,
    told       BYTEA,
    CONSTRAINT orders_by_shard PRIMARY KEY (tenant, shard, id),
    FOREIGN KEY (tenant, store) REFERENCES stores (tenant, id)
)
-- PostgreSQL: PARTITION BY LIST (shard)
;

-- An order's number leads to its id, and so to its shard. A number is that of one order of the chain.
CREATE TABLE order_numbers (
    tenant   BYTEA  NOT NULL,
    number   TEXT   NOT NULL,
    shard    BIGINT NOT NULL,
    order_id BYTEA  NOT NULL,
    PRIMARY KEY (tenant, number)
);

-- A code is taken while its order waits, and rests a while after; then the row goes and the code may be used again.
CREATE TABLE pickup_codes (
    tenant      BYTEA  NOT NULL,
    shard       BIGINT NOT NULL CHECK (shard BETWEEN 0 AND 99),
    code        TEXT   NOT NULL,
    order_id    BYTEA  NOT NULL,
    rests_until BIGINT,
    CONSTRAINT pickup_codes_by_shard PRIMARY KEY (tenant, shard, code)
)
-- PostgreSQL: PARTITION BY LIST (shard)
;

-- PostgreSQL: DO $$ BEGIN FOR n IN 0..99 LOOP
-- PostgreSQL:     EXECUTE format('CREATE TABLE orders_%s PARTITION OF orders FOR VALUES IN (%s) WITH (fillfactor = 70)', lpad(n::text, 2, '0'), n);
-- PostgreSQL:     EXECUTE format('CREATE TABLE pickup_codes_%s PARTITION OF pickup_codes FOR VALUES IN (%s)', lpad(n::text, 2, '0'), n);
-- PostgreSQL: END LOOP; END $$;

INSERT INTO orders (tenant, shard, id, number, code, store, member, collector, deadline, lines, state, holder, held_at, held_where, created_at, version, surplus, told)
SELECT tenant, 0, id, number, code, store, member, collector, deadline, lines, state, holder, held_at, held_where, created_at, version, surplus, told FROM orders_before;

INSERT INTO order_numbers (tenant, number, shard, order_id) SELECT tenant, number, 0, id FROM orders_before;

-- Codes of orders that wait no more rest from now on as well: 30 days after they were collected, 2,592,000,000 ms.
INSERT INTO pickup_codes (tenant, shard, code, order_id, rests_until)
SELECT c.tenant, 0, c.code, c.order_id, CASE WHEN o.state = 'ready' THEN NULL ELSE COALESCE(c.rests_until, COALESCE(o.held_at, o.created_at) + 2592000000) END
FROM pickup_codes_before c JOIN orders_before o ON o.tenant = c.tenant AND o.id = c.order_id;

DROP TABLE pickup_codes_before;
DROP TABLE orders_before;

-- What names an order by its id alone, and is no hurry: `verify`.
CREATE INDEX orders_by_id ON orders (tenant, id);
CREATE INDEX orders_surplus ON orders (tenant, id) WHERE surplus IS NOT NULL;
CREATE INDEX orders_of_member ON orders (tenant, member) WHERE member IS NOT NULL;
CREATE INDEX pickup_codes_resting ON pickup_codes (rests_until) WHERE rests_until IS NOT NULL;

-- Versions of how a tenant's codes are made. The highest counts; codes made by earlier ones live on.
CREATE TABLE pickup_policies (
    tenant       BYTEA  NOT NULL,
    version      BIGINT NOT NULL CHECK (version >= 1),
    -- JSON.
    policy       TEXT   NOT NULL,
    published_at BIGINT NOT NULL,
    published_by BYTEA,
    PRIMARY KEY (tenant, version)
);

-- Who had codes that the policy of those who set none would not make, goes on with any eight digits.
INSERT INTO pickup_policies (tenant, version, policy, published_at)
SELECT t.tenant, 1, '{"version":1,"parts":[{"kind":"random","signs":8}],"alphabet":"0123456789","shards":{"databases":1,"tables":1},"stores":100,"orders_a_day":50,"waiting_days":14,"rest_days":30}', t.created_at
FROM tenants t WHERE EXISTS (SELECT 1 FROM pickup_codes c WHERE c.tenant = t.tenant AND c.code NOT LIKE '%00');

-- How full a shard was when its codes were last counted.
CREATE TABLE pickup_shards (
    tenant     BYTEA  NOT NULL,
    shard      BIGINT NOT NULL CHECK (shard BETWEEN 0 AND 99),
    used       BIGINT NOT NULL CHECK (used >= 0),
    room       BIGINT NOT NULL CHECK (room > 0),
    counted_at BIGINT NOT NULL,
    -- When somebody was told that half of it is used up.
    alerted_at BIGINT,
    PRIMARY KEY (tenant, shard)
);
