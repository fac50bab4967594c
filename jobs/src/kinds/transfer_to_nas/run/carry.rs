//! While documents are asked for one by one in a burst, a job that is done with its own goes on with
//! those of the others: it has the connection, and their jobs stand behind all whose documents
//! travelled along.

use super::{BATCH, Batch, Run};
use crate::Failure;
use crate::kinds::transfer_to_nas::books::Books;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// So many must wait: fewer are sent as soon by their own jobs.
const WORTH: usize = 50;
/// So long the job's own end is held up at the most: whoever asked for its document waits eight
/// seconds (D-6), and then asks again.
const LENGTH: Duration = Duration::from_secs(3);

impl Run<'_> {
    /// Sends what others wait for, as long as it is much and nothing is in the way. What goes wrong
    /// is for their own jobs to find out.
    pub(super) async fn carry_on(&mut self, books: &mut Books) -> Result<(), Failure> {
        let until = Instant::now() + LENGTH;
        while self.job.documents.is_some() && self.session.is_some() {
            let left = until.saturating_duration_since(Instant::now());
            let Some(batch) = self.batch_of_others(left).await? else { return Ok(()) };
            match self.send(&batch, books).await {
                Ok(Ok(())) => {}
                Err(Failure::LeaseLost) => return Err(Failure::LeaseLost),
                Ok(Err(_)) | Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Documents that others have asked for, as many as go through in the time that is left.
    async fn batch_of_others(&mut self, left: Duration) -> Result<Option<Batch>, Failure> {
        if left.is_zero() {
            return Ok(None);
        }
        let room = u32::try_from(BATCH).unwrap_or(u32::MAX);
        let wished = records::nas::requested(self.cx.db(), room).await?;
        if wished.len() < WORTH {
            return Ok(None);
        }
        let ids: Vec<i64> = wished.into_iter().map(|(id, _since)| id).collect();
        let mut documents = self.site.claim(&ids, &HashSet::new()).await?;
        let rate = self.rate.unwrap_or_default() as f64;
        let (mut bytes, most) = (0.0, rate * left.as_secs_f64());
        documents.retain(|document| {
            bytes += document.taille.unwrap_or_default() as f64;
            bytes <= most
        });
        let sent: HashSet<i64> = documents.iter().map(|document| document.id).collect();
        self.site.keep_only(&sent).await?;
        Ok((!documents.is_empty()).then(|| Batch { documents, own: HashSet::new() }))
    }
}
