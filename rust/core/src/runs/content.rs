//! What is read from a file at once.

use super::points::Points;

/// A text at a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The step.
    pub step: i64,
    /// Seconds since the Unix epoch.
    pub wall_time: f64,
    /// The texts of the tensor; one, unless it has several elements.
    pub lines: Vec<String>,
}

/// The value of a hyperparameter.
#[derive(Clone, Debug, PartialEq)]
pub enum HParam {
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// A truth value.
    Flag(bool),
}

/// What has been added to a file since it was read the last time.
#[derive(Debug, Default)]
pub struct Content {
    /// Points by tag.
    pub scalars: Vec<(String, Points)>,
    /// Texts by tag.
    pub texts: Vec<(String, Text)>,
    /// Hyperparameters by name.
    pub hparams: Vec<(String, HParam)>,
    /// What is wrong with the file.
    pub warnings: Vec<String>,
}
