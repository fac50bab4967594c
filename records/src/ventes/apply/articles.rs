//! The articles a chunk sells, and what a sale of them costs.

use crate::ventes::refusal::Refusal;
use crate::ventes::sale::Sale;
use crate::ventes::{money, texts};
use db::{Error, Sql, Tx, args};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap};

/// Active articles of one shop, by id.
pub(super) struct Articles {
    by_id: HashMap<i64, Article>,
}

struct Article {
    name: String,
    price: Decimal,
    /// What is probably left: the guarded statement alone knows it.
    stock: i64,
}

/// A sale whose every amount is known.
pub(super) struct Priced {
    pub(super) lines: Vec<PricedLine>,
    pub(super) total: Decimal,
}

#[derive(Debug, Clone)]
pub(super) struct PricedLine {
    pub(super) article_id: i64,
    pub(super) name: String,
    pub(super) quantity: i64,
    pub(super) price: Decimal,
}

static ARTICLES: Sql = Sql::both(
    "SELECT id, nom, prix_vente, quantite_stock FROM articles \
     WHERE boutique_id = $1 AND id = ANY($2) AND actif",
);

impl Priced {
    /// Adds what it takes of each article to `asked`.
    pub(super) fn add_to(&self, asked: &mut BTreeMap<i64, i64>) {
        for line in &self.lines {
            *asked.entry(line.article_id).or_default() += line.quantity;
        }
    }
}

impl Articles {
    pub(super) async fn load(tx: &mut Tx, shop_id: i64, mut ids: Vec<i64>) -> Result<Self, Error> {
        ids.sort_unstable();
        ids.dedup();
        let mut by_id = HashMap::new();
        if ids.is_empty() {
            return Ok(Self { by_id });
        }
        for row in tx.rows(&ARTICLES, args![shop_id, ids]).await? {
            let (name, price) = (row.get("nom")?, row.get("prix_vente")?);
            let article = Article { name, price, stock: row.get("quantite_stock")? };
            by_id.insert(row.get("id")?, article);
        }
        Ok(Self { by_id })
    }

    /// The article's own price, if it may be sold.
    pub(super) fn price_of(&self, id: i64) -> Option<Decimal> {
        self.by_id.get(&id).map(|article| article.price)
    }

    /// Whether there is probably so much of an article.
    pub(super) fn has(&self, id: i64, quantity: i64) -> bool {
        self.by_id.get(&id).is_some_and(|article| article.stock >= quantity)
    }

    /// These lines were booked.
    pub(super) fn took(&mut self, lines: &[PricedLine]) {
        for line in lines {
            if let Some(article) = self.by_id.get_mut(&line.article_id) {
                article.stock -= line.quantity;
            }
        }
    }

    /// `Σ price × quantity`, exactly; the first line of an article that cannot be sold refuses.
    pub(super) fn price(&self, sale: &Sale) -> Result<Priced, Refusal> {
        let too_large = || Refusal::invalid(texts::expected("lignes", texts::TOTAL));
        let mut lines = Vec::with_capacity(sale.lines.len());
        let mut total = Decimal::ZERO;
        for line in &sale.lines {
            let article = self
                .by_id
                .get(&line.article_id)
                .ok_or_else(|| Refusal::unknown_article(line.article_id))?;
            let price = line.price.unwrap_or(article.price);
            // Below 10^16 before every addition, so that no sum overflows.
            total = price
                .checked_mul(Decimal::from(line.quantity))
                .filter(|amount| money::is_storable(*amount))
                .map(|amount| total + amount)
                .filter(|total| money::is_storable(*total))
                .ok_or_else(too_large)?;
            lines.push(PricedLine {
                article_id: line.article_id,
                name: article.name.clone(),
                quantity: line.quantity,
                price,
            });
        }
        Ok(Priced { lines, total })
    }
}
