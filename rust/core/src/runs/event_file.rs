//! Reading an event file, from where it was left.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::content::{Content, Text};
use super::event::{self, Event, Kind};
use super::hparams;
use super::layout::Layout;
use super::payloads::{Next, Payloads};
use super::points::Points;
use super::values::Number;
use super::wire::Malformed;
use crate::error::{At, Error};

/// An event file that is read as far as it is written.
///
/// The file is not kept open: thousands of runs would exceed the limit of open files.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    /// Where the next record begins.
    offset: u64,
    /// Whether a record has a damaged length, so that nothing can be read behind it.
    lost: bool,
    keep: bool,
    tags: HashMap<String, Tag>,
    series: Vec<Series>,
    /// The series that the next event probably belongs to.
    expected: usize,
    /// The series of the event before.
    previous: Option<usize>,
}

/// What the values of a tag are.
#[derive(Clone, Copy, Debug)]
enum Tag {
    Scalar(usize),
    Text,
    Other,
}

/// A tag with scalars.
#[derive(Debug)]
struct Series {
    tag: String,
    points: Points,
    /// The bytes around the value in the last event, if it had nothing else.
    layout: Option<Layout>,
    /// The series that came after this one the last time.
    next: usize,
}

impl EventFile {
    /// A file of which nothing has been read. With `keep`, superseded points stay.
    pub fn new(path: PathBuf, keep: bool) -> Self {
        Self {
            path,
            offset: 0,
            lost: false,
            keep,
            tags: HashMap::new(),
            series: Vec::new(),
            expected: 0,
            previous: None,
        }
    }

    /// How many bytes of the file have been read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the records that have been added.
    pub fn read(&mut self, buffer: &mut Vec<u8>) -> Result<Content, Error> {
        let mut content = Content::default();
        if self.lost {
            return Ok(content);
        }
        let file = File::open(&self.path).at(&self.path)?;
        let mut payloads = Payloads::at(file, self.offset, buffer).at(&self.path)?;
        let (mut damaged, mut first) = (0_u64, 0);
        loop {
            let at = payloads.offset();
            match payloads.next().at(&self.path)? {
                Next::Payload(payload) => {
                    if self.is_expected(payload) {
                        continue;
                    }
                    if self.decode(payload, &mut content).is_ok() {
                        continue;
                    }
                }
                Next::Damaged(_) => {}
                Next::Lost(_) if at == 0 => return Err(self.foreign()),
                Next::Lost(_) => {
                    self.lost = true;
                    content.warnings.push(format!(
                        "{}: the length of the record at offset {at} is damaged; what follows is \
                         left out",
                        self.path.display()
                    ));
                    break;
                }
                Next::End if at == 0 && !is_named_like_one(&self.path) => {
                    return Err(self.foreign());
                }
                Next::End => break,
            }
            if damaged == 0 {
                first = at;
            }
            damaged += 1;
        }
        self.offset = payloads.offset();
        if damaged > 0 {
            let others = match damaged {
                1 => String::new(),
                more => format!(", and {} more behind it", more - 1),
            };
            content.warnings.push(format!(
                "{}: the record at offset {first} is damaged and left out{others}",
                self.path.display()
            ));
        }
        for series in &mut self.series {
            if !series.points.steps.is_empty() {
                let points = std::mem::replace(&mut series.points, Points::new(self.keep));
                content.scalars.push((series.tag.clone(), points));
            }
        }
        Ok(content)
    }

    fn foreign(&self) -> Error {
        Error::NotAnEventFile {
            path: self.path.clone(),
        }
    }

    /// Reads a payload that differs from the last one of the expected series only in its time, step
    /// and value. Writers repeat the same bytes for all scalars of a tag.
    #[inline]
    fn is_expected(&mut self, payload: &[u8]) -> bool {
        let Some(series) = self.series.get_mut(self.expected) else {
            return false;
        };
        let Some(point) = series
            .layout
            .as_ref()
            .and_then(|layout| layout.point(payload))
        else {
            return false;
        };
        series.points.push(point.step, point.wall_time, point.value);
        self.previous = Some(self.expected);
        self.expected = series.next;
        true
    }

    fn decode(&mut self, payload: &[u8], content: &mut Content) -> Result<(), Malformed> {
        let event = Event::of(payload)?;
        let Some(summary) = event.summary else {
            return Ok(());
        };
        // An event that is malformed is left out as a whole.
        let mut values = event::Values::of(summary);
        while values.next()?.is_some() {}
        let mut values = event::Values::of(summary);
        while let Some(value) = values.next()? {
            self.add(&event, &value, payload, content);
        }
        Ok(())
    }

    fn add(
        &mut self,
        event: &Event<'_>,
        value: &event::Value<'_>,
        payload: &[u8],
        content: &mut Content,
    ) {
        if value.plugin == "hparams"
            && let Ok(found) = hparams::of(value.plugin_content)
        {
            content.hparams.extend(found);
        }
        match self.tag(value) {
            Tag::Scalar(index) => {
                if let Some(number) = value.number {
                    self.push(index, event, number);
                    self.series[index].layout = value
                        .float_bytes
                        .and_then(|bytes| Layout::of(payload, bytes));
                }
            }
            Tag::Text => {
                let lines = value.strings.iter();
                content.texts.push((
                    value.tag.to_owned(),
                    Text {
                        step: event.step,
                        wall_time: event.wall_time,
                        lines: lines
                            .map(|line| String::from_utf8_lossy(line).into_owned())
                            .collect(),
                    },
                ));
            }
            Tag::Other => {}
        }
    }

    fn push(&mut self, index: usize, event: &Event<'_>, number: Number) {
        self.series[index]
            .points
            .push(event.step, event.wall_time, number);
        if let Some(previous) = self.previous {
            self.series[previous].next = index;
        }
        self.previous = Some(index);
        self.expected = self.series[index].next;
    }

    /// The first value of a tag decides what its values are.
    fn tag(&mut self, value: &event::Value<'_>) -> Tag {
        if let Some(tag) = self.tags.get(value.tag) {
            return *tag;
        }
        let tag = match value.kind() {
            Kind::Scalar => {
                let index = self.series.len();
                self.series.push(Series {
                    tag: value.tag.to_owned(),
                    points: Points::new(self.keep),
                    layout: None,
                    next: index,
                });
                Tag::Scalar(index)
            }
            Kind::Text => Tag::Text,
            Kind::Other => Tag::Other,
        };
        self.tags.insert(value.tag.to_owned(), tag);
        tag
    }
}

/// Whether TensorBoard would take a file of this name for an event file.
pub fn is_named_like_one(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().contains("tfevents")
}
