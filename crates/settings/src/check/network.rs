//! Addresses: listeners and nodes.

use std::collections::BTreeMap;

use crate::environment::MAX_NODES;
use crate::{Host, SocketDir};

use super::Checker;

/// The longest path of a Unix socket: `sun_path` of Linux less its NUL.
const MAX_SOCKET_PATH: usize = 107;

/// The longest name of a node: it is a label in metrics and a word in commands.
const MAX_NODE_NAME: usize = 128;

impl Checker<'_> {
    pub(super) fn network(&mut self) {
        self.listeners();
        self.node_names();
        self.node_addresses();
    }

    fn listeners(&mut self) {
        let listen = &self.settings.listen;
        let lists = listen.all_addresses();
        if lists.iter().all(|(_, list)| list.is_empty()) && listen.unix_socket_dir.is_none() {
            let paths = ["listen.addresses", "listen.unix_socket_dir"];
            self.error(
                &paths,
                "there is nowhere to listen",
                "give `addresses` or `unix_socket_dir`",
            );
        }
        let mut seen = BTreeMap::new();
        for (name, list) in lists {
            for (index, address) in list.iter().enumerate() {
                let element = format!("listen.{name}.{index}");
                let list = format!("listen.{name}");
                if seen.insert(address, (element.clone(), list.clone())).is_some() {
                    let message = format!("{address} is listed twice");
                    self.error(&[&element, &list], message, "");
                }
            }
        }
        if let Some(address) = self.settings.http.address
            && let Some((element, list)) = seen.get(&address)
        {
            self.error(
                &["http.address", element, list],
                format!("{address} is also an address for clients"),
                "choose another port",
            );
        }
        let Some(directory) = &listen.unix_socket_dir else { return };
        let length = match directory {
            SocketDir::Path(path) => path.as_os_str().len(),
            SocketDir::Abstract(name) => name.len() + 1,
        };
        if length + format!("/.s.PGSQL.{}", listen.unix_port()).len() > MAX_SOCKET_PATH {
            let message =
                format!("the path of the Unix socket is longer than {MAX_SOCKET_PATH} bytes");
            self.error(&["listen.unix_socket_dir"], message, "choose a shorter directory");
        }
    }

    fn node_names(&mut self) {
        let nodes = &self.settings.nodes;
        if nodes.is_empty() && !self.report.failed() {
            let help = "add a [[node]] table with `host` and `port`";
            self.error(&["node"], "there is no node", help);
        }
        if nodes.len() > MAX_NODES {
            let message =
                format!("there are {} nodes; there can be at most {MAX_NODES}", nodes.len());
            self.error(&["node"], message, "");
        }
        let mut names = BTreeMap::new();
        for (index, node) in nodes.iter().enumerate() {
            let path = format!("node.{index}.name");
            if let Some(first) = names.insert(node.name.as_str(), index) {
                let message = format!(
                    "the node name `{}` is used twice (nodes {first} and {index})",
                    node.name
                );
                let others = [format!("node.{index}.host"), format!("node.{index}.port")];
                let [host, port] = &others;
                self.error(&[&path, host, port], message, "give each node a name of its own");
            }
            let sound =
                node.name.chars().all(|c| c.is_ascii_alphanumeric() || "._:/-[]".contains(c));
            if !sound || node.name.len() > MAX_NODE_NAME {
                let message = "a node's name may hold letters, digits and ._:/- only";
                self.error(&[&path], message, &format!("at most {MAX_NODE_NAME} of them"));
            }
        }
    }

    fn node_addresses(&mut self) {
        let mut addresses: BTreeMap<(&Host, u16), &str> = BTreeMap::new();
        for (index, node) in self.settings.nodes.iter().enumerate() {
            let Some(first) = addresses.insert((&node.host, node.port), &node.name) else {
                continue;
            };
            let (host, port) = (format!("node.{index}.host"), format!("node.{index}.port"));
            let name = format!("node.{index}.name");
            if first != node.name {
                let message = format!(
                    "the nodes `{first}` and `{}` have the same address {}",
                    node.name,
                    node.address()
                );
                self.error(&[&host, &port, &name], message, "each server is one node");
            }
        }
    }
}
