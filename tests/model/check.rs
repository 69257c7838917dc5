//! What must hold when nothing is in flight. What records must say is computed here from the tables
//! as they are, by none of the library's code, and compared with what each task knows of its own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{EntityTrait, QueryOrder};
use sea_orm_record::{Event, Recorded, verify};

use super::run::Stage;
use super::state::{Article, Own};
use super::tables::{article, headline, link, tag, topic};
use super::waits;

/// A recorded row: the values that its record must hold.
type Articles = BTreeMap<i32, (String, Option<i32>, Option<i32>, String)>;
type Topics = BTreeMap<i32, String>;

/// What was there at moments at which nothing was in flight.
#[derive(Default)]
pub struct Past {
    moments: Vec<(DateTime<Utc>, Articles, Topics)>,
}

/// All tables.
struct World {
    topics: BTreeMap<i32, topic::Model>,
    articles: BTreeMap<i32, article::Model>,
    tags: BTreeMap<i32, tag::Model>,
    links: BTreeMap<i32, BTreeSet<i32>>,
    topic_records: BTreeMap<i32, Vec<topic::record::Model>>,
    article_records: BTreeMap<i32, Vec<article::record::Model>>,
}

impl World {
    async fn read(stage: &Stage) -> Self {
        let db = &stage.reader;
        let mut links: BTreeMap<i32, BTreeSet<i32>> = BTreeMap::new();
        for link in link::Entity::find().all(db).await.unwrap() {
            links
                .entry(link.article_id)
                .or_default()
                .insert(link.tag_id);
        }
        let records = topic::record::Entity::find().order_by_asc(topic::record::Column::RecordedAt);
        let mut topic_records: BTreeMap<i32, Vec<_>> = BTreeMap::new();
        for record in records.all(db).await.unwrap() {
            topic_records
                .entry(record.recording_id)
                .or_default()
                .push(record);
        }
        let records =
            article::record::Entity::find().order_by_asc(article::record::Column::RecordedAt);
        let mut article_records: BTreeMap<i32, Vec<_>> = BTreeMap::new();
        for record in records.all(db).await.unwrap() {
            article_records
                .entry(record.recording_id)
                .or_default()
                .push(record);
        }
        let topics = topic::Entity::find().all(db).await.unwrap();
        let articles = article::Entity::find().all(db).await.unwrap();
        let tags = tag::Entity::find().all(db).await.unwrap();
        Self {
            topics: topics.into_iter().map(|row| (row.id, row)).collect(),
            articles: articles.into_iter().map(|row| (row.id, row)).collect(),
            tags: tags.into_iter().map(|row| (row.id, row)).collect(),
            links,
            topic_records,
            article_records,
        }
    }

    fn headline(&self, article: &article::Model) -> String {
        let tags = self.links.get(&article.id).into_iter().flatten();
        headline(
            article.topic_id.map(|id| &self.topics[&id].name),
            tags.map(|id| &self.tags[id].name),
            article.see_id.map(|id| &self.articles[&id].title),
        )
    }

    fn snapshots(&self) -> Articles {
        let articles = self.articles.values().map(|row| {
            let headline = self.headline(row);
            (
                row.id,
                (row.title.clone(), row.stars, row.topic_id, headline),
            )
        });
        articles.collect()
    }

    fn names(&self) -> Topics {
        self.topics
            .values()
            .map(|row| (row.id, row.name.clone()))
            .collect()
    }

    /// The articles of a task, as the tables have them.
    fn of_task(&self, task: i32) -> BTreeMap<i32, Article> {
        let rows = self.articles.values().filter(|row| row.owner == task);
        let article = |row: &article::Model| Article {
            code: row.code.clone(),
            title: row.title.clone(),
            topic: row.topic_id,
            see: row.see_id,
            tags: self.links.get(&row.id).cloned().unwrap_or_default(),
        };
        rows.map(|row| (row.id, article(row))).collect()
    }
}

fn told(record: &article::record::Model) -> (String, Option<i32>, Option<i32>, String) {
    (
        record.title.clone(),
        record.stars,
        record.topic_id,
        record.headline.clone(),
    )
}

/// Checks all that must hold between phases.
pub async fn at_rest(stage: &Stage, owns: &mut [(Own, bool)], past: &mut Past) {
    waits::quiet(&stage.db).await;
    let world = World::read(stage).await;
    for (at, (own, doubtful)) in owns.iter_mut().enumerate() {
        let stored = world.of_task(at as i32 + 1);
        if *doubtful {
            own.articles = stored;
            own.topics.retain(|id| world.topics.contains_key(id));
            own.recorded();
        } else {
            assert_eq!(own.articles, stored, "the articles of task {}", at + 1);
        }
    }
    histories_are_right(&world);
    trails_are_right(&world, owns);
    nothing_unsaid(&world, owns);
    let found = verify(article::Entity).exec(&stage.db).await.unwrap();
    assert!(found.is_clean(), "verify: {found:?}");
    let found = verify(topic::Entity).exec(&stage.db).await.unwrap();
    assert!(found.is_clean(), "verify: {found:?}");
    past.remember(&world).await;
}

