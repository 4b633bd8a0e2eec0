//! The start of a COPY.

use crate::read::{Malformed, Reader};

/// The body of `CopyInResponse`, `CopyOutResponse` and `CopyBothResponse`; the tag tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyResponse<'a> {
    /// 0 when the whole is text, 1 when binary.
    pub format: u8,
    formats: &'a [[u8; 2]],
}

impl<'a> CopyResponse<'a> {
    /// Reads the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let format = reader.u8()?;
        let count = usize::from(reader.u16()?);
        let (formats, _) = reader.take(count * 2)?.as_chunks();
        reader.end()?;
        Ok(Self { format, formats })
    }

    /// The format of each column, as in [`super::format`].
    pub fn column_formats(&self) -> impl ExactSizeIterator<Item = u16> + Clone + use<'a> {
        self.formats.iter().map(|code| u16::from_be_bytes(*code))
    }
}
