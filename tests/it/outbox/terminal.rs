//! The source's C# client (R-002-37 to R-002-40): sends everything that is not yet known to be
//! synchronised, reads every 2xx body into its model, and clears only what `ventes_creees` names.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The C# model: a member that is missing or of another type is a broken client.
#[derive(Debug, Deserialize)]
struct SyncResponse {
    success: bool,
    message: String,
    statistiques: SyncStatistiques,
    ventes_creees: Vec<VenteCreee>,
    ventes_erreurs: Option<Vec<VenteErreur>>,
}

#[derive(Debug, Deserialize)]
struct SyncStatistiques {
    total_envoyees: i32,
    reussies: i32,
    erreurs: i32,
}

#[derive(Debug, Deserialize)]
struct VenteCreee {
    numero_facture: String,
    montant_total: String,
    lignes: Vec<LigneCreee>,
}

#[derive(Debug, Deserialize)]
struct LigneCreee {
    article_nom: String,
    quantite: i32,
    prix_unitaire: String,
    sous_total: String,
}

#[derive(Debug, Deserialize)]
struct VenteErreur {
    index: i32,
    numero_facture: String,
    erreur: String,
}

/// A sale as the terminal made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sold {
    pub(crate) number: String,
    /// Article, quantity, unit price in hundredths.
    pub(crate) lines: Vec<(i64, i64, i64)>,
}

pub(super) struct Terminal {
    serial: String,
    http: reqwest::Client,
    base: String,
    random: StdRng,
    outbox: Vec<Sold>,
    pub(super) sold: Vec<Sold>,
    pub(super) requests: u32,
    pub(super) answers: u32,
    pub(super) longest: Duration,
}

impl Terminal {
    pub(super) fn new(serial: &str, seed: u64, http: reqwest::Client, base: String) -> Self {
        Self {
            serial: serial.to_owned(),
            http,
            base,
            random: StdRng::seed_from_u64(seed),
            outbox: Vec::new(),
            sold: Vec::new(),
            requests: 0,
            answers: 0,
            longest: Duration::ZERO,
        }
    }

    /// Makes `total` sales, a few between two ticks, and goes on until the outbox is empty.
    pub(super) async fn sell_until_empty(&mut self, total: usize, deadline: Duration) {
        let start = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while self.sold.len() < total || !self.outbox.is_empty() {
            assert!(start.elapsed() < deadline, "still in the outbox: {:?}", self.outbox);
            tick.tick().await;
            for _ in 0..self.random.random_range(0..=3).min(total - self.sold.len()) {
                self.sell();
            }
            if !self.outbox.is_empty() {
                self.synchronise().await;
            }
        }
    }

    /// One tick of the client's timer: up to `most` new sales, then everything unsent is sent.
    /// Returns whether there is nothing left to do.
    pub(super) async fn tick(&mut self, total: usize, most: usize) -> bool {
        for _ in 0..self.random.random_range(0..=most).min(total - self.sold.len()) {
            self.sell();
        }
        if !self.outbox.is_empty() {
            self.synchronise().await;
        }
        self.sold.len() == total && self.outbox.is_empty()
    }

    fn sell(&mut self) {
        let number = format!("{}-{:05}", self.serial, self.sold.len());
        let lines = (0..self.random.random_range(1..=3)).map(|_| {
            let (article, price) =
                super::ARTICLES[self.random.random_range(0..super::ARTICLES.len())];
            let hundredths: i64 = price.replace('.', "").parse().expect("a price");
            (article, self.random.random_range(1..=4), hundredths)
        });
        let sale = Sold { number, lines: lines.collect() };
        self.sold.push(sale.clone());
        self.outbox.push(sale);
    }

    async fn synchronise(&mut self) {
        let body: Vec<Value> = self.outbox.iter().map(as_posted).collect();
        let request = self
            .http
            .post(format!("{}/api/v2/simple/ventes/sync/", self.base))
            .header("X-Device-Serial", &self.serial)
            .timeout(Duration::from_secs(10))
            .json(&body);
        self.requests += 1;
        let asked = Instant::now();
        let Ok(response) = request.send().await else { return };
        let status = response.status();
        let Ok(text) = response.text().await else { return };
        self.longest = self.longest.max(asked.elapsed());
        if !status.is_success() {
            // `throw new Exception(…)`: nothing is cleared.
            assert!(status.is_server_error() || status == 429, "{status}: {text}");
            return;
        }
        self.answers += 1;
        let answer: SyncResponse =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        check(&answer, body.len(), status.as_u16(), &text);
        let created: HashSet<_> =
            answer.ventes_creees.into_iter().map(|sale| sale.numero_facture).collect();
        self.outbox.retain(|sale| !created.contains(&sale.number));
    }
}

/// Exactly the six members of R-002-37, the price as a JSON number.
fn as_posted(sale: &Sold) -> Value {
    let lines: Vec<Value> = sale
        .lines
        .iter()
        .map(|(article, quantity, price)| {
            let price: Value = serde_json::from_str(&format!("{}.{:02}", price / 100, price % 100))
                .expect("a number");
            json!({"article_id": article, "quantite": quantity, "prix_unitaire": price})
        })
        .collect();
    json!({"numero_facture": sale.number, "mode_paiement": "CASH", "paye": true, "lignes": lines})
}

/// I-7 accounting, I-8 money, I-22 honesty of a 202.
fn check(answer: &SyncResponse, sent: usize, status: u16, text: &str) {
    let figures = &answer.statistiques;
    let errors = answer.ventes_erreurs.as_deref().unwrap_or_default();
    assert_eq!(figures.total_envoyees as usize, sent, "{text}");
    assert_eq!(figures.reussies as usize, answer.ventes_creees.len(), "{text}");
    assert_eq!(figures.erreurs as usize, errors.len(), "{text}");
    assert_eq!(answer.ventes_erreurs.is_none(), errors.is_empty(), "{text}");
    if status == 202 {
        assert!(!answer.success && answer.ventes_creees.is_empty() && errors.is_empty(), "{text}");
        return;
    }
    assert_eq!(figures.total_envoyees, figures.reussies + figures.erreurs, "{text}");
    let expected = format!("{} vente(s) synchronisée(s) avec succès", figures.reussies);
    assert_eq!(answer.message, expected);
    for error in errors {
        assert!((1..=sent as i32).contains(&error.index), "{text}");
        assert!(
            error.erreur.contains("existe déjà"),
            "{} is refused: {text}",
            error.numero_facture
        );
    }
    for sale in &answer.ventes_creees {
        let sum: i64 = sale.lignes.iter().map(|line| hundredths(&line.sous_total)).sum();
        assert_eq!(hundredths(&sale.montant_total), sum, "{text}");
        for line in &sale.lignes {
            let product = hundredths(&line.prix_unitaire) * i64::from(line.quantite);
            assert_eq!(hundredths(&line.sous_total), product, "{}: {text}", line.article_nom);
        }
    }
}

fn hundredths(money: &str) -> i64 {
    let (whole, cents) = money.split_once('.').unwrap_or_else(|| panic!("`{money}`"));
    assert_eq!(cents.len(), 2, "`{money}`");
    format!("{whole}{cents}").parse().unwrap_or_else(|_| panic!("`{money}`"))
}
