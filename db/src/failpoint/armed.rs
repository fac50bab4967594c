//! The places of one tokio runtime, which stands for one process: several of them, each with its
//! own faults, live in one test.

use crate::Error;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Handle, Id};
use tokio::sync::watch;

/// What happens at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The step fails with an error that may pass by itself.
    Error,
    /// It goes on after so long.
    Stall(Duration),
    Panic,
    /// It never goes on: the test drops the runtime, as a kill would end the process.
    Death,
}

/// How often an armed place was reached.
pub type Armed = watch::Receiver<u32>;

struct Plan {
    fault: Fault,
    /// How often it happens; then nothing does.
    times: u32,
    hits: watch::Sender<u32>,
}

static ANY: AtomicBool = AtomicBool::new(false);
static PLANS: LazyLock<Mutex<HashMap<(Id, String), Plan>>> = LazyLock::new(Mutex::default);

/// Makes `fault` happen `times` at this place of the process that `runtime` stands for.
pub fn arm(runtime: &Handle, place: &str, fault: Fault, times: u32) -> Armed {
    let (hits, armed) = watch::channel(0);
    let plan = Plan { fault, times, hits };
    let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    plans.insert((runtime.id(), place.to_owned()), plan);
    ANY.store(true, Ordering::Release);
    armed
}

/// A place where something may happen.
///
/// # Panics
/// If the test wants it.
pub async fn at(place: &str) -> Result<(), Error> {
    match due(place) {
        None => Ok(()),
        Some(Fault::Error) => {
            let text = format!("a test failed this step: {place}");
            Err(Error::Unavailable(sqlx::Error::Protocol(text)))
        }
        Some(Fault::Stall(pause)) => {
            tokio::time::sleep(pause).await;
            Ok(())
        }
        Some(Fault::Panic) => panic!("a test wanted a panic: {place}"),
        Some(Fault::Death) => std::future::pending().await,
    }
}

/// The same place for each of several things; `item` says which.
pub async fn at_item(place: &str, item: &str) -> Result<(), Error> {
    if ANY.load(Ordering::Acquire) {
        at(place).await?;
        at(&format!("{place} {item}")).await?;
    }
    Ok(())
}

/// Whether what would leave here is lost.
pub fn is_lost(place: &str) -> bool {
    due(place).is_some()
}

fn due(place: &str) -> Option<Fault> {
    if !ANY.load(Ordering::Acquire) {
        return None;
    }
    let process = Handle::try_current().ok()?.id();
    let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
    let plan = plans.get_mut(&(process, place.to_owned()))?;
    plan.times = plan.times.checked_sub(1)?;
    plan.hits.send_modify(|hits| *hits += 1);
    Some(plan.fault)
}
