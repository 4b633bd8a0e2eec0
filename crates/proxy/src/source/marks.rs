//! Which files were read, and how they were then.

use std::{
    collections::BTreeMap,
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What is different about a file that has been changed or replaced, or lets others at it; and about a directory of
/// which files have come or gone. The time of the last change is also that of whoever sets the other one back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    file: (u64, u64),
    size: u64,
    mode: u32,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    /// The mark of what is behind a name, links followed; none if there is nothing.
    fn of(path: &Path) -> Option<Self> {
        let of = |about: Metadata| Self {
            file: (about.dev(), about.ino()),
            size: about.size(),
            mode: about.mode(),
            written: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        };
        std::fs::metadata(path).ok().map(of)
    }
}

/// Files and directories, each as it was just before it was first read: what changes after that is noticed, even if it
/// changes while it is read. Those that were looked for in vain are among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks(BTreeMap<PathBuf, Option<Mark>>);

impl Marks {
    /// A file is about to be read.
    pub(super) fn note(&mut self, path: &Path) {
        if !self.0.contains_key(path) {
            self.0.insert(path.to_owned(), Mark::of(path));
        }
    }

    /// The same files as they are now.
    fn now(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), Mark::of(path))).collect())
    }

    /// The first file that differs.
    fn first_difference(&self, other: &Self) -> Option<PathBuf> {
        let differs = |(path, mark): &(&PathBuf, &Option<Mark>)| other.0.get(*path) != Some(*mark);
        self.0.iter().find(differs).map(|(path, _)| path.clone())
    }
}

/// Looks from time to time whether files have changed since they were read.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    read: Marks,
    /// How they were at the last look, if that was not as they were read.
    last: Option<Marks>,
}

impl Lookout {
    /// For files that have just been read.
    pub(super) fn over(read: Marks) -> Self {
        Self { read, last: None }
    }

    /// A file that is not as it was read, once two looks in a row have found all of them the same: while files are being
    /// written, or one after the other, there is nothing to be read yet.
    pub(super) fn look(&mut self) -> Option<PathBuf> {
        let now = self.read.now();
        let Some(changed) = now.first_difference(&self.read) else {
            self.last = None;
            return None;
        };
        if self.last.as_ref() == Some(&now) {
            return Some(changed);
        }
        self.last = Some(now);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, time::SystemTime};

    use super::*;

    /// What two looks in a row find.
    fn looks(lookout: &mut Lookout) -> [Option<PathBuf>; 2] {
        [lookout.look(), lookout.look()]
    }

    #[test]
    fn every_way_of_changing_a_file_is_noticed_once_it_has_settled() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("hba.d")).unwrap();
        for name in ["written", "replaced", "removed", "opened", "behind", "other"] {
            fs::write(at(name), "one").unwrap();
        }
        std::os::unix::fs::symlink(at("behind"), at("link")).unwrap();
        // The clock of files is coarse: what is changed at once must not have been written just now.
        fs::File::open(at("hba.d")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let watched = ["written", "replaced", "removed", "opened", "link", "missing", "hba.d"];
        let lookout = || {
            let mut marks = Marks::default();
            for name in watched {
                marks.note(&at(name));
            }
            Lookout::over(marks)
        };
        assert_eq!(looks(&mut lookout()), [None, None]);
        let changes: [(&str, &dyn Fn()); 7] = [
            ("written", &|| fs::write(at("written"), "another").unwrap()),
            ("replaced", &|| fs::rename(at("other"), at("replaced")).unwrap()),
            ("removed", &|| fs::remove_file(at("removed")).unwrap()),
            ("opened", &|| {
                fs::set_permissions(at("opened"), fs::Permissions::from_mode(0o604)).unwrap();
            }),
            ("link", &|| {
                fs::write(at("new"), "two").unwrap();
                fs::remove_file(at("link")).unwrap();
                std::os::unix::fs::symlink(at("new"), at("link")).unwrap();
            }),
            ("missing", &|| fs::write(at("missing"), "here").unwrap()),
            ("hba.d", &|| fs::write(at("hba.d/10.conf"), "local all all trust").unwrap()),
        ];
        for (name, change) in changes {
            let mut lookout = lookout();
            change();
            assert_eq!(looks(&mut lookout), [None, Some(at(name))]);
        }
    }

    #[test]
    fn files_that_go_on_changing_are_waited_for_and_those_changed_back_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut marks = Marks::default();
        marks.note(&path);
        let mut lookout = Lookout::over(marks);
        fs::write(&path, "1").unwrap();
        assert_eq!(lookout.look(), None);
        fs::write(&path, "12").unwrap();
        assert_eq!(lookout.look(), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(looks(&mut lookout), [None, None]);
        fs::write(&path, "123").unwrap();
        assert_eq!(looks(&mut lookout), [None, Some(path)]);
    }

    #[test]
    fn a_change_between_two_readings_of_a_file_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "1").unwrap();
        let mut marks = Marks::default();
        marks.note(&path);
        fs::write(&path, "12").unwrap();
        marks.note(&path);
        assert_eq!(looks(&mut Lookout::over(marks)), [None, Some(path)]);
    }
}
