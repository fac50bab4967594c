//! The application's own tables, one module per source system: plain row types, rules that need
//! no I/O, and their SQL.

pub mod ventes;
