//! Which tables a statement writes to, as far as its text tells.

use std::borrow::Cow;

/// A table that a statement writes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Write<'s> {
    pub(super) statement: &'static str,
    pub(super) schema: Option<Cow<'s, str>>,
    pub(super) table: Cow<'s, str>,
}

/// The tables that a text writes to: the first of each statement, all of a TRUNCATE or a DELETE of
/// several, and all within WITH.
///
/// A prepared statement is one; other texts may hold several, up to one that makes a trigger, a
/// function or the like, whose body is no statement of ours.
pub(super) fn writes(text: &str, prepared: bool) -> Vec<Write<'_>> {
    if prepared && let Some(write) = of_a_save(text) {
        return vec![write];
    }
    let mut writes = Vec::new();
    let mut tokens = Tokens { rest: text };
    while let Some(first) = tokens.first_word() {
        let is_explained = is(first, &["explain", "analyze"]);
        let run = match is_explained {
            true => explained(first, &mut tokens),
            false => Some(first),
        };
        if let Some(first) = run.filter(|word| begins_write(word)) {
            let with = is(first, &["with"]);
            statement(first, &mut tokens, with, prepared, &mut writes);
        } else if is(first, &["create", "alter", "do"]) {
            break;
        }
        if prepared || !tokens.skip_statement() {
            break;
        }
    }
    writes
}

/// What SeaORM writes for a save, which nearly all writes are, and is to cost next to nothing: a verb,
/// and a table in quotes.
fn of_a_save(text: &str) -> Option<Write<'_>> {
    let starts = [("UPDATE", "UPDATE "), ("INSERT", "INSERT INTO ")];
    let mut starts = starts.into_iter();
    let (statement, rest) =
        starts.find_map(|(verb, start)| Some((verb, text.strip_prefix(start)?)))?;
    let quote = rest
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '`'))?;
    let (table, rest) = rest[quote.len_utf8()..].split_once(quote)?;
    // Nothing that may have a dot behind it, as a comment; a doubled quote ends nothing.
    let follows = |next: char| next.is_ascii_alphabetic() || next == '(';
    let is_table = rest
        .strip_prefix(' ')
        .is_some_and(|rest| rest.starts_with(follows));
    let write = Write {
        statement,
        schema: None,
        table: table.into(),
    };
    is_table.then_some(write)
}

fn begins_write(word: &str) -> bool {
    is(word, &["with"]) || verb(word).is_some()
}

/// Reads on to the statement that `EXPLAIN ANALYZE`, or MariaDB's `ANALYZE`, runs; there is none where
/// it is only planned, or is no write.
fn explained<'s>(first: &'s str, tokens: &mut Tokens<'s>) -> Option<&'s str> {
    let mut is_run = is(first, &["analyze"]);
    loop {
        let mut ahead = tokens.clone();
        match ahead.next()? {
            Token::Word(word) if begins_write(word) => {
                *tokens = ahead;
                return is_run.then_some(word);
            }
            Token::Word(word) if is(word, &["select", "table", "values", "execute"]) => {
                return None;
            }
            Token::Word(word) => is_run |= is(word, &["analyze", "analyse"]),
            Token::Other(';') => return None,
            _ => {}
        }
        *tokens = ahead;
    }
}

/// Reads on within a statement that begins with `word`.
fn statement<'s>(
    mut word: &'s str,
    tokens: &mut Tokens<'s>,
    with: bool,
    prepared: bool,
    writes: &mut Vec<Write<'s>>,
) {
    let mut before = "";
    loop {
        // FOR UPDATE, FOR NO KEY UPDATE, ON CONFLICT DO UPDATE, ON DUPLICATE KEY UPDATE.
        let is_clause = is(before, &["for", "key", "do", "on"]);
        if let Some(verb) = verb(word).filter(|_| !is_clause) {
            let written = written(verb, tokens).into_iter();
            writes.extend(written.map(|(schema, table)| Write {
                statement: verb,
                schema,
                table,
            }));
            if !with {
                return;
            }
        }
        before = word;
        word = loop {
            let mut ahead = tokens.clone();
            match ahead.next() {
                Some(Token::Word(word)) => {
                    *tokens = ahead;
                    break word;
                }
                Some(Token::Other(';')) if !prepared => return,
                Some(_) => *tokens = ahead,
                None => return,
            }
        };
    }
}

fn verb(word: &str) -> Option<&'static str> {
    let verbs = ["INSERT", "UPDATE", "DELETE", "REPLACE", "TRUNCATE", "MERGE"];
    verbs
        .into_iter()
        .find(|verb| word.eq_ignore_ascii_case(verb))
}

