//! `DateStyle`, the one setting of which a `SET` may give a half and leave the other as it was: the style, or the order
//! of year, month and day.

use trunkline_sql::Value;

/// As the server knows it, in lower case.
pub(crate) const NAME: &[u8] = b"datestyle";

/// What is known of it; a half that is not is the session's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Halves {
    style: Option<&'static str>,
    order: Option<&'static str>,
}

/// What a `SET` to `value` comes to behind one to `before`, if `value` alone does not say it.
pub(crate) fn completed(before: &Value, value: &Value) -> Option<Value> {
    let alone = Halves::default().after(value)?;
    let whole = Halves::default().after(before)?.after(value)?;
    let words: Vec<_> = whole.style.into_iter().chain(whole.order).collect();
    (whole != alone).then(|| Value::Literal(words.join(", ").into_bytes().into()))
}

impl Halves {
    /// As `check_datestyle` of PostgreSQL's `variable.c` goes through the words. None if there is one that it does not
    /// know.
    fn after(self, value: &Value) -> Option<Self> {
        let Self { mut style, mut order } = self;
        let (mut says_style, mut says_order) = (false, false);
        let words = value.as_bytes().split(|byte| !byte.is_ascii_alphanumeric());
        for word in words.filter(|word| !word.is_empty()) {
            match word.to_ascii_lowercase().as_slice() {
                b"default" => {
                    style = style.filter(|_| says_style);
                    order = order.filter(|_| says_order);
                }
                b"german" => {
                    (style, says_style) = (Some("German"), true);
                    order = if says_order { order } else { Some("DMY") };
                }
                b"iso" => (style, says_style) = (Some("ISO"), true),
                b"sql" => (style, says_style) = (Some("SQL"), true),
                b"ymd" => (order, says_order) = (Some("YMD"), true),
                b"dmy" => (order, says_order) = (Some("DMY"), true),
                b"mdy" | b"us" => (order, says_order) = (Some("MDY"), true),
                word if word.starts_with(b"postgres") => {
                    (style, says_style) = (Some("Postgres"), true);
                }
                word if word.starts_with(b"euro") => (order, says_order) = (Some("DMY"), true),
                word if word.starts_with(b"noneuro") => (order, says_order) = (Some("MDY"), true),
                _ => return None,
            }
        }
        Some(Self { style, order })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Value {
        Value::Written(text.as_bytes().into())
    }

    /// What comes of one `SET` after the other, told as it is set anew; nothing if the last says it all.
    fn of(values: &[&str]) -> Option<String> {
        let (first, rest) = values.split_first().unwrap();
        let mut now = (written(first), None);
        for value in rest {
            let value = written(value);
            let completed = completed(&now.0, &value);
            now = (completed.clone().unwrap_or(value), completed);
        }
        now.1.map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn a_half_that_is_not_given_stays_as_it_was() {
        for (values, expected) in [
            (["german", "sql"], Some("SQL, DMY")),
            (["'YMD'", "'German'"], None),
            (["sql, european", "'mdy'"], Some("SQL, MDY")),
            (["PostgreSQL", "US"], Some("Postgres, MDY")),
            (["'SQL'", "'ISO'"], None),
            (["'SQL, DMY'", "'ISO, MDY'"], None),
            (["'SQL, DMY'", "default"], None),
            (["'SQL, DMY'", "iso, default"], None),
            (["'YMD'", "'German, default'"], None),
            (["'SQL, YMD'", "'default', german"], None),
            (["noneuropean", "'iso'"], Some("ISO, MDY")),
            (["'DMY'", "E'IS\\x4f'"], None),
        ] {
            assert_eq!(of(&values).as_deref(), expected, "{values:?}");
        }
        assert_eq!(of(&["german", "sql", "iso", "ymd"]).as_deref(), Some("ISO, YMD"));
    }
}
