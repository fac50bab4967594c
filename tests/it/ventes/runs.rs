//! Sales of one transaction are written together where that works: nobody can tell.

use super::{Shop, audit, integer, sales, stock, words};
use db::failpoint::{self, Fault};
use db::{Db, Sql, Tx, args};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use records::ventes::{self, Batch, Origin, Policy, SaleOutcome, StockPolicy};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Applies a batch, so many sales per call.
async fn apply(
    tx: &mut Tx,
    origin: &Origin,
    policy: &Policy,
    sales: &[String],
    size: usize,
) -> Result<Vec<SaleOutcome>, db::Error> {
    let body = format!("[{}]", sales.join(","));
    let sales = Batch::parse(body.as_bytes()).unwrap().into_sales();
    let mut outcomes = Vec::new();
    while outcomes.len() < sales.len() {
        let first = outcomes.len();
        let end = sales.len().min(first.saturating_add(size));
        outcomes.extend(ventes::apply(tx, origin, policy, &sales, first..end).await?);
    }
    Ok(outcomes)
}

/// Columns of a table as one text per row, for the shop $1.
macro_rules! dump {
    ($columns:literal, $from:literal) => {
        Sql::each(
            concat!("SELECT CAST(json_build_array(", $columns, ") AS text) AS line FROM ", $from),
            concat!("SELECT json_array(", $columns, ") AS line FROM ", $from),
        )
    };
}

/// Everything that a shop's sales leave, without ids and the time of writing.
async fn tables(tx: &mut Tx, shop: &Shop) -> Vec<String> {
    static DUMPS: [Sql; 7] = [
        dump!(
            "numero_facture, montant_total, mode_paiement, paye, date_vente, date_vente_brute, \
             date_corrigee, recue_le, t.nom, job_id, empreinte, rapportee_par, doublons",
            "ventes v JOIN terminaux t ON t.id = terminal_id WHERE v.boutique_id = $1 ORDER BY v.id"
        ),
        dump!(
            "v.numero_facture, l.rang, l.article_id, l.article_nom, l.quantite, l.prix_unitaire",
            "lignes_vente l JOIN ventes v ON v.id = l.vente_id WHERE l.boutique_id = $1 \
             ORDER BY v.id, l.rang"
        ),
        dump!(
            "m.article_id, m.quantite, m.stock_avant, m.stock_apres, m.reference, \
             v.numero_facture, m.rang, t.nom, m.survente",
            "mouvements_stock m JOIN ventes v ON v.id = m.vente_id \
             JOIN terminaux t ON t.id = m.terminal_id WHERE m.boutique_id = $1 \
             ORDER BY m.id"
        ),
        dump!("id, quantite_stock, survente", "articles WHERE boutique_id = $1 ORDER BY id"),
        dump!(
            "numero_facture, t.nom, empreinte, raison, message, CAST(donnees AS text), \
             stock_demande, stock_disponible, article_id, tentatives, traitee, traitee_par",
            "ventes_rejetees r JOIN terminaux t ON t.id = terminal_id WHERE r.boutique_id = $1 ORDER BY r.id"
        ),
        dump!(
            "article_id, t.nom, numero_facture, stock_demande, stock_disponible",
            "alertes_stock a JOIN terminaux t ON t.id = terminal_id WHERE a.boutique_id = $1 ORDER BY a.id"
        ),
        dump!(
            "jour, nombre, chiffre_affaires",
            "ventes_jours WHERE boutique_id = $1 ORDER BY jour"
        ),
    ];
    let mut lines = Vec::new();
    for dump in &DUMPS {
        let rows = tx.rows(dump, args![shop.id]).await.unwrap();
        lines.extend(rows.iter().map(|row| row.get::<String>("line").unwrap()));
    }
    lines
}

