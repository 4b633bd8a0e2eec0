//! Runs of frames of a client that go to its server as they are: the messages that follow a Parse in the ordinary use of
//! the extended protocol. They are judged here by tag, length and first bytes alone.

use trunkline_wire::frame::{HEADER, peek};

use crate::{
    client::{ClientSession, Unnamed},
    effect::Effects,
    expect::OWED_MAX,
    outgoing::Outgoing,
    queue::Kind,
    server::{Forgetting, Intake, ServerSession},
};

impl ClientSession {
    /// Lets whole frames at the start of `data`, which begins `at` this place of the burst, go to the server; as if
    /// each had been given to [`ClientSession::on_client`]. Says how many bytes they are; the next frame is another
    /// one, longer than `most`, not whole, or broken.
    #[inline]
    pub fn send_run(
        &self,
        server: &mut ServerSession,
        data: &[u8],
        at: usize,
        most: usize,
        out: &mut Outgoing<'_>,
    ) -> usize {
        if !matches!(data.first(), Some(b'B' | b'D' | b'E' | b'S')) {
            return 0;
        }
        let run = self.take_run(server, data, most);
        if run > 0 {
            out.forward(at..at.saturating_add(run));
        }
        run
    }

    fn take_run(&self, server: &mut ServerSession, data: &[u8], most: usize) -> usize {
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
        while server.owed.len() < OWED_MAX {
            let Ok(Some(header)) = peek(rest) else { break };
            let Some((frame, behind)) = rest.split_at_checked(header.len) else { break };
            if header.len > most {
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
