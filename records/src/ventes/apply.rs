//! Applies sales inside the caller's transaction: each one wholly or not at all.
//!
//! A savepoint per sale: what goes wrong with one is undone, kept in `ventes_rejetees` and
//! answered, and never touches its neighbours. Only a failure that may pass by itself ends the
//! whole call, so that the transaction is tried again. Sales in a row that nothing speaks against
//! are written together ([`run`]); if that fails, one by one after all.

mod articles;
mod book;
mod run;
mod stored;

use super::days::{self, Booked};
use super::outcome::{Created, CreatedLine, Refused, SaleOutcome};
use super::refusal::{Code, Refusal};
use super::rejected::{OpenRejections, Rejection};
use super::sale::{Malformed, Sale, parse};
use super::{Policy, fingerprint, money, scope, texts};
use articles::{Articles, Priced};
use chrono::{DateTime, Utc};
use db::{Error, Sql, Tx, failpoint};
use futures::FutureExt as _;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use stored::{Stored, StoredSales};
use uuid::Uuid;

/// Where the sales of one request come from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub boutique_id: i64,
    pub terminal_id: i64,
    /// The job that applies them; its answer will report them.
    pub job: Uuid,
    pub recue_le: DateTime<Utc>,
    /// `YYYYMMDDHHMMSS` of receipt, frozen so that a repeated job generates the same numbers.
    pub horodatage: String,
    /// The shop's time zone: which day a sale counts for.
    pub fuseau: chrono_tz::Tz,
}

/// What ends the work on one sale: a refusal, or the database.
enum Stop {
    Refused(Refusal),
    Db(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Db(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

static SAVEPOINT: Sql = Sql::both("SAVEPOINT vente");
static ROLLBACK: Sql = Sql::both("ROLLBACK TO SAVEPOINT vente");
static RELEASE: Sql = Sql::both("RELEASE SAVEPOINT vente");

/// Applies the sales of `batch` at these positions; one outcome each, in order. An error means that
/// nothing of this call may be committed.
pub async fn apply(
    tx: &mut Tx,
    origin: &Origin,
    policy: &Policy,
    batch: &[Box<RawValue>],
    positions: Range<usize>,
) -> Result<Vec<SaleOutcome>, Error> {
    let sales = read(batch, positions, origin);
    scope(tx, origin.boutique_id).await?;
    let mut chunk = Chunk::load(tx, origin, policy, &sales).await?;
    let outcomes = chunk.apply_all(tx, &sales).await?;
    chunk.days.write(tx, origin).await?;
    Ok(outcomes)
}

/// Keeps sales unapplied that kill whoever applies them, as internal errors of ours: they wait in
/// `ventes_rejetees` for a person, and their neighbours go on (D-17).
pub async fn set_aside(
    tx: &mut Tx,
    origin: &Origin,
    batch: &[Box<RawValue>],
    positions: Range<usize>,
) -> Result<Vec<SaleOutcome>, Error> {
    scope(tx, origin.boutique_id).await?;
    let mut open = OpenRejections::default();
    let mut outcomes = Vec::with_capacity(positions.len());
    for sent in read(batch, positions, origin) {
        let refusal = Refusal::internal();
        open.keep(tx, origin, &sent.rejection(), &refusal).await?;
        tracing::error!(
            job.id = %origin.job,
            boutique.id = origin.boutique_id,
            vente.position = sent.position,
            "a sale was set aside: processes died on it"
        );
        outcomes.push(sent.refused(origin, refusal.code, refusal.message));
    }
    Ok(outcomes)
}

/// Two equal sales without numbers are two (D-13): each has a row of its own if it is refused. Which
/// one a sale is does not depend on how the batch is divided.
fn read<'a>(batch: &'a [Box<RawValue>], positions: Range<usize>, origin: &Origin) -> Vec<Sent<'a>> {
    let mut sales = Vec::with_capacity(positions.len());
    for (position, raw) in batch.iter().enumerate().take(positions.end).skip(positions.start) {
        sales.push(Sent::read(raw, position, origin.boutique_id));
    }
    if sales.iter().any(|sent| sent.number().is_none()) {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for raw in batch.iter().take(positions.start) {
            *seen.entry(raw.get()).or_default() += 1;
        }
        for sent in &mut sales {
            let before = seen.entry(sent.raw.get()).or_default();
            if *before > 0 && sent.number().is_none() {
                sent.kept_as = format!("{}:{before}", sent.fingerprint);
            }
            *before += 1;
        }
    }
    sales
}

/// One sale as it arrived.
struct Sent<'a> {
    raw: &'a RawValue,
    position: usize,
    fingerprint: String,
    /// What its row in `ventes_rejetees` is known by, beside its number.
    kept_as: String,
    sale: Result<Sale, Box<Malformed>>,
}

