//! A second client on the same pool that moves the first one from server to server.
//!
//! Before every step of a conversation it either opens a transaction, and so takes the server that
//! was used last, or ends it, and so puts that server back on top. What it leaves behind on a
//! server (settings, statements under the names that conversations use) must never be seen.

use anyhow::{Result, ensure};

use super::line::Line;
use super::login::Login;
use super::play::Target;
use crate::peer::say::{self, PROTOCOL_3_0};

/// What is done before the steps, in turn: a conversation gets another server after each `begin`
/// and each `commit`, and the same one again after the rest. Five turns, so that steps that come in
/// pairs or in threes meet every server. Nothing here may tie the noisy client to its server.
const TURNS: [&str; 5] = [
    "set timezone = 'Asia/Tokyo'; set application_name = 'noise'; set search_path = 'noise'; begin",
    "set work_mem = '5MB'; commit",
    "set intervalstyle = 'iso_8601'; set extra_float_digits = 0",
    "set datestyle = 'German'; set statement_timeout = '7min'; begin",
    "set client_encoding = 'LATIN1'; commit",
];

/// What is said with the protocol's own statements after each turn.
const NAMES: [&str; 3] = ["s1", "s2", ""];

/// The noisy client.
#[derive(Debug)]
pub(super) struct Noise {
    line: Line,
    turn: usize,
}

impl Noise {
    pub(super) async fn start(target: &Target, database: &str) -> Result<Self> {
        let mut line = Line::connect(target.address).await?;
        let login = Login {
            version: PROTOCOL_3_0,
            parameters: &[("user", &target.user), ("database", database)],
            password: &target.password,
        };
        let mut heard = Vec::new();
        login.perform(&mut line, &mut heard).await?;
        let ready = heard.last().is_some_and(|frame| frame.tag == b'Z');
        ensure!(ready, "the noisy client cannot log in: {heard:?}");
        Ok(Self { line, turn: 0 })
    }

    /// Does what is next.
    pub(super) async fn make(&mut self) -> Result<()> {
        let Some(sql) = TURNS.get(self.turn % TURNS.len()) else { return Ok(()) };
        let name = NAMES.get(self.turn % NAMES.len()).copied().unwrap_or_default();
        self.turn += 1;
        let burst = [
            say::query(sql),
            say::close_statement(name),
            say::parse(name, "select 'noise'", &[]),
            say::bind("", name, &[]),
            say::execute("", 0),
            say::sync(),
        ];
        self.line.send(&burst.concat()).await?;
        let mut ready = 0;
        while ready < 2 {
            let frame = self.line.frame().await?;
            let frame = frame.ok_or_else(|| anyhow::anyhow!("the noisy client was closed"))?;
            ensure!(frame.tag != b'E', "the noisy client gets {frame:?}");
            ready += usize::from(frame.tag == b'Z');
        }
        Ok(())
    }

    /// Leaves, with an open transaction or without.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.line.send(&say::terminate()).await
    }
}
