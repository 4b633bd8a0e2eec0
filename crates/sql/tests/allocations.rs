//! Ordinary statements cost no allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use trunkline_sql::access::cache::{Cache, Found, Key, Limits};
use trunkline_sql::access::{Secret, shape};
use trunkline_sql::{Rules, Scanner, scan};

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

// One test only: the counter is the process's.
#[test]
fn ordinary_statements_cost_no_allocation() {
    for text in [
        "SELECT abalance FROM pgbench_accounts WHERE aid = 90221;",
        "INSERT INTO t (a, b) VALUES ($1, 'it''s') ON CONFLICT (a) DO NOTHING RETURNING count(*)",
        "UPDATE \"t\" SET a = coalesce(b, 1)::numeric(10, 2) /* why */ WHERE c IN (1, 2)",
        "SELECT 1; SELECT E'a\\'b', $1; DELETE FROM t -- end",
        "WITH a AS (SELECT upper(b) FROM t) SELECT * FROM a",
        "SELECT $$body$$, pg_catalog.count(*) FROM pg_catalog.pg_class",
        "BEGIN",
        "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY",
        "COMMIT;",
        "ROLLBACK AND CHAIN",
        "SELECT nextval('s')",
        "SELECT pg_try_advisory_lock(1)",
        "COPY t FROM STDIN",
        "DISCARD ALL",
    ] {
        let count = allocations_of(|| drop(scan(text.as_bytes(), Rules::default())));
        assert_eq!(count, 0, "{text}");
        let count =
            allocations_of(|| drop(Scanner::new(Rules::default()).finish_with(text.as_bytes())));
        assert_eq!(count, 0, "{text}, by the scanner");
    }
    let count = allocations_of(|| drop(scan(b"SET a TO 1", Rules::default())));
    assert!(count > 0, "the counter counts");
    known_texts_cost_none();
}

/// What a cache knows costs none, be it known by its text or by its shape.
fn known_texts_cost_none() {
    let (secret, key) = (Secret::new([4; 16]), Key { generation: 1, path: 2 });
    let mut cache = Cache::<u32>::new(Limits::default(), &secret);
    for (one, other) in [
        ("SELECT 1", "select 2"),
        (
            "SELECT a FROM t WHERE id IN (1, 2) AND b = 'x'",
            "SELECT a FROM t WHERE id IN (3) AND b = 'yy'",
        ),
        (
            "SELECT \"a\", f('x') FROM t WHERE id IN (1, 2) /* why */",
            "SELECT \"a\", f('yy') FROM t WHERE id IN (1)",
        ),
        ("INSERT INTO t VALUES ($1, 'é')", "/* app */ INSERT INTO t VALUES ($1, 'è')"),
    ] {
        cache.entry(one.as_bytes(), Rules::default()).0.keep(key, 7);
        for (text, expected) in [(one, Found::Text), (other, Found::Shape), (other, Found::Shape)] {
            let count = allocations_of(|| {
                let (entry, found) = cache.entry(text.as_bytes(), Rules::default());
                assert_eq!((found, entry.value(key)), (expected, Some(&7)), "{text}");
            });
            assert_eq!(count, 0, "{text}");
            let count = allocations_of(|| {
                assert!(shape(text.as_bytes(), Rules::default(), &secret).is_some());
            });
            assert_eq!(count, 0, "the shape of {text}");
        }
    }
}