/// Words that may stand between a verb and its table.
const BETWEEN: &[&str] = &[
    "into",
    "from",
    "table",
    "only",
    "ignore",
    "low_priority",
    "high_priority",
    "delayed",
    "quick",
    "or",
    "abort",
    "fail",
    "rollback",
    "replace",
];

/// A table with its schema, if that is named.
type Name<'s> = (Option<Cow<'s, str>>, Cow<'s, str>);

/// The tables that follow a verb.
fn written<'s>(verb: &str, tokens: &mut Tokens<'s>) -> Vec<Name<'s>> {
    let mut names = Vec::from_iter(named(verb, tokens));
    if is(verb, &["truncate", "delete"]) {
        while tokens.pass_comma() {
            names.extend(named(verb, tokens));
        }
    }
    match tokens.clone().next() {
        // MySQL's DELETE of several tables: `DELETE a FROM article a`, `DELETE FROM a USING article a`.
        Some(Token::Word(word)) if is(verb, &["delete"]) && is(word, &["from", "using"]) => {
            let meant = |name| meant(name, tokens.clone());
            names.into_iter().map(meant).collect()
        }
        _ => names,
    }
}

/// The table that an alias stands for, by what follows FROM or USING; any other name as it is.
fn meant<'s>(name: Name<'s>, mut tokens: Tokens<'s>) -> Name<'s> {
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) if is(word, &["from", "using", "join"]) => {}
            Token::Other(',' | '(') => {}
            Token::Word(word) if is(word, &["where", "returning"]) => break,
            Token::Other(';') => break,
            _ => continue,
        }
        let Some(table) = named("", &mut tokens) else {
            continue;
        };
        let mut ahead = tokens.clone().filter(|token| !token.is_word("as"));
        let alias = match ahead.next() {
            Some(Token::Word(alias)) => alias.into(),
            Some(Token::Quoted(alias)) => alias,
            _ => continue,
        };
        if name.0.is_none() && name.1.eq_ignore_ascii_case(&alias) {
            return table;
        }
    }
    name
}

fn named<'s>(verb: &str, tokens: &mut Tokens<'s>) -> Option<Name<'s>> {
    let mut ahead = tokens.clone();
    let name = loop {
        match ahead.next()? {
            Token::Word(word) if is(word, BETWEEN) && !is(word, &[verb]) => {}
            Token::Word(word) => break word.into(),
            Token::Quoted(name) => break name,
            Token::Other('#') => ahead.skip_past("\n"),
            // A function of that name.
            Token::Other(_) => return None,
        }
    };
    *tokens = ahead;
    let mut name = (None, name);
    while let Some(Token::Other('.')) = tokens.clone().next() {
        tokens.next();
        match tokens.next()? {
            Token::Word(word) => name = (Some(name.1), word.into()),
            Token::Quoted(word) => name = (Some(name.1), word),
            // MySQL's `DELETE a.* FROM article a`.
            Token::Other('*') => break,
            Token::Other(_) => return None,
        }
    }
    Some(name)
}

fn is(word: &str, words: &[&str]) -> bool {
    words.iter().any(|other| word.eq_ignore_ascii_case(other))
}

enum Token<'s> {
    Word(&'s str),
    /// An identifier in quotes, without them.
    Quoted(Cow<'s, str>),
    Other(char),
}

impl Token<'_> {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(other) if is(other, &[word]))
    }
}

/// The tokens of a text; strings and comments are passed over.
#[derive(Clone)]
struct Tokens<'s> {
    rest: &'s str,
}

