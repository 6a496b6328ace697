-- What kinds of rows operations are about the program says: one more of them is no reason to build this table again.
CREATE TABLE subjects_of_any_kind (
    entity TEXT    NOT NULL,
    id     BLOB    NOT NULL,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (entity, id, epoch, seq),
    FOREIGN KEY (epoch, seq) REFERENCES journal (epoch, seq) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO subjects_of_any_kind (entity, id, epoch, seq) SELECT entity, id, epoch, seq FROM subjects;
DROP TABLE subjects;
ALTER TABLE subjects_of_any_kind RENAME TO subjects;
CREATE INDEX subjects_operation ON subjects (epoch, seq);
