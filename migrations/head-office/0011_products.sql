-- What products are found by, folded by the program: it knows more letters than a database does. Filled for the rows
-- that are here when this is applied by the program that applies it (db/upgrade.rs).
ALTER TABLE products ADD COLUMN folded_sku TEXT;
-- Both names, each in a line of its own.
ALTER TABLE products ADD COLUMN folded_names TEXT;
CREATE INDEX products_unfolded ON products (tenant, id) WHERE folded_sku IS NULL;
CREATE INDEX products_folded_sku ON products (tenant, folded_sku);

-- The one form of a barcode, by which it belongs to one product. Where two products had one number in two spellings,
-- one of them has it with a space in front here, as no form has: until a person decides, it is found by that spelling.
ALTER TABLE product_barcodes ADD COLUMN form TEXT;
CREATE UNIQUE INDEX product_barcodes_form ON product_barcodes (tenant, form);

-- Looked through by rules that are no more: to be looked through again.
DELETE FROM product_imports WHERE applied_at IS NULL;
