//! The chaos harness: real worker processes on private stores, a client that writes down what was
//! acknowledged, a seeded nemesis, and an oracle that compares.
//!
//! One line per recipe and deployment, ending in `OK` or `VIOLATION`; any violation is exit code 1.
#![allow(clippy::print_stdout, reason = "the lines are what this program is for")]

mod args;
mod client;
mod clock;
mod effects;
mod kind;
mod oracle;
mod recipes;
mod report;
mod role;
mod servers;
mod site;

use crate::stores::Deployment;
use args::Args;
use recipes::Recipe;
use report::Report;
use servers::Servers;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The program `chaos`.
pub fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, settings] = &words[..]
        && word == "worker"
    {
        return role::worker(settings);
    }
    let args = match Args::parse(&words) {
        Ok(args) => args,
        Err(error) => {
            println!("error: {error}\n\n{}", args::HELP);
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let ok = if args.mutations {
        runtime.block_on(mutations(&args))
    } else {
        runtime.block_on(run(&args)).iter().all(Report::is_ok)
    };
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What one run of a recipe is given.
struct Run<'a> {
    servers: &'a Servers,
    seed: u64,
    full: bool,
    jobs: Option<usize>,
    kills: Option<usize>,
    mutate: Option<&'a str>,
}

impl Run<'_> {
    /// Short, so that a run sees many of them run out; long enough for a busy machine.
    fn lease(&self) -> Duration {
        Duration::from_secs(if self.full { 5 } else { 3 })
    }

    /// The number for this form of the run.
    fn jobs(&self, quick: usize, full: usize) -> usize {
        self.jobs.unwrap_or(if self.full { full } else { quick })
    }

    /// The same for strikes.
    fn kills(&self, quick: usize, full: usize) -> usize {
        self.kills.unwrap_or(if self.full { full } else { quick })
    }
}

/// Recipes one after the other, the deployments of one side by side.
async fn run(args: &Args) -> Vec<Report> {
    role::mutate(args.mutate.as_deref());
    let start = Instant::now();
    println!("seed={} ({})", args.seed, if args.full { "full" } else { "quick" });
    let started = args.deployments.iter().map(|deployment| Servers::start(*deployment));
    let servers = futures::future::join_all(started).await;
    let mut reports = Vec::new();
    for recipe in Recipe::ALL.iter().filter(|recipe| args.is_chosen(**recipe)) {
        let able = servers.iter().filter(|servers| recipe.runs_on(servers.deployment));
        let runs = able.map(|servers| recipe.run(Run::of(args, servers)));
        if recipe.wants_quiet() {
            for run in runs {
                reports.push(run.await.print());
            }
        } else {
            let done = futures::future::join_all(runs).await;
            reports.extend(done.into_iter().map(Report::print));
        }
    }
    let broken = reports.iter().filter(|report| !report.is_ok()).count();
    let wall = start.elapsed().as_secs_f64();
    println!("chaos: {} runs, {broken} violations, {wall:.0} s, seed={}", reports.len(), args.seed);
    reports
}

impl<'a> Run<'a> {
    fn of(args: &'a Args, servers: &'a Servers) -> Self {
        Self {
            servers,
            seed: args.seed,
            full: args.full,
            jobs: args.jobs,
            kills: args.kills,
            mutate: args.mutate.as_deref(),
        }
    }
}

/// Each protection switched off in turn, under the recipe that must notice, by the figure that
/// must show it.
async fn mutations(args: &Args) -> bool {
    const CASES: [(&str, &str, &str); 4] = [
        ("leases", "R-0", "reruns"),
        ("fencing", "R-11", "zombie"),
        ("sweep", "R-1", "lost"),
        ("unique", "R-0", "dup_effect"),
    ];
    let mut all = true;
    for (protection, recipe, figure) in CASES {
        let recipes = vec![recipe.to_owned()];
        let mutate = Some(protection.to_owned());
        let reports = run(&Args { recipes, mutate, ..args.clone() }).await;
        for report in reports {
            let noticed = !report.is_ok() && report.figure(figure).is_some_and(|value| value > 0);
            let word = if noticed { "NOTICED" } else { "NOT NOTICED" };
            let deployment = report.deployment.name();
            println!("MUTATION {protection} off: {recipe} on {deployment} by {figure}: {word}");
            all &= noticed;
        }
    }
    all
}

/// Every deployment, in the order of the lines.
const DEPLOYMENTS: [Deployment; 3] =
    [Deployment::Embedded, Deployment::Postgres, Deployment::Distributed];
