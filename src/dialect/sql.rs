//! A statement under construction.

use sea_orm::DbBackend;

use super::Dialect;

/// A statement under construction: its text, and its values in the order of their placeholders.
#[derive(Debug)]
pub(crate) struct Sql {
    dialect: Dialect,
    text: String,
    placeholders: usize,
}

impl Sql {
    pub(super) fn of(dialect: Dialect) -> Self {
        Self {
            dialect,
            text: String::with_capacity(512),
            placeholders: 0,
        }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(crate) fn ident(&mut self, name: &str) -> &mut Self {
        let quote = self.dialect.quote();
        self.text.push(quote);
        for c in name.chars() {
            if c == quote {
                self.text.push(quote);
            }
            self.text.push(c);
        }
        self.text.push(quote);
        self
    }

    /// `alias.column`
    pub(crate) fn column(&mut self, alias: &str, name: &str) -> &mut Self {
        self.push(alias).push(".").ident(name)
    }

    pub(crate) fn placeholder(&mut self) -> &mut Self {
        self.placeholders += 1;
        match self.dialect.0 {
            DbBackend::Postgres => self.text.push_str(&format!("${}", self.placeholders)),
            _ => self.text.push('?'),
        }
        self
    }

    pub(crate) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        separator: &str,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(separator);
            }
            write(self, item);
        }
        self
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}
