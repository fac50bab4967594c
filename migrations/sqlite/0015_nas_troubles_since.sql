-- Since when the trouble is known, for people who ask why a transfer waits: `at` is when it was
-- last found.
ALTER TABLE nas_troubles ADD COLUMN since TEXT;
