//! The one test binary; each folder or file is a part of the specification.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may stop at once")]

mod api;
mod app;
mod conformance;
mod faultproxy;
mod guide;
mod model;
mod nas;
mod nas_transfer;
mod outbox;
mod push;
mod recipe;
mod roles;
mod sales;
mod schedules;
mod stores;
mod terminals;
mod tidy;
mod ventes;
mod worker;
