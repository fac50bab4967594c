//! Reading a request's body: every limit is checked before the work it limits, so that neither a
//! large, a slow nor a bomb of a body costs more than its limit in memory.

use crate::Settings;
use crate::error::{ApiError, Limit};
use async_compression::tokio::bufread::GzipDecoder;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

/// A body may start slowly: connections do.
pub(crate) const SLOW_START: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

/// The whole body, inflated.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    settings: &Settings,
) -> Result<Bytes, ApiError> {
    read_at_most(headers, body, settings, settings.max_body_bytes).await
}

/// The whole body, inflated, of at most `max` bytes.
pub(crate) async fn read_at_most(
    headers: &HeaderMap,
    body: Body,
    settings: &Settings,
    max: usize,
) -> Result<Bytes, ApiError> {
    let encoding = encoding(headers)?;
    if content_length(headers).is_some_and(|length| length > max as u64) {
        return Err(ApiError::TooLarge(Limit::Bytes(max)));
    }
    let sent = collect(body, settings, max).await?;
    match encoding {
        Encoding::Identity => Ok(sent),
        Encoding::Gzip => inflate(&sent, max).await,
    }
}

/// The whole body as JSON of a known shape; a wrong one is told with its place (422).
pub(crate) async fn json<T: serde::de::DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    settings: &Settings,
) -> Result<T, ApiError> {
    object(&read(headers, body, settings).await?)
}

/// One JSON object of a known shape. (A struct would also be read from an array of its members.)
pub(crate) fn object<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let wrong = |error: &dyn std::fmt::Display| ApiError::Invalid(format!("body: {error}"));
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|first| *first != b'{') {
        return Err(wrong(&"a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| wrong(&error))?;
    reader.end().map_err(|error| wrong(&error))?;
    Ok(value)
}

/// Refuses what is compressed.
pub(crate) fn check_identity(headers: &HeaderMap) -> Result<(), ApiError> {
    match encoding(headers)? {
        Encoding::Identity => Ok(()),
        Encoding::Gzip => Err(ApiError::UnsupportedEncoding),
    }
}

/// Refuses what is said not to be JSON.
pub(crate) fn check_json(headers: &HeaderMap) -> Result<(), ApiError> {
    match content_types(headers).all(|essence| essence == "application/json") {
        true => Ok(()),
        false => Err(ApiError::UnsupportedType),
    }
}

/// What the body is said to be, in small letters and without parameters.
pub(crate) fn content_types(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers.get_all(header::CONTENT_TYPE).iter().map(|value| {
        let value = value.to_str().unwrap_or("?");
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    })
}

/// The same where a body may be missing.
pub(crate) async fn json_or_default<T: serde::de::DeserializeOwned + Default>(
    headers: &HeaderMap,
    body: Body,
    settings: &Settings,
) -> Result<T, ApiError> {
    let bytes = read(headers, body, settings).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|error| ApiError::Invalid(format!("body: {error}")))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, ApiError> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(value) = values.next() else { return Ok(Encoding::Identity) };
    let word = value.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    match (word.as_str(), values.next()) {
        ("identity", None) => Ok(Encoding::Identity),
        ("gzip" | "x-gzip", None) => Ok(Encoding::Gzip),
        _ => Err(ApiError::UnsupportedEncoding),
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The bytes as sent, at most the limit, no slower than allowed.
async fn collect(mut body: Body, settings: &Settings, max: usize) -> Result<Bytes, ApiError> {
    let began = Instant::now();
    let mut read = BytesMut::new();
    loop {
        let earned = read.len() as f64 / f64::from(settings.body_bytes_per_second.max(1));
        let allowed = SLOW_START + Duration::from_secs_f64(earned);
        let frame = timeout_at(began + allowed, body.frame()).await;
        let Some(frame) = frame.map_err(|_late| ApiError::BodyTooSlow)? else {
            return Ok(read.freeze());
        };
        let frame = frame.map_err(|_broken| ApiError::BodyBroken)?;
        let Some(data) = frame.data_ref() else { continue };
        if read.len() + data.len() > max {
            return Err(ApiError::TooLarge(Limit::Bytes(max)));
        }
        read.extend_from_slice(data);
    }
}

/// Stops at the limit, however much more there would be.
async fn inflate(sent: &[u8], max: usize) -> Result<Bytes, ApiError> {
    let mut decoder = GzipDecoder::new(sent);
    decoder.multiple_members(true);
    let mut read = Vec::new();
    let mut limited = decoder.take(max as u64 + 1);
    limited.read_to_end(&mut read).await.map_err(|_broken| ApiError::BodyBroken)?;
    if read.len() > max {
        return Err(ApiError::TooLarge(Limit::Bytes(max)));
    }
    Ok(read.into())
}

#[cfg(test)]
mod tests {
    use super::{collect, encoding, inflate};
    use crate::Settings;
    use crate::error::{ApiError, Limit};
    use async_compression::tokio::bufread::GzipEncoder;
    use axum::body::Body;
    use axum::http::{HeaderMap, HeaderValue};
    use bytes::Bytes;
    use futures::stream;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;

    async fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        GzipEncoder::new(bytes).read_to_end(&mut packed).await.expect("memory can be read");
        packed
    }

    #[tokio::test]
    async fn inflating_stops_at_the_limit() {
        let packed = gzip(&vec![b'0'; 1000]).await;
        assert_eq!(inflate(&packed, 1000).await.expect("it fits").len(), 1000);
        let refused = inflate(&packed, 999).await;
        assert!(matches!(refused, Err(ApiError::TooLarge(Limit::Bytes(999)))), "{refused:?}");
        let cut = inflate(&packed[..packed.len() - 4], 1000).await;
        assert!(matches!(cut, Err(ApiError::BodyBroken)), "{cut:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_given_up_and_a_steady_one_read() {
        // (bytes, every so many milliseconds, chunks, is read)
        for (bytes, pause, chunks, is_read) in [
            (1, 100, 100, false),
            (600, 1000, 20, true),
            (600, 1000, 400, true),
            (400, 1000, 400, false),
            (9, 9000, 1, false),
        ] {
            let frames = stream::unfold(0, move |sent| async move {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let chunk = Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]));
                (sent < chunks).then_some((chunk, sent + 1))
            });
            let read = collect(Body::from_stream(frames), &Settings::default(), 1 << 20).await;
            assert_eq!(read.is_ok(), is_read, "{bytes} bytes every {pause} ms: {read:?}");
        }
    }

    #[test]
    fn only_gzip_is_inflated() {
        for (value, is_read) in [
            ("gzip", true),
            ("GZIP", true),
            ("identity", true),
            ("br", false),
            ("gzip, gzip", false),
        ] {
            let headers = HeaderMap::from_iter([(
                axum::http::header::CONTENT_ENCODING,
                HeaderValue::from_static(value),
            )]);
            assert_eq!(encoding(&headers).is_ok(), is_read, "{value}");
        }
    }
}
