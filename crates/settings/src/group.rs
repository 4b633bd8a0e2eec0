//! A group of settings (`[pool]`, `[[node]]`, ...): one declaration gives the struct, its defaults,
//! and the table from which decoding, documentation, schema and the reload diff are made.

use crate::value::{Effect, Kind, Value};

/// One setting of the group `T`.
pub(crate) struct Setting<T: 'static> {
    /// Its key in the settings file, and the field's name.
    pub(crate) name: &'static str,
    /// What it means, in lines of a doc comment.
    pub(crate) meaning: &'static [&'static str],
    /// What it accepts.
    pub(crate) kind: Kind,
    /// When a change is felt.
    pub(crate) effect: Effect,
    /// A value other than the default, as it is written in TOML.
    pub(crate) example: &'static str,
    /// Reads the field.
    pub(crate) show: fn(&T) -> Value,
    /// Writes the field.
    pub(crate) put: fn(&mut T, Value) -> Result<(), String>,
}

/// A struct that is one group of settings.
pub(crate) trait Group: Default + 'static {
    /// Its name in the settings file.
    const NAME: &'static str;
    /// What the group is for, in lines of a doc comment.
    const ABOUT: &'static [&'static str];
    /// Its settings, in the order of the documentation.
    const SETTINGS: &'static [Setting<Self>];
}

/// Declares a group: `name: type = default => kind, effect, example;` under the doc comment that is its meaning.
macro_rules! group {
    (
        $(#[doc = $about:literal])+
        pub struct $group:ident in $name:literal {
            $( $(#[doc = $doc:literal])+
               pub $field:ident: $type:ty = $default:expr => $kind:expr, $effect:ident, $example:literal; )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $group {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl Default for $group {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        impl $crate::group::Group for $group {
            const NAME: &'static str = $name;
            const ABOUT: &'static [&'static str] = &[$($about),+];
            const SETTINGS: &'static [$crate::group::Setting<Self>] = &[
                $( $crate::group::Setting {
                    name: stringify!($field),
                    meaning: &[$($doc),+],
                    kind: $kind,
                    effect: $crate::value::Effect::$effect,
                    example: $example,
                    show: |group| $crate::value::Field::show(&group.$field),
                    put: |group, value| $crate::value::Field::put(&mut group.$field, value),
                }, )+
            ];
        }
    };
}

pub(crate) use group;
