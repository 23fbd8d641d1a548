//! Writing an event file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;

use prost::Message;

use super::message::{Event, SourceMetadata};
use super::record;
use super::relay::Relay;
use super::scalar::Template;
use super::thread::{PLENTY, Shared, State, write};
use crate::error::{At, Error};
use crate::files::{AppendFile, Owner};

/// The maximum number of pending bytes; see [`EventFile::attend`].
const ROOM: usize = 1 << 22;

/// How many scalars of a series are added at a time.
const CHUNK: usize = 1024;

/// An event file, open for writing by any number of threads.
///
/// Events are encoded in the thread that adds them, and written by a background thread.
///
/// Invariants:
/// - the file is new: an existing one is never opened;
/// - only whole records are written to the operating system, in the order of arrival;
/// - only [`add_series`](Self::add_series), [`attend`](Self::attend), [`flush`](Self::flush),
///   [`unfollow`](Self::unfollow) and [`close`](Self::close) wait for the disk;
/// - a forked child neither writes nor waits.
///
/// ```
/// use fitwatch_core::files::event_file::{EventFile, Template};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let file = EventFile::create(folder, "my-host", None, 1_700_000_000.0)?;
/// let loss = Template::new("loss");
/// for step in 0..3 {
///     file.add(&loss, 0.5, step, 1_700_000_000.0);
/// }
/// file.close();
/// assert!(std::fs::metadata(file.path())?.len() > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    owner: Owner,
}

impl EventFile {
    /// Creates a new file in `folder`, which is created if missing. `now`: seconds since the epoch.
    ///
    /// The name begins as in TensorFlow, with the time in seconds, `host` and the process id. Then
    /// follow `fitwatch`, `run` if given, and a number that makes the name unique. Readers follow
    /// the file that sorts last in a folder. Letters sort after the digits that TensorFlow uses
    /// there, so of two files created in the same second, readers follow this one.
    ///
    /// # Errors
    /// When the folder or the file cannot be created or written.
    pub fn create(folder: &Path, host: &str, run: Option<&str>, now: f64) -> Result<Self, Error> {
        fs::create_dir_all(folder).at(folder)?;
        let process = std::process::id();
        let second = now.trunc();
        let run = run.map(|run| format!("{run}.")).unwrap_or_default();
        let mut number = 0_u32;
        let (file, path) = loop {
            let name =
                format!("events.out.tfevents.{second:010}.{host}.{process}.fitwatch.{run}{number}");
            let path = folder.join(name);
            match File::options().append(true).create_new(true).open(&path) {
                Ok(file) => break (file, path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(source).at(folder),
            }
        };
        let first = Event {
            wall_time: second,
            file_version: Some("brain.Event:2".to_owned()),
            source_metadata: Some(SourceMetadata {
                writer: "fitwatch".to_owned(),
            }),
            ..Event::default()
        };
        let mut file = AppendFile::new(file, path.clone(), now)?;
        record::append(file.buffer(), &[&first.encode_to_vec()]);
        file.flush(now)?;
        let shared = Arc::<Shared>::default();
        let thread = {
            let shared = shared.clone();
            let named = std::thread::Builder::new().name("fitwatch: events".to_owned());
            named.spawn(move || write(&shared, file)).at(&path)?
        };
        Ok(Self {
            path,
            shared,
            thread: Mutex::new(Some(thread)),
            owner: Owner::this_process(),
        })
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds records, and wakes the thread for the first pending record and when many are pending.
    fn append(&self, write: impl FnOnce(&mut State)) {
        let mut state = match self.shared.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            // In a forked child, the thread that holds the lock may not exist.
            Err(TryLockError::WouldBlock) if !self.owner.is_here() => return,
            Err(TryLockError::WouldBlock) => self.shared.lock(),
        };
        let before = state.pending.len();
        write(&mut state);
        let after = state.pending.len();
        if after >= ROOM {
            if !self.owner.is_here() {
                state.pending.clear();
                return;
            }
            self.shared.needs_attention.store(true, Relaxed);
        }
        drop(state);
        if before == 0 || (before < PLENTY && after >= PLENTY) {
            self.shared.work.notify_one();
        }
    }

    /// Adds one value under `tag`.
    pub fn add_scalar(&self, tag: &str, value: f32, step: i64, wall_time: f64) {
        self.append(|state| {
            if !state.templates.contains_key(tag) {
                state.templates.insert(tag.to_owned(), Template::new(tag));
            }
            let pending = &mut state.pending;
            state.templates[tag].event(value, step, wall_time, |event| {
                record::append(pending, event);
            });
        });
    }

    /// Adds one value under the tag of `template`, without a lookup of the tag.
    pub fn add(&self, template: &Template, value: f32, step: i64, wall_time: f64) {
        self.append(|state| {
            let pending = &mut state.pending;
            template.event(value, step, wall_time, |event| {
                record::append(pending, event);
            });
        });
    }

    /// Adds many values under `tag`. Waits for the disk while too much data is pending.
    pub fn add_series(&self, tag: &str, points: impl Iterator<Item = (f32, i64)>, wall_time: f64) {
        let template = Template::new(tag);
        let mut points = points.peekable();
        let mut records = Vec::new();
        while points.peek().is_some() {
            records.clear();
            for (value, step) in points.by_ref().take(CHUNK) {
                template.event(value, step, wall_time, |event| {
                    record::append(&mut records, event);
                });
            }
            self.append(|state| state.pending.extend_from_slice(&records));
            self.make_room();
        }
    }

    /// Adds an event that is already encoded.
    pub fn add_event(&self, event: &[u8]) {
        self.append(|state| record::append(&mut state.pending, &[event]));
    }

    /// Whether [`attend`](Self::attend) should be called.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.shared.needs_attention.load(Relaxed)
    }

