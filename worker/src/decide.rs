//! How an attempt ended → what is recorded. Pure.

use jobs::{Failure, RetryPolicy};
use queue::Outcome;
use rand::Rng;
use std::time::Duration;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The handler returned.
    Returned(Result<Option<String>, Failure>),
    /// The handler panicked.
    Panicked(String),
    /// The handler took longer than its kind allows.
    TimedOut(Duration),
    /// This process does not know the kind, or cannot read the payload: another one may.
    Unreadable(String),
    /// The worker shuts down.
    Stopped,
    /// Somebody asked for it: who and why.
    Cancelled(String),
    /// The handler recorded its end itself, with its effects.
    Recorded,
    /// Somebody else holds the job.
    Lost,
}

/// What the decision depends on besides the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// This attempt, from 1.
    pub(crate) attempt: u32,
    /// Attempts allowed.
    pub(crate) max_attempts: u32,
    /// The kind's back-off.
    pub(crate) retry: RetryPolicy,
    /// Whether the worker shuts down.
    pub(crate) draining: bool,
}

/// A job handed back for no reason waits so long, instead of running in circles.
const NO_CIRCLES: Duration = Duration::from_secs(1);

/// What to record; nothing if that is done, or somebody else holds the job.
pub(crate) fn decide(end: End, budget: Budget, random: &mut impl Rng) -> Option<Outcome> {
    let (after, error) = match end {
        End::Returned(Ok(result)) => return Some(Outcome::Done { result, progress: None }),
        End::Returned(Err(Failure::LeaseLost)) | End::Recorded | End::Lost => return None,
        End::Returned(Err(Failure::Release)) if !budget.draining => {
            return Some(Outcome::Snooze { after: NO_CIRCLES });
        }
        End::Returned(Err(Failure::Snooze(after))) => return Some(Outcome::Snooze { after }),
        End::Returned(Err(Failure::Permanent(source))) => {
            return Some(Outcome::Dead { error: storable(source.to_string()) });
        }
        End::Stopped | End::Returned(Err(Failure::Release)) => return Some(Outcome::Release),
        End::Cancelled(error) => return Some(Outcome::Cancelled { error }),
        End::Returned(Err(Failure::RetryAfter(after, source))) => (Some(after), source.to_string()),
        End::Returned(Err(Failure::Transient(source))) => (None, crate::claims::chain(&*source)),
        End::Panicked(message) => (None, format!("panicked: {message}")),
        End::TimedOut(limit) => (None, format!("took longer than {} s", limit.as_secs_f64())),
        End::Unreadable(why) => (None, why),
    };
    let error = storable(error);
    if budget.attempt >= budget.max_attempts {
        return Some(Outcome::Dead { error });
    }
    let after = after.unwrap_or_else(|| budget.retry.delay(budget.attempt, random));
    Some(Outcome::Retry { after, error })
}

/// PostgreSQL keeps no NUL in a text, and an end that cannot be recorded comes back for ever.
fn storable(error: String) -> String {
    if error.contains('\0') { error.replace('\0', " ") } else { error }
}

#[cfg(test)]
mod tests {
    use super::{Budget, End, decide};
    use jobs::{Failure, RetryPolicy};
    use queue::Outcome;
    use std::time::Duration;

    fn recorded(end: End, attempt: u32) -> Option<Outcome> {
        let retry = RetryPolicy::STANDARD;
        let budget = Budget { attempt, max_attempts: 3, retry, draining: attempt == 2 };
        decide(end, budget, &mut rand::rng())
    }

    fn failed(failure: Failure) -> End {
        End::Returned(Err(failure))
    }

    #[test]
    fn every_end_has_its_outcome() {
        let second = Duration::from_secs(1);
        let dead = |error: &str| Some(Outcome::Dead { error: error.to_owned() });
        let cases = [
            (End::Returned(Ok(None)), 3, Some(Outcome::Done { result: None, progress: None })),
            (failed(Failure::LeaseLost), 1, None),
            (failed(Failure::Snooze(second)), 3, Some(Outcome::Snooze { after: second })),
            (failed(Failure::permanent("no")), 1, dead("no")),
            (failed(Failure::transient("later")), 3, dead("later")),
            (End::Panicked("oh".to_owned()), 3, dead("panicked: oh")),
            (End::TimedOut(second), 3, dead("took longer than 1 s")),
            (End::Unreadable("what".to_owned()), 3, dead("what")),
            (End::Stopped, 3, Some(Outcome::Release)),
            (End::Lost, 1, None),
            (End::Recorded, 1, None),
            (failed(Failure::Release), 2, Some(Outcome::Release)),
            (failed(Failure::Release), 3, Some(Outcome::Snooze { after: second })),
            (failed(Failure::permanent("a\0b")), 1, dead("a b")),
            (
                End::Cancelled("by x".to_owned()),
                3,
                Some(Outcome::Cancelled { error: "by x".to_owned() }),
            ),
            (
                failed(Failure::RetryAfter(second, "busy".into())),
                2,
                Some(Outcome::Retry { after: second, error: "busy".to_owned() }),
            ),
        ];
        for (end, attempt, expected) in cases {
            let name = format!("{end:?}");
            assert_eq!(recorded(end, attempt), expected, "{name}");
        }
    }

    #[test]
    fn a_failure_that_may_pass_is_retried_within_its_back_off() {
        for end in [failed(Failure::transient("x")), End::Panicked("x".to_owned())] {
            match recorded(end, 2) {
                Some(Outcome::Retry { after, .. }) => {
                    assert!(after <= RetryPolicy::STANDARD.ceiling(2));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
