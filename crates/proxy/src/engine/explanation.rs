//! What `EXPLAIN ROUTE` tells: where a statement would go if its client sent it now, and all that this depends on.

use bytes::BytesMut;
use trunkline_route::{Asked, Because, By, Dice, Lost, Plain, Wish, choose, lost};
use trunkline_session::TxStatus;
use trunkline_settings::RoutingMode;
use trunkline_wire::frontend;

use super::{
    crossing::{crosses_for, may_go_on},
    slot::Client,
    standbys::balance_of,
    worker::Worker,
};
use crate::{
    cluster::NodeId,
    handle::NodeReport,
    routing::{Explained, Floor, Place},
};

/// A line: what it tells, and that. The first are the same for all statements, in the order in which they are written.
pub(super) type Line = (String, String);

/// Which standby a client would read from.
struct Choice {
    taken: Result<NodeId, Plain>,
    /// Why it would not from the others.
    lost: Vec<(NodeId, Lost)>,
}

/// Where a statement goes.
struct Way {
    standby: bool,
    node: Option<NodeId>,
    reason: String,
}

impl Worker {
    /// What there is to tell of a text.
    pub(super) fn explanation(&mut self, index: usize, text: &[u8]) -> Vec<Line> {
        let asked = self.asked(index);
        let begin = self.begin();
        let rule = if asked.by == By::Rule { self.rule_name(index) } else { None };
        let Some(client) = self.clients.get(index) else { return Vec::new() };
        let home = self.home_of(client.pool);
        let Some(pool) = self.pools.get(home) else { return Vec::new() };
        let study = (self.shared.study(), self.index);
        let mut message = BytesMut::new();
        frontend::query(&mut message, text);
        let block = client.session.horizon(&message, begin, |_| false).block;
        let inside = client.state.server().and_then(|server| self.servers.get(server));
        let inside = inside.is_some_and(|server| server.session.status() != TxStatus::Idle);
        let place = match block {
            _ if asked.is_whole() => Place::Within,
            Some(block) => Place::Begins(block),
            None if inside || client.crosses => Place::Within,
            None => Place::Alone,
        };
        let crossing = client.rare.routed.as_ref().map(|routed| &routed.crossing);
        let trust = crossing.map_or_else(|| asked.trust(), |crossing| crossing.trust(asked));
        let whose = (&*pool.family, &client.session, trust);
        let explained = self.router.explain(whose, (asked, text, place), self.now, study);
        let choice = self.choice(index, (home, asked.is_whole()));
        let Some(client) = self.clients.get(index) else { return Vec::new() };
        let way = self.way((client, text), &explained, choice.taken);
        let node = way.node.and_then(|node| self.shared.registry.node_name(node));
        let mut lines: Vec<Line> = Vec::new();
        let mut line = |what: &str, value: String| lines.push((what.to_owned(), value));
        line("route", word(way.standby).into());
        line("reason", way.reason);
        line("node", node.as_deref().unwrap_or("none").to_owned());
        line("mode", self.mode().into());
        line("asked", words_of(asked, rule.as_deref()));
        let by_itself = explained.because.is_to_standby();
        line("by itself", format!("{}: {}", word(by_itself), explained.reason));
        explained.steps.into_iter().for_each(|step| line("because of", step));
        line("class", explained.class.into());
        line("hint", explained.hint);
        line("relations", explained.relations.join(", "));
        line("calls", explained.calls.join(", "));
        line("path", explained.path);
        for (node, report) in self.shared.standings().iter() {
            let value = self.candidate((client, home), *node, report, &choice);
            line(&format!("{} {}", report.role, report.name), value);
        }
        lines
    }

