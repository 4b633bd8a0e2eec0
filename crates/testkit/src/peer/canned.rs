//! Answers from a table, for sessions in which the test takes no interest.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;

use super::frame::{Frame, take_text};
use super::{Talk, answer};

/// What to answer to which statement. The first entry whose text is part of the statement counts.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    entries: Vec<(String, Table)>,
}

/// Columns and rows, as text.
#[derive(Debug, Clone, Default)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl Answers {
    /// No answers: every statement fails with 42601.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers statements that contain `part` with these rows.
    #[must_use]
    pub fn on(mut self, part: &str, columns: &[&str], rows: &[&[Option<&str>]]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        let rows = rows
            .iter()
            .map(|row| row.iter().map(|value| value.map(str::to_owned)).collect())
            .collect();
        self.entries.push((part.to_owned(), Table { columns, rows }));
        self
    }

    /// Lets the client in and answers, in the simple and the extended protocol, until it leaves.
    pub(super) async fn serve(&self, mut talk: Talk) -> Result<()> {
        talk.welcome().await?;
        let mut statements = BTreeMap::new();
        let mut bound = String::new();
        let mut failed = false;
        while let Some(frame) = talk.read_or_end().await? {
            let reply = match frame.tag {
                b'X' => return Ok(()),
                b'S' => {
                    failed = false;
                    answer::ready(b'I')
                }
                b'Q' => {
                    let sql = take_text(&mut frame.body.clone())?;
                    let rows = self.rows(&sql).unwrap_or_else(|error| error);
                    [self.columns(&sql), rows, answer::ready(b'I')].concat().into()
                }
                // After an error everything up to Sync is skipped.
                _ if failed => continue,
                _ => match self.step(&frame, &mut statements, &mut bound)? {
                    Ok(reply) => reply,
                    Err(error) => {
                        failed = true;
                        error
                    }
                },
            };
            talk.send(&reply).await?;
        }
        Ok(())
    }

    /// One step of the extended protocol. There is only one portal: the last one bound.
    fn step(
        &self,
        frame: &Frame,
        statements: &mut BTreeMap<String, String>,
        bound: &mut String,
    ) -> Result<Result<Bytes, Bytes>> {
        let mut body = frame.body.clone();
        Ok(match frame.tag {
            b'P' => {
                let name = take_text(&mut body)?;
                statements.insert(name, take_text(&mut body)?);
                Ok(answer::parse_complete())
            }
            b'B' => {
                take_text(&mut body)?;
                *bound = statements.get(&take_text(&mut body)?).cloned().unwrap_or_default();
                Ok(answer::bind_complete())
            }
            b'D' if body.starts_with(b"S") => {
                let name = take_text(&mut body.split_off(1))?;
                let sql = statements.get(&name).cloned().unwrap_or_default();
                Ok([answer::parameter_description(&[]), self.described(&sql)].concat().into())
            }
            b'D' => Ok(self.described(bound)),
            b'E' => self.rows(bound),
            b'C' => Ok(answer::close_complete()),
            b'H' => Ok(Bytes::new()),
            _ => Err(answer::error("ERROR", "08P01", &format!("no canned answer to {frame:?}"))),
        })
    }

    fn table(&self, sql: &str) -> Option<&Table> {
        self.entries.iter().find(|(part, _)| sql.contains(part.as_str())).map(|(_, table)| table)
    }

    /// `RowDescription`, or nothing if there is no answer or no column.
    fn columns(&self, sql: &str) -> Bytes {
        let table = self.table(sql).filter(|table| !table.columns.is_empty());
        table.map_or_else(Bytes::new, |table| {
            let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
            answer::row_description(&columns)
        })
    }

    fn described(&self, sql: &str) -> Bytes {
        let columns = self.columns(sql);
        if columns.is_empty() { answer::no_data() } else { columns }
    }

    /// Rows and `CommandComplete`, or the error that there is no answer.
    fn rows(&self, sql: &str) -> Result<Bytes, Bytes> {
        let no_answer = || answer::error("ERROR", "42601", &format!("no canned answer to {sql:?}"));
        let table = self.table(sql).ok_or_else(no_answer)?;
        let mut parts: Vec<Bytes> = table
            .rows
            .iter()
            .map(|row| answer::data_row(&row.iter().map(Option::as_deref).collect::<Vec<_>>()))
            .collect();
        parts.push(answer::complete(&format!("SELECT {}", table.rows.len())));
        Ok(parts.concat().into())
    }
}
