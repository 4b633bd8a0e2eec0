//! Playing a conversation against something that speaks the protocol.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::{BufMut, BytesMut};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::line::{DEADLINE, Line};
use super::login::Login;
use super::noise::Noise;
use super::script::{Action, Conversation, Deed, Hear, Step};
use super::transcript::{Event, Transcript, What};
use crate::peer::say::{self, PROTOCOL_3_0};
use crate::wait::wait_for;

/// The most that is heard in one step.
const HEARD_MAX: usize = 200_000;

/// Who is spoken to, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who logs in.
    pub user: String,
    /// With which password.
    pub password: String,
    /// Whether a second client makes noise on the same pool.
    pub noisy: bool,
}

/// Plays `conversation` in `database`. `witness` is a connection to the server itself, for the
/// steps that look at it. What cannot be done is told in the transcript.
pub async fn play(
    conversation: &Conversation,
    target: &Target,
    database: &str,
    witness: &Client,
) -> Transcript {
    let stage = Stage {
        target,
        database,
        witness,
        lines: BTreeMap::new(),
        noise: None,
        transcript: Transcript::default(),
    };
    stage.play(&conversation.steps).await
}

/// Where a conversation takes place.
struct Stage<'a> {
    target: &'a Target,
    database: &'a str,
    witness: &'a Client,
    lines: BTreeMap<char, Line>,
    noise: Option<Noise>,
    transcript: Transcript,
}

