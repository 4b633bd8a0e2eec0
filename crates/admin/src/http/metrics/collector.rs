//! The families and their samples. Names follow Prometheus' advice: base units, the unit in the name.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::Unit,
};
use trunkline_proxy::{
    NodeReport, Readiness,
    engine::report::{PoolStats, RouteCounts},
};

use crate::{
    pools::{self, Pool, PoolKey},
    routes,
    snapshot::Snapshot,
};

/// Writes one snapshot.
#[derive(Debug)]
pub(super) struct Collector {
    snapshot: Snapshot,
    /// The snapshot's pools by their labels, of which the number is limited.
    pools: BTreeMap<PoolKey, Pool>,
}

/// A family of metrics that is being written.
struct Name<'a> {
    family: &'a str,
    help: &'a str,
    unit: Option<Unit>,
}

const fn name<'a>(name: &'a str, help: &'a str) -> Name<'a> {
    Name { family: name, help, unit: None }
}

const fn seconds<'a>(name: &'a str, help: &'a str) -> Name<'a> {
    Name { family: name, help, unit: Some(Unit::Seconds) }
}

const fn bytes<'a>(name: &'a str, help: &'a str) -> Name<'a> {
    Name { family: name, help, unit: Some(Unit::Bytes) }
}

type Out<'a, 'b> = &'a mut DescriptorEncoder<'b>;

/// Writes the head of a family; `samples` writes the rest.
fn family(
    out: Out<'_, '_>,
    about: &Name<'_>,
    kind: MetricType,
    samples: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    samples(&mut out.encode_descriptor(about.family, about.help, about.unit.as_ref(), kind)?)
}

/// Writes one sample of a family.
fn sample<const N: usize>(
    family: &mut MetricEncoder<'_>,
    labels: [(&str, &str); N],
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(family.encode_family(&labels)?)
}

/// Writes a family of one sample without labels.
fn one(out: Out<'_, '_>, about: &Name<'_>, metric: &impl EncodeMetric) -> fmt::Result {
    let kind = metric.metric_type();
    metric.encode(out.encode_descriptor(about.family, about.help, about.unit.as_ref(), kind)?)
}

