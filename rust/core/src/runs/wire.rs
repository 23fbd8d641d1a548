//! The wire format of Protocol Buffers: fields of a message, without copies.
//!
//! `prost` decodes into owned messages, with allocations for each event; the reader of event files
//! looks at tens of millions of them.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// A message that does not follow the wire format.
#[derive(Debug, PartialEq)]
pub struct Malformed;

/// The fields of a message, in the order in which they were written.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The number and the value of the next field.
    pub fn next(&mut self) -> Result<Option<(u64, Wire<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = varint(&mut self.rest)?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut self.rest)?),
            1 => Wire::Fixed64(self.chunk()?),
            2 => {
                let length = varint(&mut self.rest)?;
                let length = usize::try_from(length).map_err(|_| Malformed)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
                self.rest = rest;
                Wire::Bytes(bytes)
            }
            5 => Wire::Fixed32(self.chunk()?),
            _ => return Err(Malformed),
        };
        Ok(Some((key >> 3, value)))
    }

    /// The bytes after the fields that were read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*chunk)
    }
}

/// Takes a variable-length integer from the beginning of `bytes`.
pub fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *bytes = &bytes[at + 1..];
            return Ok(number);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::encoding::encode_varint;

    use super::*;

    #[test]
    fn fields_of_every_kind() {
        let message = b"\x08\x96\x01\x11\x01\0\0\0\0\0\0\0\x1a\x02hi\x25\x02\0\0\0";
        let mut fields = Fields::of(message);
        assert_eq!(fields.next(), Ok(Some((1, Wire::Varint(150)))));
        assert_eq!(
            fields.next(),
            Ok(Some((2, Wire::Fixed64(1_u64.to_le_bytes()))))
        );
        assert_eq!(fields.next(), Ok(Some((3, Wire::Bytes(b"hi")))));
        assert_eq!(
            fields.next(),
            Ok(Some((4, Wire::Fixed32(2_u32.to_le_bytes()))))
        );
        assert_eq!(fields.next(), Ok(None));
    }

    #[test]
    fn a_message_that_is_cut_off_is_malformed() {
        for message in [&b"\x08"[..], b"\x11\0", b"\x1a\x05hi", b"\x25\0", b"\x0b"] {
            assert_eq!(Fields::of(message).next(), Err(Malformed), "{message:?}");
        }
        assert_eq!(varint(&mut &[0xff; 11][..]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn integers_come_back(number: u64) {
            let mut bytes = Vec::new();
            encode_varint(number, &mut bytes);
            bytes.push(7);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(varint(&mut rest), Ok(number));
            prop_assert_eq!(rest, [7]);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut fields = Fields::of(&bytes);
            while let Ok(Some(_)) = fields.next() {}
        }
    }
}
