//! What a link does to its connections at the moment.

use std::time::Duration;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From who has connected to the link, to the server behind it.
    ToServer,
    /// Back.
    ToClient,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With FIN, as a program does that closes or ends.
    Close,
    /// With RST, as a host does that knows nothing of the connection.
    Reset,
}

/// The state of the link; connections watch it.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    to_server: Way,
    to_client: Way,
    /// How often all connections have been cut; a connection ends when this is no longer what it
    /// was at its begin.
    pub(super) cuts: u64,
    /// How the last of those cuts was.
    pub(super) last_cut: Option<Ending>,
}

/// The state of one direction.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    pub(super) held: bool,
    pub(super) delay: Duration,
    /// At least 1.
    pub(super) bytes_per_second: Option<u32>,
    pub(super) cut_at: Option<(u64, Ending)>,
}

impl Conditions {
    pub(super) fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    pub(super) fn way_mut(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    pub(super) fn cut(&mut self, ending: Ending) {
        self.cuts += 1;
        self.last_cut = Some(ending);
    }

    pub(super) fn heal(&mut self) {
        self.to_server = Way::default();
        self.to_client = Way::default();
    }
}
