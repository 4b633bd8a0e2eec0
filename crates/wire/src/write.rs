//! The few primitives all message writers are made of.

use bytes::{BufMut, BytesMut};

use crate::frame::MAX_FRAME;

/// Declared length of a message that grew past [`MAX_FRAME`]. Every receiver refuses it as an invalid
/// message length, so the connection ends instead of going on out of step.
const UNSENDABLE: u32 = u32::MAX;

/// Appends one framed message whose body `fill` writes.
#[inline]
pub(crate) fn framed(out: &mut BytesMut, tag: u8, fill: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    counted(out, fill);
}

/// Appends a length word that counts itself and what `fill` writes.
#[inline]
pub(crate) fn counted(out: &mut BytesMut, fill: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    fill(out);
    let declared = length_word(out.len() - start);
    if let Some(word) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<4>) {
        *word = declared.to_be_bytes();
    }
}

/// The length word for `declared` bytes, the word itself included.
#[inline]
pub(crate) fn length_word(declared: usize) -> u32 {
    if declared > MAX_FRAME { UNSENDABLE } else { u32::try_from(declared).unwrap_or(UNSENDABLE) }
}

/// Appends `text` and a NUL. A text that holds a NUL ends there, as it would for any C reader.
#[inline]
pub(crate) fn put_cstr(out: &mut BytesMut, text: &[u8]) {
    let text = std::ffi::CStr::from_bytes_until_nul(text).map_or(text, std::ffi::CStr::to_bytes);
    out.put_slice(text);
    out.put_u8(0);
}

/// Appends a length-prefixed value, or the length -1 for SQL NULL.
#[inline]
pub(crate) fn put_value(out: &mut BytesMut, value: Option<&[u8]>) {
    match value {
        None => out.put_i32(-1),
        Some(value) => {
            out.put_u32(u32::try_from(value.len()).unwrap_or(UNSENDABLE));
            out.put_slice(value);
        }
    }
}

/// Writes items after a 16-bit count of them, which is patched in afterwards. Items past 65535 are left
/// out: the protocol cannot count them.
#[inline]
pub(crate) fn put_listed<T>(
    out: &mut BytesMut,
    items: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut BytesMut, T),
) {
    let start = out.len();
    out.put_u16(0);
    let mut count = 0_u16;
    for item in items.into_iter().take(usize::from(u16::MAX)) {
        put(out, item);
        count = count.saturating_add(1);
    }
    if let Some(word) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<2>) {
        *word = count.to_be_bytes();
    }
}
