-- One row a member and end of points: the day to remind them. A day is UTC, counted from 1970. A reminder that was sent
-- loses its row; points that are spent do not touch it, the day finds nothing left of them.
CREATE TABLE point_days (
    tenant      BYTEA  NOT NULL,
    day         BIGINT NOT NULL,
    member      BYTEA  NOT NULL,
    ends_at     BIGINT NOT NULL,
    -- Channels that have taken the notice: 1 inbox, 2 webhook, 4 e-mail.
    told        BIGINT NOT NULL CHECK (told >= 0),
    tries       BIGINT NOT NULL CHECK (tries >= 0),
    next_try_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, member, ends_at)
);

INSERT INTO point_days (tenant, day, member, ends_at, told, tries, next_try_at)
SELECT DISTINCT tenant, (ends_at - 259200000) / 86400000, member, ends_at, 0, 0, ends_at - 259200000
FROM ledger_lots
WHERE asset = 'points' AND ends_at IS NOT NULL AND (free > 0 OR held > 0) AND ends_at - 259200000 > earned_at;
