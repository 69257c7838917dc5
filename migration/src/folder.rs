//! The folder of a migrator: `lib.rs` and a file for each migration.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Held by one generator at a time.
pub(crate) struct Folder {
    path: PathBuf,
    /// `lib.rs`, or `mod.rs` where the migrator is a module.
    migrator: PathBuf,
    text: String,
    /// The locked migrator.
    held: File,
}

impl Drop for Folder {
    /// Closing the file is not enough: a process that another thread has just started shares it until
    /// it runs its own program, and with it the lock (`flock(2)`).
    fn drop(&mut self) {
        let _ = self.held.unlock();
    }
}

impl Folder {
    /// Finds the migrator in a crate or a folder, and keeps other generators out.
    pub(crate) fn lock(folder: &Path) -> Result<Self, String> {
        let source = folder.join("src");
        let path = if source.is_dir() {
            source
        } else {
            folder.to_owned()
        };
        let migrator = ["lib.rs", "mod.rs"]
            .into_iter()
            .map(|file| path.join(file))
            .find(|file| file.is_file())
            .ok_or_else(|| {
                format!(
                    "there is no migrator in {}: neither `lib.rs` nor `mod.rs`; say where it is with \
                     `--migration-dir`",
                    path.display()
                )
            })?;
        let mut held = File::open(&migrator).map_err(|error| about(&migrator, &error))?;
        let busy = || {
            format!(
                "another generator is at work in {}: try again",
                path.display()
            )
        };
        held.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => busy(),
            TryLockError::Error(error) => about(&migrator, &error),
        })?;
        let mut text = String::new();
        held.read_to_string(&mut text)
            .map_err(|error| about(&migrator, &error))?;
        // Another may have put a new file in its place before it was locked.
        match read(&migrator)? == text {
            true => Ok(Self {
                path,
                migrator,
                text,
                held,
            }),
            false => Err(busy()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all migrations that have a file here.
    pub(crate) fn migrations(&self) -> Result<Vec<String>, String> {
        let entries = fs::read_dir(&self.path).map_err(|error| about(&self.path, &error))?;
        let mut names: Vec<_> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
            .filter(|name| is_migration(name))
            .collect();
        names.sort();
        Ok(names)
    }

    /// The migration whose source is such.
    pub(crate) fn find(&self, is_it: impl Fn(&str) -> bool) -> Result<Option<String>, String> {
        for name in self.migrations()? {
            if is_it(&read(&self.file(&name))?) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.rs"))
    }

    /// Writes a migration and registers it: both, or nothing.
    pub(crate) fn write(&self, name: &str, source: &str) -> Result<PathBuf, String> {
        let registered = registered(&self.text, name).map_err(|problem| {
            format!("{} {problem}; nothing was written", self.migrator.display())
        })?;
        let file = self.file(name);
        create(&file, source)?;
        let next = self.migrator.with_extension("rs.next");
        // One that was killed may have left it: nobody else is at work.
        let _ = fs::remove_file(&next);
        let replaced = create(&next, &registered).and_then(|()| {
            fs::rename(&next, &self.migrator).map_err(|error| {
                let _ = fs::remove_file(&next);
                about(&self.migrator, &error)
            })
        });
        match replaced {
            Ok(()) => Ok(file),
            Err(problem) => {
                let _ = fs::remove_file(&file);
                Err(problem)
            }
        }
    }
}

fn about(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| about(path, &error))
}

/// A new file, whole or not at all.
fn create(path: &Path, text: &str) -> Result<(), String> {
    let mut new = OpenOptions::new();
    let mut file = new
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| about(path, &error))?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _ = fs::remove_file(path);
        about(path, &error)
    })
}

/// `m20260101_000000_name`.
fn is_migration(name: &str) -> bool {
    let Some(rest) = name.strip_prefix('m') else {
        return false;
    };
    let digits = |text: Option<&str>, count: usize| {
        text.is_some_and(|text| text.len() == count && text.bytes().all(|it| it.is_ascii_digit()))
    };
    let mut parts = rest.splitn(3, '_');
    digits(parts.next(), 8) && digits(parts.next(), 6) && parts.next().is_some()
}

