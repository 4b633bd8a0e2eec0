//! Looking up the names of nodes.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// The addresses of a name, when they are found.
pub type NamesFuture = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Who is asked for the addresses of a name; the system unless somebody else is named.
#[derive(Clone)]
pub struct Names(Arc<dyn Fn(String, u16) -> NamesFuture + Send + Sync>);

impl Names {
    /// Asks `look`, which gets name and port.
    pub fn by(look: impl Fn(String, u16) -> NamesFuture + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    pub(super) async fn look(&self, name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        (self.0)(name, port).await
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::by(|name, port| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((name.as_str(), port)).await?;
                Ok(found.collect())
            })
        })
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names(..)")
    }
}
