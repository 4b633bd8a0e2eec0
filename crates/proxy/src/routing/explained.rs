//! What there is to say of where a text goes by itself, for those who ask.

use trunkline_route::{Because, Cause, Plain};
use trunkline_sql::{
    Name, Rules,
    access::{self, Access, Class, Hint},
};

/// What there is to say of where a text goes by itself, and why.
#[derive(Debug)]
pub(crate) struct Explained {
    /// What decides.
    pub(crate) because: Because,
    /// The same in words, with what is behind a view.
    pub(crate) reason: String,
    /// What that is, step by step.
    pub(crate) steps: Vec<String>,
    /// What the text is; empty if it was not read.
    pub(crate) class: &'static str,
    /// Where it wants to go; empty if it does not say.
    pub(crate) hint: String,
    pub(crate) relations: Vec<String>,
    pub(crate) calls: Vec<String>,
    /// In which schemas its names are looked for.
    pub(crate) path: String,
}

/// The path of a session whose path is not known.
const ANY_PATH: &str = "not known: every schema counts";

impl Explained {
    /// Of a text that was found to be this, if it was read.
    pub(super) fn of(because: Because, access: Option<&Access>, schemas: Option<&[&str]>) -> Self {
        let mut explained = Self {
            because,
            reason: because.to_string(),
            steps: Vec::new(),
            class: "",
            hint: String::new(),
            relations: Vec::new(),
            calls: Vec::new(),
            path: schemas.map_or_else(|| ANY_PATH.to_owned(), |schemas| schemas.join(", ")),
        };
        if let Some(access) = access {
            explained.show(access);
        }
        explained
    }

    /// Of a text while the catalog is not known.
    pub(super) fn without_catalog(text: &[u8], rules: Rules) -> Self {
        let access = (text.len() <= access::QUICK).then(|| access::access(text, rules));
        let because = match access.as_ref().map(|access| access.class) {
            Some(class) if !matches!(class, Class::Read | Class::Empty) => class.into(),
            _ => Plain::UnknownCatalog.into(),
        };
        Self::of(because, access.as_ref(), None)
    }

    fn show(&mut self, access: &Access) {
        self.class = access.class.word();
        self.hint = match &access.hint {
            None => String::new(),
            Some(Hint::Primary) => "primary".into(),
            Some(Hint::Standby) => "standby".into(),
            Some(Hint::Unknown(word)) => format!("{word} (not known)"),
        };
        let relations = access.relations.iter();
        self.relations = relations.map(|it| shown(it.schema.as_ref(), &it.name)).collect();
        let call =
            |it: &access::Call| format!("{}/{}", shown(it.schema.as_ref(), &it.name), it.arguments);
        self.calls = access.calls.iter().map(call).collect();
    }

    /// What keeps it on the primary.
    pub(super) fn tell(&mut self, cause: Cause<'_>) {
        self.reason = cause.to_string();
        self.steps = cause.steps().map(|step| step.to_string()).collect();
    }
}

fn shown(schema: Option<&Name>, name: &Name) -> String {
    match schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name.to_string(),
    }
}
