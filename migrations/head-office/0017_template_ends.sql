-- When head office itself noted that a version's time is over. Its two ends are each found by an index of their own.
ALTER TABLE templates ADD COLUMN ended_at BIGINT;
CREATE INDEX templates_claims_end ON templates (tenant, claim_until)
    WHERE status = 'published' AND ended_at IS NULL AND claim_until IS NOT NULL;
CREATE INDEX templates_validity_ends ON templates (tenant, valid_until)
    WHERE status = 'published' AND ended_at IS NULL AND valid_until IS NOT NULL AND valid_days IS NULL;