/// The latest record says what the row is, neighbours differ, times increase.
fn histories_are_right(world: &World) {
    let snapshots = world.snapshots();
    for (id, snapshot) in &snapshots {
        let latest = world
            .article_records
            .get(id)
            .and_then(|records| records.last());
        let latest = latest.unwrap_or_else(|| panic!("no record of article {id}: {snapshot:?}"));
        assert_ne!(latest.event, Event::Deleted, "article {id}: {latest:?}");
        assert_eq!(&told(latest), snapshot, "article {id}: {latest:?}");
    }
    for (id, records) in &world.article_records {
        let is_gone = records[records.len() - 1].event == Event::Deleted;
        assert_eq!(
            is_gone,
            !snapshots.contains_key(id),
            "article {id}: {records:#?}"
        );
        for pair in records.windows(2) {
            assert!(
                pair[0].recorded_at < pair[1].recorded_at,
                "article {id}: {pair:#?}"
            );
            let gone = |record: &article::record::Model| record.event == Event::Deleted;
            let same = told(&pair[0]) == told(&pair[1]) && gone(&pair[0]) == gone(&pair[1]);
            assert!(!same, "article {id}: {pair:#?}");
        }
    }
    let names = world.names();
    for (id, name) in &names {
        let latest = world
            .topic_records
            .get(id)
            .and_then(|records| records.last());
        let latest = latest.unwrap_or_else(|| panic!("no record of topic {id}: {name}"));
        assert_eq!(
            (&latest.name, latest.event == Event::Deleted),
            (name, false),
            "topic {id}"
        );
    }
    for (id, records) in &world.topic_records {
        let is_gone = records[records.len() - 1].event == Event::Deleted;
        assert_eq!(is_gone, !names.contains_key(id), "topic {id}: {records:#?}");
        for pair in records.windows(2) {
            assert!(
                pair[0].recorded_at < pair[1].recorded_at,
                "topic {id}: {pair:#?}"
            );
            let told = |record: &topic::record::Model| {
                (record.name.clone(), record.event == Event::Deleted)
            };
            assert_ne!(told(&pair[0]), told(&pair[1]), "topic {id}: {pair:#?}");
        }
    }
}

/// The records of a task's article say what its task did to it, in that order, and nothing else.
fn trails_are_right(world: &World, owns: &[(Own, bool)]) {
    for (id, trail) in owns.iter().flat_map(|(own, _)| &own.trail) {
        let records = world.article_records.get(id).into_iter().flatten();
        let mut faces: Vec<_> = records
            .map(|record| {
                let is_there = record.event != Event::Deleted;
                is_there.then(|| (record.title.clone(), record.topic_id))
            })
            .collect();
        faces.dedup();
        assert_eq!(
            &faces, trail,
            "article {id}: what was recorded, and what was done"
        );
    }
}

/// What was rolled back stands nowhere, neither in rows nor in records.
fn nothing_unsaid(world: &World, owns: &[(Own, bool)]) {
    let said: BTreeSet<&str> = owns
        .iter()
        .flat_map(|(own, _)| &own.said)
        .map(String::as_str)
        .collect();
    let check = |text: &str, place: &str| {
        let known = ["first", "second", "-", ""].contains(&text) || said.contains(text);
        let mut taken_back = owns.iter().filter_map(|(own, _)| own.unsaid.get(text));
        let why = taken_back.next();
        assert!(known, "{place} has {text}, which was taken back: {why:?}");
    };
    world
        .tags
        .values()
        .for_each(|tag| check(&tag.name, "a tag"));
    world
        .topics
        .values()
        .for_each(|topic| check(&topic.name, "a topic"));
    for record in world.topic_records.values().flatten() {
        check(&record.name, "the record of a topic");
    }
    for record in world.article_records.values().flatten() {
        check(&record.title, "the record of an article");
        let stars = record
            .stars
            .map_or_else(String::new, |stars| stars.to_string());
        check(&stars, "the record of an article");
        let names = record.headline.split(['|', ',']);
        names.for_each(|name| check(name, "a headline"));
    }
}

impl Past {
    /// Remembers what is, by a moment that later records come after.
    async fn remember(&mut self, world: &World) {
        let articles = world
            .article_records
            .values()
            .flatten()
            .map(|record| record.recorded_at);
        let topics = world
            .topic_records
            .values()
            .flatten()
            .map(|record| record.recorded_at);
        let last = articles.chain(topics).max().unwrap_or_default();
        let moment = last.max(Utc::now());
        while Utc::now() <= moment + TimeDelta::microseconds(10) {
            tokio::time::sleep(std::time::Duration::from_micros(100)).await;
        }
        self.moments
            .push((moment, world.snapshots(), world.names()));
    }
}

/// Checks what must hold of a whole program: each moment at which nothing was in flight is still as
/// it was.
pub async fn whole(stage: &Stage, past: &Past) {
    for (moment, articles, topics) in &past.moments {
        let found = article::Entity::as_of(*moment)
            .all(&stage.reader)
            .await
            .unwrap();
        let found: Articles = found
            .iter()
            .map(|record| (record.recording_id, told(record)))
            .collect();
        assert_eq!(&found, articles, "articles as of {moment}");
        let found = topic::Entity::as_of(*moment)
            .all(&stage.reader)
            .await
            .unwrap();
        let found: Topics = found
            .into_iter()
            .map(|record| (record.recording_id, record.name))
            .collect();
        assert_eq!(&found, topics, "topics as of {moment}");
    }
}
