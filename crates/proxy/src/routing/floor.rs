//! What a session must find on a standby before it reads there.

use trunkline_cluster::Lsn;

use crate::{
    cluster::NodeId,
    positions::{Picture, Ticket},
};

/// What a session must find: all that it has seen or done before. It has no floor as long as it has been nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    /// Since when the place is not known that it must find; see [`Positions::want`](crate::positions::Positions::want).
    ticket: Option<Ticket>,
    /// The place, and the epoch of the log it belongs to.
    place: Option<(u64, Lsn)>,
    /// The standby it has read from since: what it has seen there is known of no other one.
    reader: Option<NodeId>,
}

/// Why a session does not read from a standby now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Below {
    /// It is not known yet where the log was when its last transaction on the primary ended.
    Unknown,
    /// The standby is not known to have replayed what the session must find.
    NotReached,
}

impl Floor {
    /// The session has ended a transaction on the primary, or is about to read from another standby than before; where the
    /// log is now will be known by this ticket. That is behind all that it has seen: it may read from any standby that has
    /// replayed it.
    pub(crate) fn raise(&mut self, ticket: Ticket) {
        self.ticket = Some(ticket);
        self.reader = None;
    }

    /// The standby that it has read from since then.
    pub(crate) fn reader(&self) -> Option<NodeId> {
        self.reader
    }

    /// It reads from this standby now.
    pub(crate) fn reads_from(&mut self, node: NodeId) {
        self.reader = Some(node);
    }

    /// Whether the session finds on a standby what it must.
    pub(crate) fn is_reached(&mut self, picture: &Picture, node: NodeId) -> Result<(), Below> {
        let Some(place) = self.place_in(picture)? else { return Ok(()) };
        let replayed = picture.standby(node).ok_or(Below::NotReached)?;
        if replayed.lsn >= place { Ok(()) } else { Err(Below::NotReached) }
    }

    /// The place in the log of now; none if the session has been nowhere.
    fn place_in(&mut self, picture: &Picture) -> Result<Option<Lsn>, Below> {
        if let Some(ticket) = self.ticket {
            let sample = picture.latest.filter(|sample| sample.covers(ticket));
            let sample = sample.ok_or(Below::Unknown)?;
            self.ticket = None;
            self.place = Some((sample.epoch, sample.lsn));
        }
        let Some((epoch, lsn)) = self.place else { return Ok(None) };
        if epoch == picture.epoch {
            return Ok(Some(lsn));
        }
        // All of the older history is in what the new primary began with.
        let first = picture.first.ok_or(Below::Unknown)?;
        self.place = Some((picture.epoch, first.lsn));
        Ok(Some(first.lsn))
    }
}
