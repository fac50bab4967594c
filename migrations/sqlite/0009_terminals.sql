-- Source 002 complete: device keys, figures per day, sales in the order of their dates, and stock
-- below zero where the policy accepts it (STOCK_POLICY=accept_with_alert).

ALTER TABLE terminaux ADD COLUMN cle_empreinte BLOB;  -- SHA-256 of the device key, once it is paired
ALTER TABLE terminaux ADD COLUMN cle_posee_le TEXT;

-- Stock is below zero only in a row that says that somebody allowed it. SQLite cannot change a
-- CHECK; this is the way its manual gives for constraints that leave the stored rows as they are
-- (lang_altertable, section 7). The statements that follow make every connection read it anew.
ALTER TABLE articles ADD COLUMN survente INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mouvements_stock ADD COLUMN survente INTEGER NOT NULL DEFAULT 0;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (quantite_stock >= 0)', 'CHECK (quantite_stock >= 0 OR survente)')
WHERE type = 'table' AND name = 'articles';
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (stock_apres >= 0)', 'CHECK (stock_apres >= 0 OR survente)')
WHERE type = 'table' AND name = 'mouvements_stock';
-- A line and a movement are of the shop of their sale, or the schema refuses them.
UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER NOT NULL REFERENCES ventes (id)', 'INTEGER NOT NULL')
WHERE type = 'table' AND name IN ('lignes_vente', 'mouvements_stock');
UPDATE sqlite_schema SET sql = replace(sql, 'FOREIGN KEY (boutique_id, article_id)',
    'FOREIGN KEY (boutique_id, vente_id) REFERENCES ventes (boutique_id, id), FOREIGN KEY (boutique_id, article_id)')
WHERE type = 'table' AND name IN ('lignes_vente', 'mouvements_stock');
PRAGMA writable_schema = RESET;
CREATE UNIQUE INDEX ventes_boutique ON ventes (boutique_id, id);

-- What took stock below zero, for a person to look at.
CREATE TABLE alertes_stock (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    boutique_id      INTEGER NOT NULL,
    article_id       INTEGER NOT NULL,
    vente_id         INTEGER NOT NULL,
    terminal_id      INTEGER NOT NULL REFERENCES terminaux (id),
    numero_facture   TEXT NOT NULL,
    stock_demande    INTEGER NOT NULL,
    stock_disponible INTEGER NOT NULL,
    creee_le         TEXT NOT NULL,
    traitee          INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (boutique_id, article_id) REFERENCES articles (boutique_id, id),
    FOREIGN KEY (boutique_id, vente_id) REFERENCES ventes (boutique_id, id)
);

CREATE INDEX alertes_stock_ouvertes ON alertes_stock (boutique_id, id) WHERE NOT traitee;

-- Number and amount of the sales of each day in the shop's time zone, so that figures need not
-- count sales. Those made before are counted by days of UTC: SQLite knows no other zone.
CREATE TABLE ventes_jours (
    boutique_id      INTEGER NOT NULL REFERENCES boutiques (id),
    jour             TEXT NOT NULL,          -- YYYY-MM-DD
    nombre           INTEGER NOT NULL,
    chiffre_affaires INTEGER NOT NULL,
    PRIMARY KEY (boutique_id, jour)
);

INSERT INTO ventes_jours (boutique_id, jour, nombre, chiffre_affaires)
SELECT boutique_id, substr(date_vente, 1, 10), count(*), sum(montant_total) FROM ventes GROUP BY 1, 2;

CREATE INDEX ventes_par_date ON ventes (boutique_id, date_vente, id);
CREATE INDEX ventes_rejetees_liste ON ventes_rejetees (boutique_id, id);
CREATE INDEX ventes_rejetees_ouvertes ON ventes_rejetees (boutique_id, id) WHERE NOT traitee;