/// The text of a migrator that has one migration more.
fn registered(text: &str, name: &str) -> Result<String, String> {
    let text = listed(text, name)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let module = |line: &&str| {
        let rest = line.trim_end().strip_suffix(';')?;
        let (visibility, module) = rest.split_once("mod ")?;
        let is_plain = visibility.is_empty() || visibility.starts_with("pub");
        (is_plain && is_migration(module)).then(|| visibility.to_owned())
    };
    let last = lines.iter().rposition(|line| module(line).is_some());
    let (at, visibility, blank) = match last {
        Some(at) => (at + 1, module(&lines[at]).unwrap_or_default(), ""),
        None => (after_uses(&lines), String::new(), "\n"),
    };
    let (before, after) = lines.split_at(at);
    Ok(format!(
        "{}{visibility}mod {name};\n{blank}{}",
        before.concat(),
        after.concat()
    ))
}

/// Where the first module goes: behind the file's comments, attributes and imports.
fn after_uses(lines: &[&str]) -> usize {
    let mut at = 0;
    let mut within = false;
    for (place, line) in lines.iter().enumerate() {
        let line = line.trim();
        let starts = ["use ", "pub use ", "//!", "#!["];
        let is_head = within || line.is_empty() || starts.iter().any(|it| line.starts_with(it));
        if !is_head {
            break;
        }
        within =
            (within || line.contains("use ")) && !line.starts_with("//") && !line.ends_with(';');
        at = place + 1;
    }
    at
}

/// The text with the migration at the end of the list that `migrations` returns.
fn listed(text: &str, name: &str) -> Result<String, String> {
    let entry = format!("Box::new({name}::Migration)");
    let unreadable = || {
        format!(
            "has no `fn migrations` with a `vec![…]` of migrations: add `mod {name};` and `{entry}` \
             yourself, or give it one"
        )
    };
    let function = text.find("fn migrations").ok_or_else(unreadable)?;
    let start = text[function..].find("vec![").ok_or_else(unreadable)? + function + "vec![".len();
    let end = start + closing(&text[start..]).ok_or_else(unreadable)?;
    let list = text[start..end].trim_end();
    let indent = " ".repeat(12);
    let list = match list.contains('\n') || list.contains("/*") {
        // As it is, with a comma behind the last element, where comments may follow.
        true => match code(list).last() {
            Some((at, c)) if c != ',' => {
                let (elements, comments) = list.split_at(at + c.len_utf8());
                format!("{elements},{comments}")
            }
            _ => list.to_owned(),
        },
        // As rustfmt writes a list that is too long for a line.
        false => elements(list)
            .iter()
            .map(|element| format!("\n{indent}{element},"))
            .collect(),
    };
    Ok(format!(
        "{}{list}\n{indent}{entry},\n        {}",
        &text[..start],
        &text[end..]
    ))
}

