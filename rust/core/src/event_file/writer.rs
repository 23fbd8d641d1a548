//! One event file.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use prost::Message;

use super::message::{Event, SourceMetadata};
use super::record;
use super::scalar::Template;
use crate::append_file::AppendFile;

/// An event file, open for writing.
///
/// Time is an argument of every method that needs it, in seconds since 1970: the caller has read
/// the clock already, and tests need no clock at all.
///
/// Invariants:
/// - the file is new: an existing one is never opened;
/// - only whole records are handed to the operating system, in the order of their arrival.
#[derive(Debug)]
pub struct EventFile {
    file: AppendFile,
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
            match File::options().append(true).create_new(true).open(&path) {
                Ok(file) => break (file, path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        };
        let mut events = Self {
            file: AppendFile::new(file, path, now)?,
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
        record::append(events.file.buffer(), &[&first.encode_to_vec()]);
        events.flush(now)?;
        Ok(events)
    }

    /// Where the file lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Adds one value under `tag`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_scalar(&mut self, tag: &str, value: f32, step: i64, now: f64) -> io::Result<()> {
        if !self.templates.contains_key(tag) {
            self.templates.insert(tag.to_owned(), Template::new(tag));
        }
        let buffer = self.file.buffer();
        self.templates[tag].event(value, step, now, |event| record::append(buffer, event));
        self.file.flush_if_due(now)
    }

    /// Adds one value under the tag of `template`, which saves looking the tag up.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, template: &Template, value: f32, step: i64, now: f64) -> io::Result<()> {
        let buffer = self.file.buffer();
        template.event(value, step, now, |event| record::append(buffer, event));
        self.file.flush_if_due(now)
    }

    /// Adds an event that is encoded already.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_event(&mut self, event: &[u8], now: f64) -> io::Result<()> {
        record::append(self.file.buffer(), &[event]);
        self.file.flush_if_due(now)
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// When the file cannot be written; see [`AppendFile::flush`].
    pub fn flush(&mut self, now: f64) -> io::Result<()> {
        self.file.flush(now)
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
}
