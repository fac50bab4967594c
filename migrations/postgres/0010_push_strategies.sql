-- Source 000: conflicts that other strategies than the last writer decided, and a second wall between
-- sites.

-- What a repeat of a decided conflict has in common with it; null of all others. It replaces
-- sync_conflicts_repeat, which knows one strategy and stays as long as older workers name it.
ALTER TABLE sync_conflicts ADD COLUMN repeat_key text;
CREATE UNIQUE INDEX sync_conflicts_repeats
    ON sync_conflicts (site_id, entity_type, entity_id, repeat_key);

-- A transaction that has set app.scope to `site:` and its site sees and writes no row of another one,
-- nor of any shop, whatever its statements forget; one that works for a shop sees no site's. Unset, as
-- for operators and the upkeep, all rows are seen. Owners are not exempt (see 0009).
DO $$
DECLARE
    named text;
    unset CONSTANT text := '(SELECT NULLIF(current_setting(''app.scope'', TRUE), '''') IS NULL)';
BEGIN
    FOREACH named IN ARRAY ARRAY['tickets', 'lignes_reception', 'entity_versions', 'sync_conflicts',
        'site_batches'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY site ON %I USING (' || unset || ' OR site_id = '
            '(SELECT substring(current_setting(''app.scope'', TRUE) FROM ''^site:(\d+)$'')::bigint))',
            named);
    END LOOP;
    -- These read a site's scope as a number, and failed.
    FOREACH named IN ARRAY ARRAY['articles', 'ventes', 'lignes_vente', 'mouvements_stock',
        'ventes_rejetees', 'alertes_stock', 'ventes_jours'] LOOP
        EXECUTE format('ALTER POLICY boutique ON %I USING (' || unset || ' OR boutique_id = '
            '(SELECT substring(current_setting(''app.scope'', TRUE) FROM ''^\d+$'')::bigint))', named);
    END LOOP;
END $$;
