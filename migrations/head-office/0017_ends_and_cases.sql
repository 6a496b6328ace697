-- When head office itself noted that a version's time is over. Its two ends are each found by an index of their own.
ALTER TABLE templates ADD COLUMN ended_at BIGINT;
CREATE INDEX templates_claims_end ON templates (tenant, claim_until)
    WHERE status = 'published' AND ended_at IS NULL AND claim_until IS NOT NULL;
CREATE INDEX templates_validity_ends ON templates (tenant, valid_until)
    WHERE status = 'published' AND ended_at IS NULL AND valid_until IS NOT NULL AND valid_days IS NULL;

-- An operation has a case for each rule that it broke. Those that are there stay as they are.
CREATE TABLE cases_by_kind (
    tenant    BYTEA  NOT NULL,
    operation BYTEA  NOT NULL,
    kind      TEXT   NOT NULL,
    store     BYTEA  NOT NULL,
    subject_kind TEXT,
    subject   BYTEA,
    loss      BIGINT NOT NULL CHECK (loss >= 0),
    status    TEXT   NOT NULL CHECK (status IN ('open', 'voided', 'decided')),
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    note      TEXT,
    PRIMARY KEY (tenant, operation, kind)
);
INSERT INTO cases_by_kind (tenant, operation, kind, store, subject_kind, subject, loss, status, opened_at, closed_at, note)
    SELECT tenant, operation, kind, store, subject_kind, subject, loss, status, opened_at, closed_at, note FROM exceptions;
DROP TABLE exceptions;
ALTER TABLE cases_by_kind RENAME TO exceptions;
CREATE INDEX exceptions_open ON exceptions (tenant, status, store, opened_at);
