//! The lossy network itself: each fate cuts where it says, and a seed repeats a course of events.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::faultproxy::{Fate, FaultProxy, Faults};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);
const REQUEST: &[u8] = b"request!";
const ANSWER: &[u8] = b"answer";

/// Answers a whole request, and notes how many bytes of each it got.
async fn server() -> (SocketAddr, Arc<Mutex<Vec<usize>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let got: Arc<Mutex<Vec<usize>>> = Arc::default();
    let notes = Arc::clone(&got);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let notes = Arc::clone(&notes);
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut byte = [0];
                while request.len() < REQUEST.len() && matches!(stream.read(&mut byte).await, Ok(1))
                {
                    request.push(byte[0]);
                }
                notes.lock().unwrap().push(request.len());
                if request.len() == REQUEST.len() {
                    let _ = stream.write_all(ANSWER).await;
                }
            });
        }
    });
    (address, got)
}

/// What comes back for a request; the connection must end by itself.
async fn ask(proxy: &FaultProxy) -> usize {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let _ = stream.write_all(REQUEST).await;
    let mut answer = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = ended.expect("the connection ends");
    answer.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fate_cuts_where_it_says() {
    // Fate, bytes that reach the server, bytes that reach the client.
    let never = Duration::from_secs(60);
    let table = [
        (Fate::Pass, Some(8), 6),
        (Fate::BeforeRequest, None, 0),
        (Fate::DuringRequest(3), Some(3), 0),
        (Fate::Abandon(never), Some(8), 6),
        (Fate::BeforeAnswer, Some(8), 0),
        (Fate::DuringAnswer(2), Some(8), 2),
        (Fate::DuringAnswer(100), Some(8), 6),
        (Fate::Twice, Some(8), 6),
    ];
    for (fate, at_server, at_client) in table {
        let (target, got) = server().await;
        let proxy = FaultProxy::start_with(target, move || (fate, Duration::ZERO)).await;
        assert_eq!(ask(&proxy).await, at_client, "{fate:?}");
        let seen = || got.lock().unwrap().first().copied();
        if at_server.is_some() {
            tests::stores::until("the server has seen it", PATIENCE, || seen().is_some());
        }
        assert_eq!(seen(), at_server, "{fate:?}");
        let is_cut = !matches!(fate, Fate::Pass | Fate::Twice);
        assert_eq!(proxy.counts().cut(), u32::from(is_cut));
        if fate == Fate::Twice {
            let twice = || *got.lock().unwrap() == [8, 8];
            tests::stores::until("the whole request came twice", PATIENCE, twice);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_repeats_its_course() {
    let mut courses = Vec::new();
    for seed in [7, 7, 8] {
        let (target, _) = server().await;
        let faults = Faults {
            seed,
            cut_percent: 50,
            twice_percent: 20,
            max_delay: Duration::from_millis(1),
        };
        let proxy = FaultProxy::start(target, faults).await;
        let mut course = Vec::new();
        for _ in 0..60 {
            let before = proxy.counts();
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            let _ = stream.write_all(REQUEST).await;
            tests::stores::until("it is counted", PATIENCE, || proxy.counts() != before);
            course.push(proxy.counts());
        }
        courses.push(course);
    }
    assert_eq!(courses[0], courses[1]);
    assert_ne!(courses[0], courses[2]);
    let cut = courses[0][59].cut();
    assert!((15..=45).contains(&cut), "{cut} of 60 were cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_faults_everything_passes_and_a_missing_target_ends_the_connection() {
    let (target, _) = server().await;
    let faults = Faults { seed: 1, cut_percent: 0, twice_percent: 0, max_delay: Duration::ZERO };
    let proxy = FaultProxy::start(target, faults).await;
    for _ in 0..20 {
        assert_eq!(ask(&proxy).await, ANSWER.len());
    }
    assert_eq!((proxy.counts().passed, proxy.counts().cut()), (20, 0));
    let nobody = ([127, 0, 0, 1], tests::stores::free_port()).into();
    let proxy = FaultProxy::start(nobody, faults).await;
    assert_eq!(ask(&proxy).await, 0);
}
