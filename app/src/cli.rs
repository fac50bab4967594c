//! The command line: subcommands, flags and the help text.
//!
//! Flags that are settings stay text here: they are checked with all other settings.

pub(crate) mod conflicts;
pub(crate) mod dead;
pub(crate) mod filter;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod queues;
pub(crate) mod sales;
pub(crate) mod stock;
pub(crate) mod terminals;

use crate::bench::Bench;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Relais takes jobs from clients, keeps them safe, and carries them out where the world is slow
/// and unreliable.
#[derive(Debug, Parser)]
#[command(name = "relais", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) shared: Shared,
}

const AFTER_HELP: &str = "\
Examples:
  relais up --demo                        everything in one process on one SQLite file
  relais api --bind 0.0.0.0:8000 --database-url postgres://relais@db/relais
  relais worker --queues records --workers 16
  relais seed shops.json                  load shops, terminals, articles, sites and API keys
  relais keys create --site 1             a key for the local server of site 1
  relais bench --jobs 100000              how fast this deployment is
  relais queues                           how much waits where, and how fast it moves
  relais jobs why 0198c1d2-…              what a job waits for
  relais dead requeue --kind K --reason R what failed for good runs again
  relais sales refused                    what was refused, for a person to settle
  relais nas trust                        compare and trust the file server's host key
  relais schedules preview verify_stock   when it ticks next

Settings come from, the last one wins: compiled-in defaults, a file (--config, RELAIS_CONFIG or
./relais.toml), ./.env, the environment (DATABASE_URL, REDIS_URL, RELAIS_<SECTION>_<KEY>), flags.
config.default.toml explains every one. Passwords belong into the environment: other users of a
machine can read flags.

SIGTERM and SIGINT stop a role gently: it takes no new work, running jobs may end (60 s by
default), the rest is handed back. A second signal ends the process at once.

Exit codes: 0 done or stopped as asked, 1 failed, 2 wrong usage or settings, 3 the job ended badly
or nothing matched, 4 the state of the job does not allow it.";

#[derive(Debug, Args)]
#[command(next_help_heading = "Settings for every command")]
pub(crate) struct Shared {
    /// Settings file [default: relais.toml if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The record: sqlite://file.db or postgres://user@host/database
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,

    /// Redis in front of PostgreSQL: redis://host:6379/0; "" for none
    #[arg(long, global = true, value_name = "URL")]
    redis_url: Option<String>,

    /// How log lines look: auto, text or json
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,

    /// What is logged: a level, or directives such as info,worker=debug
    #[arg(long, global = true, value_name = "FILTER")]
    log_filter: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run API, worker and scheduler in one process
    Up {
        /// Load the demo shop if it is absent, and print what to try
        #[arg(long)]
        demo: bool,
        #[command(flatten)]
        api: ApiFlags,
        #[command(flatten)]
        worker: WorkerFlags,
    },
    /// Serve HTTP: accept jobs and show them
    Api {
        #[command(flatten)]
        api: ApiFlags,
    },
    /// Carry out jobs; start as many as you like
    Worker {
        #[command(flatten)]
        worker: WorkerFlags,
    },
    /// Put in jobs at set times; several do no harm
    Scheduler,
    /// Bring the database's schema up to date and exit
    Migrate,
    /// Load shops, terminals, articles, sites and API keys from a JSON file, all or nothing
    Seed {
        /// The file, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Trust the file server, and try the connection to it
    #[command(subcommand)]
    Nas(crate::nas::Command),
    #[command(flatten)]
    Operate(Operate),
    /// Measure this deployment with jobs that do nothing
    #[command(long_about = crate::bench::ABOUT)]
    Bench(Bench),
    /// Look at schedules and steer them
    #[command(subcommand)]
    Schedules(crate::schedules::Schedules),
}

/// What operators do by hand, straight on the database.
#[derive(Debug, Subcommand)]
pub(crate) enum Operate {
    /// Look at jobs, put them in, steer them
    Jobs(jobs::JobsArgs),
    /// Look at queues; stop and resume their claims
    Queues(queues::QueuesArgs),
    /// List workers: which live, what they serve and hold
    Workers(queues::WorkersArgs),
    /// Look at jobs that failed for good, and put them back
    Dead(dead::DeadArgs),
    /// Make, list and revoke API keys
    Keys(keys::KeysArgs),
    /// Look at what local servers and this one have both changed, and decide
    Conflicts(conflicts::ConflictsArgs),
    /// Look at refused sales and settle them; what became of a number
    Sales(sales::SalesArgs),
    /// Look at stock, move it, settle alerts
    Stock(stock::StockArgs),
    /// List terminals and give them their device keys
    Terminals(terminals::TerminalsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ApiFlags {
    /// Where HTTP is served [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerFlags {
    /// Jobs at once in all, divided among the queues
    #[arg(long, value_name = "N")]
    workers: Option<String>,

    /// Which queues to serve: records,upkeep or records=8,upkeep=1
    #[arg(long, value_name = "LIST")]
    queues: Option<String>,
}

impl Cli {
    pub(crate) fn config(&self) -> Option<&std::path::Path> {
        self.shared.config.as_deref()
    }

    /// The flags for every command as they were given, for another process of this program.
    pub(crate) fn shared_flags(&self) -> Vec<String> {
        let config = self.config().map(|file| format!("--config={}", file.display()));
        let given = self.flags();
        config
            .into_iter()
            .chain(given.iter().map(|(flag, _, value)| format!("{flag}={value}")))
            .collect()
    }

    /// The flags that were given: name, setting, value.
    pub(crate) fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let (api, worker) = match &self.command {
            Command::Up { api, worker, .. } => (Some(api), Some(worker)),
            Command::Api { api } => (Some(api), None),
            Command::Worker { worker } => (None, Some(worker)),
            _ => (None, None),
        };
        let shared = &self.shared;
        [
            ("--bind", "api.bind", api.and_then(|api| api.bind.clone())),
            ("--workers", "worker.workers", worker.and_then(|worker| worker.workers.clone())),
            ("--queues", "worker.queues", worker.and_then(|worker| worker.queues.clone())),
            ("--database-url", "database.url", shared.database_url.clone()),
            ("--redis-url", "redis.url", shared.redis_url.clone()),
            ("--log-format", "log.format", shared.log_format.clone()),
            ("--log-filter", "log.filter", shared.log_filter.clone()),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some((flag, key, value?)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_name_their_settings() {
        let line = "relais worker --queues records --workers 3 --redis-url= --database-url x";
        let cli = Cli::try_parse_from(line.split(' ')).expect("a command line");
        let flags = cli.flags();
        let flags: Vec<_> = flags.iter().map(|(_, key, value)| (*key, value.as_str())).collect();
        assert_eq!(
            flags,
            [
                ("worker.workers", "3"),
                ("worker.queues", "records"),
                ("database.url", "x"),
                ("redis.url", ""),
            ]
        );
    }
}
