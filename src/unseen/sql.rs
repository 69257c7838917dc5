//! Which tables a statement writes to, as far as its text tells.

/// A table that a statement writes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) statement: &'static str,
    pub(super) schema: Option<String>,
    pub(super) table: String,
}

/// The tables that a text writes to: the first of each statement, and all within WITH.
///
/// A prepared statement is one; other texts may hold several, up to one that makes a trigger, a
/// function or the like, whose body is no statement of ours.
pub(super) fn writes(text: &str, prepared: bool) -> Vec<Write> {
    let mut writes = Vec::new();
    let mut tokens = Tokens { rest: text };
    while let Some(first) = tokens
        .by_ref()
        .find(|token| matches!(token, Token::Word(_)))
    {
        let Token::Word(first) = first else { break };
        let with = is(first, &["with"]);
        if with || verb(first).is_some() {
            statement(first, &mut tokens, with, prepared, &mut writes);
        } else if prepared || is(first, &["create", "alter", "do"]) {
            break;
        }
        if prepared || !tokens.skip_statement() {
            break;
        }
    }
    writes
}

/// Reads on within a statement that begins with `word`.
fn statement<'s>(
    mut word: &'s str,
    tokens: &mut Tokens<'s>,
    with: bool,
    prepared: bool,
    writes: &mut Vec<Write>,
) {
    let mut before = "";
    loop {
        // FOR UPDATE, FOR NO KEY UPDATE, ON CONFLICT DO UPDATE, ON DUPLICATE KEY UPDATE.
        let is_clause = is(before, &["for", "key", "do", "on"]);
        if let Some(verb) = verb(word).filter(|_| !is_clause) {
            if let Some((schema, table)) = named(verb, tokens) {
                writes.push(Write {
                    statement: verb,
                    schema,
                    table,
                });
            }
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

fn named(verb: &str, tokens: &mut Tokens<'_>) -> Option<(Option<String>, String)> {
    let mut ahead = tokens.clone();
    let name = loop {
        match ahead.next()? {
            Token::Word(word) if is(word, BETWEEN) && !is(word, &[verb]) => {}
            Token::Word(word) => break word.to_owned(),
            Token::Quoted(name) => break name,
            // A function of that name.
            Token::Other(_) => return None,
        }
    };
    *tokens = ahead;
    let mut name = (None, name);
    while let Some(Token::Other('.')) = tokens.clone().next() {
        tokens.next();
        match tokens.next()? {
            Token::Word(word) => name = (Some(name.1), word.to_owned()),
            Token::Quoted(word) => name = (Some(name.1), word),
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
    Quoted(String),
    Other(char),
}

/// The tokens of a text; strings and comments are passed over.
#[derive(Clone)]
struct Tokens<'s> {
    rest: &'s str,
}

impl<'s> Tokens<'s> {
    /// Goes on to the next statement, if there is one.
    fn skip_statement(&mut self) -> bool {
        self.any(|token| matches!(token, Token::Other(';')))
    }

    /// Up to the end of what begins with a quote; a doubled quote stands for itself.
    fn quoted(&mut self, end: char) -> String {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c != end {
                text.push(c);
            } else if chars.next_if(|(_, next)| *next == end).is_some() {
                text.push(end);
            } else {
                self.rest = &self.rest[at + c.len_utf8()..];
                return text;
            }
        }
        self.rest = "";
        text
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
                self.skip_past("*/");
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
            "DELETE FROM a.",
        ] {
            assert_eq!(tables(text, true), Vec::<String>::new(), "{text}");
            assert_eq!(tables(text, false), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn writes_within_with_and_after_other_statements_are_found() {
        let with =
            "WITH gone AS (DELETE FROM topic RETURNING id), x AS (SELECT 1 FROM article FOR UPDATE)
                    UPDATE article SET title = '' WHERE id IN (SELECT id FROM gone)";
        assert_eq!(tables(with, true), ["DELETE topic", "UPDATE article"]);
        let several = "SELECT 1; UPDATE article SET title = ';'; SET x = 1; DELETE FROM topic";
        assert_eq!(tables(several, false), ["UPDATE article", "DELETE topic"]);
        let trigger = "UPDATE article SET x = 1; CREATE TRIGGER t AFTER UPDATE ON article BEGIN DELETE FROM topic; END";
        assert_eq!(tables(trigger, false), ["UPDATE article"]);
    }
}
