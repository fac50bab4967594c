//! The example of CONTRIBUTING.md, built as if it stood in `jobs/src/kinds/`.

pub mod measure_record;
