//! The part of TensorFlow's `event.proto`, `summary.proto` and `tensor.proto` that scalars need.
//!
//! Field numbers are those of the public `.proto` files; fields that are never written are omitted.

use prost::Message;

/// `tensorflow.Event`
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since the Unix epoch.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// Only in the first event of a file.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
    #[prost(message, optional, tag = "10")]
    pub source_metadata: Option<SourceMetadata>,
}

/// `tensorflow.SourceMetadata`
#[derive(Clone, PartialEq, Message)]
pub struct SourceMetadata {
    #[prost(string, tag = "1")]
    pub writer: String,
}

/// `tensorflow.Summary`
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// `tensorflow.Summary.Value`
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(string, tag = "1")]
    pub tag: String,
    #[prost(message, optional, tag = "8")]
    pub tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<Metadata>,
}

/// `tensorflow.TensorProto`
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// `tensorflow.DataType`; see [`DT_FLOAT`].
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
    /// The values, little-endian.
    #[prost(bytes = "vec", tag = "4")]
    pub content: Vec<u8>,
    /// The values of a tensor of strings.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub strings: Vec<Vec<u8>>,
}

/// `tensorflow.DataType.DT_FLOAT`
pub const DT_FLOAT: i32 = 1;

/// `tensorflow.DataType.DT_STRING`
pub const DT_STRING: i32 = 7;

/// `tensorflow.TensorShapeProto` of a scalar: no dimensions.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {}

/// `tensorflow.SummaryMetadata`
#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub plugin_data: Option<PluginData>,
}

/// `tensorflow.SummaryMetadata.PluginData`
#[derive(Clone, PartialEq, Message)]
pub struct PluginData {
    #[prost(string, tag = "1")]
    pub plugin_name: String,
}
