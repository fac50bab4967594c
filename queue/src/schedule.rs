//! Schedules as plain data: what is put in, when, and what happens when time is not plain.

mod expression;
mod timetable;

pub use timetable::{Note, Tick, Timetable};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Schedules that a database holds at the most.
pub const MAX_SCHEDULES: u32 = 1_000;
/// Bytes of a schedule's payload, at the most.
pub const MAX_PAYLOAD_BYTES: usize = 262_144;
/// Missed ticks that are made up for at the most, whatever a schedule asks.
pub const MAX_MISSED: u32 = 1_000;
/// Missed ticks that are made up for unless a schedule says otherwise.
pub const DEFAULT_MISSED: u32 = 100;

/// A closed set of stored words.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$what])* $variant,)* }

        impl $name {
            /// The words, for a sentence that says what is allowed.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            /// The stored word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What a stored word names.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// What becomes of a time of day that does not exist on the day the clocks go forward.
    Gap {
        /// It runs once, right after the gap.
        Run = "run",
        /// It does not run that day.
        Skip = "skip",
    }
}

words! {
    /// What becomes of a time of day that comes twice on the day the clocks go back.
    Fold {
        /// It runs at the first of the two.
        First = "first",
        /// It runs at the second of the two.
        Second = "second",
        /// It runs at both.
        Both = "both",
    }
}

words! {
    /// What becomes of ticks that are more than a minute late: nobody was there to see them.
    Missed {
        /// Nothing.
        Skip = "skip",
        /// One job for all of them.
        Once = "once",
        /// One job for each, the latest ones up to a limit.
        All = "all",
    }
}

words! {
    /// Whether a tick whose predecessor's job has no end yet is put in.
    Overlap {
        /// It is not.
        Skip = "skip",
        /// It is.
        Allow = "allow",
    }
}

words! {
    /// Who made a schedule.
    Source {
        /// The configuration; only a change of the file changes it.
        Config = "config",
        /// The API.
        Api = "api",
    }
}

words! {
    /// What became of a tick.
    Outcome {
        /// Its job was put in.
        Enqueued = "enqueued",
        /// Its job was put in and stands for earlier, missed ticks as well.
        Coalesced = "coalesced",
        /// The job of the tick before had no end yet.
        SkippedOverlap = "skipped_overlap",
        /// It came too late for its schedule.
        SkippedMissed = "skipped_missed",
        /// Its schedule was paused.
        SkippedPaused = "skipped_paused",
    }
}

/// What somebody decides about a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// `[a-z0-9_.-]{1,64}`.
    pub name: String,
    /// Five fields as in crontab, or six with seconds first.
    pub cron: String,
    /// IANA name of the zone whose clock the expression is about.
    pub timezone: String,
    /// What is put in.
    pub kind: String,
    /// JSON text.
    pub payload: String,
    /// A time of day that does not exist.
    pub on_gap: Gap,
    /// A time of day that comes twice.
    pub on_fold: Fold,
    /// Ticks that nobody was there for.
    pub missed: Missed,
    /// How many of them at the most, if `all`.
    pub missed_limit: u32,
    /// Ticks that come while the job before still has no end.
    pub overlap: Overlap,
}

/// Why a definition cannot be a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a name.
    #[error(
        "`name`: allowed are 1 to 64 lower-case letters, digits, `_`, `.` and `-`, for example `nightly_report`; `preview` is taken"
    )]
    Name,
    /// Not an expression, and what is wrong.
    #[error("`cron`: {0}")]
    Cron(String),
    /// No such zone.
    #[error(
        "`timezone`: `{0}` is no time zone: allowed are IANA names, for example `Africa/Kinshasa`"
    )]
    Zone(String),
    /// Too long.
    #[error("`payload`: {0} bytes, {MAX_PAYLOAD_BYTES} are allowed")]
    Payload(usize),
    /// Out of range.
    #[error("`missed_limit`: {0} is not allowed; allowed are 1 to {MAX_MISSED}")]
    Limit(u32),
}

impl Definition {
    /// A definition with defaults for all that is a matter of policy.
    pub fn new(name: &str, cron: &str, timezone: &str, kind: &str, payload: &str) -> Self {
        Self {
            name: name.to_owned(),
            cron: cron.to_owned(),
            timezone: timezone.to_owned(),
            kind: kind.to_owned(),
            payload: payload.to_owned(),
            on_gap: Gap::Run,
            on_fold: Fold::First,
            missed: Missed::Once,
            missed_limit: DEFAULT_MISSED,
            overlap: Overlap::Skip,
        }
    }

    /// When it ticks, if it can be a schedule. That its kind exists and reads the payload is for
    /// those to check who know kinds.
    pub fn check(&self) -> Result<Timetable, Refusal> {
        if !is_name(&self.name) {
            return Err(Refusal::Name);
        }
        if self.payload.len() > MAX_PAYLOAD_BYTES {
            return Err(Refusal::Payload(self.payload.len()));
        }
        if !(1..=MAX_MISSED).contains(&self.missed_limit) {
            return Err(Refusal::Limit(self.missed_limit));
        }
        self.timetable()
    }

    /// When it ticks.
    pub fn timetable(&self) -> Result<Timetable, Refusal> {
        Timetable::new(&self.cron, &self.timezone, self.on_gap, self.on_fold)
    }
}

/// Whether a schedule may be called so. `preview` is a place of its own in the API.
pub fn is_name(name: &str) -> bool {
    let is_allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(is_allowed) && name != "preview"
}

/// A schedule as the record has it.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// What was decided about it.
    pub definition: Definition,
    /// Whether it was told to rest.
    pub paused: bool,
    /// When the rest ends by itself.
    pub paused_until: Option<DateTime<Utc>>,
    /// Why it rests.
    pub paused_reason: Option<String>,
    /// Who made it.
    pub source: Source,
    /// Another number after every write.
    pub stamp: i64,
    /// Ticks up to this instant do not count.
    pub since: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, paused or resumed.
    pub updated_at: DateTime<Utc>,
    /// Its last tick in the ledger.
    pub last_tick: Option<DateTime<Utc>>,
}

impl Schedule {
    /// Whether a tick at `instant` falls into its rest.
    pub fn rests_at(&self, instant: DateTime<Utc>) -> bool {
        self.paused && self.paused_until.is_none_or(|until| instant < until)
    }

    /// Its first tick after `moment` that does not fall into its rest.
    pub fn next_tick(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let from = match (self.paused, self.paused_until) {
            (false, _) => moment,
            (true, None) => return None,
            // The tick at that very instant counts.
            (true, Some(until)) => moment.max(until - chrono::TimeDelta::nanoseconds(1)),
        };
        let timetable = self.definition.timetable().ok()?;
        timetable.next(from).map(|tick| tick.at)
    }
}

/// A line of the ledger.
#[derive(Debug, Clone)]
pub struct TickRow {
    /// Whose tick.
    pub schedule: String,
    /// When it was due.
    pub nominal: DateTime<Utc>,
    /// What became of it.
    pub outcome: Outcome,
    /// The job that was put in.
    pub job_id: Option<Uuid>,
    /// How many earlier, missed ticks it stands for, counted up to a limit.
    pub missed: u32,
    /// How long after its time it was dealt with.
    pub late_ms: i64,
    /// When it was dealt with.
    pub at: DateTime<Utc>,
}
