-- The store's place, told at enrolment; it goes into the ids of what happens here.
ALTER TABLE identity ADD COLUMN place INTEGER NOT NULL DEFAULT 0 CHECK (place >= 0 AND place <= 1023);
