//! Protections that the chaos harness can switch off, to see itself fail: a test that cannot fail
//! proves nothing. Without the feature `mutations` there is no switch, and every answer is no.

/// What keeps work from being lost or doubled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Leases of running jobs are extended.
    Leases,
    /// Only the newest token may record anything.
    Fencing,
    /// Jobs past their lease are taken back.
    Sweep,
    /// An equal job makes a new one superfluous.
    Unique,
}

#[cfg(feature = "mutations")]
mod switch {
    use super::Protection;
    use std::sync::atomic::{AtomicU8, Ordering};

    static OFF: AtomicU8 = AtomicU8::new(0);

    /// Switches these off in this process, and everything else on.
    pub fn switch_off(protections: &[Protection]) {
        let bits = protections.iter().fold(0, |bits, protection| bits | bit(*protection));
        OFF.store(bits, Ordering::SeqCst);
    }

    pub(crate) fn is_off(protection: Protection) -> bool {
        OFF.load(Ordering::SeqCst) & bit(protection) != 0
    }

    fn bit(protection: Protection) -> u8 {
        1 << protection as u8
    }
}

#[cfg(feature = "mutations")]
pub(crate) use switch::is_off;
#[cfg(feature = "mutations")]
pub use switch::switch_off;

#[cfg(not(feature = "mutations"))]
pub(crate) const fn is_off(_: Protection) -> bool {
    false
}
