//! The outside systems that jobs talk to, one module each. A connector alone classifies its
//! errors: it is the one that knows what they mean.

pub mod nas;
