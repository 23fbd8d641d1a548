//! Events of scalars, encoded once per tag.

use prost::Message;
use prost::encoding::encode_varint;

use super::message::{DT_FLOAT, Metadata, PluginData, Shape, Summary, Tensor, Value};

/// The encoded `summary` field of one tag, before and after the value.
///
/// The encoding of all scalars of a tag has the same length, so `prost` encodes it once, and each
/// scalar costs only a copy of its parts.
#[derive(Clone, Debug)]
pub struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Template {
    /// Encodes the template of a tag.
    #[must_use]
    pub fn new(tag: &str) -> Self {
        // A value whose bytes cannot occur elsewhere: no UTF-8 text and no length contains them.
        let marker = [0xff; 4];
        let summary = Summary {
            value: vec![Value {
                tag: tag.to_owned(),
                tensor: Some(Tensor {
                    dtype: DT_FLOAT,
                    shape: Some(Shape {}),
                    content: marker.to_vec(),
                    strings: Vec::new(),
                }),
                metadata: Some(Metadata {
                    plugin_data: Some(PluginData {
                        plugin_name: "scalars".to_owned(),
                    }),
                }),
            }],
        };
        let mut encoded = vec![(5 << 3) | 2]; // field 5 of Event, length-delimited
        encode_varint(summary.encoded_len() as u64, &mut encoded);
        encoded.extend_from_slice(&summary.encode_to_vec());
        let at = encoded
            .windows(marker.len())
            .rposition(|bytes| bytes == marker)
            .unwrap_or_default();
        Self {
            after: encoded.split_off(at + marker.len()),
            before: {
                encoded.truncate(at);
                encoded
            },
        }
    }

    /// Calls `write` with the pieces of an encoded event.
    pub fn event<R>(
        &self,
        value: f32,
        step: i64,
        wall_time: f64,
        write: impl FnOnce(&[&[u8]]) -> R,
    ) -> R {
        // Field 1 of Event (double), then field 2 (int64, a varint of up to 10 bytes). Proto3
        // omits fields that are zero.
        let mut head = [0_u8; 20];
        head[0] = (1 << 3) | 1;
        head[1..9].copy_from_slice(&wall_time.to_le_bytes());
        let mut length = 9;
        if step != 0 {
            head[length] = 2 << 3;
            let mut tail = &mut head[length + 1..];
            let room = tail.len();
            #[allow(clippy::cast_sign_loss)] // protobuf encodes a negative int64 like this
            encode_varint(step as u64, &mut tail);
            length += 1 + room - tail.len();
        }
        write(&[
            &head[..length],
            &self.before,
            &value.to_le_bytes(),
            &self.after,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Event;
    use super::*;

    fn encoded(tag: &str, value: f32, step: i64, wall_time: f64) -> Vec<u8> {
        Template::new(tag).event(value, step, wall_time, |event| event.concat())
    }

    #[test]
    fn an_event_that_tensorflow_wrote() {
        // tf.summary.scalar("epoch_loss", 0.25, step=3), TensorFlow 2.21
        let theirs = b"\t\x14#\x81\xab\x84\xc0\xdaA\x10\x03*'\n%\n\nepoch_lossB\n\x08\x01\x12\x00\"\x04\x00\x00\x80>J\x0b\n\t\n\x07scalars";
        let wall_time = f64::from_le_bytes(*b"\x14#\x81\xab\x84\xc0\xdaA");
        assert_eq!(encoded("epoch_loss", 0.25, 3, wall_time), theirs);
    }

    #[test]
    fn any_event_decodes_to_what_went_in() {
        let long = "потеря/".repeat(50);
        for tag in ["", "x", &long] {
            for step in [0, 1, 127, 128, 1 << 40, -1, i64::MAX, i64::MIN] {
                for value in [0.0, -1.5, f32::MIN_POSITIVE, f32::INFINITY] {
                    let bytes = encoded(tag, value, step, 1.7e9);
                    let event = Event::decode(bytes.as_slice()).expect("a valid message");
                    assert_eq!((event.step, event.wall_time), (step, 1.7e9));
                    let summary = event.summary.expect("a summary");
                    assert_eq!(summary.value[0].tag, tag);
                    let tensor = summary.value[0].tensor.clone().expect("a tensor");
                    assert_eq!(tensor.content, value.to_le_bytes());
                }
            }
        }
    }

    #[test]
    fn a_nan_keeps_its_bits() {
        // All ones is also the marker that `Template::new` searches for.
        let value = f32::from_le_bytes([0xff; 4]);
        let bytes = encoded("x", value, 1, 1.0);
        let event = Event::decode(bytes.as_slice()).expect("a valid message");
        let tensor = event.summary.expect("a summary").value[0].tensor.clone();
        assert_eq!(tensor.expect("a tensor").content, [0xff; 4]);
    }
}
