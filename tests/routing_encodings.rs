//! Texts that are not read as they stand are the primary's: those in another encoding, and those with backslashes that may
//! escape quotes. Others of the same sessions are not.

mod common;

use common::nodes::{is_primary, mark, on_a_standby, three, where_is};
use common::{Scene, by_itself, run};
use trunkline_testkit::Result;
use trunkline_testkit::peer::{say, tags};

const ON: &str = "[routing]\nmode = \"on\"\n[cluster]\nprobe_interval = \"100ms\"";

/// A simple query of these bytes.
fn query(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len() + 5).expect("it is short");
    [b"Q", &length.to_be_bytes()[..], text, b"\0"].concat()
}

#[tokio::test]
async fn what_is_not_read_as_it_stands_is_the_primarys() -> Result<()> {
    let cluster = three().await?;
    let scene = Scene::operated_before(&cluster, "encoded", ON).await?;
    let mut client = scene.raw().await?;
    run(&mut client, "CREATE TABLE t AS SELECT 7 AS i").await?;
    cluster.caught_up().await?;
    let plain = b"SELECT i FROM t".as_slice();
    // One character of SJIS and GBK, whose last byte is a backslash; two of LATIN1.
    let other = b"SELECT i, length('\x83\x5c') FROM t".as_slice();
    let escaped = br"SELECT i, length('\\') FROM t".as_slice();
    let (unread, strings) = ("too long, or in another encoding than UTF-8", "strings");
    for (setting, text, at_primary) in [
        ("client_encoding = 'UTF8'", plain, None),
        ("client_encoding = 'UTF8'", "SELECT i, length('ü') FROM t".as_bytes(), None),
        ("client_encoding = 'LATIN1'", plain, None),
        ("client_encoding = 'LATIN1'", other, Some(unread)),
        ("client_encoding = 'SJIS'", plain, None),
        ("client_encoding = 'SJIS'", other, Some(unread)),
        ("client_encoding = 'GBK'", other, Some(unread)),
        ("standard_conforming_strings = on", escaped, None),
        ("standard_conforming_strings = off", plain, None),
        ("standard_conforming_strings = off", escaped, Some(strings)),
    ] {
        run(&mut client, &format!("SET {setting}; SET escape_string_warning = off")).await?;
        for extended in [false, true] {
            on_a_standby(&mut client, &cluster).await?;
            let mark = mark();
            let marked = [text, b" -- ", mark.as_bytes(), b" "].concat();
            let messages = if extended {
                let parse = [b"\0", &marked[..], b"\0\0\0"].concat();
                let length = u32::try_from(parse.len() + 4)?;
                let parse = [b"P", &length.to_be_bytes()[..], &parse].concat();
                let rest = [say::bind("", "", &[]), say::execute("", 0), say::sync()].concat();
                [parse, rest].concat()
            } else {
                query(&marked)
            };
            let frames = client.exchange(&messages, 1).await?;
            let expected = if extended { "12DCZ" } else { "TDCZ" };
            assert_eq!(tags(&frames), expected, "{setting}: {frames:?}");
            let primary = is_primary(where_is(&mark, &cluster)?, &cluster);
            assert_eq!(primary, at_primary.is_some(), "{setting}, {extended}: {text:?}");
        }
        if let (Some(reason), Ok(text)) = (at_primary, std::str::from_utf8(text)) {
            assert_eq!(by_itself(&mut client, text).await?, ["primary", reason]);
        }
        run(&mut client, "RESET ALL").await?;
    }
    Ok(())
}
