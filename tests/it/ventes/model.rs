//! Random batches against a plain model of a shop: sales by number, stock by article, and which
//! answers were delivered.

use super::{Shop, audit, deliver, sales, send, stock, words};
use db::Db;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use records::ventes::Origin;
use std::collections::BTreeMap;

/// What the model knows of a booked sale.
struct Booked {
    terminal: i64,
    lines: Vec<(i64, i64)>,
    /// The answer that last reported it as created, and whether it left whole.
    reported_by: usize,
    delivered: bool,
}

struct Model {
    stock: BTreeMap<i64, i64>,
    booked: BTreeMap<String, Booked>,
}

impl Model {
    fn apply(
        &mut self,
        answer: usize,
        terminal: i64,
        number: &str,
        lines: &[(i64, i64)],
    ) -> &'static str {
        if let Some(sale) = self.booked.get_mut(number) {
            if sale.terminal != terminal || sale.lines != lines {
                return "NUMERO_EN_CONFLIT";
            }
            if sale.reported_by == answer || sale.delivered {
                return "DUPLICATE";
            }
            sale.reported_by = answer;
            return "+again";
        }
        if lines.iter().any(|(article, _)| !self.stock.contains_key(article)) {
            return "ARTICLE_NON_TROUVE";
        }
        let mut left = self.stock.clone();
        for (article, quantity) in lines {
            *left.entry(*article).or_default() -= quantity;
        }
        if left.values().any(|quantity| *quantity < 0) {
            return "STOCK_INSUFFISANT";
        }
        self.stock = left;
        let lines = lines.to_vec();
        let sale = Booked { terminal, lines, reported_by: answer, delivered: false };
        self.booked.insert(number.to_owned(), sale);
        "+"
    }

    fn deliver(&mut self, answer: usize) {
        for sale in self.booked.values_mut().filter(|sale| sale.reported_by == answer) {
            sale.delivered = true;
        }
    }
}

fn sale(number: &str, lines: &[(i64, i64)]) -> String {
    let lines: Vec<_> = lines
        .iter()
        .map(|(article, quantity)| format!(r#"{{"article_id":{article},"quantite":{quantity}}}"#))
        .collect();
    format!(r#"{{"numero_facture":"{number}","lignes":[{}]}}"#, lines.join(","))
}

pub(crate) async fn random_batches_agree_with_the_model(db: &Db) {
    for seed in 0..6 {
        let mut random = StdRng::seed_from_u64(seed);
        let shop = Shop::open(db).await;
        let stock_of = BTreeMap::from([(shop.a, 10), (shop.b, 20)]);
        let mut model = Model { stock: stock_of, booked: BTreeMap::new() };
        for answer in 0..25 {
            let terminal =
                if random.random_bool(0.8) { shop.terminal } else { shop.second_terminal };
            // Never old enough to be released: that is not in this model.
            let recue_le = "2999-01-01T00:00:00Z".parse().unwrap();
            let origin = Origin { terminal_id: terminal, recue_le, ..shop.origin() };
            let mut batch = Vec::new();
            let mut expected = Vec::new();
            for _ in 0..random.random_range(1..6) {
                let number = format!("V-{}", random.random_range(0..12));
                let lines: Vec<_> = (0..random.random_range(1..4))
                    .map(|_| match random.random_range(0..20) {
                        0 => (999, 1),
                        n => (if n < 10 { shop.a } else { shop.b }, random.random_range(1..3)),
                    })
                    .collect();
                // Mostly what was sent before under that number, as a terminal would.
                let lines = match model.booked.get(&number) {
                    Some(booked) if random.random_bool(0.8) => booked.lines.clone(),
                    _ => lines,
                };
                batch.push(sale(&number, &lines));
                expected.push(model.apply(answer, terminal, &number, &lines));
            }
            let outcomes = send(db, &origin, &batch).await;
            assert_eq!(words(&outcomes), expected, "seed {seed}, answer {answer}: {batch:#?}");
            if random.random_bool(0.5) {
                deliver(db, &origin).await;
                model.deliver(answer);
            }
        }
        for (article, left) in &model.stock {
            assert_eq!(stock(db, *article).await, *left, "seed {seed}");
        }
        assert_eq!(sales(db, &shop).await, i64::try_from(model.booked.len()).unwrap());
        audit(db, &shop).await;
    }
}
