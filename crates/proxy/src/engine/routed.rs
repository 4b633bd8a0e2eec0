//! What is known of a client whose reads may go to standbys.

use trunkline_route::{Asked, Because, Plain};
use trunkline_session::{Beaten, BlockEnd};

use super::{
    asking::Ruled,
    crossing::Crossing,
    floors::{Errand, Turns},
    slot::ClientRare,
    trial::Trial,
};
use crate::{
    cluster::NodeId,
    routing::{Floor, Whereabouts},
};

/// What is known of a client whose reads may go to standbys.
#[derive(Debug, Default)]
pub(crate) struct Routed {
    /// What it must find on a standby.
    pub(super) floor: Floor,
    /// Where its names are looked for.
    pub(super) path: Whereabouts,
    /// How often it was kept from it.
    pub(super) turns: Turns,
    /// What it does at the primary.
    pub(super) errand: Errand,
    /// What has gone to a standby, as long as nothing is answered.
    pub(super) trial: Option<Trial>,
    /// Room for the next one.
    pub(super) room: Vec<u8>,
    /// What it sends next goes to the primary.
    pub(super) stays_home: bool,
    /// The primary, if it serves the client's reads as its share of them.
    pub(super) shared: Option<NodeId>,
    /// What the rules in the settings say for it.
    pub(super) ruled: Option<Ruled>,
    /// Since when it has waited for a standby, if its session is a standby's; 0 while one serves it.
    pub(super) stranded_since: u64,
    /// Whether it has sent what may end the transaction that it has open at a standby.
    pub(super) block_end: BlockEnd,
    /// The transaction that it has begun there and that may go on on the primary.
    pub(super) crossing: Crossing,
    /// What it has sent last that only reads.
    pub(super) way: Way,
}

/// A burst that only reads, and all by which that was found: it need not be found again while that is the same.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) beaten: Beaten,
    pub(super) because: Because,
    pub(super) by: FoundBy,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            beaten: Beaten::default(),
            because: Because::Plain(Plain::NoQuery),
            by: FoundBy::default(),
        }
    }
}

/// What it was found by, besides the burst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FoundBy {
    pub(super) asked: Asked,
    /// The generation of the catalog.
    pub(super) generation: u64,
    /// The version of how the client's texts are read.
    pub(super) path: u64,
    /// How many times the settings have changed that have a say, and how many texts had been learnt.
    pub(super) judge: (u64, u64),
}

impl Routed {
    /// What has gone to a standby, if anything, stays there.
    pub(super) fn settle(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.room = trial.into_room();
        }
    }
}

impl ClientRare {
    /// That of this client.
    pub(super) fn routed(&mut self) -> &mut Routed {
        self.routed.get_or_insert_default()
    }

    /// The same, if it has sent something to a standby that has not answered anything.
    pub(super) fn tried(&mut self) -> Option<&mut Routed> {
        self.routed.as_deref_mut().filter(|routed| routed.trial.is_some())
    }
}
