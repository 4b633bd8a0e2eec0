//! Every setting there is, as data: what the reference, the sample file, the schema and tests are made from.

use std::collections::BTreeMap;

use crate::Settings;
use crate::group::Group;
use crate::groups::{Visitor, visit};
use crate::literal::to_toml;
use crate::value::{Effect, Kind, Value};

/// How often a group of settings occurs in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Once: `[pool]`.
    Single,
    /// Any number of times: `[[node]]`.
    Repeated,
    /// Once for each name: `[databases.shop]`.
    Named,
}

/// A group of settings.
#[derive(Clone, Debug)]
pub struct GroupInfo {
    /// Its name.
    pub name: &'static str,
    /// How often it occurs.
    pub form: Form,
    /// What it is for: one paragraph.
    pub about: String,
    /// Its settings, in the order of the documentation.
    pub settings: Vec<SettingInfo>,
}

/// One setting.
#[derive(Clone, Debug)]
pub struct SettingInfo {
    /// Its key.
    pub name: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// When a change is felt.
    pub effect: Effect,
    /// What it means: one paragraph.
    pub meaning: String,
    /// Its default; [`Value::Unset`] if it has none.
    pub default: Value,
    /// Another value than the default, as TOML.
    pub example: &'static str,
}

impl SettingInfo {
    /// The default as TOML; `None` if there is none.
    pub fn default_toml(&self) -> Option<String> {
        (self.default != Value::Unset).then(|| to_toml(&self.kind, &self.default))
    }
}

/// Every group with every setting.
pub fn catalogue() -> Vec<GroupInfo> {
    let mut collector = Collector(Vec::new());
    visit(&mut collector);
    collector.0
}

struct Collector(Vec<GroupInfo>);

impl Collector {
    fn add<T: Group>(&mut self, form: Form) {
        let start = T::default();
        let settings = T::SETTINGS.iter().map(|setting| SettingInfo {
            name: setting.name,
            kind: setting.kind,
            effect: setting.effect,
            meaning: paragraph(setting.meaning),
            default: (setting.show)(&start),
            example: setting.example,
        });
        self.0.push(GroupInfo {
            name: T::NAME,
            form,
            about: paragraph(T::ABOUT),
            settings: settings.collect(),
        });
    }
}

impl Visitor for Collector {
    fn single<T: Group>(
        &mut self,
        _read: fn(&Settings) -> &T,
        _write: fn(&mut Settings) -> &mut T,
    ) {
        self.add::<T>(Form::Single);
    }

    fn repeated<T: Group + Clone + PartialEq>(
        &mut self,
        _read: fn(&Settings) -> &Vec<T>,
        _write: fn(&mut Settings) -> &mut Vec<T>,
        _name: fn(&T) -> &str,
    ) {
        self.add::<T>(Form::Repeated);
    }

    fn named<T: Group>(
        &mut self,
        _read: fn(&Settings) -> &BTreeMap<String, T>,
        _write: fn(&mut Settings) -> &mut BTreeMap<String, T>,
    ) {
        self.add::<T>(Form::Named);
    }
}

/// The lines of a doc comment as one paragraph.
fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
