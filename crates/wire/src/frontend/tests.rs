use bytes::BytesMut;

use super::*;
use crate::frame::{MAX_FRAME, peek};
use crate::read::Malformed;
use crate::testing::only_frame;

fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

#[test]
fn messages_are_the_bytes_libpq_sends() {
    assert_eq!(written(|out| query(out, b"select 1")), b"Q\0\0\0\x0dselect 1\0");
    assert_eq!(
        written(|out| parse(out, b"s", b"select $1", b"\0\x01\0\0\0\x17")),
        b"P\0\0\0\x16s\0select $1\0\0\x01\0\0\0\x17"
    );
    assert_eq!(
        written(|out| bind(out, b"p", b"s", b"\0\0\0\0\0\0")),
        b"B\0\0\0\x0ep\0s\0\0\0\0\0\0\0"
    );
    assert_eq!(written(|out| describe(out, STATEMENT, b"s")), b"D\0\0\0\x07Ss\0");
    assert_eq!(written(|out| close(out, PORTAL, b"")), b"C\0\0\0\x06P\0");
    assert_eq!(written(|out| execute(out, b"p", 10)), b"E\0\0\0\x0ap\0\0\0\0\x0a");
    assert_eq!(written(sync), b"S\0\0\0\x04");
    assert_eq!(written(flush), b"H\0\0\0\x04");
    assert_eq!(written(terminate), b"X\0\0\0\x04");
    assert_eq!(written(|out| copy_data(out, b"1\n")), b"d\0\0\0\x061\n");
    assert_eq!(written(copy_done), b"c\0\0\0\x04");
    assert_eq!(written(|out| copy_fail(out, b"no")), b"f\0\0\0\x07no\0");
    assert_eq!(written(|out| password(out, b"pw")), b"p\0\0\0\x07pw\0");
    assert_eq!(
        written(|out| sasl_initial(out, b"X", Some(b"n,,"))),
        b"p\0\0\0\x0dX\0\0\0\0\x03n,,"
    );
    assert_eq!(written(|out| sasl_initial(out, b"X", None)), b"p\0\0\0\x0aX\0\xff\xff\xff\xff");
    assert_eq!(written(|out| sasl_response(out, b"c=")), b"p\0\0\0\x06c=");
    assert_eq!(
        written(|out| function_call(out, 9, b"\0\0\0\0\0\0")),
        b"F\0\0\0\x0e\0\0\0\x09\0\0\0\0\0\0"
    );
}

#[test]
fn every_body_cut_short_or_made_longer_is_malformed() {
    type Check = fn(&[u8]) -> Result<(), Malformed>;
    let cases: [(Vec<u8>, Check); 9] = [
        (written(|out| query(out, b"x")), |body| Query::parse(body).map(drop)),
        (written(|out| parse(out, b"n", b"t", b"\0\x01\0\0\0\x17")), |body| {
            Parse::parse(body).map(drop)
        }),
        (written(|out| describe(out, PORTAL, b"n")), |body| Describe::parse(body).map(drop)),
        (written(|out| close(out, STATEMENT, b"n")), |body| Close::parse(body).map(drop)),
        (written(|out| execute(out, b"n", 1)), |body| Execute::parse(body).map(drop)),
        (written(|out| copy_fail(out, b"no")), |body| CopyFail::parse(body).map(drop)),
        (written(|out| password(out, b"pw")), |body| Password::parse(body).map(drop)),
        (written(|out| sasl_initial(out, b"X", Some(b"n,,"))), |body| {
            SaslInitial::parse(body).map(drop)
        }),
        (written(|out| function_call(out, 1, b"\0\x01\0\x01\0\x01\0\0\0\x01x\0\0")), |body| {
            FunctionCall::parse(body).map(drop)
        }),
    ];
    for (bytes, check) in cases {
        let (tag, body) = only_frame(&bytes);
        assert_eq!(check(body), Ok(()), "{}", char::from(tag));
        for cut in 0..body.len() {
            assert!(check(&body[..cut]).is_err(), "{} cut at {cut}", char::from(tag));
        }
        let longer = [body, b"\0"].concat();
        assert_eq!(check(&longer), Err(Malformed::TrailingBytes), "{}", char::from(tag));
    }
}

#[test]
fn faults_are_told_in_the_words_of_postgres() {
    for (fault, text) in [
        (Query::parse(b"select 1\0x").unwrap_err(), "invalid message format"),
        (Query::parse(b"select 1").unwrap_err(), "invalid string in message"),
        (Execute::parse(b"p\0\0\0").unwrap_err(), "insufficient data left in message"),
        (Describe::parse(b"").unwrap_err(), "no data left in message"),
        (Describe::parse(b"Xn\0").unwrap_err(), "invalid DESCRIBE message subtype 88"),
        (Close::parse(b"\xffn\0").unwrap_err(), "invalid CLOSE message subtype 255"),
    ] {
        assert_eq!(fault.to_string(), text);
        assert_eq!(fault.sqlstate().as_str(), "08P01");
    }
}

