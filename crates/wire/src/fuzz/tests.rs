use proptest::prelude::*;

use super::*;
use crate::testing::every_split;

/// Bytes that are likely to be frames: known tags, small lengths, short bodies.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..24);
    let tags = [&frontend::tag::ALL[..], &backend::tag::ALL[..]].concat();
    let frame = (prop::sample::select(tags), body, -1_i32..2).prop_map(|(tag, body, off)| {
        let len = i32::try_from(body.len()).unwrap() + 4 + if off == -1 { -1 } else { 0 };
        [&[tag][..], &len.to_be_bytes(), &body].concat()
    });
    prop::collection::vec(frame, 0..6).prop_map(|frames| frames.concat())
}

/// Bytes that are likely to be startup packets.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let version = prop_oneof![
        Just(0x0003_0000_u32),
        Just(0x0003_0001),
        Just(0x0003_0002),
        Just(0x0003_270f),
        Just(0x04d2_162e),
        Just(0x04d2_162f),
        any::<u32>()
    ];
    let word = prop_oneof![Just("user"), Just("database"), Just("_pq_.x"), Just("a"), Just("")];
    (version, prop::collection::vec(word, 0..8), any::<bool>()).prop_map(|(version, words, end)| {
        let mut body = version.to_be_bytes().to_vec();
        for word in words {
            body.extend_from_slice(word.as_bytes());
            body.push(0);
        }
        if end {
            body.push(0);
        }
        let len = u32::try_from(body.len() + 4).unwrap();
        [&len.to_be_bytes()[..], &body].concat()
    })
}

/// Text that is likely to be SCRAM messages.
fn talk() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("n,,n=,r=abc"),
        Just("y,,n=,r=abc,x=y"),
        Just("p=tls-server-end-point,,n=,r=abc"),
        Just("c=biws,r=abc"),
        Just("ZWlnaHRlZW4gYnl0ZXMgLi4u"),
        Just(",s=c2l4dGVlbiBieXRlcyBvZg==,i=1"),
        Just(",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        Just("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        Just("e=other-error"),
        Just("\n"),
        Just(","),
        Just("=")
    ];
    let noise = prop::collection::vec(any::<u8>(), 0..3);
    prop::collection::vec((piece, prop::option::weighted(0.1, noise)), 0..7).prop_map(|parts| {
        parts.into_iter().fold(vec![b'0'], |mut text, (piece, noise)| {
            text.extend_from_slice(piece.as_bytes());
            text.extend(noise.unwrap_or_default());
            text
        })
    })
}

proptest! {
    #[test]
    fn any_bytes_are_borne_by_all(data in prop::collection::vec(any::<u8>(), 0..64)) {
        startup(&data);
        frontend(&data);
        backend(&data);
        scram_server(&data);
        scram_client(&data);
    }

    #[test]
    fn likely_streams_are_borne_by_both_sides(data in stream()) {
        frontend(&data);
        backend(&data);
    }

    #[test]
    fn likely_packets_are_borne(data in packet()) {
        startup(&data);
    }

    #[test]
    fn likely_talks_are_borne(mut data in talk(), choice in 0_u8..4) {
        scram_client(&data);
        data[0] = choice;
        scram_server(&data);
    }

    #[test]
    fn written_client_messages_are_the_same_wherever_they_are_cut(
        name in "[a-z]{0,6}", text in "[ -~]{0,12}", rest in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let mut out = BytesMut::new();
        frontend::parse(&mut out, name.as_bytes(), text.as_bytes(), &[0, 0]);
        frontend::bind(&mut out, b"", name.as_bytes(), &rest);
        frontend::query(&mut out, text.as_bytes());
        frontend(&out);
        every_split(&out, |frames| {
            let [(_, parse), (_, bind), (_, query)] = frames else { panic!("three frames were written") };
            let parse = frontend::Parse::parse(parse).unwrap();
            assert_eq!((parse.name, parse.text), (name.as_bytes(), text.as_bytes()));
            let bind = frontend::Bind::parse(bind).unwrap();
            assert_eq!((bind.statement, bind.rest), (name.as_bytes(), &*rest));
            assert_eq!(frontend::Query::parse(query).unwrap().text, text.as_bytes());
        });
    }

    #[test]
    fn written_rows_are_the_same_wherever_they_are_cut(
        values in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..6)), 0..5),
    ) {
        let mut out = BytesMut::new();
        backend::data_row(&mut out, values.iter().map(Option::as_deref));
        backend::ready_for_query(&mut out, backend::status::IDLE);
        backend(&out);
        every_split(&out, |frames| {
            let row = backend::DataRow::parse(&frames[0].1).unwrap();
            assert!(row.iter().eq(values.iter().map(Option::as_deref)));
            assert_eq!(backend::ReadyForQuery::parse(&frames[1].1).unwrap().status, b'I');
        });
    }
}

