//! Comparing two transcripts byte for byte, but for the masks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;

use super::masks::{Mask, Masks, Part};
use super::spans::{Before, find};
use super::transcript::{Event, Transcript, What};
use crate::peer::Frame;

/// How often one mask applied.
#[derive(Debug, Clone, Default)]
pub struct Use {
    /// Values hidden, on the side of the oracle.
    pub applied: usize,
    /// Of them, those that did differ.
    pub differed: usize,
    /// The conversations in which one differed.
    pub conversations: BTreeSet<String>,
}

/// How often each mask applied, by name.
#[derive(Debug, Clone, Default)]
pub struct Tally(pub BTreeMap<String, Use>);

/// Where two transcripts part.
#[derive(Debug, Clone)]
pub struct Difference {
    /// What the oracle said there.
    pub expected: String,
    /// What the other one said there.
    pub found: String,
    /// The masks that would hide it, had they the conversation in their list.
    pub missing_masks: Vec<String>,
}

/// A transcript and the database in which it was taken.
#[derive(Debug, Clone, Copy)]
pub struct Taken<'a> {
    /// What was heard.
    pub transcript: &'a Transcript,
    /// The name of the database.
    pub database: &'a str,
}

/// Compares what was heard in `conversation`. What the masks hid is counted in `tally`.
pub fn compare(
    conversation: &str,
    expected: Taken<'_>,
    found: Taken<'_>,
    masks: &Masks,
    tally: &mut Tally,
) -> Option<Difference> {
    let allowed: Vec<_> = masks.of(conversation).map(|(_, mask)| mask).collect();
    let (left, right) = (hide(expected, &allowed), hide(found, &allowed));
    count(conversation, &left, &right, &allowed, tally);
    let (expected_event, found_event) = first_difference(&left, &right)?;
    let missing_masks = masks
        .list
        .iter()
        .filter(|mask| !allowed.contains(mask))
        .filter(|&mask| {
            let more: Vec<_> = allowed.iter().copied().chain([mask]).collect();
            let (left, right) = (hide(expected, &more), hide(found, &more));
            first_difference(&left, &right).is_none()
        })
        .map(|mask| mask.name.clone());
    Some(Difference {
        missing_masks: missing_masks.collect(),
        expected: expected_event,
        found: found_event,
    })
}

/// A piece of a message: bytes that count, or what a mask hides.
#[derive(Debug, Clone)]
enum Piece {
    Bytes(Vec<u8>),
    /// The place of the mask in the list, and what it hides.
    Hidden(usize, Vec<u8>),
}

impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(left), Self::Bytes(right)) => left == right,
            (Self::Hidden(left, _), Self::Hidden(right, _)) => left == right,
            _ => false,
        }
    }
}

/// What was heard, as it is compared.
#[derive(Debug)]
struct Shown<'a> {
    event: &'a Event,
    /// The line of the step, unless a mask hides the place.
    line: Option<usize>,
    pieces: Vec<Piece>,
}

impl PartialEq for Shown<'_> {
    fn eq(&self, other: &Self) -> bool {
        let tag = |event: &Event| match &event.what {
            What::Frame(frame) => Some(frame.tag),
            What::Bytes(_) | What::Closed => None,
        };
        self.line == other.line
            && self.event.who == other.event.who
            && tag(self.event) == tag(other.event)
            && self.pieces == other.pieces
    }
}

/// A transcript with the masks over it.
#[derive(Debug, Default)]
struct Masked<'a> {
    /// What is compared. Messages whose place is hidden stand at the end, by connection and in the
    /// order in which they came.
    shown: Vec<Shown<'a>>,
    /// For each message that is hidden as a whole, the mask that does it.
    left_out: Vec<usize>,
}

fn hide<'a>(taken: Taken<'a>, masks: &[&Mask]) -> Masked<'a> {
    let by = |part: &Part| masks.iter().position(|mask| mask.parts.contains(part));
    let mut before: BTreeMap<char, Before> = BTreeMap::new();
    let (mut masked, mut moved) = (Masked::default(), Vec::new());
    for event in &taken.transcript.events {
        let mut line = Some(event.line);
        let pieces = match &event.what {
            What::Closed => Vec::new(),
            What::Bytes(bytes) => vec![match by(&Part::Bytes) {
                Some(mask) => Piece::Hidden(mask, bytes.to_vec()),
                None => Piece::Bytes(bytes.to_vec()),
            }],
            What::Frame(frame) => {
                if let Some(mask) = by(&Part::Message(frame.tag)) {
                    masked.left_out.push(mask);
                    continue;
                }
                line = line.filter(|_| by(&Part::Place(frame.tag)).is_none());
                let before = before.entry(event.who).or_default();
                let pieces = hide_in_frame(frame, before, masks, taken.database);
                before.note(frame);
                pieces
            }
        };
        let to = if line.is_some() { &mut masked.shown } else { &mut moved };
        to.push(Shown { event, line, pieces });
    }
    moved.sort_by_key(|shown| (shown.event.who, tag_of(shown.event)));
    masked.shown.extend(moved);
    masked
}

