use super::*;

fn cache(texts: usize, bytes: usize) -> Cache<u32> {
    Cache::new(Limits { texts, bytes }, &Secret::new([3; 16]))
}

fn found(cache: &mut Cache<u32>, text: &str) -> Found {
    cache.entry(text.as_bytes(), Rules::default()).1
}

#[test]
fn a_text_is_judged_once_and_so_is_a_shape() {
    let mut cache = cache(64, 1 << 20);
    assert!(cache.is_empty());
    for (text, expected) in [
        ("SELECT f(1) FROM t", Found::Judged),
        ("SELECT f(1) FROM t", Found::Text),
        ("select f(2) from t", Found::Shape),
        ("select f('2') from t", Found::Judged),
        ("SELECT E'a'", Found::Judged),
        ("SELECT E'a'", Found::Text),
        ("SELECT E'b'", Found::Judged),
        ("SELECT 'a'::regclass", Found::Judged),
        ("SELECT 'b'::regclass", Found::Judged),
        ("SELECT 'a'::regclass", Found::Text),
        ("/* trunkline:primary */ SELECT f(1) FROM t", Found::Judged),
        ("/* x */ SELECT f(1) FROM t", Found::Shape),
        ("INSERT INTO t VALUES (1)", Found::Judged),
        ("INSERT INTO t VALUES (2)", Found::Shape),
    ] {
        assert_eq!(found(&mut cache, text), expected, "{text}");
    }
}

#[test]
fn what_is_found_is_what_would_be_judged() {
    let mut cache = cache(64, 1 << 20);
    for text in [
        "SELECT 'a'::regclass",
        "SELECT 'b'::regclass",
        "SELECT 1",
        "SELECT 2",
        "SELEC 1",
        "SELECT current_setting('a')",
    ] {
        for _ in 0..2 {
            let judged = access(text.as_bytes(), Rules::default());
            assert_eq!(
                *cache.entry(text.as_bytes(), Rules::default()).0.access(),
                judged,
                "{text}"
            );
        }
    }
}

#[test]
fn a_list_that_is_too_long_says_nothing_of_a_short_one() {
    let mut cache = cache(64, 1 << 20);
    let long = format!("SELECT a IN (1{})", ",1".repeat(7000));
    assert_eq!(cache.entry(long.as_bytes(), Rules::default()).0.access().class, Class::TooLong);
    let short = "SELECT a IN (1)";
    assert_eq!(cache.entry(short.as_bytes(), Rules::default()).0.access().class, Class::Read);
}

#[test]
fn unusual_rules_are_none_of_the_cache() {
    let mut cache = cache(64, 1 << 20);
    let text = br"SELECT 'a\b'";
    let escapes = Rules { standard_conforming_strings: false, ..Rules::default() };
    assert_eq!(cache.entry(text, Rules::default()).0.access().class, Class::Read);
    assert_eq!(cache.entry(text, escapes).0.access().class, Class::Strings);
    assert_eq!(found(&mut cache, r"SELECT 'a\b'"), Found::Text);
    let shift = Rules { ascii_in_characters: true, ..Rules::default() };
    assert_eq!(cache.entry("SELECT 'é'".as_bytes(), shift).0.access().class, Class::Encoding);
    assert_eq!(cache.entry(b"SELECT 'a'", shift).1, Found::Shape);
    assert_eq!(found(&mut cache, "SELECT 'b'"), Found::Shape);
}

