//! The one list of all groups, in the order of the documentation.

use std::collections::BTreeMap;

use crate::Settings;
use crate::group::Group;

/// Someone who looks at every group: to decode it, to describe it, to compare it.
pub(crate) trait Visitor {
    /// A group that is there once: `[pool]`.
    fn single<T: Group>(&mut self, read: fn(&Settings) -> &T, write: fn(&mut Settings) -> &mut T);
    /// A group that is there any number of times, in order: `[[node]]`. The name tells one from another.
    fn repeated<T: Group + Clone + PartialEq>(
        &mut self,
        read: fn(&Settings) -> &Vec<T>,
        write: fn(&mut Settings) -> &mut Vec<T>,
        name: fn(&T) -> &str,
    );
    /// A group that is there once for each name: `[databases.shop]`.
    fn named<T: Group>(
        &mut self,
        read: fn(&Settings) -> &BTreeMap<String, T>,
        write: fn(&mut Settings) -> &mut BTreeMap<String, T>,
    );
}

/// Shows the visitor every group.
pub(crate) fn visit(visitor: &mut impl Visitor) {
    visitor.single(|s| &s.listen, |s| &mut s.listen);
    visitor.single(|s| &s.general, |s| &mut s.general);
    visitor.repeated(|s| &s.nodes, |s| &mut s.nodes, |node| &node.name);
    visitor.single(|s| &s.cluster, |s| &mut s.cluster);
    visitor.named(|s| &s.databases.0, |s| &mut s.databases.0);
    visitor.named(|s| &s.users.0, |s| &mut s.users.0);
    visitor.single(|s| &s.pool, |s| &mut s.pool);
    visitor.single(|s| &s.routing, |s| &mut s.routing);
    visitor.repeated(|s| &s.routes, |s| &mut s.routes, |rule| &rule.name);
    visitor.single(|s| &s.timeouts, |s| &mut s.timeouts);
    visitor.single(|s| &s.limits, |s| &mut s.limits);
    visitor.single(|s| &s.tcp, |s| &mut s.tcp);
    visitor.single(|s| &s.client_tls, |s| &mut s.client_tls);
    visitor.single(|s| &s.server_tls, |s| &mut s.server_tls);
    visitor.single(|s| &s.auth, |s| &mut s.auth);
    visitor.single(|s| &s.console, |s| &mut s.console);
    visitor.single(|s| &s.http, |s| &mut s.http);
    visitor.single(|s| &s.log, |s| &mut s.log);
}
