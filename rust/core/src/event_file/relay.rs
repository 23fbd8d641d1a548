//! What another writer appends to an event file of its own.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::record;

/// Takes over the events of a file that is still growing.
///
/// Readers of a folder follow one file in it: who writes with two writers at a time hands what one
/// of them has written to the other.
#[derive(Debug)]
pub struct Relay {
    file: File,
    /// The beginning of a record that is not whole yet.
    rest: Vec<u8>,
    /// Whether the first event was seen, which names the version of the file.
    begun: bool,
}

impl Relay {
    /// Begins with the first event of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            rest: Vec::new(),
            begun: false,
        })
    }

    /// Appends the records that have come since, as they are.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn take(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        self.file.read_to_end(&mut self.rest)?;
        let mut at = 0;
        while let Some(length) = record::first(&self.rest[at..]) {
            if self.begun {
                into.extend_from_slice(&self.rest[at..at + length]);
            }
            self.begun = true;
            at += length;
        }
        self.rest.drain(..at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn whole_records_are_taken_and_the_first_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("theirs");
        let mut theirs = Vec::new();
        for payload in ["version", "one", "", "two"] {
            record::append(&mut theirs, &[payload.as_bytes()]);
        }
        fs::write(&path, "").expect("written");
        let mut relay = Relay::open(&path).expect("a file");
        let mut taken = Vec::new();
        for end in 0..=theirs.len() {
            // A writer may be in the middle of a record.
            fs::write(&path, &theirs[..end]).expect("written");
            relay.take(&mut taken).expect("readable");
            let records = record::tests::payloads(&taken);
            assert!(records.len() <= 3);
        }
        assert_eq!(
            record::tests::payloads(&taken),
            [&b"one"[..], &b""[..], &b"two"[..]]
        );
    }
}
