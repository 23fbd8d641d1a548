//! The payloads of the records of a file, read in blocks.
//!
//! The file is not mapped into memory: a mapped file that is truncated by another process ends this
//! one with SIGBUS.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::files::event_file::record::{self, First};

/// The size of a block, in bytes.
const BLOCK: usize = 1 << 20;

/// A buffer for a block, to be used for one file after the other.
pub fn buffer() -> Vec<u8> {
    vec![0; BLOCK]
}

/// What follows in a file.
#[derive(Debug, PartialEq)]
pub enum Next<'a> {
    /// The payload of a record.
    Payload(&'a [u8]),
    /// A record at this offset whose payload is damaged.
    Damaged(u64),
    /// A record at this offset whose length is damaged, so that what follows cannot be read.
    Lost(u64),
    /// The end of the file, or the beginning of a record that is not complete yet.
    End,
}

/// A reader of a file's records.
pub struct Payloads<'b, R> {
    file: R,
    buffer: &'b mut Vec<u8>,
    /// The part of the buffer that is not read yet.
    start: usize,
    end: usize,
    /// The offset of `start` in the file.
    offset: u64,
}

impl<'b> Payloads<'b, File> {
    /// Reads from an offset on, at which a record begins.
    pub fn at(mut file: File, offset: u64, buffer: &'b mut Vec<u8>) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self::of(file, offset, buffer))
    }
}

impl<'b, R: Read> Payloads<'b, R> {
    fn of(file: R, offset: u64, buffer: &'b mut Vec<u8>) -> Self {
        Self {
            file,
            buffer,
            start: 0,
            end: 0,
            offset,
        }
    }

    /// The offset of the next record.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next payload.
    #[inline]
    pub fn next(&mut self) -> io::Result<Next<'_>> {
        let length = loop {
            match record::first(&self.buffer[self.start..self.end]) {
                First::Whole(length) => break length,
                First::Damaged => return Ok(Next::Lost(self.offset)),
                First::Part => {
                    if !self.fill()? {
                        return Ok(Next::End);
                    }
                }
            }
        };
        let at = self.offset;
        let whole = &self.buffer[self.start..self.start + length];
        self.start += length;
        self.offset += length as u64;
        Ok(record::payload(whole).map_or(Next::Damaged(at), Next::Payload))
    }

    /// Reads more of the file; `false` at its end.
    #[cold]
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            // A record that is longer than the buffer. It grows by what the file really has: the
            // length may be wrong.
            self.buffer.resize(2 * self.end, 0);
        }
        loop {
            match self.file.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], block: usize) -> Vec<String> {
        let mut buffer = vec![0; block];
        let mut payloads = Payloads::of(bytes, 0, &mut buffer);
        let mut found = Vec::new();
        loop {
            let next = payloads.next().expect("readable");
            found.push(format!("{next:?}"));
            if matches!(next, Next::End | Next::Lost(_)) {
                return found;
            }
        }
    }

    fn file(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for payload in payloads {
            record::append(&mut bytes, &[payload]);
        }
        bytes
    }

    #[test]
    fn records_longer_and_shorter_than_a_block() {
        let long = vec![7; 5000];
        let bytes = file(&[b"one", &long, b"", b"four"]);
        let expected = [&b"one"[..], &long, b"", b"four"]
            .map(|payload| format!("{:?}", Next::Payload(payload)));
        for block in [1, 20, 5000, 1 << 16] {
            assert_eq!(all(&bytes, block)[..4], expected);
            assert_eq!(all(&bytes, block)[4], "End");
        }
    }

    #[test]
    fn damage() {
        let bytes = file(&[b"one", b"two", b"three"]);
        for end in bytes.len() - 20..bytes.len() {
            assert_eq!(all(&bytes[..end], 64)[2], "End");
        }
        let mut damaged = bytes.clone();
        damaged[19 + 12] ^= 1;
        assert_eq!(
            all(&damaged, 64)[1..3],
            ["Damaged(19)", "Payload([116, 104, 114, 101, 101])"]
        );
        let mut lost = bytes.clone();
        lost[19] ^= 1;
        assert_eq!(all(&lost, 64)[1..], ["Lost(19)"]);
    }

    #[test]
    fn a_length_that_is_wrong_does_not_allocate() {
        let mut bytes = file(&[b"one"]);
        let length = (1_u64 << 31).to_le_bytes();
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(&record::masked(crc32c::crc32c(&length)).to_le_bytes());
        let mut buffer = vec![0; 64];
        let mut payloads = Payloads::of(bytes.as_slice(), 0, &mut buffer);
        payloads.next().expect("readable");
        assert_eq!(payloads.next().expect("readable"), Next::End);
        assert!(payloads.buffer.len() <= 128);
    }
}
