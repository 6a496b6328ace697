-- Sales, products, guessed codes, and time that nobody can set.

-- How much time has gone by as far as this counter can prove, ms: locks and limits are counted by it. It stands where
-- it was last written down, and only ever grows from there.
CREATE TABLE steady (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    total       INTEGER NOT NULL,
    -- From when on it grows: which boot, how long that boot has lasted, head office's clock when last heard.
    boot_id     TEXT    NOT NULL,
    awake       INTEGER NOT NULL,
    server_time INTEGER NOT NULL
) STRICT;

-- A lock ended when somebody moved the device's clock. One of a quarter of an hour is forgotten here.
ALTER TABLE pin_failures DROP COLUMN locked_until;
-- By steady time.
ALTER TABLE pin_failures ADD COLUMN lock_ends INTEGER;

-- Well-formed codes that nobody knew, each once a day.
CREATE TABLE guesses (
    id        INTEGER PRIMARY KEY,
    -- By steady time.
    at        INTEGER NOT NULL,
    clerk     BLOB,
    -- SHA-256 of the code, hex.
    digest    TEXT    NOT NULL,
    -- The manager who let it pass: it counts no more.
    lifted_by BLOB
) STRICT;
CREATE INDEX guesses_at ON guesses (at);

-- What an operation is about: several coupons and a sale, or one row. journal.subject_kind and journal.subject said it
-- when there was only one; nobody reads them any more.
CREATE TABLE subjects (
    entity TEXT    NOT NULL CHECK (entity IN ('coupon', 'order', 'sale')),
    id     BLOB    NOT NULL,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (entity, id, epoch, seq),
    FOREIGN KEY (epoch, seq) REFERENCES journal (epoch, seq) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX subjects_operation ON subjects (epoch, seq);
INSERT INTO subjects (entity, id, epoch, seq)
    SELECT subject_kind, subject, epoch, seq FROM journal WHERE subject IS NOT NULL;
DROP INDEX journal_subject;

-- Whether an operation is expected to end in an exception because of this row of it.
ALTER TABLE touches ADD COLUMN conflict INTEGER NOT NULL DEFAULT 0 CHECK (conflict IN (0, 1));
UPDATE touches SET conflict = (SELECT conflict FROM journal j WHERE j.epoch = touches.epoch AND j.seq = touches.seq);

-- How many redemptions of the operation head office had not confirmed before, and what they are worth.
ALTER TABLE journal ADD COLUMN alone_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE journal ADD COLUMN alone_worth INTEGER NOT NULL DEFAULT 0;
UPDATE journal SET alone_count = 1, alone_worth = worth
    WHERE confirmed = 0 AND kind IN ('redeem_coupon', 'collect_order');
DROP INDEX journal_unconfirmed;
CREATE INDEX journal_alone ON journal (member, alone_count, alone_worth)
    WHERE state = 'pending' AND alone_count > 0 AND voided_by IS NULL;

-- A coupon is found by its member too.
UPDATE replica SET lookup2 = image ->> 'member' WHERE entity = 'coupon';

-- Sales are found by when they were settled.
CREATE INDEX replica_sales ON replica (image ->> 'at') WHERE entity = 'sale';

-- What products are found by. Written by what happens to their copies, so that it can't be forgotten.
CREATE TABLE products (
    id      BLOB PRIMARY KEY,
    -- Lower case, as far as ASCII goes.
    sku     TEXT    NOT NULL,
    name_zh TEXT    NOT NULL,
    name_en TEXT    NOT NULL,
    active  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE product_barcodes (
    barcode TEXT NOT NULL,
    id      BLOB NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    PRIMARY KEY (barcode, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX product_barcodes_of ON product_barcodes (id);

CREATE TRIGGER product_comes AFTER INSERT ON replica WHEN NEW.entity = 'product'
BEGIN
    INSERT INTO products (id, sku, name_zh, name_en, active) VALUES (NEW.id, lower(NEW.image ->> 'sku'),
        lower(NEW.image ->> 'name_zh'), lower(NEW.image ->> 'name_en'), NEW.image ->> 'active');
    INSERT OR IGNORE INTO product_barcodes (barcode, id)
        SELECT value, NEW.id FROM json_each(NEW.image, '$.barcodes');
END;
CREATE TRIGGER product_changes AFTER UPDATE OF image ON replica WHEN NEW.entity = 'product'
BEGIN
    UPDATE products SET sku = lower(NEW.image ->> 'sku'), name_zh = lower(NEW.image ->> 'name_zh'),
        name_en = lower(NEW.image ->> 'name_en'), active = NEW.image ->> 'active' WHERE id = NEW.id;
    DELETE FROM product_barcodes WHERE id = NEW.id;
    INSERT OR IGNORE INTO product_barcodes (barcode, id)
        SELECT value, NEW.id FROM json_each(NEW.image, '$.barcodes');
END;
CREATE TRIGGER product_goes AFTER DELETE ON replica WHEN OLD.entity = 'product'
BEGIN
    DELETE FROM products WHERE id = OLD.id;
END;

PRAGMA user_version = 2;
