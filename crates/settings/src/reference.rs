//! What people read: the reference of all settings, and the sample file.

use crate::catalogue::{Form, GroupInfo, SettingInfo, catalogue};
use crate::value::{Kind, Value};

/// The reference of all settings, as Markdown.
pub fn reference() -> String {
    let groups = catalogue();
    let sections = groups.iter().map(|group| {
        let rows: String = group.settings.iter().map(row).collect();
        let title = title(group).replace('*', "\\*");
        format!("\n## {title}\n\n{}\n\n{TABLE_HEAD}{rows}", group.about)
    });
    std::iter::once(INTRODUCTION.to_owned()).chain(sections).collect()
}

/// The head of each table.
const TABLE_HEAD: &str =
    "| Setting | Type | Default | Takes effect | Meaning |\n|---|---|---|---|---|\n";

/// One line of a table.
fn row(setting: &SettingInfo) -> String {
    let default = setting
        .default_toml()
        .map_or_else(|| "not given".to_owned(), |default| format!("`{default}`"));
    let (name, kind, effect) = (setting.name, kind(setting), setting.effect.as_str());
    let meaning = setting.meaning.replace('|', "\\|");
    format!("| `{name}` | {kind} | {default} | {effect} | {meaning} |\n")
}

/// What stands in front of the tables.
const INTRODUCTION: &str = r#"# Settings

Trunkline reads one TOML file. `config/trunkline.toml` shows every setting with its default, `config/examples/` has
small files for common cases, and `config/trunkline.schema.json` is a JSON Schema for editors; a file that begins with
`#:schema ./trunkline.schema.json` is checked while it is written. A setting that is not known, or not valid, or
contradicts another one, keeps Trunkline from starting, and a reload from being taken over; all such mistakes are
listed at once. The same checks run by `trunkline check`.

**Durations** are whole numbers with a unit, in quotes: `"250ms"`, `"5s"`, `"10m"`, `"1h30m"`; the units are `us`,
`ms`, `s`, `m` (or `min`), `h` and `d`. **Sizes** are `"64KiB"`, `"4MiB"`, `"1GiB"`, or a plain number of bytes.
**Paths** are relative to the directory of the settings file.

**Environment variables** override the file: `TRUNKLINE__POOL__SIZE=20` sets `size` in `[pool]`. A double underscore is
a step down, upper and lower case are the same, and text needs no quotes. Nodes are counted from 0
(`TRUNKLINE__NODE__0__HOST=db1`); databases and users are named (`TRUNKLINE__USERS__ALICE__PASSWORD=...`). Lists are
separated by commas, or written as TOML arrays.

**A URL instead of a file**: `postgres://user:password@host1:5433,host2/database?sslmode=verify-full` makes the hosts
nodes, lets clients use every database, and runs the control connections as that user in that database (`postgres` if
none is named). That user may log in with that password, and on the console give every command. What the URL lacks comes
from where libpq takes it: the user from `PGUSER`, else it is the system's user; the password from `PGPASSWORD`, else from
the password file (`passfile`, `PGPASSFILE`, `~/.pgpass`), which is not used if group or others may read it. If no password
is known, the user is let in without one over the Unix socket and from 127.0.0.0/8 and ::1, and on the console may look
only; nobody else is let in. A server that asks for a password then refuses them. Where a server may have another reason
to let Trunkline in (a certificate, a Unix socket, the password of another role), a password must be given. Variables such
as `TRUNKLINE__AUTH__METHOD` say otherwise.

**A reload** reads the settings again: on `SIGHUP`, on `RELOAD` on the console, and when the settings file has changed, or
one that it names: certificates, keys and authorities, HBA and ident files with what they include, the user list, files with
passwords, also the password file of a URL. They are looked at each second, and read once two looks have found them the same.
What cannot be taken over changes nothing and is logged.

**Takes effect** says what a reload does: *live* is felt at once, *new connections* by clients that log in or servers
that are connected from then on, *restart* only by a new process; a reload reports what waits for a restart. Clients that
would find themselves in another database or role on the servers (`dbname` and `user` of their database, `server_user`, or
a table of a database that comes or goes) are closed with SQLSTATE 57P01 as soon as they are between transactions.

