//! The two classes of `docs/clients.md`, compiled as they stand there, and run as terminals.

mod build;
mod gateway;
mod shop;
mod till;

use crate::on_stores;

on_every_deployment! {
    on_stores:
    shop::both_clients_end_with_every_sale_once,
}
