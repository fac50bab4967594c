//! Checks a seed file against what is in the record, and writes it.

use super::read::{Article, File, Key, Shop, Site, Till};
use crate::keys::KEYS_PER_SITE;
use db::{Error, Sql, Tx, args};
use std::collections::{HashMap, HashSet};

static SHOPS: Sql = Sql::both("SELECT id FROM boutiques WHERE id = ANY($1)");

/// Locked, so that a sale in another transaction cannot move a stock between the question
/// whether it has moved and the answer.
static ARTICLES: Sql =
    Sql::both("SELECT id, boutique_id FROM articles WHERE id = ANY($1) ORDER BY id {lock}");

/// Tells what does not fit the rows that are there.
pub(super) async fn check(tx: &mut Tx, file: &File, errors: &mut Vec<String>) -> Result<(), Error> {
    let shops = known_shops(tx, file).await?;
    let unknown = |shop_id: i64| format!("no shop has the id {shop_id}");
    for till in &file.terminals {
        if let Some(shop_id) = till.row.shop_id.filter(|id| !shops.contains(id)) {
            errors.push(format!("terminaux[{}].boutique_id: {}", till.index, unknown(shop_id)));
        }
    }
    let homes = homes(tx, file).await?;
    for article in &file.articles {
        let Article { id, shop_id, .. } = article.row;
        let place = format!("articles[{}].boutique_id", article.index);
        if !shops.contains(&shop_id) {
            errors.push(format!("{place}: {}", unknown(shop_id)));
        }
        if let Some(home) = homes.get(&id).filter(|home| **home != shop_id) {
            errors.push(format!("{place}: article {id} belongs to shop {home} and cannot move"));
        }
    }
    check_keys(tx, file, errors).await
}

/// A key keeps its site, and a site has so many live ones.
async fn check_keys(tx: &mut Tx, file: &File, errors: &mut Vec<String>) -> Result<(), Error> {
    static HOMES: Sql = Sql::both("SELECT id, site_id FROM cles_api WHERE id = ANY($1)");
    static OTHERS: Sql = Sql::each(
        "SELECT COUNT(*) AS n FROM cles_api WHERE site_id = $1 AND NOT (id = ANY($2)) \
         AND revoquee_le IS NULL AND (expire_le IS NULL OR expire_le > {now})",
        "SELECT COUNT(*) AS n FROM cles_api WHERE site_id = $1 \
         AND id NOT IN (SELECT value FROM json_each($2)) \
         AND revoquee_le IS NULL AND (expire_le IS NULL OR expire_le > {now})",
    );
    let ids: Vec<String> = file.keys.iter().map(|key| key.row.id.clone()).collect();
    let mut homes: HashMap<String, Option<i64>> = HashMap::new();
    for row in tx.rows(&HOMES, args![ids.clone()]).await? {
        homes.insert(row.get("id")?, row.get("site_id")?);
    }
    for key in &file.keys {
        if homes.get(&key.row.id).is_some_and(|home| *home != key.row.site_id) {
            let table = if key.row.site_id.is_some() { "sites" } else { "cles_api" };
            let (index, id) = (key.index, &key.row.id);
            errors.push(format!("{table}[{index}]: the key `{id}` is another site's or nobody's"));
        }
    }
    for site in &file.sites {
        let own = file.keys.iter().filter(|key| key.row.site_id == Some(site.row.id)).count();
        let row = tx.row(&OTHERS, args![site.row.id, ids.clone()]).await?;
        let others: i64 = row.map(|row| row.get("n")).transpose()?.unwrap_or_default();
        if own > 0 && own + usize::try_from(others).unwrap_or_default() > KEYS_PER_SITE {
            let index = site.index;
            errors.push(format!(
                "sites[{index}].cles_api: the site would have more than {KEYS_PER_SITE} live keys"
            ));
        }
    }
    Ok(())
}

async fn known_shops(tx: &mut Tx, file: &File) -> Result<HashSet<i64>, Error> {
    let of_terminals = file.terminals.iter().filter_map(|till| till.row.shop_id);
    let asked: Vec<i64> =
        of_terminals.chain(file.articles.iter().map(|article| article.row.shop_id)).collect();
    let mut shops: HashSet<i64> = file.shops.iter().map(|shop| shop.row.id).collect();
    for row in tx.rows(&SHOPS, args![asked]).await? {
        shops.insert(row.get("id")?);
    }
    Ok(shops)
}

