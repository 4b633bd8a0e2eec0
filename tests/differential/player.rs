//! A client that plays a script step by step, directly or through Trunkline.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use trunkline_testkit::peer::{RawClient, say};

use crate::script::Step;
use crate::stage::{PASSWORD, USER};
use crate::transcript::{Answer, Reader};

/// Where a script is played.
#[derive(Debug, Clone)]
pub struct Place {
    /// Of PostgreSQL or of Trunkline.
    pub address: SocketAddr,
    /// A copy of the template.
    pub database: String,
    /// The first OID that a table of a script may have.
    pub fresh_oid: u32,
}

/// A client.
#[derive(Debug)]
pub struct Player {
    client: RawClient,
    reader: Reader,
    /// The process number that it was told.
    pub pid: u32,
    /// What it was told at its login.
    pub parameters: String,
}

impl Player {
    /// Logs in with these startup parameters.
    pub async fn enter(place: &Place, startup: &[(&str, &str)]) -> Result<Self> {
        let mut client = RawClient::tcp(place.address).await?;
        let own = [("user", USER), ("database", place.database.as_str())];
        let all = [&own, startup].concat();
        let welcome = client.login_with(say::PROTOCOL_3_0, &all, PASSWORD).await?;
        Ok(Self {
            client,
            reader: Reader::new(place.fresh_oid),
            pid: welcome.pid,
            parameters: format!("{:?}", welcome.parameters),
        })
    }

    /// Plays a step.
    pub async fn play(&mut self, step: &Step) -> Result<Answer> {
        self.say(step).await?;
        self.hear(step, 0).await
    }

    /// Says a step.
    pub async fn say(&mut self, step: &Step) -> Result<()> {
        self.client.send(step.words.bytes()).await
    }

    /// Hears the answer to a step, and as many notifications as there must be by then.
    pub async fn hear(&mut self, step: &Step, notified: usize) -> Result<Answer> {
        let mut answer = Answer::default();
        let heard = self.hear_into(step, notified, &mut answer).await;
        heard.with_context(|| format!("after\n{}", answer.lines()))?;
        Ok(answer)
    }

    async fn hear_into(&mut self, step: &Step, notified: usize, answer: &mut Answer) -> Result<()> {
        let mut ready = 0;
        while ready < step.words.ready() {
            let frame = self.client.read().await?;
            ready += usize::from(frame.tag == b'Z');
            self.reader.take(frame, answer)?;
        }
        while self.reader.notified.len() < notified {
            let frame = self.client.read().await.context("a notification should come")?;
            self.reader.take(frame, answer)?;
        }
        Ok(())
    }

    /// Asks something more, whose answer does not matter.
    pub async fn ask(&mut self, sql: &str) -> Result<()> {
        let mut answer = Answer::default();
        for frame in self.client.query(sql).await? {
            self.reader.take(frame, &mut answer)?;
        }
        Ok(())
    }

    /// The notifications that have come.
    pub fn notified(&self) -> &[String] {
        &self.reader.notified
    }
}
