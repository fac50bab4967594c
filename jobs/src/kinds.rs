//! The list of kinds: one line each, and that is all the registration there is.

macro_rules! kinds {
    ($($module:ident :: $kind:ident),* $(,)?) => {
        $(
            pub mod $module;
            pub use $module::$kind;
        )*

        /// Adds every kind of the list.
        pub(crate) fn register(catalog: crate::Catalog) -> crate::Catalog {
            catalog$(.with::<$kind>())*
        }
    };
}

kinds! {
    apply_push_batch::ApplyPushBatch,
    apply_sales_batch::ApplySalesBatch,
    prune_jobs::PruneJobs,
    test_nas::TestNas,
    transfer_to_nas::TransferToNas,
    verify_stock::VerifyStock,
}
