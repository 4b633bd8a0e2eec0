use super::*;
use crate::backend::NegotiateProtocolVersion;
use crate::testing::only_frame;

fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 8).unwrap();
    [&len.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
}

fn startup_packet(body: &[u8]) -> Vec<u8> {
    packet(ProtocolVersion::V3_0.code(), body)
}

fn parsed(bytes: &[u8]) -> Startup<'_> {
    match parse(bytes).unwrap().unwrap() {
        (Opening::Startup(startup), consumed) => {
            assert_eq!(consumed, bytes.len());
            startup
        }
        other => panic!("not a startup: {other:?}"),
    }
}

#[test]
fn every_opening_waits_for_its_last_byte_and_takes_no_more() {
    let pairs = [(&b"user"[..], &b"joe"[..]), (b"database", b"shop")];
    for bytes in [
        written(|out| startup_message(out, ProtocolVersion::V3_2, pairs)),
        written(ssl_request),
        written(gssenc_request),
        written(|out| cancel_request(out, 7, b"four")),
        written(|out| cancel_request(out, -1, &[9; 256])),
    ] {
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut} of {bytes:?}");
        }
        let whole = parse(&bytes).unwrap().unwrap();
        assert_eq!(whole.1, bytes.len());
        let longer = [&bytes[..], b"\x16more"].concat();
        assert_eq!(parse(&longer), Ok(Some(whole)));
    }
}

#[test]
fn requests_are_the_bytes_libpq_sends() {
    assert_eq!(written(ssl_request), [0, 0, 0, 8, 4, 210, 22, 47]);
    assert_eq!(written(gssenc_request), [0, 0, 0, 8, 4, 210, 22, 48]);
    assert_eq!(
        written(|out| cancel_request(out, 258, &[1, 2, 3, 4])),
        [0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 1, 2, 1, 2, 3, 4]
    );
    assert_eq!(
        written(|out| startup_message(out, ProtocolVersion::V3_0, [(&b"user"[..], &b"joe"[..])])),
        b"\x00\x00\x00\x12\x00\x03\x00\x00user\0joe\0\0"
    );
}

#[test]
fn a_tls_hello_is_known_by_its_first_byte() {
    assert_eq!(parse(&[0x16]), Ok(Some((Opening::DirectTls, 0))));
    assert_eq!(parse(&[0x16, 3, 1, 2, 0, 1]), Ok(Some((Opening::DirectTls, 0))));
}

#[test]
fn parameters_and_protocol_options_are_kept_apart_and_the_last_value_counts() {
    let bytes = startup_packet(b"user\0one\0_pq_.a\0x\0user\0joe\0options\0-c a=b\0_pq_.b\0\0\0");
    let startup = parsed(&bytes);
    let params: Vec<_> = startup.params().collect();
    assert_eq!(params, [(&b"user"[..], &b"one"[..]), (b"user", b"joe"), (b"options", b"-c a=b")]);
    let options: Vec<_> = startup.protocol_options().collect();
    assert_eq!(options, [(&b"_pq_.a"[..], &b"x"[..]), (b"_pq_.b", b"")]);
    assert_eq!(startup.user(), Some(&b"joe"[..]));
    assert_eq!(startup.database(), Some(&b"joe"[..]), "the database defaults to the user");
    assert_eq!(startup.param(b"_pq_.a"), None);
    assert!(!format!("{startup:?}").contains("a=b"), "values are not shown");
}

#[test]
fn names_are_cut_as_postgres_cuts_them_and_empty_ones_are_none() {
    let long = [b'x'; 70];
    let body = [b"user\0", &long[..], b"\0database\0", &long[..], b"y\0\0"].concat();
    let bytes = startup_packet(&body);
    assert_eq!(parsed(&bytes).user(), Some(&long[..63]));
    assert_eq!(parsed(&bytes).database(), Some(&long[..63]));
    let bytes = startup_packet(b"user\0\0\0");
    assert_eq!((parsed(&bytes).user(), parsed(&bytes).database()), (None, None));
    let bytes = startup_packet(b"\0");
    assert_eq!(parsed(&bytes).user(), None);
}

#[test]
fn the_terminator_must_be_the_last_byte() {
    for body in [
        &b""[..],
        b"user\0",
        b"user\0joe",
        b"user\0joe\0",
        b"user\0joe\0\0\0",
        b"user\0joe\0\0x",
        b"user\0joe\0database\0",
        b"x",
    ] {
        assert_eq!(parse(&startup_packet(body)), Err(StartupError::Layout), "{body:?}");
    }
    assert_eq!(
        StartupError::Layout.to_string(),
        "invalid startup packet layout: expected terminator as last byte"
    );
    assert!(StartupError::Layout.is_told());
}

#[test]
fn lengths_out_of_bounds_are_refused_from_four_bytes_on() {
    for declared in [0_u32, 4, 7, 10_005, 0x0001_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let error = StartupError::Length(declared);
        assert_eq!(parse(&declared.to_be_bytes()), Err(error), "{declared}");
        assert!(!error.is_told());
    }
    assert_eq!(parse(&10_004_u32.to_be_bytes()), Ok(None));
    // "GET " of a browser, and the length word of an SSH banner.
    assert!(parse(b"GET / HTTP/1.1").is_err());
    assert!(parse(b"SSH-2.0-").is_err());
}

