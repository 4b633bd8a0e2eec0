//! How a snapshot lies in memory: names one behind the other, objects sorted by name.

use std::collections::BTreeMap;

use crate::{
    Snapshot, Unknown,
    builder::Drafts,
    defaults::Default as DefaultValue,
    judge::{Judged, Judgement},
    snapshot::{HiddenObject, Object, Span, Trouble},
};

/// All parts of a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    names: Names,
    schemas: Vec<Span>,
    functions: Vec<Object>,
    relations: Vec<Object>,
    troubles: Vec<Trouble>,
    hidden: Vec<HiddenObject>,
    defaults: Vec<DefaultValue>,
}

impl Layout {
    /// Lays out what was judged.
    pub(crate) fn of(drafts: &Drafts, schemas: &[String], judgement: &Judgement<'_>) -> Self {
        let mut layout = Self::default();
        layout.schemas = schemas.iter().map(|schema| layout.names.span(schema)).collect();
        layout.take_functions(drafts, judgement);
        layout.take_relations(drafts, judgement);
        layout.take_troubles(judgement);
        layout.take_defaults(drafts);
        layout.sort();
        layout
    }

    pub(crate) fn into_snapshot(
        self,
        generation: u64,
        unknown: Option<Unknown>,
        mark: String,
    ) -> Snapshot {
        Snapshot {
            generation,
            unknown,
            mark: mark.into(),
            text: self.names.text.into(),
            schemas: self.schemas.into(),
            functions: self.functions.into(),
            relations: self.relations.into(),
            troubles: self.troubles.into(),
            hidden: self.hidden.into(),
            defaults: self.defaults.into(),
        }
    }

    /// But for those of the table of built-in ones.
    fn take_functions(&mut self, drafts: &Drafts, judgement: &Judgement<'_>) {
        for (draft, judged) in drafts.functions.iter().zip(&judgement.functions) {
            let trouble = match judged {
                Judged::Known => continue,
                Judged::Harmless => None,
                Judged::Trouble(trouble) => Some(*trouble),
            };
            self.functions.push(Object {
                schema: self.names.span(&draft.schema),
                name: self.names.span(&draft.name),
                least: draft.least,
                most: draft.most,
                trouble,
            });
        }
    }

    fn take_relations(&mut self, drafts: &Drafts, judgement: &Judgement<'_>) {
        for (draft, trouble) in drafts.relations.iter().zip(&judgement.relations) {
            self.relations.push(Object {
                schema: self.names.span(&draft.schema),
                name: self.names.span(&draft.name),
                least: 0,
                most: 0,
                trouble: *trouble,
            });
        }
    }

    fn take_troubles(&mut self, judgement: &Judgement<'_>) {
        for found in &judgement.troubles {
            self.troubles.push(Trouble {
                reason: found.reason,
                schema: found.schema.map(|schema| self.names.span(schema)),
                name: self.names.span(found.name),
                next: found.next,
            });
        }
        for (kind, schema, name, trouble) in &judgement.hidden {
            self.hidden.push(HiddenObject {
                kind: *kind,
                schema: schema.map(|schema| self.names.span(schema)),
                name: self.names.span(name),
                trouble: *trouble,
            });
        }
    }

    fn take_defaults(&mut self, drafts: &Drafts) {
        for draft in &drafts.defaults {
            self.defaults.push(DefaultValue {
                setting: self.names.span(&draft.setting),
                role: draft.role.as_ref().map(|role| self.names.span(role)),
                scope: draft.scope,
                value: self.names.span(&draft.value),
            });
        }
    }

    /// Where names are the same, in the order of their schemas, so that the first reason is always the same one.
    fn sort(&mut self) {
        let names = &self.names;
        self.schemas.sort_by_key(|span| names.text(*span));
        for objects in [&mut self.functions, &mut self.relations] {
            objects.sort_by_key(|object| (names.text(object.name), names.text(object.schema)));
        }
        self.defaults.sort_by_key(|it| {
            (names.text(it.setting), it.role.map(|role| names.text(role)), it.scope)
        });
    }
}

/// Names one behind the other, each once.
#[derive(Debug, Default)]
struct Names {
    text: String,
    known: BTreeMap<Box<str>, Span>,
}

impl Names {
    fn span(&mut self, name: &str) -> Span {
        if let Some(span) = self.known.get(name) {
            return *span;
        }
        let start = self.text.len();
        self.text.push_str(name);
        // 4 GiB of names do not come: the catalog is limited.
        let place = |end: usize| u32::try_from(end).unwrap_or(u32::MAX);
        let span = Span { start: place(start), end: place(self.text.len()) };
        self.known.insert(name.into(), span);
        span
    }

    fn text(&self, span: Span) -> &str {
        span.of(&self.text)
    }
}
