//! Runs of frames of a client that go to its server as they are: the messages that follow a Parse in the ordinary use of
//! the extended protocol. They are judged here by tag, length and first bytes alone.

use trunkline_wire::frame::{HEADER, peek};

use crate::{
    client::{ClientSession, Unnamed},
    effect::Effects,
    hold::Forgetting,
    outgoing::Outgoing,
    queue::Kind,
    server::{Intake, ServerSession},
};

/// Execute of the unnamed portal, to its end; and Sync.
const EXECUTE_SYNC: [u8; 15] = *b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04";

/// Describe of the unnamed portal, and these.
const DESCRIBE_EXECUTE_SYNC: [u8; 22] = *b"D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04";

/// Most drivers end each execution with the same bytes: what follows those at the start of `data`, and what they ask for.
#[inline]
fn ordinary_end(data: &[u8]) -> Option<(&[u8], &'static [Kind])> {
    if let Some((head, behind)) = data.split_first_chunk()
        && *head == DESCRIBE_EXECUTE_SYNC
    {
        return Some((behind, &[Kind::DescribePortal, Kind::Execute, Kind::Sync]));
    }
    match data.split_first_chunk() {
        Some((head, behind)) if *head == EXECUTE_SYNC => {
            Some((behind, &[Kind::Execute, Kind::Sync]))
        }
        _ => None,
    }
}

impl ClientSession {
    /// Lets whole frames at the start of `data`, which begins `at` this place of the burst, go to the server; as if
    /// each had been given to [`ClientSession::on_client`]. Says how many bytes they are; the next frame is another
    /// one, longer than `longest`, not whole, or broken, or comes when so many replies are owed.
    #[inline]
    pub fn send_run(
        &self,
        server: &mut ServerSession,
        data: &[u8],
        at: usize,
        (longest, owed): (usize, usize),
        out: &mut Outgoing<'_>,
    ) -> usize {
        // A Bind of a named statement is none of these: it is rewritten.
        if !matches!(data, [b'B', _, _, _, _, 0, 0, ..] | [b'D' | b'E' | b'S', ..]) {
            return 0;
        }
        let run = self.take_run(server, data, longest, owed);
        if run > 0 {
            out.forward(at..at.saturating_add(run));
        }
        run
    }

    fn take_run(
        &self,
        server: &mut ServerSession,
        data: &[u8],
        longest: usize,
        owed: usize,
    ) -> usize {
        // Portals that leave something behind, errors and COPY need a look at each message.
        if !self.portals.is_empty()
            || !matches!(server.intake, Intake::Messages | Intake::Unsynced)
            || server.forgetting != Forgetting::No
            || server.unnamed_doubtful
            || !server.decoys.is_empty()
        {
            return 0;
        }
        let mut rest = data;
        while server.owed.len() < owed {
            if let Some((behind, kinds)) = ordinary_end(rest) {
                server.owed.push_light_run(kinds);
                server.intake = Intake::Messages;
                rest = behind;
                continue;
            }
            let Ok(Some(header)) = peek(rest) else { break };
            let Some((frame, behind)) = rest.split_at_checked(header.len) else { break };
            if header.len > longest {
                break;
            }
            let body = frame.get(HEADER..).unwrap_or_default();
            let (kind, intake) = match header.tag {
                b'B' if body.starts_with(b"\0\0") && self.has_plain_unnamed(server) => {
                    (Kind::Bind, Intake::Unsynced)
                }
                b'D' if body.starts_with(b"P") => (Kind::DescribePortal, Intake::Unsynced),
                b'E' => (Kind::Execute, Intake::Unsynced),
                b'S' if body.is_empty() => (Kind::Sync, Intake::Messages),
                _ => break,
            };
            server.owed.push_light(kind);
            server.intake = intake;
            rest = behind;
        }
        data.len().wrapping_sub(rest.len())
    }

