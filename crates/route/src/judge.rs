//! Which functions and relations of a catalog are harmless.
//!
//! Each is looked at by itself, then what it calls and reads is followed: whatever uses something that is not harmless is not
//! harmless either, through any depth. Views, row security, defaults, aggregates and bodies in the form of the SQL standard
//! say by numbers what they use. Of a body that is a text only words are known: it uses every function of a name that stands
//! before a parenthesis in it, and every relation of a name that stands anywhere.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    HiddenKind, Reason,
    body::{self, Word},
    builder::Drafts,
    builtin::{self, Class, SystemView},
    draft::{FunctionDraft, RelationDraft, RelationKind, Use, Volatility},
    snapshot::TroubleId,
};

/// Numbers below this one are PostgreSQL's own (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;

/// From this one on they differ from server to server (`FirstGenbkiObjectId`).
const FIRST_INITDB_OID: u32 = 10_000;

const SYSTEM: &str = "pg_catalog";

/// What became of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It is in the table of built-in ones.
    Known,
    Harmless,
    Trouble(TroubleId),
}

/// What is the matter with an object.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) reason: Reason,
    pub(crate) schema: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) next: Option<TroubleId>,
}

/// All verdicts.
#[derive(Debug, Default)]
pub(crate) struct Judgement<'a> {
    pub(crate) troubles: Vec<Found<'a>>,
    /// Of each function, in order.
    pub(crate) functions: Vec<Judged>,
    /// Of each relation, in order.
    pub(crate) relations: Vec<Option<TroubleId>>,
    pub(crate) hidden: Vec<(HiddenKind, Option<&'a str>, &'a str, TroubleId)>,
}

/// A function or a relation by its place: functions come first.
type Node = usize;

/// What something uses.
enum Target<'a> {
    Harmless,
    Node(Node),
    Trouble(Reason, Option<&'a str>, &'a str),
}

struct Judge<'a> {
    drafts: &'a Drafts,
    function_oids: BTreeMap<u32, Node>,
    relation_oids: BTreeMap<u32, Node>,
    function_names: BTreeMap<&'a str, Vec<Node>>,
    relation_names: BTreeMap<&'a str, Vec<Node>>,
    /// The troubles of what is in no draft, by schema and name.
    outer: BTreeMap<(Option<&'a str>, &'a str), TroubleId>,
    troubles: Vec<Found<'a>>,
    of_node: Vec<Option<TroubleId>>,
    /// Who uses it, and what is the matter with who does if something is with it; nothing: the same.
    users: Vec<Vec<(Node, Option<Reason>)>>,
    /// Those whose users have not been looked at.
    fresh: VecDeque<Node>,
}

/// Judges all objects.
pub(crate) fn judge(drafts: &Drafts) -> Judgement<'_> {
    let mut judge = Judge::new(drafts);
    for (node, draft) in drafts.functions.iter().enumerate() {
        judge.function(node, draft);
    }
    for (place, draft) in drafts.relations.iter().enumerate() {
        judge.relation(drafts.functions.len() + place, draft);
    }
    for (parent, child) in &drafts.children {
        if let (Some(parent), Some(child)) =
            (judge.relation_oids.get(parent), judge.relation_oids.get(child))
        {
            judge.depend(*parent, *child, None);
        }
    }
    judge.spread();
    judge.finish()
}

impl<'a> Judge<'a> {
    fn new(drafts: &'a Drafts) -> Self {
        let first = drafts.functions.len();
        let total = first + drafts.relations.len();
        let functions = || drafts.functions.iter().enumerate();
        let relations = || (first..).zip(&drafts.relations);
        let mut function_names: BTreeMap<&str, Vec<Node>> = BTreeMap::new();
        for (node, draft) in functions().filter(|(_, draft)| !is_known(draft)) {
            function_names.entry(&draft.name).or_default().push(node);
        }
        let mut relation_names: BTreeMap<&str, Vec<Node>> = BTreeMap::new();
        for (node, draft) in relations() {
            relation_names.entry(&draft.name).or_default().push(node);
        }
        Self {
            drafts,
            function_oids: functions().map(|(node, draft)| (draft.oid, node)).collect(),
            relation_oids: relations().map(|(node, draft)| (draft.oid, node)).collect(),
            function_names,
            relation_names,
            outer: BTreeMap::new(),
            troubles: Vec::new(),
            of_node: vec![None; total],
            users: vec![Vec::new(); total],
            fresh: VecDeque::new(),
        }
    }

    fn function(&mut self, node: Node, draft: &'a FunctionDraft) {
        if is_known(draft) {
            return;
        }
        if let Some(reason) = declared(draft) {
            self.trouble(node, reason, None);
            return;
        }
        if let Some(uses) = self.drafts.function_uses.get(&draft.oid) {
            self.uses(node, uses, Reason::UnprovenFunction);
        }
        match &draft.body {
            // Of `information_schema`: what it calls, it calls with the schema.
            _ if draft.oid < FIRST_USER_OID && draft.language == "sql" => {}
            Some(text) => self.words(node, draft, text),
            None => self.trouble(node, Reason::UnprovenFunction, None),
        }
    }

