//! A file put in the place of another, whole or not at all.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::files::Owner;

/// How the name of a folder begins in which a new file is written; 16 hexadecimal digits follow.
const PREFIX: &str = ".fitwatch-";
/// The file in it that is locked.
const LOCK: &str = "lock";

/// Symbolic links that lead to a file, at most.
const LINKS: usize = 40;

/// A new file for the place of an old one.
///
/// It is written in a folder of its own beside its target, [`path`](Self::path); then
/// [`commit`](Self::commit) syncs it, gives it the old file's permissions and its name, and syncs
/// the folder. Whoever opens the target finds the whole old file or the whole new one, whatever
/// happens meanwhile. Through a symbolic link, it is the file behind it that is replaced.
///
/// Invariant: while this lives, a file in its folder is locked. The system drops the lock with the
/// process, and so [`clean`] knows what is left over, whatever machine or container it ran on. A child
/// of a fork neither commits nor removes what its parent has begun.
#[derive(Debug)]
pub struct Replacement {
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
    /// When nothing can be made beside `target`, or it is no regular file.
    pub fn begin(target: &Path) -> io::Result<Self> {
        // The program may change its folder.
        let target = std::path::absolute(behind_links(target)?)?;
        if target.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if target.exists() && !target.is_file() {
            return Err(io::ErrorKind::Unsupported.into()); // a device, a pipe
        }
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
        loop {
            let folder = parent.join(format!("{PREFIX}{:016x}", token()));
            match fs::create_dir(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            // Somebody who cleans up may have been faster than the lock.
            if let Some(lock) = take(&folder)? {
                return Ok(Self {
                    path: folder.join(name),
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
    pub fn commit(self) -> io::Result<()> {
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
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let new = Replacement::begin(path)?;
    let mut writer = BufWriter::new(File::create(new.path())?);
    write(&mut writer)?;
    writer.flush()?;
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
        // Somebody is about to lock it, and makes another one if this is gone.
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
    // Where files cannot be locked, nobody can clean up either.
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
mod tests {
    use super::*;

    /// What is in a folder, by name.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_new_content_has_the_old_name_and_permissions() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "old").expect("a file");
        let mut permissions = fs::metadata(&path).expect("facts").permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions.clone()).expect("set");
        replace(&path, |writer| writer.write_all(b"new")).expect("replaced");
        assert_eq!(fs::read(&path).expect("the file"), b"new");
        assert_eq!(
            fs::metadata(&path).expect("facts").permissions(),
            permissions
        );
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_file_that_was_not_there_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let new = Replacement::begin(&folder.path().join("file")).expect("begun");
        fs::write(new.path(), "new").expect("written");
        assert!(!folder.path().join("file").exists());
        new.commit().expect("replaced");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "old").expect("a file");
        let failed = replace(&path, |writer| {
            writer.write_all(b"half of the n")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).expect("the file"), b"old");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn nothing_written_replaces_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "old").expect("a file");
        let new = Replacement::begin(&path).expect("begun");
        assert!(new.commit().is_err());
        assert_eq!(fs::read(&path).expect("the file"), b"old");
    }

    #[test]
    fn a_copy_in_a_forked_child_touches_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "old").expect("a file");
        let mut new = Replacement::begin(&path).expect("begun");
        fs::write(new.path(), "new").expect("written");
        let begun = new.path().to_owned();
        new.owner = Owner::another_process();
        assert!(new.commit().is_err());
        assert_eq!(fs::read(&path).expect("the file"), b"old");
        assert_eq!(fs::read(begun).expect("the new file"), b"new");
    }

    #[test]
    fn a_folder_is_no_target() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Replacement::begin(folder.path()).expect_err("a folder");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn what_the_dead_have_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let alive = Replacement::begin(&folder.path().join("file")).expect("begun");
        fs::write(alive.path(), "half").expect("written");
        let dead = folder.path().join(".fitwatch-0123456789abcdef");
        fs::create_dir(&dead).expect("a folder");
        fs::write(dead.join(LOCK), "").expect("a lock that nobody holds");
        fs::write(dead.join("file"), "half").expect("written");
        let unlocked = folder.path().join(".fitwatch-0123456789abcdee");
        fs::create_dir(&unlocked).expect("a folder");
        for name in [".fitwatch-notes", ".fitwatch-0123456789abcdeg"] {
            fs::create_dir(folder.path().join(name)).expect("somebody else's");
        }
        fs::write(folder.path().join(".fitwatch-0123456789abcde1"), "").expect("a file");
        clean(folder.path());
        assert!(!dead.exists() && !unlocked.exists());
        assert_eq!(names(folder.path()).len(), 4);
        alive.commit().expect("replaced");
        assert_eq!(
            fs::read(folder.path().join("file")).expect("the file"),
            b"half"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_stays_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        std::os::unix::fs::symlink("file", &link).expect("a link to nothing yet");
        for content in ["old", "new"] {
            let new = Replacement::begin(&link).expect("begun");
            fs::write(new.path(), content).expect("written");
            new.commit().expect("replaced");
            assert_eq!(fs::read(&path).expect("the file"), content.as_bytes());
            assert!(fs::symlink_metadata(&link).expect("facts").is_symlink());
        }
    }
}