impl<'a> Sent<'a> {
    fn read(raw: &'a RawValue, position: usize, shop_id: i64) -> Self {
        let sale = parse(raw, shop_id);
        let fingerprint = match &sale {
            Ok(sale) => fingerprint::of_sale(sale),
            Err(_) => fingerprint::of_text(raw),
        };
        let kept_as = fingerprint.clone();
        Self { raw, position, fingerprint, kept_as, sale }
    }

    fn number(&self) -> Option<&str> {
        match &self.sale {
            Ok(sale) => sale.number.as_deref(),
            Err(malformed) => malformed.number.as_deref(),
        }
    }

    fn rejection(&self) -> Rejection<'_> {
        Rejection { number: self.number(), fingerprint: &self.kept_as, raw: self.raw }
    }

    fn refused(&self, origin: &Origin, code: Code, message: String) -> SaleOutcome {
        let sent_number = match &self.sale {
            Ok(sale) => sale.number.clone(),
            Err(malformed) => malformed.sent_number.clone(),
        };
        SaleOutcome::Refusee(Refused {
            numero_facture: sent_number.unwrap_or_else(|| generated(origin, self.position)),
            erreur: message,
            code,
        })
    }
}

/// A well-formed sale under the number it gets, every amount known.
struct Booking<'a> {
    sent: &'a Sent<'a>,
    sale: &'a Sale,
    number: String,
    /// The index in that number, if it is a generated one.
    index: Option<usize>,
    priced: Priced,
}

/// What several sales of one transaction share: what was read once for all of them, kept in step
/// with what they do.
struct Chunk<'a> {
    origin: &'a Origin,
    policy: &'a Policy,
    articles: Articles,
    stored: StoredSales,
    open: OpenRejections,
    days: Booked,
    /// The lowest index that may still be free in a generated number.
    next_index: usize,
}

