-- Requests with an Idempotency-Key, so that one sent again is not done again (D-11).

CREATE TABLE requests (
    principal    TEXT NOT NULL,
    route        TEXT NOT NULL,
    key          TEXT NOT NULL,
    fingerprint  BLOB NOT NULL,     -- of the request: another one with the same key is refused
    job_id       TEXT,              -- the job it asked for; it may be gone before this row
    created      INTEGER NOT NULL DEFAULT 0,    -- whether that job was new
    held_until   TEXT NOT NULL,     -- without job and answer, it is taken for interrupted then
    status       INTEGER,           -- the final answer, word for word
    content_type TEXT,
    body         TEXT,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (principal, route, key)
);
CREATE INDEX requests_created ON requests (created_at);
