//! Sales in a row that nothing speaks against, which is nearly all of them, written together: a
//! handful of statements instead of six for each.
//!
//! A run is what [`Chunk::apply_sale`] would book under the same numbers: well-formed, new, and as
//! far as is known in stock. Any other sale ends it. If the record disagrees (a number was taken
//! meanwhile, stock is short, something failed), the run is undone and its sales are applied one by
//! one, which alone decides what becomes of them.

use super::{Booking, Chunk, RELEASE, ROLLBACK, SAVEPOINT, Sent, book, generated};
use crate::ventes::outcome::SaleOutcome;
use db::{Error, Tx, failpoint};
use futures::FutureExt as _;
use std::collections::{BTreeMap, HashSet};
use std::panic::AssertUnwindSafe;

/// Lines that are written together, unless one sale has more.
const MOST_LINES: usize = 2_000;

#[derive(Default)]
struct Run<'s> {
    sales: Vec<Booking<'s>>,
    numbers: HashSet<String>,
    /// What all of them take, by article.
    asked: BTreeMap<i64, i64>,
    lines: usize,
    next_index: usize,
}

impl Run<'_> {
    fn is_full(&self) -> bool {
        self.lines >= MOST_LINES
    }
}

impl Chunk<'_> {
    /// Applies sales in order, in runs where that works.
    pub(super) async fn apply_all(
        &mut self,
        tx: &mut Tx,
        sales: &[Sent<'_>],
    ) -> Result<Vec<SaleOutcome>, Error> {
        let mut outcomes = Vec::with_capacity(sales.len());
        while let Some(rest) = sales.get(outcomes.len()..).filter(|rest| !rest.is_empty()) {
            let run = self.run(rest).await?;
            let length = run.sales.len();
            let booked = if length > 1 { self.apply_run(tx, run).await? } else { None };
            let done = booked.as_ref().map_or(0, Vec::len);
            outcomes.extend(booked.into_iter().flatten());
            // What could not be written together, and the sale that ended the run.
            for sent in rest.iter().take(length + 1).skip(done) {
                outcomes.push(self.apply_sale(tx, sent).await?);
            }
        }
        Ok(outcomes)
    }

    /// The run that `sales` begin with; none if the first is of another kind.
    async fn run<'s>(&self, sales: &'s [Sent<'s>]) -> Result<Run<'s>, Error> {
        let mut run = Run { next_index: self.next_index, ..Run::default() };
        // One alone gains nothing.
        for sent in sales.iter().filter(|_| sales.len() > 1) {
            failpoint::at_item("sale", sent.number().unwrap_or_default()).await?;
            let joined = AssertUnwindSafe(self.join(&mut run, sent)).catch_unwind().await;
            // A panic is repeated, and reported, when the sale is applied alone.
            if !joined.unwrap_or(Ok(false))? || run.is_full() {
                break;
            }
        }
        Ok(run)
    }

    /// Adds a sale to the run if it may be.
    async fn join<'s>(&self, run: &mut Run<'s>, sent: &'s Sent<'s>) -> Result<bool, Error> {
        failpoint::at_item("decide", sent.number().unwrap_or_default()).await?;
        let Ok(sale) = &sent.sale else { return Ok(false) };
        let index = sale.number.is_none().then(|| sent.position.max(run.next_index));
        let made_up = || generated(self.origin, index.unwrap_or_default());
        let number = sale.number.clone().unwrap_or_else(made_up);
        if self.stored.contains(&number) || run.numbers.contains(&number) {
            return Ok(false);
        }
        let Ok(priced) = self.articles.price(sale) else { return Ok(false) };
        let mut asked = BTreeMap::new();
        priced.add_to(&mut asked);
        let with = |id: &i64| run.asked.get(id).copied().unwrap_or_default();
        if !asked.iter().all(|(id, quantity)| self.articles.has(*id, with(id) + quantity)) {
            return Ok(false);
        }
        priced.add_to(&mut run.asked);
        run.lines += priced.lines.len();
        run.next_index = index.map_or(run.next_index, |index| index + 1);
        run.numbers.insert(number.clone());
        run.sales.push(Booking { sent, sale, number, index, priced });
        Ok(true)
    }

    /// Writes a run; `None` if nothing of it was written.
    async fn apply_run(
        &mut self,
        tx: &mut Tx,
        run: Run<'_>,
    ) -> Result<Option<Vec<SaleOutcome>>, Error> {
        tx.execute(&SAVEPOINT, Vec::new()).await?;
        let ids = match AssertUnwindSafe(self.write_run(tx, &run)).catch_unwind().await {
            Ok(Ok(ids)) => ids,
            Ok(Err(error)) if error.is_transient() => return Err(error),
            Ok(Err(_)) | Err(_) => None,
        };
        if ids.is_none() {
            tx.execute(&ROLLBACK, Vec::new()).await?;
        }
        tx.execute(&RELEASE, Vec::new()).await?;
        let book = |(booking, id)| self.booked(id, booking, Vec::new());
        Ok(ids.map(|ids| run.sales.into_iter().zip(ids).map(book).collect()))
    }

    /// The ids of the run's sales, if all could be written.
    async fn write_run(&self, tx: &mut Tx, run: &Run<'_>) -> Result<Option<Vec<i64>>, Error> {
        let Some(stock) = book::take_all(tx, self.origin, &run.asked).await? else {
            return Ok(None);
        };
        let inserted = book::insert(tx, self.origin, &run.sales).await?;
        let ids = run.sales.iter().map(|booking| inserted.get(&booking.number).copied());
        let Some(ids) = ids.collect::<Option<Vec<_>>>() else { return Ok(None) };
        failpoint::at("run").await?;
        let sales: Vec<_> = ids.iter().copied().zip(&run.sales).collect();
        book::write(tx, self.origin, &sales, stock).await?;
        for Booking { sent, .. } in &run.sales {
            self.open.close(tx, self.origin, sent.number(), &sent.kept_as).await?;
        }
        Ok(Some(ids))
    }
}
