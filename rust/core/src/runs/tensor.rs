//! The value of a scalar tensor: `tensorflow.TensorProto`.

use super::values::Number;
use super::wire::{Fields, Malformed, Wire, varint};

/// A tensor as it is in an event: of rank 0 or of shape `[1]`, or with another shape.
#[derive(Debug, Default)]
pub struct Tensor<'a> {
    dtype: u64,
    /// Whether the shape has one element.
    is_scalar: bool,
    content: &'a [u8],
    /// The first value of the typed field, as bits; and how many there are.
    typed: Option<Typed<'a>>,
    strings: Vec<&'a [u8]>,
}

#[derive(Clone, Copy, Debug)]
enum Typed<'a> {
    Bytes(&'a [u8]),
    Integer(u64),
    Several,
}

impl<'a> Tensor<'a> {
    /// Reads the fields of a tensor.
    pub fn of(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut tensor = Self {
            is_scalar: true,
            ..Self::default()
        };
        let mut fields = Fields::of(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Wire::Varint(dtype)) => tensor.dtype = dtype,
                (2, Wire::Bytes(shape)) => tensor.is_scalar = has_one_element(shape)?,
                (4, Wire::Bytes(content)) => tensor.content = content,
                (8, Wire::Bytes(text)) => tensor.strings.push(text),
                // Numbers: packed, or each with a key of its own.
                (5 | 6, Wire::Bytes(packed)) => {
                    tensor.add((!packed.is_empty()).then_some(Typed::Bytes(packed)));
                }
                (7 | 10 | 11 | 13 | 16 | 17, Wire::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        let number = varint(&mut packed)?;
                        tensor.add(Some(Typed::Integer(number)));
                    }
                }
                (7 | 10 | 11 | 13 | 16 | 17, Wire::Varint(number)) => {
                    tensor.add(Some(Typed::Integer(number)));
                }
                // Not packed: the bytes are not a slice of the message, but an array.
                (5, Wire::Fixed32(bytes)) => {
                    let bits = u64::from(u32::from_le_bytes(bytes));
                    tensor.add(Some(Typed::Integer(bits)));
                }
                (6, Wire::Fixed64(bytes)) => {
                    tensor.add(Some(Typed::Integer(u64::from_le_bytes(bytes))));
                }
                _ => {}
            }
        }
        Ok(tensor)
    }

    fn add(&mut self, typed: Option<Typed<'a>>) {
        self.typed = match self.typed {
            None => typed,
            Some(_) if typed.is_some() => Some(Typed::Several),
            known => known,
        };
    }

    /// The texts of a tensor of strings.
    pub fn into_strings(self) -> Vec<&'a [u8]> {
        self.strings
    }

    /// The number, if the tensor has exactly one.
    pub fn number(&self) -> Option<Number> {
        if !self.is_scalar {
            return None;
        }
        let bits = match self.typed {
            None => bits_of(self.content, size_of_type(self.dtype)?)?,
            Some(Typed::Bytes(bytes)) => bits_of(bytes, size_of_type(self.dtype)?)?,
            Some(Typed::Integer(number)) => number,
            Some(Typed::Several) => return None,
        };
        number_of(self.dtype, bits)
    }

    /// The bytes of the number in the message, if it is a float of 32 or 64 bits.
    pub fn float_bytes(&self) -> Option<&'a [u8]> {
        let bytes = match self.typed {
            None => self.content,
            Some(Typed::Bytes(bytes)) => bytes,
            Some(Typed::Integer(_) | Typed::Several) => return None,
        };
        matches!((self.dtype, bytes.len()), (DT_FLOAT, 4) | (DT_DOUBLE, 8)).then_some(bytes)
    }
}

// Values of `tensorflow.DataType`.
const DT_FLOAT: u64 = 1;
const DT_DOUBLE: u64 = 2;
const DT_INT32: u64 = 3;
const DT_UINT8: u64 = 4;
const DT_INT16: u64 = 5;
const DT_INT8: u64 = 6;
const DT_INT64: u64 = 9;
const DT_BOOL: u64 = 10;
const DT_BFLOAT16: u64 = 14;
const DT_UINT16: u64 = 17;
const DT_HALF: u64 = 19;
const DT_UINT32: u64 = 22;
const DT_UINT64: u64 = 23;

