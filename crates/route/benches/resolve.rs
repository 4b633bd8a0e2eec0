//! What it costs to judge a statement by what it calls and names, and to judge a catalog.
//!
//! `cargo bench -p trunkline-route`; the times are for comparisons on one machine in one run.

#[path = "../tests/common/rows.rs"]
mod rows;

use divan::{Bencher, black_box};
use rows::large;
use trunkline_route::{Call, Named, Path, resolve};

fn main() {
    divan::main();
}

/// Tables, and as many views, of the database.
const TABLES: [u32; 3] = [10, 1_000, 20_000];

const PATH: Path<'_> = Path::Known(&["alice", "public"]);

fn call(name: &str, arguments: usize) -> Call<'_> {
    Call { function: Named { schema: None, name }, arguments, literal: None }
}

/// `SELECT abs(abalance) FROM pgbench_accounts WHERE aid = $1`.
#[divan::bench(args = TABLES)]
fn one_call_and_one_relation(bencher: Bencher<'_, '_>, tables: u32) {
    let snapshot = large(tables);
    let named = Named { schema: None, name: "pgbench_accounts" };
    bencher.bench_local(|| {
        let (call, named) = (black_box(call("abs", 1)), black_box(named));
        resolve(&snapshot, PATH, [call], [named]) == trunkline_route::Verdict::Harmless
    });
}

/// The same through a function and a view of the user's own.
#[divan::bench(args = TABLES)]
fn a_users_function_and_view(bencher: Bencher<'_, '_>, tables: u32) {
    let snapshot = large(tables);
    let named = Named { schema: None, name: "view_2" };
    bencher.bench_local(|| {
        let (call, named) = (black_box(call("function_0", 1)), black_box(named));
        resolve(&snapshot, PATH, [call], [named]) == trunkline_route::Verdict::Harmless
    });
}

/// The background's work.
#[divan::bench(args = TABLES)]
fn a_whole_catalog(bencher: Bencher<'_, '_>, tables: u32) {
    bencher.bench_local(|| large(black_box(tables)));
}
