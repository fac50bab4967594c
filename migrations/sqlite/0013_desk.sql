-- What people do about sales and stock by hand: a refused sale or an alert is settled by somebody,
-- for a reason; stock moves without a sale (a delivery, a count), by somebody, for a reason.

ALTER TABLE ventes_rejetees ADD COLUMN traitee_motif TEXT;
CREATE INDEX ventes_rejetees_numero ON ventes_rejetees (numero_facture)
    WHERE numero_facture IS NOT NULL;

ALTER TABLE alertes_stock ADD COLUMN traitee_par TEXT;
ALTER TABLE alertes_stock ADD COLUMN traitee_le TEXT;
ALTER TABLE alertes_stock ADD COLUMN traitee_motif TEXT;

-- The reference of an adjustment is its reason. (Constraints are changed as in 0009.)
ALTER TABLE mouvements_stock ADD COLUMN auteur TEXT;  -- who adjusted
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(replace(replace(replace(sql,
    'vente_id       INTEGER NOT NULL', 'vente_id       INTEGER'),
    'rang           INTEGER NOT NULL', 'rang           INTEGER'),
    'terminal_id    INTEGER NOT NULL', 'terminal_id    INTEGER'),
    'CHECK (type IN (''VENTE''))', 'CHECK (type IN (''VENTE'', ''AJUSTEMENT''))'),
    'CHECK (stock_apres = stock_avant + quantite)',
    'CHECK (stock_apres = stock_avant + quantite), CONSTRAINT mouvements_stock_origine CHECK (CASE type WHEN ''VENTE'' THEN vente_id IS NOT NULL AND rang IS NOT NULL AND terminal_id IS NOT NULL ELSE vente_id IS NULL AND auteur IS NOT NULL END)')
WHERE type = 'table' AND name = 'mouvements_stock';
PRAGMA writable_schema = RESET;
