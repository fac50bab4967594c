-- Source 002: shops, terminals, articles, sales, the stock ledger, refused sales, and API keys.
-- Promises kept here, not in code: one number per shop and sale, no line across shops, no stock
-- below zero, one row per refused content. Money is an integer of hundredths.

CREATE TABLE boutiques (
    id     INTEGER PRIMARY KEY,
    nom    TEXT NOT NULL,
    fuseau TEXT NOT NULL                    -- IANA time zone
);

CREATE TABLE terminaux (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    numero_serie TEXT NOT NULL UNIQUE,
    nom          TEXT NOT NULL,
    boutique_id  INTEGER REFERENCES boutiques (id),
    actif        INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE articles (
    id             INTEGER PRIMARY KEY,
    boutique_id    INTEGER NOT NULL REFERENCES boutiques (id),
    nom            TEXT NOT NULL,
    code           TEXT,
    prix_vente     INTEGER NOT NULL CHECK (prix_vente >= 0),
    stock_initial  INTEGER NOT NULL CHECK (stock_initial >= 0),
    quantite_stock INTEGER NOT NULL CHECK (quantite_stock >= 0),
    actif          INTEGER NOT NULL DEFAULT 1,
    UNIQUE (boutique_id, id)                -- lets lines and movements refer to article and shop at once
);

CREATE TABLE ventes (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    boutique_id      INTEGER NOT NULL REFERENCES boutiques (id),
    numero_facture   TEXT NOT NULL,
    montant_total    INTEGER NOT NULL CHECK (montant_total >= 0),
    mode_paiement    TEXT NOT NULL CHECK (mode_paiement IN ('CASH', 'MOBILE_MONEY', 'CARTE')),
    paye             INTEGER NOT NULL,
    date_vente       TEXT NOT NULL,
    date_vente_brute TEXT,                  -- as the terminal sent it
    date_corrigee    INTEGER NOT NULL DEFAULT 0,  -- what was sent was not credible
    recue_le         TEXT NOT NULL,
    terminal_id      INTEGER NOT NULL REFERENCES terminaux (id),
    job_id           TEXT NOT NULL,         -- the job that created it
    empreinte        TEXT NOT NULL,         -- SHA-256 of its content, without the number
    rapportee_par    TEXT NOT NULL,         -- the job whose answer last reported it as created
    remise_le        TEXT,           -- when such an answer left whole
    doublons         INTEGER NOT NULL DEFAULT 0,       -- answers DUPLICATE since then
    UNIQUE (boutique_id, numero_facture)
);

CREATE INDEX ventes_a_remettre ON ventes (rapportee_par) WHERE remise_le IS NULL;

CREATE TABLE lignes_vente (
    vente_id      INTEGER NOT NULL REFERENCES ventes (id),
    rang          INTEGER NOT NULL,          -- place in the sale, from 0
    boutique_id   INTEGER NOT NULL,
    article_id    INTEGER NOT NULL,
    article_nom   TEXT NOT NULL,            -- as it was called when sold
    quantite      INTEGER NOT NULL CHECK (quantite > 0),
    prix_unitaire INTEGER NOT NULL CHECK (prix_unitaire >= 0),
    PRIMARY KEY (vente_id, rang),
    FOREIGN KEY (boutique_id, article_id) REFERENCES articles (boutique_id, id)
);

CREATE TABLE mouvements_stock (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    boutique_id    INTEGER NOT NULL,
    article_id     INTEGER NOT NULL,
    type           TEXT NOT NULL CHECK (type IN ('VENTE')),
    quantite       INTEGER NOT NULL,         -- negative: stock that left
    stock_avant    INTEGER NOT NULL,
    stock_apres    INTEGER NOT NULL CHECK (stock_apres >= 0),
    reference      TEXT NOT NULL,           -- the invoice number
    vente_id       INTEGER NOT NULL REFERENCES ventes (id),
    rang           INTEGER NOT NULL,
    terminal_id    INTEGER NOT NULL REFERENCES terminaux (id),
    date_mouvement TEXT NOT NULL,
    CHECK (stock_apres = stock_avant + quantite),
    UNIQUE (vente_id, rang),                -- a line moves stock once
    FOREIGN KEY (boutique_id, article_id) REFERENCES articles (boutique_id, id)
);

CREATE INDEX mouvements_stock_article ON mouvements_stock (article_id, id);

-- `donnees` is text: the sale stays as it was received, `\u0000` included.
CREATE TABLE ventes_rejetees (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    boutique_id        INTEGER NOT NULL REFERENCES boutiques (id),
    terminal_id        INTEGER NOT NULL REFERENCES terminaux (id),
    numero_facture     TEXT,                -- null: the terminal gave none, or none that is valid
    empreinte          TEXT NOT NULL,
    raison             TEXT NOT NULL,
    message            TEXT NOT NULL,
    donnees            TEXT NOT NULL,
    stock_demande      INTEGER,
    stock_disponible   INTEGER,
    article_id         INTEGER,
    premiere_tentative TEXT NOT NULL,
    derniere_tentative TEXT NOT NULL,
    tentatives         INTEGER NOT NULL DEFAULT 1,
    traitee            INTEGER NOT NULL DEFAULT 0,
    traitee_par        TEXT,
    traitee_le         TEXT
);

CREATE UNIQUE INDEX ventes_rejetees_contenu
    ON ventes_rejetees (boutique_id, terminal_id, COALESCE(numero_facture, ''), empreinte);

-- Outcomes of a large batch's finished chunks, until its last chunk has committed.
CREATE TABLE lots_resultats (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    idx    INTEGER NOT NULL,                 -- place of the chunk's first sale in the batch
    issues TEXT NOT NULL,
    PRIMARY KEY (job_id, idx)
);

CREATE TABLE cles_api (
    id          TEXT PRIMARY KEY,
    nom         TEXT NOT NULL,
    empreinte   BLOB NOT NULL,             -- SHA-256 of the whole key
    portees     TEXT NOT NULL,              -- scopes, separated by spaces
    revoquee_le TEXT,
    cree_le     TEXT NOT NULL
);
