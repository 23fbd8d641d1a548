//! A CSV file that is written row by row.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use super::append::{self, Records, Refused, Repair};
use super::text::{self, Field};
use crate::files::AppendFile;
use crate::files::replace::replace;

/// A CSV file, open for writing: a header, then rows in UTF-8.
///
/// Invariants:
/// - the header names every column, and every row that is written here has a field for each;
/// - a column is never moved or renamed, and a new one is added at the end;
/// - `waiting` counts the rows in the buffer of `file`.
#[derive(Debug)]
pub struct CsvFile {
    file: AppendFile,
    separator: char,
    columns: Vec<String>,
    row: String,
    /// Rows in the file, and those that wait to be written.
    rows: u64,
    waiting: u64,
}

impl CsvFile {
    /// Makes a new file, in the place of an old one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path, separator: char, now: f64) -> io::Result<Self> {
        File::create(path)?;
        Self::open(path, separator, Vec::new(), 0, now)
    }

    /// Opens a file to add rows to it; makes it, if there is none.
    ///
    /// A last line without an end, as a crash leaves it, is cut off: half a number looks like one.
    /// Where half of the end is there, it gets the other half. Rows behind the first `keep` are cut
    /// off, too.
    ///
    /// # Errors
    /// When the file cannot be opened, or is no CSV file whose header has the column `first`. It is
    /// then left as it was.
    pub fn append(
        path: &Path,
        separator: char,
        first: &str,
        keep: Option<u64>,
        now: f64,
    ) -> Result<(Self, Option<Repair>), Refused> {
        if !path.try_exists()? {
            return Ok((Self::create(path, separator, now)?, None));
        }
        let survey = append::survey(path, separator, first, keep.unwrap_or(u64::MAX))?;
        if let Some(start) = survey.surplus {
            File::options().append(true).open(path)?.set_len(start)?;
        }
        let repair = match survey.torn {
            Some((repair, start)) => {
                let mut file = File::options().append(true).open(path)?;
                if repair.kept {
                    file.write_all(b"\n")?;
                } else {
                    file.set_len(start)?;
                }
                Some(repair)
            }
            None => None,
        };
        let file = Self::open(path, separator, survey.columns, survey.rows, now)?;
        Ok((file, repair))
    }

    fn open(
        path: &Path,
        separator: char,
        columns: Vec<String>,
        rows: u64,
        now: f64,
    ) -> io::Result<Self> {
        // The program may change its folder.
        let path = std::path::absolute(path)?;
        let file = File::options().append(true).open(&path)?;
        Ok(Self {
            file: AppendFile::new(file, path, now)?,
            separator,
            columns,
            row: String::new(),
            rows,
            waiting: 0,
        })
    }

    /// Where the file lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The names of the columns, in order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows that the file has, without those that wait to be written.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds columns at the end. Rows that are there already get fields that say "missing", in a new
    /// file that takes the place of the old one.
    ///
    /// # Errors
    /// When the file cannot be written; it then has the columns that it had.
    pub fn add_columns(&mut self, names: &[String], now: f64) -> io::Result<()> {
        let mut columns = self.columns.clone();
        columns.extend_from_slice(names);
        if !self.file.is_empty() && self.file.is_here() {
            self.flush(now)?;
            self.widen(&columns)?;
            let path = self.file.path().to_owned();
            let file = File::options().append(true).open(&path)?;
            self.file = AppendFile::new(file, path, now)?;
        }
        self.columns = columns;
        Ok(())
    }

    fn widen(&self, columns: &[String]) -> io::Result<()> {
        let reader = BufReader::new(File::open(self.file.path())?);
        let mut records = Records::new(reader, self.separator);
        records.next()?;
        let mut missing = String::from(self.separator);
        missing.push_str(text::MISSING);
        replace(self.file.path(), |writer| {
            writer.write_all(header(columns, self.separator).as_bytes())?;
            while records.next()? {
                let body = append::without_end(&records.record);
                writer.write_all(body)?;
                if !body.is_empty() {
                    for _ in records.fields()..columns.len() {
                        writer.write_all(missing.as_bytes())?;
                    }
                }
                writer.write_all(&records.record[body.len()..])?;
            }
            Ok(())
        })
    }

    /// Adds a row: a field for each column, in order.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_row<'a>(
        &mut self,
        fields: impl IntoIterator<Item = Field<'a>>,
        now: f64,
    ) -> io::Result<()> {
        self.row.clear();
        if self.file.is_empty() {
            // With the first row; and again, if it was given up with all that could not be written.
            self.row.push_str(&header(&self.columns, self.separator));
        }
        text::push_record(&mut self.row, self.separator, fields);
        self.file.buffer().extend_from_slice(self.row.as_bytes());
        self.waiting += 1;
        let written = self.file.flush_if_due(now);
        self.counted(written)
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// When the file cannot be written; see [`AppendFile::flush`].
    pub fn flush(&mut self, now: f64) -> io::Result<()> {
        let written = self.file.flush(now);
        self.counted(written)
    }

    /// Writes everything, and waits until it is safe from a loss of power.
    ///
    /// # Errors
    /// When that fails.
    pub fn sync(&mut self, now: f64) -> io::Result<()> {
        self.flush(now)?;
        self.file.sync()
    }

    /// Counts the rows that were written, or given up.
    fn counted(&mut self, written: io::Result<()>) -> io::Result<()> {
        if self.file.buffer().is_empty() {
            self.rows += if written.is_ok() { self.waiting } else { 0 };
            self.waiting = 0;
        }
        written
    }
}

