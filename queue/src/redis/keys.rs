//! Every Redis key and channel. A queue's keys share one hash tag, so that a cluster keeps them
//! on one node.

#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Sorted set of ready job ids of `queue`.
    pub(crate) fn ready(&self, queue: &str) -> String {
        format!("{}:{{{queue}}}:ready", self.prefix)
    }

    /// Channel of the doorbell.
    pub(crate) fn bell(&self) -> String {
        format!("{}:bell", self.prefix)
    }
}