    /// What the mode of routing makes of it.
    fn mode(&self) -> &'static str {
        match self.settings.routing.mode {
            RoutingMode::On => "on",
            RoutingMode::Shadow => "shadow: this is told, and the primary serves it",
            RoutingMode::Off => "off: with \"on\" this is where it would go",
        }
    }

    /// Where a text goes if the client sends it now.
    fn way(
        &self,
        whose: (&Client, &[u8]),
        explained: &Explained,
        taken: Result<NodeId, Plain>,
    ) -> Way {
        if let Some(way) = self.kept_way(whose, explained) {
            return way;
        }
        let primary = |because: Because, reason: String| {
            debug_assert!(!because.is_to_standby(), "{because}");
            Way { standby: false, node: self.traffic.primary, reason }
        };
        if !explained.because.is_to_standby() {
            return primary(explained.because, explained.reason.clone());
        }
        match taken {
            Ok(node) => Way { standby: true, node: Some(node), reason: explained.reason.clone() },
            Err(because) => primary(because.into(), because.words().into()),
        }
    }

    /// Where a client goes on that holds a server which it does not give back now.
    fn kept_way(&self, (client, text): (&Client, &[u8]), explained: &Explained) -> Option<Way> {
        let server = self.servers.get(client.state.server()?)?;
        if may_go_on(client, server) && crosses_for(client, explained.because, text) {
            let reason = Plain::FirstWrite.words().into();
            return Some(Way { standby: false, node: self.traffic.primary, reason });
        }
        let reason = if server.session.status() != TxStatus::Idle {
            "in a transaction"
        } else if !client.session.shares_servers() {
            Plain::Session.words()
        } else {
            return None;
        };
        let standby = self.pools.get(server.pool).is_some_and(|pool| pool.lead.is_some());
        Some(Way { standby, node: Some(server.about.node), reason: reason.into() })
    }

    /// The standby that the client would read from now, and why it would not from the others.
    fn choice(&mut self, index: usize, home: (usize, bool)) -> Choice {
        let mut candidates = Vec::new();
        self.raise_floor(index, home.0);
        self.weigh(index, home, &mut candidates);
        let client = self.clients.get(index);
        let elsewhere = client.is_some_and(|client| client.session.may_read_elsewhere());
        let stays = client.and_then(|client| floor_of(client).reader());
        let balance = balance_of(&self.settings);
        let taken = match choose(&candidates, stays, balance, Dice::default()) {
            _ if !elsewhere && !home.1 => Err(Plain::Session),
            // It has to find there what it has seen at the other one.
            Ok(node) if stays.is_some_and(|before| before != node) => Err(Plain::OwnWrites),
            Ok(node) if self.traffic.primary == Some(node) => Err(Plain::PrimaryShare),
            taken => taken,
        };
        let lost = lost(&candidates, stays, taken.ok());
        let lost = lost.filter_map(|(node, why)| Some((node, why?))).collect();
        Choice { taken, lost }
    }

    /// How a node stands for this client.
    fn candidate(
        &self,
        (client, home): (&Client, usize),
        node: NodeId,
        report: &NodeReport,
        choice: &Choice,
    ) -> String {
        let mut words = Vec::new();
        match report.fit {
            None => {}
            Some("yes") => words.push("fit".into()),
            Some(why) => words.push(format!("not fit: {why}")),
        }
        if let (Some(bytes), Some(time)) = (report.lag_bytes, report.lag) {
            let time = time.as_secs_f64() * 1000.0;
            words.push(format!("{bytes} bytes and {time:.1} ms behind"));
        }
        let lost = choice.lost.iter().find(|(other, _)| *other == node).map(|(_, lost)| *lost);
        if report.fit == Some("yes") && self.settings.routing.mode != RoutingMode::Off {
            let below = [Lost::Unplaced, Lost::NotReached].iter().any(|it| lost == Some(*it));
            words.extend((!below).then(|| "floor reached".to_owned()));
            words.extend(lost.map(|lost| lost.words().to_owned()));
        }
        if floor_of(client).reader() == Some(node) {
            words.push("read from last".into());
        }
        words.push(match self.busy(home, node) {
            1 => "1 connection busy".to_owned(),
            busy => format!("{busy} connections busy"),
        });
        words.join(", ")
    }

    /// So many connections of a pool to a node are busy or waited for, at this loop.
    fn busy(&self, home: usize, node: NodeId) -> usize {
        let Some(pool) = self.pools.get(home) else { return 0 };
        let beside = pool.beside_of(false).iter().find(|(other, _)| *other == node);
        let pool = match beside {
            Some((_, index)) => self.pools.get(*index),
            None => Some(pool).filter(|_| self.traffic.primary == Some(node)),
        };
        pool.map_or(0, |pool| {
            pool.servers.saturating_sub(pool.idle.len()).saturating_add(pool.waiters.len())
        })
    }
}

/// Where a session asks its statements to go, and by whose word.
fn words_of(asked: Asked, rule: Option<&str>) -> String {
    let wish = match asked.wish {
        Wish::Any => "any",
        Wish::Primary => "primary",
        Wish::Standby => "standby",
    };
    match asked.by {
        By::Nobody => wish.to_owned(),
        By::Listener => format!("{wish}, by its listener"),
        By::Rule => format!("{wish}, by rule {}", rule.unwrap_or_default()),
        By::Setting => format!("{wish}, by trunkline.route"),
    }
}

fn floor_of(client: &Client) -> Floor {
    client.rare.routed.as_ref().map(|routed| routed.floor).unwrap_or_default()
}

const fn word(standby: bool) -> &'static str {
    if standby { "standby" } else { "primary" }
}