    /// A body that is a text.
    fn words(&mut self, node: Node, draft: &FunctionDraft, text: &'a str) {
        if body::has_escaped_names(text) {
            self.trouble(node, Reason::UnprovenFunction, None);
        }
        for word in body::words(text) {
            // What PL/pgSQL executes may be put together from anything.
            if draft.language == "plpgsql" && word.name == "execute" {
                self.trouble(node, Reason::UnprovenFunction, None);
            }
            if word.is_called() {
                self.called_word(node, &word);
            }
            let named = self.relation_names.get(&*word.name).cloned().unwrap_or_default();
            for relation in named {
                self.depend(node, relation, Some(Reason::UnprovenFunction));
            }
        }
    }

    fn called_word(&mut self, node: Node, word: &Word<'_>) {
        if let Some(builtin) = builtin::named(&word.name)
            && let Some(reason) = builtin.class.trouble(word.literal())
        {
            let next = self.outer(reason, Some(SYSTEM), builtin.name);
            self.trouble(node, Reason::UnprovenFunction, Some(next));
        }
        let named = self.function_names.get(&*word.name).cloned().unwrap_or_default();
        for function in named {
            self.depend(node, function, Some(Reason::UnprovenFunction));
        }
    }

    fn relation(&mut self, node: Node, draft: &'a RelationDraft) {
        let own = match draft.kind {
            RelationKind::Foreign => Some(Reason::ForeignTable),
            // Behind it is a sequence of its own, which is logged or not as it is.
            RelationKind::Sequence => Some(Reason::Sequence),
            _ if draft.unlogged => Some(Reason::UnloggedTable),
            _ => None,
        };
        if let Some(reason) = own {
            self.trouble(node, reason, None);
        } else if draft.kind == RelationKind::View {
            self.view(node, draft);
        } else if draft.row_security
            && let Some(uses) = self.drafts.policy_uses.get(&draft.oid)
        {
            self.uses(node, uses, Reason::View);
        }
    }

    fn view(&mut self, node: Node, draft: &'a RelationDraft) {
        if draft.oid < FIRST_USER_OID {
            self.system_view(node, draft);
        } else if let Some(uses) = self.drafts.view_uses.get(&draft.oid) {
            self.uses(node, uses, Reason::View);
        } else {
            let next = self.outer(Reason::UnprovenFunction, None, &draft.name);
            self.trouble(node, Reason::View, Some(next));
        }
    }

    /// What PostgreSQL brings along. All of `information_schema` shows what is in the catalogs.
    fn system_view(&mut self, node: Node, draft: &RelationDraft) {
        if draft.schema != SYSTEM {
            return;
        }
        match builtin::view(&draft.name) {
            Some(SystemView::Catalog) => {}
            Some(SystemView::NodeLocal) => self.trouble(node, Reason::NodeLocalView, None),
            Some(SystemView::Sequences) => {
                let called = builtin::SEQUENCE_CALL;
                let next = self.outer(Reason::SequenceFunction, Some(SYSTEM), called);
                self.trouble(node, Reason::View, Some(next));
            }
            // Of a newer version.
            None => self.trouble(node, Reason::UnknownRelation, None),
        }
    }

    /// Follows what an object uses; `reason` is what is the matter with it if something of that is not harmless.
    fn uses(&mut self, node: Node, uses: &'a [Use], reason: Reason) {
        for used in uses {
            match self.target(used) {
                Target::Harmless => {}
                Target::Node(target) => self.depend(node, target, Some(reason)),
                Target::Trouble(inner, schema, name) => {
                    let next = self.outer(inner, schema, name);
                    self.trouble(node, reason, Some(next));
                }
            }
        }
    }

