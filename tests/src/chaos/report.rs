//! One line about one run.

use super::oracle::Verdict;
use super::site::Site;
use super::{Run, oracle};
use crate::stores::Deployment;

pub(super) struct Report {
    recipe: &'static str,
    pub(super) deployment: Deployment,
    seed: u64,
    figures: Vec<(&'static str, u64)>,
    texts: Vec<(&'static str, String)>,
    broken: Vec<String>,
    /// Bounds of time break the full run; the quick one shares its machine with other checks.
    is_timed: bool,
    pub(super) orphan_ms: i64,
    not_run: Option<String>,
}

impl Report {
    /// Waits for quiescence, and judges what all recipes have in common.
    pub(super) async fn of(recipe: &'static str, run: &Run<'_>, site: &Site) -> Self {
        site.settle().await;
        let verdict = oracle::judge(site).await;
        let mut report = Self::empty(recipe, run);
        report.texts.push(("kills", site.killed.len().to_string()));
        report.take(&verdict);
        report.orphan_ms = verdict.orphan_ms;
        let wall = site.began.elapsed().as_secs_f64();
        report.texts.push(("wall", format!("{wall:.1}s")));
        if !site.killed.is_empty() {
            let seconds = verdict.orphan_ms as f64 / 1_000.0;
            report.texts.push(("orphan_p100", format!("{seconds:.1}s")));
        }
        report
    }

    fn empty(recipe: &'static str, run: &Run<'_>) -> Self {
        Self {
            recipe,
            deployment: run.servers.deployment,
            seed: run.seed,
            figures: Vec::new(),
            texts: Vec::new(),
            broken: Vec::new(),
            is_timed: run.full,
            orphan_ms: 0,
            not_run: None,
        }
    }

    /// A recipe that this machine or user cannot run.
    pub(super) fn not_run(recipe: &'static str, run: &Run<'_>, why: &str) -> Self {
        Self { not_run: Some(why.to_owned()), ..Self::empty(recipe, run) }
    }

    fn take(&mut self, verdict: &Verdict) {
        let zeros = [
            ("lost", verdict.lost),
            ("phantom", verdict.phantom),
            ("dup_effect", verdict.dup_effect),
            ("zombie", verdict.zombie),
            ("inversions", verdict.inversions),
            ("overlap", verdict.overlap),
            ("dead", verdict.dead),
            ("contradicted", verdict.contradicted),
            ("early", verdict.early),
        ];
        self.figures = vec![("accepted", verdict.accepted), ("unknown", verdict.unknown)];
        self.figures.extend(zeros);
        self.figures.extend([
            ("reruns", verdict.reruns),
            ("refused", verdict.refused),
            ("quarantined", verdict.quarantined),
        ]);
        for (name, value) in zeros {
            self.require(value == 0, format!("{name}={value}"));
        }
    }

    /// A condition of this recipe alone.
    pub(super) fn require(&mut self, is_so: bool, otherwise: impl Into<String>) {
        if !is_so {
            self.broken.push(otherwise.into());
        }
    }

    /// A bound of time.
    pub(super) fn require_in_time(&mut self, is_so: bool, otherwise: impl Into<String>) {
        match self.is_timed {
            true => self.require(is_so, otherwise),
            false if !is_so => self.note("late", format!("({})", otherwise.into())),
            false => {}
        }
    }

    pub(super) fn note(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.texts.push((name, format!("{value}")));
    }

    pub(super) fn figure(&self, name: &str) -> Option<u64> {
        self.figures.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub(super) fn is_ok(&self) -> bool {
        self.broken.is_empty()
    }

    pub(super) fn print(self) -> Self {
        let (recipe, deployment, seed) = (self.recipe, self.deployment.name(), self.seed);
        let mut line = format!("CHAOS {recipe} {deployment} seed={seed}");
        if let Some(why) = &self.not_run {
            println!("{line} NOT RUN ({why})");
            return self;
        }
        let figures = self.figures.iter().map(|(name, value)| format!(" {name}={value}"));
        line.extend(figures);
        line.extend(self.texts.iter().map(|(name, value)| format!(" {name}={value}")));
        match self.is_ok() {
            true => println!("{line} OK"),
            false => println!("{line} VIOLATION ({})", self.broken.join("; ")),
        }
        self
    }
}