#[test]
fn the_longest_packet_is_accepted_and_one_byte_more_is_not() {
    let value = vec![b'v'; MAX_STARTUP - 4 - b"user\0\0\0".len()];
    let bytes = startup_packet(&[b"user\0", &value[..], b"\0\0"].concat());
    assert_eq!(bytes.len(), MAX_STARTUP + 4);
    assert_eq!(parsed(&bytes).param(b"user"), Some(&value[..]));
    let bytes = startup_packet(&[b"user\0v", &value[..], b"\0\0"].concat());
    assert_eq!(parse(&bytes), Err(StartupError::Length(10_005)));
}

#[test]
fn requests_with_a_tail_and_cancel_keys_of_a_wrong_length_are_refused() {
    assert_eq!(parse(&packet(SSL_CODE, b"x")), Err(StartupError::Length(9)));
    assert_eq!(parse(&packet(GSSENC_CODE, b"x")), Err(StartupError::Length(9)));
    assert_eq!(parse(&packet(CANCEL_CODE, b"\0\0\0")), Err(StartupError::Length(11)));
    for (len, accepted) in
        [(0, false), (3, false), (4, true), (32, true), (256, true), (257, false)]
    {
        let body = [&[0, 0, 0, 5][..], &vec![7; len]].concat();
        let expected = if accepted { Ok(()) } else { Err(StartupError::CancelKey(len)) };
        assert_eq!(parse(&packet(CANCEL_CODE, &body)).map(|_| ()), expected, "{len}");
    }
    let bytes = written(|out| cancel_request(out, 5, b"secret key"));
    let (opening, _) = parse(&bytes).unwrap().unwrap();
    assert_eq!(opening, Opening::Cancel(CancelRequest { pid: 5, key: b"secret key" }));
    assert!(!format!("{opening:?}").contains("115"), "the key is not shown");
}

#[test]
fn names_that_would_end_the_list_are_left_out() {
    let pairs = [(&b""[..], &b"x"[..]), (b"a\0b\0c", b"1\x002"), (b"\0", b"y"), (b"user", b"joe")];
    let bytes = written(|out| startup_message(out, ProtocolVersion::V3_0, pairs));
    let params: Vec<_> = parsed(&bytes).params().collect();
    assert_eq!(params, [(&b"a"[..], &b"1"[..]), (b"user", b"joe")]);
}

const fn version(major: u16, minor: u16) -> ProtocolVersion {
    ProtocolVersion { major, minor }
}

#[test]
fn versions_are_negotiated_as_postgres_18_does() {
    let none: &[&[u8]] = &[];
    let grease: &[&[u8]] = &[b"_pq_.test_protocol_negotiation"];
    for (asked, options, accepted, told) in [
        (version(3, 0), none, version(3, 0), false),
        (version(3, 0), grease, version(3, 0), true),
        (version(3, 1), none, version(3, 1), false),
        (version(3, 1), grease, version(3, 1), true),
        (version(3, 2), none, version(3, 2), false),
        (version(3, 2), grease, version(3, 2), true),
        (version(3, 3), none, version(3, 2), true),
        (version(3, 9999), none, version(3, 2), true),
        (version(3, 9999), grease, version(3, 2), true),
    ] {
        let (got, message) = negotiate(asked, options.iter().copied()).unwrap();
        assert_eq!((got, message.is_some()), (accepted, told), "{asked} {options:?}");
        let Some(message) = message else { continue };
        let bytes = written(|out| message.write(out));
        let (tag, body) = only_frame(&bytes);
        assert_eq!(tag, b'v');
        let read = NegotiateProtocolVersion::parse(body).unwrap();
        assert_eq!(read.newest, accepted);
        assert!(read.unknown_options.iter().eq(options.iter().copied()));
    }
}

#[test]
fn other_major_versions_are_refused_in_the_words_of_postgres() {
    for (asked, name) in
        [(version(2, 0), "2.0"), (version(4, 0), "4.0"), (version(1234, 5679), "1234.5679")]
    {
        let error = negotiate(asked, std::iter::empty::<&[u8]>()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("unsupported frontend protocol {name}: server supports 3.0 to 3.2")
        );
        assert_eq!(error.sqlstate(), SqlState::FEATURE_NOT_SUPPORTED);
    }
    // Version 2 had a layout of its own; only the version is looked at.
    let bytes = packet(version(2, 0).code(), b"shop\0\0joe");
    assert_eq!(parsed(&bytes).params().count(), 0);
}

#[test]
fn cancel_keys_are_longer_from_3_2_on() {
    assert_eq!(version(3, 0).max_cancel_key(), 4);
    assert_eq!(version(3, 1).max_cancel_key(), 4);
    assert_eq!(version(3, 2).max_cancel_key(), 256);
    assert_eq!(ProtocolVersion::from_code(196_610), ProtocolVersion::V3_2);
    assert_eq!(version(3, 9999).code(), 206_607);
}
