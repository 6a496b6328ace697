-- The counter's own database. Times are UTC milliseconds, ids 16 bytes, rows of head office JSON text.

-- Who this counter is, and how far it has read. One row, written at enrolment.
CREATE TABLE identity (
    one              INTEGER PRIMARY KEY CHECK (one = 1),
    tenant           BLOB    NOT NULL,
    store            TEXT    NOT NULL,
    device           BLOB    NOT NULL,
    address          TEXT    NOT NULL,
    epoch            INTEGER NOT NULL,
    device_status    TEXT    NOT NULL CHECK (device_status IN ('active', 'frozen', 'revoked')),
    history_id       BLOB    NOT NULL,
    tenant_seq       INTEGER NOT NULL DEFAULT 0,
    tenant_mark      INTEGER NOT NULL DEFAULT 0,
    store_seq        INTEGER NOT NULL DEFAULT 0,
    store_mark       INTEGER NOT NULL DEFAULT 0,
    -- The feed is read from zero under a new generation; rows of an older one stay readable meanwhile.
    generation       INTEGER NOT NULL DEFAULT 1,
    resyncing        INTEGER NOT NULL DEFAULT 1 CHECK (resyncing IN (0, 1)),
    -- The latest time this device has seen; a clock behind it was set back.
    clock_high_water INTEGER NOT NULL,
    -- By this device's clock; NULL = never.
    last_pull        INTEGER,
    last_contact     INTEGER,
    -- This device's clock minus head office's, when last compared.
    skew             INTEGER,
    -- Head office's clock when last heard: what the age of delivered operations is counted by.
    server_time      INTEGER NOT NULL
) STRICT;

-- Copies of head office's rows.
CREATE TABLE replica (
    entity     TEXT    NOT NULL,
    id         BLOB    NOT NULL,
    -- What people type to find it: a coupon code, a pickup code, a member number.
    lookup     TEXT,
    -- A second such thing: a phone number.
    lookup2    TEXT,
    version    INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    -- 1 = it came as the answer to a look-up, so the feed may never tell of its changes.
    asked      INTEGER NOT NULL CHECK (asked IN (0, 1)),
    -- With the pending operations laid over.
    image      TEXT    NOT NULL,
    -- As head office sent it; only while an operation lies over it.
    base       TEXT,
    PRIMARY KEY (entity, id)
) STRICT;
CREATE INDEX replica_lookup ON replica (entity, lookup) WHERE lookup IS NOT NULL;
CREATE INDEX replica_lookup2 ON replica (entity, lookup2) WHERE lookup2 IS NOT NULL;
CREATE INDEX replica_generation ON replica (generation);

-- What happened at this counter, in order, as a hash chain.
CREATE TABLE journal (
    epoch           INTEGER NOT NULL,
    seq             INTEGER NOT NULL CHECK (seq >= 1),
    op_id           BLOB    NOT NULL UNIQUE,
    kind            TEXT    NOT NULL,
    occurred_at     INTEGER NOT NULL,
    fingerprint     BLOB    NOT NULL,
    prev_hash       BLOB    NOT NULL,
    body            TEXT    NOT NULL,
    clerk           BLOB,
    clerk_name      TEXT    NOT NULL,
    title_zh        TEXT    NOT NULL,
    title_en        TEXT    NOT NULL,
    subject_kind    TEXT    CHECK (subject_kind IN ('coupon', 'order')),
    subject         BLOB,
    worth           INTEGER NOT NULL,
    member          BLOB,
    -- 1 = head office granted a freeze before.
    confirmed       INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    -- From here on it may change.
    state           TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'settled')),
    -- 1 = it is expected to end in an exception.
    conflict        INTEGER NOT NULL DEFAULT 0 CHECK (conflict IN (0, 1)),
    outcome         TEXT    CHECK ((outcome IS NOT NULL) = (state = 'settled')),
    detail          TEXT,
    feed            INTEGER,
    -- By head office's clock.
    delivered_at    INTEGER,
    -- How it had ended before head office was restored from a backup.
    earlier_outcome TEXT,
    earlier_detail  TEXT,
    voided_by       BLOB,
    PRIMARY KEY (epoch, seq)
) STRICT;
CREATE INDEX journal_pending ON journal (epoch, seq) WHERE state = 'pending';
-- What the queue shows: its counts without touching the rows, its pages in order.
CREATE INDEX journal_state ON journal (state, outcome, epoch, seq);
CREATE INDEX journal_subject ON journal (subject, epoch, seq) WHERE subject IS NOT NULL;
-- What the limits of working alone are counted from.
CREATE INDEX journal_unconfirmed ON journal (member, worth)
    WHERE state = 'pending' AND confirmed = 0 AND voided_by IS NULL AND kind IN ('redeem_coupon', 'collect_order');

CREATE TRIGGER journal_is_written_once
BEFORE UPDATE OF epoch, seq, op_id, kind, occurred_at, fingerprint, prev_hash, body, clerk, clerk_name, title_zh,
    title_en, subject_kind, subject, worth, member, confirmed ON journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is written once');
END;

-- Head office may be restored from a backup and need them again: 90 days, by its own clock.
CREATE TRIGGER journal_is_kept
BEFORE DELETE ON journal
WHEN OLD.state <> 'settled' OR OLD.delivered_at IS NULL
    OR OLD.delivered_at > (SELECT server_time FROM identity) - 7776000000
BEGIN
    SELECT RAISE(ABORT, 'the journal is kept for 90 days');
END;

-- Which operations lie over which row.
CREATE TABLE touches (
    entity TEXT    NOT NULL,
    id     BLOB    NOT NULL,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (entity, id, epoch, seq),
    FOREIGN KEY (epoch, seq) REFERENCES journal (epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX touches_operation ON touches (epoch, seq);

-- Wrong PINs in a row; they survive a restart.
CREATE TABLE pin_failures (
    clerk        BLOB    PRIMARY KEY,
    failures     INTEGER NOT NULL,
    locked_until INTEGER
) STRICT;

PRAGMA user_version = 1;
