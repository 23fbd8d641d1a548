//! The bytes that all events of a tag have in common.

use super::values::Number;
use super::wire::{Fields, Wire, varint};

/// The encoded summary of an event with one scalar, before and after the bytes of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    before: Vec<u8>,
    after: Vec<u8>,
    /// The number of bytes of the value: 4 or 8.
    size: usize,
}

/// A point as it is in an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub wall_time: f64,
    pub step: i64,
    pub value: Number,
}

impl Layout {
    /// The layout of a payload, of which `value` is the part with the float. None if the payload
    /// has anything besides time, step and a summary with one value, in this order.
    pub fn of(payload: &[u8], value: &[u8]) -> Option<Self> {
        let (_, _, rest) = head(payload)?;
        let mut fields = Fields::of(rest);
        let Ok(Some((5, Wire::Bytes(summary)))) = fields.next() else {
            return None;
        };
        let mut values = Fields::of(summary);
        let one = matches!(values.next(), Ok(Some((1, _)))) && values.rest().is_empty();
        if !one || !fields.rest().is_empty() {
            return None;
        }
        let start = (value.as_ptr() as usize).checked_sub(rest.as_ptr() as usize)?;
        Some(Self {
            before: rest.get(..start)?.to_vec(),
            after: rest.get(start + value.len()..)?.to_vec(),
            size: value.len(),
        })
    }

    /// The point in a payload of this layout; `None` if the payload has another one.
    #[inline]
    pub fn point(&self, payload: &[u8]) -> Option<Point> {
        let (wall_time, step, rest) = head(payload)?;
        let value = rest.strip_prefix(self.before.as_slice())?;
        let (value, after) = value.split_at_checked(self.size)?;
        if after != self.after {
            return None;
        }
        let value = match value.try_into() {
            Ok(bytes) => Number::F32(f32::from_le_bytes(bytes)),
            Err(_) => Number::F64(f64::from_le_bytes(value.try_into().ok()?)),
        };
        Some(Point {
            wall_time,
            step,
            value,
        })
    }
}

/// Time and step of an event that begins with them, and the bytes after them.
#[inline]
fn head(payload: &[u8]) -> Option<(f64, i64, &[u8])> {
    let (wall_time, rest) = payload.strip_prefix(&[0x09])?.split_first_chunk()?;
    let wall_time = f64::from_le_bytes(*wall_time);
    let Some(mut rest) = rest.strip_prefix(&[0x10]) else {
        return Some((wall_time, 0, rest));
    };
    #[allow(clippy::cast_possible_wrap)] // protobuf encodes a negative int64 like this
    let step = varint(&mut rest).ok()? as i64;
    Some((wall_time, step, rest))
}

#[cfg(test)]
mod tests {
    use super::super::event::{Event, Values};
    use super::*;
    use crate::files::event_file::Template;

    fn payload(value: f32, step: i64, wall_time: f64) -> Vec<u8> {
        Template::new("loss").event(value, step, wall_time, |event| event.concat())
    }

    fn layout(payload: &[u8]) -> Option<Layout> {
        let event = Event::of(payload).expect("an event");
        let mut values = Values::of(event.summary.expect("a summary"));
        let value = values.next().expect("a value").expect("a value");
        Layout::of(payload, value.float_bytes.expect("a float"))
    }

    #[test]
    fn another_event_of_the_tag_has_the_layout() {
        let known = layout(&payload(0.5, 1, 2.0)).expect("a layout");
        for (value, step, wall_time) in [(1.5, 0, 0.0), (-0.0, 1 << 40, 1.7e9), (3.0, -1, -1.0)] {
            let point = Point {
                wall_time,
                step,
                value: Number::F32(value),
            };
            assert_eq!(known.point(&payload(value, step, wall_time)), Some(point));
        }
    }

    #[test]
    fn any_other_byte_is_another_layout() {
        let event = payload(0.5, 1, 2.0);
        let known = layout(&event).expect("a layout");
        let value = event
            .windows(4)
            .position(|bytes| bytes == 0.5_f32.to_le_bytes());
        let value = value.expect("the value");
        for at in (0..event.len()).filter(|at| !(value..value + 4).contains(at)) {
            let mut other = event.clone();
            other[at] ^= 0x40;
            let is_head = (1..9).contains(&at) || at == 10;
            assert_eq!(known.point(&other).is_some(), is_head, "{at}");
        }
        for end in 0..event.len() {
            assert_eq!(known.point(&event[..end]), None);
        }
        assert_eq!(known.point(&[event, vec![0]].concat()), None);
    }

    #[test]
    fn an_event_with_more_than_one_scalar_has_no_layout() {
        let event = payload(0.5, 1, 2.0);
        let with_another_field = [event, vec![0x10, 0x05]].concat();
        assert_eq!(layout(&with_another_field), None);
    }
}
