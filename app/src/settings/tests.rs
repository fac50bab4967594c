//! Layering and checking of settings, as a table.

use super::layers::{Sources, Text};
use super::{Format, Settings};
use jobs::{Catalog, Context, Failure, Job};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A kind of the queue that the defaults name, whatever kinds there are.
#[derive(Serialize, Deserialize)]
struct Probe {}

impl Job for Probe {
    const KIND: &'static str = "probe";
    const QUEUE: &'static str = "records";

    async fn run(self, _: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

fn load(sources: &Sources) -> Result<Settings, String> {
    let catalog = Catalog::standard().with::<Probe>();
    Settings::load(sources, &catalog).map_err(|problems| problems.to_string())
}

fn text(name: &str, content: &str) -> Option<Text> {
    Some(Text { name: name.to_owned(), content: Ok(content.to_owned()) })
}

fn variables(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn from_file(content: &str) -> Sources {
    Sources { file: text("relais.toml", content), ..Sources::default() }
}

fn from_environment(list: &[(&str, &str)]) -> Sources {
    Sources { environment: variables(list), ..Sources::default() }
}

#[test]
fn the_compiled_in_defaults_are_allowed() {
    let settings = load(&Sources::default()).expect("the defaults");
    assert_eq!(settings.api.bind.to_string(), "127.0.0.1:8000");
    assert_eq!(settings.api.wait, Duration::from_secs(8));
    let queues: Vec<_> = settings.worker.queues.iter().map(|(name, n)| (&**name, *n)).collect();
    assert_eq!(queues, [("records", 8), ("nas", 8), ("nas_test", 2), ("upkeep", 1)]);
    assert_eq!(settings.log.format, Format::Auto);
    assert!(settings.push.is_standard());
    assert_eq!(settings.push.reception_line.manual_fields, ["quantite", "poids_kg"]);
    let schedules: Vec<_> = settings.schedules.iter().map(|each| each.name.as_str()).collect();
    assert_eq!(schedules, ["prune_jobs", "verify_stock"]);
    assert_eq!(settings.schedules[0].payload, "{}");
    assert!(settings.redis.url.is_none() && !settings.nas.is_configured());
}

#[test]
fn a_later_layer_wins() {
    let mut sources =
        from_file("[api]\nwait_seconds = 1\nshutdown_seconds = 1\nmax_connections = 1");
    let wait = |sources: &Sources| load(sources).expect("settings").api.wait.as_secs();
    assert_eq!(wait(&sources), 1);
    sources.dot_env = text(".env", "RELAIS_API_WAIT_SECONDS=2\nOTHER=x\nNAS_HOST='10.0.0.1'\n");
    assert_eq!(wait(&sources), 2);
    sources.environment = variables(&[("RELAIS_API_WAIT_SECONDS", "")]);
    assert_eq!(wait(&sources), 2, "an empty variable counts as unset");
    sources.environment = variables(&[("RELAIS_API_WAIT_SECONDS", "3"), ("NAS_PATH", "/v")]);
    assert_eq!(wait(&sources), 3);
    sources.flags = vec![("--wait", "api.wait_seconds", "4".to_owned())];
    assert_eq!(wait(&sources), 4);
    let settings = load(&sources).expect("settings");
    assert_eq!(settings.api.shutdown.as_secs(), 1);
    assert_eq!(settings.nas.host.as_deref(), Some("10.0.0.1"));
    assert_eq!(settings.nas.path.as_deref(), Some("/v"));
}

#[test]
fn a_short_variable_beats_a_long_one_of_an_earlier_layer_only() {
    let mut sources = from_environment(&[("DATABASE_URL", "sqlite://b.db")]);
    sources.dot_env = text(".env", "RELAIS_DATABASE_URL=sqlite://a.db");
    let url = |sources: &Sources| load(sources).expect("settings").database.url.to_string();
    assert_eq!(url(&sources), "sqlite://b.db");
    sources.environment.extend(variables(&[("RELAIS_DATABASE_URL", "sqlite://c.db")]));
    assert_eq!(url(&sources), "sqlite://c.db");
}

#[test]
fn every_wrong_setting_is_named_at_once_with_value_source_and_what_is_allowed() {
    let sources = Sources {
        file: text("/etc/relais.toml", "[api]\nbnd = '1'\nwait_seconds = '8'\n[apii]\nx = 1"),
        dot_env: text(".env", "RELAIS_LOG_FORMAT=xml\nRELAIS_LIMITS_BODY_BYTE=9\nbroken line\n"),
        environment: variables(&[("RELAIS_QUEUE_LEASE_SECONDS", "-3"), ("NAS_HOST", "-oProxy=x")]),
        flags: vec![("--bind", "api.bind", ":8000".to_owned())],
    };
    let problems = load(&sources).expect_err("all of it is wrong");
    for expected in [
        "9 settings are wrong; nothing was started",
        "unknown setting `api.bnd` (from /etc/relais.toml); did you mean `api.bind`?",
        "unknown setting `apii` (from /etc/relais.toml); did you mean `api`?",
        "`api.wait_seconds` is `8` (from /etc/relais.toml); allowed: a whole number from 0 to 60, without quotes",
        "`log.format` is `xml` (from RELAIS_LOG_FORMAT in .env); allowed: auto, text or json",
        "`RELAIS_LIMITS_BODY_BYTE` (from .env); did you mean `RELAIS_LIMITS_BODY_BYTES`?",
        ".env cannot be read: line 3: not of the form NAME=value",
        "`queue.lease_seconds` is `-3` (from RELAIS_QUEUE_LEASE_SECONDS in the environment)",
        "`api.bind` is `:8000` (from --bind); allowed: an address and a port",
        "`nas.host` is `-oProxy=x` (from NAS_HOST in the environment)",
    ] {
        assert!(problems.contains(expected), "{expected}\nis not in\n{problems}");
    }
}

#[test]
fn one_wrong_setting_is_refused_with_a_sentence() {
    let cases: [(Sources, &str); 18] = [
        (from_environment(&[("REDIS_URL", "redis://h")]), "an SQLite file is open on one only"),
        (from_environment(&[("REDIS_URL", "http://h")]), "`redis.url` is `http://h`"),
        (from_environment(&[("DATABASE_URL", "sqlite:///no/such/x.db")]), "folder that exists"),
        (from_environment(&[("RELAIS_WORKER_QUEUES", "record")]), "no kind of job waits in"),
        (from_environment(&[("RELAIS_LIMITS_BODY_BYTES", "50000000")]), "but never queued"),
        (from_environment(&[("RELAIS_PUSH_TICKET_STRATEGY", "merge")]), "client_wins, field_merge"),
        (from_file("[push]\nticket_manual_fields = 'quantite'"), "some of numero, statut"),
        (from_environment(&[("RELAIS_SCHEDULE_X_CRON", "x")]), "schedules are set in a file"),
        (from_file("[schedule.x]\nkind = 'probe'"), "`schedule.x.cron` is missing"),
        (from_file("[schedule.prune_jobs]\nkind = 'prune'"), "probe, prune_jobs"),
        (from_file("[schedule.prune_jobs]\ncron = 'often'"), "`often` is no cron expression"),
        (from_file("[schedule.prune_jobs]\ntimezone = 'X/Y'"), "`X/Y` is no time zone"),
        (from_file("[schedule.prune_jobs]\nmissed = 'some'"), "skip, once, all"),
        (from_file("[schedule.prune_jobs]\nmissed_limit = 'x'"), "a whole number from 1 to 1000"),
        (from_file("[schedule.prune_jobs]\nmissed_limit = 1001"), "allowed are 1 to 1000"),
        (from_file("[schedule.prune_jobs]\npayload = { a = 1 }"), "a payload of `prune_jobs`"),
        (from_file("[schedule.prune_jobs]\ncrn = 'x'"), "did you mean `schedule.prune_jobs.cron`"),
        (
            from_file("[database]\nurl = postgres://u:hunter2@h/d"),
            "relais.toml cannot be read: line 2",
        ),
    ];
    for (sources, expected) in cases {
        let problems = load(&sources).expect_err(expected);
        assert!(problems.contains(expected), "{expected}\nis not in\n{problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn no_password_is_printed() {
    for url in [
        "postgre://u:hunter2@h/d",
        "mysql://u:hunter2@h:3306/d?password=hunter2",
        "hunter2",
        "x y://hunter2",
        "mysql://u:hunter2",
        "mysql://u:hunter2@a@h",
        "mysql://u:a@hunter2:b@h",
    ] {
        for name in ["DATABASE_URL", "REDIS_URL"] {
            let problems = load(&from_environment(&[(name, url)])).expect_err(url);
            assert!(!problems.contains("hunter2"), "{problems}");
        }
    }
    let good = [("DATABASE_URL", "postgres://u:hunter2@h/d"), ("REDIS_URL", "redis://:hunter2@h")];
    let settings = load(&from_environment(&good)).expect("settings");
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn a_schedule_can_be_switched_off_and_another_added() {
    let sources = from_file(
        "[schedule.prune_jobs]\ncron = ''\n\
         [schedule.nightly]\ncron = '0 0 3 * * *'\nkind = 'probe'\ntimezone = 'Africa/Kinshasa'",
    );
    let schedules = load(&sources).expect("settings").schedules;
    let shown: Vec<_> = schedules.iter().map(|each| (&*each.name, &*each.payload)).collect();
    assert_eq!(shown, [("nightly", "{}"), ("verify_stock", "{}")]);
}

#[test]
fn the_nas_is_closed_unless_somebody_says_so_plainly() {
    let nas = |value: &str| load(&from_environment(&[("NAS_API_PUBLIC", value)]));
    assert!(!load(&Sources::default()).expect("the defaults").nas.public);
    for (value, public) in [("true", true), ("1", true), ("false", false), ("0", false)] {
        assert_eq!(nas(value).expect(value).nas.public, public, "{value}");
    }
    let problems = nas("yes").expect_err("neither true nor false");
    assert!(problems.contains("`nas.public` is `yes`"), "{problems}");
    assert!(problems.contains("allowed: true or false"), "{problems}");
    let problems = load(&from_file("[nas]\npublic = 'true'")).expect_err("a text");
    assert!(problems.contains("true or false"), "{problems}");
    let settings = load(&from_environment(&[("UPLOADS_DIR", "/app/uploads")])).expect("a folder");
    assert_eq!(settings.nas.uploads_dir.to_str(), Some("/app/uploads"));
    for wrong in ["Cargo.toml", " ", "a\nb"] {
        let problems = load(&from_environment(&[("UPLOADS_DIR", wrong)])).expect_err(wrong);
        assert!(problems.contains("a folder, such as ./data/uploads"), "{problems}");
    }
}

#[test]
fn what_kubernetes_announces_is_not_a_setting() {
    let announced = [("RELAIS_SERVICE_HOST", "10.0.0.1"), ("RELAIS_PORT_8000_TCP", "tcp://x")];
    assert!(load(&from_environment(&announced)).is_ok());
}