fn tag_of(event: &Event) -> u8 {
    match &event.what {
        What::Frame(frame) => frame.tag,
        What::Bytes(_) | What::Closed => 0,
    }
}

fn hide_in_frame(frame: &Frame, before: &Before, masks: &[&Mask], database: &str) -> Vec<Piece> {
    let mut spans = Vec::new();
    let mut ends = Vec::new();
    for (number, mask) in masks.iter().enumerate() {
        for part in &mask.parts {
            let ranges = find(part, frame, before, database);
            if *part == Part::ReportSource && matches!(frame.tag, b'E' | b'N') {
                // The fields may be missing on one side, so the mark stands at the end.
                let hidden = ranges.iter().filter_map(|range| frame.body.get(range.clone()));
                ends.push(Piece::Hidden(number, hidden.flatten().copied().collect()));
                spans.extend(ranges.into_iter().map(|range| (range, None)));
            } else {
                spans.extend(ranges.into_iter().map(|range| (range, Some(number))));
            }
        }
    }
    spans.sort_by_key(|(range, _)| range.start);
    let mut pieces = cut(&frame.body, spans);
    pieces.extend(ends);
    pieces
}

/// Cuts a body into pieces at these spans, which are in order. One that begins inside another is
/// left out.
fn cut(body: &Bytes, spans: Vec<(std::ops::Range<usize>, Option<usize>)>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut at = 0;
    for (range, mask) in spans {
        if range.start < at {
            continue;
        }
        push_bytes(&mut pieces, body.get(at..range.start).unwrap_or_default());
        at = range.end;
        if let Some(mask) = mask {
            pieces.push(Piece::Hidden(mask, body.get(range).unwrap_or_default().to_vec()));
        }
    }
    push_bytes(&mut pieces, body.get(at..).unwrap_or_default());
    pieces
}

/// Puts bytes at the end, joined with those before them.
fn push_bytes(pieces: &mut Vec<Piece>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    match pieces.last_mut() {
        Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
        _ => pieces.push(Piece::Bytes(bytes.to_vec())),
    }
}

fn first_difference(left: &Masked<'_>, right: &Masked<'_>) -> Option<(String, String)> {
    const NOTHING: &str = "nothing more";
    let (left, right) = (&left.shown, &right.shown);
    let both = left.len().max(right.len());
    let text = |shown: Option<&Shown<'_>>| {
        shown.map_or_else(|| NOTHING.to_owned(), |shown| shown.event.to_string())
    };
    let at = (0..both).find(|&at| left.get(at) != right.get(at))?;
    Some((text(left.get(at)), text(right.get(at))))
}

/// Counts what each mask hid, and how much of it differed from the other side.
fn count(
    conversation: &str,
    left: &Masked<'_>,
    right: &Masked<'_>,
    masks: &[&Mask],
    tally: &mut Tally,
) {
    for (number, mask) in masks.iter().enumerate() {
        let (ours, theirs) = (left.values(number), right.values(number));
        let (our_places, their_places) = (left.places(mask), right.places(mask));
        let out =
            |masked: &Masked<'_>| masked.left_out.iter().filter(|mask| **mask == number).count();
        let values = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).count();
        let places = our_places.iter().zip(&their_places).filter(|(ours, theirs)| ours != theirs);
        let differed = values + places.count() + out(left).abs_diff(out(right));
        let entry = tally.0.entry(mask.name.clone()).or_default();
        entry.applied += ours.len() + our_places.len() + out(left);
        entry.differed += differed;
        if differed > 0 {
            entry.conversations.insert(conversation.to_owned());
        }
    }
}

impl Masked<'_> {
    /// What the mask with this place in the list hides.
    fn values(&self, number: usize) -> Vec<&[u8]> {
        let pieces = self.shown.iter().flat_map(|shown| &shown.pieces);
        let values = pieces.filter_map(|piece| match piece {
            Piece::Hidden(mask, bytes) if *mask == number => Some(bytes.as_slice()),
            Piece::Hidden(..) | Piece::Bytes(_) => None,
        });
        values.collect()
    }

    /// The lines of the messages whose place this mask hides.
    fn places(&self, mask: &Mask) -> Vec<usize> {
        let moved = self.shown.iter().filter(|shown| {
            shown.line.is_none() && mask.parts.contains(&Part::Place(tag_of(shown.event)))
        });
        moved.map(|shown| shown.event.line).collect()
    }
}

