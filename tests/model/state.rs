//! The model: what each task has committed, and what all have said.
//!
//! Each task alone writes its own articles, but for their stars, so that it knows exactly what they
//! are. Topics, tags and landmark articles are written by all: of those the model knows what may
//! have been said, each text and number being new whenever one is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use sea_orm::DbErr;

/// An article, as its task left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    pub code: String,
    pub title: String,
    pub topic: Option<i32>,
    pub see: Option<i32>,
    pub tags: BTreeSet<i32>,
}

/// What the records of a task's article say of it one after another: title and topic, or that it is
/// gone.
pub type Face = Option<(String, Option<i32>)>;

/// What one task knows of its own.
#[derive(Clone, Debug, Default)]
pub struct Own {
    pub articles: BTreeMap<i32, Article>,
    /// Topics that it made.
    pub topics: BTreeSet<i32>,
    /// The faces of each article, as they were recorded.
    pub trail: BTreeMap<i32, Vec<Face>>,
    /// Texts and numbers that it wrote.
    pub said: BTreeSet<String>,
    /// Those that it wrote in vain, and why.
    pub unsaid: BTreeMap<String, String>,
    /// Operations that it has done.
    pub operations: usize,
    /// Whether the one under way found nothing to do, and does not count.
    pub idle: bool,
}

/// What all tasks share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub topics: Vec<i32>,
    pub tags: Vec<i32>,
    /// Articles that all write: their keys and codes.
    pub landmarks: Vec<(i32, String)>,
    next: Arc<AtomicI32>,
}

impl Shared {
    pub fn new(topics: Vec<i32>, tags: Vec<i32>, landmarks: Vec<(i32, String)>) -> Self {
        let next = Arc::new(AtomicI32::new(1));
        Self {
            topics,
            tags,
            landmarks,
            next,
        }
    }

    pub fn topic(&self, at: u8) -> i32 {
        self.topics[at as usize % self.topics.len()]
    }

    pub fn tag(&self, at: u8) -> i32 {
        self.tags[at as usize % self.tags.len()]
    }

    pub fn landmark(&self, at: u8) -> i32 {
        self.landmarks[at as usize % self.landmarks.len()].0
    }

    /// A number that nobody had.
    pub fn number(&self) -> i32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

impl Own {
    /// Ends an operation that found nothing to do.
    pub fn idles(&mut self) -> Result<(), DbErr> {
        self.idle = true;
        Ok(())
    }

    /// A text that nobody wrote, about to be written.
    pub fn say(&mut self, shared: &Shared) -> String {
        let text = format!("n{}", shared.number());
        self.said.insert(text.clone());
        text
    }

    /// A number that nobody wrote, about to be written.
    pub fn say_number(&mut self, shared: &Shared) -> i32 {
        let number = shared.number();
        self.said.insert(number.to_string());
        number
    }

    /// What `other` says beyond this came to nothing.
    pub fn unsay(&mut self, other: &Self, why: &str) {
        self.operations = other.operations;
        self.unsaid.extend(other.unsaid.clone());
        for text in other.said.difference(&self.said) {
            self.unsaid.insert(text.clone(), why.to_owned());
        }
    }

    /// One of its articles.
    pub fn article(&self, at: u8) -> Option<(i32, Article)> {
        let count = self.articles.len().max(1);
        let found = self.articles.iter().nth(at as usize % count);
        found.map(|(id, article)| (*id, article.clone()))
    }

    /// One of its topics.
    pub fn topic(&self, at: u8) -> Option<i32> {
        let count = self.topics.len().max(1);
        self.topics.iter().nth(at as usize % count).copied()
    }

    pub fn edit(&mut self, id: i32, edit: impl FnOnce(&mut Article)) {
        edit(self.articles.get_mut(&id).expect("an article of its own"));
    }

    /// An article is gone: who saw it sees nothing.
    pub fn lose(&mut self, id: i32) {
        self.articles.remove(&id);
        for article in self.articles.values_mut() {
            article.see = article.see.filter(|see| *see != id);
        }
    }

    pub fn lose_topic(&mut self, id: i32) {
        self.topics.remove(&id);
        for article in self.articles.values_mut() {
            article.topic = article.topic.filter(|topic| *topic != id);
        }
    }

    /// What is now has been recorded.
    pub fn recorded(&mut self) {
        for (id, article) in &self.articles {
            let face = Some((article.title.clone(), article.topic));
            let faces = self.trail.entry(*id).or_default();
            if faces.last() != Some(&face) {
                faces.push(face);
            }
        }
        for (id, faces) in &mut self.trail {
            if !self.articles.contains_key(id) && faces.last() != Some(&None) {
                faces.push(None);
            }
        }
    }
}
