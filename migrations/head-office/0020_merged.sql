-- Two members who were one person: what the other one had is this one's, and their number finds this one.
ALTER TABLE members ADD COLUMN merged_into BYTEA;
ALTER TABLE accounts ADD COLUMN merged_into BYTEA;
CREATE INDEX members_merged ON members (tenant, merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX orders_of_member ON orders (tenant, member) WHERE member IS NOT NULL;
CREATE INDEX order_freezes_of_member ON order_freezes (tenant, member) WHERE member IS NOT NULL AND status = 'frozen';