    /// Waits until the pending data is below its limit. Returns the last error since the previous
    /// call. After an error the thread keeps trying: data that could not be written is kept for the
    /// next attempt, up to a limit.
    #[must_use]
    pub fn attend(&self) -> Option<Error> {
        if !self.owner.is_here() {
            return None;
        }
        self.make_room();
        self.shared.needs_attention.store(false, Relaxed);
        self.shared.lock().error.take()
    }

    fn make_room(&self) {
        self.wait_while(|state| state.pending.len() >= ROOM);
    }

    /// Copies the events of another file into this one from now on, as they arrive.
    ///
    /// # Errors
    /// When the other file cannot be opened.
    pub fn follow(&self, path: &Path) -> Result<(), Error> {
        let relay = Relay::open(path)?;
        self.set_relay(Some(relay));
        self.shared.work.notify_one();
        Ok(())
    }

    /// Copies the remaining events of the other file, and stops following it.
    pub fn unfollow(&self) {
        self.flush();
        self.set_relay(None);
    }

    fn set_relay(&self, relay: Option<Relay>) {
        if !self.owner.is_here() {
            return;
        }
        self.shared.lock().follows = relay.is_some();
        *self.shared.relay() = relay;
    }

    /// Asks the thread to write all pending data now, without waiting.
    pub fn request_flush(&self) {
        self.ask();
    }

    /// Waits until all pending data is written to the operating system, or writing has failed.
    pub fn flush(&self) {
        let asked = self.ask();
        self.wait_while(|state| state.flushed < asked);
    }

    fn ask(&self) -> u64 {
        if !self.owner.is_here() {
            return 0;
        }
        let mut state = self.shared.lock();
        state.asked += 1;
        let asked = state.asked;
        drop(state);
        self.shared.work.notify_one();
        asked
    }

    /// Flushes and closes the file. Events that are added later are lost.
    pub fn close(&self) {
        if !self.owner.is_here() {
            return;
        }
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = { thread }.take() {
            // The thread does not panic, and there would be nothing to do about it here.
            let _ = thread.join();
        }
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) {
        if !self.owner.is_here() {
            return;
        }
        let state = self.shared.lock();
        let unfinished = |state: &mut State| condition(state) && !state.closed;
        drop(self.shared.done.wait_while(state, unfinished));
    }
}

impl Drop for EventFile {
    fn drop(&mut self) {
        self.close();
        if let Ok(thread) = self.thread.get_mut() {
            // In a forked child this is the parent's thread. Do not detach it: its id may belong to
            // another thread of this process.
            std::mem::forget(thread.take());
        }
    }
}

#[cfg(test)]
mod tests;