impl Stage<'_> {
    async fn play(mut self, steps: &[Step]) -> Transcript {
        for step in steps {
            if let Err(error) = self.perform(step).await {
                self.transcript.failure =
                    Some(format!("line {}: {}: {error:#}", step.line, step.text));
                return self.transcript;
            }
        }
        if let Err(error) = self.end(steps.last().map_or(0, |step| step.line + 1)).await {
            self.transcript.failure = Some(format!("at the end: {error:#}"));
        }
        self.transcript
    }

    async fn perform(&mut self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Say(who, bytes) => {
                self.make_noise().await?;
                self.line(*who, step.line).await?.send(bytes).await
            }
            Action::Hear(who, hear) => {
                self.line(*who, step.line).await?;
                self.hear(*who, *hear, step.line).await
            }
            Action::Do(who, deed) => self.perform_deed(*who, deed, step.line).await,
            Action::Wait(sql) => self.wait(sql).await,
        }
    }

    async fn make_noise(&mut self) -> Result<()> {
        if !self.target.noisy {
            return Ok(());
        }
        let noise = match &mut self.noise {
            Some(noise) => noise,
            none => none.insert(Noise::start(self.target, self.database).await?),
        };
        noise.make().await
    }

    /// The connection with this letter, logged in if it is new.
    async fn line(&mut self, who: char, line: usize) -> Result<&mut Line> {
        if !self.lines.contains_key(&who) {
            self.log_in(who, PROTOCOL_3_0, &[], None, line).await?;
        }
        self.lines.get_mut(&who).context("it is not connected")
    }

    async fn log_in(
        &mut self,
        who: char,
        version: u32,
        wanted: &[(String, String)],
        password: Option<&str>,
        line: usize,
    ) -> Result<()> {
        let mut parameters: Vec<(&str, &str)> = Vec::new();
        for (name, usual) in [("user", self.target.user.as_str()), ("database", self.database)] {
            if !wanted.iter().any(|(wanted, _)| wanted == name) {
                parameters.push((name, usual));
            }
        }
        parameters.extend(wanted.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let password = password.unwrap_or(&self.target.password);
        let login = Login { version, parameters: &parameters, password };
        let mut connection = Line::connect(self.target.address).await?;
        let mut heard = Vec::new();
        let outcome = login.perform(&mut connection, &mut heard).await;
        let events = heard.into_iter().map(|frame| Event { line, who, what: What::Frame(frame) });
        self.transcript.events.extend(events);
        self.lines.insert(who, connection);
        outcome
    }

    async fn hear(&mut self, who: char, hear: Hear, line: usize) -> Result<()> {
        let connection = self.lines.get_mut(&who).context("it is not connected")?;
        let events = &mut self.transcript.events;
        let mut note = |what| events.push(Event { line, who, what });
        match hear {
            Hear::Bytes(count) => note(What::Bytes(connection.bytes(count).await?)),
            Hear::Rest => {
                note(What::Bytes(connection.rest().await?));
                self.lines.remove(&who);
            }
            Hear::Closed => {
                until_closed(connection, &mut note).await?;
                self.lines.remove(&who);
            }
            Hear::Until { tag, count } => {
                let mut missing = count;
                while missing > 0 {
                    missing -= usize::from(next(connection, &mut note).await? == tag);
                }
            }
            Hear::Messages(count) => {
                let mut missing = count;
                while missing > 0 {
                    let tag = next(connection, &mut note).await?;
                    missing -= usize::from(!matches!(tag, b'A' | b'S'));
                }
            }
            Hear::Await { tag, count } => {
                while connection.arrived.get(&tag).is_none_or(|&arrived| arrived < count) {
                    next(connection, &mut note).await?;
                }
            }
        }
        Ok(())
    }

    async fn perform_deed(&mut self, who: char, deed: &Deed, line: usize) -> Result<()> {
        match deed {
            Deed::Dial => {
                self.lines.insert(who, Line::connect(self.target.address).await?);
            }
            Deed::Login { version, parameters, password } => {
                self.log_in(who, *version, parameters, password.as_deref(), line).await?;
            }
            Deed::Cancel { rightly } => self.cancel(who, *rightly).await?,
            Deed::Finish => self.line(who, line).await?.finish().await?,
            Deed::Close => drop(self.lines.remove(&who).context("it is not connected")?),
            Deed::Reset => self.lines.remove(&who).context("it is not connected")?.reset()?,
        }
        Ok(())
    }

    async fn cancel(&mut self, who: char, rightly: bool) -> Result<()> {
        let key = self.lines.get(&who).and_then(|line| line.key.clone());
        let mut key = BytesMut::from(key.context("it has no key")?);
        if !rightly {
            let last = key.last_mut().context("the key is empty")?;
            *last ^= 0xff;
        }
        let mut request = BytesMut::new();
        request.put_i32(i32::try_from(key.len() + 8)?);
        request.put_u32(say::CANCEL_CODE);
        request.put_slice(&key);
        let mut line = Line::connect(self.target.address).await?;
        line.send(&request).await?;
        let answer = line.frame().await?;
        ensure!(answer.is_none(), "a CancelRequest has no answer, but there is {answer:?}");
        Ok(())
    }

    async fn wait(&self, sql: &str) -> Result<()> {
        wait_for(sql, DEADLINE, async || {
            let messages = self.witness.simple_query(sql).await?;
            let answer = messages.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            ensure!(answer == Some("t"), "it answers {answer:?}");
            Ok(())
        })
        .await
    }

    /// Everybody leaves; what still comes then is heard.
    async fn end(&mut self, line: usize) -> Result<()> {
        let events = &mut self.transcript.events;
        for (who, mut connection) in std::mem::take(&mut self.lines) {
            connection.send(&say::terminate()).await?;
            until_closed(&mut connection, &mut |what| events.push(Event { line, who, what }))
                .await
                .with_context(|| format!("{who} leaves"))?;
        }
        match self.noise.take() {
            Some(noise) => noise.stop().await,
            None => Ok(()),
        }
    }
}

/// Hears one message and gives its tag.
async fn next(line: &mut Line, note: &mut impl FnMut(What)) -> Result<u8> {
    let Some(frame) = line.frame().await? else {
        note(What::Closed);
        bail!("closed by the other side")
    };
    let tag = frame.tag;
    note(What::Frame(frame));
    Ok(tag)
}

async fn until_closed(line: &mut Line, note: &mut impl FnMut(What)) -> Result<()> {
    for _ in 0..HEARD_MAX {
        let Some(frame) = line.frame().await? else {
            note(What::Closed);
            return Ok(());
        };
        note(What::Frame(frame));
    }
    bail!("more than {HEARD_MAX} messages")
}