#[test]
fn a_bind_is_read_up_to_its_names() {
    let bytes = written(|out| bind(out, b"p", b"stmt", b"anything"));
    let (_, body) = only_frame(&bytes);
    let view = Bind::parse(body).unwrap();
    assert_eq!(
        (view.portal, view.statement, view.rest),
        (&b"p"[..], &b"stmt"[..], &b"anything"[..])
    );
    assert_eq!(Bind::parse(b"p\0stmt"), Err(Malformed::Unterminated));
}

#[test]
fn the_head_of_a_bind_needs_both_names_and_no_more() {
    let body = b"p\0stmt\0rest";
    for cut in 0..7 {
        assert_eq!(BindHead::parse(&body[..cut]), None, "{cut}");
    }
    for cut in 7..=body.len() {
        let head = BindHead::parse(&body[..cut]).unwrap();
        assert_eq!((head.portal, head.statement, head.len), (&b"p"[..], &b"stmt"[..], 7));
    }
    assert_eq!(ParseHead::parse(b"na"), None);
    assert_eq!(ParseHead::parse(b"na\0sel"), Some(ParseHead { name: b"na", len: 3 }));
}

#[test]
fn a_bind_written_in_two_parts_is_a_bind() {
    let whole = written(|out| bind(out, b"p", b"renamed", b"rest of it"));
    let parts = written(|out| {
        bind_head(out, b"p", b"renamed", 10);
        out.extend_from_slice(b"rest of it");
    });
    assert_eq!(whole, parts);
    let whole = written(|out| parse(out, b"renamed", b"select", b"\0\0"));
    let parts = written(|out| {
        parse_head(out, b"renamed", 9);
        out.extend_from_slice(b"select\0\0\0");
    });
    assert_eq!(whole, parts);
}

#[test]
fn a_message_too_long_to_exist_gets_a_length_nobody_takes() {
    for rest_len in [MAX_FRAME, usize::MAX] {
        let bytes = written(|out| bind_head(out, b"", b"", rest_len));
        assert_eq!(peek(&bytes).unwrap_err().declared, u32::MAX);
    }
    let bytes = written(|out| bind_head(out, b"", b"", MAX_FRAME - 6));
    assert_eq!(peek(&bytes).unwrap().unwrap().len, MAX_FRAME + 1);
}

#[test]
fn a_nul_inside_a_name_cannot_smuggle_a_field() {
    let bytes = written(|out| execute(out, b"p\0\0\0\0\x01", 7));
    let (_, body) = only_frame(&bytes);
    assert_eq!(Execute::parse(body), Ok(Execute { portal: b"p", max_rows: 7 }));
}

#[test]
fn types_of_a_parse_are_counted() {
    let view = Parse::parse(b"n\0t\0\0\x02\0\0\0\x17\0\0\0\0").unwrap();
    assert!(view.type_oids().eq([23, 0]));
    assert_eq!(view.types.len(), 10);
    assert_eq!(Parse::parse(b"n\0t\0\xff\xff\0\0\0\x17"), Err(Malformed::Short));
    assert_eq!(Parse::parse(b"n\0t\0\0\x01\0\0\0\x17x"), Err(Malformed::TrailingBytes));
}

#[test]
fn the_table_of_tags_is_whole() {
    let known: Vec<u8> = (0..=u8::MAX).filter(|tag| is_known(*tag)).collect();
    assert_eq!(known, tag::ALL);
    assert_eq!(max_len(tag::QUERY), Some(MAX_FRAME));
    assert_eq!(max_len(tag::SYNC), Some(MAX_SMALL_MESSAGE));
    assert_eq!(max_len(b'Z'), None);
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!(
        "{:?} {:?} {:?}",
        Password::parse(b"hunter2\0").unwrap(),
        SaslInitial::parse(b"X\0\0\0\0\x07hunter2").unwrap(),
        SaslResponse::parse(b"hunter2").unwrap()
    );
    // As text and as a list of numbers.
    assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
}

#[test]
fn statements_and_values_are_not_shown() {
    let shown = format!(
        "{:?} {:?} {:?}",
        Query::parse(b"alter role x password 'hunter2'\0").unwrap(),
        Parse::parse(b"s\0select 1\0\0\0").unwrap(),
        Bind::parse(b"p\0s\0hunter2").unwrap()
    );
    assert_eq!(
        shown,
        "Query { len: 31, .. } Parse { name: \"s\", .. } Bind { portal: \"p\", statement: \"s\", .. }"
    );
}
