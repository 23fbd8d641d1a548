//! Events of texts, for TensorBoard's Text page.

use prost::Message;

use super::message::{DT_STRING, Event, Metadata, PluginData, Shape, Summary, Tensor, Value};

/// An encoded event with one text, as `tf.summary.text` writes it.
#[must_use]
pub fn text_event(tag: &str, text: &str, step: i64, wall_time: f64) -> Vec<u8> {
    let value = Value {
        tag: tag.to_owned(),
        tensor: Some(Tensor {
            dtype: DT_STRING,
            shape: Some(Shape {}),
            content: Vec::new(),
            strings: vec![text.as_bytes().to_vec()],
        }),
        metadata: Some(Metadata {
            plugin_data: Some(PluginData {
                plugin_name: "text".to_owned(),
            }),
        }),
    };
    let event = Event {
        wall_time,
        step,
        summary: Some(Summary { value: vec![value] }),
        ..Event::default()
    };
    event.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_tensorflow_wrote() {
        // tf.summary.text("a", "hi", step=3), TensorFlow 2.21
        let theirs = b"\t\xdd\x99\xe2\xf2\xf7\xc2\xdaA\x10\x03*\x19\n\x17\n\x01aB\x08\x08\x07\x12\0B\x02hiJ\x08\n\x06\n\x04text";
        let wall_time = f64::from_le_bytes(*b"\xdd\x99\xe2\xf2\xf7\xc2\xdaA");
        assert_eq!(text_event("a", "hi", 3, wall_time), theirs);
    }
}
