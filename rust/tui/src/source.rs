//! The runs while they grow: waited for, read in a thread, refreshed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use crate::Error;
use fitwatch_core::runs::{self, Runs, Scalars};

/// The least time between two looks at the files.
const INTERVAL: Duration = Duration::from_millis(500);

/// The time over which new points are counted.
const RATE_SPAN: Duration = Duration::from_secs(10);

/// Runs that grow.
pub struct Source {
    path: PathBuf,
    runs: Option<Runs>,
    first: Option<Receiver<Result<Runs, fitwatch_core::Error>>>,
    is_waiting: bool,
    next: Instant,
    counts: VecDeque<(Instant, usize)>,
}

impl Source {
    /// Begins to read in a thread, since many points take seconds.
    ///
    /// # Errors
    /// When there is no such path.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if let Err(source) = std::fs::metadata(path) {
            let path = path.to_owned();
            return Err(fitwatch_core::Error::Io { path, source }.into());
        }
        Ok(Self {
            path: path.to_owned(),
            runs: None,
            first: Some(read_in_thread(path)),
            is_waiting: false,
            next: Instant::now(),
            counts: VecDeque::new(),
        })
    }

    /// What has been read; None before there is something.
    pub fn runs(&self) -> Option<&Runs> {
        self.runs.as_ref()
    }

    /// What there is to wait for, if nothing has been read.
    pub fn waits_for(&self) -> Option<String> {
        let path = self.path.display();
        if self.is_waiting {
            Some(format!("waiting for event files in {path} ..."))
        } else if self.first.is_some() {
            Some(format!("reading {path} ..."))
        } else {
            None
        }
    }

    /// Looks whether there is something new, if it is time to. True: there may be.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn poll(&mut self, now: Instant) -> Result<bool, Error> {
        if let Some(first) = &self.first {
            match first.try_recv() {
                Err(TryRecvError::Empty) => return Ok(false),
                // The thread has panicked.
                Err(TryRecvError::Disconnected) => self.first = None,
                Ok(Ok(runs)) => {
                    self.first = None;
                    self.is_waiting = false;
                    self.runs = Some(runs);
                    self.count(now);
                }
                Ok(Err(error)) if is_empty(&error) => {
                    self.first = None;
                    self.is_waiting = true;
                }
                Ok(Err(error)) => return Err(error.into()),
            }
            self.next = now + INTERVAL;
            return Ok(true);
        }
        if now < self.next {
            return Ok(false);
        }
        if self.is_waiting {
            self.first = Some(read_in_thread(&self.path));
            return Ok(false);
        }
        let Some(runs) = &mut self.runs else {
            return Ok(false);
        };
        let changed = runs.refresh()?;
        let counted = self.count(now);
        // A folder that takes long to look through is looked through less often.
        self.next = Instant::now() + INTERVAL.max(now.elapsed() * 4);
        Ok(changed || counted)
    }

    /// The last warning since the last call.
    pub fn take_warning(&mut self) -> Option<String> {
        self.runs.as_mut()?.take_warnings().pop()
    }

    /// New points in a second. None: it is too early to say.
    pub fn rate(&self) -> Option<f64> {
        let ((since, before), (until, after)) = (self.counts.front()?, self.counts.back()?);
        let seconds = until.duration_since(*since).as_secs_f64();
        #[allow(clippy::cast_precision_loss)] // a rate
        let points = after.saturating_sub(*before) as f64;
        (seconds > 0.9).then(|| points / seconds)
    }

    /// Counts the points; true if the rate has changed.
    fn count(&mut self, now: Instant) -> bool {
        let before = self.rate();
        let runs = self.runs.iter().flat_map(Runs::iter);
        let points = runs
            .flat_map(|(_, run)| run.scalars().values())
            .map(Scalars::len)
            .sum();
        self.counts.push_back((now, points));
        while self.counts.len() > 2 && now.duration_since(self.counts[1].0) >= RATE_SPAN {
            self.counts.pop_front();
        }
        before != self.rate()
    }
}

fn read_in_thread(path: &Path) -> Receiver<Result<Runs, fitwatch_core::Error>> {
    let (sender, receiver) = sync_channel(1);
    let path = path.to_owned();
    std::thread::spawn(move || {
        // The receiver may have gone, when the user has quit.
        _ = sender.send(Runs::read(&path, runs::Options::default()));
    });
    receiver
}

/// Whether there may be something to read later.
fn is_empty(error: &fitwatch_core::Error) -> bool {
    matches!(error, fitwatch_core::Error::NothingToRead { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::write;

    /// Polls at later and later times until something is there.
    fn poll(source: &mut Source, until: impl Fn(&Source) -> bool) {
        let mut now = Instant::now();
        for _ in 0..1000 {
            now += INTERVAL;
            source.poll(now).unwrap();
            if until(source) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("nothing has come");
    }

    #[test]
    fn an_empty_folder_is_waited_for_and_growth_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut source = Source::open(folder.path()).unwrap();
        assert!(source.waits_for().unwrap().starts_with("reading"));
        poll(&mut source, |source| source.is_waiting);
        assert!(source.waits_for().unwrap().starts_with("waiting for"));
        write(folder.path(), "train", "loss", &[1.0; 10]);
        poll(&mut source, |source| source.runs().is_some());
        assert_eq!(source.waits_for(), None);
        write(folder.path(), "validation", "loss", &[1.0; 10]);
        poll(&mut source, |source| {
            source.runs().unwrap().iter().count() == 2
        });
        poll(&mut source, |source| {
            source.rate().is_some_and(|rate| rate > 0.0)
        });
    }

    #[test]
    fn a_path_that_is_missing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = Source::open(&folder.path().join("missing")).err().unwrap();
        assert!(matches!(
            error,
            Error::Read(fitwatch_core::Error::Io { .. })
        ));
    }
}
