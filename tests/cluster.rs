//! A Galera cluster of three nodes. `scripts/cluster-test` starts it, kills nodes when these tests ask
//! for it, and starts them again.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    QueryOrder, Set, Statement,
};
use sea_orm_record::{is_retryable, verify};

use crate::blog::{self, article, note, topic};
use crate::faults::{assert_whole, connect, count_records, create_tables, load, until_recorded};
use crate::harness::{Engine, TestDb};

/// The nodes, and the directory in which the script and the test leave word for each other.
struct Cluster {
    nodes: Vec<String>,
    signals: PathBuf,
}

impl Cluster {
    fn of_the_script() -> Self {
        let variable = |name| std::env::var(name).expect("run scripts/cluster-test");
        let nodes = variable("RECORD_CLUSTER");
        Self {
            nodes: nodes.split(',').map(str::to_owned).collect(),
            signals: variable("RECORD_CLUSTER_SIGNALS").into(),
        }
    }

    /// The database of a test on one of the nodes, once that node serves.
    async fn connect(&self, node: usize, test: &TestDb) -> DatabaseConnection {
        let began = Instant::now();
        loop {
            match self.is_ready(node).await {
                Ok(true) => return connect(&self.url(node, test)).await,
                _ if began.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                other => panic!("node {node} does not serve: {other:?}"),
            }
        }
    }

    fn url(&self, node: usize, test: &TestDb) -> String {
        format!("{}/{}", self.nodes[node], test.name())
    }

    async fn is_ready(&self, node: usize) -> Result<bool, DbErr> {
        let db = Database::connect(format!("{}/mysql", self.nodes[node])).await?;
        let ready = "SHOW STATUS LIKE 'wsrep_ready'";
        let row = db.query_one_raw(Statement::from_string(DbBackend::MySql, ready));
        let ready: String = row.await?.expect("Galera").try_get("", "Value")?;
        db.close().await?;
        Ok(ready == "ON")
    }

