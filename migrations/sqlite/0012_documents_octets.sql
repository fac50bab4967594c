-- Bytes of each owner's documents, so that a quota can be judged without adding them up.

ALTER TABLE documents_comptes ADD COLUMN octets INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER documents_ajoutes;
DROP TRIGGER documents_retires;
DROP TRIGGER documents_changes;

CREATE TRIGGER documents_ajoutes AFTER INSERT ON documents BEGIN
    INSERT INTO documents_comptes (proprietaire, total, synced, last_sync, octets)
    VALUES (COALESCE(NEW.proprietaire, ''), 1, NEW.synced_to_nas, NEW.synced_at,
            COALESCE(NEW.taille, 0))
    ON CONFLICT (proprietaire) DO UPDATE SET total = total + 1,
        synced = synced + excluded.synced, octets = octets + excluded.octets,
        last_sync = NULLIF(MAX(COALESCE(last_sync, ''), COALESCE(excluded.last_sync, '')), '');
END;

CREATE TRIGGER documents_retires AFTER DELETE ON documents BEGIN
    UPDATE documents_comptes SET total = total - 1, synced = synced - OLD.synced_to_nas,
        octets = octets - COALESCE(OLD.taille, 0)
    WHERE proprietaire = COALESCE(OLD.proprietaire, '');
END;

CREATE TRIGGER documents_changes AFTER UPDATE OF proprietaire, synced_to_nas, synced_at, taille
ON documents BEGIN
    UPDATE documents_comptes SET total = total - 1, synced = synced - OLD.synced_to_nas,
        octets = octets - COALESCE(OLD.taille, 0)
    WHERE proprietaire = COALESCE(OLD.proprietaire, '');
    INSERT INTO documents_comptes (proprietaire, total, synced, last_sync, octets)
    VALUES (COALESCE(NEW.proprietaire, ''), 1, NEW.synced_to_nas, NEW.synced_at,
            COALESCE(NEW.taille, 0))
    ON CONFLICT (proprietaire) DO UPDATE SET total = total + 1,
        synced = synced + excluded.synced, octets = octets + excluded.octets,
        last_sync = NULLIF(MAX(COALESCE(last_sync, ''), COALESCE(excluded.last_sync, '')), '');
END;

UPDATE documents_comptes SET octets = COALESCE((SELECT SUM(taille) FROM documents
    WHERE COALESCE(documents.proprietaire, '') = documents_comptes.proprietaire), 0);