impl<'s> Tokens<'s> {
    /// The word with which a statement begins. Before it `#` begins a comment, as always on MySQL;
    /// later on it is an operator of PostgreSQL's.
    fn first_word(&mut self) -> Option<&'s str> {
        loop {
            match self.next()? {
                Token::Word(word) => return Some(word),
                Token::Other('#') => self.skip_past("\n"),
                _ => {}
            }
        }
    }

    /// Goes on to the next statement, if there is one.
    fn skip_statement(&mut self) -> bool {
        self.any(|token| matches!(token, Token::Other(';')))
    }

    /// Passes over a comma, if one follows; PostgreSQL's `*` for heirs of a table may come before it.
    fn pass_comma(&mut self) -> bool {
        let mut ahead = self.clone();
        let token = match ahead.next() {
            Some(Token::Other('*')) => ahead.next(),
            token => token,
        };
        let is_comma = matches!(token, Some(Token::Other(',')));
        if is_comma {
            *self = ahead;
        }
        is_comma
    }

    /// Up to the end of what begins with a quote; a doubled quote stands for itself.
    fn quoted(&mut self, end: char) -> Cow<'s, str> {
        let (whole, after) = (self.rest, end.len_utf8());
        let (mut from, mut is_doubled) = (0, false);
        let (text, rest) = loop {
            match whole[from..].find(end).map(|at| from + at) {
                Some(at) if whole[at + after..].starts_with(end) => {
                    (from, is_doubled) = (at + 2 * after, true);
                }
                Some(at) => break (&whole[..at], &whole[at + after..]),
                None => break (whole, ""),
            }
        };
        self.rest = rest;
        match is_doubled {
            true => text
                .replace(&format!("{end}{end}"), &end.to_string())
                .into(),
            false => text.into(),
        }
    }

    /// Comments are nested on PostgreSQL. Where that does not come out even, they are another's,
    /// and end at the first end.
    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        let mut at = 0;
        while let Some(mark) = self.rest[at..].find(['/', '*']) {
            at += mark;
            let step = match self.rest.get(at..at + 2) {
                Some("/*") => 1,
                Some("*/") => -1,
                _ => {
                    at += 1;
                    continue;
                }
            };
            at += 2;
            depth = depth.saturating_add_signed(step);
            if depth == 0 {
                self.rest = &self.rest[at..];
                return;
            }
        }
        self.rest = &self.rest["/*".len()..];
        self.skip_past("*/");
    }

    fn skip_past(&mut self, end: &str) {
        let at = self.rest.find(end).map(|at| at + end.len());
        self.rest = &self.rest[at.unwrap_or(self.rest.len())..];
    }
}

impl<'s> Iterator for Tokens<'s> {
    type Item = Token<'s>;

