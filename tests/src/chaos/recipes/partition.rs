//! a worker in a network of its own loses sight of PostgreSQL and Redis (packets vanish, both
//! ways), and gets it back: others take over its jobs, and it works again soon after (G-4).

use crate::chaos::Run;
use crate::chaos::client::{mix, put};
use crate::chaos::clock::now_ms;
use crate::chaos::effects;
use crate::chaos::kind::Chaos;
use crate::chaos::report::Report;
use crate::chaos::site::{Hands, Site};
use crate::faultproxy::{Fate, FaultProxy};
use crate::guardian::Guardian;
use crate::stores::Deployment;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A healed worker begins a job within this and the time that it was cut off: what it had sent into
/// the void, TCP sends again after pauses that double.
const RESUME: Duration = Duration::from_secs(5);

pub(super) async fn partition(name: &'static str, run: Run<'_>) -> Report {
    let net = match Net::build(run.servers.deployment) {
        Ok(net) => net,
        Err(why) => return Report::not_run(name, &run, &why),
    };
    let mut site = Site::open(&run, run.lease()).await;
    // The servers listen on loopback only; what forwards to them listens where the worker can see.
    let (database_url, database) = net.bridge(&site.stores.database_url).await;
    let (mut redis_url, mut cache) = (None, None);
    if let Some(url) = &site.stores.redis_url {
        let (url, proxy) = net.bridge(url).await;
        (redis_url, cache) = (Some(url), Some(proxy));
    }
    let through = ["ip", "netns", "exec", &net.name].map(str::to_owned).to_vec();
    let urls = Some((database_url, redis_url));
    site.start_worker(&Hands::of(8));
    let cut_off = site.start_worker(&Hands { through, urls, ..Hands::of(8) });
    let (times, cut) = (run.kills(1, 20), Duration::from_secs(if run.full { 30 } else { 7 }));
    let spread = (cut + Duration::from_secs(4)) * times as u32;
    let load = site.load(mix("net", run.jobs(400, 50_000), run.seed, 1_500), spread, run.seed);
    let mut slowest = 0;
    for _ in 0..times {
        tokio::time::sleep(Duration::from_secs(2)).await;
        site.give_work_to(cut_off).await;
        net.cut();
        tokio::time::sleep(cut).await;
        let healed = now_ms();
        net.heal();
        slowest = slowest.max(resumed(&site, cut_off, healed, cut + RESUME).await);
    }
    load.await.expect("the client does not panic");
    let mut report = Report::of(name, &run, &site).await;
    report.note("partitions", times);
    report.note("cut", format!("{}s", cut.as_secs()));
    report.note("resume", format!("{:.1}s", slowest as f64 / 1_000.0));
    let limit = (cut + RESUME).as_millis() as i64;
    report.require_in_time(slowest <= limit, format!("no job began within {limit} ms of healing"));
    let reruns = report.figure("reruns").unwrap_or_default();
    report.require(reruns > 0, "the worker that was cut off held nothing");
    site.close().await;
    drop((database, cache));
    report
}

/// Milliseconds from healing to the first beginning of the worker that had been cut off, while
/// there is always something to begin.
async fn resumed(site: &Site, worker: usize, healed: i64, patience: Duration) -> i64 {
    let name = &site.workers[worker].name;
    let patience = patience.as_millis() as i64 + 1_000;
    let mut number = 0;
    loop {
        let executions = effects::read(&site.dir);
        let again = executions.iter().find(|run| run.worker == *name && run.began >= healed);
        if let Some(run) = again {
            return run.began - healed;
        }
        let waited = now_ms() - healed;
        if waited > patience {
            return waited;
        }
        let job = |part| Chaos::new(format!("healed-{healed}-{number}-{part}"), 200);
        let jobs: Vec<Chaos> = (0..10).map(job).collect();
        put(&site.engine, &site.ledger, &jobs).await;
        number += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A network namespace with a cable to ours.
struct Net {
    name: String,
    /// Our end of the cable.
    host: IpAddr,
    _guardian: Guardian,
}

impl Net {
    /// Or why there can be none here.
    fn build(deployment: Deployment) -> Result<Self, String> {
        if !crate::stores::is_root() {
            return Err("needs root".to_owned());
        }
        let pid = std::process::id();
        let letter = if deployment == Deployment::Postgres { 'p' } else { 'd' };
        let name = format!("chaos{letter}{pid}");
        let (ours, theirs) = (format!("ch{letter}{pid}"), format!("cw{letter}{pid}"));
        // A /30 of a private range for each namespace; the process id keeps two runs apart.
        let (third, fourth) = (pid % 250, if letter == 'p' { 0 } else { 4 });
        let net = format!("10.209.{third}");
        let (host, guest) = (fourth + 1, fourth + 2);
        run(&["ip", "netns", "add", &name])?;
        let guardian = Guardian::of_namespace(&name);
        run(&["ip", "link", "add", &ours, "type", "veth", "peer", "name", &theirs])?;
        run(&["ip", "link", "set", &theirs, "netns", &name])?;
        run(&["ip", "addr", "add", &format!("{net}.{host}/30"), "dev", &ours])?;
        run(&["ip", "link", "set", &ours, "up"])?;
        run(&["ip", "-n", &name, "addr", "add", &format!("{net}.{guest}/30"), "dev", &theirs])?;
        run(&["ip", "-n", &name, "link", "set", &theirs, "up"])?;
        run(&["ip", "-n", &name, "link", "set", "lo", "up"])?;
        run(&["ip", "netns", "exec", &name, "iptables", "-L", "-n"])?;
        let host = format!("{net}.{host}").parse().expect("an address");
        Ok(Self { name, host, _guardian: guardian })
    }

    /// The URL of a server on loopback, as it is from the other end.
    async fn bridge(&self, url: &str) -> (String, FaultProxy) {
        let (before, port) = url.split_once("127.0.0.1:").expect("a server on loopback");
        let digits = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
        let (port, after) = port.split_at(digits);
        let target: SocketAddr = format!("127.0.0.1:{port}").parse().expect("an address");
        let pass = || (Fate::Pass, Duration::ZERO);
        let proxy = FaultProxy::start_on(self.host, target, pass).await;
        (format!("{before}{}{after}", proxy.address()), proxy)
    }

    fn cut(&self) {
        for chain in ["INPUT", "OUTPUT"] {
            self.iptables(&["-A", chain, "-p", "tcp", "-j", "DROP"]);
        }
    }

    fn heal(&self) {
        self.iptables(&["-F"]);
    }

    fn iptables(&self, args: &[&str]) {
        let words = [&["ip", "netns", "exec", &self.name, "iptables"], args].concat();
        run(&words).expect("it worked when the network was built");
    }
}

fn run(words: &[&str]) -> Result<(), String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(words[0])
        .args(&words[1..])
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", words[0]))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
