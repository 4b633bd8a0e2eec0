use bytes::BytesMut;

use super::*;
use crate::read::Malformed;
use crate::sqlstate::SqlState;
use crate::startup::ProtocolVersion;
use crate::testing::only_frame;

fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

const COLUMN: Column<'_> = Column {
    name: b"id",
    table_oid: 16_384,
    attribute: 1,
    type_oid: 23,
    type_len: 4,
    type_modifier: -1,
    format: format::BINARY,
};

#[test]
fn messages_are_the_bytes_postgres_sends() {
    type Write = fn(&mut BytesMut);
    assert_eq!(written(|out| authentication(out, &Authentication::Ok)), b"R\0\0\0\x08\0\0\0\0");
    assert_eq!(
        written(|out| authentication(out, &Authentication::Md5Password { salt: *b"salt" })),
        b"R\0\0\0\x0c\0\0\0\x05salt"
    );
    assert_eq!(
        written(|out| authentication_sasl(out, [&b"A"[..], b"B"])),
        b"R\0\0\0\x0d\0\0\0\x0aA\0B\0\0"
    );
    assert_eq!(written(|out| backend_key_data(out, 258, b"key!")), b"K\0\0\0\x0c\0\0\x01\x02key!");
    assert_eq!(written(|out| parameter_status(out, b"a", b"b")), b"S\0\0\0\x08a\0b\0");
    assert_eq!(written(|out| ready_for_query(out, status::IDLE)), b"Z\0\0\0\x05I");
    assert_eq!(written(|out| command_complete(out, b"SELECT 1")), b"C\0\0\0\x0dSELECT 1\0");
    assert_eq!(
        written(|out| notification_response(out, 1, b"c", b"p")),
        b"A\0\0\0\x0c\0\0\0\x01c\0p\0"
    );
    assert_eq!(
        written(|out| row_description(out, &[COLUMN])),
        b"T\0\0\0\x1b\0\x01id\0\0\0\x40\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01"
    );
    assert_eq!(
        written(|out| data_row(out, [Some(&b"x"[..]), None, Some(b"")])),
        b"D\0\0\0\x13\0\x03\0\0\0\x01x\xff\xff\xff\xff\0\0\0\0"
    );
    assert_eq!(written(|out| parameter_description(out, [23])), b"t\0\0\0\x0a\0\x01\0\0\0\x17");
    assert_eq!(written(|out| copy_in_response(out, 0, [0, 1])), b"G\0\0\0\x0b\0\0\x02\0\0\0\x01");
    assert_eq!(written(|out| function_call_response(out, Some(b"x"))), b"V\0\0\0\x09\0\0\0\x01x");
    assert_eq!(
        written(|out| negotiate_protocol_version(
            out,
            ProtocolVersion::V3_2,
            [&b"_pq_.x"[..]].into_iter()
        )),
        b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0"
    );
    let bare: [(Write, &[u8]); 7] = [
        (parse_complete, b"1\0\0\0\x04"),
        (bind_complete, b"2\0\0\0\x04"),
        (close_complete, b"3\0\0\0\x04"),
        (empty_query_response, b"I\0\0\0\x04"),
        (no_data, b"n\0\0\0\x04"),
        (portal_suspended, b"s\0\0\0\x04"),
        (copy_done, b"c\0\0\0\x04"),
    ];
    for (write, bytes) in bare {
        assert_eq!(written(write), bytes);
    }
}

