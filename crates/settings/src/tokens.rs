//! The line format that `pg_hba.conf` and `pg_ident.conf` share: fields of comma-separated tokens, quotes, comments,
//! continued lines, `@file` and `include` (PostgreSQL documentation, chapter "Client Authentication").

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Place, Report};
use crate::files::{Files, read_file, relative_to};
use crate::source::Source;

/// One word of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Whether it began with a quote, and so is no keyword.
    pub(crate) quoted: bool,
    /// Its bytes in the line, quotes included.
    pub(crate) span: Range<usize>,
}

impl Token {
    /// Whether this is the unquoted keyword.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text == keyword
    }
}

/// One line with its fields; no field is empty.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    text: String,
    pub(crate) fields: Vec<Vec<Token>>,
}

impl Entry {
    /// The place of a token; of the end of the line without one.
    pub(crate) fn place(&self, token: Option<&Token>) -> Place {
        let end = self.text.len();
        let span = token.map_or(end..end, |token| token.span.clone());
        Source::new(&self.file, "").word_place(self.line, &self.text, &span)
    }
}

/// How deep files may include each other: PostgreSQL's `CONF_FILE_MAX_DEPTH`.
const MAX_DEPTH: usize = 10;
/// How many files one file may pull in, over all depths: it ends what files that include each other would do.
const MAX_FILES: usize = 1000;
/// How many tokens all files together may have: rules are compared one by one for each login.
const MAX_TOKENS: usize = 200_000;

/// Reads a file and all that it includes.
pub(crate) fn read(path: &Path, text: &str, files: &dyn Files, report: &mut Report) -> Vec<Entry> {
    let mut reader =
        Reader { files, report, entries: Vec::new(), files_read: 0, tokens: 0, stopped: false };
    reader.file(path, text, 0);
    reader.entries
}

struct Reader<'a> {
    files: &'a dyn Files,
    report: &'a mut Report,
    entries: Vec<Entry>,
    files_read: usize,
    tokens: usize,
    /// Set once a limit is exceeded: what comes after would only repeat that.
    stopped: bool,
}

impl Reader<'_> {
    /// One file: its lines, comments and blank lines left out.
    fn file(&mut self, path: &Path, text: &str, depth: usize) {
        for (number, line) in logical_lines(text) {
            if self.stopped {
                return;
            }
            let mut entry =
                Entry { file: path.to_owned(), line: number, text: line, fields: Vec::new() };
            let fields = match split(&entry.text) {
                Ok(fields) => fields,
                Err(at) => {
                    let token =
                        Token { text: String::new(), quoted: true, span: at..entry.text.len() };
                    self.report.error(entry.place(Some(&token)), "the quote is not closed");
                    continue;
                }
            };
            if fields.is_empty() {
                continue;
            }
            if self.include(&entry, &fields, depth) {
                continue;
            }
            for field in fields {
                let mut tokens = Vec::new();
                for token in field {
                    self.expand(&entry, token, &mut tokens, depth);
                }
                entry.fields.push(tokens);
            }
            self.tokens += entry.fields.iter().map(Vec::len).sum::<usize>();
            if self.tokens > MAX_TOKENS {
                self.stop(entry.place(None), format!("more than {MAX_TOKENS} words in all files"));
            }
            if entry.fields.iter().all(|field| !field.is_empty()) {
                self.entries.push(entry);
            }
        }
    }

    /// Handles a line that includes others; says whether it was one.
    fn include(&mut self, entry: &Entry, fields: &[Vec<Token>], depth: usize) -> bool {
        let [directive, target] = fields else { return false };
        let ([directive], [target]) = (directive.as_slice(), target.as_slice()) else {
            return false;
        };
        if directive.quoted
            || !["include", "include_if_exists", "include_dir"].contains(&directive.text.as_str())
        {
            return false;
        }
        let path = relative_to(&entry.file, Path::new(&target.text));
        if directive.text == "include_dir" {
            self.directory(entry, target, &path, depth);
            return true;
        }
        let optional = directive.text == "include_if_exists";
        if let Some(text) = self.load(entry, target, &path, depth, optional) {
            self.file(&path, &text, depth + 1);
        }
        true
    }

    /// All `*.conf` files of a directory, in byte order of their names; hidden ones are left out.
    fn directory(&mut self, entry: &Entry, target: &Token, directory: &Path, depth: usize) {
        let mut paths = match self.files.list(directory) {
            Ok(paths) => paths,
            Err(error) => {
                let message =
                    format!("cannot read the directory `{}`: {error}", directory.display());
                return self.report.error(entry.place(Some(target)), message);
            }
        };
        paths.retain(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_suffix(".conf").is_some_and(|stem| !stem.is_empty())
                && !name.starts_with('.')
        });
        paths
            .sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
        for path in paths {
            if let Some(text) = self.load(entry, target, &path, depth, false) {
                self.file(&path, &text, depth + 1);
            }
        }
    }

    /// Puts a token among the others; `@file` stands for the words of that file.
    fn expand(&mut self, entry: &Entry, token: Token, into: &mut Vec<Token>, depth: usize) {
        let Some(name) =
            token.text.strip_prefix('@').filter(|name| !token.quoted && !name.is_empty())
        else {
            into.push(token);
            return;
        };
        let path = relative_to(&entry.file, Path::new(name));
        let Some(text) = self.load(entry, &token, &path, depth, false) else { return };
        for (_, line) in logical_lines(&text) {
            let Ok(fields) = split(&line) else {
                let message = format!("a quote is not closed in `{}`", path.display());
                self.report.error(entry.place(Some(&token)), message);
                return;
            };
            for word in fields.into_iter().flatten() {
                if into.len() > MAX_TOKENS {
                    self.report
                        .error(entry.place(Some(&token)), format!("more than {MAX_TOKENS} words"));
                    return;
                }
                let nested = Entry { file: path.clone(), ..entry.clone() };
                let word = Token { span: token.span.clone(), ..word };
                self.expand(&nested, word, into, depth + 1);
            }
        }
    }

    fn stop(&mut self, place: Place, message: String) {
        if !self.stopped {
            self.report.error(place, message);
        }
        self.stopped = true;
    }

    /// The text of a file that a line names; every failure is reported at the token.
    fn load(
        &mut self,
        entry: &Entry,
        token: &Token,
        path: &Path,
        depth: usize,
        optional: bool,
    ) -> Option<String> {
        let place = entry.place(Some(token));
        self.files_read += 1;
        if self.stopped {
            return None;
        } else if depth >= MAX_DEPTH {
            self.stop(place, format!("files include each other more than {MAX_DEPTH} deep"));
            return None;
        } else if self.files_read > MAX_FILES {
            self.stop(place, format!("more than {MAX_FILES} files are included"));
            return None;
        }
        match read_file(self.files, path) {
            Ok(text) => Some(text),
            Err(_) if optional => None,
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                let diagnostic = Diagnostic::error(place, message);
                let directive = entry.fields.is_empty() && !token.text.starts_with('@');
                let help = "`include_if_exists` skips a file that is missing";
                self.report.add(if directive { diagnostic.help(help) } else { diagnostic });
                None
            }
        }
    }
}

