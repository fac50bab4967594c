//! When two sales have the same content, whatever their number.

use super::money;
use super::sale::Sale;
use crate::digest::sha256_hex;
use crate::json::canonical;
use serde_json::value::RawValue;

/// The content of a well-formed sale. What is left out equals what is written out, except a
/// price: the article's own may change between two sends.
pub(crate) fn of_sale(sale: &Sale) -> String {
    let lines: Vec<_> = sale
        .lines
        .iter()
        .map(|line| (line.article_id, line.quantity, line.price.map(money::print)))
        .collect();
    let date = sale.date.as_ref().map(|date| &date.raw);
    let content = (sale.mode, sale.paid, date, lines);
    sha256_hex(&serde_json::to_string(&content).expect("a sale is plain data"))
}

/// The content of a sale that cannot be read as one.
pub(crate) fn of_text(raw: &RawValue) -> String {
    sha256_hex(&canonical(raw))
}

#[cfg(test)]
mod tests {
    use super::{of_sale, of_text};
    use crate::ventes::sale::parse;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn of(text: &str) -> String {
        let raw: &RawValue = serde_json::from_str(text).expect("valid JSON");
        parse(raw, 2).map_or_else(|_| of_text(raw), |sale| of_sale(&sale))
    }

    #[test]
    fn defaults_compare_equal_to_what_they_stand_for() {
        let plain = of(r#"{"lignes":[{"article_id":6}]}"#);
        for equal in [
            r#"{"numero_facture":"A","lignes":[{"article_id":6}]}"#,
            r#"{"mode_paiement":"CASH","paye":true,"lignes":[{"article_id":6,"quantite":1}]}"#,
            r#"{"lignes":[{"prix_unitaire":null,"article_id":6.0}],"inconnu":1}"#,
        ] {
            assert_eq!(of(equal), plain, "{equal}");
        }
        for other in [
            r#"{"lignes":[{"article_id":6,"quantite":2}]}"#,
            r#"{"lignes":[{"article_id":6},{"article_id":6}]}"#,
            r#"{"lignes":[{"article_id":6,"prix_unitaire":0}]}"#,
            r#"{"paye":false,"lignes":[{"article_id":6}]}"#,
            r#"{"mode_paiement":"CARTE","lignes":[{"article_id":6}]}"#,
            r#"{"date_vente":"2025-10-29T02:45:00Z","lignes":[{"article_id":6}]}"#,
            r#"{"paye":"x","lignes":[{"article_id":6}]}"#,
        ] {
            assert_ne!(of(other), plain, "{other}");
        }
    }

    proptest! {
        #[test]
        fn spelling_does_not_matter(article in 0_i64..100, quantity in 1_i64..9, cents in 0_i64..10_000) {
            let price = format!("{}.{:02}", cents / 100, cents % 100);
            let one = format!(r#"{{"lignes":[{{"article_id":{article},"quantite":{quantity},"prix_unitaire":{price}}}]}}"#);
            let two = format!(r#"{{ "paye":true, "lignes" : [ {{"prix_unitaire":"{price}0" ,"quantite":{quantity}.0,"article_id":{article}}} ] }}"#);
            prop_assert_eq!(of(&one), of(&two));
        }
    }
}
