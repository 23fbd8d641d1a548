use super::*;

/// The names of the files in a folder.
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
    replace(&path, |writer| writer.write_all(b"new").at(&path)).expect("replaced");
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
        writer.write_all(b"half of the n").at(&path)?;
        Err(io::Error::from(io::ErrorKind::StorageFull)).at(&path)
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
    let Error::Io { path, source } = error else {
        panic!("{error}");
    };
    assert_eq!(path, folder.path());
    assert_eq!(source.kind(), io::ErrorKind::IsADirectory);
}

#[test]
fn what_the_dead_have_left_is_removed_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let alive = Replacement::begin(&folder.path().join("file")).expect("begun");
    fs::write(alive.path(), "half").expect("written");
    let dead = folder.path().join(".fitwatch-0123456789abcdef");
    fs::create_dir(&dead).expect("a folder");
    fs::write(dead.join(LOCK), "").expect("a lock that is free");
    fs::write(dead.join("file"), "half").expect("written");
    let unlocked = folder.path().join(".fitwatch-0123456789abcdee");
    fs::create_dir(&unlocked).expect("a folder");
    for name in [".fitwatch-notes", ".fitwatch-0123456789abcdeg"] {
        fs::create_dir(folder.path().join(name)).expect("another program's");
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
