//! Which sale kills the process that applies it (D-17): once a process has died on a chunk, its
//! sales are tried one by one, each noted before it is tried, so that the next attempt knows.

use super::CHUNK;
use crate::{Context, Failure};
use serde::{Deserialize, Serialize};

/// So often a process may die while it tries a sale alone; once it has died on the whole chunk
/// before.
const MAX_DEATHS: u32 = 2;

/// What the last attempt noted: the job's checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// The sale that was tried, and how many processes had died on it before.
    sale: usize,
    deaths: u32,
    /// Sales from here on are applied in chunks again.
    until: usize,
}

/// How to go on at a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Apply so many at once.
    Apply(usize),
    /// It kills: keep it unapplied.
    SetAside,
}

/// The care that an attempt takes.
#[derive(Debug)]
pub(crate) struct Trial {
    note: Option<Note>,
    /// Whether the process of the last attempt died.
    died: bool,
}

impl Trial {
    /// `first` is the first sale that no attempt has committed.
    pub(crate) fn resume(cx: &Context, first: usize) -> Self {
        let died = cx.job.crashes > 0;
        let note = cx.resume::<Note>().filter(|note| note.until > first);
        // Death on a chunk: nothing is known yet but where it began.
        let fresh = Note { sale: usize::MAX, deaths: 0, until: first + CHUNK };
        Self { note: note.or_else(|| died.then_some(fresh)), died }
    }

    /// How to go on at the sale `first`; a sale that is tried alone is noted before.
    pub(crate) async fn step(&mut self, cx: &Context, first: usize) -> Result<Step, Failure> {
        let Some(note) = self.note.filter(|note| first < note.until) else {
            return Ok(Step::Apply(CHUNK));
        };
        let again = note.sale == first;
        let deaths = if again { note.deaths + u32::from(self.died) } else { 0 };
        self.died = false;
        if deaths >= MAX_DEATHS {
            return Ok(Step::SetAside);
        }
        let note = Note { sale: first, deaths, ..note };
        cx.survive(&note).await?;
        self.note = Some(note);
        Ok(Step::Apply(1))
    }
}
