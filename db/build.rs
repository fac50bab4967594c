//! Rebuilds the crate when a migration file appears: the migrations are compiled in.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
