//! Promises that hold for every setting, now and for those to come.

use std::path::Path;

use super::*;
use crate::decode::decode;
use crate::diagnostic::Report;
use crate::reload::diff;
use crate::source::Source;
use crate::tree::parse;

/// The settings of a text, files left unread and contradictions unsought.
fn decoded(text: &str) -> Settings {
    let source = Source::new(Path::new("t.toml"), text);
    let mut report = Report::default();
    let table = parse(&source, &mut report);
    let (settings, _) = decode(table, &source, &mut report);
    assert!(!report.failed(), "{text}\n{}", report.into_diagnostics());
    settings
}

/// The header of a group's table, and the path under which a change in it is reported.
fn header(group: &GroupInfo) -> (String, String) {
    match group.form {
        Form::Single => (format!("[{}]\n", group.name), group.name.to_owned()),
        Form::Repeated => (format!("[[{}]]\n", group.name), format!("{}.", group.name)),
        Form::Named => (format!("[{}.x]\n", group.name), format!("{}.x", group.name)),
    }
}

#[test]
fn every_setting_is_read_and_a_change_of_it_is_noticed() {
    for group in catalogue() {
        let (head, path) = header(&group);
        for setting in &group.settings {
            if matches!((group.name, setting.name), ("node" | "route", "name")) {
                continue; // Another name is another node, or rule.
            }
            let before = decoded(&head);
            let after = decoded(&format!("{head}{} = {}\n", setting.name, setting.example));
            let changes = diff(&before, &after);
            let [change] = changes.as_slice() else {
                panic!("{}.{}: {changes:?}", group.name, setting.name)
            };
            assert_eq!(change.path, format!("{path}.{}", setting.name));
            assert_eq!(change.effect, setting.effect);
        }
    }
}

#[test]
fn every_default_written_out_changes_nothing() {
    for group in catalogue() {
        let (head, _) = header(&group);
        for setting in &group.settings {
            let Some(default) = setting.default_toml() else { continue };
            let text = format!("{head}{} = {default}\n", setting.name);
            assert_eq!(decoded(&head), decoded(&text), "{text}");
        }
    }
}

#[test]
fn every_setting_refuses_a_value_of_the_wrong_type() {
    for group in catalogue() {
        let (head, _) = header(&group);
        for setting in &group.settings {
            for wrong in ["[[]]", "2020-01-01", "{ a = 1 }", "\"\\u0000\""] {
                let text = format!("{head}{} = {wrong}\n", setting.name);
                let source = Source::new(Path::new("t.toml"), &text);
                let mut report = Report::default();
                let table = parse(&source, &mut report);
                decode(table, &source, &mut report);
                assert!(report.failed(), "{text} was accepted");
            }
        }
    }
}

#[test]
fn every_setting_says_what_it_means_and_what_zero_does() {
    for group in catalogue() {
        for setting in &group.settings {
            assert!(
                setting.meaning.ends_with('.'),
                "{}.{}: {}",
                group.name,
                setting.name,
                setting.meaning
            );
            if matches!(setting.kind, Kind::Span { zero: true, .. })
                && setting.default_toml().as_deref() == Some("\"0s\"")
            {
                assert!(
                    setting.meaning.contains("0s:"),
                    "{}.{} does not say what 0s means",
                    group.name,
                    setting.name
                );
            }
        }
    }
}
