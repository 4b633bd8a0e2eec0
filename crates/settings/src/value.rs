//! One setting's value on its way between text and field: its kind, its bounds, its effect.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Secret;

/// When a changed setting is felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// At once, for clients and servers that are connected as well.
    Live,
    /// For clients that log in, or servers that are connected, after the reload.
    NewConnections,
    /// Only when the program is started again.
    Restart,
}

impl Effect {
    /// The words that the documentation uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::NewConnections => "new connections",
            Self::Restart => "restart",
        }
    }
}

/// What a setting accepts. Bounds are inclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Count {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// A number with a fraction.
    Ratio {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// A time span such as `"250ms"`, `"5s"`, `"10m"`, `"1h"`.
    Span {
        /// Smallest value other than zero.
        min: Duration,
        /// Largest value.
        max: Duration,
        /// Whether `"0s"` is accepted; it then means "off" unless the setting says otherwise.
        zero: bool,
    },
    /// A time span, or `"-1"` for "off" where `"0s"` means "always".
    SpanOrOff {
        /// Largest value.
        max: Duration,
    },
    /// A size in bytes such as `"64KiB"`, `"4MiB"`, or a plain number of bytes.
    Size {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// Any text.
    Text,
    /// One of a fixed list of words.
    Word(&'static [&'static str]),
    /// A file or directory; a relative one is relative to the directory of the settings file.
    Path,
    /// A text that is never shown.
    Secret,
    /// A list of texts.
    List,
}

impl Kind {
    /// The largest time span any setting takes: longer ones are typing errors, and sums stay far from overflow.
    pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

    /// A time span of which zero means "off".
    pub(crate) const fn span() -> Self {
        Self::Span { min: Duration::from_millis(1), max: Self::LONGEST, zero: true }
    }

    /// A time span that must not be zero.
    pub(crate) const fn span_from(min: Duration) -> Self {
        Self::Span { min, max: Self::LONGEST, zero: false }
    }

    /// A whole number from `min` to `max`.
    pub(crate) const fn count(min: u64, max: u64) -> Self {
        Self::Count { min, max }
    }

    /// What is expected, in words: the end of "expected ...".
    pub fn expected(&self) -> String {
        match self {
            Self::Switch => "`true` or `false`".into(),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Ratio { min, max } => format!("a number from {min} to {max}"),
            Self::Span { .. } => "a duration such as \"250ms\", \"5s\", \"10m\" or \"1h\"".into(),
            Self::SpanOrOff { .. } => {
                "a duration such as \"250ms\" or \"5s\", or \"-1\" for off".into()
            }
            Self::Size { .. } => {
                "a size such as \"64KiB\" or \"4MiB\", or a number of bytes".into()
            }
            Self::Text | Self::Secret => "a string".into(),
            Self::Path => "a string with a path".into(),
            Self::Word(words) => one_of(words),
            Self::List => "an array of strings".into(),
        }
    }