/// Where the bracket closes that is open.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code(text) {
        match c {
            '[' => depth += 1,
            ']' if depth == 0 => return Some(at),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What is neither blank nor in a comment, nor within a string, of which only the quotes remain.
fn code(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut at = 0;
    let all = std::iter::from_fn(move || {
        let rest = &text[at..];
        let c = rest.chars().next()?;
        let (c, length) = match c {
            '/' if rest.starts_with("//") => (' ', rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => {
                (' ', rest.find("*/").map_or(rest.len(), |end| end + 2))
            }
            '"' => (c, string(rest)),
            _ => (c, c.len_utf8()),
        };
        at += length;
        // The last character, so that a string ends with its quote.
        Some((at - c.len_utf8(), c))
    });
    all.filter(|(_, c)| !c.is_whitespace())
}

/// The length of the string that begins here.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// The elements of a list on one line.
fn elements(list: &str) -> Vec<&str> {
    let mut depth = 0;
    list.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|element| !element.is_empty())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{Folder, registered};

    const NAME: &str = "m20260102_000000_two";

    #[test]
    fn a_lock_ends_with_its_generator_though_a_process_that_starts_shares_the_file() {
        let path = std::env::temp_dir().join(format!("record_folder_{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("lib.rs"), "").unwrap();
        let folder = Folder::lock(&path).unwrap();
        // What a child of another thread has between `fork` and `exec`.
        let shared = folder.held.try_clone().unwrap();
        drop(folder);
        let again = Folder::lock(&path).map(|_| ());
        drop(shared);
        std::fs::remove_dir_all(&path).unwrap();
        assert_eq!(again, Ok(()));
    }

    #[test]
    fn a_first_migration_is_registered() {
        let text = "pub use sea_orm_migration::prelude::*;\n\npub struct Migrator;\n\n\
            impl MigratorTrait for Migrator {\n    fn migrations() -> Vec<Box<dyn MigrationTrait>> {\n        \
            vec![]\n    }\n}\n";
        let expected = "pub use sea_orm_migration::prelude::*;\n\nmod m20260102_000000_two;\n\n\
            pub struct Migrator;\n\nimpl MigratorTrait for Migrator {\n    \
            fn migrations() -> Vec<Box<dyn MigrationTrait>> {\n        vec![\n            \
            Box::new(m20260102_000000_two::Migration),\n        ]\n    }\n}\n";
        assert_eq!(registered(text, NAME).as_deref(), Ok(expected));
    }

    #[test]
    fn another_comes_last() {
        for list in [
            "vec![Box::new(m20260101_000000_one::Migration)]",
            "vec![\n            Box::new(m20260101_000000_one::Migration)\n        ]",
            "vec![\n            Box::new(m20260101_000000_one::Migration),\n        ]",
        ] {
            let text = format!(
                "pub mod m20260101_000000_one;\n\nfn migrations() {{\n        {list}\n}}\n"
            );
            let expected = "pub mod m20260101_000000_one;\npub mod m20260102_000000_two;\n\n\
                fn migrations() {\n        vec![\n            \
                Box::new(m20260101_000000_one::Migration),\n            \
                Box::new(m20260102_000000_two::Migration),\n        ]\n}\n";
            assert_eq!(registered(&text, NAME).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn comments_in_the_list_stay_where_they_are() {
        let one = "Box::new(m20260101_000000_one::Migration)";
        for (list, expected) in [
            (
                format!("{one} // first, of [ many"),
                format!("{one}, // first, of [ many"),
            ),
            (format!("{one}, // first"), format!("{one}, // first")),
            (
                format!("{one}\n            // more, below\n            /* ] */"),
                format!("{one},\n            // more, below\n            /* ] */"),
            ),
            (
                r#"two("http://a, \"]", '→') // é"#.to_owned(),
                r#"two("http://a, \"]", '→'), // é"#.to_owned(),
            ),
            (r#"three!["//"]"#.to_owned(), r#"three!["//"],"#.to_owned()),
            ("// none yet".to_owned(), "// none yet".to_owned()),
        ] {
            let text =
                format!("fn migrations() {{\n        vec![\n            {list}\n        ]\n}}\n");
            let expected = format!(
                "mod {NAME};\n\nfn migrations() {{\n        vec![\n            {expected}\n            \
                 Box::new({NAME}::Migration),\n        ]\n}}\n"
            );
            assert_eq!(registered(&text, NAME), Ok(expected));
        }
        let text = "fn migrations() {\n        vec![/* none yet, */]\n}\n";
        let registered = registered(text, NAME).unwrap();
        let expected =
            format!("vec![/* none yet, */\n            Box::new({NAME}::Migration),\n        ]");
        assert!(registered.contains(&expected), "{registered}");
    }

    #[test]
    fn what_is_no_migrator_is_refused() {
        let problem = registered("fn main() {}\n", NAME).unwrap_err();
        assert!(problem.contains("mod m20260102_000000_two;"), "{problem}");
    }
}
