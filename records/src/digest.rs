//! SHA-256, as bytes and as text.

use sha2::{Digest, Sha256};

pub(crate) fn sha256(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

/// 64 small hexadecimal digits.
pub(crate) fn sha256_hex(text: &str) -> String {
    use std::fmt::Write;
    sha256(text).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}
