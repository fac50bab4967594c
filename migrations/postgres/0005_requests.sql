-- Requests with an Idempotency-Key, so that one sent again is not done again (D-11).

CREATE TABLE requests (
    principal    text NOT NULL,
    route        text NOT NULL,
    key          text NOT NULL,
    fingerprint  bytea NOT NULL,     -- of the request: another one with the same key is refused
    job_id       uuid,              -- the job it asked for; it may be gone before this row
    created      boolean NOT NULL DEFAULT FALSE, -- whether that job was new
    held_until   timestamptz NOT NULL, -- without job and answer, it is taken for interrupted then
    status       bigint,           -- the final answer, word for word
    content_type text,
    body         text,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (principal, route, key)
);
CREATE INDEX requests_created ON requests (created_at);
