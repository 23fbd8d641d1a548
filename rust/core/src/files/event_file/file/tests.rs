//! Tests that write files and read them back.

use std::time::Duration;

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
    let file = EventFile::create(&folder.path().join("a/b"), "host", None, 1_700_000_000.4)
        .expect("a file");
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
    let one = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    let two = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    assert_ne!(one.path(), two.path());
}

fn steps(path: &Path) -> Vec<i64> {
    events(path)[1..].iter().map(|event| event.step).collect()
}

#[test]
fn the_name_of_the_run_is_in_the_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = EventFile::create(folder.path(), "host", Some("ab12"), 1.0).expect("a file");
    let name = file.path().to_string_lossy().into_owned();
    assert!(name.ends_with(".fitwatch.ab12.0"), "{name}");
}

#[test]
fn scalars_are_written_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    let template = Template::new("loss");
    for step in 0..1000 {
        file.add_scalar("loss", 0.5, 3 * step, 1.0);
        file.add(&template, 0.5, 3 * step + 1, 1.0);
        file.add_series("loss", [(0.5, 3 * step + 2)].into_iter(), 1.0);
    }
    let path = file.path().to_owned();
    file.flush();
    assert_eq!(steps(&path), (0..3000).collect::<Vec<_>>());
    file.add_scalar("loss", 0.5, 3000, 1.0);
    drop(file);
    assert_eq!(steps(&path), (0..=3000).collect::<Vec<_>>());
}

#[test]
fn a_long_series_waits_for_the_disk_and_keeps_its_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    let count = 200_000; // several times the limit of pending data
    file.add_series(
        "a tag that takes up room",
        (0..count).map(|i| (0.0, i)),
        1.0,
    );
    file.close();
    assert_eq!(steps(file.path()), (0..count).collect::<Vec<_>>());
}

#[test]
fn a_reader_sees_events_by_and_by_and_whole_records_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    let path = file.path().to_owned();
    file.add_scalar("loss", 1.0, 0, 1.0);
    // The thread writes it without another call.
    let began = std::time::Instant::now();
    while steps(&path).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
    for step in 1..50_000 {
        file.add_scalar("loss", 1.0, step, 0.5);
        if step % 10_000 == 0 {
            events(&path); // panics on a torn record
        }
    }
    file.close();
    assert_eq!(steps(&path), (0..50_000).collect::<Vec<_>>());
}

#[test]
fn several_threads_may_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let file = &file;
            scope.spawn(move || {
                for step in 0..1000 {
                    file.add_scalar(&thread.to_string(), 1.0, step, 1.0);
                    if step % 100 == 0 {
                        file.flush();
                    }
                }
            });
        }
    });
    file.close();
    assert_eq!(steps(file.path()).len(), 4000);
}

#[test]
fn an_encoded_event_is_framed_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    let event = Event {
        wall_time: 2.0,
        step: 7,
        ..Event::default()
    };
    file.add_event(&event.encode_to_vec());
    file.flush();
    assert_eq!(events(file.path())[1], event);
}

#[test]
fn events_of_another_file_are_written_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let theirs = EventFile::create(&folder.path().join("b"), "host", None, 1.0).expect("a file");
    let file = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    theirs.add_scalar("theirs", 1.0, 1, 1.0);
    theirs.flush();
    file.follow(theirs.path()).expect("a file");
    file.flush();
    assert_eq!(steps(file.path()), [1]);
    theirs.add_scalar("theirs", 1.0, 2, 1.0);
    theirs.flush();
    file.unfollow();
    theirs.add_scalar("theirs", 1.0, 3, 1.0);
    theirs.flush();
    file.add_scalar("ours", 1.0, 4, 1.0);
    file.close();
    assert_eq!(steps(file.path()), [1, 2, 4]);
    assert!(file.follow(Path::new("nowhere")).is_err());
}

#[test]
fn what_is_added_to_a_closed_file_is_lost_and_no_call_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    file.close();
    file.add_scalar("loss", 1.0, 1, 1.0);
    file.flush();
    file.close();
    assert_eq!(steps(file.path()), []);
}

#[test]
fn a_copy_in_a_forked_child_neither_writes_nor_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    let path = file.path().to_owned();
    file.owner = Owner::another_process();
    // Simulate another thread of the parent that is adding an event.
    let shared = file.shared.clone();
    let held = shared.lock();
    file.add_scalar("loss", 1.0, 0, 1.0);
    file.add_series("loss", [(1.0, 0)].into_iter(), 1.0);
    assert!(file.attend().is_none());
    file.request_flush();
    file.flush();
    file.unfollow();
    file.close();
    drop(held);
    file.owner = Owner::this_process();
    file.add_scalar("loss", 1.0, 1, 1.0);
    file.close();
    assert_eq!(steps(&path), [1]);
}

#[test]
fn what_is_added_to_a_copy_takes_no_memory_without_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    file.close(); // the thread does not exist in the child
    file.owner = Owner::another_process();
    for _ in 0..10 {
        file.add_event(&vec![0; ROOM / 3]);
    }
    assert!(!file.needs_attention());
    assert!(file.shared.lock().pending.len() < ROOM);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_gone_is_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = EventFile::create(folder.path(), "host", None, 1.0).expect("a file");
    fs::remove_file(file.path()).expect("gone");
    file.add_scalar("loss", 1.0, 1, 1.0);
    file.flush();
    assert!(file.needs_attention());
    let error = file.attend().expect("no file");
    assert!(matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound));
    assert!(!file.needs_attention());
    assert!(file.attend().is_none());
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let occupied = folder.path().join("file");
    fs::write(&occupied, "").expect("a file");
    assert!(EventFile::create(&occupied, "host", None, 1.0).is_err());
}
