//! C1, C8: what is wrong is told in one sentence, in time, whatever exit code it has.

use futures::StreamExt as _;
use jobs::connectors::nas::{Code, Diagnosis, Nas, Session, Settings};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::guardian::scratch_dir;
use tests::sshd::{Access, Sshd, chown};
use tests::stores::{free_port, is_root};

fn settings(nas: &Sshd, access: Access) -> Settings {
    Settings {
        host: Some("127.0.0.1".to_owned()),
        user: Some(nas.user().to_owned()),
        path: Some(nas.path(access)),
        port: nas.port(),
        key_file: Some(nas.key(access)),
        uploads: scratch_dir("uploads"),
        ..Settings::default()
    }
}

/// What a try says, and how long it took; nothing of it runs a second later.
async fn tried(settings: Settings, keys: Vec<String>) -> (Diagnosis, Duration) {
    // A folder of its own tells its processes from those of other tests.
    let run_dir = PathBuf::from(format!("/tmp/rn-{:08x}", rand::random::<u32>()));
    std::fs::create_dir(&run_dir).unwrap();
    let start = Instant::now();
    let found = Arc::new(Nas::new(Settings { run_dir: run_dir.clone(), ..settings }));
    let found = found.diagnose(&keys).await;
    let took = start.elapsed();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left = Command::new("pgrep").args(["-af", run_dir.to_str().unwrap()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "{found:?}");
    assert_eq!(std::fs::read_dir(&run_dir).unwrap().count(), 0, "{found:?}");
    std::fs::remove_dir(&run_dir).unwrap();
    (found, took)
}

/// R-001-5, R-001-18 to R-001-21, C1: the file server takes keys and no password.
#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_has_its_own_code_and_none_takes_longer_than_allowed() {
    let nas = tokio::task::spawn_blocking(Sshd::start).await.unwrap();
    let good = vec![nas.host_key()];
    let plain = settings(&nas, Access::Plain);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let key = |name: &str, command: &str| Some(nas.key_with_command(name, command));
    let hung = key("hung", "sleep 30");
    let noisy = key("noisy", "echo hello; eval \"$SSH_ORIGINAL_COMMAND\"");
    let bare = key("bare", "PATH=/nonexistent; eval \"$SSH_ORIGINAL_COMMAND\"");
    let open_key = nas.copy_of_key("open", 0o644);
    let locked_key = nas.copy_of_key("passphrase", 0o600);
    tests::sshd::lock_key(&locked_key, "secret");
    let junk = nas.dir().join("junk");
    std::fs::copy(nas.dir().join("plain.pub"), &junk).unwrap();
    std::fs::set_permissions(&junk, PermissionsExt::from_mode(0o600)).unwrap();
    let with_key = |key: &Path| Settings { key_file: Some(key.to_owned()), ..plain.clone() };
    let locked = nas.dir().join("locked");
    std::fs::create_dir(&locked).unwrap();
    let wrong_key = vec![
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3J0xyN6GmqjIY0Rl4xRdyLhNfMD8Lg2vCcNSNsGxE1"
            .to_owned(),
    ];
    let prefix = "Échec de connexion : ";
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut changed = plain.clone();
        change(&mut changed);
        changed
    };
    let some = |text: &str| Some(text.to_owned());
    let mut cases = vec![
        ("ok", "Connexion réussie", plain.clone(), good.clone()),
        ("ok", "Connexion réussie", settings(&nas, Access::Restricted), good.clone()),
        (
            "not_configured",
            "Synchronisation NAS non configurée. Définissez NAS_HOST, NAS_USER et \
          NAS_PATH dans le fichier .env",
            with(&|s| s.user = None),
            good.clone(),
        ),
        (
            "name_not_found",
            "Could not resolve hostname",
            with(&|s| s.host = some("no-such-host.invalid")),
            good.clone(),
        ),
        ("refused", "Connection refused", with(&|s| s.port = free_port()), good.clone()),
        (
            "timeout",
            "Timeout de connexion (15s)",
            with(&|s| s.port = silent.local_addr().unwrap().port()),
            good.clone(),
        ),
        (
            "timeout",
            "Timeout de connexion (15s)",
            with(&|s| s.key_file.clone_from(&hung)),
            good.clone(),
        ),
        (
            "auth",
            "Échec de connexion : Permission denied (publickey)",
            settings(&nas, Access::Wrong),
            good.clone(),
        ),
        ("host_key_unknown", prefix, plain.clone(), Vec::new()),
        ("host_key_changed", prefix, plain.clone(), wrong_key),
        ("key_file", "absent ou illisible", with_key(&nas.dir().join("absent")), good.clone()),
        ("key_file", "absent ou illisible", with_key(nas.dir()), good.clone()),
        ("key_mode", "lisible par d'autres", with_key(&open_key), good.clone()),
        ("key_passphrase", "phrase secrète", with_key(&locked_key), good.clone()),
        ("key_format", "ne contient pas de clé privée", with_key(&junk), good.clone()),
        ("no_rsync", prefix, with(&|s| s.key_file.clone_from(&bare)), good.clone()),
        ("noisy_shell", prefix, with(&|s| s.key_file.clone_from(&noisy)), good.clone()),
        ("missing_path", prefix, with(&|s| s.path = some("/nonexistent/folder")), good.clone()),
        // What is missing is named, without its folder.
        (
            "local",
            "Échec de connexion : rsync: No such file or directory (os error 2)",
            with(&|s| s.rsync = "/nonexistent/rsync".to_owned()),
            good.clone(),
        ),
        (
            "local",
            "Échec de connexion : ssh: No such file or directory (os error 2)",
            with(&|s| s.ssh = "/nonexistent/ssh".to_owned()),
            good.clone(),
        ),
    ];
    if is_root() {
        let path = Some(locked.display().to_string());
        cases.push(("read_only", prefix, with(&|s| s.path.clone_from(&path)), good.clone()));
        // Of somebody else's key, such as one that a container is given, ssh minds no mode.
        let foreign = nas.copy_of_key("foreign", 0o640);
        chown(nas.user(), &foreign);
        cases.push(("ok", "Connexion réussie", with_key(&foreign), good.clone()));
    } else {
        let shut = nas.copy_of_key("shut", 0o000);
        cases.push(("key_file", "absent ou illisible", with_key(&shut), good.clone()));
    }
    let tries = cases.into_iter().map(|(code, text, settings, keys)| async move {
        let (found, took) = tried(settings, keys).await;
        assert_eq!(found.code, code, "{found:?}");
        assert_eq!(found.success, code == "ok");
        assert!(found.message.contains(text), "{code}: {}", found.message);
        assert!(took < Duration::from_millis(15_500), "{code} took {took:?}");
        assert_ne!(found.advice(), "read the message", "{code}");
        found
    });
    // Few at once: on a busy machine each of them needs its seconds.
    let all: Vec<_> = futures::stream::iter(tries).buffered(4).collect().await;
    for found in all {
        let text = serde_json::to_string(&found).unwrap();
        let secrets = [nas.dir().display().to_string(), format!("{}@", nas.user())];
        assert!(secrets.iter().all(|secret| !text.contains(secret.as_str())), "{text}");
    }
    // `ok` means that the file is there.
    assert!(nas.nas().join(".relais-probe").exists());
}

/// C8: rsync ends as 255 or as 12; what ssh says decides.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_wrong_keys_are_fifty_times_a_wrong_key() {
    let nas = tokio::task::spawn_blocking(Sshd::start).await.unwrap();
    let wrong = Arc::new(Nas::new(settings(&nas, Access::Wrong)));
    let keys = [nas.host_key()];
    for _ in 0..5 {
        let tries = (0..10).map(|_| Session::open(&wrong, &keys, Duration::from_secs(30)));
        for opened in futures::future::join_all(tries).await {
            assert_eq!(opened.map(|_| ()).unwrap_err().code, Code::Auth);
        }
    }
}
