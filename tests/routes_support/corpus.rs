//! The cases of `tests/routes`, read from their files.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use trunkline_testkit::{Error, Result};

/// The path of a case that says none.
const PATH: &str = "\"$user\", public";

/// A text of SQL, and what is expected of it.
#[derive(Debug)]
pub(crate) struct Case {
    /// The name of the file.
    pub(crate) file: String,
    /// The line on which the text begins.
    pub(crate) line: usize,
    /// The `search_path` as `SHOW` writes it; `*` if it is not known.
    pub(crate) path: String,
    /// The text.
    pub(crate) sql: String,
    /// Where it goes and why, and what it names and calls, line by line as written.
    pub(crate) expected: Vec<String>,
    /// Whether it does what no text shows.
    pub(crate) known_limit: bool,
    /// Whether PostgreSQL refuses it.
    pub(crate) refused: bool,
    /// The versions of PostgreSQL that have what it names.
    pub(crate) versions: RangeInclusive<u32>,
}

/// Those of a case that says nothing of them.
const ALL_VERSIONS: RangeInclusive<u32> = 0..=u32::MAX;

impl Case {
    /// A text that is in no file.
    pub(crate) fn of(sql: &str) -> Self {
        Self {
            file: String::new(),
            line: 0,
            path: PATH.to_owned(),
            sql: sql.to_owned(),
            expected: Vec::new(),
            known_limit: false,
            refused: false,
            versions: ALL_VERSIONS,
        }
    }

    /// Where it goes and why.
    pub(crate) fn route(&self) -> &str {
        self.expected.first().map_or("", |line| line.trim_start_matches("=> "))
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> String {
        format!("tests/routes/{}:{}", self.file, self.line)
    }

    /// The schemas of the path, for a user without one of his own; none if it is not known.
    pub(crate) fn schemas(&self) -> Option<Vec<&str>> {
        let parts = || self.path.split(',').map(|part| part.trim().trim_matches('"'));
        let schemas = || parts().filter(|part| !part.is_empty() && *part != "$user").collect();
        (self.path != "*").then(schemas)
    }
}

/// Where the files are.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/routes")
}

/// All cases, in the order of the names of their files.
pub(crate) fn cases() -> Result<Vec<Case>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory())? {
        files.push(entry?.path());
    }
    files.sort();
    let mut cases = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|it| it == "txt")) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(file)?;
        let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
        for block in lines.split(|(_, line)| line.is_empty()) {
            cases.extend(case(&name, block)?);
        }
    }
    Ok(cases)
}

/// The case of a block; none if it is prose.
fn case(file: &str, block: &[(usize, &str)]) -> Result<Option<Case>> {
    let comments = block.iter().take_while(|(_, line)| line.starts_with("# ")).count();
    let (comments, rest) = block.split_at(comments);
    let Some((line, first)) = rest.first() else { return Ok(None) };
    let wrong = |what: &str| Error::msg(format!("tests/routes/{file}:{line}: {what}"));
    let path = first.strip_prefix("path: ");
    let rest = rest.get(usize::from(path.is_some())..).unwrap_or_default();
    let answer = rest.iter().position(|(_, line)| line.starts_with("=> "));
    let (text, answer) = rest.split_at(answer.ok_or_else(|| wrong("nothing is expected"))?);
    let line = text.first().ok_or_else(|| wrong("there is no text"))?.0;
    let (limits, expected): (Vec<&str>, Vec<&str>) =
        answer.iter().map(|(_, line)| *line).partition(|line| line.starts_with("known-limit: "));
    let known = ["=> ", "relations:", "calls:"];
    if expected.len() > known.len()
        || !expected.iter().zip(known).all(|(line, known)| line.starts_with(known))
    {
        return Err(wrong("what is expected is not of the form"));
    }
    let versions = comments.iter().find_map(|(_, line)| line.strip_prefix("# of PostgreSQL "));
    let versions = versions.map_or(Some(ALL_VERSIONS), versions_of);
    let sql: Vec<&str> = text.iter().map(|(_, line)| *line).collect();
    Ok(Some(Case {
        file: file.to_owned(),
        line,
        path: path.unwrap_or(PATH).to_owned(),
        sql: sql.join("\n"),
        expected: expected.into_iter().map(|line| line.trim_end().to_owned()).collect(),
        known_limit: !limits.is_empty(),
        refused: comments.iter().any(|(_, line)| line.starts_with("# does not parse")),
        versions: versions.ok_or_else(|| wrong("these are no versions"))?,
    }))
}

/// `15 and later`, `15 to 16`.
fn versions_of(words: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = match words.split_once(" to ") {
        Some((first, last)) => (first, last.parse().ok()?),
        None => (words.strip_suffix(" and later")?, u32::MAX),
    };
    Some(first.parse().ok()?..=last)
}
