-- Bytes of each owner's documents, so that a quota can be judged without adding them up.

-- Nobody writes documents until the sums and the triggers agree.
LOCK TABLE documents IN SHARE ROW EXCLUSIVE MODE;

ALTER TABLE documents_comptes ADD COLUMN octets bigint NOT NULL DEFAULT 0;

CREATE OR REPLACE FUNCTION documents_ajoutes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO documents_comptes (proprietaire, total, synced, last_sync, octets)
    SELECT COALESCE(proprietaire, ''), COUNT(*), COUNT(*) FILTER (WHERE synced_to_nas),
           MAX(synced_at), COALESCE(SUM(taille), 0)
    FROM nouveaux GROUP BY 1 ORDER BY 1
    ON CONFLICT (proprietaire) DO UPDATE SET
        total = documents_comptes.total + excluded.total,
        synced = documents_comptes.synced + excluded.synced,
        octets = documents_comptes.octets + excluded.octets,
        last_sync = GREATEST(documents_comptes.last_sync, excluded.last_sync);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION documents_retires() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO documents_comptes (proprietaire, total, synced, octets)
    SELECT COALESCE(proprietaire, ''), -COUNT(*), -COUNT(*) FILTER (WHERE synced_to_nas),
           -COALESCE(SUM(taille), 0)
    FROM anciens GROUP BY 1 ORDER BY 1
    ON CONFLICT (proprietaire) DO UPDATE SET
        total = documents_comptes.total + excluded.total,
        synced = documents_comptes.synced + excluded.synced,
        octets = documents_comptes.octets + excluded.octets;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION documents_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO documents_comptes (proprietaire, total, synced, last_sync, octets)
    SELECT p, SUM(n), SUM(s), MAX(le), SUM(o) FROM (
        SELECT COALESCE(proprietaire, '') AS p, 1 AS n, synced_to_nas::int AS s, synced_at AS le,
               COALESCE(taille, 0) AS o
        FROM nouveaux
        UNION ALL
        SELECT COALESCE(proprietaire, ''), -1, -synced_to_nas::int, NULL, -COALESCE(taille, 0)
        FROM anciens
    ) AS d
    GROUP BY p HAVING SUM(n) <> 0 OR SUM(s) <> 0 OR SUM(o) <> 0 OR MAX(le) IS NOT NULL ORDER BY p
    ON CONFLICT (proprietaire) DO UPDATE SET
        total = documents_comptes.total + excluded.total,
        synced = documents_comptes.synced + excluded.synced,
        octets = documents_comptes.octets + excluded.octets,
        last_sync = GREATEST(documents_comptes.last_sync, excluded.last_sync);
    RETURN NULL;
END $$;

UPDATE documents_comptes AS c SET octets = (SELECT COALESCE(SUM(taille), 0) FROM documents AS d
    WHERE COALESCE(d.proprietaire, '') = c.proprietaire);
