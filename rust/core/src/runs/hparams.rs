//! Hyperparameters, as TensorBoard's plugin `hparams` keeps them in the metadata of a summary.

use super::content::HParam;
use super::wire::{Fields, Malformed, Wire};

/// The hyperparameters in a `HParamsPluginData`: those of its `session_start_info`.
pub fn of(message: &[u8]) -> Result<Vec<(String, HParam)>, Malformed> {
    let mut found = Vec::new();
    let mut fields = Fields::of(message);
    while let Some(field) = fields.next()? {
        let (3, Wire::Bytes(session)) = field else {
            continue;
        };
        let mut fields = Fields::of(session);
        while let Some(field) = fields.next()? {
            if let (1, Wire::Bytes(entry)) = field {
                found.extend(entry_of(entry)?);
            }
        }
    }
    Ok(found)
}

fn entry_of(entry: &[u8]) -> Result<Option<(String, HParam)>, Malformed> {
    let (mut name, mut value) = (String::new(), None);
    let mut fields = Fields::of(entry);
    while let Some(field) = fields.next()? {
        match field {
            (1, Wire::Bytes(text)) => name = String::from_utf8_lossy(text).into_owned(),
            (2, Wire::Bytes(message)) => value = value_of(message)?,
            _ => {}
        }
    }
    Ok(value.map(|value| (name, value)))
}

/// A `google.protobuf.Value`.
fn value_of(message: &[u8]) -> Result<Option<HParam>, Malformed> {
    Ok(match Fields::of(message).next()? {
        Some((2, Wire::Fixed64(bytes))) => Some(HParam::Number(f64::from_le_bytes(bytes))),
        Some((3, Wire::Bytes(text))) => {
            Some(HParam::Text(String::from_utf8_lossy(text).into_owned()))
        }
        Some((4, Wire::Varint(flag))) => Some(HParam::Flag(flag != 0)),
        _ => None,
    })
}
