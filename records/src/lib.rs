//! The application's own tables, one module per source system: plain row types, rules that need
//! no I/O, and their SQL.

mod digest;
pub mod documents;
mod json;
pub mod keys;
pub mod nas;
pub mod push;
pub mod requests;
mod scope;
pub mod seed;
pub mod ventes;
