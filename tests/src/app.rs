//! The real program as separate processes, for what only processes can show: that one may be
//! killed at any moment, and that several share one deployment.

use crate::guardian::{Guardian, scratch_dir};
use crate::stores::{Deployment, Stores, free_port, signal};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A first start may have to wait for a busy machine.
const READY: Duration = Duration::from_secs(30);

/// The `relais` program, built once per test process, with the features that the workspace's own
/// test build has, so that nothing is compiled twice.
pub fn relais_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--workspace", "--bin", "relais"]);
        build.arg("--message-format=json-render-diagnostics");
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent");
        let built = build.current_dir(root).stdin(Stdio::null()).output().expect("cargo runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let lines = String::from_utf8_lossy(&built.stdout);
        let mut artifacts = lines.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let ours = message["target"]["name"] == "relais";
            ours.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
        });
        artifacts.next_back().expect("cargo names the program it built")
    })
}

/// A process of the program; killed when dropped, and when the tests are killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guardian: Guardian,
    log: PathBuf,
}

impl Process {
    /// Starts `relais ARGS` in `dir` with no environment but `env` and what any program needs.
    /// Both outputs go to a file in `dir`.
    pub fn spawn(args: &[&str], env: &[(String, String)], dir: &Path) -> Self {
        Self::spawn_through(&[], args, env, dir)
    }

    /// The same through a program that prepares something and then becomes ours (`exec "$@"`).
    pub fn spawn_through(
        through: &[&str],
        args: &[&str],
        env: &[(String, String)],
        dir: &Path,
    ) -> Self {
        let ours = relais_binary().to_str().expect("a plain path");
        let words: Vec<&str> = through.iter().chain([&ours]).chain(args).copied().collect();
        Self::spawn_words(args.first().unwrap_or(&"relais"), &words, env, dir)
    }