/// Lines with the number of their first one; a backslash at the end of a line continues it.
fn logical_lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut lines = text.split('\n').zip(1..);
    std::iter::from_fn(move || {
        let (first, number) = lines.next()?;
        let mut whole = first.strip_suffix('\r').unwrap_or(first).to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            let Some((next, _)) = lines.next() else { break };
            whole.push_str(next.strip_suffix('\r').unwrap_or(next));
        }
        Some((number, whole))
    })
}

/// Splits a line into fields of tokens. The error is where a quote opens that never closes.
fn split(line: &str) -> Result<Vec<Vec<Token>>, usize> {
    let mut fields: Vec<Vec<Token>> = Vec::new();
    let mut chars = line.char_indices().peekable();
    let mut continues = false;
    loop {
        while chars.next_if(|(_, c)| is_blank(*c) || *c == ',').is_some() {}
        let Some((token, comma)) = token(&mut chars, line.len())? else { return Ok(fields) };
        match fields.last_mut() {
            Some(field) if continues => field.push(token),
            _ => fields.push(vec![token]),
        }
        continues = comma;
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// Takes one token and says whether a comma ended it; `None` at the end of the line or at a comment.
fn token(
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    end: usize,
) -> Result<Option<(Token, bool)>, usize> {
    let Some(&(start, first)) = chars.peek() else { return Ok(None) };
    let mut text = String::new();
    let mut quote: Option<usize> = None;
    let mut seen_quote = false;
    let mut comma = false;
    let mut stop = end;
    while let Some(&(at, c)) = chars.peek() {
        match (c, quote) {
            ('"', Some(_)) => {
                chars.next();
                if chars.next_if(|(_, next)| *next == '"').is_some() {
                    text.push('"');
                } else {
                    quote = None;
                }
                continue;
            }
            ('#', None) => {
                stop = at;
                while chars.next().is_some() {}
                break;
            }
            (',', None) => {
                (stop, comma) = (at, true);
                chars.next();
                break;
            }
            (c, None) if is_blank(c) => {
                stop = at;
                break;
            }
            ('"', None) => {
                quote = Some(at);
                seen_quote = true;
            }
            (c, _) => text.push(c),
        }
        chars.next();
    }
    if let Some(at) = quote {
        return Err(at);
    }
    if text.is_empty() && !seen_quote {
        return Ok(None);
    }
    Ok(Some((Token { text, quoted: first == '"', span: start..stop }, comma)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<Vec<String>> {
        let fields = split(line).unwrap();
        fields
            .into_iter()
            .map(|field| field.into_iter().map(|token| token.text).collect())
            .collect()
    }

    #[test]
    fn fields_are_blank_separated_and_lists_comma_separated() {
        assert_eq!(texts("host a,b  c # d"), [vec!["host"], vec!["a", "b"], vec!["c"]]);
        assert_eq!(texts("a, b,\tc d"), [vec!["a", "b", "c"], vec!["d"]]);
        assert_eq!(texts("# only"), Vec::<Vec<String>>::new());
        assert_eq!(texts("a#b"), [vec!["a"]]);
    }

    #[test]
    fn quotes_keep_blanks_commas_and_doubled_quotes() {
        assert_eq!(texts(r#""a b,c""d#" e"#), [vec!["a b,c\"d#"], vec!["e"]]);
        assert_eq!(texts(r#"a"b c"d"#), [vec!["ab cd"]]);
        assert_eq!(texts(r#""" x"#), [vec![""], vec!["x"]]);
        assert_eq!(split(r#"a "b"#), Err(2));
    }

    #[test]
    fn a_backslash_continues_a_line_even_in_a_comment() {
        let lines: Vec<_> = logical_lines("a \\\nb\r\n# c\\\nd\ne\\").collect();
        assert_eq!(lines, [(1, "a b".into()), (3, "# cd".into()), (5, "e".into())]);
    }
}