impl<'a> Chunk<'a> {
    async fn load(
        tx: &mut Tx,
        origin: &'a Origin,
        policy: &'a Policy,
        sales: &[Sent<'_>],
    ) -> Result<Self, Error> {
        let well_formed = || sales.iter().filter_map(|sent| sent.sale.as_ref().ok());
        let article_ids = well_formed().flat_map(|sale| &sale.lines).map(|line| line.article_id);
        let numbers: Vec<_> = well_formed().filter_map(|sale| sale.number.clone()).collect();
        let rejections: Vec<_> = sales.iter().map(Sent::rejection).collect();
        let keys: Vec<_> = rejections.iter().map(Rejection::key).collect();
        Ok(Self {
            origin,
            policy,
            articles: Articles::load(tx, origin.boutique_id, article_ids.collect()).await?,
            stored: StoredSales::load(tx, origin, policy, numbers).await?,
            open: OpenRejections::load(tx, origin, &keys).await?,
            days: Booked::default(),
            next_index: 0,
        })
    }

    async fn apply_sale(&mut self, tx: &mut Tx, sent: &Sent<'_>) -> Result<SaleOutcome, Error> {
        failpoint::at_item("sale", sent.number().unwrap_or_default()).await?;
        tx.execute(&SAVEPOINT, Vec::new()).await?;
        // What is shared is changed after the last thing that can go wrong.
        let decided = AssertUnwindSafe(self.decide(tx, sent)).catch_unwind().await;
        let decided = decided.unwrap_or_else(|_panic| {
            log_panic(self.origin, sent);
            Err(Stop::Refused(Refusal::internal()))
        });
        let refusal = match decided {
            Ok(outcome) => {
                tx.execute(&RELEASE, Vec::new()).await?;
                return Ok(outcome);
            }
            Err(Stop::Refused(refusal)) => refusal,
            Err(Stop::Db(error)) if error.is_transient() => return Err(error),
            Err(Stop::Db(error)) => {
                log_failure(self.origin, sent, &error, "a sale could not be applied");
                Refusal::internal()
            }
        };
        tx.execute(&ROLLBACK, Vec::new()).await?;
        match self.open.keep(tx, self.origin, &sent.rejection(), &refusal).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                log_failure(self.origin, sent, &error, "a refused sale could not be kept");
                tx.execute(&ROLLBACK, Vec::new()).await?;
            }
        }
        tx.execute(&RELEASE, Vec::new()).await?;
        Ok(sent.refused(self.origin, refusal.code, refusal.message))
    }

    async fn decide(&mut self, tx: &mut Tx, sent: &Sent<'_>) -> Result<SaleOutcome, Stop> {
        failpoint::at_item("decide", sent.number().unwrap_or_default()).await?;
        let sale = sent.sale.as_ref().map_err(|malformed| malformed.refusal.clone())?;
        if let Some(number) = &sale.number
            && self.stored.contains(number)
        {
            return self.exists(tx, sent, sale, number).await;
        }
        let priced = self.articles.price(sale)?;
        let (id, booking) = match &sale.number {
            None => self.insert_generated(tx, sent, sale, priced).await?,
            Some(number) => {
                let booking = Booking { sent, sale, number: number.clone(), index: None, priced };
                match self.insert(tx, &booking).await? {
                    Some(id) => (id, booking),
                    // Somebody else's transaction was faster.
                    None => {
                        self.stored.reload(tx, self.origin, self.policy, number).await?;
                        return self.exists(tx, sent, sale, number).await;
                    }
                }
            }
        };
        let alerts = book::move_stock(tx, self.origin, self.policy.stock, id, &booking).await?;
        self.open.close(tx, self.origin, sent.number(), &sent.kept_as).await?;
        Ok(self.booked(id, booking, alerts))
    }

    /// A sale is written: what is shared learns of it.
    fn booked(&mut self, id: i64, booking: Booking<'_>, alerts: Vec<String>) -> SaleOutcome {
        let Booking { sent, sale, number, index, priced } = booking;
        if let Some(index) = index {
            self.next_index = index + 1;
        }
        self.articles.took(&priced.lines);
        let (date, _corrected) = sale.booked(self.origin.recue_le);
        self.days.add(days::day(self.origin.fuseau, date), priced.total);
        let stored = Stored::created(id, self.origin, sent, sale, priced);
        let outcome = created(&number, &stored, false, alerts);
        self.stored.add(number, stored);
        outcome
    }

    async fn insert(&self, tx: &mut Tx, booking: &Booking<'_>) -> Result<Option<i64>, Error> {
        let ids = book::insert(tx, self.origin, std::slice::from_ref(booking)).await?;
        Ok(ids.into_values().next())
    }

    /// Inserts a sale under the next free generated number at or after its position (D-62);
    /// returns its id and what was inserted.
    async fn insert_generated<'s>(
        &self,
        tx: &mut Tx,
        sent: &'s Sent<'s>,
        sale: &'s Sale,
        priced: Priced,
    ) -> Result<(i64, Booking<'s>), Error> {
        let index = sent.position.max(self.next_index);
        let number = generated(self.origin, index);
        let mut booking = Booking { sent, sale, number, index: Some(index), priced };
        let mut next = index;
        loop {
            if let Some(id) = self.insert(tx, &booking).await? {
                return Ok((id, booking));
            }
            next = stored::next_free(tx, self.origin, next + 1).await?;
            booking.number = generated(self.origin, next);
            booking.index = Some(next);
        }
    }

    /// A sale with this number is in the record: reported again, ignored, or in conflict (D-12).
    async fn exists(
        &mut self,
        tx: &mut Tx,
        sent: &Sent<'_>,
        sale: &Sale,
        number: &str,
    ) -> Result<SaleOutcome, Stop> {
        let conflict = || Refusal::number_in_conflict(number);
        let stored = self.stored.get_mut(number).ok_or_else(conflict)?;
        let same_terminal = stored.terminal_id == self.origin.terminal_id;
        if !same_terminal || !stored.has_content(sale, &sent.fingerprint, &self.articles) {
            return Err(conflict().into());
        }
        // This very answer reports it already: an earlier sale of the batch, counted once.
        if stored.reported_by == self.origin.job {
            return Ok(sent.refused(self.origin, Code::Duplicate, texts::duplicate(number)));
        }
        let stuck = stored.long_received
            && stored.duplicates >= i64::from(self.policy.release_after_duplicates);
        if stored.delivered && !stuck {
            stored.count_duplicate(tx).await?;
            return Ok(sent.refused(self.origin, Code::Duplicate, texts::duplicate(number)));
        }
        stored.report_again(tx, self.origin.job).await?;
        Ok(created(number, stored, true, Vec::new()))
    }
}

/// `VENTE-{boutique_id}-{timestamp}-{index}`, the index from 0 (R-002-7).
fn generated(origin: &Origin, index: usize) -> String {
    format!("VENTE-{}-{}-{index}", origin.boutique_id, origin.horodatage)
}

fn created(number: &str, stored: &Stored, replayed: bool, alertes: Vec<String>) -> SaleOutcome {
    SaleOutcome::Creee(Created {
        numero_facture: number.to_owned(),
        montant_total: money::print(stored.total),
        lignes: stored
            .lines
            .iter()
            .map(|line| CreatedLine::new(&line.name, line.quantity, line.price))
            .collect(),
        rejouee: replayed,
        alertes,
    })
}

fn log_panic(origin: &Origin, sent: &Sent<'_>) {
    tracing::error!(
        job.id = %origin.job,
        boutique.id = origin.boutique_id,
        vente.position = sent.position,
        "applying a sale panicked"
    );
}

fn log_failure(origin: &Origin, sent: &Sent<'_>, error: &Error, what: &str) {
    tracing::error!(
        job.id = %origin.job,
        boutique.id = origin.boutique_id,
        vente.position = sent.position,
        error = error as &dyn std::error::Error,
        "{what}"
    );
}