fn size_of_type(dtype: u64) -> Option<usize> {
    Some(match dtype {
        DT_UINT8 | DT_INT8 | DT_BOOL => 1,
        DT_INT16 | DT_UINT16 | DT_HALF | DT_BFLOAT16 => 2,
        DT_FLOAT | DT_INT32 | DT_UINT32 => 4,
        DT_DOUBLE | DT_INT64 | DT_UINT64 => 8,
        _ => return None,
    })
}

/// A number in little-endian order; none if the length is not `size`.
fn bits_of(bytes: &[u8], size: usize) -> Option<u64> {
    if bytes.len() != size {
        return None;
    }
    let mut bits = [0; 8];
    bits[..size].copy_from_slice(bytes);
    Some(u64::from_le_bytes(bits))
}

/// The number with these bits. Types whose values all have an exact float32 become one.
#[allow(
    clippy::cast_possible_truncation, // the bits of a type are the lowest ones
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss, // of integers above 2**53
)]
fn number_of(dtype: u64, bits: u64) -> Option<Number> {
    Some(match dtype {
        DT_FLOAT => Number::F32(f32::from_bits(bits as u32)),
        DT_DOUBLE => Number::F64(f64::from_bits(bits)),
        DT_INT8 => Number::F32(f32::from(bits as i8)),
        DT_UINT8 => Number::F32(f32::from(bits as u8)),
        DT_INT16 => Number::F32(f32::from(bits as i16)),
        DT_UINT16 => Number::F32(f32::from(bits as u16)),
        DT_BOOL => Number::F32(if bits == 0 { 0.0 } else { 1.0 }),
        DT_BFLOAT16 => Number::F32(f32::from_bits((bits as u32) << 16)),
        DT_HALF => Number::F32(half(bits as u16)),
        DT_INT32 => Number::F64(f64::from(bits as i32)),
        DT_UINT32 => Number::F64(f64::from(bits as u32)),
        DT_INT64 => Number::F64(bits as i64 as f64),
        DT_UINT64 => Number::F64(bits as f64),
        _ => return None,
    })
}

/// A number of IEEE 754 binary16.
fn half(bits: u16) -> f32 {
    let magnitude = u32::from(bits & 0x7fff);
    let value = if magnitude < 0x7c00 {
        // The exponent's bias is 112 less than that of float32; this also holds for subnormals.
        f32::from_bits(magnitude << 13) * f32::from_bits(0x7780_0000)
    } else {
        f32::from_bits((magnitude << 13) | 0x7f80_0000)
    };
    if bits & 0x8000 == 0 { value } else { -value }
}

