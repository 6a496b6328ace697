-- Sales, known by the operation that settled them. What was sold and what went back of it is in the lines, JSON; the
-- sums beside them hold what no return may exceed.
CREATE TABLE sales (
    tenant     BYTEA  NOT NULL,
    id         BYTEA  NOT NULL,
    store      BYTEA  NOT NULL,
    device     BYTEA  NOT NULL,
    at         BIGINT NOT NULL,
    member     BYTEA,
    currency   TEXT   NOT NULL,
    lines      TEXT   NOT NULL,
    coupons    TEXT   NOT NULL,
    payable    BIGINT NOT NULL CHECK (payable >= 0),
    paid_back  BIGINT NOT NULL CHECK (paid_back >= 0 AND paid_back <= payable),
    units      BIGINT NOT NULL,
    units_back BIGINT NOT NULL CHECK (units_back >= 0 AND units_back <= units),
    tender     TEXT   NOT NULL,
    receipt    TEXT   NOT NULL,
    -- The operation that undid it.
    voided_by  BYTEA,
    version    BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, store) REFERENCES stores (tenant, id)
);
CREATE INDEX sales_by_store ON sales (tenant, store, id);

CREATE TABLE products (
    tenant     BYTEA  NOT NULL REFERENCES tenants (tenant),
    id         BYTEA  NOT NULL,
    sku        TEXT   NOT NULL,
    name_zh    TEXT   NOT NULL,
    name_en    TEXT   NOT NULL,
    category   TEXT,
    merchant   TEXT,
    unit_price BIGINT NOT NULL CHECK (unit_price >= 0),
    currency   TEXT   NOT NULL,
    picture    TEXT,
    active     BIGINT NOT NULL CHECK (active IN (0, 1)),
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, sku)
);

-- A barcode belongs to one product.
CREATE TABLE product_barcodes (
    tenant  BYTEA NOT NULL,
    barcode TEXT  NOT NULL,
    product BYTEA NOT NULL,
    PRIMARY KEY (tenant, barcode),
    FOREIGN KEY (tenant, product) REFERENCES products (tenant, id)
);
CREATE INDEX product_barcodes_of ON product_barcodes (tenant, product);

-- A file of products that was looked through and waits to be applied, exactly as it was.
CREATE TABLE product_imports (
    tenant     BYTEA  NOT NULL REFERENCES tenants (tenant),
    id         BYTEA  NOT NULL,
    actor      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    applied_at BIGINT,
    -- JSON: what was found, and the products with the versions they were compared with.
    preview    TEXT   NOT NULL,
    content    TEXT   NOT NULL,
    PRIMARY KEY (tenant, id)
);
