-- Source 000: local servers, what they push, and what came of it. Promises kept here, not in code:
-- an entity belongs to one site, no line refers to another site's ticket, a batch's id means one
-- batch for ever, and an entity has one open conflict at the most.

CREATE TABLE sites (
    id  bigint PRIMARY KEY,
    nom text NOT NULL
);

ALTER TABLE cles_api ADD COLUMN site_id bigint REFERENCES sites (id);
ALTER TABLE cles_api ADD COLUMN expire_le timestamptz;
CREATE INDEX cles_api_site ON cles_api (site_id) WHERE site_id IS NOT NULL;

CREATE TABLE tickets (
    site_id     bigint NOT NULL REFERENCES sites (id),
    id          uuid NOT NULL,
    numero      text NOT NULL,
    statut      text NOT NULL CHECK (statut IN ('ouvert', 'ferme')),
    ouvert_le   timestamptz NOT NULL,
    ferme_le    timestamptz,
    commentaire text,
    version     bigint NOT NULL CHECK (version > 0),
    updated_at  timestamptz NOT NULL,       -- of its content, as far as the site's clock is believed
    deleted_at  timestamptz,                -- a tombstone: never removed, or it could come back
    PRIMARY KEY (site_id, id),
    CHECK ((statut = 'ferme') = (ferme_le IS NOT NULL))
);

CREATE TABLE lignes_reception (
    site_id      bigint NOT NULL REFERENCES sites (id),
    id           uuid NOT NULL,
    ticket_id    uuid,
    article_code text NOT NULL,
    designation  text NOT NULL,
    quantite     numeric(18, 6) NOT NULL CHECK (quantite > 0),
    unite        text NOT NULL,
    poids_kg     numeric(18, 6) CHECK (poids_kg >= 0),
    recu_le      timestamptz NOT NULL,
    version      bigint NOT NULL CHECK (version > 0),
    updated_at   timestamptz NOT NULL,
    deleted_at   timestamptz,
    PRIMARY KEY (site_id, id),
    FOREIGN KEY (site_id, ticket_id) REFERENCES tickets (site_id, id)
);
CREATE INDEX lignes_reception_ticket ON lignes_reception (site_id, ticket_id);

-- What each version of an entity held, for 90 days.
CREATE TABLE entity_versions (
    site_id     bigint NOT NULL REFERENCES sites (id),
    entity_type text NOT NULL CHECK (entity_type IN ('reception_line', 'ticket')),
    entity_id   uuid NOT NULL,
    version     bigint NOT NULL,
    deleted     boolean NOT NULL,
    data        json NOT NULL,
    updated_at  timestamptz NOT NULL,
    source      text NOT NULL,              -- the job, or who resolved a conflict
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (site_id, entity_type, entity_id, version)
);
CREATE INDEX entity_versions_created ON entity_versions (created_at);

CREATE TABLE sync_conflicts (
    id                uuid PRIMARY KEY,     -- grows with time
    site_id           bigint NOT NULL REFERENCES sites (id),
    entity_type       text NOT NULL CHECK (entity_type IN ('reception_line', 'ticket')),
    entity_id         uuid NOT NULL,
    kind              text NOT NULL,
    strategy          text NOT NULL,
    base_version      bigint,               -- what the client says it started from
    base              json,                 -- and what that was, if it is still kept
    server_version    json,                 -- null: the server knows no such entity
    server_rev        bigint,
    client_op         text NOT NULL CHECK (client_op IN ('upsert', 'delete')),
    client_version    json,
    client_updated_at timestamptz NOT NULL, -- as far as the site's clock is believed
    fields            json NOT NULL,        -- members that differ
    empreinte         text NOT NULL,        -- equal for a repeat of the same conflict
    status            text NOT NULL CHECK (status IN ('open', 'resolved', 'superseded')),
    resolution        text CHECK (resolution IN ('server', 'client', 'merge')),
    resolved_version  json,                 -- what a merge made of it
    result_rev        bigint,
    resolved_by       text,
    resolved_at       timestamptz,
    seen              bigint NOT NULL DEFAULT 1,
    seen_at           timestamptz NOT NULL,
    created_at        timestamptz NOT NULL
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
    site_id     bigint NOT NULL REFERENCES sites (id),
    batch_id    uuid NOT NULL,
    fingerprint bytea NOT NULL,             -- another batch with the same id is refused
    job_id      uuid NOT NULL,              -- it may be gone before this row
    answer      json,                       -- written with the effects, word for word
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (site_id, batch_id)
);
CREATE INDEX site_batches_answered ON site_batches (created_at) WHERE answer IS NOT NULL;
