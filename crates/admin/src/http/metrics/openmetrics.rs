//! A reader of `OpenMetrics` text for tests, as strict as the specification (`OpenMetrics` 1.0, "ABNF" and "Overall
//! Structure") about the types that are written here: counter, gauge and info.

use std::collections::{BTreeMap, BTreeSet};

/// The samples by name and labels, the labels in the order of their names.
pub(super) type Samples = BTreeMap<(String, LabelSet), f64>;

/// Names and values of labels, sorted.
pub(super) type LabelSet = Vec<(String, String)>;

/// Reads a whole exposition or says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Samples, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("does not end with # EOF")?;
    let mut reader = Reader::default();
    for (at, line) in body.split_terminator('\n').enumerate() {
        reader.line(line).map_err(|why| format!("line {}: {why}: {line}", at + 1))?;
    }
    Ok(reader.samples)
}

#[derive(Default)]
struct Reader {
    family: Family,
    seen: BTreeSet<String>,
    sample_names: BTreeMap<String, String>,
    samples: Samples,
}

/// The family whose lines are being read.
#[derive(Default)]
struct Family {
    name: String,
    kind: Option<String>,
    help: bool,
    unit: bool,
    samples: usize,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        match line.strip_prefix("# ") {
            Some(rest) => self.metadata(rest),
            None => self.sample(line),
        }
    }

    fn metadata(&mut self, line: &str) -> Result<(), String> {
        let (what, rest) = line.split_once(' ').ok_or("metadata without a name")?;
        let (name, value) = rest.split_once(' ').ok_or("metadata without a value")?;
        valid_name(name)?;
        if name != self.family.name {
            if !self.seen.insert(name.to_owned()) {
                return Err("a family is torn apart".into());
            }
            self.family = Family { name: name.to_owned(), ..Family::default() };
        }
        if self.family.samples > 0 {
            return Err("metadata behind samples".into());
        }
        let twice = match what {
            "TYPE" => {
                if !["counter", "gauge", "info"].contains(&value) {
                    return Err("unknown type".into());
                }
                self.family.kind.replace(value.to_owned()).is_some()
            }
            "UNIT" => {
                if !name.ends_with(&format!("_{value}")) {
                    return Err("the name does not end with its unit".into());
                }
                std::mem::replace(&mut self.family.unit, true)
            }
            "HELP" => {
                unescape(value, false)?;
                std::mem::replace(&mut self.family.help, true)
            }
            _ => return Err("unknown metadata".into()),
        };
        if twice { Err("metadata given twice".into()) } else { Ok(()) }
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let end = line.find(['{', ' ']).ok_or("a sample without a value")?;
        let (name, rest) = line.split_at(end);
        valid_name(name)?;
        let kind = self.family.kind.as_deref().ok_or("a sample without a type")?;
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        if *name != format!("{}{suffix}", self.family.name) {
            return Err(format!("a {kind} of the family {} is not called so", self.family.name));
        }
        let owner =
            self.sample_names.entry(name.to_owned()).or_insert_with(|| self.family.name.clone());
        if *owner != self.family.name {
            return Err(format!("the name is also that of a sample of {owner}"));
        }
        let (labels, rest) = if rest.starts_with('{') { labels(rest)? } else { (Vec::new(), rest) };
        let text = rest.strip_prefix(' ').ok_or("no space before the value")?;
        let value: f64 = text.parse().map_err(|_| "the value is no number")?;
        let fits = match kind {
            "counter" => value.is_finite() && value.is_sign_positive(),
            "info" => text == "1",
            _ => true,
        };
        if !fits {
            return Err("the value does not fit the type".into());
        }
        self.family.samples += 1;
        let double = self.samples.insert((name.to_owned(), labels), value).is_some();
        if double { Err("the same series twice".into()) } else { Ok(()) }
    }
}

/// Labels in braces, sorted, and what follows them.
fn labels(text: &str) -> Result<(LabelSet, &str), String> {
    let mut rest = text.strip_prefix('{').ok_or("no labels")?;
    let mut found = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid || name.starts_with("__") {
            return Err(format!("{name:?} is no name of a label"));
        }
        let end = closing_quote(after).ok_or("a value without an end")?;
        let (value, after) = after.split_at(end);
        let value = unescape(value, true)?;
        if found.insert(name.to_owned(), value).is_some() {
            return Err("a label given twice".into());
        }
        rest = after.strip_prefix('"').ok_or("a value without an end")?;
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((found.into_iter().collect(), after));
        }
        rest = rest.strip_prefix(',').ok_or("labels are not separated")?;
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}

fn unescape(text: &str, quoted: bool) -> Result<String, String> {
    let mut characters = text.chars();
    let mut found = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\\' => found.push(match characters.next() {
                Some('n') => '\n',
                Some('\\') => '\\',
                Some('"') if quoted => '"',
                other => return Err(format!("unknown escape {other:?}")),
            }),
            other => found.push(other),
        }
    }
    Ok(found)
}

fn valid_name(name: &str) -> Result<(), String> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let valid = name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit());
    if valid { Ok(()) } else { Err(format!("{name:?} is no name")) }
}

#[test]
fn the_reader_refuses_what_the_specification_forbids() {
    let good = "# TYPE a counter\n# HELP a x\na_total{l=\"\\\"\"} 1\na_total{l=\"y\"} 2\n# EOF\n";
    assert_eq!(parse(good).unwrap().len(), 2);
    for (bad, why) in [
        ("# TYPE a counter\na_total 1\n", "EOF"),
        ("# TYPE a counter\na 1\n# EOF\n", "not called so"),
        ("a 1\n# EOF\n", "without a type"),
        ("# TYPE a gauge\na 1\na 2\n# EOF\n", "twice"),
        ("# TYPE a gauge\na 1\n# HELP a x\n# EOF\n", "behind samples"),
        ("# TYPE a gauge\n# TYPE b gauge\n# TYPE a gauge\n# EOF\n", "torn apart"),
        ("# TYPE a counter\na_total -1\n# EOF\n", "does not fit"),
        ("# TYPE a gauge\n# UNIT a seconds\n# EOF\n", "unit"),
        ("# TYPE a gauge\na{l=\"x\",l=\"y\"} 1\n# EOF\n", "given twice"),
        ("# TYPE a gauge\na{l=\"\\t\"} 1\n# EOF\n", "escape"),
        ("# TYPE a counter\na_total 1\n# TYPE a_total gauge\na_total 1\n# EOF\n", "also that of"),
        ("# TYPE a gauge\n\n# EOF\n", "without a value"),
    ] {
        let found = parse(bad).unwrap_err();
        assert!(found.contains(why), "{bad:?}: {found}");
    }
}
