//! What statements do.

use bytes::BytesMut;
use trunkline_wire::backend;

use super::{
    Block, Done, Failure, Postgres, State, default_of, syntax, unknown_statement, warning,
    write_rows,
};
use crate::model::sql::Sql;

impl Postgres {
    /// Runs one statement and answers with its completion.
    pub(super) fn perform(
        &mut self,
        sql: &Sql,
        zone: &str,
        several: bool,
        out: &mut BytesMut,
    ) -> Done {
        let tag = match sql {
            Sql::Begin | Sql::Commit | Sql::Rollback => self.transaction(sql, out),
            Sql::Savepoint(_) | Sql::RollbackTo(_) | Sql::Release(_) => self.savepoint(sql)?,
            Sql::CopyIn => {
                backend::copy_in_response(out, 0, [0]);
                return Ok(());
            }
            Sql::CopyInFails => {
                backend::copy_in_response(out, 0, [0]);
                return Err(("P0001", "not into this one".into()));
            }
            Sql::CopyOut => {
                backend::copy_out_response(out, 0, [0]);
                backend::copy_data(out, b"1\n");
                backend::copy_done(out);
                "COPY 1".to_owned()
            }
            Sql::Show(_)
            | Sql::Folded
            | Sql::SetConfig(..)
            | Sql::SetConfigLocally(..)
            | Sql::FromTemp(_) => {
                if let Sql::SetConfig(name, value) | Sql::SetConfigLocally(name, value) = sql {
                    self.set(name, value, matches!(sql, Sql::SetConfigLocally(..)))?;
                }
                self.check(sql)?;
                let value = match sql {
                    Sql::Show(name) => self.setting(name),
                    Sql::SetConfig(_, value) | Sql::SetConfigLocally(_, value) => value.clone(),
                    _ => zone.to_owned(),
                };
                backend::data_row(out, [Some(value.as_bytes())]);
                if matches!(sql, Sql::Show(_)) { "SHOW" } else { "SELECT 1" }.to_owned()
            }
            Sql::Rows(rows) => {
                write_rows(*rows, out);
                format!("SELECT {rows}")
            }
            Sql::Fails => return Err(("22012", "division by zero".into())),
            Sql::Bad => return Err(syntax()),
            _ => self.change(sql, several, out)?,
        };
        backend::command_complete(out, tag.as_bytes());
        Ok(())
    }

    fn transaction(&mut self, sql: &Sql, out: &mut BytesMut) -> String {
        match (sql, self.block) {
            (Sql::Begin, Block::None) => self.block = Block::Open,
            (Sql::Begin, _) => warning(out, "there is already a transaction in progress"),
            (_, Block::None) => {
                warning(out, "there is no transaction in progress");
                self.end(*sql == Sql::Commit);
            }
            (_, block) => {
                let commits = *sql == Sql::Commit && block == Block::Open;
                self.block = Block::None;
                self.end(commits);
                return if commits { "COMMIT" } else { "ROLLBACK" }.to_owned();
            }
        }
        sql.text().to_ascii_uppercase()
    }

    pub(super) fn end(&mut self, commits: bool) {
        if commits {
            self.now.local.clear();
            self.committed = self.now.clone();
        } else {
            self.now = self.committed.clone();
        }
        self.saved.clear();
        self.portals.clear();
    }

    fn savepoint(&mut self, sql: &Sql) -> Result<String, Failure> {
        if self.block == Block::None {
            return Err(("25P01", "SAVEPOINT can only be used in transaction blocks".into()));
        }
        let find = |saved: &[(String, State)], wanted: &str| {
            let place = saved.iter().rposition(|(name, _)| name == wanted);
            place.ok_or_else(|| ("3B001", format!("savepoint \"{wanted}\" does not exist")))
        };
        match sql {
            Sql::Savepoint(name) => {
                self.saved.push((name.clone(), self.now.clone()));
                Ok("SAVEPOINT".to_owned())
            }
            Sql::RollbackTo(name) => {
                let place = find(&self.saved, name)?;
                self.saved.truncate(place + 1);
                self.now = self.saved[place].1.clone();
                self.block = Block::Open;
                self.portals.clear();
                Ok("ROLLBACK".to_owned())
            }
            Sql::Release(name) => {
                let place = find(&self.saved, name)?;
                self.saved.truncate(place);
                Ok("RELEASE".to_owned())
            }
            _ => Err(syntax()),
        }
    }

