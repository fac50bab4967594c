//! Settings from every layer: the last one wins, and everything that is wrong is told at once,
//! before anything is opened.

use super::{PATIENCE, printed, relais};
use std::net::TcpListener;
use std::path::Path;
use tests::app::Process;
use tests::guardian::scratch_dir;
use tests::stores::free_port;

fn assert_told(text: &str, sentences: &[&str]) {
    for sentence in sentences {
        assert!(text.contains(sentence), "not told: {sentence}\n{text}");
    }
}

#[test]
fn every_wrong_setting_is_told_at_once_with_name_source_and_what_is_allowed() {
    let dir = scratch_dir("settings");
    std::fs::write(dir.join("relais.toml"), "[limits]\nrequests_per_minute = 0\n").unwrap();
    std::fs::write(dir.join(".env"), "RELAIS_LOG_FORMAT=yaml\nNAS_PATH=volume1\n").unwrap();
    let env = [("RELAIS_API_WAIT_SECONDS", "99"), ("RELAIS_QUEUE_LEASE_SECONDS", "soon")];
    let ended = relais(&dir, &env, &["api", "--bind", "everywhere"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_told(
        &ended.err,
        &[
            "6 settings are wrong; nothing was started",
            "`api.bind` is `everywhere` (from --bind); allowed: an address and a port",
            "`api.wait_seconds` is `99` (from RELAIS_API_WAIT_SECONDS in the environment); \
             allowed: a whole number from 0 to 60",
            "`queue.lease_seconds` is `soon` (from RELAIS_QUEUE_LEASE_SECONDS in the environment); \
             allowed: a whole number from 1 to 3600",
            "`limits.requests_per_minute` is `0` (from relais.toml); allowed: a whole number from 1",
            "`log.format` is `yaml` (from RELAIS_LOG_FORMAT in .env); allowed: auto, text or json",
            "`nas.path` is `volume1` (from NAS_PATH in .env); allowed: an absolute folder",
        ],
    );
    assert!(!dir.join("relais.db").exists(), "something was opened");
}

#[test]
fn an_unknown_name_is_an_error_with_a_hint() {
    let dir = scratch_dir("settings");
    std::fs::write(dir.join("relais.toml"), "[queue]\nleas_seconds = 5\n[quue]\nx = 1\n").unwrap();
    let ended = relais(&dir, &[("RELAIS_API_BINDD", "127.0.0.1:0")], &["migrate"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_told(
        &ended.err,
        &[
            "unknown setting `queue.leas_seconds` (from relais.toml); \
             did you mean `queue.lease_seconds`?",
            "unknown setting `quue` (from relais.toml); did you mean `queue`?",
            "unknown setting `RELAIS_API_BINDD` (from the environment); \
             did you mean `RELAIS_API_BIND`?",
        ],
    );
}

#[test]
fn sqlite_with_redis_is_refused_with_a_sentence() {
    let dir = scratch_dir("settings");
    let ended = relais(&dir, &[("REDIS_URL", "redis://127.0.0.1:1")], &["up"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_told(&ended.err, &["(from REDIS_URL in the environment) needs PostgreSQL", "is SQLite"]);
}

#[test]
fn a_password_is_never_told() {
    let dir = scratch_dir("settings");
    let url = "postgres://relais:geheim@127.0.0.1:1/relais?sslmode=disable";
    let bad = relais(&dir, &[("DATABASE_URL", "postgresq://relais:geheim@h/d")], &["migrate"]);
    let away = relais(&dir, &[("DATABASE_URL", url)], &["jobs", "list"]);
    assert_eq!((bad.code, away.code), (Some(2), Some(1)), "{bad:?}\n{away:?}");
    for ended in [bad, away] {
        assert!(!format!("{ended:?}").contains("geheim"), "{ended:?}");
    }
}

#[test]
fn later_layers_win_and_sqlite_urls_are_relative_or_absolute() {
    let dir = scratch_dir("settings");
    let made = |name: &str| std::fs::exists(dir.join(name)).unwrap();
    let migrate = |env: &[(&str, &str)], args: &[&str]| {
        let args = [&["migrate"], args].concat();
        let ended = relais(&dir, env, &args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    };
    migrate(&[], &[]);
    assert!(made("relais.db"));
    std::fs::write(dir.join("relais.toml"), "[database]\nurl = \"sqlite://of-file.db\"\n").unwrap();
    migrate(&[], &[]);
    assert!(made("of-file.db"));
    std::fs::write(dir.join(".env"), "DATABASE_URL=sqlite://of-dot-env.db\n").unwrap();
    migrate(&[], &[]);
    assert!(made("of-dot-env.db"));
    migrate(&[("DATABASE_URL", "sqlite://of-environment.db")], &[]);
    assert!(made("of-environment.db"));
    let absolute = format!("sqlite://{}", dir.join("of-flag.db").display());
    let env = [("DATABASE_URL", "sqlite://never.db")];
    migrate(&env, &["--database-url", &absolute]);
    assert!(made("of-flag.db") && !made("never.db"));
    // An empty variable counts as unset.
    std::fs::remove_file(dir.join("of-dot-env.db")).unwrap();
    migrate(&[("DATABASE_URL", "")], &[]);
    assert!(made("of-dot-env.db"));
}

#[test]
fn a_missing_folder_or_file_is_named() {
    let dir = scratch_dir("settings");
    let ended = relais(&dir, &[("DATABASE_URL", "sqlite://nowhere/relais.db")], &["up"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_told(&ended.err, &["`nowhere` does not"]);
    let ended = relais(&dir, &[], &["--config", "absent.toml", "migrate"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_told(&ended.err, &["absent.toml cannot be read"]);
    let ended = relais(&dir, &[], &["jobs", "list"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_told(&ended.err, &["there is no database file", "`relais migrate`"]);
    assert!(!dir.join("relais.db").exists(), "looking made a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nas_names_of_the_source_are_settings() {
    let dir = scratch_dir("settings");
    let nas = [("NAS_HOST", "nas.local"), ("NAS_USER", "relais"), ("NAS_PATH", "/volume1/f")];
    let env: Vec<_> = nas.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut scheduler = Process::spawn(&["scheduler"], &env, &dir);
    printed(&scheduler, "nas.configured").await;
    assert!(scheduler.log().contains(r#""nas.configured":true"#), "{}", scheduler.log());
    // Of its own accord, it takes its sockets along.
    scheduler.terminate();
    assert!(scheduler.wait(PATIENCE).await.is_some(), "{}", scheduler.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told_and_ends_the_process() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let dir = scratch_dir("settings");
    let mut api = Process::spawn(&["up", "--bind", &bind], &[], &dir);
    let status = api.wait(PATIENCE).await;
    assert_eq!(status.and_then(|s| s.code()), Some(1), "{}", api.log());
    assert_told(&api.log(), &[&format!("`api.bind`: {bind} cannot be listened on"), "--bind"]);
}

#[test]
fn a_database_that_does_not_answer_is_told() {
    let dir = scratch_dir("settings");
    let url = format!("postgres://relais@127.0.0.1:{}/relais?sslmode=disable", free_port());
    for args in [&["jobs", "list"][..], &["seed", "-"]] {
        let ended = relais(&dir, &[("DATABASE_URL", &url)], args);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_told(&ended.err, &["the database postgres://", "cannot be opened", "refused"]);
    }
    assert!(Path::new(&dir).read_dir().unwrap().next().is_none());
}