impl Tally {
    /// The masks that hid nothing at all: they should not be there.
    pub fn unused(&self) -> Vec<&str> {
        let unused = self.0.iter().filter(|(_, used)| used.applied == 0);
        unused.map(|(name, _)| name.as_str()).collect()
    }

    /// Adds what another tally has counted.
    pub fn add(&mut self, other: Self) {
        for (name, more) in other.0 {
            let entry = self.0.entry(name).or_default();
            entry.applied += more.applied;
            entry.differed += more.differed;
            entry.conversations.extend(more.conversations);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, Use { applied, differed, conversations }) in &self.0 {
            let count = conversations.len();
            writeln!(
                f,
                "mask {name:<16} hid {applied:>6} values, {differed:>6} of which differed, in {count} conversations"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASKS: &str = "mask key\n hides K.pid, K.key\n because ours\n in some/*\n\
                         mask source\n hides E.source\n because ours\n in some/*\n\
                         mask place\n hides place A\n because theirs\n in some/*\n";

    fn transcript(frames: &[(usize, u8, &'static [u8])]) -> Transcript {
        let events = frames.iter().map(|&(line, tag, body)| {
            let frame = Frame { tag, body: Bytes::from_static(body) };
            Event { line, who: 'C', what: What::Frame(frame) }
        });
        Transcript { events: events.collect(), failure: None }
    }

    fn outcome(
        name: &str,
        left: &[(usize, u8, &'static [u8])],
        right: &[(usize, u8, &'static [u8])],
    ) -> (Option<Difference>, Tally) {
        let (left, right) = (transcript(left), transcript(right));
        let mut tally = Tally::default();
        let masks = Masks::read(MASKS).unwrap();
        let left = Taken { transcript: &left, database: "d" };
        let right = Taken { transcript: &right, database: "e" };
        (compare(name, left, right, &masks, &mut tally), tally)
    }

    const KEY: (usize, u8, &[u8]) = (1, b'K', b"\0\0\0\x01abcd");
    const OTHER_KEY: (usize, u8, &[u8]) = (1, b'K', b"\0\0\0\x02efgh");

    #[test]
    fn what_a_mask_hides_is_equal_and_counted() {
        let (difference, tally) = outcome("some/x", &[KEY], &[OTHER_KEY]);
        assert!(difference.is_none(), "{difference:?}");
        assert_eq!((tally.0["key"].applied, tally.0["key"].differed), (2, 2));
    }

    #[test]
    fn a_mask_outside_its_list_does_not_hide_and_is_named() {
        let (difference, _) = outcome("other", &[KEY], &[OTHER_KEY]);
        assert_eq!(difference.unwrap().missing_masks, ["key"]);
    }

    #[test]
    fn one_byte_beside_a_mask_is_a_difference() {
        let longer = (1, b'K', &b"\0\0\0\x02efgh"[..]);
        let (difference, _) =
            outcome("some/x", &[KEY, (2, b'Z', b"I")], &[longer, (2, b'Z', b"T")]);
        let difference = difference.unwrap();
        assert!(difference.found.contains("ReadyForQuery T"), "{difference:?}");
        assert!(difference.missing_masks.is_empty());
    }

    #[test]
    fn the_source_of_an_error_may_be_missing_on_one_side() {
        let full = (1, b'E', &b"SERROR\0C42P01\0Ff.c\0L1\0Rf\0\0"[..]);
        let bare = (1, b'E', &b"SERROR\0C42P01\0\0"[..]);
        let other = (1, b'E', &b"SERROR\0C42P02\0\0"[..]);
        assert!(outcome("some/x", &[full], &[bare]).0.is_none());
        assert!(outcome("some/x", &[full], &[other]).0.is_some());
    }

    #[test]
    fn a_hidden_place_does_not_hide_the_order() {
        let first = (1, b'A', &b"\0\0\0\x01a\0\0"[..]);
        let second = (1, b'A', &b"\0\0\0\x01b\0\0"[..]);
        let ready = (1, b'Z', &b"I"[..]);
        assert!(outcome("some/x", &[first, second, ready], &[ready, first, second]).0.is_none());
        assert!(outcome("some/x", &[first, second, ready], &[ready, second, first]).0.is_some());
        assert!(outcome("other", &[first, ready], &[ready, first]).0.is_some());
    }
}
