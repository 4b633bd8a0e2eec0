//! Parse, Bind, Describe, Execute and Close.

use bytes::BytesMut;
use trunkline_wire::backend;

use super::{
    CopyIn, Done, Failure, Portal, Postgres, Prepared, lossy, syntax, target, unknown_portal,
    unknown_statement, write_rows,
};
use crate::model::sql::Sql;

impl Postgres {
    pub(super) fn parse(&mut self, body: &[u8], out: &mut BytesMut) -> Done {
        let mut parts = body.split(|byte| *byte == 0);
        let (name, text) = (lossy(parts.next()), lossy(parts.next()));
        if name.is_empty() {
            self.statements.remove("");
        }
        let mut all = Sql::read(&text);
        if all.contains(&Sql::Bad) {
            return Err(syntax());
        }
        if all.len() > 1 {
            return Err((
                "42601",
                "cannot insert multiple commands into a prepared statement".into(),
            ));
        }
        let sql = all.pop().unwrap_or(Sql::Empty);
        self.named |= sql.names_others();
        if sql != Sql::Empty {
            self.allowed(&sql)?;
            self.check(&sql)?;
        }
        if self.statements.contains_key(&name) {
            return Err(("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        self.prepare(name, sql, false);
        backend::parse_complete(out);
        Ok(())
    }

    pub(super) fn bind(&mut self, body: &[u8], out: &mut BytesMut) -> Done {
        let mut parts = body.split(|byte| *byte == 0);
        let (portal, name) = (lossy(parts.next()), lossy(parts.next()));
        let prepared = self.statements.get(&name).ok_or_else(|| unknown_statement(&name))?;
        self.allowed_or_empty(&prepared.sql)?;
        let (sql, zone) = self.revalidated(&name)?;
        self.named |= sql.names_others();
        if portal.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&portal) {
            return Err(("42P03", format!("cursor \"{portal}\" already exists")));
        }
        let rows = match sql {
            Sql::Rows(rows) => Some(rows),
            _ => Some(0),
        };
        self.portals.insert(portal, Portal { sql, zone, rows });
        backend::bind_complete(out);
        Ok(())
    }

    pub(super) fn describe(&mut self, body: &[u8], out: &mut BytesMut) -> Done {
        let (kind, name) = target(body);
        let sql = if kind == b'S' {
            let prepared = self.statements.get(&name).ok_or_else(|| unknown_statement(&name))?;
            prepared.sql.clone()
        } else {
            let portal = self.portals.get(&name).ok_or_else(|| unknown_portal(&name))?;
            portal.sql.clone()
        };
        self.named |= sql.names_others();
        self.allowed_or_empty(&sql)?;
        if kind == b'S' {
            backend::parameter_description(out, []);
        }
        if sql.has_rows() {
            backend::row_description(out, &[]);
        } else {
            backend::no_data(out);
        }
        Ok(())
    }

    pub(super) fn execute(&mut self, body: &[u8], out: &mut BytesMut) -> Done {
        let end = body.iter().position(|byte| *byte == 0).unwrap_or(0);
        let name = lossy(Some(&body[..end]));
        let most = body[end + 1..].last().copied().map_or(0, usize::from);
        let portal = self.portals.get_mut(&name).ok_or_else(|| unknown_portal(&name))?;
        let (sql, zone) = (portal.sql.clone(), portal.zone.clone());
        if sql == Sql::Empty {
            backend::empty_query_response(out);
            return Ok(());
        }
        let rows = portal.rows;
        self.named |= sql.names_others();
        self.allowed(&sql)?;
        let Some(rows) = rows else {
            return Err(("55000", format!("portal \"{name}\" cannot be run")));
        };
        if let Sql::Rows(_) = sql
            && most > 0
            && rows > most
        {
            write_rows(most, out);
            self.portals.get_mut(&name).expect("it was found").rows = Some(rows - most);
            backend::portal_suspended(out);
            return Ok(());
        }
        self.portals.get_mut(&name).expect("it was found").rows = None;
        let left = if let Sql::Rows(_) = sql { Sql::Rows(rows) } else { sql };
        self.perform(&left, &zone, false, out)?;
        if left == Sql::CopyIn {
            self.copy = Some(CopyIn { rows: 0, rest: None });
        }
        Ok(())
    }

    pub(super) fn close(&mut self, body: &[u8], out: &mut BytesMut) {
        let (kind, name) = target(body);
        if kind == b'S' {
            self.statements.remove(&name);
        } else {
            self.portals.remove(&name);
        }
        backend::close_complete(out);
    }

    /// Makes a statement, analysed under the settings of now.
    pub(super) fn prepare(&mut self, name: String, sql: Sql, from_sql: bool) {
        let (zone, path) = (self.setting("timezone"), self.setting("search_path"));
        self.statements.insert(name, Prepared { sql, zone, path, from_sql });
    }

    /// The statement and what is folded in; it is analysed anew if names may mean other things than then.
    pub(super) fn revalidated(&mut self, name: &str) -> Result<(Sql, String), Failure> {
        let (zone, path) = (self.setting("timezone"), self.setting("search_path"));
        let known = self.statements.get_mut(name).ok_or_else(|| unknown_statement(name))?;
        if known.path != path {
            (known.zone, known.path) = (zone, path);
        }
        Ok((known.sql.clone(), known.zone.clone()))
    }
}