fn header(columns: &[String], separator: char) -> String {
    let mut header = String::new();
    let fields = columns.iter().map(|name| Field::Text(name));
    text::push_record(&mut header, separator, fields);
    header
}

#[cfg(test)]
mod tests {
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

        fn refused(&self) -> Refused {
            let before = fs::read(self.path()).expect("a file");
            let opened = CsvFile::append(&self.path(), ',', "epoch", None, 1.0);
            assert_eq!(fs::read(self.path()).expect("a file"), before);
            opened.expect_err("refused")
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
        let refused = Folder::with("epoch;loss\r\n").refused();
        assert!(matches!(refused, Refused::NoHeader(names) if names == ["epoch;loss"]));
        let refused = Folder::with("epoch,loss,loss\r\n").refused();
        assert!(matches!(refused, Refused::Twice(name) if name == "loss"));
        for rows in [1, 200_000] {
            let rows = "0,0.5\r\n".repeat(rows);
            let refused = Folder::with(&format!("epoch,loss\r\n0,\"\r\n{rows}")).refused();
            assert!(matches!(refused, Refused::Unbalanced));
        }
        for content in [
            "{\"a\": 1}",
            "epoch,loss\r0,0.5\r",
            "e,p,o",
            "epoch-making thoughts",
            "e",
        ] {
            let refused = Folder::with(content).refused();
            assert!(matches!(refused, Refused::NoHeader(_)));
        }
        let refused = Folder::with("epoch,loss\r\n0,0.5\r\n\r\n1,2,3\r\n").refused();
        assert!(matches!(refused, Refused::TooLong(4)));
        let folder = Folder::new();
        fs::write(folder.path(), b"epoch,\xff\xfe\r\n").expect("a file");
        assert!(matches!(folder.refused(), Refused::NotText));
    }

    #[test]
    fn a_line_without_an_end_is_refused_and_does_not_get_into_memory() {
        for (before, line) in [("", 1), ("epoch,loss\r\n0,\"\n\"\r\n", 4)] {
            let folder = Folder::with(before);
            let file = File::options().append(true).open(folder.path());
            // A hole: it takes no place on the disk.
            let file = file.expect("a file");
            file.set_len(1 << 36).expect("a long file");
            let opened = CsvFile::append(&folder.path(), ',', "epoch", None, 1.0);
            assert!(matches!(opened, Err(Refused::EndlessLine(at)) if at == line));
            assert_eq!(file.metadata().expect("facts").len(), 1 << 36);
        }
    }

    #[test]
    fn a_message_shows_no_more_than_the_beginning_of_a_line() {
        let refused = Folder::with(&"é".repeat(5000)).refused();
        assert!(matches!(refused, Refused::NoHeader(names) if names == ["é".repeat(1000)]));
        let folder = Folder::with(&format!("epoch,{}", "x".repeat(5000)));
        let (_, repair) = folder.append();
        assert_eq!(repair.expect("torn").text.len(), 1000);
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
}