async fn homes(tx: &mut Tx, file: &File) -> Result<HashMap<i64, i64>, Error> {
    let ids: Vec<i64> = file.articles.iter().map(|article| article.row.id).collect();
    let rows = tx.rows(&ARTICLES, args![ids]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("boutique_id")?))).collect()
}

/// Writes every row of a file that has been checked.
pub(super) async fn all(tx: &mut Tx, file: &File) -> Result<(), Error> {
    for shop in &file.shops {
        write_shop(tx, &shop.row).await?;
    }
    for till in &file.terminals {
        write_till(tx, &till.row).await?;
    }
    for article in &file.articles {
        write_article(tx, &article.row).await?;
    }
    for site in &file.sites {
        write_site(tx, &site.row).await?;
    }
    for key in &file.keys {
        write_key(tx, &key.row).await?;
    }
    Ok(())
}

async fn write_shop(tx: &mut Tx, shop: &Shop) -> Result<u64, Error> {
    static SHOP: Sql = Sql::both(
        "INSERT INTO boutiques (id, nom, fuseau) VALUES ($1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET nom = excluded.nom, fuseau = excluded.fuseau",
    );
    tx.execute(&SHOP, args![shop.id, &shop.name, &shop.zone]).await
}

async fn write_site(tx: &mut Tx, site: &Site) -> Result<u64, Error> {
    static SITE: Sql = Sql::both(
        "INSERT INTO sites (id, nom) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET nom = excluded.nom",
    );
    tx.execute(&SITE, args![site.id, &site.name]).await
}

async fn write_till(tx: &mut Tx, till: &Till) -> Result<u64, Error> {
    static TILL: Sql = Sql::both(
        "INSERT INTO terminaux (numero_serie, nom, boutique_id, actif, cle_empreinte, cle_posee_le) \
         VALUES ($1, $2, $3, $4, $5, CASE WHEN $5 IS NULL THEN NULL ELSE {now} END) \
         ON CONFLICT (numero_serie) DO UPDATE SET nom = excluded.nom, \
         boutique_id = excluded.boutique_id, actif = excluded.actif, \
         cle_empreinte = COALESCE(excluded.cle_empreinte, terminaux.cle_empreinte), \
         cle_posee_le = CASE WHEN excluded.cle_empreinte IS NULL THEN terminaux.cle_posee_le \
         ELSE excluded.cle_posee_le END",
    );
    tx.execute(&TILL, args![&till.serial, &till.name, till.shop_id, till.active, till.key.clone()])
        .await
}

/// The opening stock counts only until the first movement.
async fn write_article(tx: &mut Tx, article: &Article) -> Result<u64, Error> {
    static ARTICLE: Sql = Sql::both(
        "INSERT INTO articles \
         (id, boutique_id, nom, code, prix_vente, stock_initial, quantite_stock, actif) \
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7) \
         ON CONFLICT (id) DO UPDATE SET nom = excluded.nom, code = excluded.code, \
         prix_vente = excluded.prix_vente, actif = excluded.actif",
    );
    static OPENING: Sql = Sql::both(
        "UPDATE articles SET stock_initial = $2, quantite_stock = $2 WHERE id = $1 \
         AND NOT EXISTS (SELECT 1 FROM mouvements_stock m WHERE m.article_id = articles.id)",
    );
    let Article { id, shop_id, name, code, price, stock, active } = article;
    let code = code.as_deref();
    tx.execute(&ARTICLE, args![*id, *shop_id, name, code, *price, *stock, *active]).await?;
    tx.execute(&OPENING, args![*id, *stock]).await
}

/// A key that was revoked stays revoked.
async fn write_key(tx: &mut Tx, key: &Key) -> Result<u64, Error> {
    static KEY: Sql = Sql::both(
        "INSERT INTO cles_api (id, nom, empreinte, portees, site_id, cree_le) \
         VALUES ($1, $2, $3, $4, $5, {now}) ON CONFLICT (id) DO UPDATE SET nom = excluded.nom, \
         empreinte = excluded.empreinte, portees = excluded.portees",
    );
    let (hash, scopes) = (key.hash.clone(), key.scopes.join(" "));
    tx.execute(&KEY, args![&key.id, &key.name, hash, scopes, key.site_id]).await
}
