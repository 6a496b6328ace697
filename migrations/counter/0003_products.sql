-- What products are found by is folded by the program, which knows more letters than SQLite: it writes these rows
-- beside each copy, and at every start those that are missing.
DROP TRIGGER product_comes;
DROP TRIGGER product_changes;
DROP TABLE product_barcodes;
DROP TABLE products;

CREATE TABLE products (
    id      BLOB PRIMARY KEY,
    -- Folded, as the names are.
    sku     TEXT    NOT NULL,
    name_zh TEXT    NOT NULL,
    name_en TEXT    NOT NULL,
    active  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX products_sku ON products (sku);
CREATE TABLE product_barcodes (
    -- The one form of a barcode.
    form      TEXT NOT NULL,
    id        BLOB NOT NULL REFERENCES products (id) ON DELETE CASCADE,
    -- What is compared with the beginning that somebody typed.
    beginning TEXT NOT NULL,
    PRIMARY KEY (form, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX product_barcodes_of ON product_barcodes (id);

-- What was found of an older copy is not found any more, whoever changes the copy.
CREATE TRIGGER product_changes AFTER UPDATE OF image ON replica WHEN NEW.entity = 'product'
BEGIN
    DELETE FROM products WHERE id = NEW.id;
END;

PRAGMA user_version = 3;
