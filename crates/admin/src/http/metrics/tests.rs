use trunkline_proxy::engine::report::DepartedReport;

use super::{openmetrics::Samples, *};
use crate::testing::{Puppet, pool_report};

async fn scraped(puppet: &Puppet) -> Samples {
    let snapshot = Snapshot::take(puppet, std::sync::Arc::default(), 0).await.unwrap();
    let text = text(snapshot).unwrap();
    openmetrics::parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"))
}

fn value(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> f64 {
    let mut labels: Vec<(String, String)> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    labels.sort();
    let key = (name.to_owned(), labels);
    *samples.get(&key).unwrap_or_else(|| panic!("{key:?} is not in {samples:#?}"))
}

#[tokio::test]
#[expect(clippy::float_cmp, reason = "numbers that are exact in binary")]
async fn a_scrape_is_openmetrics_and_tells_what_the_loops_told() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        (strings.panics, strings.loops[0].panics) = (2, 1);
        for (report, held) in strings.loops.iter_mut().zip([5, 7]) {
            (report.held, report.held_share, report.held_refused) = (held, 64, 1);
        }
    });
    let samples = scraped(&puppet).await;
    let alice = [("database", "shop"), ("user", "alice")];
    assert_eq!(value(&samples, "trunkline_queries_total", &alice), 42.0);
    assert_eq!(value(&samples, "trunkline_query_seconds_total", &alice), 84.0);
    assert_eq!(value(&samples, "trunkline_received_bytes_total", &alice), 0.0);
    assert_eq!(value(&samples, "trunkline_pool_oldest_wait_seconds", &alice), 2.5);
    assert_eq!(value(&samples, "trunkline_pool_size", &alice), 20.0);
    let waiting = [alice[0], alice[1], ("state", "waiting")];
    assert_eq!(value(&samples, "trunkline_pool_clients", &waiting), 1.0);
    assert_eq!(value(&samples, "trunkline_node_primary", &[("node", "pg1")]), 1.0);
    assert_eq!(value(&samples, "trunkline_node_servers", &[("node", "pg1")]), 2.0);
    assert_eq!(value(&samples, "trunkline_ready", &[]), 1.0);
    assert_eq!(value(&samples, "trunkline_panics_total", &[]), 3.0);
    let held = ["held_bytes", "held_limit_bytes", "held_refused_total"]
        .map(|name| value(&samples, &format!("trunkline_{name}"), &[]));
    assert_eq!(held, [12.0, 128.0, 2.0]);
    let statements =
        ["statements", "statement_bytes", "statement_limit_bytes", "statements_refused_total"]
            .map(|name| value(&samples, &format!("trunkline_{name}"), &[]));
    assert_eq!(statements, [3.0, 2048.0, 1_048_576.0, 5.0]);
    let listeners =
        ["listeners", "listening_clients", "notifications_total", "listener_reconnects_total"]
            .map(|name| value(&samples, &format!("trunkline_{name}"), &[]));
    assert_eq!(listeners, [1.0, 2.0, 90.0, 4.0]);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(value(&samples, "trunkline_build_info", &version), 1.0);
}

#[tokio::test]
async fn names_begin_with_the_prefix_and_times_and_bytes_have_base_units() {
    for ((name, _), _) in scraped(&Puppet::new()).await {
        assert!(name.starts_with("trunkline_"), "{name}");
        for unit in ["_us", "_ms", "_micros", "_millis", "_kb", "_mb"] {
            assert!(!name.contains(unit), "{name}");
        }
    }
}

#[tokio::test]
async fn names_that_need_escaping_pass_through_unchanged() {
    let puppet = Puppet::new();
    let odd = "a\"b\\c\nd=\"},{";
    puppet.with(|strings| strings.loops[0].pools.push(pool_report(9, odd, "\u{e9}")));
    let samples = scraped(&puppet).await;
    value(&samples, "trunkline_logins_total", &[("database", odd), ("user", "\u{e9}")]);
}

#[tokio::test]
async fn a_pooler_without_pools_and_nodes_is_no_error() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        strings.loops.clear();
        strings.nodes.clear();
    });
    assert!(!scraped(&puppet).await.is_empty());
}

#[tokio::test]
#[expect(clippy::float_cmp, reason = "numbers that are exact in binary")]
async fn counters_stay_when_their_pool_goes_and_gauges_go_with_it() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        let gone = strings.loops[0].pools.remove(0);
        let (database, user, stats) = (gone.database, gone.user, gone.stats);
        strings.loops[0].departed = vec![DepartedReport { database, user, stats, routes: None }];
    });
    let samples = scraped(&puppet).await;
    let alice = [("database", "shop"), ("user", "alice")];
    assert_eq!(value(&samples, "trunkline_queries_total", &alice), 42.0);
    let of_alice = |labels: &openmetrics::LabelSet| labels.iter().any(|(_, v)| v == "alice");
    for (name, labels) in samples.keys().filter(|(_, labels)| of_alice(labels)) {
        assert!(name.ends_with("_total"), "{name} {labels:?}");
    }
}

#[tokio::test]
async fn pools_without_a_name_have_no_series_of_their_own() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        let pools = (0..3000).map(|n| pool_report(n, &format!("db{n}"), "u"));
        strings.loops[0].pools = pools.collect();
        strings.loops[0].pools.iter_mut().skip(10).for_each(|pool| pool.named = false);
    });
    let samples = scraped(&puppet).await;
    for family in ["trunkline_queries_total", "trunkline_pool_paused"] {
        // One is of the other loop.
        assert_eq!(samples.keys().filter(|(name, _)| name == family).count(), 10 + 1 + 1);
    }
}

#[tokio::test]
#[expect(clippy::float_cmp, reason = "numbers that are exact in binary")]
async fn routes_are_told_by_their_reasons_and_not_by_database() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        let mut routes = trunkline_proxy::engine::report::Routes::default();
        for (because, _) in trunkline_proxy::engine::report::RouteCounts::default().decided() {
            if because.words() == "write" {
                routes.on.decide(because);
                routes.shadow.decide(because);
            }
        }
        routes.on.heal(trunkline_proxy::engine::report::Healed::Lost);
        routes.on.learnt = 4;
        strings.loops[0].pools[0].routes = Some(Box::new(routes.clone()));
        strings.loops[1].pools[0].routes = Some(Box::new(routes));
    });
    let samples = scraped(&puppet).await;
    let write = [("route", "primary"), ("reason", "write")];
    assert_eq!(value(&samples, "trunkline_routes_total", &write), 2.0);
    assert_eq!(value(&samples, "trunkline_shadow_routes_total", &write), 2.0);
    let lost = [("reason", "standby lost")];
    assert_eq!(value(&samples, "trunkline_run_again_total", &lost), 2.0);
    assert_eq!(value(&samples, "trunkline_learnt_texts_total", &[]), 8.0);
}
