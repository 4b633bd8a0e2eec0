use super::*;

const TOKEN: Token = Token { system: 7_434_183_721_942_342_123, timeline: 26, lsn: 0x3_0000_0148 };

#[test]
fn a_token_is_read_as_it_is_written_and_nothing_else_is_one() {
    let written = TOKEN.to_string();
    assert_eq!(written, "7434183721942342123/0000001A:3/148");
    assert_eq!(written.parse(), Ok(TOKEN));
    for wrong in [
        "",
        "0/148",
        "7/1:0",
        "7/1:/1",
        "7/1:0/",
        "/1:0/1",
        "+7/1:0/1",
        "7/+1:0/1",
        "7/1:0/123456789",
        "7/000000001:0/1",
        "7/1:0/1 ",
        "7/1:0/1/2",
        "7/g:0/1",
        "99999999999999999999/1:0/1",
    ] {
        assert_eq!(wrong.parse::<Token>(), Err(NoToken), "{wrong}");
    }
}

#[test]
fn a_text_is_about_places_in_any_way_of_writing_it() {
    for text in
        ["SHOW trunkline.lsn", "show Trunkline.LSN ;", "/* app */ show -- so\n\ttrunkline.lsn;;"]
    {
        assert_eq!(asked(text.as_bytes()), Some(Asked::Place), "{text}");
    }
    for text in [
        "SET trunkline.after_lsn = '7/1:0/1F'",
        "set session trunkline.after_lsn to '7/1:0/1F';",
        "set local TRUNKLINE.after_lsn='7/1:0/1F' /* behind */",
    ] {
        let token = Token { system: 7, timeline: 1, lsn: 0x1F };
        assert_eq!(asked(text.as_bytes()), Some(Asked::After(Some(token))), "{text}");
    }
    for text in ["set trunkline.after_lsn to default", "set trunkline.after_lsn = ''"] {
        assert_eq!(asked(text.as_bytes()), Some(Asked::After(None)), "{text}");
    }
    for (text, value) in [
        ("set trunkline.after_lsn = 'it''s none'", "it's none"),
        ("set trunkline.after_lsn = 7", "7"),
        ("set trunkline.after_lsn = nothing", "nothing"),
    ] {
        assert_eq!(asked(text.as_bytes()), Some(Asked::Wrong(value.into())), "{text}");
    }
}

#[test]
fn other_texts_are_left_to_postgresql() {
    for text in [
        "show trunkline.lsn; select 1",
        "select 1; show trunkline.lsn",
        "show trunkline.lsn_of_all",
        "show trunkline . lsn",
        "set trunkline.after_lsn",
        "set trunkline.after_lsn = ",
        "set trunkline.after_lsn = 'a",
        "set trunkline.after_lsn = 'a', 'b'",
        "set trunkline.after_lsn = 'a'; select 1",
        "set trunkline.after_lsn from current",
        "set trunkline.route = 'primary'",
        "select 'set trunkline.after_lsn = 7'",
        "reset trunkline.after_lsn",
        "/* /* */ show trunkline.lsn",
        "show trunkline.lsn \u{e4}",
    ] {
        assert_eq!(asked(text.as_bytes()), None, "{text}");
    }
    let long = format!("show trunkline.lsn {}", ";".repeat(ASKED_MAX));
    assert_eq!(asked(long.as_bytes()), None);
    assert_eq!(asked(b"show trunkline.lsn\xFF"), None);
}

#[test]
fn what_is_refused_is_told_with_its_own_code_and_other_errors_as_they_are() {
    let wrong = asked(b"set trunkline.after_lsn = 'x'").unwrap();
    let elsewhere = Asked::After(Some(TOKEN));
    assert_eq!(elsewhere.refusal(None), None);
    assert_eq!(elsewhere.refusal(Some(TOKEN.system)), None);
    for (refusal, code) in [
        (wrong.refusal(None).unwrap(), SqlState::INVALID_PARAMETER_VALUE),
        (elsewhere.refusal(Some(1)).unwrap(), SqlState::INVALID_PARAMETER_VALUE),
        (Refusal::AtStandby, SqlState::ACTIVE_SQL_TRANSACTION),
    ] {
        let told = refusal.told(b"SERROR\0C42601\0Mno\0\0").unwrap();
        assert_eq!(error_code(&told), Some(code));
        assert_eq!(refusal.told(b"SERROR\0C57014\0Mno\0\0"), None);
    }
}
