//! The values in one event of an event file: `tensorflow.Event`.

use super::tensor::Tensor;
use super::values::Number;
use super::wire::{Fields, Malformed, Wire};

/// The content of an event that fitwatch reads.
#[derive(Debug, Default)]
pub struct Event<'a> {
    /// Seconds since the Unix epoch.
    pub wall_time: f64,
    pub step: i64,
    /// The encoded `Summary`, if the event has one.
    pub summary: Option<&'a [u8]>,
}

impl<'a> Event<'a> {
    /// Reads the fields of an event.
    pub fn of(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut event = Self::default();
        let mut fields = Fields::of(payload);
        while let Some(field) = fields.next()? {
            match field {
                (1, Wire::Fixed64(bytes)) => event.wall_time = f64::from_le_bytes(bytes),
                #[allow(clippy::cast_possible_wrap)] // protobuf encodes a negative int64 like this
                (2, Wire::Varint(step)) => event.step = step as i64,
                (5, Wire::Bytes(summary)) => event.summary = Some(summary),
                _ => {}
            }
        }
        Ok(event)
    }
}

/// A value of a summary: `tensorflow.Summary.Value`.
#[derive(Debug, Default)]
pub struct Value<'a> {
    pub tag: &'a str,
    /// The number, if it is a scalar.
    pub number: Option<Number>,
    /// The bytes of the number in the payload, if it is a float of 32 or 64 bits.
    pub float_bytes: Option<&'a [u8]>,
    /// The texts, if it is a tensor of strings.
    pub strings: Vec<&'a [u8]>,
    /// Whether it is a `simple_value` of TensorFlow 1.
    pub is_simple: bool,
    pub plugin: &'a str,
    /// The content that the plugin gives to its metadata.
    pub plugin_content: &'a [u8],
    /// `tensorflow.DataClass`; 0 if it is not given.
    pub data_class: u64,
}

/// The values of a summary, one after the other.
pub struct Values<'a>(Fields<'a>);

impl<'a> Values<'a> {
    pub fn of(summary: &'a [u8]) -> Self {
        Self(Fields::of(summary))
    }

    /// The next value.
    pub fn next(&mut self) -> Result<Option<Value<'a>>, Malformed> {
        while let Some(field) = self.0.next()? {
            if let (1, Wire::Bytes(value)) = field {
                return Value::of(value).map(Some);
            }
        }
        Ok(None)
    }
}

impl<'a> Value<'a> {
    fn of(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut value = Self::default();
        let mut fields = Fields::of(message);
        let mut rest = message;
        while let Some(field) = fields.next()? {
            let behind = fields.rest();
            match field {
                (1, Wire::Bytes(tag)) => value.tag = text(tag)?,
                (2, Wire::Fixed32(bytes)) => {
                    value.number = Some(Number::F32(f32::from_le_bytes(bytes)));
                    value.is_simple = true;
                    // The field is a key and these bytes.
                    value.float_bytes =
                        rest.get(rest.len() - behind.len() - 4..rest.len() - behind.len());
                }
                (8, Wire::Bytes(tensor)) => {
                    let tensor = Tensor::of(tensor)?;
                    value.number = tensor.number();
                    value.float_bytes = tensor.float_bytes();
                    value.strings = tensor.into_strings();
                    value.is_simple = false;
                }
                (9, Wire::Bytes(metadata)) => value.read_metadata(metadata)?,
                _ => {}
            }
            rest = behind;
        }
        Ok(value)
    }

    /// Reads `tensorflow.SummaryMetadata`.
    fn read_metadata(&mut self, metadata: &'a [u8]) -> Result<(), Malformed> {
        let mut fields = Fields::of(metadata);
        while let Some(field) = fields.next()? {
            match field {
                (1, Wire::Bytes(plugin)) => {
                    let mut fields = Fields::of(plugin);
                    while let Some(field) = fields.next()? {
                        match field {
                            (1, Wire::Bytes(name)) => self.plugin = text(name)?,
                            (2, Wire::Bytes(content)) => self.plugin_content = content,
                            _ => {}
                        }
                    }
                }
                (4, Wire::Varint(class)) => self.data_class = class,
                _ => {}
            }
        }
        Ok(())
    }

    /// What the tag of this value is, if this is its first value in a file: as TensorBoard decides.
    pub fn kind(&self) -> Kind {
        const SCALAR: u64 = 1;
        match self.data_class {
            0 if self.is_simple => Kind::Scalar,
            0 => match self.plugin {
                "scalars" => Kind::Scalar,
                "text" => Kind::Text,
                // Written without metadata; TensorBoard does not show these.
                "" if self.number.is_some() => Kind::Scalar,
                _ => Kind::Other,
            },
            SCALAR => Kind::Scalar,
            _ if self.plugin == "text" => Kind::Text,
            _ => Kind::Other,
        }
    }
}

/// The kind of a tag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Scalar,
    Text,
    /// Images, histograms, graphs and others, which are not read.
    Other,
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}
