//! Paths and their answers. `HEAD` is answered as `GET` is, without the body.

use std::{fmt, sync::Arc};

use axum::{
    Router,
    body::HttpBody,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::Mutex;
use trunkline_proxy::Readiness;

use super::metrics;
use crate::{console::Console, pooler::Pooler};

/// The media type of `/metrics` (`OpenMetrics` 1.0, "Protocol Negotiation").
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What all requests share.
struct Shared<P> {
    console: Arc<Console<P>>,
    /// The loops are asked by one request at a time.
    asking: Mutex<()>,
}

impl<P> fmt::Debug for Shared<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// All paths.
pub(super) fn router<P: Pooler>(console: Arc<Console<P>>) -> Router {
    let shared = Arc::new(Shared { console, asking: Mutex::default() });
    Router::new()
        .route("/livez", get(alive))
        .route("/readyz", get(ready::<P>))
        .route("/metrics", get(scrape::<P>))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn(without_body))
        .with_state(shared)
}

/// The process runs and its runtime answers; nothing else is asked, so that a broken database restarts no pooler.
async fn alive() -> Response {
    words(StatusCode::OK, "ok")
}

async fn ready<P: Pooler>(State(shared): State<Arc<Shared<P>>>) -> Response {
    let readiness = shared.console.pooler.readiness();
    let status = if readiness == Readiness::Ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    words(status, readiness.as_str())
}

async fn scrape<P: Pooler>(State(shared): State<Arc<Shared<P>>>) -> Response {
    let _turn = shared.asking.lock().await;
    let snapshot = match shared.console.snapshot().await {
        Ok(snapshot) => snapshot,
        Err(error) => return words(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    };
    match metrics::text(snapshot) {
        Ok(text) => {
            ([(header::CONTENT_TYPE, OPENMETRICS), (header::CACHE_CONTROL, "no-store")], text)
                .into_response()
        }
        Err(error) => {
            tracing::error!("metrics could not be written: {error}");
            words(StatusCode::INTERNAL_SERVER_ERROR, "metrics could not be written")
        }
    }
}

async fn nowhere() -> Response {
    words(StatusCode::NOT_FOUND, "not found; there are /livez, /readyz and /metrics")
}

async fn not_allowed() -> Response {
    words(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered")
}

/// Nothing here takes a body, so none is read.
async fn without_body(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        next.run(request).await
    } else {
        let mut response = words(StatusCode::PAYLOAD_TOO_LARGE, "no body is expected");
        // What follows the head is not a request.
        let close = header::HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    }
}

/// A line of text.
fn words(status: StatusCode, text: &str) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, format!("{text}\n")).into_response()
}

#[cfg(test)]
mod tests;
