//! One typed value out of what was written for a setting.

use std::time::Duration;

use crate::Secret;
use crate::diagnostic::did_you_mean;
use crate::literal::{parse_size, parse_span, show_span, to_toml};
use crate::tree::{Origin, Tree, parse_value};
use crate::value::{Kind, Value, one_of};

/// What is wrong with a value, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl From<String> for Mistake {
    fn from(message: String) -> Self {
        Self { message, help: None }
    }
}

/// The value as a file would have it, also if it comes from a variable.
pub(crate) fn dressed(kind: &Kind, tree: Tree, origin: &Origin) -> Result<Tree, Mistake> {
    match tree {
        Tree::Bare(text) => dress(kind, text, origin),
        tree => Ok(tree),
    }
}

/// Reads a value of this kind. No message repeats a secret.
pub(crate) fn read(kind: &Kind, tree: Tree) -> Result<Value, Mistake> {
    match (kind, tree) {
        (Kind::Switch, Tree::Boolean(on)) => Ok(Value::Switch(on)),
        (Kind::Count { min, max }, Tree::Integer(number)) => count(number, *min, *max),
        (Kind::Ratio { min, max }, Tree::Float(number)) => ratio(number, *min, *max),
        (Kind::Ratio { min, max }, Tree::Integer(Some(number))) => {
            let number = i32::try_from(number).map_or(f64::INFINITY, f64::from);
            ratio(number, *min, *max)
        }
        (Kind::Span { min, max, zero }, Tree::Text(text)) => span(&text, *min, *max, *zero),
        (Kind::SpanOrOff { .. }, Tree::Text(text)) if text == "-1" => Ok(Value::Off),
        (Kind::SpanOrOff { max }, Tree::Text(text)) => span(&text, Duration::ZERO, *max, true),
        (Kind::Size { min, max }, Tree::Text(text)) => size(parse_size(&text)?, *min, *max),
        (Kind::Size { min, max }, Tree::Integer(Some(number))) if number >= 0 => {
            size(number.unsigned_abs(), *min, *max)
        }
        (Kind::Word(words), Tree::Text(text)) => word(text, words),
        (Kind::Text | Kind::Path, Tree::Text(text)) => plain(text).map(Value::Text),
        (Kind::Secret, Tree::Text(text)) => {
            plain(text).map(|text| Value::Secret(Secret::new(text)))
        }
        (Kind::List, Tree::Array(items)) => list(&items),
        (kind, tree) => Err(wrong_type(kind, &tree)),
    }
}

/// Whether a value is of the type that this kind is written in.
pub(crate) fn fits(kind: &Kind, tree: &Tree) -> bool {
    match (kind, tree) {
        (Kind::Switch, Tree::Boolean(_))
        | (Kind::Count { .. } | Kind::Ratio { .. } | Kind::Size { .. }, Tree::Integer(_))
        | (Kind::Ratio { .. }, Tree::Float(_))
        | (
            Kind::Span { .. }
            | Kind::SpanOrOff { .. }
            | Kind::Size { .. }
            | Kind::Text
            | Kind::Word(_)
            | Kind::Path
            | Kind::Secret,
            Tree::Text(_),
        ) => true,
        (Kind::List, Tree::Array(items)) => {
            items.iter().all(|item| matches!(item.tree, Tree::Text(_)))
        }
        _ => false,
    }
}

/// The longest text a setting takes, in bytes: longer than any sensible query or path.
const MAX_TEXT: usize = 16 << 10;

/// Text that can be passed on to servers and the system: not too long, and without NUL.
fn plain(text: String) -> Result<String, Mistake> {
    if text.len() > MAX_TEXT {
        return Err(format!("the text is longer than {} KiB", MAX_TEXT >> 10).into());
    }
    if text.contains('\0') {
        return Err("the text contains a NUL character".to_owned().into());
    }
    Ok(text)
}

fn wrong_type(kind: &Kind, tree: &Tree) -> Mistake {
    let help = match (kind, tree) {
        (Kind::Span { .. } | Kind::SpanOrOff { .. }, Tree::Integer(Some(number)))
            if *number >= 0 =>
        {
            Some(format!("write \"{number}s\" for seconds or \"{number}ms\" for milliseconds"))
        }
        (Kind::Count { .. } | Kind::Ratio { .. }, Tree::Text(text))
            if text.parse::<f64>().is_ok() =>
        {
            Some("write the number without quotes".to_owned())
        }
        (Kind::Switch, Tree::Text(text)) if matches!(text.as_str(), "true" | "false") => {
            Some(format!("write {text} without quotes"))
        }
        (Kind::Word(words), Tree::Boolean(_)) if words.contains(&"disable") => {
            Some("write \"disable\" for off".to_owned())
        }
        (Kind::List, Tree::Text(text)) => {
            Some(format!("write {}", to_toml(kind, &Value::List(vec![text.clone()]))))
        }
        _ => None,
    };
    Mistake { message: format!("expected {}, found {}", kind.expected(), tree.type_name()), help }
}

