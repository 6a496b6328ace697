-- Where a chain's work is done once it is spread over nodes: in the ids of what happens at a store. See docs/SCALE.md.
ALTER TABLE stores ADD COLUMN place BIGINT NOT NULL DEFAULT 0 CHECK (place >= 0 AND place <= 1023);
