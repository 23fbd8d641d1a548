//! `TFRecord` framing.
//!
//! A record is its length (u64), the masked CRC-32C of the length, the payload, and the masked
//! CRC-32C of the payload; all numbers little-endian.

use crc32c::crc32c;

const HEADER: usize = 12;

/// The maximum size of a payload, in bytes: the limit of Protocol Buffers.
const LONGEST: u64 = 1 << 31;

/// The masked checksum of `TFRecord`: rotated and offset, so that data that contains checksums can
/// itself be checksummed.
pub fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Appends one record to `buffer`. The payload is given in pieces.
pub fn append(buffer: &mut Vec<u8>, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|piece| piece.len()).sum();
    let header = (length as u64).to_le_bytes();
    buffer.reserve(HEADER + length + 4);
    buffer.extend_from_slice(&header);
    buffer.extend_from_slice(&masked(crc32c(&header)).to_le_bytes());
    let start = buffer.len();
    for piece in payload {
        buffer.extend_from_slice(piece);
    }
    // One checksum of the whole: its cost is mostly that of a call.
    let crc = masked(crc32c(&buffer[start..]));
    buffer.extend_from_slice(&crc.to_le_bytes());
}

/// The result of looking for a record at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum First {
    /// A whole record of this many bytes.
    Whole(usize),
    /// The beginning of a record.
    Part,
    /// A record with a damaged length, so that its end is unknown.
    Damaged,
}

/// Looks for the first record. Does not check its payload.
#[inline]
pub fn first(bytes: &[u8]) -> First {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return First::Part;
    };
    let Some(crc) = rest.first_chunk() else {
        return First::Part;
    };
    let payload = u64::from_le_bytes(*length);
    if u32::from_le_bytes(*crc) != masked(crc32c(length)) || payload > LONGEST {
        return First::Damaged;
    }
    match usize::try_from(payload).map(|payload| HEADER + payload + 4) {
        Ok(whole) if whole <= bytes.len() => First::Whole(whole),
        _ => First::Part,
    }
}

/// The payload of a whole record; `None` if it is damaged.
#[inline]
pub fn payload(record: &[u8]) -> Option<&[u8]> {
    let (body, crc) = record.split_last_chunk()?;
    let payload = body.get(HEADER..)?;
    (u32::from_le_bytes(*crc) == masked(crc32c(payload))).then_some(payload)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The payloads of a file. Asserts that all checksums are right.
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
        // The first record of an event file of TensorFlow 2.21.
        let payload = b"\t\x00\x00@\xab\x84\xc0\xdaA\x1a\rbrain.Event:2";
        let mut buffer = Vec::new();
        append(&mut buffer, &[&payload[..5], &payload[5..]]);
        assert_eq!(buffer[..8], [24, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(buffer[8..12], [0xa3, 0x7f, 0x4b, 0x22]);
        assert_eq!(payloads(&buffer), [payload.to_vec()]);
    }

    #[test]
    fn a_damaged_length_is_an_error_and_half_a_record_is_none() {
        let mut buffer = Vec::new();
        append(&mut buffer, &[b"one"]);
        for end in 0..buffer.len() {
            assert_eq!(first(&buffer[..end]), First::Part);
        }
        assert_eq!(first(&buffer), First::Whole(buffer.len()));
        for bit in 0..HEADER * 8 {
            let mut damaged = buffer.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(first(&damaged), First::Damaged, "{bit}");
        }
        let length = (LONGEST + 1).to_le_bytes();
        let crc = masked(crc32c(&length)).to_le_bytes();
        assert_eq!(first(&[&length[..], &crc].concat()), First::Damaged);
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
