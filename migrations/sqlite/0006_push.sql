-- Source 000: local servers, what they push, and what came of it. Promises kept here, not in code:
-- an entity belongs to one site, no line refers to another site's ticket, a batch's id means one
-- batch for ever, and an entity has one open conflict at the most.
-- Quantities and weights are integers of millionths.

CREATE TABLE sites (
    id  INTEGER PRIMARY KEY,
    nom TEXT NOT NULL
);

ALTER TABLE cles_api ADD COLUMN site_id INTEGER REFERENCES sites (id);
ALTER TABLE cles_api ADD COLUMN expire_le TEXT;
CREATE INDEX cles_api_site ON cles_api (site_id) WHERE site_id IS NOT NULL;

CREATE TABLE tickets (
    site_id     INTEGER NOT NULL REFERENCES sites (id),
    id          TEXT NOT NULL,
    numero      TEXT NOT NULL,
    statut      TEXT NOT NULL CHECK (statut IN ('ouvert', 'ferme')),
    ouvert_le   TEXT NOT NULL,
    ferme_le    TEXT,
    commentaire TEXT,
    version     INTEGER NOT NULL CHECK (version > 0),
    updated_at  TEXT NOT NULL,       -- of its content, as far as the site's clock is believed
    deleted_at  TEXT,                -- a tombstone: never removed, or it could come back
    PRIMARY KEY (site_id, id),
    CHECK ((statut = 'ferme') = (ferme_le IS NOT NULL))
);

CREATE TABLE lignes_reception (
    site_id      INTEGER NOT NULL REFERENCES sites (id),
    id           TEXT NOT NULL,
    ticket_id    TEXT,
    article_code TEXT NOT NULL,
    designation  TEXT NOT NULL,
    quantite     INTEGER NOT NULL CHECK (quantite > 0),
    unite        TEXT NOT NULL,
    poids_kg     INTEGER CHECK (poids_kg >= 0),
    recu_le      TEXT NOT NULL,
    version      INTEGER NOT NULL CHECK (version > 0),
    updated_at   TEXT NOT NULL,
    deleted_at   TEXT,
    PRIMARY KEY (site_id, id),
    FOREIGN KEY (site_id, ticket_id) REFERENCES tickets (site_id, id)
);
CREATE INDEX lignes_reception_ticket ON lignes_reception (site_id, ticket_id);

-- What each version of an entity held, for 90 days.
CREATE TABLE entity_versions (
    site_id     INTEGER NOT NULL REFERENCES sites (id),
    entity_type TEXT NOT NULL CHECK (entity_type IN ('reception_line', 'ticket')),
    entity_id   TEXT NOT NULL,
    version     INTEGER NOT NULL,
    deleted     INTEGER NOT NULL,
    data        TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    source      TEXT NOT NULL,              -- the job, or who resolved a conflict
    created_at  TEXT NOT NULL,
    PRIMARY KEY (site_id, entity_type, entity_id, version)
);
CREATE INDEX entity_versions_created ON entity_versions (created_at);

CREATE TABLE sync_conflicts (
    id                TEXT PRIMARY KEY,     -- grows with time
    site_id           INTEGER NOT NULL REFERENCES sites (id),
    entity_type       TEXT NOT NULL CHECK (entity_type IN ('reception_line', 'ticket')),
    entity_id         TEXT NOT NULL,
    kind              TEXT NOT NULL,
    strategy          TEXT NOT NULL,
    base_version      INTEGER,               -- what the client says it started from
    base              TEXT,                 -- and what that was, if it is still kept
    server_version    TEXT,                 -- null: the server knows no such entity
    server_rev        INTEGER,
    client_op         TEXT NOT NULL CHECK (client_op IN ('upsert', 'delete')),
    client_version    TEXT,
    client_updated_at TEXT NOT NULL, -- as far as the site's clock is believed
    fields            TEXT NOT NULL,        -- members that differ
    empreinte         TEXT NOT NULL,        -- equal for a repeat of the same conflict
    status            TEXT NOT NULL CHECK (status IN ('open', 'resolved', 'superseded')),
    resolution        TEXT CHECK (resolution IN ('server', 'client', 'merge')),
    resolved_version  TEXT,                 -- what a merge made of it
    result_rev        INTEGER,
    resolved_by       TEXT,
    resolved_at       TEXT,
    seen              INTEGER NOT NULL DEFAULT 1,
    seen_at           TEXT NOT NULL,
    created_at        TEXT NOT NULL
);
CREATE UNIQUE INDEX sync_conflicts_open
    ON sync_conflicts (site_id, entity_type, entity_id) WHERE status = 'open';
CREATE UNIQUE INDEX sync_conflicts_repeat
    ON sync_conflicts (site_id, entity_type, entity_id, empreinte)
    WHERE status = 'resolved' AND resolved_by = 'policy:lww';
CREATE INDEX sync_conflicts_site ON sync_conflicts (site_id, status, id);
CREATE INDEX sync_conflicts_seen ON sync_conflicts (seen_at) WHERE status <> 'open';

-- Batches by the id their site gave them. The row stays for ever, its answer for 90 days.
CREATE TABLE site_batches (
    site_id     INTEGER NOT NULL REFERENCES sites (id),
    batch_id    TEXT NOT NULL,
    fingerprint BLOB NOT NULL,             -- another batch with the same id is refused
    job_id      TEXT NOT NULL,              -- it may be gone before this row
    answer      TEXT,                       -- written with the effects, word for word
    created_at  TEXT NOT NULL,
    PRIMARY KEY (site_id, batch_id)
);
CREATE INDEX site_batches_answered ON site_batches (created_at) WHERE answer IS NOT NULL;
