-- Nothing reads this index any more (see 0011); every sale wrote to it.
DROP INDEX ventes_a_remettre;

-- Since 0009 a line and a movement refer to shop and sale at once. The narrower references said
-- nothing more, and were checked for every row.
ALTER TABLE lignes_vente DROP CONSTRAINT lignes_vente_vente_id_fkey;
ALTER TABLE mouvements_stock DROP CONSTRAINT mouvements_stock_vente_id_fkey;
