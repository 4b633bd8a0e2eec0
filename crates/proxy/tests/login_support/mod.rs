//! What the login tests share: certificates, and targets for server logins.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "shared by several test programs")]

pub mod parlour;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use trunkline_cluster::NodeId;
use trunkline_proxy::backend::{KeyRing, Names, NodeAddress, OpenTarget};
use trunkline_proxy::control::ProbeTarget;
use trunkline_proxy::net::TcpOptions;
use trunkline_proxy::tls::ServerSide;
use trunkline_settings::{CaSource, Host, PemFile, Secret, ServerSecret, ServerTls, ServerTlsMode};
use trunkline_testkit::cluster::SUPERUSER_PASSWORD;
use trunkline_testkit::wait::PATIENCE;
use trunkline_testkit::{Cluster, Node};
use trunkline_wire::startup::ProtocolVersion;

/// An authority that signs certificates for servers and clients.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "login tests");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key, for these hosts and with this common name.
    pub fn sign(&self, common_name: &str, hosts: &[&str]) -> (String, String) {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// Turns TLS on at a running server, with a certificate for these hosts, and with client certificates
    /// of this authority.
    pub async fn install(&self, node: &Node, hosts: &[&str]) {
        let (certificate, key) = self.sign("server", hosts);
        let files =
            [("ssl_cert_file", certificate), ("ssl_key_file", key), ("ssl_ca_file", self.pem())];
        for (setting, text) in files {
            let path = node.data_directory().join(setting);
            write_private(&path, &text, node.data_directory());
            node.set(setting, path.display()).unwrap();
        }
        node.set("ssl", "on").unwrap();
        node.reload().await.unwrap();
    }
}

/// Writes a file that only the owner of `like` can read.
fn write_private(path: &Path, text: &str, like: &Path) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let owner = std::fs::metadata(like).unwrap();
    std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

pub fn pem(text: &str) -> PemFile {
    PemFile { path: "test.pem".into(), pem: Secret::new(text) }
}

/// TLS towards servers in this mode, with this authority.
pub fn tls(mode: ServerTlsMode, authority: Option<&Authority>) -> ServerTls {
    let ca = authority.map_or(CaSource::System, |authority| CaSource::File(pem(&authority.pem())));
    ServerTls { mode, ca, ..ServerTls::default() }
}

/// A login as `user` over TCP without TLS.
pub fn target(port: u16, user: &str, secret: ServerSecret) -> OpenTarget {
    OpenTarget {
        address: NodeAddress { host: Host::parse("127.0.0.1").unwrap(), port },
        names: Names::default(),
        database: Arc::from("postgres"),
        user: Arc::from(user),
        secret,
        ring: Arc::new(KeyRing::new()),
        startup: trunkline_proxy::handover::StartupParams::default(),
        tls: Arc::new(ServerSide::new(&tls(ServerTlsMode::Disable, None)).unwrap()),
        protocol: ProtocolVersion::V3_0,
        connect_timeout: PATIENCE,
        tcp: TcpOptions { keepalive: None, user_timeout: Duration::ZERO },
        allow_cleartext: false,
    }
}

pub fn password(text: &str) -> ServerSecret {
    ServerSecret::Plain(Secret::new(text))
}

/// Where the node is, and as whom it is asked.
pub fn boss(node: &Node) -> OpenTarget {
    target(node.port(), "postgres", password(SUPERUSER_PASSWORD))
}

/// The nodes of the cluster; their numbers are their places in it.
pub fn targets(cluster: &Cluster) -> Vec<ProbeTarget> {
    let target = |(number, node)| ProbeTarget { node: NodeId(number), target: boss(node) };
    (0..).zip(cluster.nodes()).map(target).collect()
}
