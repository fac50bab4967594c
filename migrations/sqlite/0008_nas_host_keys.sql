-- The file server of source 001: which host keys are trusted, who may send just now, and what is
-- known to be wrong. Shared by all workers.

CREATE TABLE nas_host_keys (
    host        TEXT NOT NULL,
    port        INTEGER NOT NULL,
    line        TEXT NOT NULL,      -- type and key, as ssh has them
    fingerprint TEXT NOT NULL,      -- SHA256:…, what somebody compared
    trusted_by  TEXT NOT NULL,
    trusted_at  TEXT NOT NULL,
    PRIMARY KEY (host, port, line)
);

-- So many transfers at once, and no more. A slot ends by itself: one that died keeps none.
CREATE TABLE nas_slots (
    host   TEXT NOT NULL,
    port   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    job_id TEXT NOT NULL,
    until  TEXT NOT NULL,
    PRIMARY KEY (host, port, number)
);

-- What the last failure of the whole server was; no row: none since the last success.
CREATE TABLE nas_troubles (
    host       TEXT NOT NULL,
    port       INTEGER NOT NULL,
    code       TEXT NOT NULL,
    detail     TEXT NOT NULL,
    times      INTEGER NOT NULL,
    at         TEXT NOT NULL,
    held_until TEXT,                -- nothing is sent before: the disk is full
    PRIMARY KEY (host, port)
);

CREATE INDEX documents_demandes ON documents (demande_le) WHERE demande_le IS NOT NULL;
