//! One event file.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use super::message::{Event, SourceMetadata};
use super::record;
use super::scalar::Template;

/// Bytes that are collected before they are written.
const BUFFER: usize = 1 << 16;

/// Seconds after which collected bytes are written all the same, so that a reader of the live file
/// lags no more than this behind while events arrive.
const FLUSH_SECONDS: f64 = 0.1;

/// An event file, open for writing.
///
/// Time is an argument of every method that needs it, in seconds since 1970: the caller has read
/// the clock already, and tests need no clock at all.
///
/// Invariants:
/// - the file is new: an existing one is never opened;
/// - only whole records are handed to the operating system, in the order of their arrival;
/// - after an error nothing that arrived later is written, so the file holds a prefix of the events.
#[derive(Debug)]
pub struct EventFile {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
    flushed_at: f64,
    failed: bool,
    process: u32,
    templates: HashMap<String, Template>,
}

impl EventFile {
    /// Creates `folder` if need be and a new file in it.
    ///
    /// The name is the one that TensorFlow gives, up to its end: the second, `host` and process
    /// id, then `fitwatch` and a number that makes it unique. Readers follow the file that sorts
    /// last in a folder, and letters sort behind the digits that TensorFlow has there: of two
    /// files made in one second, ours is the one that is followed.
    ///
    /// # Errors
    /// When the folder or the file cannot be made or written.
    pub fn create(folder: &Path, host: &str, now: f64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let process = std::process::id();
        let second = now.trunc();
        let mut number = 0_u32;
        let (file, path) = loop {
            let name =
                format!("events.out.tfevents.{second:010}.{host}.{process}.fitwatch.{number}");
            let path = folder.join(name);
            match File::create_new(&path) {
                Ok(file) => break (file, path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        };
        let mut events = Self {
            file,
            path,
            buffer: Vec::with_capacity(BUFFER),
            flushed_at: now,
            failed: false,
            process,
            templates: HashMap::new(),
        };
        let first = Event {
            wall_time: second,
            file_version: Some("brain.Event:2".to_owned()),
            source_metadata: Some(SourceMetadata {
                writer: "fitwatch".to_owned(),
            }),
            ..Event::default()
        };
        record::append(&mut events.buffer, &[&first.encode_to_vec()]);
        events.flush(now)?;
        Ok(events)
    }

    /// Where the file lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one value under `tag`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_scalar(&mut self, tag: &str, value: f32, step: i64, now: f64) -> io::Result<()> {
        if !self.templates.contains_key(tag) {
            self.templates.insert(tag.to_owned(), Template::new(tag));
        }
        let buffer = &mut self.buffer;
        self.templates[tag].event(value, step, now, |event| record::append(buffer, event));
        self.flush_if_due(now)
    }

    /// Adds one value under the tag of `template`, which saves looking the tag up.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, template: &Template, value: f32, step: i64, now: f64) -> io::Result<()> {
        let buffer = &mut self.buffer;
        template.event(value, step, now, |event| record::append(buffer, event));
        self.flush_if_due(now)
    }

    /// Adds an event that is encoded already.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_event(&mut self, event: &[u8], now: f64) -> io::Result<()> {
        record::append(&mut self.buffer, &[event]);
        self.flush_if_due(now)
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// When the file cannot be written. What was collected is then dropped, and so is everything
    /// that follows: a record behind a torn one could not be read anyway.
    pub fn flush(&mut self, now: f64) -> io::Result<()> {
        self.flushed_at = now;
        let written = if self.failed {
            Ok(())
        } else {
            self.file.write_all(&self.buffer)
        };
        self.failed |= written.is_err();
        self.buffer.clear();
        written
    }

    fn flush_if_due(&mut self, now: f64) -> io::Result<()> {
        let waited = now - self.flushed_at;
        // A clock that was set back must not hold events until it has caught up.
        let due = !(0.0..FLUSH_SECONDS).contains(&waited);
        if due || self.buffer.len() >= BUFFER {
            self.flush(now)
        } else {
            Ok(())
        }
    }
}

