//! Where work waits.
//!
//! [`Engine`] is the seam: one trait, three ways to run it ([`open`]): an SQLite file, PostgreSQL,
//! PostgreSQL with Redis in front. The database is the truth; Redis is an index and a doorbell
//! that can be emptied at any moment.
#![warn(missing_docs)]

mod bell;
pub mod clock;
mod control;
mod engine;
mod error;
mod job;
pub mod mutations;
mod redis;
pub mod schedule;
mod sql;

pub use bell::sockets::folder as sockets_of;
pub use control::{
    Act, Acted, Action, Actor, Beat, Blocker, Control, Hold, LogLine, Pause, PauseScope, Why,
    WorkerRow,
};
pub use engine::{CANCELS, Engine, Listening, SCHEDULED, Settings, open};
pub use error::Error;
pub use job::{
    Attempt, Claim, Claimed, Enqueued, Filter, Found, JobRow, Listed, NewJob, Outcome, Page,
    Progress, QueueStats, Reaped, Retention, SUSPECT, Save, State, Ticket, Unique,
};
pub use sql::schedules;
