//! What the tests of the session share: its surroundings, and frames.

use bytes::BytesMut;
use trunkline_session::{RecentParses, StatementStore, Surroundings};
use trunkline_wire::Frames;

/// One process: its statements and its numbers.
#[derive(Debug, Default)]
pub(crate) struct World {
    store: StatementStore,
    keys: u64,
    recent: RecentParses,
}

impl Surroundings for World {
    /// A poor hash on purpose: texts collide, and must be told apart by their bytes.
    fn hash(&self, text: &[u8], types: &[u8], environment: &[u8]) -> u64 {
        u64::try_from((text.len() + types.len() + environment.len()) % 7)
            .expect("a number below seven")
    }

    fn with_store<T>(&mut self, work: impl FnOnce(&mut StatementStore) -> T) -> T {
        work(&mut self.store)
    }

    fn unnamed_key(&mut self) -> u64 {
        self.keys += 1;
        self.keys
    }

    fn recent(&mut self) -> &mut RecentParses {
        &mut self.recent
    }
}

/// Tag and body of each frame.
pub(crate) type Message = (u8, Vec<u8>);

/// The whole frames in `bytes`; there must be nothing else.
pub(crate) fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut frames = Frames::new(bytes);
    let all = frames.by_ref().map(|frame| frame.expect("a frame of possible length"));
    let all = all.map(|frame| (frame.tag, frame.body.to_vec())).collect();
    assert!(frames.rest().is_empty(), "half a frame was written: {:?}", frames.rest());
    all
}

/// What `write` appends.
pub(crate) fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}
