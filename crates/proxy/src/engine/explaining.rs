//! `EXPLAIN ROUTE statement`: where a statement goes by itself, and why. It is answered here, between transactions, as a
//! simple query; anywhere else it goes to the server, which does not know it.

use trunkline_route::Plain;
use trunkline_wire::{
    Frame,
    backend::{self, Column},
    frame::{HEADER, peek},
    frontend::Query,
};

use super::worker::Worker;
use crate::routing::Explained;

/// What such a query begins with, in any case.
const WORDS: &[u8] = b"explain route ";

/// The type `text`.
const TEXT: u32 = 25;

impl Worker {
    /// If a burst begins with a question where a statement goes, answers it; says how many bytes that was.
    #[inline]
    pub(super) fn explain_route(&mut self, index: usize, data: &[u8]) -> Option<usize> {
        let words = data.get(HEADER..HEADER.saturating_add(WORDS.len()))?;
        let asks = data.first() == Some(&b'Q') && words.eq_ignore_ascii_case(WORDS);
        if asks { self.answer_route(index, data) } else { None }
    }

    #[cold]
    fn answer_route(&mut self, index: usize, data: &[u8]) -> Option<usize> {
        let header = peek(data).ok().flatten()?;
        let bytes = data.get(..header.len)?;
        let frame = Frame { tag: header.tag, body: bytes.get(HEADER..)?, bytes };
        let text = Query::parse(frame.body).ok()?.text.get(WORDS.len()..)?;
        let asked = self.asked(index);
        let home = self.home_of(self.clients.get(index)?.pool);
        let client = self.clients.get_mut(index)?;
        let path = &mut client.rare.routed().path;
        let family = &self.pools.get(home)?.family;
        let judge = self.router.judge((family, &client.session), path, self.now);
        let mut lines = Vec::new();
        if let Some(judge) = judge {
            tell(&judge.trusting(asked.trust()).explain(asked, text), &mut lines);
        } else if asked.is_whole() {
            lines.push(("route", "standby".into()));
            lines.push(("reason", Plain::StandbyListener.words().into()));
        } else if !self.router.judges() {
            lines.push(("route", "primary".into()));
            lines.push(("reason", Plain::Off.words().into()));
        } else {
            lines.push(("route", "primary".into()));
            lines.push(("reason", "the catalog of the database is not known yet".into()));
        }
        let fit = self.traffic.fit.iter();
        let names = fit.filter_map(|node| self.shared.registry.node_name(*node));
        let names: Vec<String> = names.map(|name| name.to_string()).collect();
        lines.push(("standbys that may be read from", names.join(", ")));
        self.reply.clear();
        let columns = [b"what".as_slice(), b"value"].map(|name| Column::typed(name, TEXT, -1));
        backend::row_description(&mut self.reply, &columns);
        for (what, value) in &lines {
            backend::data_row(&mut self.reply, [Some(what.as_bytes()), Some(value.as_bytes())]);
        }
        backend::command_complete(&mut self.reply, b"EXPLAIN");
        backend::ready_for_query(&mut self.reply, b'I');
        self.send_reply(index);
        Some(header.len)
    }
}

fn tell(explained: &Explained, lines: &mut Vec<(&'static str, String)>) {
    lines.push(("route", explained.route.into()));
    lines.push(("reason", explained.reason.clone()));
    lines.extend(explained.because.iter().map(|step| ("because of", step.clone())));
    lines.push(("relations", explained.relations.join(", ")));
    lines.push(("calls", explained.calls.join(", ")));
}
