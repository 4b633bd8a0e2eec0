//! Helpers of this crate's tests.

use crate::frame::Frames;

/// Feeds `stream` in two parts, cut at every byte, and byte by byte; `check` sees the frames each way.
pub(crate) fn every_split(stream: &[u8], check: impl Fn(&[(u8, Vec<u8>)])) {
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        check(&fed(&[head, tail]));
    }
    check(&fed(&stream.chunks(1).collect::<Vec<_>>()));
}

/// What a reader sees that appends each part to its buffer and takes off whole frames.
fn fed(parts: &[&[u8]]) -> Vec<(u8, Vec<u8>)> {
    let mut buf = Vec::new();
    let mut seen = Vec::new();
    for part in parts {
        buf.extend_from_slice(part);
        let mut frames = Frames::new(&buf);
        for frame in &mut frames {
            let frame = frame.unwrap();
            seen.push((frame.tag, frame.body.to_vec()));
        }
        let consumed = frames.consumed();
        buf.drain(..consumed);
    }
    assert!(buf.is_empty(), "{} bytes were left over", buf.len());
    seen
}

/// The only frame in `bytes`.
pub(crate) fn only_frame(bytes: &[u8]) -> (u8, &[u8]) {
    let mut frames = Frames::new(bytes);
    let frame = frames.next().unwrap().unwrap();
    assert_eq!(frames.consumed(), bytes.len(), "more than one frame");
    (frame.tag, frame.body)
}