    fn next(&mut self) -> Option<Token<'s>> {
        loop {
            self.rest = self.rest.trim_start();
            let first = self.rest.chars().next()?;
            let part_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            if part_of_word(first) {
                let end = self.rest.find(|c| !part_of_word(c));
                let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                return Some(Token::Word(word));
            }
            if self.rest.starts_with("--") {
                self.skip_past("\n");
                continue;
            }
            if self.rest.starts_with("/*") {
                self.skip_comment();
                continue;
            }
            self.rest = &self.rest[first.len_utf8()..];
            match first {
                '\'' => drop(self.quoted('\'')),
                '"' | '`' => return Some(Token::Quoted(self.quoted(first))),
                '[' => return Some(Token::Quoted(self.quoted(']'))),
                other => return Some(Token::Other(other)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::writes;

    fn tables(text: &str, prepared: bool) -> Vec<String> {
        let writes = writes(text, prepared).into_iter();
        let name = |write: super::Write| match write.schema {
            Some(schema) => format!("{} {schema}.{}", write.statement, write.table),
            None => format!("{} {}", write.statement, write.table),
        };
        writes.map(name).collect()
    }

    #[test]
    fn the_table_that_a_statement_writes_to_is_found_whatever_its_spelling() {
        for (text, expected) in [
            (
                r#"INSERT INTO "article" ("id") VALUES ($1) ON CONFLICT ("id") DO UPDATE SET "id" = 1"#,
                "INSERT article",
            ),
            (
                "insert or replace into `blog`.`article` values (1)",
                "INSERT blog.article",
            ),
            (
                "INSERT IGNORE article VALUES (1) ON DUPLICATE KEY UPDATE id = id",
                "INSERT article",
            ),
            ("REPLACE INTO article VALUES (1)", "REPLACE article"),
            (r#"UPDATE "article" SET "id" = 1"#, "UPDATE article"),
            (
                r#"UPDATE "blog"."article" SET "id" = 1"#,
                "UPDATE blog.article",
            ),
            (
                r#"UPDATE "blog" /* */ . "article" SET x = 1"#,
                "UPDATE blog.article",
            ),
            (
                r#"UPDATE "blog" . "article" SET x = 1"#,
                "UPDATE blog.article",
            ),
            ("INSERT INTO `art``icle` (`id`)", "INSERT art`icle"),
            (
                "  /* why */ -- so\n UPDATE ONLY article SET title = 'DELETE FROM topic'",
                "UPDATE article",
            ),
            (
                "DELETE FROM \"we\"\"ird\".[art icle] WHERE id = 1",
                "DELETE we\"ird.art icle",
            ),
            ("TRUNCATE TABLE article", "TRUNCATE article"),
            ("MERGE INTO article USING topic ON true", "MERGE article"),
            ("UPDATE a.b.article SET x = 1", "UPDATE b.article"),
            (
                "# why, it's\n#so\nUPDATE # and\n article SET x = 1",
                "UPDATE article",
            ),
            (
                "/* a /* UPDATE topic */ b */ UPDATE article SET x = 1",
                "UPDATE article",
            ),
            // A comment that does not nest, as on MySQL and SQLite.
            ("/* a /* b */ UPDATE article SET x = 1", "UPDATE article"),
            (
                "explain (analyze, buffers, format json) UPDATE article SET x = 1",
                "UPDATE article",
            ),
            (
                "EXPLAIN ANALYZE VERBOSE WITH x AS (SELECT 1) DELETE FROM article",
                "DELETE article",
            ),
            ("ANALYZE FORMAT=JSON DELETE FROM article", "DELETE article"),
            (
                "DELETE a FROM blog.article AS a JOIN topic t ON a.id = t.id",
                "DELETE blog.article",
            ),
            (
                "DELETE a.* FROM topic t, article a WHERE a.id = t.id",
                "DELETE article",
            ),
            (
                "DELETE FROM A USING topic t JOIN `article` a",
                "DELETE article",
            ),
            ("DELETE article FROM article JOIN topic a", "DELETE article"),
            (
                "DELETE FROM article USING topic a WHERE a.id = article.id",
                "DELETE article",
            ),
        ] {
            assert_eq!(tables(text, true), [expected], "{text}");
        }
    }

    #[test]
    fn what_writes_to_nothing_is_passed_over() {
        for text in [
            "",
            "SELECT * FROM article FOR UPDATE",
            "SELECT replace(title, 'a', 'b') FROM article",
            "WITH a AS (SELECT * FROM article FOR NO KEY UPDATE) SELECT * FROM a",
            "CREATE TABLE x (id int REFERENCES article ON UPDATE CASCADE ON DELETE CASCADE)",
            "'unfinished",
            "INSERT",
            "UPDATE (",
            "EXPLAIN UPDATE article SET x = 1",
            "EXPLAIN QUERY PLAN DELETE FROM article",
            "EXPLAIN ANALYZE SELECT * FROM article FOR UPDATE",
            "ANALYZE TABLE article",
            "ANALYZE",
            "EXPLAIN ANALYZE",
            "/* UPDATE article",
            "/*/ UPDATE article",
            "# UPDATE article",
            "SELECT 1 # 2 AS x, 'UPDATE article'",
            "DELETE FROM a.",
        ] {
            assert_eq!(tables(text, true), Vec::<String>::new(), "{text}");
            assert_eq!(tables(text, false), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn all_tables_that_are_emptied_or_deleted_from_are_found() {
        for text in [
            "TRUNCATE article, ONLY blog.topic RESTART IDENTITY",
            "TRUNCATE TABLE ONLY article *, \"blog\".\"topic\" CASCADE",
        ] {
            let expected = ["TRUNCATE article", "TRUNCATE blog.topic"];
            assert_eq!(tables(text, true), expected, "{text}");
        }
        for text in [
            "DELETE LOW_PRIORITY a, t.* FROM article a INNER JOIN blog.topic t ON t.id = a.topic_id",
            "DELETE FROM a, t USING article AS a, blog.topic AS t WHERE t.id = a.topic_id",
        ] {
            let expected = ["DELETE article", "DELETE blog.topic"];
            assert_eq!(tables(text, true), expected, "{text}");
        }
    }

    #[test]
    fn writes_within_with_and_after_other_statements_are_found() {
        let with =
            "WITH gone AS (DELETE FROM topic RETURNING id), x AS (SELECT 1 FROM article FOR UPDATE)
                    UPDATE article SET title = '' WHERE id IN (SELECT id FROM gone)";
        assert_eq!(tables(with, true), ["DELETE topic", "UPDATE article"]);
        let several = "SELECT 1; UPDATE article SET title = ';'; SET x = 1; EXPLAIN SELECT 1;
                       # it's\n DELETE FROM topic";
        assert_eq!(tables(several, false), ["UPDATE article", "DELETE topic"]);
        let trigger = "UPDATE article SET x = 1; CREATE TRIGGER t AFTER UPDATE ON article BEGIN DELETE FROM topic; END";
        assert_eq!(tables(trigger, false), ["UPDATE article"]);
    }
}
