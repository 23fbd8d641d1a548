//! Atomic replacement of files.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{At, Error};
use crate::files::Owner;

/// The prefix of temporary folders; 16 hexadecimal digits follow.
const PREFIX: &str = ".fitwatch-";
/// The name of the lock file in a temporary folder.
const LOCK: &str = "lock";

/// The maximum number of symbolic links to follow.
const LINKS: usize = 40;

/// A new file that atomically replaces an old one.
///
/// The new file is written at [`path`](Self::path), in a temporary folder beside its target.
/// [`commit`](Self::commit) then syncs it, gives it the permissions and the name of the old file,
/// and syncs the folder. Readers see either the old file or the new one, never a partial file. If
/// the target is a symbolic link, the file that it points to is replaced.
///
/// Invariants:
/// - the lock file in the temporary folder is locked while this object lives. The system releases
///   the lock when the process ends, so [`clean`] recognises leftovers of any machine or container;
/// - a forked child neither commits nor removes a replacement of its parent.
///
/// ```
/// use fitwatch_core::files::replace::Replacement;
///
/// # let folder = tempfile::tempdir()?;
/// let target = folder.path().join("state");
/// std::fs::write(&target, "old")?;
/// let new = Replacement::begin(&target)?;
/// std::fs::write(new.path(), "new")?;
/// assert_eq!(std::fs::read(&target)?, b"old");
/// new.commit()?;
/// assert_eq!(std::fs::read(&target)?, b"new");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Replacement {
    /// The target as given by the caller, for errors.
    name: PathBuf,
    target: PathBuf,
    folder: PathBuf,
    path: PathBuf,
    lock: Option<File>,
    owner: Owner,
}

impl Replacement {
    /// Begins to replace the file `target`, which need not exist yet; its folder must exist.
    ///
    /// # Errors
    /// When the temporary folder cannot be created, or `target` is not a regular file.
    pub fn begin(target: &Path) -> Result<Self, Error> {
        Self::beside(target).at(target)
    }

    fn beside(name: &Path) -> io::Result<Self> {
        // The program may change its working directory.
        let target = std::path::absolute(behind_links(name)?)?;
        if target.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if target.exists() && !target.is_file() {
            return Err(io::ErrorKind::Unsupported.into()); // a device or a pipe
        }
        let file_name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
        loop {
            let folder = parent.join(format!("{PREFIX}{:016x}", token()));
            match fs::create_dir(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            // Another process may have cleaned the folder up before it was locked.
            if let Some(lock) = lock_folder(&folder)? {
                return Ok(Self {
                    path: folder.join(file_name),
                    name: name.to_owned(),
                    target,
                    folder,
                    lock: Some(lock),
                    owner: Owner::this_process(),
                });
            }
        }
    }

    /// The path to write the new file at.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the old file with the new one.
    ///
    /// # Errors
    /// When that fails, or in a forked child; the old file is then unchanged.
    pub fn commit(self) -> Result<(), Error> {
        self.put_in_place().at(&self.name)
    }

    fn put_in_place(&self) -> io::Result<()> {
        if !self.owner.is_here() {
            return Err(io::Error::other("another process is writing the new file"));
        }
        // Some systems can only sync a file that is open for writing.
        let file = File::options().read(true).write(true).open(&self.path)?;
        if let Ok(old) = fs::metadata(&self.target) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        drop(file);
        fs::rename(&self.path, &self.target)?;
        // Sync the folder to make the rename durable. Not every system supports that.
        if let Some(folder) = self
            .target
            .parent()
            .and_then(|folder| File::open(folder).ok())
        {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // Some systems cannot remove an open file. Errors are ignored: an earlier one matters more.
        drop(self.lock.take());
        if !self.owner.is_here() {
            return;
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Replaces the existing file `path` by the output of `write`.
///
/// # Errors
/// When `write` fails, or the new file cannot be written; the old file is then unchanged.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), Error>,
) -> Result<(), Error> {
    let new = Replacement::begin(path)?;
    let mut writer = BufWriter::new(File::create(new.path()).at(path)?);
    write(&mut writer)?;
    writer.flush().at(path)?;
    drop(writer);
    new.commit()
}

/// Removes the temporary folders that dead processes have left in `folder`.
///
/// Temporary folders of live processes and all other files stay. Errors are ignored.
pub fn clean(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if is_ours(&entry.file_name().to_string_lossy()) {
            let _ = clean_one(&entry.path());
        }
    }
}

fn clean_one(folder: &Path) -> io::Result<()> {
    let lock = match File::options().write(true).open(folder.join(LOCK)) {
        Ok(lock) => lock,
        // Its process has not locked it yet, and makes another folder if this one is removed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return fs::remove_dir(folder),
        Err(error) => return Err(error),
    };
    lock.try_lock()?;
    #[cfg(windows)] // Windows cannot remove an open file
    drop(lock);
    fs::remove_dir_all(folder)
}

/// Locks a temporary folder. Returns `None` if it was cleaned up meanwhile.
fn lock_folder(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join(LOCK);
    let lock = match File::create(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        created => created?,
    };
    // If files cannot be locked, `clean` removes nothing either.
    let _ = lock.lock();
    Ok(path.exists().then_some(lock))
}

/// Follows symbolic links to their final target, which need not exist.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(next) = fs::read_link(&path) else {
            return Ok(path);
        };
        path = path.parent().unwrap_or(Path::new("")).join(next);
    }
    Err(io::Error::other("too many symbolic links"))
}

fn token() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn is_ours(name: &str) -> bool {
    let digits = name.strip_prefix(PREFIX);
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests;
