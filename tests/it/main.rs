//! The one test binary; each folder or file is a part of the specification.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may stop at once")]

/// Makes each case a test on each of the three deployments; `$play` opens what cases are given.
macro_rules! on_every_deployment {
    ($play:ident: $($module:ident :: $case:ident),* $(,)?) => {
        on_every_deployment! { @on embedded Embedded $play $($module::$case)* }
        on_every_deployment! { @on postgres Postgres $play $($module::$case)* }
        on_every_deployment! { @on distributed Distributed $play $($module::$case)* }
    };
    (@on $name:ident $deployment:ident $play:ident $($module:ident :: $case:ident)*) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let deployment = tests::stores::Deployment::$deployment;
                    if deployment.is_chosen() {
                        super::$play(deployment, super::$module::$case).await;
                    }
                }
            )*
        }
    };
}

mod api;
mod app;
mod clients;
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

use tests::stores::{Deployment, Stores};

/// Cases that open what they need themselves.
async fn by_deployment(deployment: Deployment, case: impl AsyncFnOnce(Deployment)) {
    case(deployment).await;
}

/// Cases on fresh stores.
async fn on_stores(deployment: Deployment, case: impl AsyncFnOnce(Stores)) {
    case(deployment.fresh().await).await;
}