#[test]
fn every_body_cut_short_or_made_longer_is_malformed() {
    type Check = fn(&[u8]) -> Result<(), Malformed>;
    let cases: [(Vec<u8>, Check); 12] = [
        (written(|out| authentication(out, &Authentication::CleartextPassword)), |body| {
            Authentication::parse(body).map(drop)
        }),
        (
            written(|out| authentication(out, &Authentication::Md5Password { salt: *b"salt" })),
            |body| Authentication::parse(body).map(drop),
        ),
        (written(|out| authentication_sasl(out, [&b"A"[..]])), |body| {
            Authentication::parse(body).map(drop)
        }),
        (written(|out| parameter_status(out, b"a", b"b")), |body| {
            ParameterStatus::parse(body).map(drop)
        }),
        (written(|out| ready_for_query(out, b'T')), |body| ReadyForQuery::parse(body).map(drop)),
        (written(|out| command_complete(out, b"BEGIN")), |body| {
            CommandComplete::parse(body).map(drop)
        }),
        (written(|out| notification_response(out, 1, b"c", b"p")), |body| {
            NotificationResponse::parse(body).map(drop)
        }),
        (written(|out| row_description(out, &[COLUMN, COLUMN])), |body| {
            RowDescription::parse(body).map(drop)
        }),
        (written(|out| data_row(out, [Some(&b"x"[..]), None])), |body| {
            DataRow::parse(body).map(drop)
        }),
        (written(|out| parameter_description(out, [23, 25])), |body| {
            ParameterDescription::parse(body).map(drop)
        }),
        (written(|out| copy_both_response(out, 1, [1])), |body| {
            CopyResponse::parse(body).map(drop)
        }),
        (
            written(|out| error_response(out, &Report::error(SqlState::SYNTAX_ERROR, "no"))),
            |body| Fields::parse(body).map(drop),
        ),
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
fn authentication_requests_are_told_apart() {
    let bytes = written(|out| {
        authentication_sasl(out, [&b"SCRAM-SHA-256-PLUS"[..], b"", b"SCRAM-SHA-256"]);
    });
    let (_, body) = only_frame(&bytes);
    let Ok(Authentication::Sasl { mechanisms }) = Authentication::parse(body) else {
        panic!("not a list of mechanisms");
    };
    assert!(mechanisms.iter().eq([&b"SCRAM-SHA-256-PLUS"[..], b"SCRAM-SHA-256"]));
    assert!(mechanisms.contains(b"SCRAM-SHA-256") && !mechanisms.contains(b"SCRAM"));
    assert_eq!(
        Authentication::parse(b"\0\0\0\x0bdata"),
        Ok(Authentication::SaslContinue { data: b"data" })
    );
    assert_eq!(Authentication::parse(b"\0\0\0\x0c"), Ok(Authentication::SaslFinal { data: b"" }));
    assert_eq!(
        Authentication::parse(b"\0\0\0\x06x"),
        Ok(Authentication::Other { code: 6, data: b"x" })
    );
}

#[test]
fn cancel_keys_have_four_to_256_bytes_and_are_not_shown() {
    for (len, accepted) in [(3, false), (4, true), (32, true), (256, true), (257, false)] {
        let key = vec![200; len];
        let bytes = written(|out| backend_key_data(out, 9, &key));
        let read = BackendKeyData::parse(only_frame(&bytes).1);
        if accepted {
            let read = read.unwrap();
            assert_eq!((read.pid, read.key), (9, &*key));
            assert!(!format!("{read:?}").contains("200"));
        } else {
            assert_eq!(read, Err(Malformed::CancelKey(len)));
        }
    }
}

#[test]
fn only_three_transaction_states_exist() {
    for state in 0..=u8::MAX {
        let expected = if b"ITE".contains(&state) {
            Ok(ReadyForQuery { status: state })
        } else {
            Err(Malformed::TransactionStatus(state))
        };
        assert_eq!(ReadyForQuery::parse(&[state]), expected);
    }
}

#[test]
fn rows_and_their_columns_are_walked_in_order() {
    let bytes =
        written(|out| row_description(out, &[COLUMN, Column::text(b"t"), Column::int8(b"n")]));
    let columns = RowDescription::parse(only_frame(&bytes).1).unwrap();
    assert_eq!((columns.len(), columns.is_empty()), (3, false));
    assert!(columns.iter().eq([COLUMN, Column::text(b"t"), Column::int8(b"n")]));

    let bytes = written(|out| data_row(out, [Some(&b"7"[..]), None, Some(b"")]));
    let row = DataRow::parse(only_frame(&bytes).1).unwrap();
    assert_eq!(row.len(), 3);
    assert!(row.iter().eq([Some(&b"7"[..]), None, Some(b"")]));
}

#[test]
fn hostile_counts_and_lengths_are_refused_without_being_believed() {
    assert_eq!(RowDescription::parse(b"\xff\xff"), Err(Malformed::Unterminated));
    assert_eq!(DataRow::parse(b"\xff\xff\0\0\0\0"), Err(Malformed::Short));
    assert_eq!(DataRow::parse(b"\0\x01\x7f\xff\xff\xff"), Err(Malformed::Short));
    assert_eq!(DataRow::parse(b"\0\x01\xff\xff\xff\xfe"), Err(Malformed::Short));
    assert_eq!(ParameterDescription::parse(b"\xff\xff\0\0"), Err(Malformed::Short));
    assert_eq!(
        NegotiateProtocolVersion::parse(b"\0\x03\0\0\xff\xff\xff\xff"),
        Err(Malformed::Unterminated)
    );
}

#[test]
fn counts_of_rows_stand_at_the_end_of_a_tag() {
    for (tag, rows) in [
        (&b"SELECT 5"[..], Some(5)),
        (b"INSERT 0 12", Some(12)),
        (b"COPY 18446744073709551615", Some(u64::MAX)),
        (b"BEGIN", None),
        (b"CREATE TABLE", None),
        (b"", None),
    ] {
        assert_eq!(CommandComplete { tag }.rows(), rows, "{tag:?}");
    }
}

#[test]
fn a_report_is_written_with_all_its_fields() {
    let report = Report::fatal(SqlState::TOO_MANY_CONNECTIONS, "pool is full")
        .with_detail("20 of 20 in use")
        .with_hint("Wait.")
        .at(3);
    let bytes = written(|out| error_response(out, &report));
    let (tag, body) = only_frame(&bytes);
    assert_eq!(tag, b'E');
    let fields = Fields::parse(body).unwrap();
    assert_eq!(fields.severity(), Some(&b"FATAL"[..]));
    assert!(fields.is_fatal());
    assert_eq!(fields.code(), Some(SqlState::TOO_MANY_CONNECTIONS));
    assert_eq!(fields.message(), Some(&b"pool is full"[..]));
    assert_eq!(fields.detail(), Some(&b"20 of 20 in use"[..]));
    assert_eq!(fields.hint(), Some(&b"Wait."[..]));
    assert_eq!(fields.position(), Some(3));

    let bytes = written(|out| {
        notice_response(out, &Report::new(Severity::Notice, SqlState::WARNING, "a\0b"));
    });
    let (tag, body) = only_frame(&bytes);
    assert_eq!(tag, b'N');
    let fields = Fields::parse(body).unwrap();
    assert_eq!(fields.message(), Some(&b"a"[..]), "a NUL ends a text");
    assert_eq!(fields.position(), None);
}

/// An error as PostgreSQL 15 sends it, in a translated locale.
const ERROR: &[u8] = b"SFEHLER\0VERROR\0C42703\0MSpalte \xc2\xbbx\xc2\xab existiert nicht\0P8\0Fparse_relation.c\0L3656\0RerrorMissingColumn\0\0";

#[test]
fn a_position_is_moved_and_nothing_else() {
    let fields = Fields::parse(ERROR).unwrap();
    for (by, expected) in [(0, Some(8)), (5, Some(13)), (-7, Some(1)), (-8, None), (-100, None)] {
        let bytes = written(|out| shift_position(out, tag::ERROR_RESPONSE, fields, by));
        let moved = Fields::parse(only_frame(&bytes).1).unwrap();
        assert_eq!(moved.position(), expected, "{by}");
        let others = |fields: Fields<'static>| fields.iter().filter(|(field, _)| *field != b'P');
        let moved: Vec<_> = moved.iter().filter(|(field, _)| *field != b'P').collect();
        assert!(others(fields).eq(moved), "{by}");
    }
    let bytes = written(|out| map_position(out, tag::ERROR_RESPONSE, fields, |_| Some(99)));
    assert_eq!(Fields::parse(only_frame(&bytes).1).unwrap().position(), Some(99));
}

#[test]
fn a_severity_is_changed_in_both_its_fields() {
    let fields = Fields::parse(ERROR).unwrap();
    let bytes = written(|out| with_severity(out, tag::ERROR_RESPONSE, fields, Severity::Fatal));
    let changed = Fields::parse(only_frame(&bytes).1).unwrap();
    assert_eq!(changed.field(b'S'), Some(&b"FATAL"[..]));
    assert_eq!(changed.field(b'V'), Some(&b"FATAL"[..]));
    assert_eq!(changed.iter().count(), fields.iter().count());
    assert_eq!(changed.position(), Some(8));
}

#[test]
fn severity_falls_back_to_the_translated_one_for_old_servers() {
    let fields = Fields::parse(b"SFATAL\0Mgone\0\0").unwrap();
    assert!(fields.is_fatal());
    assert_eq!(fields.code(), None);
    assert!(!Fields::parse(ERROR).unwrap().is_fatal());
    assert!(Fields::parse(b"\0").unwrap().iter().next().is_none());
}

#[test]
fn a_servers_negotiation_must_make_sense() {
    let body = |newest: ProtocolVersion, options: &[&[u8]]| {
        written(|out| negotiate_protocol_version(out, newest, options.iter().copied()))
    };
    let version = |minor| ProtocolVersion { major: 3, minor };
    let check = |newest, options: &[&[u8]], asked| {
        let bytes = body(newest, options);
        NegotiateProtocolVersion::parse(only_frame(&bytes).1).unwrap().accept(asked)
    };
    assert_eq!(check(version(0), &[], version(2)), Ok(version(0)));
    assert_eq!(check(version(2), &[], version(9999)), Ok(version(2)));
    assert_eq!(check(version(2), &[b"_pq_.x"], version(2)), Ok(version(2)));
    assert_eq!(check(version(2), &[], version(2)), Err(NegotiationFault::NoChange));
    assert_eq!(
        check(version(2), &[], version(0)),
        Err(NegotiationFault::Upgrade { asked: version(0), newest: version(2) })
    );
    assert_eq!(
        check(version(1), &[], version(2)),
        Err(NegotiationFault::NoSuchVersion(version(1)))
    );
    let old = ProtocolVersion { major: 2, minor: 0 };
    assert_eq!(check(old, &[], version(2)), Err(NegotiationFault::NoSuchVersion(old)));
}

#[test]
fn the_table_of_tags_is_whole() {
    let known: Vec<u8> = (0..=u8::MAX).filter(|tag| is_known(*tag)).collect();
    assert_eq!(known, tag::ALL);
    assert!((0..=u8::MAX).filter(|tag| may_be_long(*tag)).all(is_known));
    assert!(may_be_long(tag::DATA_ROW) && !may_be_long(tag::READY_FOR_QUERY));
}
