//! The client's side of a login, whose messages are recorded as any others are.

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};

use super::line::Line;
use crate::peer::{Frame, say};

/// What a login needs besides a connection.
#[derive(Debug)]
pub(super) struct Login<'a> {
    pub(super) version: u32,
    pub(super) parameters: &'a [(&'a str, &'a str)],
    pub(super) password: &'a str,
}

impl Login<'_> {
    /// Logs in, up to `ReadyForQuery`, an error or the end. What came is put behind `heard` even
    /// when it fails.
    pub(super) async fn perform(&self, line: &mut Line, heard: &mut Vec<Frame>) -> Result<()> {
        line.send(&say::startup(self.version, self.parameters)).await?;
        let mut scram = None;
        while let Some(frame) = line.frame().await? {
            heard.push(frame.clone());
            match frame.tag {
                b'R' => self.authenticate(frame.body, line, &mut scram).await?,
                b'E' | b'Z' => return Ok(()),
                b'S' | b'K' | b'v' | b'N' => {}
                _ => bail!("{frame:?} does not belong to a login"),
            }
        }
        Ok(())
    }

    /// Answers a message with tag `R` (PostgreSQL manual, 55.2.1).
    async fn authenticate(
        &self,
        mut body: Bytes,
        line: &mut Line,
        scram: &mut Option<ScramSha256>,
    ) -> Result<()> {
        let code = body.try_get_u32()?;
        match code {
            0 => Ok(()),
            3 => line.send(&say::password(self.password)).await,
            5 => {
                let user = self.parameters.iter().find(|(name, _)| *name == "user");
                let user = user.map_or("", |(_, user)| user);
                let salt = body.get(..4).context("md5 needs a salt")?.try_into()?;
                let hash = md5_hash(user.as_bytes(), self.password.as_bytes(), salt);
                line.send(&say::password(&hash)).await
            }
            10 => {
                let password = self.password.as_bytes();
                let machine = ScramSha256::new(password, ChannelBinding::unsupported());
                let machine = scram.insert(machine);
                line.send(&say::sasl_initial(SCRAM_SHA_256, machine.message())).await
            }
            11 => {
                let machine = scram.as_mut().context("SASL goes on that never began")?;
                machine.update(&body)?;
                line.send(&say::sasl_response(machine.message())).await
            }
            12 => {
                let machine = scram.as_mut().context("SASL ends that never began")?;
                Ok(machine.finish(&body)?)
            }
            code => {
                ensure!(code > 12, "authentication method {code} is not offered here");
                bail!("authentication method {code} is not known")
            }
        }
    }
}
