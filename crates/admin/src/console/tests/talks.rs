use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::BufMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};
use trunkline_proxy::{
    handover::ConsoleRights::{Admin, Read},
    seats::Seats,
};
use trunkline_wire::frontend;

use super::support::{Operator, console, ends, login};
use crate::{
    console::{
        command::ShutdownMode,
        extended::{MAX_PORTALS, MAX_STATEMENTS},
        line::{MAX_MESSAGE, WRITE_DEADLINE},
        perform::PAUSE_DEADLINE,
        serve_login,
    },
    testing::{Puppet, client_report},
};

#[tokio::test]
async fn the_welcome_tells_what_drivers_need_to_know() {
    let (login, stream) = login(Admin);
    let (_closing, _stop, ends) = ends();
    tokio::spawn(serve_login(console(&Puppet::new(), None), login, Seats::default().take(), ends));
    let mut welcome = vec![0; 2048];
    let mut stream = stream;
    let len = stream.read(&mut welcome).await.unwrap();
    let welcome = String::from_utf8_lossy(&welcome[..len]).into_owned();
    for part in [
        "server_version\0",
        "client_encoding\0UTF8\0",
        "application_name\0psql\0",
        "standard_conforming_strings\0on\0",
        "integer_datetimes\0on\0",
    ] {
        assert!(welcome.contains(part), "{part:?} is not in {welcome:?}");
    }
    // BackendKeyData: 4 bytes of length, 4 of process id, 4 of key. Then ReadyForQuery.
    assert!(welcome.contains("K\0\0\0\x0c\x7f"), "{welcome:?}");
    assert!(welcome.ends_with("Z\0\0\0\x05I"), "{welcome:?}");
}

#[tokio::test]
async fn a_table_is_columns_rows_and_the_tag_show() {
    let mut operator = Operator::new(&Puppet::new(), Read).await;
    let lines = operator.say("show users;").await;
    let head = "T name:25:0 pool_mode:25:0 max_user_connections:23:0 current_connections:23:0";
    assert_eq!(lines, [head, "D alice|NULL|0|2", "D bob|NULL|0|0", "C SHOW", "Z I"]);
}

#[tokio::test]
async fn a_table_larger_than_the_buffers_arrives_whole() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        strings.loops[0].clients =
            (0..2000).map(|pid| client_report(pid, "shop", "alice")).collect();
    });
    let mut operator = Operator::new(&puppet, Read).await;
    let lines = operator.say("SHOW CLIENTS").await;
    assert_eq!(lines.iter().filter(|line| line.starts_with("D ")).count(), 2000);
}

#[tokio::test]
async fn those_who_may_only_look_change_nothing() {
    let puppet = Puppet::new();
    let mut operator = Operator::new(&puppet, Read).await;
    for command in ["PAUSE", "RESUME", "RECONNECT", "RELOAD", "SHUTDOWN"] {
        let lines = operator.say(command).await;
        assert!(lines[0].starts_with("E ERROR / 42501 / "), "{lines:?}");
        assert_eq!(lines[1..], ["Z I"]);
    }
    assert_eq!(puppet.with(|strings| strings.asked.clone()), Vec::<String>::new());
}

#[tokio::test]
async fn unknown_words_are_answered_with_those_that_are_known() {
    let mut operator = Operator::new(&Puppet::new(), Admin).await;
    let lines = operator.say("KILL shop").await;
    assert!(lines[0].starts_with("E ERROR / 42601 / unknown command \"KILL\""), "{lines:?}");
    assert!(lines[0].contains("RECONNECT [<database>]"), "{lines:?}");
    assert_eq!(operator.say("SHOW VERSION").await.len(), 4);
}

#[tokio::test]
async fn help_is_a_notice_as_in_pgbouncer() {
    let mut operator = Operator::new(&Puppet::new(), Read).await;
    let lines = operator.say("SHOW HELP").await;
    assert!(
        lines[0].starts_with("N NOTICE / 00000 / Console usage / \n\tSHOW POOLS|"),
        "{lines:?}"
    );
    assert_eq!(lines[1..], ["C SHOW", "Z I"]);
    assert_eq!(operator.say("help").await, lines);
}

