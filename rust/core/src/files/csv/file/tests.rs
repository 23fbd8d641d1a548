use std::fs;
use std::path::PathBuf;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("log.csv")
    }

    fn with(content: &str) -> Self {
        let folder = Self::new();
        fs::write(folder.path(), content).expect("a file");
        folder
    }

    fn read(&self) -> String {
        fs::read_to_string(self.path()).expect("a file")
    }

    fn append(&self) -> (CsvFile, Option<Repair>) {
        CsvFile::append(&self.path(), ',', "epoch", None, 1.0).expect("a CSV file")
    }

    /// The problem of a file that `append` rejects and leaves unchanged.
    fn problem(&self) -> String {
        let length = fs::metadata(self.path()).expect("a file").len();
        let opened = CsvFile::append(&self.path(), ',', "epoch", None, 1.0);
        assert_eq!(fs::metadata(self.path()).expect("a file").len(), length);
        match opened.expect_err("refused") {
            Error::Csv { path, problem } if path == self.path() => problem.to_string(),
            other => panic!("{other}"),
        }
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_new_file_has_a_header_and_rows() {
    let folder = Folder::with("something old");
    let mut file = CsvFile::create(&folder.path(), ',', 1.0).expect("a file");
    file.add_columns(&names(&["epoch", "loss"]), 1.0)
        .expect("a header");
    file.add_row([Field::Int(0), Field::Float(0.5)], 1.0)
        .expect("a row");
    file.flush(1.0).expect("written");
    assert_eq!(folder.read(), "epoch,loss\r\n0,0.5\r\n");
}

#[test]
fn a_late_column_stands_at_the_end_and_is_missing_before() {
    let folder = Folder::with("epoch,loss\r\n0,0.5\r\n\r\n\"1\r\n,\",0.25\n2\n");
    let (mut file, repair) = folder.append();
    assert_eq!(repair, None);
    file.add_columns(&names(&["a,b"]), 1.0).expect("widened");
    file.add_row([Field::Int(3), Field::Missing, Field::Int(7)], 1.0)
        .expect("a row");
    file.flush(1.0).expect("written");
    let rows = "0,0.5,NA\r\n\r\n\"1\r\n,\",0.25,NA\n2,NA,NA\n3,NA,7\r\n";
    assert_eq!(folder.read(), format!("epoch,loss,\"a,b\"\r\n{rows}"));
    assert_eq!(fs::read_dir(folder.0.path()).expect("a folder").count(), 1);
}

#[test]
fn a_torn_row_is_cut_off_and_half_an_end_is_completed() {
    for (torn, kept, expected) in [
        ("1,0.2", false, ""),
        ("1", false, ""),
        ("1,\"[0.2, 0", false, ""),
        ("1,\"[[0.2\n [0.3", false, ""),
        ("1,0.2\0\0\0", false, ""),
        ("\0\0\0", false, ""),
        ("1,0.2\r", true, "1,0.2\r\n"),
    ] {
        let folder = Folder::with(&format!("epoch,loss\r\n0,0.5\r\n{torn}"));
        let (file, repair) = folder.append();
        let text = torn.to_owned();
        assert_eq!(repair, Some(Repair { text, kept }));
        drop(file);
        assert_eq!(folder.read(), format!("epoch,loss\r\n0,0.5\r\n{expected}"));
    }
}

#[test]
fn rows_are_counted_and_those_too_many_are_cut_off() {
    let content = "epoch,loss\r\n0,0.5\r\n1,\"a\r\nb\"\r\n2,0.25\r\n3,0.1";
    for (keep, rows, left) in [
        (None, 3, &content[..content.len() - 5]),
        (Some(9), 3, &content[..content.len() - 5]),
        (Some(3), 3, &content[..content.len() - 5]),
        (Some(2), 2, "epoch,loss\r\n0,0.5\r\n1,\"a\r\nb\"\r\n"),
        (Some(0), 0, "epoch,loss\r\n"),
    ] {
        let folder = Folder::with(content);
        let path = folder.path();
        let (mut file, _) = CsvFile::append(&path, ',', "epoch", keep, 1.0).expect("a file");
        assert_eq!((file.rows(), folder.read().as_str()), (rows, left));
        file.add_row([Field::Int(9), Field::Missing], 1.0)
            .expect("a row");
        assert_eq!(file.rows(), rows);
        file.add_columns(&names(&["late"]), 1.0).expect("widened");
        assert_eq!(file.rows(), rows + 1);
        file.sync(1.0).expect("synced");
    }
}

#[test]
fn a_header_with_half_an_end_is_one() {
    let folder = Folder::with("epoch,loss\r");
    let (file, repair) = folder.append();
    assert!(repair.is_some_and(|repair| repair.kept));
    assert_eq!(file.columns(), ["epoch", "loss"]);
    drop(file);
    assert_eq!(folder.read(), "epoch,loss\r\n");
}

#[test]
fn a_torn_header_is_none() {
    let folder = Folder::with("epoch,lo");
    let (file, repair) = folder.append();
    assert!(repair.is_some_and(|repair| !repair.kept));
    assert!(file.columns().is_empty());
    assert_eq!(folder.read(), "");
}

#[test]
fn what_is_no_file_of_ours_is_left_alone() {
    let rows = "0,0.5\r\n";
    for (content, problem) in [
        (
            "epoch,loss,loss\r\n",
            r#"the header has the column "loss" twice"#,
        ),
        (
            "epoch,loss\r\n0,0.5\r\n\r\n1,2,3\r\n",
            "line 4 has more fields than the header",
        ),
        (
            "epoch,loss\r\n1,2,3\r", // with half of its line end
            "line 2 has more fields than the header",
        ),
        (
            &format!("epoch,loss\r\n0,\"\r\n{rows}"),
            "a quotation mark has no partner",
        ),
        (
            &format!("epoch,loss\r\n0,\"\r\n{}", rows.repeat(200_000)),
            "a quotation mark has no partner",
        ),
    ] {
        assert_eq!(Folder::with(content).problem(), problem);
    }
    for content in [
        "epoch;loss\r\n",
        "{\"a\": 1}",
        "epoch,loss\r0,0.5\r",
        "e,p,o",
        "epoch-making thoughts",
        "e",
    ] {
        let found = content.trim_end_matches("\r\n");
        assert_eq!(
            Folder::with(content).problem(),
            format!("expected a header with the column 'epoch', found {found:?}")
        );
    }
    let folder = Folder::new();
    fs::write(folder.path(), b"epoch,\xff\xfe\r\n").expect("a file");
    assert_eq!(folder.problem(), "the header is not in UTF-8");
}

#[test]
fn a_line_without_an_end_is_refused_and_does_not_get_into_memory() {
    for (before, line) in [("", 1), ("epoch,loss\r\n0,\"\n\"\r\n", 4)] {
        let folder = Folder::with(before);
        let file = File::options().append(true).open(folder.path());
        // A hole, which takes no space on the disk.
        let file = file.expect("a file");
        file.set_len(1 << 36).expect("a long file");
        assert_eq!(
            folder.problem(),
            format!("line {line} is longer than 16 MiB")
        );
    }
}

#[test]
fn a_message_shows_no_more_than_the_beginning_of_a_line() {
    let problem = Folder::with(&"x".repeat(5000)).problem();
    assert!(problem.ends_with(&format!("found \"{}\"", "x".repeat(1000))));
    let folder = Folder::with(&format!("epoch,{}", "é".repeat(5000)));
    let (_, repair) = folder.append();
    let text = repair.expect("torn").text;
    assert_eq!(text, format!("epoch,{}", "é".repeat(994)));
}

#[test]
fn a_quote_inside_a_field_is_one() {
    let rows = "0,5\" disk\r\n1,\"a \"\"b\"\"\r\n, c\"\r\n2,\"\"\r\n";
    let folder = Folder::with(&format!("epoch,loss\r\n{rows}"));
    let (mut file, repair) = folder.append();
    assert_eq!(repair, None);
    file.add_columns(&names(&["late"]), 1.0).expect("widened");
    let rows = "0,5\" disk,NA\r\n1,\"a \"\"b\"\"\r\n, c\",NA\r\n2,\"\",NA\r\n";
    assert_eq!(folder.read(), format!("epoch,loss,late\r\n{rows}"));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_never_replaced() {
    let mut file = CsvFile::create(Path::new("/dev/null"), ',', 1.0).expect("a device");
    file.add_columns(&names(&["epoch"]), 1.0).expect("a header");
    file.add_row([Field::Int(0)], 1.0).expect("a row");
    file.flush(1.0).expect("written");
    assert!(file.add_columns(&names(&["late"]), 1.0).is_err());
    assert!(!fs::metadata("/dev/null").expect("facts").is_file());
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name() {
    let folder = Folder::with("\u{feff}epoch,loss\n0,0.5\n");
    assert_eq!(folder.append().0.columns(), ["epoch", "loss"]);
}
