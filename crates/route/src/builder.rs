//! From the rows of a catalog to a snapshot.

use std::collections::BTreeMap;

use crate::{
    HiddenKind, Row, Snapshot, Unknown,
    defaults::DefaultDraft,
    draft::{Flaw, FunctionDraft, HiddenDraft, RelationDraft, Use, number, uses},
    judge,
    layout::Layout,
};

/// The longest row that an error shows, in characters.
const SHOWN_MAX: usize = 200;

/// What has been told of a database so far.
#[derive(Debug, Default)]
pub struct Builder {
    generation: u64,
    unknown: Option<Unknown>,
    mark: String,
    schemas: Vec<String>,
    pub(crate) drafts: Drafts,
}

/// All objects, in the order in which they were told.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    pub(crate) functions: Vec<FunctionDraft>,
    pub(crate) relations: Vec<RelationDraft>,
    pub(crate) hidden: Vec<HiddenDraft>,
    /// What functions call and read.
    pub(crate) function_uses: BTreeMap<u32, Vec<Use>>,
    /// What views do.
    pub(crate) view_uses: BTreeMap<u32, Vec<Use>>,
    /// What the row security of tables does.
    pub(crate) policy_uses: BTreeMap<u32, Vec<Use>>,
    pub(crate) domain_uses: BTreeMap<u32, Vec<Use>>,
    /// Tables with one that is a part of them, as far as that is one without rows on a standby.
    pub(crate) children: Vec<(u32, u32)>,
    /// What settings are in a new session.
    pub(crate) defaults: Vec<DefaultDraft>,
}

impl Builder {
    /// Nothing has been told yet.
    pub fn new(generation: u64) -> Self {
        Self { generation, ..Self::default() }
    }

    /// Takes a row. If it is not understood, or says that there is too much, nothing will be known.
    pub fn row(&mut self, row: &Row<'_>) {
        if self.unknown.is_none() && self.take(row).is_err() {
            let shown: String = format!("{row:?}").chars().take(SHOWN_MAX).collect();
            self.unknown = Some(Unknown::Malformed(shown.into()));
        }
    }

    fn take(&mut self, row: &Row<'_>) -> Result<(), Flaw> {
        let drafts = &mut self.drafts;
        match row.kind {
            "mark" => row.detail.ok_or(Flaw)?.clone_into(&mut self.mark),
            "excess" => self.unknown = Some(Unknown::TooMuch(row.detail.ok_or(Flaw)?.into())),
            "schema" => self.schemas.push(row.schema.ok_or(Flaw)?.to_owned()),
            "function" => drafts.functions.push(FunctionDraft::of(row)?),
            "relation" => drafts.relations.push(RelationDraft::of(row)?),
            "function uses" => add(&mut drafts.function_uses, row)?,
            "relation uses" => add(&mut drafts.view_uses, row)?,
            "policy uses" => add(&mut drafts.policy_uses, row)?,
            "domain uses" => add(&mut drafts.domain_uses, row)?,
            "child" => drafts.children.push((number(row.number)?, number(row.detail)?)),
            "default" => drafts.defaults.push(DefaultDraft::of(row)?),
            "operator" => drafts.hidden.push(HiddenDraft::of(row, HiddenKind::Operator)?),
            "cast" => drafts.hidden.push(HiddenDraft::of(row, HiddenKind::Cast)?),
            "domain" => drafts.hidden.push(HiddenDraft::of(row, HiddenKind::Domain)?),
            _ => return Err(Flaw),
        }
        Ok(())
    }

    /// Judges what was told. An answer without its mark was none.
    pub fn finish(mut self) -> Snapshot {
        if self.mark.is_empty() && self.unknown.is_none() {
            self.unknown = Some(Unknown::NotRead);
        }
        if self.unknown.is_some() {
            (self.drafts, self.schemas) = (Drafts::default(), Vec::new());
        }
        let judgement = judge::judge(&self.drafts);
        let layout = Layout::of(&self.drafts, &self.schemas, &judgement);
        layout.into_snapshot(self.generation, self.unknown, self.mark)
    }
}

/// Adds what an object uses to what is known of that.
fn add(all: &mut BTreeMap<u32, Vec<Use>>, row: &Row<'_>) -> Result<(), Flaw> {
    all.entry(number(row.number)?).or_default().extend(uses(row.detail)?);
    Ok(())
}