#[tokio::test]
async fn an_empty_text_is_an_empty_query() {
    let mut operator = Operator::new(&Puppet::new(), Read).await;
    assert_eq!(operator.say("").await, ["I", "Z I"]);
    assert_eq!(operator.say(" ; -- nothing").await, ["I", "Z I"]);
}

#[tokio::test]
async fn several_statements_run_in_order_up_to_the_first_that_fails() {
    let puppet = Puppet::new();
    let mut operator = Operator::new(&puppet, Admin).await;
    let lines = operator.say("RECONNECT shop; PAUSE pgbouncer; RECONNECT wiki").await;
    assert_eq!(lines[0], "C RECONNECT");
    assert!(lines[1].starts_with("E ERROR / 3D000 / "), "{lines:?}");
    assert_eq!(lines[2..], ["Z I"]);
    assert_eq!(puppet.with(|strings| strings.asked.clone()), ["reconnect shop"]);
}

/// Takes the servers away, as if the clients had given them back and they had been closed.
fn drain(puppet: &Puppet) {
    puppet.with(|strings| {
        for report in &mut strings.loops {
            report.servers.clear();
            for pool in &mut report.pools {
                (pool.servers_active, pool.servers_idle) = (0, 0);
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn pause_answers_when_no_server_is_open_any_more() {
    let puppet = Puppet::new();
    let mut operator = Operator::new(&puppet, Admin).await;
    operator.send(|out| frontend::query(out, b"PAUSE shop")).await;
    let early = timeout(Duration::from_secs(5), operator.message()).await;
    assert!(early.is_err(), "{early:?}");
    drain(&puppet);
    assert_eq!(operator.until_ready().await, ["C PAUSE", "Z I"]);
    // Server connections are closed too, so that the server can be stopped.
    assert_eq!(puppet.with(|strings| strings.asked.clone()), ["pause shop", "reconnect shop"]);
    assert_eq!(operator.say("RESUME shop").await, ["C RESUME", "Z I"]);
    let again = operator.say("RESUME shop").await;
    assert_eq!(again, ["N NOTICE / 00000 / the database was not paused /  /", "C RESUME", "Z I"]);
}

#[tokio::test(start_paused = true)]
async fn pause_waits_only_for_the_database_it_names() {
    let mut operator = Operator::new(&Puppet::new(), Admin).await;
    assert_eq!(operator.say("PAUSE wiki").await, ["C PAUSE", "Z I"]);
    assert_eq!(operator.say("PAUSE not_used_yet").await, ["C PAUSE", "Z I"]);
}

#[tokio::test(start_paused = true)]
async fn pause_that_takes_too_long_says_who_holds_a_server_and_stays() {
    let puppet = Puppet::new();
    let mut operator = Operator::new(&puppet, Admin).await;
    let begin = Instant::now();
    let lines = operator.say("PAUSE").await;
    assert!(begin.elapsed() >= PAUSE_DEADLINE, "{:?}", begin.elapsed());
    assert!(begin.elapsed() < PAUSE_DEADLINE + Duration::from_secs(1));
    assert!(
        lines[0].starts_with("E ERROR / 55000 / paused, but 2 server connections"),
        "{lines:?}"
    );
    assert!(lines[0].contains("pid 101: alice@shop from 192.0.2.7:50001"), "{lines:?}");
    assert_eq!(puppet.with(|strings| strings.asked.clone()), ["pause *", "reconnect *"]);
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_cancels_waits_no_longer_and_the_pause_goes_on() {
    let puppet = Puppet::new();
    let mut operator = Operator::new(&puppet, Admin).await;
    // One that comes while nothing is waited for has no effect.
    operator.cancel();
    operator.send(|out| frontend::query(out, b"PAUSE shop; SHOW VERSION")).await;
    let early = timeout(Duration::from_secs(5), operator.message()).await;
    assert!(early.is_err(), "{early:?}");
    operator.cancel();
    let lines = operator.until_ready().await;
    assert!(
        lines[0].starts_with("E ERROR / 57014 / canceling statement due to user request"),
        "{lines:?}"
    );
    assert_eq!(lines[1..], ["Z I"]);
    assert_eq!(puppet.with(|strings| strings.asked.clone()), ["pause shop", "reconnect shop"]);
    assert_eq!(operator.say("RESUME shop").await, ["C RESUME", "Z I"]);
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_leaves_waits_no_longer() {
    let puppet = Puppet::new();
    let mut operator = Operator::new(&puppet, Admin).await;
    operator.send(|out| frontend::query(out, b"PAUSE")).await;
    let Operator { stream, session, .. } = operator;
    drop(stream);
    timeout(Duration::from_secs(1), session).await.expect("the session ends").unwrap();
}

#[tokio::test]
async fn a_database_that_cannot_be_is_unknown() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        strings.settings.databases.0.remove("*");
        strings
            .settings
            .databases
            .0
            .insert("shop".to_owned(), trunkline_settings::Database::default());
    });
    let mut operator = Operator::new(&puppet, Admin).await;
    for verb in ["PAUSE", "RESUME", "RECONNECT"] {
        let lines = operator.say(&format!("{verb} nowhere")).await;
        assert!(lines[0].starts_with("E ERROR / 3D000 / no such database: nowhere"), "{lines:?}");
    }
    assert_eq!(operator.say("RECONNECT shop").await, ["C RECONNECT", "Z I"]);
}

#[tokio::test]
async fn reload_tells_what_changed_or_why_nothing_did() {
    let puppet = Puppet::new();
    let mut operator = Operator::new(&puppet, Admin).await;
    let lines = operator.say("RELOAD").await;
    assert!(lines[0].starts_with("N NOTICE / 00000 / pool.size: 20 -> 30"), "{lines:?}");
    assert_eq!(lines[1..], ["C RELOAD", "Z I"]);
    puppet.with(|strings| strings.reload = Err("line 3: no such setting".to_owned()));
    let lines = operator.say("RELOAD").await;
    let expected = "E ERROR / 55000 / nothing was reloaded / line 3: no such setting";
    assert!(lines[0].starts_with(expected), "{lines:?}");
    puppet.with(|strings| strings.reload = Ok((0..150).map(|n| n.to_string()).collect()));
    let lines = operator.say("RELOAD").await;
    assert_eq!(lines.len(), 103);
    assert!(lines[100].contains("and 50 more changes"), "{}", lines[100]);
}

#[tokio::test]
async fn shutdown_is_answered_before_the_program_is_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = {
        let told = Arc::clone(&told);
        Arc::new(move |mode| told.lock().unwrap().push(mode))
    };
    let mut operator = Operator::with_shutdown(&Puppet::new(), Admin, Some(hook)).await;
    assert_eq!(operator.say("SHUTDOWN WAIT_FOR_CLIENTS").await, ["C SHUTDOWN", "Z I"]);
    assert_eq!(*told.lock().unwrap(), [ShutdownMode::WaitForClients]);
    let mut other = Operator::new(&Puppet::new(), Admin).await;
    let lines = other.say("SHUTDOWN").await;
    assert!(lines[0].starts_with("E ERROR / 0A000 / "), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn loops_that_do_not_answer_are_an_error_and_the_session_goes_on() {
    let puppet = Puppet::new();
    let mut operator = Operator::new(&puppet, Read).await;
    puppet.with(|strings| strings.stuck = true);
    let lines = operator.say("SHOW POOLS").await;
    assert!(lines[0].starts_with("E ERROR / XX000 / the worker loops did not answer"), "{lines:?}");
    puppet.with(|strings| strings.stuck = false);
    assert_eq!(operator.say("SHOW POOLS").await.len(), 5);
}

#[tokio::test]
async fn parameters_of_the_session_are_shown_and_the_name_can_be_changed() {
    let mut operator = Operator::new(&Puppet::new(), Read).await;
    let lines = operator.say("SHOW application_name").await;
    assert_eq!(lines, ["T application_name:25:0", "D psql", "C SHOW", "Z I"]);
    let lines = operator.say("SET application_name TO 'other'").await;
    assert_eq!(lines, ["S application_name=other", "C SET", "Z I"]);
    assert_eq!(operator.say("SHOW APPLICATION_NAME").await[1], "D other");
    assert_eq!(operator.say("SET extra_float_digits = 3").await, ["C SET", "Z I"]);
}

#[tokio::test]
async fn a_session_can_be_brought_back_to_its_beginning() {
    let mut operator = Operator::new(&Puppet::new(), Read).await;
    let prepare = |out: &mut bytes::BytesMut| {
        frontend::parse(out, b"s", b"SHOW VERSION", b"\0\0");
        frontend::sync(out);
    };
    operator.send(prepare).await;
    assert_eq!(operator.until_ready().await, ["1", "Z I"]);
    assert_eq!(operator.say("DEALLOCATE s").await, ["C DEALLOCATE", "Z I"]);
    assert!(operator.say("DEALLOCATE s").await[0].starts_with("E ERROR / 26000 / "));
    for text in ["DEALLOCATE ALL", "DISCARD ALL"] {
        operator.send(prepare).await;
        assert_eq!(operator.until_ready().await, ["1", "Z I"], "{text}");
        operator.say("SET application_name = other").await;
        let tag = format!("C {text}");
        assert!(operator.say(text).await.contains(&tag), "{text}");
    }
    assert_eq!(operator.say("SHOW application_name").await[1], "D psql");
}

#[tokio::test]
async fn a_transaction_block_is_followed_as_drivers_expect() {
    let mut operator = Operator::new(&Puppet::new(), Read).await;
    assert_eq!(operator.say("BEGIN").await, ["C BEGIN", "Z T"]);
    assert!(operator.say("BEGIN").await[0].starts_with("N WARNING / 25001 / "));
    assert_eq!(operator.say("SHOW VERSION").await.last().unwrap(), "Z T");
    assert_eq!(operator.say("nonsense").await.last().unwrap(), "Z E");
    let lines = operator.say("SHOW VERSION").await;
    assert!(lines[0].starts_with("E ERROR / 25P02 / "), "{lines:?}");
    assert_eq!(operator.say("COMMIT").await, ["C ROLLBACK", "Z I"]);
    assert!(operator.say("ROLLBACK").await[0].starts_with("N WARNING / 25P01 / "));
}

#[tokio::test]
async fn the_extended_protocol_describes_and_runs_commands() {
    let mut operator = Operator::new(&Puppet::new(), Read).await;
    operator
        .send(|out| {
            frontend::parse(out, b"s", b"SHOW VERSION", b"\0\0");
            frontend::describe(out, frontend::STATEMENT, b"s");
            bind(out, "", "s", &[]);
            frontend::describe(out, frontend::PORTAL, b"");
            frontend::execute(out, b"", 0);
            frontend::close(out, frontend::STATEMENT, b"s");
            frontend::sync(out);
        })
        .await;
    let version = format!("D Trunkline {}", env!("CARGO_PKG_VERSION"));
    let lines = operator.until_ready().await;
    let expected =
        ["1", "t", "T version:25:0", "2", "T version:25:0", &*version, "C SHOW", "3", "Z I"];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn commands_without_rows_are_described_as_such() {
    let puppet = Puppet::new();
    let mut operator = Operator::new(&puppet, Admin).await;
    operator
        .send(|out| {
            for text in ["RECONNECT", ""] {
                frontend::parse(out, b"", text.as_bytes(), b"\0\0");
                bind(out, "", "", &[]);
                frontend::describe(out, frontend::PORTAL, b"");
                frontend::execute(out, b"", 0);
            }
            frontend::sync(out);
        })
        .await;
    let lines = operator.until_ready().await;
    assert_eq!(lines, ["1", "2", "n", "C RECONNECT", "1", "2", "n", "I", "Z I"]);
    assert_eq!(puppet.with(|strings| strings.asked.len()), 1);
}

#[tokio::test]
async fn rows_are_given_out_in_portions_and_formats_as_asked() {
    let mut operator = Operator::new(&Puppet::new(), Read).await;
    operator
        .send(|out| {
            frontend::parse(out, b"", b"SHOW LISTS", b"\0\0");
            bind(out, "p", "", &[0, 1]);
            frontend::describe(out, frontend::PORTAL, b"p");
            frontend::execute(out, b"p", 1);
            frontend::execute(out, b"p", 5);
            frontend::execute(out, b"p", 0);
            frontend::execute(out, b"p", 0);
            frontend::sync(out);
        })
        .await;
    let lines = operator.until_ready().await;
    assert_eq!(lines[..3], ["1", "2", "T list:25:0 items:23:1"]);
    assert_eq!(lines[3..5], ["D databases|\0\0\0\u{2}", "s"]);
    assert_eq!(lines[10], "s");
    assert_eq!(lines[17], "C SHOW");
    assert!(lines[18].starts_with("E ERROR / 55000 / portal \"p\" cannot be run"), "{lines:?}");
    // Outside of a transaction block the portal ends with the Sync.
    operator
        .send(|out| {
            frontend::execute(out, b"p", 0);
            frontend::sync(out);
        })
        .await;
    assert!(operator.until_ready().await[0].starts_with("E ERROR / 34000 / "));
}

#[tokio::test]
async fn after_an_error_everything_up_to_the_sync_is_ignored() {
    let puppet = Puppet::new();
    let mut operator = Operator::new(&puppet, Admin).await;
    operator
        .send(|out| {
            frontend::parse(out, b"", b"NONSENSE", b"\0\0");
            frontend::parse(out, b"", b"RECONNECT", b"\0\0");
            bind(out, "", "", &[]);
            frontend::execute(out, b"", 0);
            frontend::query(out, b"RECONNECT");
            frontend::sync(out);
        })
        .await;
    let lines = operator.until_ready().await;
    assert!(lines[0].starts_with("E ERROR / 42601 / "), "{lines:?}");
    assert_eq!(lines[1..], ["Z I"]);
    assert_eq!(puppet.with(|strings| strings.asked.len()), 0);
}

#[tokio::test]
async fn mistakes_in_the_extended_protocol_have_postgresqls_codes() {
    type Mistake = fn(&mut bytes::BytesMut);
    let mistakes: [(&str, Mistake); 9] = [
        ("42601 / cannot insert multiple", |out| {
            frontend::parse(out, b"", b"HELP; HELP", b"\0\0");
        }),
        ("42P05", |out| {
            frontend::parse(out, b"twice", b"HELP", b"\0\0");
            frontend::parse(out, b"twice", b"HELP", b"\0\0");
        }),
        ("26000", |out| bind(out, "", "missing", &[])),
        ("34000", |out| frontend::execute(out, b"missing", 0)),
        ("08P01 / bind message has 3", |out| {
            frontend::parse(out, b"", b"SHOW VERSION", b"\0\0");
            bind(out, "", "", &[0, 0, 0]);
        }),
        ("22023", |out| {
            frontend::parse(out, b"", b"SHOW VERSION", b"\0\0");
            bind(out, "", "", &[2]);
        }),
        ("08P01 / bind message supplies 1", |out| {
            frontend::parse(out, b"", b"SHOW VERSION", b"\0\0");
            frontend::bind(out, b"", b"", b"\0\0\0\x01\0\0\0\x011\0\0");
        }),
        ("08P01 / insufficient data", |out| {
            frontend::parse(out, b"", b"SHOW VERSION", b"\0\0");
            frontend::bind(out, b"", b"", b"\0\0\0\x01\0\0");
        }),
        ("22021", |out| frontend::parse(out, b"", b"SHOW \xff", b"\0\0")),
    ];
    let mut operator = Operator::new(&Puppet::new(), Admin).await;
    for (expected, mistake) in mistakes {
        operator
            .send(|out| {
                mistake(out);
                frontend::sync(out);
            })
            .await;
        let lines = operator.until_ready().await;
        let error = lines.iter().find(|line| line.starts_with("E ")).unwrap();
        assert!(error.starts_with(&format!("E ERROR / {expected}")), "{expected}: {lines:?}");
    }
}

#[tokio::test]
async fn statements_and_portals_are_bounded() {
    let mut operator = Operator::new(&Puppet::new(), Admin).await;
    operator
        .send(|out| {
            for n in 0..=MAX_STATEMENTS {
                frontend::parse(out, format!("s{n}").as_bytes(), b"SHOW VERSION", b"\0\0");
            }
            frontend::sync(out);
        })
        .await;
    let lines = operator.until_ready().await;
    assert_eq!(lines.iter().filter(|line| *line == "1").count(), MAX_STATEMENTS);
    assert!(lines[MAX_STATEMENTS].starts_with("E ERROR / 53400 / "));
    operator
        .send(|out| {
            for n in 0..=MAX_PORTALS {
                bind(out, &format!("p{n}"), "s0", &[]);
            }
            frontend::sync(out);
        })
        .await;
    let lines = operator.until_ready().await;
    assert!(lines[MAX_PORTALS].starts_with("E ERROR / 53400 / "), "{lines:?}");
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_session_before_it_is_read() {
    let mut operator = Operator::new(&Puppet::new(), Admin).await;
    let declared = u32::try_from(MAX_MESSAGE).unwrap();
    operator
        .send(|out| {
            out.put_u8(b'Q');
            out.put_u32(declared);
        })
        .await;
    let lines = operator.rest().await;
    assert!(lines[0].starts_with("E FATAL / 54000 / "), "{lines:?}");
}

#[tokio::test]
async fn what_is_no_message_ends_the_session() {
    for (bytes, expected) in [
        (&b"\x16\x03\x01\x02\x00"[..], "E FATAL / 08P01 / "),
        (b"Q\0\0\0\x01", "E FATAL / 08P01 / invalid message length"),
        (b"p\0\0\0\x05x", "E FATAL / 08P01 / invalid frontend message type 112"),
    ] {
        let mut operator = Operator::new(&Puppet::new(), Admin).await;
        operator.stream.write_all(bytes).await.unwrap();
        let lines = operator.rest().await;
        assert!(lines[0].starts_with(expected), "{lines:?}");
        operator.session.await.unwrap();
    }
}

#[tokio::test]
async fn a_function_call_fails_and_leftovers_of_copy_are_ignored() {
    let mut operator = Operator::new(&Puppet::new(), Admin).await;
    operator
        .send(|out| {
            frontend::copy_data(out, b"x");
            frontend::copy_done(out);
            frontend::flush(out);
            frontend::function_call(out, 1, b"\0\0\0\0\0\0");
        })
        .await;
    let lines = operator.until_ready().await;
    assert!(lines[0].starts_with("E ERROR / 0A000 / "), "{lines:?}");
}

#[tokio::test]
async fn terminate_ends_the_session_without_a_word() {
    let mut operator = Operator::new(&Puppet::new(), Admin).await;
    operator.send(frontend::terminate).await;
    assert_eq!(operator.rest().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_idle_and_waiting_sessions_with_57p01() {
    let puppet = Puppet::new();
    let mut idle = Operator::new(&puppet, Admin).await;
    let mut waiting = Operator::new(&puppet, Admin).await;
    waiting.send(|out| frontend::query(out, b"PAUSE")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for operator in [&mut idle, &mut waiting] {
        operator.stop.send(true).unwrap();
        let lines = operator.rest().await;
        assert!(lines[0].starts_with("E FATAL / 57P01 / "), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_idle_are_to_go_a_command_that_is_under_way_ends_first() {
    let puppet = Puppet::new();
    let mut idle = Operator::new(&puppet, Admin).await;
    let mut waiting = Operator::new(&puppet, Admin).await;
    waiting.send(|out| frontend::query(out, b"PAUSE")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for operator in [&idle, &waiting] {
        operator.closing.send(true).unwrap();
    }
    let lines = idle.rest().await;
    assert!(lines[0].starts_with("E FATAL / 57P01 / "), "{lines:?}");
    puppet.with(|strings| strings.loops.clear());
    let lines = waiting.rest().await;
    assert_eq!(lines[..2], ["C PAUSE", "Z I"]);
    assert!(lines[2].starts_with("E FATAL / 57P01 / "), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_does_not_read_is_let_go_in_the_end() {
    let puppet = Puppet::new();
    puppet.with(|strings| {
        strings.loops[0].clients = (0..500).map(|pid| client_report(pid, "shop", "x")).collect();
    });
    let mut operator = Operator::new(&puppet, Read).await;
    operator.send(|out| frontend::query(out, b"SHOW CLIENTS")).await;
    let begin = Instant::now();
    operator.session.await.unwrap();
    assert!(begin.elapsed() >= WRITE_DEADLINE, "{:?}", begin.elapsed());
}

/// A Bind without parameters.
fn bind(out: &mut bytes::BytesMut, portal: &str, statement: &str, formats: &[u16]) {
    let mut rest = bytes::BytesMut::new();
    rest.put_u32(0);
    rest.put_u16(u16::try_from(formats.len()).unwrap());
    for format in formats {
        rest.put_u16(*format);
    }
    frontend::bind(out, portal.as_bytes(), statement.as_bytes(), &rest);
}