Passwords can be kept out of the file: every `password` has a `password_file` beside it. They never appear in logs,
messages or the console.
"#;

/// The setting that the sample gives with its example: whom to let in has no default, and without a way to do so no file
/// is accepted.
const NEEDED: (&str, &str) = ("auth", "auth_query");

/// The sample settings file: every setting with its default, its meaning and its unit.
pub fn sample() -> String {
    let mut text = String::from(SAMPLE_HEAD);
    for group in catalogue() {
        // Whom to let in has no default that would be safe, and there are no rules by default: these tables are examples only.
        let off = if matches!(group.name, "users" | "route") { "# " } else { "" };
        text.extend(["\n\n", &comment(&group.about), off, &title(&group), "\n"]);
        for setting in &group.settings {
            let line = match setting.default_toml() {
                Some(_) if (group.name, setting.name) == NEEDED => {
                    format!(
                        "# Not the default, which is \"\".\n{} = {}\n",
                        setting.name, setting.example
                    )
                }
                Some(default) => format!("{off}{} = {default}\n", setting.name),
                None => format!("# {} = {}\n", setting.name, setting.example),
            };
            text.extend(["\n", &comment(&setting.meaning), &comment(&facts(setting)), &line]);
        }
    }
    text
}

/// What stands in front of the sample.
const SAMPLE_HEAD: &str = r"#:schema ./trunkline.schema.json

# Every setting of Trunkline, with its default. What is commented out has no default; it shows an example.
# As it stands it lets in the users of the cluster with the passwords that they have there: see `auth_query` in [auth],
# the only setting that is not given with its default. Look at `host` in [[node]], and at `user` and its password in
# [cluster], which can be right by chance only.
#
# A setting can be left out, and overridden by an environment variable: TRUNKLINE__POOL__SIZE=20.
# Durations: whole numbers with us, ms, s, m, h or d. Sizes: B, KiB, MiB, GiB. Paths: relative to this file.
";

/// The line that tells type, example, and when a change is felt.
fn facts(setting: &SettingInfo) -> String {
    let mut facts = vec![match &setting.kind {
        Kind::Count { min, max } => format!("Whole number from {min} to {max}"),
        Kind::Ratio { min, max } => format!("Number from {min} to {max}"),
        Kind::Word(words) => format!("One of {}", words.join(", ")),
        Kind::Switch => "true or false".to_owned(),
        kind => capital(&kind.name()),
    }];
    let shown =
        matches!(setting.kind, Kind::Switch | Kind::Word(_)) || setting.default == Value::Unset;
    if !shown {
        facts.push(format!("example: {}", setting.example));
    }
    facts.push(format!("takes effect: {}", setting.effect.as_str()));
    format!("{}.", facts.join("; "))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The header of a group's table.
fn title(group: &GroupInfo) -> String {
    match (group.form, group.name) {
        (Form::Single, name) => format!("[{name}]"),
        (Form::Repeated, name) => format!("[[{name}]]"),
        (Form::Named, "databases") => "[databases.\"*\"]".to_owned(),
        (Form::Named, name) => format!("[{name}.alice]"),
    }
}

/// The type column of the reference, with bounds.
fn kind(setting: &SettingInfo) -> String {
    match &setting.kind {
        Kind::Count { min, max } => format!("integer, {min} to {max}"),
        Kind::Ratio { min, max } => format!("number, {min} to {max}"),
        kind => kind.name(),
    }
}

/// A text as comment lines of limited width.
fn comment(paragraph: &str) -> String {
    /// The width of comment lines in the sample.
    const WIDTH: usize = 112;
    let mut lines = vec![String::from("#")];
    for word in paragraph.split(' ') {
        match lines.last_mut().filter(|line| line.len() + 1 + word.len() <= WIDTH) {
            Some(line) => line.extend([" ", word]),
            None => lines.push(format!("# {word}")),
        }
    }
    lines.join("\n") + "\n"
}
