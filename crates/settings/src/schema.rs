//! The settings file as a JSON Schema, for editors (taplo, VS Code) and other tools.

use serde_json::{Map, Value as Json, json};

use crate::catalogue::{Form, GroupInfo, SettingInfo, catalogue};
use crate::value::{Kind, Value};

/// A time span: whole numbers with units.
const SPAN: &str = "^(0|([0-9]+ *(us|ms|s|m|min|h|d))+)$";
/// A time span, or off.
const SPAN_OR_OFF: &str = "^(-1|0|([0-9]+ *(us|ms|s|m|min|h|d))+)$";
/// A size with a unit, or digits alone.
const SIZE: &str = "^[0-9]+ *(B|KiB|MiB|GiB)?$";

/// The JSON Schema (draft 2020-12) of the settings file. Each setting carries, beside the usual keywords, `x-effect`:
/// when a change of it is felt.
pub fn json_schema() -> String {
    let mut properties = Map::new();
    for group in catalogue() {
        properties.insert(group.name.to_owned(), group_schema(&group));
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Trunkline settings",
        "type": "object",
        "additionalProperties": false,
        "required": ["node"],
        "properties": properties,
    });
    format!("{schema:#}\n")
}

fn group_schema(group: &GroupInfo) -> Json {
    let properties: Map<String, Json> = group
        .settings
        .iter()
        .map(|setting| (setting.name.to_owned(), setting_schema(setting)))
        .collect();
    let table =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let mut schema = match group.form {
        Form::Single => table,
        Form::Repeated => json!({ "type": "array", "minItems": 1, "items": table }),
        Form::Named => json!({ "type": "object", "additionalProperties": table }),
    };
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".to_owned(), Json::from(group.about.as_str()));
    }
    schema
}

fn setting_schema(setting: &SettingInfo) -> Json {
    let mut schema = match &setting.kind {
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Ratio { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Kind::Span { .. } => json!({ "type": "string", "pattern": SPAN }),
        Kind::SpanOrOff { .. } => json!({ "type": "string", "pattern": SPAN_OR_OFF }),
        Kind::Size { min, max } => json!({
            "anyOf": [
                { "type": "integer", "minimum": min, "maximum": max },
                { "type": "string", "pattern": SIZE },
            ]
        }),
        Kind::Text | Kind::Path | Kind::Secret => json!({ "type": "string" }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
        Kind::List => json!({ "type": "array", "items": { "type": "string" } }),
    };
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".to_owned(), Json::from(setting.meaning.as_str()));
        fields.insert("x-effect".to_owned(), Json::from(setting.effect.as_str()));
        if let Some(default) = default(setting) {
            fields.insert("default".to_owned(), default);
        }
    }
    schema
}

/// The default as JSON, which for every kind reads like its TOML.
fn default(setting: &SettingInfo) -> Option<Json> {
    match &setting.default {
        Value::Unset | Value::Secret(_) => None,
        Value::Switch(on) => Some(Json::from(*on)),
        Value::Ratio(number) => Some(Json::from(*number)),
        Value::List(texts) => Some(Json::from(texts.clone())),
        Value::Text(text) => Some(Json::from(text.as_str())),
        _ => serde_json::from_str(&setting.default_toml()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::literal::{parse_size, parse_span};

    #[test]
    fn the_patterns_accept_what_is_read() {
        let (span, size) = (Regex::new(SPAN).unwrap(), Regex::new(SIZE).unwrap());
        for text in ["0", "0s", "5s", "1h30m", "10min", "5", "", "5x", "-1", "1.5s", "5 s"] {
            assert_eq!(span.is_match(text), parse_span(text).is_ok(), "{text}");
        }
        for text in ["0", "17", "64KiB", "4 MiB", "1GiB", "5B", "64kB", "", "KiB", "1.5MiB"] {
            assert_eq!(size.is_match(text), parse_size(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_default_fits_its_own_schema() {
        let schema: Json = serde_json::from_str(&json_schema()).unwrap();
        let mut seen = 0;
        for group in catalogue() {
            let groups = &schema["properties"][group.name];
            let table = match group.form {
                Form::Single => groups,
                Form::Repeated => &groups["items"],
                Form::Named => &groups["additionalProperties"],
            };
            for setting in &group.settings {
                let schema = &table["properties"][setting.name];
                assert!(schema["description"].is_string(), "{}", setting.name);
                let Some(default) = schema.get("default") else { continue };
                seen += 1;
                match schema["type"].as_str() {
                    Some("boolean") => assert!(default.is_boolean(), "{}", setting.name),
                    Some("integer") => assert!(default.is_u64(), "{}", setting.name),
                    Some("number") => assert!(default.is_f64(), "{}", setting.name),
                    Some("array") => assert!(default.is_array(), "{}", setting.name),
                    _ => assert!(default.is_string(), "{}", setting.name),
                }
            }
        }
        assert!(seen > 60, "{seen}");
    }
}