/// Every copy of `bytes` with one byte set to something else that is likely to matter.
fn one_byte_changed(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len()).flat_map(move |at| {
        [0, 1, 4, 5, b'I', b'S', 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(1)]
            .into_iter()
            .filter(move |byte| *byte != bytes[at])
            .map(move |byte| {
                let mut changed = bytes.to_vec();
                changed[at] = byte;
                changed
            })
    })
}

#[test]
fn every_client_message_is_borne_with_any_byte_changed() {
    let mut out = BytesMut::new();
    frontend::query(&mut out, b"select 1");
    frontend::parse(&mut out, b"s", b"select $1", b"\0\x02\0\0\0\x17\0\0\0\0");
    frontend::bind(&mut out, b"p", b"s", b"\0\0\0\x01\0\0\0\x011\0\0");
    frontend::describe(&mut out, frontend::STATEMENT, b"s");
    frontend::close(&mut out, frontend::PORTAL, b"p");
    frontend::execute(&mut out, b"p", 1);
    frontend::function_call(&mut out, 7, b"\0\x01\0\x01\0\x01\0\0\0\x01x\0\0");
    frontend::copy_fail(&mut out, b"no");
    frontend::copy_data(&mut out, b"1\t2\n");
    frontend::password(&mut out, b"pw");
    frontend::sasl_initial(&mut out, b"SCRAM-SHA-256", Some(b"n,,n=,r=x"));
    frontend(&out);
    one_byte_changed(&out).for_each(|changed| frontend(&changed));
}

#[test]
fn every_server_message_is_borne_with_any_byte_changed() {
    let mut out = BytesMut::new();
    backend::authentication_sasl(&mut out, [&b"A"[..], b"B"]);
    backend::authentication(&mut out, &backend::Authentication::Md5Password { salt: [1; 4] });
    backend::backend_key_data(&mut out, 7, b"secret");
    backend::parameter_status(&mut out, b"a", b"b");
    backend::negotiate_protocol_version(
        &mut out,
        startup::ProtocolVersion::V3_0,
        [&b"_pq_.x"[..]].into_iter(),
    );
    let report = backend::Report::error(crate::SqlState::SYNTAX_ERROR, "no").with_hint("yes").at(9);
    backend::error_response(&mut out, &report);
    backend::notification_response(&mut out, 7, b"c", b"p");
    backend::row_description(&mut out, &[backend::Column::text(b"t"), backend::Column::int8(b"n")]);
    backend::data_row(&mut out, [Some(&b"x"[..]), None]);
    backend::parameter_description(&mut out, [23, 25]);
    backend::function_call_response(&mut out, None);
    backend::copy_in_response(&mut out, 1, [1, 1]);
    backend::copy_out_response(&mut out, 0, [0]);
    backend::copy_both_response(&mut out, 0, []);
    backend::command_complete(&mut out, b"SELECT 1");
    backend::ready_for_query(&mut out, backend::status::IDLE);
    backend(&out);
    one_byte_changed(&out).for_each(|changed| backend(&changed));
}

#[test]
fn every_opening_is_borne_with_any_byte_changed() {
    let mut opening = BytesMut::new();
    let pairs = [(&b"user"[..], &b"joe"[..]), (b"_pq_.x", b"1"), (b"database", b"")];
    startup::startup_message(&mut opening, startup::ProtocolVersion::V3_2, pairs);
    let mut cancel = BytesMut::new();
    startup::cancel_request(&mut cancel, 7, b"secret");
    for bytes in [&opening, &cancel] {
        startup(bytes);
        one_byte_changed(bytes).for_each(|changed| startup(&changed));
    }
}
