//! House rules that no compiler checks, each read from the files themselves.
//!
//! A rule is a function from the tree to its breaches. Its test asks twice: the tree keeps the
//! rule, and a planted breach is found, so that no rule passes because it looks at nothing.

mod crates;
mod kinds;
mod places;
#[path = "../../xtask/src/requirements/table.rs"]
mod requirements;
mod texts;
mod tree;

use tree::Tree;

/// The page that says which test shows which requirement is the one that would be written now.
fn requirements(tree: &Tree) -> Vec<String> {
    let (page, mut breaches) = requirements::page(tree.iter());
    if tree.get(requirements::PAGE) != Some(&page) {
        breaches.push(format!("{} is out of date: cargo xtask requirements", requirements::PAGE));
    }
    breaches
}

macro_rules! rules {
    ($($rule:path as $name:ident: $($path:literal = $text:expr),+;)*) => { $(
        #[test]
        fn $name() {
            let tree = Tree::read();
            let breaches = $rule(&tree);
            assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
            $(
                let planted = $rule(&tree.with($path, $text));
                assert!(!planted.is_empty(), "`{}` was not found out", $path);
            )+
        }
    )* };
}

rules! {
    crates::arrows as crates_depend_only_downwards:
        "api/Cargo.toml" = "[dependencies]\nworker.workspace = true",
        "records/Cargo.toml" = "[dev-dependencies]\nqueue = { path = \"../queue\" }",
        "queue/Cargo.toml" = "[target.'cfg(unix)'.dependencies]\njobs.workspace = true";
    crates::inherit as crates_inherit_versions_and_lints:
        "db/Cargo.toml" = "[package]\nname = \"db\"\n[lints]\nworkspace = true\n[dependencies]\ntokio = \"1\"",
        "db/Cargo.toml" = "[package]\nname = \"db\"";
    crates::explained as every_dependency_is_explained:
        "Cargo.toml" = "[workspace.dependencies]\nsurprise = \"1\"",
        "ARCHITECTURE.md" = "";
    crates::top_level as every_folder_at_the_top_is_explained:
        "utils/src/lib.rs" = "//! x";
    crates::reachable as every_source_file_is_compiled:
        "db/src/forgotten.rs" = "//! x",
        "jobs/src/kinds/forgotten.rs" = "//! x",
        "tests/it/conformance/forgotten.rs" = "//! x";
    texts::sizes as files_are_short:
        "db/src/lib.rs" = &"//! x\n".repeat(401),
        "tests/it/main.rs" = &"//! x\n".repeat(501);
    texts::openings as every_file_says_what_it_owns:
        "db/src/lib.rs" = "use std::fmt;",
        "xtask/src/main.rs" = "";
    texts::leftovers as nothing_is_left_for_later:
        "db/src/lib.rs" = concat!("//! x\n// TO", "DO: y"),
        "migrations/sqlite/0001_jobs.sql" = concat!("-- FIX", "ME"),
        "README.md" = concat!("TO", "DO");
    texts::settings as every_setting_is_explained:
        "config.default.toml" = "# x\n[api]\n# y\na = 1\nb = 2",
        "config.default.toml" = "[api]\na = 1";
    texts::migrations as migrations_have_the_same_names_everywhere:
        "migrations/sqlite/0042_more.sql" = "",
        "migrations/postgres/more.sql" = "";
    kinds::listed as kinds_are_listed_and_named_alike:
        "jobs/src/kinds/send_email.rs" = "//! x\nconst KIND: &'static str = \"send_email\";",
        "jobs/src/kinds/prune_jobs.rs" = "//! x\nconst KIND: &'static str = \"other\";",
        "jobs/src/kinds.rs" = "kinds! {\n    prune_jobs::PruneJobs,\n    send_email::SendEmail,\n}",
        "jobs/src/kinds.rs" = "kinds! {\n    prune_jobs::Prune,\n}";
    places::sql as sql_is_only_where_rows_are_kept:
        "api/src/jobs.rs" = "let q = \"SELECT 1\";",
        "worker/src/lib.rs" = "\"UPDATE jobs SET state = 'done'\"",
        "queue/src/engine.rs" = "\"INSERT INTO jobs\"",
        "app/src/main.rs" = "\"DELETE FROM jobs\"";
    places::sqlx as sqlx_is_only_behind_the_connection:
        "queue/src/engine.rs" = "fn open(pool: sqlx::PgPool) {}";
    places::apalis as apalis_is_only_in_its_adapter:
        "worker/src/attempt.rs" = "use apalis::prelude::*;",
        "queue/src/lib.rs" = "fn f(x: apalis_core::Task) {}",
        "scheduler/Cargo.toml" = "[dependencies]\napalis.workspace = true";
    places::redis as redis_is_only_behind_the_index_and_the_limiter:
        "worker/src/lib.rs" = "redis::cmd(\"GET\")",
        "app/src/main.rs" = "use redis::AsyncCommands;",
        "jobs/src/context.rs" = "use redis::Client;";
    places::environment as the_environment_is_read_only_at_the_top:
        "worker/src/lib.rs" = "std::env::var(\"HOME\")",
        "api/src/lib.rs" = "env::args()";
    places::clock as the_time_is_read_only_by_the_clock:
        "worker/src/decide.rs" = "chrono::Utc::now()",
        "records/src/lib.rs" = "std::time::SystemTime::now()";
    requirements as every_requirement_has_its_tests:
        "docs/requirements.md" = "",
        "docs/requirements.toml" = "R-000-1 = \"x\"",
        "tests/it/push/mod.rs" = "",
        "db/src/lib.rs" = concat!("/// R-", "000-99\n#[test]\nfn f() {}");
}
