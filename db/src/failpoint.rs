//! Named places at which a test makes a process fail: an error, a stall, a panic, or death. It
//! stands here because everything that touches the record knows this crate.
//!
//! Without the feature `failpoints`, which only the tests' crate asks for, nothing happens at any
//! of them. With it, still nothing does until a test of the same process arms one: there is no
//! setting, variable or request that could.

#[cfg(feature = "failpoints")]
mod armed;
#[cfg(feature = "failpoints")]
pub use armed::{Armed, Fault, arm, at, at_item, is_lost};

#[cfg(not(feature = "failpoints"))]
mod quiet {
    use crate::Error;

    /// Nothing happens here.
    #[inline]
    pub async fn at(_place: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Nothing happens here.
    #[inline]
    pub async fn at_item(_place: &str, _item: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Nothing is lost here.
    #[inline]
    pub const fn is_lost(_place: &str) -> bool {
        false
    }
}
#[cfg(not(feature = "failpoints"))]
pub use quiet::{at, at_item, is_lost};