    /// Leaves word for the script, and waits for its answer.
    async fn ask(&self, word: &str) {
        std::fs::write(self.signals.join(word), "").unwrap();
        let answer = self.signals.join(format!("{word}.done"));
        let began = Instant::now();
        while !answer.exists() {
            assert!(
                began.elapsed() < PATIENCE,
                "the script does not answer {word}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(120);

/// A database of its own, made on the first node.
async fn database(name: &str) -> TestDb {
    TestDb::new(Engine::MariaDb, name).await
}

/// Reads until it is over, or the node is: the past does not change, whatever comes.
async fn read(db: &DatabaseConnection, is_over: &(impl Fn() -> bool + Sync)) -> usize {
    let mut known: Vec<(i32, chrono::DateTime<chrono::Utc>)> = Vec::new();
    let mut reads = 0;
    while !is_over() {
        let records = note::record::Entity::find()
            .order_by_asc(note::record::Column::RecordingId)
            .order_by_asc(note::record::Column::RecordedAt);
        let Ok(records) = records.all(db).await else {
            return reads;
        };
        let now: Vec<_> = records
            .iter()
            .map(|record| (record.recording_id, record.recorded_at))
            .collect();
        for pair in &known {
            assert!(
                now.binary_search(pair).is_ok(),
                "{pair:?} was there, and is gone"
            );
        }
        known = now;
        reads += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    reads
}

/// The notes that a client was told are committed and that are not there, or not recorded.
async fn lost(db: &DatabaseConnection, acknowledged: &[i32]) -> Vec<i32> {
    let notes = note::Entity::find().all(db).await.unwrap();
    let notes: HashSet<i32> = notes.iter().map(|note| note.id).collect();
    let records = note::record::Entity::find().all(db).await.unwrap();
    let recorded: HashSet<i32> = records.iter().map(|record| record.recording_id).collect();
    let is_lost = |id: &&i32| !notes.contains(id) || !recorded.contains(id);
    acknowledged.iter().filter(is_lost).copied().collect()
}

/// Load on one node and readers on the others; the node is killed under it; the load goes on on the
/// next; the first comes back. Three rounds, each with another node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by scripts/cluster-test, which brings the cluster"]
async fn a_writing_node_that_is_killed_loses_nothing_that_was_committed() {
    let cluster = Cluster::of_the_script();
    let test = database("killed_node").await;
    create_tables(&cluster.connect(0, &test).await).await;
    let acknowledged = Mutex::new(Vec::new());
    let note_down = |id: i32| acknowledged.lock().unwrap().push(id);
    for round in 0..3 {
        let writer = cluster.connect(round, &test).await;
        let next = (round + 1) % 3;
        let readers = [
            cluster.connect(next, &test).await,
            cluster.connect((round + 2) % 3, &test).await,
        ];
        let is_killed = AtomicBool::new(false);
        let is_over = || is_killed.load(Ordering::Relaxed);
        let kill = async {
            let before = count_records(&writer).await;
            until_recorded(&readers[0], before + 300).await;
            // Not always at the same place.
            tokio::time::sleep(Duration::from_millis(37 * round as u64)).await;
            cluster.ask(&format!("kill{round}")).await;
            is_killed.store(true, Ordering::Relaxed);
        };
        let writers = join_all((0..4).map(|kind| load(&writer, kind, &is_over, &note_down)));
        let reading = join_all(readers.iter().map(|reader| read(reader, &is_over)));
        let (ended, reads, ()) = tokio::join!(writers, reading, kill);
        assert!(ended.iter().any(Result::is_err), "the node was not killed");
        let before_failover = acknowledged.lock().unwrap().len();

        // What was in flight on the killed node is certified or gone by the time the next serves.
        let writer = cluster.connect(next, &test).await;
        assert_whole(&writer).await;
        let began = Instant::now();
        let is_over = || began.elapsed() > Duration::from_secs(2);
        let writers = (0..4).map(|kind| load(&writer, kind, &is_over, &note_down));
        for ended in join_all(writers).await {
            ended.unwrap();
        }
        cluster.ask(&format!("restart{round}")).await;
        for node in 0..3 {
            let db = cluster.connect(node, &test).await;
            assert_whole(&db).await;
            let acknowledged = acknowledged.lock().unwrap().clone();
            assert_eq!(lost(&db, &acknowledged).await, [0; 0], "of node {node}");
        }
        let acknowledged = acknowledged.lock().unwrap().len();
        println!(
            "round {round}: {before_failover} acknowledged, {acknowledged} after the failover, \
             {reads:?} reads of the other nodes"
        );
        assert!(acknowledged > before_failover);
    }
    test.remove().await;
}

/// Rows are locked on the node that locks them, and on no other. Conflicts on rows that both write
/// are tried again; a record of what another node's row was can be wrong, and `verify` puts it right.
///
/// A client is not told that the other node ended its transaction while it prepared a statement, with
/// or without this library (docs/reliability.md): so each node has its statements prepared first, and
/// what is lost all the same is counted, and the same on every node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by scripts/cluster-test, which brings the cluster"]
async fn what_two_writing_nodes_miss_is_repaired_by_verify() {
    let cluster = Cluster::of_the_script();
    let test = database("two_writers").await;
    let nodes = [
        cluster.connect(0, &test).await,
        cluster.connect(1, &test).await,
    ];
    let reader = cluster.connect(2, &test).await;
    create_tables(&nodes[0]).await;
    // Until the other node has the tables as well.
    count_records(&nodes[1]).await;
    for alone in &nodes {
        load_for(Duration::from_secs(3), std::slice::from_ref(alone)).await;
    }
    let conflicts_before = conflicts(&nodes).await;
    let acknowledged = load_for(Duration::from_secs(10), &nodes).await;
    let conflicts = conflicts(&nodes).await - conflicts_before;
    assert!(conflicts > 0, "nothing was in the other's way");
    let lost_of_first = lost(&nodes[0], &acknowledged).await;
    for db in [&nodes[1], &reader] {
        assert_eq!(lost(db, &acknowledged).await, lost_of_first);
    }
    renames_beside_edits(&nodes).await;
    let records = count_records(&nodes[0]).await;
    let articles = verify(article::Entity).repair().exec(&nodes[0]).await;
    let notes = verify(note::Entity).repair().exec(&nodes[0]).await;
    println!(
        "two writing nodes: {} commits acknowledged, {} lost; {conflicts} ended by the other node; \
         {records} records; verify: {:?}, {:?}",
        acknowledged.len(),
        lost_of_first.len(),
        articles.unwrap(),
        notes.unwrap()
    );
    assert!(lost_of_first.len() * 50 <= acknowledged.len());
    for db in nodes.iter().chain([&reader]) {
        let left = verify(article::Entity).exec(db).await.unwrap();
        assert!(left.is_clean(), "{left:?}");
        let left = verify(note::Entity).exec(db).await.unwrap();
        assert!(left.is_clean(), "{left:?}");
        assert_eq!(topic::Entity::find().all(db).await.unwrap().len(), 102);
    }
    test.remove().await;
}

/// Writers of every kind on each of these nodes; answers with the notes that are committed.
async fn load_for(time: Duration, nodes: &[DatabaseConnection]) -> Vec<i32> {
    let acknowledged = Mutex::new(Vec::new());
    let note_down = |id: i32| acknowledged.lock().unwrap().push(id);
    let began = Instant::now();
    let is_over = || began.elapsed() > time;
    let all = nodes
        .iter()
        .flat_map(|db| (0..4).map(move |kind| (db, kind)));
    let writers = all.map(|(db, kind)| load(db, kind, &is_over, &note_down));
    for ended in join_all(writers).await {
        ended.unwrap();
    }
    acknowledged.into_inner().unwrap()
}

/// How many transactions the nodes have ended, in certification or before it, for what the other
/// wrote.
async fn conflicts(nodes: &[DatabaseConnection]) -> u64 {
    let mut sum = 0;
    for db in nodes {
        let ended = "SHOW STATUS WHERE variable_name IN \
             ('wsrep_local_cert_failures', 'wsrep_local_bf_aborts')";
        let ended = Statement::from_string(DbBackend::MySql, ended);
        for row in db.query_all_raw(ended).await.unwrap() {
            let count: String = row.try_get("", "Value").unwrap();
            sum += count.parse::<u64>().unwrap();
        }
    }
    sum
}

/// A topic is renamed on one node while its article is edited on the other. Neither writes what the
/// other does, so both are certified, whatever they locked.
async fn renames_beside_edits(nodes: &[DatabaseConnection; 2]) {
    let mut pairs = Vec::new();
    for at in 0..100 {
        let topic = blog::topic(&nodes[0], &format!("topic {at}")).await;
        let article = blog::article(&nodes[0], &topic, "before").await;
        pairs.push((topic, article));
    }
    for (topic, article) in pairs {
        let renamed = topic::ActiveModel {
            name: Set("renamed".to_owned()),
            ..topic.into_active_model()
        };
        let edited = article::ActiveModel {
            title: Set("edited".to_owned()),
            ..article.into_active_model()
        };
        let (renamed, edited) = tokio::join!(
            until_certified(|| renamed.clone().update(&nodes[0])),
            until_certified(|| edited.clone().update(&nodes[1])),
        );
        renamed.unwrap();
        edited.unwrap();
    }
}

async fn until_certified<T, F>(save: impl Fn() -> F) -> Result<T, DbErr>
where
    F: Future<Output = Result<T, DbErr>>,
{
    loop {
        match save().await {
            Err(error) if is_retryable(&error) => {}
            done => return done,
        }
    }
}