#[test]
fn values_are_kept_for_their_key() {
    let mut cache = cache(64, 1 << 20);
    let key = |generation, path| Key { generation, path };
    let (entry, _) = cache.entry(b"SELECT 1", Rules::default());
    assert_eq!(entry.value(key(1, 1)), None);
    for path in 0..4_u32 {
        entry.keep(key(1, u64::from(path)), path);
    }
    let (entry, _) = cache.entry(b"SELECT 2", Rules::default());
    assert_eq!(
        (0..4).map(|path| entry.value(key(1, path)).copied()).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(2), Some(3)]
    );
    entry.keep(key(1, 9), 9);
    assert_eq!((entry.value(key(1, 0)), entry.value(key(1, 9))), (None, Some(&9)));
    entry.keep(key(1, 9), 10);
    assert_eq!((entry.value(key(1, 1)), entry.value(key(1, 9))), (Some(&1), Some(&10)));
    assert_eq!(entry.value(key(2, 9)), None);
    // One of a later generation takes the place of one that is void.
    entry.keep(key(2, 1), 21);
    assert_eq!(entry.value(key(2, 1)), Some(&21));
}

#[test]
fn no_more_is_held_than_may_be() {
    let mut small = cache(16, 1 << 20);
    for number in 0..1000 {
        found(&mut small, &format!("SELECT a{number} FROM t{number}"));
        let (texts, entries) = small.len();
        assert!(texts <= 16 && entries <= 16);
    }
    let mut light = cache(1024, 20_000);
    for number in 0..1000 {
        found(&mut light, &format!("SELECT a{number} FROM t{number}"));
        assert!(light.bytes() <= 20_000, "{}", light.bytes());
    }
    assert!(!light.is_empty());
    // A limit that nothing fits into is kept too, and the answer is right all the same.
    let mut none = cache(1, 0);
    for _ in 0..2 {
        let (entry, found) = none.entry(b"INSERT INTO t VALUES (1)", Rules::default());
        assert_eq!((entry.access().class, found), (Class::Write, Found::Judged));
    }
    assert_eq!(none.bytes(), 0);
}

#[test]
fn what_is_used_stays() {
    let mut cache = cache(64, 1 << 20);
    found(&mut cache, "SELECT often");
    let mut judged = 0;
    for number in 0..2000 {
        found(&mut cache, &format!("SELECT a{number}"));
        judged += usize::from(found(&mut cache, "SELECT often") == Found::Judged);
    }
    assert!(judged < 20, "{judged}");
}

#[test]
fn long_texts_are_not_held() {
    let mut cache = cache(64, 1 << 24);
    let text = format!("SELECT '{}'", "x".repeat(TEXT_KEPT));
    assert_eq!(found(&mut cache, &text), Found::Judged);
    assert_eq!(found(&mut cache, &text), Found::Judged);
    assert!(cache.is_empty());
    assert_eq!(format!("{cache:?}"), "Cache { len: (0, 0), .. }");
}

#[test]
fn what_was_judged_elsewhere_is_known_as_if_it_had_been_here() {
    let mut cache = cache(64, 1 << 20);
    let rules = Rules::default();
    let learn = |cache: &mut Cache<u32>, text: &str| {
        cache.learn(text.as_bytes(), rules, access(text.as_bytes(), rules));
    };
    let text = "SELECT f(1) FROM t";
    assert!(cache.known(text.as_bytes(), rules).is_none() && cache.is_empty(), "it is not judged");
    learn(&mut cache, text);
    learn(&mut cache, text);
    assert_eq!(cache.len(), (1, 1));
    let judged = access(text.as_bytes(), rules);
    let known = cache.known(text.as_bytes(), rules).map(|entry| entry.access().clone());
    assert_eq!(known, Some(judged));
    assert!(cache.known(b"SELECT f(2) FROM t", rules).is_some(), "it has the same shape");
    assert_eq!(found(&mut cache, text), Found::Text);
    learn(&mut cache, "SELECT 'a'::regclass");
    assert!(cache.known(b"SELECT 'b'::regclass", rules).is_none());
    let ascii = Rules { ascii_in_characters: true, ..rules };
    cache.learn("SELECT 'ö'".as_bytes(), ascii, access("SELECT 'ö'".as_bytes(), ascii));
    assert!(cache.known("SELECT 'ö'".as_bytes(), ascii).is_none());
    let long = format!("SELECT '{}'", "x".repeat(20_000));
    learn(&mut cache, &long);
    assert_eq!(found(&mut cache, &long), Found::Text);
}
