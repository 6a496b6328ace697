-- What came from head office and did not read here: it takes a newer program, which then reads everything again.
CREATE TABLE unread (
    -- The word of its kind; empty where it says none.
    entity TEXT NOT NULL PRIMARY KEY,
    -- What the program could read that did not read it.
    reader TEXT NOT NULL
) STRICT, WITHOUT ROWID;