    /// The same for any program and its arguments; `name` is what its log is called.
    pub fn spawn_words(name: &str, words: &[&str], env: &[(String, String)], dir: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = dir.join(format!("{name}-{number}.log"));
        let file = std::fs::File::create(&log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let (program, args) = words.split_first().expect("there is a program");
        let mut command = Command::new(program);
        command.args(args).current_dir(dir).env_clear().env("RUST_BACKTRACE", "1");
        for name in ["PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stderr(file.try_clone().expect("a file can be shared"));
        let child = command.stdout(file).spawn().expect("the program starts");
        let guardian = Guardian::of_process(child.id());
        Self { child, guardian, log }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a crash would, and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.guardian.dismiss();
    }

    /// Asks it to stop (SIGTERM) and returns at once.
    pub fn terminate(&self) {
        assert!(signal(self.pid(), "TERM"), "no process {}", self.pid());
    }

    /// Its end, or `None` if it still runs after `timeout`.
    pub async fn wait(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is a child of ours") {
                self.guardian.dismiss();
                return Some(status);
            }
            if start.elapsed() >= timeout {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is a child of ours").is_none()
    }

    /// Everything that it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// A deployment with its role processes.
#[derive(Debug)]
pub struct TestApp {
    pub stores: Stores,
    pub apis: Vec<Process>,
    pub workers: Vec<Process>,
    pub schedulers: Vec<Process>,
    /// Settings that every process gets, `RELAIS_…` names and values.
    pub env: Vec<(String, String)>,
    dir: PathBuf,
    ports: Vec<u16>,
    http: reqwest::Client,
}

impl TestApp {
    /// Fresh stores, one API and one worker; ready.
    pub async fn start(deployment: Deployment) -> Self {
        let mut app = Self::on(deployment.fresh().await, &[]);
        app.start_api().await;
        app.start_worker();
        app
    }

    /// Nothing but the stores: start the roles one by one.
    pub fn on(stores: Stores, env: &[(&str, &str)]) -> Self {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        // A connection per request: a proxy that cuts connections then cuts requests.
        let http = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .expect("a plain client");
        Self {
            env: stores.env().into_iter().chain(env).collect(),
            stores,
            apis: Vec::new(),
            workers: Vec::new(),
            schedulers: Vec::new(),
            dir: scratch_dir("app"),
            ports: Vec::new(),
            http,
        }
    }

    /// Another API on a port of its own, ready; returns its number.
    pub async fn start_api(&mut self) -> usize {
        let port = free_port();
        let process = self.spawn(&["api", "--bind", &format!("127.0.0.1:{port}")]);
        self.apis.push(process);
        self.ports.push(port);
        self.ready(self.apis.len() - 1).await;
        self.apis.len() - 1
    }

    /// Starts a killed or ended API again on its port; ready.
    pub async fn restart_api(&mut self, number: usize) {
        let bind = format!("127.0.0.1:{}", self.ports[number]);
        self.apis[number] = self.spawn(&["api", "--bind", &bind]);
        self.ready(number).await;
    }

    /// Another worker; returns its number.
    pub fn start_worker(&mut self) -> usize {
        let process = self.spawn(&["worker"]);
        self.workers.push(process);
        self.workers.len() - 1
    }

    /// Starts a killed or ended worker again.
    pub fn restart_worker(&mut self, number: usize) {
        self.workers[number] = self.spawn(&["worker"]);
    }

    /// Where its processes run, and where their `relais.toml` and `.env` would be.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Another scheduler; returns its number.
    pub fn start_scheduler(&mut self) -> usize {
        let process = self.spawn(&["scheduler"]);
        self.schedulers.push(process);
        self.schedulers.len() - 1
    }

    /// Runs a command that ends, such as `seed FILE`; panics with its output unless it succeeds.
    pub async fn run(&self, args: &[&str]) -> String {
        let mut process = self.spawn(args);
        let status = process.wait(READY).await;
        assert!(status.is_some_and(|s| s.success()), "{args:?}: {status:?}\n{}", process.log());
        process.log()
    }

    /// Reference data (issue's `seed` format).
    pub async fn seed(&self, data: &serde_json::Value) {
        let file = self.dir.join("seed.json");
        std::fs::write(&file, data.to_string()).expect("the scratch directory takes a file");
        self.run(&["seed", file.to_str().expect("a plain path")]).await;
    }

    /// Address of an API, past any proxy.
    pub fn address(&self, number: usize) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.ports[number]).into()
    }

    /// URL of an API, for example `url(0, "/livez")`.
    pub fn url(&self, number: usize, path: &str) -> String {
        format!("http://{}{path}", self.address(number))
    }

    /// The client, one connection per request.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Sends a batch of sales as a terminal does, to the first API.
    pub async fn post_sales(
        &self,
        serial: &str,
        body: &serde_json::Value,
    ) -> Result<Answer, reqwest::Error> {
        self.post_sales_to(&self.url(0, ""), serial, body.to_string()).await
    }

    /// The same to `base`, a proxy for example, with any body.
    pub async fn post_sales_to(
        &self,
        base: &str,
        serial: &str,
        body: impl Into<reqwest::Body>,
    ) -> Result<Answer, reqwest::Error> {
        let request = self
            .http
            .post(format!("{base}/api/v2/simple/ventes/sync/"))
            .header("X-Device-Serial", serial)
            .header("Content-Type", "application/json")
            .timeout(Duration::from_secs(20));
        let response = request.body(body).send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        Ok(Answer { status, headers, text: response.text().await? })
    }

    fn spawn(&self, args: &[&str]) -> Process {
        Process::spawn(args, &self.env, &self.dir)
    }

    /// Waits until an API says that it and its stores are ready.
    pub async fn ready(&mut self, number: usize) {
        let url = self.url(number, "/readyz");
        let start = Instant::now();
        loop {
            let request = self.http.get(&url).timeout(Duration::from_secs(2));
            if request.send().await.is_ok_and(|response| response.status().is_success()) {
                return;
            }
            let process = &mut self.apis[number];
            let alive = process.is_running() && start.elapsed() < READY;
            assert!(alive, "the API did not become ready:\n{}", process.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    /// Its body; panics with the text if that is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}
