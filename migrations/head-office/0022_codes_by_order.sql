-- The codes of an order, for whoever removes it or looks what it had.
CREATE INDEX pickup_codes_by_order ON pickup_codes (tenant, order_id);