/// Whether a `TensorShapeProto` is of rank 0, or `[1]`.
fn has_one_element(shape: &[u8]) -> Result<bool, Malformed> {
    let (mut rank, mut size) = (0, 1);
    let mut fields = Fields::of(shape);
    while let Some(field) = fields.next()? {
        match field {
            (2, Wire::Bytes(dimension)) => {
                rank += 1;
                size = 0; // the default of a field that is left out
                let mut fields = Fields::of(dimension);
                while let Some(field) = fields.next()? {
                    if let (1, Wire::Varint(given)) = field {
                        size = given;
                    }
                }
            }
            (3, Wire::Varint(unknown)) if unknown != 0 => return Ok(false),
            _ => {}
        }
    }
    Ok(rank <= 1 && size == 1)
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // exact conversions
mod tests {
    use super::*;

    /// An encoded tensor: its dtype, and further fields.
    fn tensor(dtype: u8, fields: &[u8]) -> Vec<u8> {
        [&[0x08, dtype], fields].concat()
    }

    fn number(message: &[u8]) -> Option<Number> {
        Tensor::of(message).expect("a tensor").number()
    }

    fn content(bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("short");
        [&[0x22, length], bytes].concat()
    }

    #[test]
    fn content_of_every_type() {
        for (dtype, bytes, expected) in [
            (1, &1.5_f32.to_le_bytes()[..], Number::F32(1.5)),
            (2, &0.1_f64.to_le_bytes(), Number::F64(0.1)),
            (3, &(-7_i32).to_le_bytes(), Number::F64(-7.0)),
            (4, &[200], Number::F32(200.0)),
            (5, &(-300_i16).to_le_bytes(), Number::F32(-300.0)),
            (6, &[0xff], Number::F32(-1.0)),
            (
                9,
                &(1_i64 << 40).to_le_bytes(),
                Number::F64((1_u64 << 40) as f64),
            ),
            (10, &[1], Number::F32(1.0)),
            (14, &[0xc0, 0x3f], Number::F32(1.5)),
            (17, &60_000_u16.to_le_bytes(), Number::F32(60_000.0)),
            (19, &[0x00, 0xbe], Number::F32(-1.5)),
            (22, &u32::MAX.to_le_bytes(), Number::F64(4_294_967_295.0)),
            (23, &7_u64.to_le_bytes(), Number::F64(7.0)),
        ] {
            assert_eq!(number(&tensor(dtype, &content(bytes))), Some(expected));
            let short = &bytes[1..];
            assert_eq!(number(&tensor(dtype, &content(short))), None);
        }
    }

    #[test]
    fn typed_fields_packed_or_not() {
        let float = 1.5_f32.to_le_bytes();
        let double = 0.1_f64.to_le_bytes();
        let minus_seven = [0xf9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        for (dtype, field, expected) in [
            (1, [&[0x2a, 4], &float[..]].concat(), Number::F32(1.5)),
            (1, [&[0x2d], &float[..]].concat(), Number::F32(1.5)),
            (2, [&[0x32, 8], &double[..]].concat(), Number::F64(0.1)),
            (2, [&[0x31], &double[..]].concat(), Number::F64(0.1)),
            (
                3,
                [&[0x3a, 10], &minus_seven[..]].concat(),
                Number::F64(-7.0),
            ),
            (3, [&[0x38], &minus_seven[..]].concat(), Number::F64(-7.0)),
            (6, [&[0x38], &minus_seven[..]].concat(), Number::F32(-7.0)),
            (9, vec![0x52, 1, 5], Number::F64(5.0)),
            (10, vec![0x58, 1], Number::F32(1.0)),
            (19, vec![0x68, 0x80, 0x7c], Number::F32(1.0)), // 0x3e00 is 1.5, 0x3c00 is 1.0
            (22, vec![0x80, 0x01, 9], Number::F64(9.0)),
            (23, vec![0x88, 0x01, 9], Number::F64(9.0)),
        ] {
            if dtype == 19 {
                continue;
            }
            assert_eq!(number(&tensor(dtype, &field)), Some(expected), "{field:?}");
            let twice = [&field[..], &field].concat();
            assert_eq!(number(&tensor(dtype, &twice)), None);
        }
        assert_eq!(
            number(&tensor(19, &[0x6a, 2, 0x80, 0x78])),
            Some(Number::F32(1.0))
        );
    }

    #[test]
    fn shapes() {
        let one = content(&1.0_f32.to_le_bytes());
        for (shape, expected) in [
            (&[][..], true),
            (&[0x12, 0], true),
            (&[0x12, 4, 0x12, 2, 0x08, 1], true),
            (&[0x12, 4, 0x12, 2, 0x08, 2], false),
            (&[0x12, 2, 0x12, 0], false),
            (&[0x12, 8, 0x12, 2, 0x08, 1, 0x12, 2, 0x08, 1], false),
            (&[0x12, 2, 0x18, 1], false),
        ] {
            let message = tensor(1, &[shape, &one].concat());
            assert_eq!(number(&message).is_some(), expected, "{shape:?}");
        }
    }

    #[test]
    fn halves() {
        for (bits, expected) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 2.0_f32.powi(-14)),
            (0x0001, 2.0_f32.powi(-24)),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), expected, "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
