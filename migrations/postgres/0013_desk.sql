-- What people do about sales and stock by hand: a refused sale or an alert is settled by somebody,
-- for a reason; stock moves without a sale (a delivery, a count), by somebody, for a reason.

ALTER TABLE ventes_rejetees ADD COLUMN traitee_motif text;
CREATE INDEX ventes_rejetees_numero ON ventes_rejetees (numero_facture)
    WHERE numero_facture IS NOT NULL;

ALTER TABLE alertes_stock
    ADD COLUMN traitee_par   text,
    ADD COLUMN traitee_le    timestamptz,
    ADD COLUMN traitee_motif text;

-- The reference of an adjustment is its reason.
ALTER TABLE mouvements_stock
    ADD COLUMN auteur text,                  -- who adjusted
    ALTER COLUMN vente_id DROP NOT NULL,
    ALTER COLUMN rang DROP NOT NULL,
    ALTER COLUMN terminal_id DROP NOT NULL,
    DROP CONSTRAINT mouvements_stock_type_check,
    ADD CONSTRAINT mouvements_stock_type_check CHECK (type IN ('VENTE', 'AJUSTEMENT')),
    ADD CONSTRAINT mouvements_stock_origine CHECK (CASE type
        WHEN 'VENTE' THEN vente_id IS NOT NULL AND rang IS NOT NULL AND terminal_id IS NOT NULL
        ELSE vente_id IS NULL AND auteur IS NOT NULL END);
