//! A scan as text, for the expectations of the tests.

use trunkline_sql::{
    Deallocate, Discard, Effect, Modes, Parameter, Pin, PinKind, Scan, Span, Value,
};

/// One line for each statement: its keyword, then its effects.
pub(crate) fn scan(text: &str, scan: &Scan) -> String {
    let line = |statement: usize| {
        let effects: Vec<_> = scan
            .effects()
            .iter()
            .filter(|found| found.statement == statement)
            .map(|found| effect(text, &found.effect))
            .collect();
        format!("{} {}", scan.keyword(statement).as_str(), effects.join(" | "))
            .trim_end()
            .to_owned()
    };
    (0..scan.statements()).map(line).collect::<Vec<_>>().join("\n")
}

fn effect(text: &str, effect: &Effect) -> String {
    let at = |span: &Span| text.get(span.start..span.end).unwrap_or("?").to_owned();
    match effect {
        Effect::Begin(modes) => format!("begin{}", self::modes(*modes)),
        Effect::SetTransaction(modes) => format!("set transaction{}", self::modes(*modes)),
        Effect::Commit { chain } => format!("commit{}", flag(*chain, " and chain")),
        Effect::Rollback { chain } => format!("rollback{}", flag(*chain, " and chain")),
        Effect::Savepoint(name) => format!("savepoint {name}"),
        Effect::RollbackTo(name) => format!("rollback to {name}"),
        Effect::Release(name) => format!("release {name}"),
        Effect::Set { parameter, value, local } => {
            format!(
                "set {}{} = {}",
                flag(*local, "local "),
                self::parameter(parameter),
                self::value(value)
            )
        }
        Effect::SetComputed { parameter, local, argument } => {
            let name = parameter.as_ref().map_or_else(|| "?".to_owned(), self::parameter);
            let value = argument.map_or(String::new(), |number| format!(" = ${number}"));
            format!("computed {}{name}{value}", flag(*local, "local "))
        }
        Effect::Reset { parameter, local } => {
            format!("reset {}{}", flag(*local, "local "), self::parameter(parameter))
        }
        Effect::ResetAll => "reset all".to_owned(),
        Effect::Discard(Discard::All) => "discard all".to_owned(),
        Effect::Discard(Discard::Plans) => "discard plans".to_owned(),
        Effect::Discard(Discard::Sequences) => "discard sequences".to_owned(),
        Effect::Discard(Discard::Temp) => "discard temp".to_owned(),
        Effect::Prepare(prepare) => {
            let types =
                prepare.types_at.as_ref().map_or(String::new(), |span| format!(" ({})", at(span)));
            let body = at(&prepare.body_at);
            format!("prepare {} at [{}]{types} as [{body}]", prepare.name, at(&prepare.name_at))
        }
        Effect::Execute(execute) => {
            let planned = flag(execute.planned_only, "plan ");
            let shown = |argument: &Option<Value>| match argument {
                Some(known) => value(known),
                None => "?".to_owned(),
            };
            let arguments = execute.arguments.iter().map(shown).collect::<Vec<_>>().join(", ");
            let arguments =
                if arguments.is_empty() { arguments } else { format!(" ({arguments})") };
            format!("{planned}execute {} at [{}]{arguments}", execute.name, at(&execute.name_at))
        }
        Effect::Deallocate(Deallocate::All) => "deallocate all".to_owned(),
        Effect::Deallocate(Deallocate::Name { name, name_at }) => {
            format!("deallocate {name} at [{}]", at(name_at))
        }
        Effect::Listen(name) => format!("listen {name}"),
        Effect::Unlisten(name) => format!("unlisten {name}"),
        Effect::UnlistenAll => "unlisten all".to_owned(),
        Effect::Pin(pin) => format!("pin {}", self::pin(pin)),
        Effect::Unpin(kind) => format!("unpin {}", kind.as_str()),
        Effect::CloseCursor(name) => format!("close {name}"),
        Effect::CloseAllCursors => "close all".to_owned(),
        Effect::Opaque(why) => format!("opaque {why:?}"),
        other => format!("{other:?}"),
    }
}

fn flag(is: bool, text: &str) -> &str {
    if is { text } else { "" }
}

fn modes(modes: Modes) -> String {
    let isolation = modes.isolation.map_or("", |level| level.as_str());
    let access = modes.read_only.map_or("", |only| if only { "read only" } else { "read write" });
    let deferrable =
        modes.deferrable.map_or("", |yes| if yes { "deferrable" } else { "not deferrable" });
    let mut text = String::new();
    for mode in [isolation, access, deferrable].iter().filter(|mode| !mode.is_empty()) {
        text.push(' ');
        text.push_str(mode);
    }
    text
}

fn parameter(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Role => "ROLE".to_owned(),
        Parameter::SessionAuthorization => "SESSION AUTHORIZATION".to_owned(),
        Parameter::Ordinary(name) => name.to_string(),
    }
}

fn value(value: &Value) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    match value {
        Value::Written(_) => format!("[{text}]"),
        Value::TimeZone(_) => format!("time zone [{text}]"),
        Value::Literal(_) => format!("literal [{text}]"),
    }
}

fn pin(pin: &Pin) -> String {
    match pin {
        Pin::TempObject { on_commit_drop: true } => "temporary object on commit drop".to_owned(),
        Pin::HoldCursor(name) => format!("{} {name}", PinKind::HoldCursor.as_str()),
        other => other.kind().as_str().to_owned(),
    }
}
