//! What a session must find on a standby before it reads there.

use std::cmp::Ordering;

use trunkline_cluster::Lsn;
use trunkline_session::Token;

use crate::{
    cluster::NodeId,
    positions::{Picture, Sample, Ticket, without_header},
};

/// What a session must find: all that it has seen or done before, and what it has been told of. It has no floor as long as
/// it has been nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    /// The place is not known yet: a sample that covers this tells it.
    ticket: Option<Ticket>,
    /// The place.
    place: Option<Place>,
    /// One that another session was told, as long as it is not known where that is in the log of now.
    token: Option<Token>,
    /// Where it has read since it was on the primary.
    reader: Option<Reader>,
    /// By what it was seen last that it finds there what it must; nothing has been added to that since.
    seen: Option<SeenBy>,
}

/// By what it was seen that a session finds on its standby what it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeenBy {
    /// The picture: see [`Picture::version`].
    pub(crate) picture: u64,
    /// The generation of the catalog that it goes by.
    pub(crate) generation: u64,
    /// When it was said anew which writes reads find.
    pub(crate) since_us: u64,
}

/// A place in the log that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Of the log of this epoch.
    epoch: u64,
    lsn: Lsn,
    /// What was wanted up to here is at or before it.
    covered: Option<Ticket>,
}

/// The standby that a session reads from: what it has seen there is known of no other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reader {
    node: NodeId,
    /// Until then.
    last_us: u64,
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
    /// The session has ended a transaction on the primary, or has been told what another one has done; where the log is now
    /// will be known by this ticket. That is behind all that it has seen: it may read from any standby that has replayed it.
    pub(crate) fn raise(&mut self, now: Ticket) {
        self.cover(now);
        (self.reader, self.seen) = (None, None);
    }

    /// Whatever was done when the ticket was taken, now or before, is to be found.
    pub(crate) fn cover(&mut self, ticket: Ticket) {
        if self.place.is_none_or(|place| place.covered < Some(ticket)) {
            self.ticket = self.ticket.max(Some(ticket));
            self.seen = None;
        }
    }

    /// Whatever was done before the sample is.
    pub(crate) fn raise_to(&mut self, sample: &Sample) {
        if self.place.is_none_or(|place| place.covered < Some(sample.covered())) {
            self.raise_place((sample.epoch, sample.lsn), Some(sample.covered()));
        }
    }

    /// So is what was done when another session was told this.
    pub(crate) fn raise_by(&mut self, token: Token) {
        self.seen = None;
        let order = |token: &Token| (token.timeline, token.lsn);
        self.token = match self.token {
            Some(known) if known.system == token.system && order(&known) > order(&token) => {
                Some(known)
            }
            _ => Some(token),
        };
    }

    /// The standby that it has read from since then.
    pub(crate) fn reader(&self) -> Option<NodeId> {
        self.reader.map(|reader| reader.node)
    }

    /// Whether the standby that it reads from may show less than it did: it may have started again since.
    pub(crate) fn may_show_less(&self, picture: &Picture) -> bool {
        self.reader.is_some_and(|reader| {
            let alive = picture.standby(reader.node).map(|replayed| replayed.alive_since_us);
            alive.is_none_or(|since| since > reader.last_us)
        })
    }

    /// It reads from this standby now.
    pub(crate) fn reads_from(&mut self, node: NodeId, now_us: u64) {
        if self.reader() != Some(node) {
            self.seen = None;
        }
        self.reader = Some(Reader { node, last_us: now_us });
    }

    /// It was seen by this that the session finds what it must where it reads.
    pub(crate) fn is_seen_by(&mut self, seen: SeenBy) {
        self.seen = Some(seen);
    }

    /// Where it reads, if it was seen by this already.
    #[inline]
    pub(crate) fn rests_at(&self, by: SeenBy) -> Option<NodeId> {
        if self.seen == Some(by) { self.reader() } else { None }
    }

    /// It has read from the standby until now.
    pub(crate) fn has_read(&mut self, now_us: u64) {
        if let Some(reader) = &mut self.reader {
            reader.last_us = now_us;
        }
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
            self.raise_to(&sample);
        }
        if let Some(token) = self.token {
            let latest = picture.latest.ok_or(Below::Unknown)?;
            if let Some(lsn) = place_of(token, &latest, picture)? {
                self.in_epoch_of(picture)?;
                self.raise_place((picture.epoch, lsn), None);
            }
            self.token = None;
        }
        self.in_epoch_of(picture)
    }

    /// The place is at least this one.
    fn raise_place(&mut self, (epoch, lsn): (u64, Lsn), covered: Option<Ticket>) {
        self.seen = None;
        let before = self.place;
        let same = before.filter(|place| place.epoch == epoch);
        self.place = Some(Place {
            epoch,
            lsn: same.map_or(lsn, |place| place.lsn.max(lsn)),
            covered: before.and_then(|place| place.covered).max(covered),
        });
    }

    /// The place is one of this epoch's log: all of the older history is in what the new primary began with.
    fn in_epoch_of(&mut self, picture: &Picture) -> Result<Option<Lsn>, Below> {
        let Some(place) = &mut self.place else { return Ok(None) };
        if place.epoch != picture.epoch {
            let first = picture.first.ok_or(Below::Unknown)?;
            (place.epoch, place.lsn) = (picture.epoch, first.lsn);
        }
        Ok(Some(place.lsn))
    }
}

/// Where in the log of now what a token names is; none if it is another cluster's, which has no place here.
fn place_of(token: Token, latest: &Sample, picture: &Picture) -> Result<Option<Lsn>, Below> {
    if token.system != latest.history.system {
        return Ok(None);
    }
    match token.timeline.cmp(&latest.history.timeline) {
        Ordering::Equal => Ok(Some(without_header(Lsn(token.lsn), latest.history.page))),
        // As with the places of an older epoch.
        Ordering::Less => Ok(Some(picture.first.unwrap_or(*latest).lsn)),
        // Another primary has begun it, which is not known here yet.
        Ordering::Greater => Err(Below::Unknown),
    }
}

#[cfg(test)]
mod tests;
