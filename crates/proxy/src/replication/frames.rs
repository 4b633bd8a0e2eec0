//! Where messages begin and end in bytes that are not kept.

use trunkline_wire::frame::HEADER;

/// Bytes of the length word, which counts itself.
const LENGTH: usize = HEADER - 1;

/// A stream of messages, of which only the beginnings are looked at.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; HEADER],
    /// How much of the header is there.
    known: usize,
    /// Bytes of the body that are still to come.
    body: usize,
}

impl Frames {
    /// Whether the last message is complete.
    pub(super) fn is_whole(&self) -> bool {
        self.known == 0 && self.body == 0
    }

    /// The next bytes of the stream; `begun` hears of each message that begins, as soon as its header is there.
    pub(super) fn see(&mut self, mut bytes: &[u8], mut begun: impl FnMut(u8)) {
        while !bytes.is_empty() {
            if self.body > 0 {
                let rest = bytes.get(self.body..).unwrap_or_default();
                self.body = self.body.saturating_sub(bytes.len());
                bytes = rest;
                continue;
            }
            let wanted = HEADER.saturating_sub(self.known).min(bytes.len());
            let (part, rest) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
            if let Some(place) = self.header.get_mut(self.known..self.known + part.len()) {
                place.copy_from_slice(part);
            }
            self.known += part.len();
            bytes = rest;
            if self.known == HEADER {
                let [tag, length @ ..] = self.header;
                let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.known = 0;
                self.body = length.saturating_sub(LENGTH);
                begun(tag);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use trunkline_wire::backend;

    use super::*;

    #[test]
    fn messages_are_found_wherever_they_are_cut() {
        let mut stream = BytesMut::new();
        backend::copy_both_response(&mut stream, 0, []);
        let mut ends = vec![stream.len()];
        backend::copy_data(&mut stream, &[7; 300]);
        ends.push(stream.len());
        backend::copy_done(&mut stream);
        ends.push(stream.len());
        backend::ready_for_query(&mut stream, b'I');
        for cut in 0..=stream.len() {
            let (mut frames, mut tags) = (Frames::default(), Vec::new());
            let (first, second) = stream.split_at(cut);
            frames.see(first, |tag| tags.push(tag));
            let at_end = cut == 0 || cut == stream.len() || ends.contains(&cut);
            assert_eq!(frames.is_whole(), at_end, "cut at {cut}");
            frames.see(second, |tag| tags.push(tag));
            assert_eq!((tags, frames.is_whole()), (b"WdcZ".to_vec(), true), "cut at {cut}");
        }
    }

    #[test]
    fn a_length_that_no_server_sends_is_survived() {
        let mut frames = Frames::default();
        frames.see(b"x\0\0\0\0", |_| ());
        assert!(frames.is_whole());
        frames.see(b"x\xff\xff\xff\xffabc", |_| ());
        assert!(!frames.is_whole());
    }
}
