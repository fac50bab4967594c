-- Source 001: documents that go to the NAS, and how many there are.

CREATE TABLE documents (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    nom_stocke       TEXT NOT NULL UNIQUE,  -- path below the uploads folder
    nom_original     TEXT NOT NULL,         -- what the user calls it: shown, never opened
    nom_nas          TEXT NOT NULL,         -- file name at the destination
    nom_nas_plie     TEXT NOT NULL UNIQUE,  -- the same without case: a NAS may not tell A from a
    taille           INTEGER CHECK (taille >= 0),  -- null: the file was never seen
    sha256           TEXT,                  -- 64 hexadecimal digits; null: the file was never seen
    proprietaire     TEXT,                  -- id of a key; null: visible to every key
    synced_to_nas    INTEGER NOT NULL DEFAULT 0,
    synced_at        TEXT,
    demande_le       TEXT,                  -- asked for by itself, and not answered since
    transfert_job    TEXT,                  -- the job that is sending it …
    transfert_jusque TEXT,                  -- … and until when no other may
    cree_le          TEXT NOT NULL
);

CREATE INDEX documents_proprietaire ON documents (proprietaire, id);
CREATE INDEX documents_a_envoyer ON documents (proprietaire, id) WHERE NOT synced_to_nas;
CREATE INDEX documents_tous_a_envoyer ON documents (id) WHERE NOT synced_to_nas;
CREATE INDEX documents_en_transfert ON documents (transfert_job) WHERE transfert_job IS NOT NULL;

-- One row per owner ('' stands for none): a status never counts documents.
CREATE TABLE documents_comptes (
    proprietaire TEXT PRIMARY KEY,
    total        INTEGER NOT NULL,
    synced       INTEGER NOT NULL,
    last_sync    TEXT
) WITHOUT ROWID;

CREATE TRIGGER documents_ajoutes AFTER INSERT ON documents BEGIN
    INSERT INTO documents_comptes (proprietaire, total, synced, last_sync)
    VALUES (COALESCE(NEW.proprietaire, ''), 1, NEW.synced_to_nas, NEW.synced_at)
    ON CONFLICT (proprietaire) DO UPDATE SET total = total + 1,
        synced = synced + excluded.synced,
        last_sync = NULLIF(MAX(COALESCE(last_sync, ''), COALESCE(excluded.last_sync, '')), '');
END;

CREATE TRIGGER documents_retires AFTER DELETE ON documents BEGIN
    UPDATE documents_comptes SET total = total - 1, synced = synced - OLD.synced_to_nas
    WHERE proprietaire = COALESCE(OLD.proprietaire, '');
END;

CREATE TRIGGER documents_changes AFTER UPDATE OF proprietaire, synced_to_nas, synced_at
ON documents BEGIN
    UPDATE documents_comptes SET total = total - 1, synced = synced - OLD.synced_to_nas
    WHERE proprietaire = COALESCE(OLD.proprietaire, '');
    INSERT INTO documents_comptes (proprietaire, total, synced, last_sync)
    VALUES (COALESCE(NEW.proprietaire, ''), 1, NEW.synced_to_nas, NEW.synced_at)
    ON CONFLICT (proprietaire) DO UPDATE SET total = total + 1,
        synced = synced + excluded.synced,
        last_sync = NULLIF(MAX(COALESCE(last_sync, ''), COALESCE(excluded.last_sync, '')), '');
END;