    fn set(&mut self, name: &str, value: &str, local: bool) -> Done {
        let name = name.to_ascii_lowercase();
        if value == "bad" {
            return Err(("22023", format!("invalid value for parameter \"{name}\": \"bad\"")));
        }
        if local {
            self.now.local.insert(name, value.to_owned());
        } else {
            self.now.local.remove(&name);
            self.now.settings.insert(name, value.to_owned());
        }
        Ok(())
    }

    fn change(&mut self, sql: &Sql, several: bool, out: &mut BytesMut) -> Result<String, Failure> {
        let tag = match sql {
            Sql::Set { name, value, local } => {
                if *local && self.block == Block::None && !several {
                    warning(out, "SET LOCAL can only be used in transaction blocks");
                }
                self.set(name, value, *local)?;
                "SET"
            }
            Sql::SetLocalDefault(name) => {
                if self.block == Block::None && !several {
                    warning(out, "SET LOCAL can only be used in transaction blocks");
                }
                let name = name.to_ascii_lowercase();
                let value = self.defaults.get(&name).cloned();
                self.now.local.insert(name.clone(), value.unwrap_or_else(|| default_of(&name)));
                "SET"
            }
            Sql::Reset(name) => {
                let name = name.to_ascii_lowercase();
                self.now.local.remove(&name);
                self.now.settings.remove(&name);
                "RESET"
            }
            Sql::ResetAll => {
                self.now.settings.clear();
                self.now.local.clear();
                "RESET"
            }
            Sql::DiscardAll => {
                if self.block != Block::None || several {
                    let message = "DISCARD ALL cannot run inside a transaction block";
                    return Err(("25001", message.into()));
                }
                self.now = State::default();
                self.statements.clear();
                "DISCARD ALL"
            }
            Sql::DiscardSequences => "DISCARD SEQUENCES",
            Sql::DeallocateAll => {
                self.statements.clear();
                "DEALLOCATE ALL"
            }
            Sql::Temp(name) => {
                if !self.now.temps.insert(name.clone()) {
                    return Err(("42P07", format!("relation \"{name}\" already exists")));
                }
                "CREATE TABLE"
            }
            Sql::Prepare(name, body) => {
                if **body == Sql::Bad {
                    return Err(syntax());
                }
                if self.statements.contains_key(name) {
                    return Err(("42P05", format!("prepared statement \"{name}\" already exists")));
                }
                self.prepare(name.clone(), Sql::clone(body), true);
                "PREPARE"
            }
            Sql::Deallocate(name) => {
                self.statements.remove(name).ok_or_else(|| unknown_statement(name))?;
                "DEALLOCATE"
            }
            Sql::Execute(name) => return self.execute_sql(name, out),
            _ => return Err(syntax()),
        };
        Ok(tag.to_owned())
    }

    /// Only statements that answer with rows.
    fn execute_sql(&mut self, name: &str, out: &mut BytesMut) -> Result<String, Failure> {
        match self.revalidated(name)? {
            (Sql::Rows(rows), _) => {
                write_rows(rows, out);
                Ok(format!("SELECT {rows}"))
            }
            (Sql::Folded, zone) => {
                backend::data_row(out, [Some(zone.as_bytes())]);
                Ok("SELECT 1".to_owned())
            }
            (Sql::SetConfig(setting, value), _) => {
                self.set(&setting, &value, false)?;
                backend::data_row(out, [Some(value.as_bytes())]);
                Ok("SELECT 1".to_owned())
            }
            (Sql::Fails, _) => Err(("22012", "division by zero".into())),
            _ => Err(("0A000", "this is not executed here".to_owned())),
        }
    }
}