    fn target(&self, used: &'a Use) -> Target<'a> {
        match used {
            Use::Function(oid) => match (self.function_oids.get(oid), builtin::by_oid(*oid)) {
                (Some(node), _) => Target::Node(*node),
                (None, Some(builtin)) => match builtin.class.trouble(None) {
                    Some(reason) => Target::Trouble(reason, Some(SYSTEM), builtin.name),
                    None => Target::Harmless,
                },
                (None, None) => Target::Trouble(Reason::UnknownFunction, None, "?"),
            },
            Use::Relation(oid) => self
                .relation_oids
                .get(oid)
                .map_or(Target::Trouble(Reason::UnknownRelation, None, "?"), |node| {
                    Target::Node(*node)
                }),
            Use::Setting(name) => match Class::Setting.trouble(Some(name)) {
                Some(reason) => Target::Trouble(reason, None, "current_setting"),
                None => Target::Harmless,
            },
            Use::Unread => Target::Trouble(Reason::UnprovenFunction, None, "?"),
        }
    }

    fn depend(&mut self, user: Node, on: Node, reason: Option<Reason>) {
        if let Some(users) = self.users.get_mut(on)
            && user != on
        {
            users.push((user, reason));
        }
    }

    /// Something is the matter with an object. The first that was found stays.
    fn trouble(&mut self, node: Node, reason: Reason, next: Option<TroubleId>) {
        if self.of_node.get(node).is_none_or(Option::is_some) {
            return;
        }
        let (schema, name) = self.names(node);
        let trouble = push(&mut self.troubles, Found { reason, schema, name, next });
        if let Some(place) = self.of_node.get_mut(node) {
            *place = Some(trouble);
            self.fresh.push_back(node);
        }
    }

    /// The trouble of something that is not among the drafts.
    fn outer(&mut self, reason: Reason, schema: Option<&'a str>, name: &'a str) -> TroubleId {
        let troubles = &mut self.troubles;
        *self
            .outer
            .entry((schema, name))
            .or_insert_with(|| push(troubles, Found { reason, schema, name, next: None }))
    }

    fn names(&self, node: Node) -> (Option<&'a str>, &'a str) {
        if let Some(draft) = self.drafts.functions.get(node) {
            return (Some(&draft.schema), &draft.name);
        }
        let place = node - self.drafts.functions.len();
        self.drafts
            .relations
            .get(place)
            .map_or((None, ""), |draft| (Some(&draft.schema), &draft.name))
    }

    /// Whoever uses what is not harmless is not either.
    fn spread(&mut self) {
        while let Some(node) = self.fresh.pop_front() {
            let Some(trouble) = self.of_node.get(node).copied().flatten() else { continue };
            let same = found(&self.troubles, trouble).map(|found| found.reason);
            let users = self.users.get_mut(node).map(std::mem::take).unwrap_or_default();
            for (user, reason) in users {
                if let Some(reason) = reason.or(same) {
                    self.trouble(user, reason, Some(trouble));
                }
            }
        }
    }

    fn finish(mut self) -> Judgement<'a> {
        let drafts = self.drafts;
        let mut hidden = Vec::new();
        for draft in &drafts.hidden {
            let checks = draft.oid.and_then(|oid| drafts.domain_uses.get(&oid));
            let uses = draft.uses.iter().chain(checks.into_iter().flatten());
            if let Some(trouble) = uses.into_iter().find_map(|used| self.trouble_of(used)) {
                hidden.push((draft.kind, draft.schema.as_deref(), draft.name.as_str(), trouble));
            }
        }
        for (draft, trouble) in drafts.functions.iter().zip(&self.of_node) {
            if let (true, Some(trouble)) = (draft.of_row, trouble) {
                hidden.push((HiddenKind::Attribute, Some(&draft.schema), &draft.name, *trouble));
            }
        }
        let functions =
            drafts.functions.iter().zip(&self.of_node).map(|(draft, trouble)| match trouble {
                _ if is_known(draft) => Judged::Known,
                Some(trouble) => Judged::Trouble(*trouble),
                None => Judged::Harmless,
            });
        let functions = functions.collect();
        let relations = self.of_node.split_off(drafts.functions.len());
        Judgement { troubles: self.troubles, functions, relations, hidden }
    }

    fn trouble_of(&mut self, used: &'a Use) -> Option<TroubleId> {
        match self.target(used) {
            Target::Harmless => None,
            Target::Node(node) => self.of_node.get(node).copied().flatten(),
            Target::Trouble(reason, schema, name) => Some(self.outer(reason, schema, name)),
        }
    }
}

/// Whether it is in the table of built-in functions.
fn is_known(draft: &FunctionDraft) -> bool {
    is_built_in(draft)
        && builtin::named(&draft.name).is_some()
        && (draft.oid >= FIRST_INITDB_OID || builtin::by_oid(draft.oid).is_some())
}

/// Whether PostgreSQL brings it along, and nobody has replaced it.
fn is_built_in(draft: &FunctionDraft) -> bool {
    draft.oid < FIRST_USER_OID
        && draft.schema == SYSTEM
        && ["internal", "c", "sql"].contains(&draft.language.as_str())
}

/// What is the matter with a function by what it is declared as.
fn declared(draft: &FunctionDraft) -> Option<Reason> {
    if is_built_in(draft) {
        // Of a newer version. A name of that kind may answer about the server, and says so in no other way.
        let doubtful = draft.volatility == Volatility::Volatile
            || draft.volatility == Volatility::Stable && draft.name.starts_with("pg_");
        return doubtful.then_some(Reason::UnknownFunction);
    }
    if draft.language == "c" && draft.name.starts_with("dblink") {
        return Some(Reason::Dblink);
    }
    // Whoever gives a built-in function another name may declare it as anything.
    let renamed = draft.language == "internal" && !draft.aggregate;
    (renamed || draft.volatility == Volatility::Volatile).then_some(Reason::UnprovenFunction)
}

fn push<'a>(troubles: &mut Vec<Found<'a>>, found: Found<'a>) -> TroubleId {
    troubles.push(found);
    // As many as there are objects, which are limited.
    TroubleId::try_from(troubles.len() - 1).unwrap_or(TroubleId::MAX)
}

fn found<'t, 'a>(troubles: &'t [Found<'a>], trouble: TroubleId) -> Option<&'t Found<'a>> {
    troubles.get(usize::try_from(trouble).ok()?)
}
