//! `cargo xtask chaos`: kills, freezes, empties and cuts off what a deployment stands on, and
//! compares what was accepted with what was done. See `tests::chaos`.

fn main() -> std::process::ExitCode {
    tests::chaos::main()
}
