-- Uses of a coupon and hand-overs of an order beyond the one that counts, JSON, in the order of their arrival; nothing is
-- none. Their operations each have a case.
ALTER TABLE coupons ADD COLUMN surplus TEXT;
ALTER TABLE orders ADD COLUMN surplus TEXT;
-- The few that a sweep looks at: a freeze over which something was used may have lapsed.
CREATE INDEX coupons_surplus ON coupons (tenant, id) WHERE surplus IS NOT NULL;
CREATE INDEX orders_surplus ON orders (tenant, id) WHERE surplus IS NOT NULL;

-- Stores that were told of a row and that nothing else says would be told of its next change: 16 bytes each.
ALTER TABLE coupons ADD COLUMN told BYTEA;
ALTER TABLE orders ADD COLUMN told BYTEA;
ALTER TABLE sales ADD COLUMN told BYTEA;
