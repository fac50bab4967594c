//! HTTP by hand: requests that no client library would send, and answers byte by byte.

use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(super) const SYNC: &str = "/api/v2/simple/ventes/sync/";
const PATIENCE: Duration = Duration::from_secs(40);

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// From the first byte sent to the last byte of the answer.
    pub(super) took: Duration,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Its `code`; "" if the answer has no body.
    pub(super) fn code(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// How the bytes of a request leave.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// All at once; then the connection stays open.
    Whole,
    /// All at once; then nothing more can come.
    ThenClose,
    /// The first so many at once, then one each such time.
    Trickle(usize, Duration),
}

/// Sends `bytes` and reads one answer; `None` if the connection ends without a whole one.
pub(super) async fn send(to: SocketAddr, bytes: &[u8], way: Way) -> Option<Reply> {
    let began = Instant::now();
    let is_head = bytes.starts_with(b"HEAD ");
    let (mut reader, mut writer) = TcpStream::connect(to).await.unwrap().into_split();
    let write = async {
        match way {
            Way::Whole => writer.write_all(bytes).await?,
            Way::ThenClose => {
                writer.write_all(bytes).await?;
                writer.shutdown().await?;
            }
            Way::Trickle(first, pause) => {
                writer.write_all(&bytes[..first]).await?;
                let mut tick = tokio::time::interval(pause);
                for byte in &bytes[first..] {
                    tick.tick().await;
                    writer.write_all(&[*byte]).await?;
                }
            }
        }
        std::io::Result::Ok(())
    };
    // A refused request may be answered while it is still being sent.
    let write = async {
        let _ = write.await;
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut got = Vec::new();
        let mut chunk = vec![0; 65_536];
        loop {
            if let Some(reply) = parse(&got, is_head) {
                return Some(Reply { took: began.elapsed(), ..reply });
            }
            match reader.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(length) => got.extend_from_slice(&chunk[..length]),
            }
        }
    };
    let answered = async {
        tokio::select! { reply = read => reply, () = write => None }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("the API neither answers nor closes")
}

fn parse(got: &[u8], is_head: bool) -> Option<Reply> {
    let end = got.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&got[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut reply = Reply { status, headers, body: Vec::new(), took: Duration::ZERO };
    let length: usize = reply.header("content-length").map_or(0, |text| text.parse().unwrap());
    let length = if is_head || status == 304 { 0 } else { length };
    reply.body = got.get(end + 4..end + 4 + length)?.to_vec();
    Some(reply)
}

/// A request with these headers besides `Host` and, if there is a body, its length.
pub(super) fn request(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = head(line, headers);
    if !body.is_empty() {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

/// A head that nothing ends yet.
pub(super) fn head(line: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\nHost: relais\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.into_bytes()
}

/// Sales of a terminal, as a terminal sends them.
pub(super) fn sales(serial: &str, body: &[u8]) -> Vec<u8> {
    sales_with(serial, &[], body)
}

/// The same with more headers.
pub(super) fn sales_with(serial: &str, more: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut headers = vec![("X-Device-Serial", serial), ("Content-Type", "application/json")];
    headers.extend(more);
    request(&format!("POST {SYNC}"), &headers, body)
}

/// The same in chunks.
pub(super) fn sales_in_chunks(serial: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = head(
        &format!("POST {SYNC}"),
        &[("X-Device-Serial", serial), ("Transfer-Encoding", "chunked")],
    );
    bytes.extend(b"\r\n");
    for chunk in body.chunks(65_536) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}