impl Drop for EventFile {
    fn drop(&mut self) {
        // In a forked child this is a copy, and the events are the parent's to write.
        if self.process == std::process::id() {
            let now = self.flushed_at;
            // Nobody is left to tell: whoever wants to know calls `flush` first.
            let _ = self.flush(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::payloads;
    use super::*;

    fn events(path: &Path) -> Vec<Event> {
        payloads(&fs::read(path).expect("a readable file"))
            .iter()
            .map(|payload| Event::decode(payload.as_slice()).expect("a valid event"))
            .collect()
    }

    #[test]
    fn a_new_file_names_its_version_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file =
            EventFile::create(&folder.path().join("a/b"), "host", 1_700_000_000.4).expect("a file");
        let name = file.path().file_name().expect("a name").to_string_lossy();
        let process = std::process::id();
        assert_eq!(
            name,
            format!("events.out.tfevents.1700000000.host.{process}.fitwatch.0")
        );
        let first = &events(file.path())[0];
        assert_eq!(first.file_version.as_deref(), Some("brain.Event:2"));
    }

    #[test]
    fn files_of_one_second_do_not_share_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = EventFile::create(folder.path(), "host", 1.0).expect("a file");
        let two = EventFile::create(folder.path(), "host", 1.0).expect("a file");
        assert_ne!(one.path(), two.path());
    }

    #[test]
    fn scalars_are_written_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = EventFile::create(folder.path(), "host", 1.0).expect("a file");
        for step in 0..1000_u16 {
            file.add_scalar("loss", f32::from(step), step.into(), 1.0)
                .expect("written");
        }
        let path = file.path().to_owned();
        drop(file);
        let steps: Vec<i64> = events(&path)[1..].iter().map(|event| event.step).collect();
        assert_eq!(steps, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_sees_events_after_a_tenth_of_a_second_and_whole_records_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = EventFile::create(folder.path(), "host", 1.0).expect("a file");
        let path = file.path().to_owned();
        file.add_scalar("loss", 1.0, 1, 1.05).expect("written");
        assert_eq!(events(&path).len(), 1);
        file.add_scalar("loss", 1.0, 2, 1.11).expect("written");
        assert_eq!(events(&path).len(), 3);
        file.add_scalar("loss", 1.0, 3, 0.5).expect("written"); // the clock was set back
        assert_eq!(events(&path).len(), 4);
        for step in 0..1500 {
            file.add_scalar("loss", 1.0, step, 0.5).expect("written");
            if step % 100 == 0 {
                events(&path); // panics on a torn record
            }
        }
        assert!(events(&path).len() > 1000);
    }

    #[test]
    fn an_encoded_event_is_framed_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = EventFile::create(folder.path(), "host", 1.0).expect("a file");
        let event = Event {
            wall_time: 2.0,
            step: 7,
            ..Event::default()
        };
        file.add_event(&event.encode_to_vec(), 2.0)
            .expect("written");
        assert_eq!(events(file.path())[1], event);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let occupied = folder.path().join("file");
        fs::write(&occupied, "").expect("a file");
        assert!(EventFile::create(&occupied, "host", 1.0).is_err());
    }

    #[test]
    fn a_copy_in_a_forked_child_writes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = EventFile::create(folder.path(), "host", 1.0).expect("a file");
        file.add_scalar("loss", 1.0, 1, 1.0).expect("collected");
        file.process += 1;
        let path = file.path().to_owned();
        drop(file);
        assert_eq!(events(&path).len(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_reported_once_and_ends_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = EventFile::create(folder.path(), "host", 1.0).expect("a file");
        file.file = File::options()
            .write(true)
            .open("/dev/full")
            .expect("a full disk");
        file.add_scalar("loss", 1.0, 1, 1.0)
            .expect("only collected");
        assert!(file.flush(1.0).is_err());
        file.add_scalar("loss", 1.0, 2, 9.0).expect("dropped");
        assert!(file.buffer.is_empty());
    }
}
