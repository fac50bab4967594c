-- The file server of source 001: which host keys are trusted, who may send just now, and what is
-- known to be wrong. Shared by all workers.

CREATE TABLE nas_host_keys (
    host        text NOT NULL,
    port        bigint NOT NULL,
    line        text NOT NULL,      -- type and key, as ssh has them
    fingerprint text NOT NULL,      -- SHA256:…, what somebody compared
    trusted_by  text NOT NULL,
    trusted_at  timestamptz NOT NULL,
    PRIMARY KEY (host, port, line)
);

-- So many transfers at once, and no more. A slot ends by itself: one that died keeps none.
CREATE TABLE nas_slots (
    host   text NOT NULL,
    port   bigint NOT NULL,
    number bigint NOT NULL,
    job_id uuid NOT NULL,
    until  timestamptz NOT NULL,
    PRIMARY KEY (host, port, number)
);

-- What the last failure of the whole server was; no row: none since the last success.
CREATE TABLE nas_troubles (
    host       text NOT NULL,
    port       bigint NOT NULL,
    code       text NOT NULL,
    detail     text NOT NULL,
    times      bigint NOT NULL,
    at         timestamptz NOT NULL,
    held_until timestamptz,                -- nothing is sent before: the disk is full
    PRIMARY KEY (host, port)
);

CREATE INDEX documents_demandes ON documents (demande_le) WHERE demande_le IS NOT NULL;
