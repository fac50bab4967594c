//! What is done to a deployment: one recipe, one promise (docs/reliability.md).

mod calm;
mod clocks;
mod drain;
mod outage;
mod partition;
mod pause;
mod poison;
mod soak;
mod storms;
mod strikes;
mod ticks;

use super::Run;
use super::report::Report;
use crate::stores::Deployment;
use futures::future::{FutureExt as _, LocalBoxFuture};
use std::time::Duration;

/// A job of a killed worker starts again within the lease and this (G-20).
const ORPHAN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recipe {
    Calm,
    KillWorkers,
    KillRedis,
    EmptyRedis,
    KillPostgres,
    Partition,
    Clocks,
    Pause,
    Drain,
    Storms,
    Poison,
    Ticks,
    Outage,
    Soak,
}

impl Recipe {
    pub(super) const ALL: &[Self] = &[
        Self::Calm,
        Self::KillWorkers,
        Self::KillRedis,
        Self::EmptyRedis,
        Self::KillPostgres,
        Self::Partition,
        Self::Clocks,
        Self::Pause,
        Self::Drain,
        Self::Storms,
        Self::Poison,
        Self::Ticks,
        Self::Outage,
        Self::Soak,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Calm => "R-0",
            Self::KillWorkers => "R-1",
            Self::KillRedis => "R-2",
            Self::EmptyRedis => "R-4",
            Self::KillPostgres => "R-5",
            Self::Partition => "R-6",
            Self::Clocks => "R-8",
            Self::Pause => "R-11",
            Self::Drain => "R-12",
            Self::Storms => "R-13",
            Self::Poison => "poison",
            Self::Ticks => "ticks",
            Self::Outage => "outage",
            Self::Soak => "soak",
        }
    }

    /// On SQLite the store's clock is the machine's, so R-8 has nothing to say about it.
    pub(super) fn runs_on(self, deployment: Deployment) -> bool {
        match self {
            Self::KillRedis | Self::EmptyRedis => deployment == Deployment::Distributed,
            Self::KillPostgres | Self::Partition | Self::Clocks | Self::Outage => {
                deployment != Deployment::Embedded
            }
            _ => true,
        }
    }

    /// Whether it runs only when it is named: it takes minutes to say anything.
    pub(super) fn is_long(self) -> bool {
        self == Self::Soak
    }

    /// Whether it measures time, and so runs alone.
    pub(super) fn wants_quiet(self) -> bool {
        self == Self::Storms
    }

    pub(super) fn run<'a>(self, run: Run<'a>) -> LocalBoxFuture<'a, Report> {
        let name = self.name();
        match self {
            Self::Calm => calm::calm(name, run).boxed_local(),
            Self::KillWorkers => strikes::kill_workers(name, run).boxed_local(),
            Self::KillRedis => strikes::kill_redis(name, run).boxed_local(),
            Self::EmptyRedis => strikes::empty_redis(name, run).boxed_local(),
            Self::KillPostgres => strikes::kill_postgres(name, run).boxed_local(),
            Self::Partition => partition::partition(name, run).boxed_local(),
            Self::Clocks => clocks::clocks(name, run).boxed_local(),
            Self::Pause => pause::pause(name, run).boxed_local(),
            Self::Drain => drain::drain(name, run).boxed_local(),
            Self::Storms => storms::storms(name, run).boxed_local(),
            Self::Poison => poison::poison(name, run).boxed_local(),
            Self::Ticks => ticks::ticks(name, run).boxed_local(),
            Self::Outage => outage::outage(name, run).boxed_local(),
            Self::Soak => soak::soak(name, run).boxed_local(),
        }
    }
}
