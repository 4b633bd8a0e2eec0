//! Which statements may go to standbys, and what is known for it: the catalogs of the databases, the positions of the nodes.

mod adviser;
mod catalog;
mod explained;
mod floor;
mod ground;
mod judge;
mod level;
mod overrides;
mod reader;
mod router;
mod study;
mod whereabouts;

pub use adviser::{Advice, Adviser, AdviserError};
pub(crate) use catalog::{Catalog, Glance};
pub(crate) use explained::Explained;
pub(crate) use floor::{Below, Floor, SeenBy};
pub(crate) use level::{begins_here, sees_commits_in};
pub(crate) use overrides::Caller;
pub(crate) use reader::Library;
pub(crate) use router::{Place, Router};
pub(crate) use study::{Studied, Study};
pub(crate) use whereabouts::Whereabouts;