    /// Whether the server has this client's unnamed statement, and that leaves nothing behind.
    #[inline]
    fn has_plain_unnamed(&self, server: &ServerSession) -> bool {
        matches!(
            &self.unnamed,
            Unnamed::Kept { key, effects: Effects::None, .. } if *key == server.unnamed
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline_wire::Reported;

    use super::*;
    use crate::{
        client::{PoolMode, SessionLimits},
        expect::OWED_MAX,
        setting::SettingSet,
    };

    fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[tag][..], &length, body].concat()
    }

    /// A client whose unnamed statement the server has.
    fn pair() -> (ClientSession, ServerSession) {
        let limits = SessionLimits::default();
        let mut client =
            ClientSession::new(PoolMode::Transaction, SettingSet::empty(), Arc::default(), limits);
        let mut server = ServerSession::new(Arc::new(Reported::new()));
        let (body, effects) = (Arc::default(), Effects::None);
        let rules = server.rules;
        client.unnamed = Unnamed::Kept { key: 7, body, effects, rules, settings: None };
        server.unnamed = 7;
        (client, server)
    }

    fn ordinary() -> Vec<u8> {
        let bind = frame(b'B', b"\0\0\0\0\0\0\0\0");
        let execute = frame(b'E', b"\0\0\0\0\0");
        [bind, frame(b'D', b"P\0"), execute, frame(b'S', b"")].concat()
    }

    #[test]
    fn what_follows_a_parse_is_one_run() {
        let (client, mut server) = pair();
        let data = [ordinary(), ordinary(), frame(b'P', b"\0SELECT 2\0\0\0")].concat();
        assert_eq!(client.take_run(&mut server, &data, 100, OWED_MAX), 2 * ordinary().len());
        assert_eq!((server.owed_len(), server.intake), (8, Intake::Messages));
        assert_eq!(server.owed.front_kind(), Some(Kind::Bind));
    }

    #[test]
    fn a_run_ends_before_what_needs_a_look() {
        for (other, why) in [
            (frame(b'B', b"\0s\0"), "a named statement"),
            (frame(b'D', b"S\0"), "a statement"),
            (frame(b'S', b"x"), "a Sync with a body"),
            (frame(b'E', &[0; 200]), "a long message"),
            (frame(b'H', b""), "a Flush"),
            (b"E\0\0\0\x03".to_vec(), "a broken length"),
            (b"E\0\0\0\x09\0".to_vec(), "a part of a message"),
        ] {
            let (client, mut server) = pair();
            let data = [ordinary(), other].concat();
            assert_eq!(
                client.take_run(&mut server, &data, 100, OWED_MAX),
                ordinary().len(),
                "{why}"
            );
        }
    }

    #[test]
    fn nothing_is_a_run_when_more_must_be_done_for_a_message() {
        type Change = fn(&mut ClientSession, &mut ServerSession);
        let changes: [(&str, Change); 6] = [
            ("another statement is there", |_, server| server.unnamed = 8),
            ("the statement leaves something", |client, server| {
                let (body, rules) = (Arc::default(), server.rules);
                let effects = Effects::Transaction(crate::effect::Transaction::Commit);
                client.unnamed = Unnamed::Kept { key: 7, body, effects, rules, settings: None };
            }),
            ("COPY data is read", |_, server| server.intake = Intake::CopyData),
            ("after an error", |_, server| server.intake = Intake::Skipping),
            ("statements are forgotten", |_, server| server.forgetting = Forgetting::Unsynced),
            ("names were lent", |_, server| server.decoys.push(Box::default())),
        ];
        for (why, change) in changes {
            let (mut client, mut server) = pair();
            change(&mut client, &mut server);
            assert_eq!(client.take_run(&mut server, &ordinary(), 100, OWED_MAX), 0, "{why}");
            assert_eq!(server.owed_len(), 0, "{why}");
        }
    }

    #[test]
    fn a_run_ends_when_enough_is_owed() {
        let (client, mut server) = pair();
        let data = frame(b'S', b"").repeat(OWED_MAX + 10);
        assert_eq!(client.take_run(&mut server, &data, 100, OWED_MAX), 5 * OWED_MAX);
    }
}
