//! What a client is told: its messages without what differs between two connections of the same kind.
//!
//! Left out are the places in the source from which an error came (a server may find at Bind what it would have found
//! at Execute), the process numbers in columns that are called `server`, and the OIDs of tables that were made while
//! the scripts ran, the numbers of schemas for temporary tables, and the process numbers of those who notify.
//! Notifications stand by themselves, as their place among other messages is not promised.

use anyhow::{Result, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use trunkline_testkit::peer::Frame;
use trunkline_testkit::talk::decode;

/// Columns of this name hold the process number of the server.
pub const SERVER_COLUMN: &str = "server";

/// The answer to a step.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Its messages.
    pub frames: Vec<Frame>,
    /// The last transaction status.
    pub status: char,
    /// How many errors it has.
    pub errors: usize,
    /// The server that has told its number last.
    pub server: Option<String>,
}

impl Answer {
    /// Its messages as lines, for people.
    pub fn lines(&self) -> String {
        self.frames
            .iter()
            .flat_map(|frame| ["      ", &decode::text(frame), "\n"].map(str::to_owned))
            .collect()
    }

    /// The SQLSTATEs of its errors.
    pub fn sqlstates(&self) -> Vec<String> {
        let errors = self.frames.iter().filter(|frame| frame.tag == b'E');
        errors.map(Frame::sqlstate).collect()
    }
}

/// Reads answers.
#[derive(Debug)]
pub struct Reader {
    /// The first OID that a table of a script may have.
    fresh_oid: u32,
    /// The columns of the rows that come, by whether they tell of the server; none if the step has not had them
    /// described.
    tells: Option<Vec<bool>>,
    /// Notifications so far.
    pub notified: Vec<String>,
}

impl Reader {
    /// For a server on which tables of scripts have this OID or a greater one.
    pub fn new(fresh_oid: u32) -> Self {
        Self { fresh_oid, tells: None, notified: Vec::new() }
    }

    /// Takes a message into the answer.
    pub fn take(&mut self, frame: Frame, answer: &mut Answer) -> Result<()> {
        let frame = match frame.tag {
            b'A' => {
                self.notified.push(Self::notification(frame.body)?);
                return Ok(());
            }
            b'T' => self.description(&frame)?,
            b'D' => self.row(frame, answer)?,
            b'E' | b'N' => without_source(&frame),
            _ => frame,
        };
        match frame.tag {
            b'E' => answer.errors += 1,
            b'Z' => {
                answer.status = frame.status().unwrap_or_default();
                self.tells = None;
            }
            _ => {}
        }
        answer.frames.push(frame);
        Ok(())
    }

    fn notification(mut body: Bytes) -> Result<String> {
        ensure!(body.len() > 4, "a notification is cut short");
        body.advance(4);
        Ok(body.escape_ascii().to_string())
    }

    /// `RowDescription`: per column a name, two numbers about the table, and 12 bytes more.
    fn description(&mut self, frame: &Frame) -> Result<Frame> {
        let mut rest = frame.body.clone();
        let mut body = BytesMut::new();
        let columns = rest.try_get_u16()?;
        body.put_u16(columns);
        let mut tells = Vec::new();
        for _ in 0..columns {
            let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
            let name = rest.split_to(end);
            ensure!(rest.len() > 18, "{frame:?} is cut short");
            tells.push(name == SERVER_COLUMN);
            rest.advance(1);
            let table = rest.get_u32();
            body.put_slice(&name);
            body.put_u8(0);
            body.put_u32(if table < self.fresh_oid { table } else { self.fresh_oid });
            body.put_slice(&rest.split_to(14));
        }
        self.tells = Some(tells);
        Ok(Frame { tag: frame.tag, body: body.freeze() })
    }

    /// `DataRow`: per column its length, or -1 for NULL, and the value.
    fn row(&self, frame: Frame, answer: &mut Answer) -> Result<Frame> {
        let Some(tells) = &self.tells else { return Ok(frame) };
        let values = frame.row()?;
        ensure!(values.len() == tells.len(), "{frame:?} has not the columns that were described");
        if !tells.contains(&true) {
            return Ok(frame);
        }
        let mut body = BytesMut::new();
        body.put_u16(u16::try_from(values.len())?);
        for (value, tells) in values.into_iter().zip(tells) {
            let told = if *tells { Some(SERVER_COLUMN.to_owned()) } else { value.clone() };
            if *tells {
                answer.server = value;
            }
            body.put_i32(told.as_ref().map_or(Ok(-1), |told| i32::try_from(told.len()))?);
            body.put_slice(told.unwrap_or_default().as_bytes());
        }
        Ok(Frame { tag: frame.tag, body: body.freeze() })
    }
}

/// An error or a notice without file, line and routine, and without the number of a schema for temporary tables.
fn without_source(frame: &Frame) -> Frame {
    let fields = frame.body.split(|&byte| byte == 0);
    let kept = fields.filter(|field| !matches!(field.first(), None | Some(b'F' | b'L' | b'R')));
    let unnumbered = |field: &[u8]| match field.strip_prefix(TEMPORARY_SCHEMA) {
        Some(_) => TEMPORARY_SCHEMA.to_vec(),
        None => field.to_vec(),
    };
    let body = kept.flat_map(|field| [unnumbered(field), b"\0".to_vec()].concat());
    Frame { tag: frame.tag, body: body.collect() }
}

/// The field for a schema with the name of one of those for temporary tables, but for its number.
const TEMPORARY_SCHEMA: &[u8] = b"spg_temp_";
