//! A shop in plain maps: what the contract says becomes of each sale.

use super::commands::{Article, Content, Line, Price, Sale};
use std::collections::BTreeMap;

/// Stands for every generated number.
pub(super) const GENERATED: &str = "VENTE";
/// Own prices of the two articles in hundredths.
const PRICES: [i64; 2] = [4_000_000, 2_500_000];

/// What becomes of one sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) number: String,
    /// `+`, `+again` or a code.
    pub(super) word: String,
    /// Of a created sale.
    pub(super) total: String,
}

struct Booked {
    terminal: usize,
    content: (bool, Vec<(Article, i64, Option<i64>)>),
    total: String,
    /// The job that last reported it as created, and whether that answer arrived.
    reported_by: usize,
    delivered: bool,
}

pub(super) struct Model {
    pub(super) stock: Vec<i64>,
    numbered: BTreeMap<String, Booked>,
    /// Totals of the sales that have generated numbers.
    generated: Vec<String>,
    /// Outcomes of every job so far.
    jobs: Vec<Vec<Expected>>,
    /// Unnumbered requests whose answer has not arrived: by terminal and body (D-13).
    open: BTreeMap<(usize, String), usize>,
    /// Requests with a key: by terminal and key (D-11).
    keys: BTreeMap<(usize, String), usize>,
    /// By terminal, number and content, and whether it is closed (D-15).
    rejected: BTreeMap<(usize, String, String), bool>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            stock: vec![10, 20],
            numbered: BTreeMap::new(),
            generated: Vec::new(),
            jobs: Vec::new(),
            open: BTreeMap::new(),
            keys: BTreeMap::new(),
            rejected: BTreeMap::new(),
        }
    }

    /// A request arrives: its job and outcomes, perhaps those of an earlier one.
    pub(super) fn send(
        &mut self,
        terminal: usize,
        key: Option<&str>,
        sales: &[Sale],
        body: &[String],
    ) -> (usize, Vec<Expected>) {
        if let Some(job) = self.known(terminal, key, sales, body) {
            return (job, self.jobs[job].clone());
        }
        let unnumbered = sales.iter().any(|sale| sale.number.is_none());
        let job = self.jobs.len();
        let outcomes: Vec<_> = sales
            .iter()
            .zip(body)
            .enumerate()
            .map(|(place, (sale, raw))| {
                let equal = body[..place].iter().filter(|other| *other == raw).count();
                self.apply(job, terminal, sale, raw, equal)
            })
            .collect();
        self.jobs.push(outcomes.clone());
        if let Some(key) = key {
            self.keys.insert((terminal, key.to_owned()), job);
        } else if unnumbered {
            self.open.insert((terminal, body.join(",")), job);
        }
        (job, outcomes)
    }

    /// The job of an earlier request that this one is.
    pub(super) fn known(
        &self,
        terminal: usize,
        key: Option<&str>,
        sales: &[Sale],
        body: &[String],
    ) -> Option<usize> {
        let found = match key {
            Some(key) => self.keys.get(&(terminal, key.to_owned())),
            None if sales.iter().all(|sale| sale.number.is_some()) => None,
            None => self.open.get(&(terminal, body.join(","))),
        };
        found.copied()
    }

    /// The answer of a job arrived.
    pub(super) fn delivered(&mut self, job: usize) {
        self.open.retain(|_, open| *open != job);
        for sale in self.numbered.values_mut().filter(|sale| sale.reported_by == job) {
            sale.delivered = true;
        }
    }

    /// `equal`: how many equal sales go before it in its batch; without numbers they are others.
    fn apply(
        &mut self,
        job: usize,
        terminal: usize,
        sale: &Sale,
        raw: &str,
        equal: usize,
    ) -> Expected {
        let number = sale.number.clone();
        let shown = number.clone().unwrap_or_else(|| GENERATED.to_owned());
        let content = fingerprint(&sale.content, raw);
        let kept_as = match &number {
            Some(_) => content,
            None => format!("{content}:{equal}"),
        };
        let key = (terminal, number.unwrap_or_default(), kept_as);
        let (word, total) = match self.decide(job, terminal, sale) {
            Ok((word, total)) => {
                if word == "+"
                    && let Some(closed) = self.rejected.get_mut(&key)
                {
                    *closed = true;
                }
                (word, total)
            }
            Err("DUPLICATE") => ("DUPLICATE", String::new()),
            Err(code) => {
                self.rejected.insert(key, false);
                (code, String::new())
            }
        };
        Expected { number: shown, word: word.to_owned(), total }
    }

    fn decide(
        &mut self,
        job: usize,
        terminal: usize,
        sale: &Sale,
    ) -> Result<(&'static str, String), &'static str> {
        let lines = &sale.content.lines;
        if lines.iter().any(|line| line.quantity == 0) {
            return Err("VENTE_INVALIDE");
        }
        let priced = lines.iter().map(|line| (line.article, line.quantity, price(line)));
        let content = (sale.content.paid, priced.collect::<Vec<_>>());
        let booked = sale.number.as_ref().and_then(|number| self.numbered.get_mut(number));
        if let Some(booked) = booked {
            if booked.terminal != terminal || booked.content != content {
                return Err("NUMERO_EN_CONFLIT");
            }
            if booked.reported_by == job || booked.delivered {
                return Err("DUPLICATE");
            }
            booked.reported_by = job;
            return Ok(("+again", booked.total.clone()));
        }
        if lines.iter().any(|line| line.article == Article::Unknown) {
            return Err("ARTICLE_NON_TROUVE");
        }
        let mut stock = self.stock.clone();
        for line in lines {
            stock[line.article as usize] -= line.quantity;
        }
        if stock.iter().any(|left| *left < 0) {
            return Err("STOCK_INSUFFISANT");
        }
        self.stock = stock;
        let sum: i64 = content.1.iter().map(|(_, n, price)| n * price.unwrap_or_default()).sum();
        let total = format!("{}.{:02}", sum / 100, sum % 100);
        match &sale.number {
            None => self.generated.push(total.clone()),
            Some(number) => {
                let total = total.clone();
                let sale = Booked { terminal, content, total, reported_by: job, delivered: false };
                self.numbered.insert(number.clone(), sale);
            }
        }
        Ok(("+", total))
    }

    /// Every sale's number and total, sorted.
    pub(super) fn booked(&self) -> Vec<(String, String)> {
        let numbered = self.numbered.iter().map(|(n, sale)| (n.clone(), sale.total.clone()));
        let generated = self.generated.iter().map(|total| (GENERATED.to_owned(), total.clone()));
        let mut all: Vec<_> = numbered.chain(generated).collect();
        all.sort();
        all
    }

    /// Every rejection's number and whether it is closed, sorted.
    pub(super) fn rejected(&self) -> Vec<(String, bool)> {
        let mut all: Vec<_> = self
            .rejected
            .iter()
            .map(|((_, number, _), closed)| (number.clone(), *closed))
            .collect();
        all.sort();
        all
    }
}

fn price(line: &Line) -> Option<i64> {
    match line.price {
        Price::Explicit(hundredths) => Some(hundredths),
        Price::Absent | Price::Null => PRICES.get(line.article as usize).copied(),
    }
}

/// What makes two refused sales one row: well-formed ones compare by meaning, others by text.
fn fingerprint(content: &Content, raw: &str) -> String {
    if content.lines.iter().any(|line| line.quantity == 0) {
        return raw.to_owned();
    }
    let price = |line: &Line| match line.price {
        Price::Explicit(hundredths) => Some(hundredths),
        Price::Absent | Price::Null => None,
    };
    let lines = content.lines.iter().map(|line| (line.article, line.quantity, price(line)));
    format!("{:?} {:?}", content.paid, lines.collect::<Vec<_>>())
}
