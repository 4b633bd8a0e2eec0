//! To judge a statement costs no allocation.

#[path = "common/rows.rs"]
mod rows;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use rows::large;
use trunkline_route::{Call, Named, Path, Verdict, resolve};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[expect(
    unsafe_code,
    reason = "an allocator can only be watched from inside one; it hands everything on"
)]
// SAFETY: every call is handed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations_of(call: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    call();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

fn call(name: &str) -> Call<'_> {
    Call { function: Named { schema: None, name }, arguments: 0, literal: None }
}

// One test only: the counter is the process's.
#[test]
fn to_judge_a_statement_costs_no_allocation() {
    let snapshot = large(1000);
    let path = Path::Known(&["alice", "public"]);
    for (function, relation, harmless) in [
        ("now", "pgbench_accounts", true),
        ("count", "view_2", true),
        ("nextval", "table_2", false),
        ("no_such", "table_2", false),
        ("now", "no_such", false),
    ] {
        let count = allocations_of(|| {
            let named = Named { schema: None, name: relation };
            let verdict = resolve(&snapshot, path, [call(function)], [named]);
            assert_eq!(verdict == Verdict::Harmless, harmless, "{function} {relation}");
        });
        assert_eq!(count, 0, "{function} {relation}");
    }
    assert!(allocations_of(|| drop(large(1))) > 0, "the counter counts");
}
