//! A lossy network: a TCP proxy that cuts connections where it hurts, by a seeded choice.
//!
//! One choice per connection, in the order of accepting, so that a seed names a course of events.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// How long the second copy of a request is listened to.
const SPARE: Duration = Duration::from_secs(10);

/// What happens to one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Everything passes.
    Pass,
    /// Cut before the first byte of the request has passed.
    BeforeRequest,
    /// Cut after so many bytes of the request.
    DuringRequest(usize),
    /// The client vanishes so long after the first bytes of its request have passed, whether or
    /// not an answer is on its way.
    Abandon(Duration),
    /// The whole request passes; the first byte of the answer does not.
    BeforeAnswer,
    /// Cut after so many bytes of the answer.
    DuringAnswer(usize),
    /// Everything passes, and as soon as an answer comes, the whole request arrives once more on a
    /// connection of its own; what is said to that is read by nobody.
    Twice,
}

/// How bad the network is.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    pub seed: u64,
    /// Connections that are cut, of a hundred.
    pub cut_percent: u32,
    /// Connections whose requests arrive twice, of the hundred that are left.
    pub twice_percent: u32,
    /// Each connection starts to pass bytes after a random time up to this.
    pub max_delay: Duration,
}

/// How often each thing has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u32,
    pub before_request: u32,
    pub during_request: u32,
    pub abandoned: u32,
    pub before_answer: u32,
    pub during_answer: u32,
    pub twice: u32,
}

impl Counts {
    /// Connections that were meant to be cut.
    pub fn cut(&self) -> u32 {
        self.before_request
            + self.during_request
            + self.abandoned
            + self.before_answer
            + self.during_answer
    }
}

/// A running proxy; dropping it cuts every connection.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    counts: Arc<Mutex<Counts>>,
    stop: CancellationToken,
}

impl FaultProxy {
    /// Listens on a free loopback port and forwards to `target`, which may come and go.
    pub async fn start(target: SocketAddr, faults: Faults) -> Self {
        let mut random = StdRng::seed_from_u64(faults.seed);
        Self::start_with(target, move || choose(&mut random, faults)).await
    }

    /// The same with a choice of one's own: what happens, and after which delay.
    pub async fn start_with(
        target: SocketAddr,
        next: impl FnMut() -> (Fate, Duration) + Send + 'static,
    ) -> Self {
        Self::start_on([127, 0, 0, 1].into(), target, next).await
    }

    /// The same on another address of this machine.
    pub async fn start_on(
        address: IpAddr,
        target: SocketAddr,
        mut next: impl FnMut() -> (Fate, Duration) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("the address has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let counts = Arc::new(Mutex::new(Counts::default()));
        let stop = CancellationToken::new();
        let (counted, stopped) = (Arc::clone(&counts), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                // Out of file handles, for example: the client has to try again, as with any network.
                let Ok((client, _)) = listener.accept().await else { continue };
                let (fate, delay) = next();
                counted.lock().unwrap().add(fate);
                let carried = async move {
                    tokio::time::sleep(delay).await;
                    carry(client, target, fate).await;
                };
                tokio::spawn(stopped.clone().run_until_cancelled_owned(carried));
            }
        }));
        Self { address, counts, stop }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        *self.counts.lock().unwrap()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Counts {
    fn add(&mut self, fate: Fate) {
        *match fate {
            Fate::Pass => &mut self.passed,
            Fate::BeforeRequest => &mut self.before_request,
            Fate::DuringRequest(_) => &mut self.during_request,
            Fate::Abandon(_) => &mut self.abandoned,
            Fate::BeforeAnswer => &mut self.before_answer,
            Fate::DuringAnswer(_) => &mut self.during_answer,
            Fate::Twice => &mut self.twice,
        } += 1;
    }
}

fn choose(random: &mut StdRng, faults: Faults) -> (Fate, Duration) {
    let delay = faults.max_delay.mul_f64(random.random::<f64>());
    let fate = match random.random_range(0..5) {
        _ if random.random_range(0..100) >= faults.cut_percent => {
            if random.random_range(0..100) < faults.twice_percent {
                Fate::Twice
            } else {
                Fate::Pass
            }
        }
        0 => Fate::BeforeRequest,
        1 => Fate::DuringRequest(random.random_range(1..400)),
        2 => Fate::Abandon(Duration::from_millis(random.random_range(0..50))),
        3 => Fate::BeforeAnswer,
        _ => Fate::DuringAnswer(random.random_range(1..400)),
    };
    (fate, delay)
}

/// Returning drops both sockets, which cuts both sides.
async fn carry(client: TcpStream, target: SocketAddr, fate: Fate) {
    let (mut up, mut down, mut vanish) = (usize::MAX, usize::MAX, None);
    match fate {
        Fate::Pass | Fate::Twice => {}
        Fate::BeforeRequest => return,
        Fate::DuringRequest(bytes) => up = bytes,
        Fate::Abandon(after) => vanish = Some(after),
        Fate::BeforeAnswer => down = 0,
        Fate::DuringAnswer(bytes) => down = bytes,
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut first = [0; 16 * 1024];
    let Ok(length @ 1..) = from_client.read(&mut first).await else { return };
    if to_server.write_all(&first[..length.min(up)]).await.is_err() || length >= up {
        return;
    }
    let vanished = async {
        match vanish {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    };
    if fate == Fate::Twice {
        let mut request = first[..length].to_vec();
        if rest(&mut request, &mut from_client, &mut to_server, &from_server).await.is_err() {
            return;
        }
        tokio::spawn(repeat(request, target));
    }
    let request = async {
        let ended = copy(&mut from_client, &mut to_server, up - length).await;
        // The client has said everything: tell the server, and let it answer.
        if ended == Ended::Closed && to_server.shutdown().await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = vanished => {}
        () = request => {}
        _ = copy(&mut from_server, &mut to_client, down) => {}
    }
}

/// Passes a request on, and keeps it, until the first byte of its answer says that it is whole.
async fn rest(
    request: &mut Vec<u8>,
    from_client: &mut OwnedReadHalf,
    to_server: &mut OwnedWriteHalf,
    from_server: &OwnedReadHalf,
) -> std::io::Result<()> {
    loop {
        let kept = request.len();
        tokio::select! {
            answers = from_server.readable() => return answers,
            read = from_client.read_buf(request) => if read? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        to_server.write_all(&request[kept..]).await?;
    }
}

/// Sends a request whose answer nobody wants.
async fn repeat(request: Vec<u8>, target: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    if server.write_all(&request).await.is_ok() {
        let _ = tokio::time::timeout(SPARE, server.read_to_end(&mut Vec::new())).await;
    }
}

#[derive(PartialEq, Eq)]
enum Ended {
    Closed,
    Cut,
}

/// Copies at most `limit` bytes; the byte after them is read, so that it was on its way.
async fn copy(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    mut limit: usize,
) -> Ended {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = match from.read(&mut buffer).await {
            Ok(0) => return Ended::Closed,
            Ok(length) => length,
            Err(_) => return Ended::Cut,
        };
        let passed = length.min(limit);
        if to.write_all(&buffer[..passed]).await.is_err() || passed < length {
            return Ended::Cut;
        }
        limit -= passed;
    }
}
