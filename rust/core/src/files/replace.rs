//! A file put in the place of another, whole or not at all.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{At, Error};
use crate::files::Owner;

/// How the name of a folder begins in which a new file is written; 16 hexadecimal digits follow.
const PREFIX: &str = ".fitwatch-";
/// The file in it that is locked.
const LOCK: &str = "lock";

/// Symbolic links that lead to a file, at most.
const LINKS: usize = 40;

/// A new file for the place of an old one.
///
/// It is written at [`path`](Self::path), in a temporary folder beside its target.
/// [`commit`](Self::commit) then syncs it, gives it the permissions and the name of the old file,
/// and syncs the folder. Readers see either the old file or the new one, never a partial file. Where
/// the target is a symbolic link, the file that it leads to is replaced.
///
/// Invariants:
/// - a file in the temporary folder is locked while this lives. The system drops the lock with the
///   process, so [`clean`] recognises what is left over, whatever machine or container it ran on;
/// - a child of a fork neither commits nor removes what its parent has begun.
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
    /// The target as the caller has named it, for errors.
    name: PathBuf,
    target: PathBuf,
    folder: PathBuf,
    path: PathBuf,
    lock: Option<File>,
    owner: Owner,
}

impl Replacement {
    /// Begins to replace the file `target`, which need not be there yet; its folder has to be.
    ///
    /// # Errors
    /// When nothing can be made beside `target`, or it is not a regular file.
    pub fn begin(target: &Path) -> Result<Self, Error> {
        Self::beside(target).at(target)
    }

    fn beside(name: &Path) -> io::Result<Self> {
        // The program may change its folder.
        let target = std::path::absolute(behind_links(name)?)?;
        if target.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if target.exists() && !target.is_file() {
            return Err(io::ErrorKind::Unsupported.into()); // a device, a pipe
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
            // Another process that cleans up may have been faster than the lock.
            if let Some(lock) = take(&folder)? {
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

    /// Where to write the new file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the new file in the place of the old one.
    ///
    /// # Errors
    /// When that fails, or another process has begun it; the old one is then as it was.
    pub fn commit(self) -> Result<(), Error> {
        self.put_in_place().at(&self.name)
    }

    fn put_in_place(&self) -> io::Result<()> {
        if !self.owner.is_here() {
            return Err(io::Error::other("another process is writing the new file"));
        }
        // To sync, some systems want a file that is open for writing.
        let file = File::options().read(true).write(true).open(&self.path)?;
        if let Ok(old) = fs::metadata(&self.target) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        drop(file);
        fs::rename(&self.path, &self.target)?;
        // The name is safe once the folder is. Not every system can sync one.
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
        // The first error is the one that counts. Some systems cannot remove a file that is open.
        drop(self.lock.take());
        if !self.owner.is_here() {
            return;
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Replaces the file `path`, which has to be there, by what `write` writes.
///
/// # Errors
/// When `write` fails, or the new file cannot be written; the old one is then as it was.
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

/// Removes what dead processes have left in `folder` of files that they were writing.
///
/// Nothing of a process that lives, and nothing that is not ours. It never fails: what cannot be
/// removed stays.
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
        // Its process is about to lock it, and makes another one if this is gone.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return fs::remove_dir(folder),
        Err(error) => return Err(error),
    };
    lock.try_lock()?;
    #[cfg(windows)] // which removes no open file
    drop(lock);
    fs::remove_dir_all(folder)
}

/// Locks a folder; `None` if it was cleaned up meanwhile.
fn take(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join(LOCK);
    let lock = match File::create(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        created => created?,
    };
    // Where files cannot be locked, `clean` removes nothing either.
    let _ = lock.lock();
    Ok(path.exists().then_some(lock))
}

/// What is at the end of symbolic links, be it there or not.
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
