//! The composition root: settings → logs → stores → roles.

mod bench;
mod cli;
mod commands;
mod crew;
mod demo;
mod escape;
mod listing;
mod nas;
mod schedules;
mod settings;
mod shutdown;
mod store;
mod telemetry;
mod terminal;

use anyhow::Context as _;
use clap::Parser;
use cli::{Cli, Command};
use crew::Crew;
use jobs::{Catalog, Services};
use metrics_exporter_prometheus::PrometheusHandle;
use queue::Engine;
use records::seed;
use settings::Settings;
use shutdown::Signals;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use store::Patience;
use tokio::net::TcpListener;

/// Wrong usage or settings, as clap has it; any other failure is 1.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let catalog = Catalog::standard();
    let sources = settings::gather(cli.config(), cli.flags());
    let settings = match Settings::load(&sources, &catalog) {
        Ok(settings) => settings,
        Err(problems) => {
            terminal::complain(&problems.to_string());
            return ExitCode::from(USAGE);
        }
    };
    let flags = cli.shared_flags();
    match run(cli.command, settings, catalog, flags).await {
        Ok(code) => code,
        Err(error) => {
            terminal::complain(&escape::escaped_lines(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

async fn run(
    command: Command,
    settings: Settings,
    catalog: Catalog,
    flags: Vec<String>,
) -> anyhow::Result<ExitCode> {
    telemetry::start_logs(&settings.log)?;
    let roles = match command {
        Command::Operate(command) => {
            return Ok(commands::run(&command, &settings, &catalog).await?.into());
        }
        Command::Schedules(command) => {
            schedules::run(command, &settings, &catalog).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Nas(command) => return Ok(nas::run(&command, &settings).await?.into()),
        Command::Migrate => {
            let shutdown = shutdown::on_signals()?.stop;
            let db = store::open_record(&settings, Patience::Startup(&shutdown)).await?;
            db.close().await;
            terminal::print(&format!("{} is up to date", settings.database.url))?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Seed { file } => {
            let text = read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            let db = store::open_record(&settings, Patience::None).await?;
            let uploads = &settings.nas.uploads_dir;
            let loaded = seed::load_with(&db, &text, Some(uploads)).await?;
            terminal::print(&format!("loaded: {loaded}"))?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Bench(bench) => return bench::run(&bench, &settings, &flags).await,
        Command::Up { demo, .. } => Roles { api: true, worker: true, scheduler: true, demo },
        Command::Api { .. } => Roles { api: true, ..Roles::default() },
        Command::Worker { .. } => Roles { worker: true, ..Roles::default() },
        Command::Scheduler => Roles { scheduler: true, ..Roles::default() },
    };
    // The reason why a role ends belongs into its log, in the log's format.
    Ok(match serve(settings, catalog, roles).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    })
}

/// A file's text, or standard input for `-`.
fn read(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    }
}

/// Which roles this process plays.
#[derive(Debug, Default, Clone, Copy)]
struct Roles {
    api: bool,
    worker: bool,
    scheduler: bool,
    demo: bool,
}

async fn serve(settings: Settings, catalog: Catalog, roles: Roles) -> anyhow::Result<()> {
    let signals = shutdown::on_signals()?;
    let shutdown = signals.stop.clone();
    let metrics = telemetry::start_metrics()?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        db.url = %settings.database.url,
        redis = settings.redis.url.is_some(),
        nas.configured = settings.nas.is_configured(),
        "starting",
    );
    let db = match store::open_record(&settings, Patience::Startup(&shutdown)).await {
        Err(store::Error::Stopped(_)) => return Ok(()),
        db => db?,
    };
    if roles.demo {
        seed::load_demo(&db).await.context("the demo data cannot be loaded")?;
    }
    let engine = store::open_queue(&settings, db)?;
    let catalog = Arc::new(catalog);
    let mut crew = Crew::new(shutdown.clone());
    if roles.worker {
        start_worker(&mut crew, &engine, &catalog, &settings, signals);
    }
    if roles.api {
        let bind = settings.api.bind;
        let listener = TcpListener::bind(bind).await.with_context(|| {
            format!("`api.bind`: {bind} cannot be listened on; choose another with --bind")
        })?;
        let address = listener.local_addr()?;
        let state = api_state(&settings, &engine, &catalog, metrics);
        crew.start("api", api::serve(listener, state, shutdown.clone()));
        if roles.demo {
            terminal::print(&demo::what_to_try(address, &settings.database.url))?;
        }
    }
    if roles.scheduler {
        let schedules = settings.schedules;
        crew.start(
            "scheduler",
            scheduler::run(Arc::clone(&engine), Arc::clone(&catalog), schedules, shutdown.clone()),
        );
    }
    let result = crew.wait().await;
    engine.db().close().await;
    Ok(result?)
}

fn api_state(
    settings: &Settings,
    engine: &Arc<dyn Engine>,
    catalog: &Arc<Catalog>,
    metrics: PrometheusHandle,
) -> api::State {
    let defaults = api::Settings::default();
    let api = api::Settings {
        wait: settings.api.wait,
        // What a client may ask for is never less than what it gets unasked.
        wait_max: defaults.wait_max.max(settings.api.wait).max(settings.nas.run_wait),
        requests_per_minute: settings.limits.requests_per_minute,
        unfinished_per_principal: settings.limits.unfinished_per_principal,
        max_body_bytes: settings.limits.body_bytes,
        max_payload_bytes: settings.limits.payload_bytes,
        max_queue_age: settings.limits.queue_age,
        contract_queue_age: settings.limits.contract_queue_age,
        contract_queue_depth: settings.limits.contract_queue_depth,
        max_connections: settings.api.max_connections,
        shutdown_grace: settings.api.shutdown,
        redis_prefix: format!("{}:", settings.redis.prefix),
        device_keys: settings.terminals.device_keys,
        invoice_zone: settings.terminals.invoice_zone,
        low_stock: settings.terminals.low_stock,
        push: settings.push.clone(),
        nas: api::Nas {
            host: settings.nas.host.clone(),
            has_user: settings.nas.user.is_some(),
            path: settings.nas.path.clone(),
            public: settings.nas.public,
            uploads: settings.nas.uploads_dir.clone(),
            document_bytes: settings.nas.document_bytes,
            owner_bytes: settings.nas.owner_bytes,
            run_wait: settings.nas.run_wait,
        },
        ..defaults
    };
    let redis = store::limiter(settings);
    api::State::new(Arc::clone(engine), api, metrics, redis, Arc::clone(catalog))
}

fn start_worker(
    crew: &mut Crew,
    engine: &Arc<dyn Engine>,
    catalog: &Arc<Catalog>,
    settings: &Settings,
    signals: Signals,
) {
    let services = Services {
        engine: Arc::clone(engine),
        sales: settings.sales,
        nas: settings.nas.server(),
        retention: settings.queue.retention,
    };
    let worker = worker::Settings {
        name: settings.worker.name.clone(),
        queues: settings.worker.queues.clone(),
        lease: settings.queue.lease,
        grace: settings.worker.grace,
    };
    let (engine, catalog) = (Arc::clone(engine), Arc::clone(catalog));
    let shutdown = worker::Shutdown { begun: signals.stop, at_once: signals.at_once };
    crew.start("worker", worker::run(engine, catalog, services, worker, shutdown));
}