fn gauge(out: Out<'_, '_>, about: &Name<'_>, value: impl EncodeGaugeValue) -> fmt::Result {
    one(out, about, &ConstGauge::new(value))
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn in_seconds(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}

/// Writes how often each reason decided that ever has.
fn decided(out: Out<'_, '_>, about: &Name<'_>, counts: &RouteCounts) -> fmt::Result {
    family(out, about, MetricType::Counter, |family| {
        counts.decided().filter(|(_, count)| *count > 0).try_for_each(|(because, count)| {
            let route = routes::of(because.is_to_standby());
            let labels = [("route", route), ("reason", because.words())];
            sample(family, labels, &ConstCounter::new(count))
        })
    })
}

/// The labels of a pool.
fn of(key: &PoolKey) -> [(&'static str, &str); 2] {
    [("database", &key.0), ("user", &key.1)]
}

impl prometheus_client::collector::Collector for Collector {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        self.process(&mut out)?;
        self.nodes(&mut out)?;
        self.routes(&mut out)?;
        self.pool_gauges(&mut out)?;
        self.pool_counters(&mut out)?;
        self.pool_times(&mut out)
    }
}

impl Collector {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self { pools: pools::by_name(&snapshot.pools), snapshot }
    }

    fn process(&self, out: Out<'_, '_>) -> fmt::Result {
        let snapshot = &self.snapshot;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        one(out, &name("build", "The version of the program"), &build)?;
        let started = snapshot.started.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        gauge(
            out,
            &seconds("start_time", "When it was started, since 1970"),
            started.as_secs_f64(),
        )?;
        let ready = snapshot.readiness == Readiness::Ready;
        gauge(out, &name("ready", "Whether clients should be sent here"), u64::from(ready))?;
        let taken = whole(snapshot.clients_taken);
        gauge(out, &name("clients_connected", "Clients that are logged in"), taken)?;
        let limit = whole(snapshot.clients_limit);
        gauge(out, &name("clients_limit", "Clients that may be logged in at once"), limit)?;
        let loops = whole(snapshot.loops.len());
        gauge(out, &name("loops", "Worker loops that answer"), loops)?;
        let buffered = snapshot.loops.iter().map(|report| report.buffered).sum::<usize>();
        let about = bytes("buffered", "Kept for slow readers and waiting clients");
        gauge(out, &about, whole(buffered))?;
        let held = snapshot.held();
        gauge(
            out,
            &bytes("held", "Memory that counts towards limits.held_total"),
            whole(held.now),
        )?;
        gauge(out, &bytes("held_limit", "How much of it there may be"), whole(held.limit))?;
        let about = name("held_refused", "Clients and statements refused because it was more");
        one(out, &about, &ConstCounter::new(held.refused))?;
        self.statements(out)?;
        self.listeners(out)?;
        self.replication(out)?;
        one(out, &name("panics", "Panics caught"), &ConstCounter::new(snapshot.panics()))
    }

    fn statements(&self, out: Out<'_, '_>) -> fmt::Result {
        let statements = self.snapshot.statements;
        let about = name("statements", "Named prepared statements that clients have");
        gauge(out, &about, whole(statements.count))?;
        let about = bytes("statement", "Memory that counts towards limits.statements_total");
        gauge(out, &about, whole(statements.bytes))?;
        let about = bytes("statement_limit", "How much of it there may be");
        gauge(out, &about, whole(statements.limit))?;
        let about = name("statements_refused", "Messages refused because it would have been more");
        one(out, &about, &ConstCounter::new(statements.refused))
    }

    fn listeners(&self, out: Out<'_, '_>) -> fmt::Result {
        let listeners = &self.snapshot.listeners;
        let up = listeners.each.iter().filter(|it| it.connected_us.is_some()).count();
        let about = name("listeners", "Connections that listen for clients which share servers");
        gauge(out, &about, whole(up))?;
        let clients = listeners.each.iter().map(|it| it.clients).sum();
        gauge(out, &name("listening_clients", "Clients for which they do"), whole(clients))?;
        let about = name("notifications", "Times a client was told a notification by one");
        one(out, &about, &ConstCounter::new(listeners.told))?;
        let about = name("listener_reconnects", "Times a lost one was made again");
        one(out, &about, &ConstCounter::new(listeners.reconnects))
    }

    fn replication(&self, out: Out<'_, '_>) -> fmt::Result {
        let replication = &self.snapshot.replication;
        let about = name("replication_connections", "Replication connections");
        gauge(out, &about, whole(replication.connections.len()))?;
        let about = name("replication_limit", "How many of them there may be");
        gauge(out, &about, whole(replication.limit))?;
        let mut counter = |about: Name<'_>, count: u64| one(out, &about, &ConstCounter::new(count));
        counter(name("replication_logins", "Replication connections let in"), replication.opened)?;
        let about =
            name("replication_refused", "Those refused because there were as many as may be");
        counter(about, replication.refused)?;
        counter(bytes("replication_received", "Received from them"), replication.received)?;
        counter(bytes("replication_sent", "Sent to them"), replication.sent)
    }

    fn nodes(&self, out: Out<'_, '_>) -> fmt::Result {
        let mut flag = |about: Name<'_>, read: fn(&NodeReport) -> u64| {
            family(out, &about, MetricType::Gauge, |family| {
                self.snapshot.nodes.iter().try_for_each(|node| {
                    sample(family, [("node", &node.name)], &ConstGauge::new(read(node)))
                })
            })
        };
        flag(name("node_up", "Whether the last probe was answered"), |n| n.up.into())?;
        flag(name("node_serving", "Whether traffic goes to it"), |n| n.serving.into())?;
        flag(name("node_primary", "Whether it is the primary"), |n| (n.role == "primary").into())?;
        flag(name("node_timeline", "Its timeline; 0 while unknown"), |n| n.timeline.into())?;
        let open = self.open_per_node();
        let about = name("node_servers", "Server connections to it");
        family(out, &about, MetricType::Gauge, |family| {
            open.iter().try_for_each(|(node, count)| {
                sample(family, [("node", node)], &ConstGauge::new(*count))
            })
        })
    }

    fn routes(&self, out: Out<'_, '_>) -> fmt::Result {
        let total = routes::total(&self.snapshot.routes);
        decided(out, &name("routes", "Times it was decided where statements go"), &total.on)?;
        let about = name("shadow_routes", "The same, while routing.mode is shadow");
        decided(out, &about, &total.shadow)?;
        let about = name("run_again", "Statements that the primary ran in the place of a standby");
        family(out, &about, MetricType::Counter, |family| {
            total.on.healed().try_for_each(|(healed, count)| {
                sample(family, [("reason", healed.words())], &ConstCounter::new(count))
            })
        })?;
        let about = name("learnt_texts", "Texts remembered as such that a standby refuses");
        one(out, &about, &ConstCounter::new(total.on.learnt))
    }

    /// Server connections of each node of the settings; those of nodes that were removed count as `removed`.
    fn open_per_node(&self) -> BTreeMap<Arc<str>, u64> {
        let names = self.snapshot.node_names.values();
        let mut open: BTreeMap<Arc<str>, u64> = names.map(|name| (Arc::clone(name), 0)).collect();
        for server in self.snapshot.servers() {
            let name = self.snapshot.node_names.get(&server.node).cloned();
            let name = name.unwrap_or_else(|| Arc::from("removed"));
            *open.entry(name).or_default() += 1;
        }
        open
    }

    fn pool_gauges(&self, out: Out<'_, '_>) -> fmt::Result {
        self.states(out, &name("pool_clients", "Clients of the pool by what they do"), |pool| {
            vec![
                ("active", pool.clients_linked),
                ("idle", pool.clients_idle),
                ("waiting", pool.clients_waiting),
            ]
        })?;
        self.states(out, &name("pool_servers", "Server connections by what they do"), |pool| {
            vec![
                ("active", pool.servers_active),
                ("busy", pool.servers_busy),
                ("idle", pool.servers_idle),
                ("opening", pool.servers_opening),
            ]
        })?;
        let pinned = name("pool_clients_pinned", "Clients that keep their server connection");
        self.gauge_of(out, &pinned, |pool| whole(pool.clients_pinned))?;
        let paused = name("pool_paused", "Whether the pool is paused");
        self.gauge_of(out, &paused, |pool| pool.paused.into())?;
        let failing = name("pool_failing", "Whether the last attempt to open a server failed");
        self.gauge_of(out, &failing, |pool| pool.last_error.is_some().into())?;
        let wait = seconds("pool_oldest_wait", "How long the oldest waiting client has waited");
        family(out, &wait, MetricType::Gauge, |family| {
            self.pools.iter().try_for_each(|(key, pool)| {
                let us = pool.oldest_wait_us;
                sample(family, of(key), &ConstGauge::new(in_seconds(us)))
            })
        })?;
        self.sizes(out)
    }

    /// How large the pools may be. The sum of several pools has no size of its own.
    fn sizes(&self, out: Out<'_, '_>) -> fmt::Result {
        let about = name("pool_size", "Server connections the pool may have on each node");
        family(out, &about, MetricType::Gauge, |family| {
            let known = self.pools.keys().filter(|key| self.snapshot.pools.contains_key(*key));
            for key in known {
                if let Some(policy) = self.snapshot.settings.pool_for(&key.0, &key.1) {
                    sample(family, of(key), &ConstGauge::new(whole(policy.size)))?;
                }
            }
            Ok(())
        })
    }

    fn pool_counters(&self, out: Out<'_, '_>) -> fmt::Result {
        let mut counter = |about: Name<'_>, read: fn(&PoolStats) -> u64| {
            self.counters(out, &about, |stats| ConstCounter::new(read(stats)))
        };
        counter(name("leases", "Times a server was given to a client"), |s| s.leases)?;
        counter(name("transactions", "Transactions finished"), |s| s.transactions)?;
        counter(name("queries", "Queries finished"), |s| s.queries)?;
        counter(name("logins", "Clients that logged in"), |s| s.logins)?;
        counter(name("servers_opened", "Server connections opened"), |s| s.opened)?;
        counter(name("servers_closed", "Server connections closed"), |s| s.closed)?;
        counter(name("errors", "Clients refused or failed by the pooler itself"), |s| s.errors)?;
        counter(name("timeouts", "Transactions ended by a timeout of the pooler"), |s| s.timeouts)?;
        counter(name("read_backs", "Times a server was asked what its client has there"), |s| {
            s.read_backs
        })?;
        counter(name("read_backs_failed", "Times it could not tell"), |s| s.read_backs_failed)?;
        counter(
            name("hidden_state", "Times there was something that no statement had shown"),
            |s| s.hidden_found,
        )?;
        counter(name("audits", "Servers that came back and were asked what is there"), |s| {
            s.audits
        })?;
        counter(
            name("leaks", "Servers that came back in another state than they should have been in"),
            |s| s.leaks,
        )?;
        counter(bytes("received", "Received from clients"), |s| s.received)?;
        counter(bytes("sent", "Sent to clients"), |s| s.sent)
    }

    fn pool_times(&self, out: Out<'_, '_>) -> fmt::Result {
        let mut time = |about: Name<'_>, read: fn(&PoolStats) -> u64| {
            self.counters(out, &about, |stats| ConstCounter::new(in_seconds(read(stats))))
        };
        time(seconds("transaction", "Spent in transactions"), |s| s.transaction_us)?;
        time(seconds("query", "Spent in queries"), |s| s.query_us)?;
        time(seconds("wait", "Spent by clients waiting for a server"), |s| s.wait_us)
    }

    fn counters<M: EncodeMetric>(
        &self,
        out: Out<'_, '_>,
        about: &Name<'_>,
        read: impl Fn(&PoolStats) -> M,
    ) -> fmt::Result {
        family(out, about, MetricType::Counter, |family| {
            self.snapshot
                .counters
                .iter()
                .try_for_each(|(key, stats)| sample(family, of(key), &read(stats)))
        })
    }

    fn gauge_of(&self, out: Out<'_, '_>, about: &Name<'_>, read: fn(&Pool) -> u64) -> fmt::Result {
        family(out, about, MetricType::Gauge, |family| {
            self.pools
                .iter()
                .try_for_each(|(key, pool)| sample(family, of(key), &ConstGauge::new(read(pool))))
        })
    }

    /// A gauge with the label `state`.
    fn states(
        &self,
        out: Out<'_, '_>,
        about: &Name<'_>,
        read: fn(&Pool) -> Vec<(&'static str, usize)>,
    ) -> fmt::Result {
        family(out, about, MetricType::Gauge, |family| {
            for (key, pool) in &self.pools {
                for (state, count) in read(pool) {
                    let [database, user] = of(key);
                    let labels = [database, user, ("state", state)];
                    sample(family, labels, &ConstGauge::new(whole(count)))?;
                }
            }
            Ok(())
        })
    }
}
