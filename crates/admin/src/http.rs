//! HTTP for machines: health checks and metrics.

mod listener;
mod metrics;
mod routes;

pub(crate) use listener::serve;
pub use listener::{HttpError, HttpListener};