    /// The name of the kind in the documentation.
    pub fn name(&self) -> String {
        match self {
            Self::Switch => "boolean".into(),
            Self::Count { .. } => "integer".into(),
            Self::Ratio { .. } => "number".into(),
            Self::Span { .. } | Self::SpanOrOff { .. } => "duration".into(),
            Self::Size { .. } => "size".into(),
            Self::Text => "text".into(),
            Self::Secret => "secret".into(),
            Self::Path => "path".into(),
            Self::List => "list of texts".into(),
            Self::Word(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// "`a`, `b` or `c`".
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// A setting's value, free of where it came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Not given, and there is no default.
    Unset,
    /// `true` or `false`.
    Switch(bool),
    /// A whole number.
    Count(u64),
    /// A number with a fraction.
    Ratio(f64),
    /// A time span.
    Span(Duration),
    /// "-1": switched off.
    Off,
    /// A number of bytes.
    Size(u64),
    /// Text, a word of a list, or a path.
    Text(String),
    /// A secret text.
    Secret(Secret),
    /// A list of texts.
    List(Vec<String>),
    /// A file whose content counts: its path and the content.
    File(String, Secret),
}

impl Value {
    /// The text of a text, path or word.
    pub(crate) fn into_text(self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err("expected a string".into()),
        }
    }
}

/// A type that a field of the settings can have: shown as a [`Value`], and set from one.
pub(crate) trait Field {
    /// The field's value.
    fn show(&self) -> Value;
    /// Replaces the field; the error says what is wrong with the value, without repeating a secret.
    fn put(&mut self, value: Value) -> Result<(), String>;
}

impl Field for bool {
    fn show(&self) -> Value {
        Value::Switch(*self)
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let Value::Switch(on) = value else { return Err("expected `true` or `false`".into()) };
        *self = on;
        Ok(())
    }
}

/// Whole numbers: a count, or a size in bytes where the kind says so.
macro_rules! whole {
    ($($type:ty),+) => {$(
        impl Field for $type {
            fn show(&self) -> Value {
                Value::Count(u64::try_from(*self).unwrap_or(u64::MAX))
            }

            fn put(&mut self, value: Value) -> Result<(), String> {
                let (Value::Count(number) | Value::Size(number)) = value else {
                    return Err("expected a whole number".into());
                };
                *self = Self::try_from(number).map_err(|_| format!("{number} is too large"))?;
                Ok(())
            }
        }
    )+};
}
whole!(u16, u32, usize);

impl Field for f64 {
    fn show(&self) -> Value {
        Value::Ratio(*self)
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let Value::Ratio(number) = value else { return Err("expected a number".into()) };
        *self = number;
        Ok(())
    }
}

impl Field for Duration {
    fn show(&self) -> Value {
        Value::Span(*self)
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let Value::Span(span) = value else { return Err("expected a duration".into()) };
        *self = span;
        Ok(())
    }
}

/// A time span that can be off, where zero means "always".
impl Field for Option<Duration> {
    fn show(&self) -> Value {
        self.map_or(Value::Off, Value::Span)
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        *self = match value {
            Value::Off => None,
            Value::Span(span) => Some(span),
            _ => return Err("expected a duration".into()),
        };
        Ok(())
    }
}

impl Field for String {
    fn show(&self) -> Value {
        Value::Text(self.clone())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        *self = value.into_text()?;
        Ok(())
    }
}

impl Field for Vec<String> {
    fn show(&self) -> Value {
        Value::List(self.clone())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let Value::List(texts) = value else { return Err("expected an array of strings".into()) };
        *self = texts;
        Ok(())
    }
}

/// A file or directory; the empty text is none.
impl Field for Option<PathBuf> {
    fn show(&self) -> Value {
        Value::Text(self.as_ref().map(|path| path.display().to_string()).unwrap_or_default())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let text = value.into_text()?;
        *self = (!text.is_empty()).then(|| PathBuf::from(text));
        Ok(())
    }
}

/// Settings that override another one: nothing given means that the other one holds.
macro_rules! overriding {
    ($($type:ty = $start:expr),+) => {$(
        impl Field for Option<$type> {
            fn show(&self) -> Value {
                self.as_ref().map_or(Value::Unset, Field::show)
            }

            fn put(&mut self, value: Value) -> Result<(), String> {
                let mut inner = $start;
                inner.put(value)?;
                *self = Some(inner);
                Ok(())
            }
        }
    )+};
}
overriding!(
    usize = 0,
    crate::PoolMode = crate::PoolMode::Transaction,
    crate::HiddenState = crate::HiddenState::ReadBack,
    crate::Placeholders = crate::Placeholders::Avoid,
    crate::ReadAfterWrite = crate::ReadAfterWrite::Session
);

/// A name that may be missing; the empty text is "missing".
impl Field for Option<String> {
    fn show(&self) -> Value {
        self.clone().map_or(Value::Unset, Value::Text)
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let text = value.into_text()?;
        *self = (!text.is_empty()).then_some(text);
        Ok(())
    }
}

impl Field for Option<Secret> {
    fn show(&self) -> Value {
        self.clone().map_or(Value::Unset, Value::Secret)
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let Value::Secret(secret) = value else { return Err("expected a string".into()) };
        *self = Some(secret);
        Ok(())
    }
}

impl Field for Vec<SocketAddr> {
    fn show(&self) -> Value {
        Value::List(self.iter().map(ToString::to_string).collect())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let Value::List(texts) = value else { return Err("expected an array of strings".into()) };
        *self = texts.iter().map(|text| socket_address(text)).collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// One address to listen on; the empty text is none.
impl Field for Option<SocketAddr> {
    fn show(&self) -> Value {
        Value::Text(self.map(|address| address.to_string()).unwrap_or_default())
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        let text = value.into_text()?;
        *self = if text.is_empty() { None } else { Some(socket_address(&text)?) };
        Ok(())
    }
}

/// An address and port to listen on. Names are refused: what they mean may change between two starts.
fn socket_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let hint = match text.rsplit_once(':') {
        Some(("localhost", port)) => format!("write \"127.0.0.1:{port}\" or \"[::1]:{port}\""),
        Some(("*" | "", port)) => {
            format!("write \"0.0.0.0:{port}\" or \"[::]:{port}\" for all addresses")
        }
        None if text.parse::<std::net::IpAddr>().is_ok() => "the port is missing".to_owned(),
        Some((address, port)) if address.contains(':') && port.parse::<u16>().is_ok() => {
            format!("write \"[{address}]:{port}\" if {port} is the port")
        }
        _ => "write an IP address and a port, such as \"127.0.0.1:6432\" or \"[::1]:6432\""
            .to_owned(),
    };
    Err(format!("`{text}` is not an address to listen on: {hint}"))
}
