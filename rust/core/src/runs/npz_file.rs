//! Reading an `.npz` file of `LossHistory`.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::content::Content;
use super::points::Points;
use super::values::Number;
use crate::error::{At, Error};

/// An `.npz` file, read as a whole each time that it has changed.
#[derive(Debug)]
pub struct NpzFile {
    path: PathBuf,
}

impl NpzFile {
    /// A file of which nothing has been read.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether a file has the members that `LossHistory` writes.
    pub fn is_one(path: &Path) -> bool {
        let archive = File::open(path)
            .ok()
            .map(BufReader::new)
            .map(ZipArchive::new);
        archive.is_some_and(|archive| {
            archive.is_ok_and(|archive| {
                ["format.npy", "losses.npy", "first.npy"]
                    .iter()
                    .all(|name| archive.index_for_name(name).is_some())
            })
        })
    }

    /// Reads the losses, the other columns, and the values of validations as `val_loss`. The step
    /// is the batch, counted across epochs.
    pub fn read(&self) -> Result<Content, Error> {
        let file = File::open(&self.path).at(&self.path)?;
        let found = ZipArchive::new(BufReader::new(file)).ok().and_then(content);
        found.ok_or_else(|| Error::NotARecord {
            path: self.path.clone(),
        })
    }
}

fn content<R: Read + Seek>(mut archive: ZipArchive<R>) -> Option<Content> {
    let mut array = |name: &str| Array::of(archive.by_name(&format!("{name}.npy")).ok()?);
    let first = array("first")?.int64()?.first().copied()?;
    let losses = array("losses")?;
    let mut content = Content::default();
    // Files of earlier versions have no columns.
    let names = array("column_names").map_or(Some(Vec::new()), |names| names.texts())?;
    if !names.is_empty() {
        let columns = array("columns")?.float32()?;
        let length = columns.len() / names.len();
        let rows = names.into_iter().zip(columns.chunks(length.max(1)));
        content
            .scalars
            .extend(rows.map(|(name, values)| (name, points(first, values))));
    }
    content
        .scalars
        .push(("loss".to_owned(), points(first, &losses.float32()?)));
    let mut validation = Points::default();
    for pair in array("validation")?.float64()?.as_chunks().0 {
        let [batch, value] = *pair;
        #[allow(clippy::cast_possible_truncation)] // a whole number
        validation.push(batch as i64, f64::NAN, Number::F64(value));
    }
    content.scalars.push(("val_loss".to_owned(), validation));
    content
        .scalars
        .retain(|(_, points)| !points.steps.is_empty());
    Some(content)
}

fn points(first: i64, values: &[f32]) -> Points {
    let mut points = Points::default();
    for (batch, &value) in (0..).zip(values) {
        // A damaged file may have any number here.
        points.push(first.saturating_add(batch), f64::NAN, Number::F32(value));
    }
    points
}

/// An array in the format `.npy` of `NumPy` format, version 1: in native order on all machines that matter.
struct Array {
    dtype: String,
    data: Vec<u8>,
}

impl Array {
    /// Reads an array. `zip` checks the checksum at the end.
    fn of(mut file: impl Read) -> Option<Self> {
        let mut start = [0; 10];
        file.read_exact(&mut start).ok()?;
        let [magic @ .., low, high] = start;
        if magic != *b"\x93NUMPY\x01\x00" {
            return None;
        }
        let mut header = vec![0; usize::from(u16::from_le_bytes([low, high]))];
        file.read_exact(&mut header).ok()?;
        let header = String::from_utf8(header).ok()?;
        let dtype = header.split("'descr': '").nth(1)?.split('\'').next()?;
        let mut data = Vec::new();
        // Reads what is there, and allocates no more than that.
        file.read_to_end(&mut data).ok()?;
        Some(Self {
            dtype: dtype.to_owned(),
            data,
        })
    }

    fn numbers<T, const N: usize>(&self, dtype: &str, of: fn([u8; N]) -> T) -> Option<Vec<T>> {
        let (numbers, rest) = self.data.as_chunks();
        (self.dtype == dtype && rest.is_empty()).then(|| numbers.iter().copied().map(of).collect())
    }

    fn float32(&self) -> Option<Vec<f32>> {
        self.numbers("<f4", f32::from_le_bytes)
    }

    fn float64(&self) -> Option<Vec<f64>> {
        self.numbers("<f8", f64::from_le_bytes)
    }

    fn int64(&self) -> Option<Vec<i64>> {
        self.numbers("<i8", i64::from_le_bytes)
    }

    /// The strings of an array of fixed-width text, which is in UTF-32.
    fn texts(&self) -> Option<Vec<String>> {
        let width: usize = self.dtype.strip_prefix("<U")?.parse().ok()?;
        let (characters, _) = self.data.as_chunks();
        let characters: Vec<_> = characters.iter().copied().map(u32::from_le_bytes).collect();
        let texts = characters.chunks(width.max(1)).map(|text| {
            let text = text.iter().take_while(|&&character| character != 0);
            text.map(|&character| char::from_u32(character)).collect()
        });
        texts.collect()
    }
}