/// A sale of this shop: mostly good, from few numbers and articles.
fn sale(random: &mut StdRng, shop: &Shop) -> String {
    let number = match random.random_range(0..12) {
        0 | 1 => String::new(),
        2 => format!("VENTE-{}-20261120100000-{}", shop.id, random.random_range(0..6)),
        _ => format!("V-{}", random.random_range(0..60)),
    };
    let lines: Vec<_> = (0..random.random_range(1..4))
        .map(|_| {
            let article = match random.random_range(0..60) {
                0 => 999,
                n if n % 2 == 0 => shop.a,
                _ => shop.b,
            };
            let quantity = random.random_range(1..3);
            let price = match random.random_range(0..4) {
                0 => r#","prix_unitaire":"12.34""#,
                _ => "",
            };
            format!(r#"{{"article_id":{article},"quantite":{quantity}{price}}}"#)
        })
        .collect();
    let more = match random.random_range(0..14) {
        0 => r#","date_vente":"2026-11-19T08:00:00.5+01:00""#,
        1 => r#","date_vente":"2031-01-01T00:00:00Z""#,
        2 => r#","paye":"oui""#,
        3 => r#","mode_paiement":"CARTE","paye":false"#,
        _ => "",
    };
    format!(r#"{{"numero_facture":"{number}","lignes":[{}]{more}}}"#, lines.join(","))
}

/// I-4, I-6, I-13, I-14, D-62: a chunk gives the outcomes and the rows that its sales give one by
/// one.
pub(crate) async fn a_chunk_is_its_sales_one_by_one(db: &Db) {
    let together =
        failpoint::arm(&Handle::current(), "run", Fault::Stall(Duration::ZERO), u32::MAX);
    static MORE: Sql = Sql::both(
        "UPDATE articles SET stock_initial = stock_initial + 40, \
         quantite_stock = quantite_stock + 40 WHERE boutique_id = $1",
    );
    for seed in 0..12 {
        let shop = Shop::open(db).await;
        db.execute(&MORE, args![shop.id]).await.unwrap();
        let stock = [StockPolicy::Refuse, StockPolicy::AcceptWithAlert][seed as usize % 2];
        let policy = Policy { stock, ..super::POLICY };
        let mut random = StdRng::seed_from_u64(seed);
        for batch in 0..12 {
            let received = if random.random_bool(0.5) { "2999-01-01" } else { "2020-01-01" };
            let terminal =
                if random.random_bool(0.2) { shop.second_terminal } else { shop.terminal };
            let origin = Origin {
                recue_le: format!("{received}T10:00:00.123Z").parse().unwrap(),
                terminal_id: terminal,
                ..shop.origin()
            };
            let size = random.random_range(1..12);
            let all: Vec<_> = (0..size).map(|_| sale(&mut random, &shop)).collect();
            let mut tx = db.begin().await.unwrap();
            let one = apply(&mut tx, &origin, &policy, &all, usize::MAX).await.unwrap();
            let left = tables(&mut tx, &shop).await;
            tx.rollback().await.unwrap();
            let mut tx = db.begin().await.unwrap();
            let many = apply(&mut tx, &origin, &policy, &all, 1).await.unwrap();
            let case = format!("seed {seed}, batch {batch}: {all:#?}");
            assert_eq!(one, many, "{case}");
            assert_eq!(left, tables(&mut tx, &shop).await, "{case}");
            tx.commit().await.unwrap();
            if random.random_bool(0.5) {
                super::deliver(db, &origin).await;
            }
        }
        if stock == StockPolicy::Refuse {
            audit(db, &shop).await;
        }
    }
    let runs = *together.borrow();
    assert!(runs > 50, "only {runs} runs were written together");
}

/// I-5, I-21, D-17: what another transaction changes meanwhile is noticed, and costs no sale.
pub(crate) async fn chunks_at_once_share_stock_and_numbers(db: &Db) {
    let shop = Arc::new(Shop::open(db).await);
    let senders = (0..12).map(|sender| {
        let (db, shop) = (db.clone(), Arc::clone(&shop));
        tokio::spawn(async move {
            // Two of each three numbers are somebody else's as well.
            let article = |n: usize| if n.is_multiple_of(2) { shop.a } else { shop.b };
            let number =
                |n: usize| format!("V-{}", if n.is_multiple_of(3) { 100 + sender } else { n });
            let all: Vec<_> = (0..4).map(|n| shop.sale(&number(n), article(n), 1)).collect();
            loop {
                match super::try_send(&db, &shop.origin(), &all).await {
                    Ok(outcomes) => return words(&outcomes),
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
            }
        })
    });
    let mut booked = 0;
    for sender in senders.collect::<Vec<_>>() {
        let found = sender.await.unwrap();
        booked += found.iter().filter(|word| **word == "+").count();
    }
    assert_eq!(sales(db, &shop).await, i64::try_from(booked).unwrap());
    let sold = 30 - stock(db, shop.a).await - stock(db, shop.b).await;
    assert_eq!(sold, i64::try_from(booked).unwrap());
    static NUMBERS: Sql =
        Sql::both("SELECT COUNT(DISTINCT numero_facture) AS n FROM ventes WHERE boutique_id = $1");
    assert_eq!(integer(db, &NUMBERS, shop.id).await, sales(db, &shop).await);
    audit(db, &shop).await;
}