fn count(number: Option<i64>, min: u64, max: u64) -> Result<Value, Mistake> {
    match number.and_then(|number| u64::try_from(number).ok()) {
        Some(count) if (min..=max).contains(&count) => Ok(Value::Count(count)),
        _ => {
            let found = number.map(|number| format!(", not {number}")).unwrap_or_default();
            Err(format!("the value must be from {min} to {max}{found}").into())
        }
    }
}

fn ratio(number: f64, min: f64, max: f64) -> Result<Value, Mistake> {
    if (min..=max).contains(&number) {
        Ok(Value::Ratio(number))
    } else {
        Err(format!("the value must be from {min} to {max}").into())
    }
}

fn span(text: &str, min: Duration, max: Duration, zero: bool) -> Result<Value, Mistake> {
    let span = parse_span(text)?;
    let off = zero && span.is_zero();
    if off || (min..=max).contains(&span) {
        return Ok(Value::Span(span));
    }
    let or_zero = if zero { ", or \"0s\"" } else { "" };
    Err(format!("the duration must be from {} to {}{or_zero}", show_span(min), show_span(max))
        .into())
}

fn size(bytes: u64, min: u64, max: u64) -> Result<Value, Mistake> {
    if (min..=max).contains(&bytes) {
        return Ok(Value::Size(bytes));
    }
    let kind = Kind::Size { min, max };
    let (min, max) = (to_toml(&kind, &Value::Size(min)), to_toml(&kind, &Value::Size(max)));
    Err(format!("the size must be from {min} to {max}").into())
}

fn word(text: String, words: &'static [&'static str]) -> Result<Value, Mistake> {
    if words.contains(&text.as_str()) {
        return Ok(Value::Text(text));
    }
    let help =
        did_you_mean(&text, words.iter().copied()).map(|near| format!("did you mean \"{near}\"?"));
    let shown: String =
        text.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    Err(Mistake {
        message: format!("`{shown}` is not a choice here: expected {}", one_of(words)),
        help,
    })
}

fn list(items: &[crate::tree::Item]) -> Result<Value, Mistake> {
    let texts: Result<_, _> = items.iter().map(|item| element(&item.tree)).collect();
    texts.map(Value::List)
}

/// One text of a list.
pub(crate) fn element(tree: &Tree) -> Result<String, Mistake> {
    match tree {
        Tree::Text(text) => plain(text.clone()),
        other => Err(format!("expected a string, found {}", other.type_name()).into()),
    }
}

/// Reads the bare text of an environment variable as the type that the kind is written in.
fn dress(kind: &Kind, text: String, origin: &Origin) -> Result<Tree, Mistake> {
    let trimmed = text.trim();
    let tree = match kind {
        Kind::Switch => match trimmed {
            "true" => Some(Tree::Boolean(true)),
            "false" => Some(Tree::Boolean(false)),
            _ => None,
        },
        Kind::Count { .. } => trimmed.parse().ok().map(|number| Tree::Integer(Some(number))),
        Kind::Ratio { .. } => trimmed.parse().ok().map(Tree::Float),
        Kind::List if trimmed.starts_with('[') => {
            parse_value(trimmed, origin).filter(|tree| matches!(tree, Tree::Array(_)))
        }
        Kind::List => {
            let texts = trimmed.split(',').map(str::trim).filter(|text| !text.is_empty());
            Some(Tree::Array(texts.map(|text| string_item(text, origin)).collect()))
        }
        Kind::Secret => return Ok(Tree::Text(text)),
        Kind::Span { .. }
        | Kind::SpanOrOff { .. }
        | Kind::Size { .. }
        | Kind::Text
        | Kind::Word(_)
        | Kind::Path => {
            let quoted = trimmed.starts_with('"').then(|| parse_value(trimmed, origin)).flatten();
            match quoted {
                Some(Tree::Text(inner)) => Some(Tree::Text(inner)),
                _ => return Ok(Tree::Text(text)),
            }
        }
    };
    tree.ok_or_else(|| format!("expected {}", kind.expected()).into())
}

fn string_item(text: &str, origin: &Origin) -> crate::tree::Item {
    crate::tree::Item {
        key: origin.clone(),
        value: origin.clone(),
        tree: Tree::Text(text.to_owned()),
    }
}
