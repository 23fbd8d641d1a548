//! `TFRecord` framing.
//!
//! A record is its length (u64), the masked CRC-32C of the length, the payload, and the masked
//! CRC-32C of the payload; all numbers little-endian.

use crc32c::{crc32c, crc32c_append};

const HEADER: usize = 12;

/// The checksum that `TFRecord` stores: rotated and offset, so that data which contains checksums
/// can be checksummed in its turn.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Appends one record to `buffer`, with the payload given in pieces.
pub fn append(buffer: &mut Vec<u8>, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|piece| piece.len()).sum();
    let header = (length as u64).to_le_bytes();
    buffer.reserve(HEADER + length + 4);
    buffer.extend_from_slice(&header);
    buffer.extend_from_slice(&masked(crc32c(&header)).to_le_bytes());
    let mut crc = 0;
    for piece in payload {
        crc = crc32c_append(crc, piece);
        buffer.extend_from_slice(piece);
    }
    buffer.extend_from_slice(&masked(crc).to_le_bytes());
}

/// How many bytes the first record takes up; `None` if it is not whole.
pub fn first(bytes: &[u8]) -> Option<usize> {
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    let whole = usize::try_from(length).ok()?.checked_add(HEADER + 4)?;
    (whole <= bytes.len()).then_some(whole)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The payloads of a whole file, with every checksum checked.
    pub(in super::super) fn payloads(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let (header, rest) = bytes.split_first_chunk::<8>().expect("a whole length");
            let (crc, rest) = rest.split_first_chunk::<4>().expect("its checksum");
            assert_eq!(u32::from_le_bytes(*crc), masked(crc32c(header)));
            let length = usize::try_from(u64::from_le_bytes(*header)).expect("a sane length");
            let (payload, rest) = rest.split_at(length);
            let (crc, rest) = rest.split_first_chunk::<4>().expect("its checksum");
            assert_eq!(u32::from_le_bytes(*crc), masked(crc32c(payload)));
            found.push(payload.to_vec());
            bytes = rest;
        }
        found
    }

    #[test]
    fn the_known_check_value_of_crc_32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_record_that_tensorflow_wrote() {
        // The first record of an event file of TensorFlow 2.21: version and writer.
        let payload = b"\t\x00\x00@\xab\x84\xc0\xdaA\x1a\rbrain.Event:2";
        let mut buffer = Vec::new();
        append(&mut buffer, &[&payload[..5], &payload[5..]]);
        assert_eq!(buffer[..8], [24, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(buffer[8..12], [0xa3, 0x7f, 0x4b, 0x22]);
        assert_eq!(payloads(&buffer), [payload.to_vec()]);
    }

    #[test]
    fn records_follow_each_other() {
        let mut buffer = Vec::new();
        append(&mut buffer, &[b"one"]);
        append(&mut buffer, &[]);
        append(&mut buffer, &[b"th", b"ree"]);
        assert_eq!(
            payloads(&buffer),
            [b"one".to_vec(), Vec::new(), b"three".to_vec()]
        );
    }
}
