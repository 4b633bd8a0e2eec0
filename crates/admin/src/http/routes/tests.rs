use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method},
};
use tokio::{sync::watch, time::Instant};
use tower::ServiceExt;

use super::*;
use crate::testing::Puppet;

fn app(puppet: &Puppet) -> Router {
    let (_, marks) = watch::channel(Arc::default());
    let pooler = puppet.clone();
    router(Arc::new(Console { pooler, marks, origin: Instant::now(), shutdown: None }))
}

async fn ask(puppet: &Puppet, method: Method, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let (parts, body) = app(puppet).oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn alive_is_alive_whatever_the_database_does() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        strings.stuck = true;
        strings.readiness = Readiness::NoPrimary;
    });
    assert_eq!(ask(&puppet, Method::GET, "/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn ready_says_why_not() {
    let puppet = Puppet::new();
    let (status, headers, body) = ask(&puppet, Method::GET, "/readyz").await;
    assert_eq!((status, &*body), (StatusCode::OK, "ready\n"));
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    for state in [Readiness::Starting, Readiness::NoPrimary, Readiness::Draining] {
        puppet.with(|strings| strings.readiness = state);
        let (status, _, body) = ask(&puppet, Method::GET, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body.trim_end(), state.as_str());
    }
}

#[tokio::test]
async fn metrics_have_the_media_type_of_openmetrics() {
    let (status, headers, body) = ask(&Puppet::new(), Method::GET, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        headers[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(body.ends_with("# EOF\n"));
}

#[tokio::test(start_paused = true)]
async fn loops_that_do_not_answer_are_an_error_in_time() {
    let puppet = Puppet::new();
    puppet.with(|strings| strings.stuck = true);
    let begin = Instant::now();
    let (status, _, body) = ask(&puppet, Method::GET, "/metrics").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("did not answer"), "{body}");
    assert_eq!(begin.elapsed(), crate::snapshot::REPORT_DEADLINE);
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    for path in ["/livez", "/readyz", "/metrics"] {
        let (status, headers, body) = ask(&Puppet::new(), Method::HEAD, path).await;
        assert_eq!((status, &*body), (StatusCode::OK, ""), "{path}");
        assert!(headers.contains_key(header::CONTENT_TYPE), "{path}");
    }
}

#[tokio::test]
async fn other_methods_and_other_paths_are_refused() {
    let puppet = Puppet::new();
    let (status, headers, _) = ask(&puppet, Method::POST, "/metrics").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers[header::ALLOW], "GET,HEAD");
    assert_eq!(ask(&puppet, Method::GET, "/").await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask(&puppet, Method::GET, "/metrics/").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_request_with_a_body_is_refused() {
    let request = Request::builder().uri("/livez").body(Body::from("x")).unwrap();
    let response = app(&Puppet::new()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
