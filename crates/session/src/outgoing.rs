//! What goes on to the other side: ranges of the burst that was read, mixed with messages of ours.

use std::ops::Range;

use bytes::BytesMut;
use trunkline_wire::{
    frame::{HEADER, peek},
    frontend::{self, Describe},
};

/// Splices frames that go on unchanged with messages of ours.
///
/// As long as what goes on is one contiguous range of the source, nothing is copied: the range itself is the
/// parcel. The first insertion copies what was collected so far into the splice buffer.
#[derive(Debug)]
pub struct Outgoing<'b> {
    source: &'b [u8],
    /// Bytes of `source` that go on and are not yet in `spliced`. `run.start <= run.end <= source.len()`.
    run: Range<usize>,
    spliced: &'b mut BytesMut,
    mixed: bool,
}

/// The bytes to write, wherever they lie.
#[derive(Debug)]
pub enum Parcel<'b> {
    /// Nothing is to be written.
    Nothing,
    /// A range of the source, unchanged.
    Direct(&'b [u8]),
    /// The content of the splice buffer.
    Spliced,
}

impl<'b> Outgoing<'b> {
    /// Starts a parcel from `source`; `spliced` takes the bytes if they must be mixed. What `spliced` holds already
    /// goes first.
    pub fn new(source: &'b [u8], spliced: &'b mut BytesMut) -> Self {
        let mixed = !spliced.is_empty();
        Self { source, run: 0..0, spliced, mixed }
    }

    /// Lets `range` of the source go on unchanged.
    #[inline]
    pub fn forward(&mut self, range: Range<usize>) {
        if self.run.end == range.start && !self.run.is_empty() {
            self.run.end = range.end;
            return;
        }
        if !self.run.is_empty() {
            self.flush();
        }
        self.run = range;
    }

    /// The buffer for a message of ours, placed after all that was forwarded so far.
    pub fn insert(&mut self) -> &mut BytesMut {
        self.flush();
        self.mixed = true;
        self.spliced
    }

    /// Whether what was forwarded last ends at `end` of the source.
    pub fn ends_at(&self, end: usize) -> bool {
        !self.run.is_empty() && self.run.end == end
    }

    /// Whether the message at this place of the source asks for the description of a portal of this name. What has not been
    /// read yet does not count.
    #[cold]
    pub fn describes_portal_at(&self, at: usize, portal: &[u8]) -> bool {
        let Some(behind) = self.source.get(at..) else { return false };
        let Ok(Some(header)) = peek(behind) else { return false };
        let body = behind.get(..header.len).and_then(|frame| frame.get(HEADER..));
        header.tag == frontend::tag::DESCRIBE
            && body.and_then(|body| Describe::parse(body).ok())
                == Some(Describe { kind: frontend::PORTAL, name: portal })
    }

    /// Ends the parcel.
    pub fn finish(mut self) -> Parcel<'b> {
        if self.mixed {
            self.flush();
            return if self.spliced.is_empty() { Parcel::Nothing } else { Parcel::Spliced };
        }
        match self.source.get(self.run.clone()) {
            Some(bytes) if !bytes.is_empty() => Parcel::Direct(bytes),
            _ => Parcel::Nothing,
        }
    }

    fn flush(&mut self) {
        if self.run.is_empty() {
            return;
        }
        if let Some(bytes) = self.source.get(self.run.clone()) {
            self.spliced.extend_from_slice(bytes);
        }
        self.mixed = true;
        self.run = 0..0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contiguous_run_is_not_copied() {
        let source = b"abcdef";
        let mut buffer = BytesMut::new();
        let mut out = Outgoing::new(source, &mut buffer);
        out.forward(0..2);
        out.forward(2..5);
        assert!(matches!(out.finish(), Parcel::Direct(b"abcde")));
        assert!(buffer.is_empty());
    }

    #[test]
    fn an_insertion_keeps_the_order() {
        let source = b"abcdef";
        let mut buffer = BytesMut::new();
        let mut out = Outgoing::new(source, &mut buffer);
        out.forward(0..2);
        out.insert().extend_from_slice(b"--");
        out.forward(3..4);
        out.forward(5..6);
        assert!(matches!(out.finish(), Parcel::Spliced));
        assert_eq!(&buffer[..], b"ab--df");
    }

    #[test]
    fn nothing_forwarded_is_nothing() {
        let mut buffer = BytesMut::new();
        assert!(matches!(Outgoing::new(b"abc", &mut buffer).finish(), Parcel::Nothing));
    }
}
