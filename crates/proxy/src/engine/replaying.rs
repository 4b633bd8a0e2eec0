//! When a server does not take over the settings of a session.

use bytes::BytesMut;
use trunkline_session::ServerSession;
use trunkline_wire::{
    SqlState,
    backend::{self, Fields, Report},
};

use super::{slot::ClientState, worker::Worker};

impl Worker {
    /// The replay of settings has failed: the client is told, the server is closed.
    pub(super) fn replay_failed(&mut self, client_index: usize, server_index: usize) {
        if !self.client_is(client_index, ClientState::Replaying(server_index)) {
            // What has been sent behind it relies on it.
            let why = "the settings of the session could not be applied";
            return self.drop_server_that(false, server_index, why);
        }
        if let Some(client) = self.clients.get_mut(client_index) {
            client.state = ClientState::Idle;
        }
        if self.goes_home(client_index) {
            // A standby may not have replayed a role or a right.
            self.retire(server_index);
            return;
        }
        self.reply.clear();
        if let Some(server) = self.servers.get(server_index)
            && !server.session.tell_cancel(&mut self.reply)
        {
            tell_refused_setting(&server.session, &mut self.reply);
        }
        self.end_refused(client_index);
        self.rest_client(client_index);
        self.retire(server_index);
    }
}

/// The client is told why its session cannot go on as it is on another server: in the server's own words, and which of its
/// settings is to blame.
fn tell_refused_setting(session: &ServerSession, reply: &mut BytesMut) {
    let fields = session.error_of_ours().and_then(|error| Fields::parse(error).ok());
    let said = fields.as_ref().and_then(|fields| Some((fields.code()?, fields.message()?)));
    let message = said.map(|(_, message)| String::from_utf8_lossy(message).into_owned());
    let code = said.map_or(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, |(code, _)| code);
    let which = match session.refused_setting() {
        Some(name) => format!("The setting \"{}\"", String::from_utf8_lossy(name)),
        None => "A setting".to_owned(),
    };
    let hint = format!(
        "{which} of this session could not be applied to another server connection: the role, right or extension that it \
         needs may be gone. The statement was not run. To go on without it, connect again."
    );
    let message = message.as_deref().unwrap_or("the settings of this session could not be applied");
    backend::error_response(reply, &Report::error(code, message).with_hint(&hint));
}
