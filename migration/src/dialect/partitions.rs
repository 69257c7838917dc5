//! Partitions by time: how each database makes, lists, adds and takes them away.
//!
//! PostgreSQL has a table for each; MySQL and MariaDB have `RANGE COLUMNS` within one table. On both
//! a first partition takes all that is older than the first edge, and one without an end all that no
//! other has, so that no record is ever refused for want of a partition.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, IdenStatic, Iterable, Statement};
use sea_orm_record::RecordEntity;

use super::quoted;
use crate::RecordTable;
use crate::names::{short, short_within};

/// A record table, as statements name it.
#[derive(Debug)]
pub(crate) struct Target {
    backend: DbBackend,
    schema: Option<String>,
    table: String,
    recorded_at: String,
    key: Vec<String>,
    columns: Vec<String>,
}

/// A partition that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// As statements name it: on PostgreSQL a table, quoted where that is needed.
    pub(crate) name: String,
    /// Where it ends; none where it takes all that no other has.
    pub(crate) end: Option<DateTime<Utc>>,
    /// Its bounds, as PostgreSQL writes them; nothing elsewhere.
    bounds: String,
}

impl Part {
    /// Whether it takes all that is older than its end, and has to be there so that such records are
    /// taken. On MySQL the first does, whichever it is.
    pub(crate) fn is_past(&self) -> bool {
        self.bounds.contains("FROM (MINVALUE)")
    }
}

/// From an edge to the next.
pub(crate) type Span = (DateTime<Utc>, DateTime<Utc>);

/// Whether tables can be partitioned at all.
pub(crate) fn has_partitions(backend: DbBackend) -> bool {
    backend != DbBackend::Sqlite
}

/// Whether a partitioned table may have foreign keys (MySQL manual, 24.6).
pub(crate) fn partitions_have_foreign_keys(backend: DbBackend) -> bool {
    backend != DbBackend::MySql
}

/// What `inspect::partitions` says of a table in partitions by time; none where there are none.
pub(crate) fn by_time(recorded_at: &str, backend: DbBackend) -> Option<String> {
    match backend {
        DbBackend::Postgres => Some(format!("RANGE ({recorded_at})")),
        DbBackend::MySql => Some(format!("RANGE COLUMNS ({recorded_at})")),
        _ => None,
    }
}

impl Target {
    pub(crate) fn of<R: RecordEntity>(backend: DbBackend) -> Self {
        let record = R::default();
        let key = R::key().into_iter();
        Self {
            backend,
            schema: record.schema_name().map(str::to_owned),
            table: record.table_name().to_owned(),
            recorded_at: R::RECORDED_AT.as_str().to_owned(),
            key: key.map(|(_, column)| column.as_str().to_owned()).collect(),
            columns: R::Column::iter().map(|it| it.as_str().to_owned()).collect(),
        }
    }

    /// The same of a description, whose key ends with the time.
    pub(crate) fn of_table(table: &RecordTable, backend: DbBackend) -> Self {
        let (recorded_at, key) = match table.key.split_last() {
            Some((recorded_at, key)) => (recorded_at.clone(), key.to_vec()),
            None => Default::default(),
        };
        let columns = table.columns.iter().map(|column| column.name.clone());
        Self {
            backend,
            schema: table.name.schema.clone(),
            table: table.name.name.clone(),
            recorded_at,
            key,
            columns: columns.collect(),
        }
    }

    /// What follows the statement that makes the table, and the statements after it, for partitions
    /// between these edges.
    pub(crate) fn creation(&self, edges: &[DateTime<Utc>]) -> (String, Vec<String>) {
        let by = self.quoted(&self.recorded_at);
        let spans = edges.windows(2).map(|pair| (pair[0], pair[1]));
        let past = edges.first().copied();
        if self.backend == DbBackend::MySql {
            let past = past.into_iter().map(|end| less_than(PAST, end));
            let spans = spans.map(|(start, end)| less_than(&part_name(start), end));
            let rest = format!("PARTITION {REST} VALUES LESS THAN (MAXVALUE)");
            let parts: Vec<_> = past.chain(spans).chain([rest]).collect();
            let parts = parts.join(", ");
            return (
                format!(" PARTITION BY RANGE COLUMNS({by}) ({parts})"),
                Vec::new(),
            );
        }
        let parent = self.name(&self.table);
        let part = |name: &str, bounds: &str| {
            let name = self.name(&self.part_table(name));
            format!("CREATE TABLE {name} PARTITION OF {parent} {bounds}")
        };
        let past = past.map(|end| part(PAST, &until(end)));
        let spans = spans.map(|span| part(&part_name(span.0), &for_values(span)));
        // No DEFAULT: beside one, partitions have no order that a search for the latest could follow.
        let rest = edges.last().copied().map(|end| part(REST, &from(end)));
        let after = past.into_iter().chain(spans).chain(rest).collect();
        (format!(" PARTITION BY RANGE ({by})"), after)
    }

    /// The partitions in the order of time; none where the table is not partitioned by the time of its
    /// records.
    pub(crate) async fn parts<C: ConnectionTrait>(
        &self,
        db: &C,
    ) -> Result<Option<Vec<Part>>, DbErr> {
        let statement = match self.backend {
            DbBackend::MySql => Statement::from_sql_and_values(
                self.backend,
                MYSQL_PARTS,
                [
                    self.schema.clone().into(),
                    self.table.clone().into(),
                    self.quoted(&self.recorded_at).into(),
                ],
            ),
            _ => Statement::from_sql_and_values(
                self.backend,
                POSTGRES_PARTS,
                [
                    self.name(&self.table).into(),
                    self.recorded_at.clone().into(),
                ],
            ),
        };
        let rows = db.query_all_raw(statement).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut parts = Vec::new();
        for row in rows {
            // A table may have no partition yet.
            if let Some(name) = row.try_get("", "name")? {
                let end = row.try_get("", "ends")?;
                let bounds = row.try_get("", "bounds")?;
                parts.push(Part { name, end, bounds });
            }
        }
        parts.sort_by_key(|part| (part.end.is_none(), part.end));
        Ok(Some(parts))
    }

    /// The statements that add partitions; those records of these times that lie in the one without an
    /// end move. They wait so many seconds for the transactions that use the table, while all that
    /// come after them wait for them.
    pub(crate) fn extension(&self, parts: &[Part], spans: &[Span], wait: u32) -> Vec<String> {
        let parent = self.name(&self.table);
        let rest = parts.iter().find(|part| part.end.is_none());
        if self.backend == DbBackend::MySql {
            let mut new: Vec<_> = spans
                .iter()
                .map(|(start, end)| less_than(&part_name(*start), *end))
                .collect();
            let how = match rest {
                Some(rest) => {
                    let rest = self.quoted(&rest.name);
                    new.push(format!("PARTITION {rest} VALUES LESS THAN (MAXVALUE)"));
                    format!("REORGANIZE PARTITION {rest} INTO")
                }
                None => "ADD PARTITION".to_owned(),
            };
            return vec![self.alter(wait, &format!("{how} ({})", new.join(", ")))];
        }
        let mut script = vec![with_patience(wait)];
        // All at once: a weaker lock first could deadlock with those who read and then write.
        script.push(format!("LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE"));
        let detach = |rest: &Part| format!("ALTER TABLE {parent} DETACH PARTITION {}", rest.name);
        script.extend(rest.map(detach));
        for span in spans {
            let name = self.name(&self.part_table(&part_name(span.0)));
            let bounds = for_values(*span);
            script.push(format!(
                "CREATE TABLE {name} PARTITION OF {parent} {bounds}"
            ));
            script.extend(rest.map(|rest| {
                format!(
                    "WITH moved AS (DELETE FROM {} WHERE {} RETURNING *) \
                     INSERT INTO {name} SELECT * FROM moved",
                    rest.name,
                    self.within(*span)
                )
            }));
        }
        script.extend(rest.zip(spans.last()).map(|(rest, last)| {
            let bounds = match rest.bounds.as_str() {
                "DEFAULT" => "DEFAULT".to_owned(),
                _ => from(last.1),
            };
            self.attach(rest, &bounds)
        }));
        self.at_once(script)
    }

    fn attach(&self, part: &Part, bounds: &str) -> String {
        let parent = self.name(&self.table);
        format!(
            "ALTER TABLE {parent} ATTACH PARTITION {} {bounds}",
            part.name
        )
    }

    /// How many records such an extension moves, counted up to one more than `most`.
    pub(crate) async fn moving<C: ConnectionTrait>(
        &self,
        db: &C,
        parts: &[Part],
        span: Span,
        most: u64,
    ) -> Result<u64, DbErr> {
        let Some(rest) = parts.iter().find(|part| part.end.is_none()) else {
            return Ok(0);
        };
        // On MySQL all of them are copied, also those that go back to where they were.
        let which = match self.backend {
            DbBackend::MySql => String::new(),
            _ => format!(" WHERE {}", self.within(span)),
        };
        let limit = most.saturating_add(1);
        let from = self.part(rest);
        let sql = format!(
            "SELECT COUNT(*) AS records FROM (SELECT 1 AS one FROM {from}{which} LIMIT {limit}) c"
        );
        self.count(db, sql).await
    }

    /// How many records a partition has.
    pub(crate) async fn records<C: ConnectionTrait>(
        &self,
        db: &C,
        part: &Part,
    ) -> Result<u64, DbErr> {
        let from = self.part(part);
        let sql = format!("SELECT COUNT(*) AS records FROM {from}");
        self.count(db, sql).await
    }

    /// Whether a partition has no records.
    pub(crate) async fn is_empty<C: ConnectionTrait>(
        &self,
        db: &C,
        part: &Part,
    ) -> Result<bool, DbErr> {
        let from = self.part(part);
        let sql =
            format!("SELECT COUNT(*) AS records FROM (SELECT 1 AS one FROM {from} LIMIT 1) c");
        Ok(self.count(db, sql).await? == 0)
    }

    /// The statements that turn the oldest partition, or the one after all that is past, into a table
    /// by itself; they wait as those of [`extension`](Self::extension).
    pub(crate) async fn take_out<C: ConnectionTrait>(
        &self,
        db: &C,
        (parts, part): (&[Part], &Part),
        to: &str,
        wait: u32,
    ) -> Result<Vec<String>, DbErr> {
        if self.backend == DbBackend::MySql {
            let (part, table) = (self.quoted(&part.name), self.name(to));
            let exchange = format!("EXCHANGE PARTITION {part} WITH TABLE {table}");
            return Ok(vec![
                self.creation_without_partitions(db, to).await?,
                self.alter(wait, &exchange),
                self.alter(wait, &format!("DROP PARTITION {part}")),
            ]);
        }
        Ok(self.detachment(parts, part, to, wait))
    }

    /// The statement that makes an empty table of the same columns and indexes on MySQL. `LIKE` would
    /// make all the partitions as well, each a file, to be removed again.
    async fn creation_without_partitions<C: ConnectionTrait>(
        &self,
        db: &C,
        to: &str,
    ) -> Result<String, DbErr> {
        let sql = format!("SHOW CREATE TABLE {}", self.name(&self.table));
        let show = Statement::from_string(self.backend, sql);
        let Some(row) = db.query_one_raw(show).await? else {
            return Err(DbErr::RecordNotFound(self.table.clone()));
        };
        let sql: String = row.try_get_by_index(1)?;
        // Columns and indexes stand on lines of their own, then options, then partitions.
        let mut lines: Vec<&str> = sql.lines().skip(1).collect();
        let options = lines.iter().position(|line| line.starts_with(')'));
        lines.truncate(options.map_or(lines.len(), |options| options + 1));
        let to = self.name(to);
        Ok(format!("CREATE TABLE {to} (\n{}", lines.join("\n")))
    }

    fn detachment(&self, parts: &[Part], part: &Part, to: &str, wait: u32) -> Vec<String> {
        let parent = self.name(&self.table);
        let detach = |part: &Part| format!("ALTER TABLE {parent} DETACH PARTITION {}", part.name);
        // What is older than all others goes on being taken.
        let past = parts.iter().find(|it| it.is_past());
        let bounds = part.end.map(until).unwrap_or_default();
        let mut script = vec![with_patience(wait)];
        script.push(detach(part));
        if let Some(past) = past.filter(|past| *past != part) {
            script.extend([detach(past), self.attach(past, &bounds)]);
        }
        let (name, to) = (&part.name, self.quoted(to));
        script.push(format!("ALTER TABLE {name} RENAME TO {to}"));
        if past == Some(part) {
            script.push(format!(
                "CREATE TABLE {name} PARTITION OF {parent} {bounds}"
            ));
        }
        self.at_once(script)
    }

    /// A name for what was taken out.
    pub(crate) fn leaving(&self) -> String {
        // Micros since 1970: nobody else has this one.
        format!("{}{:x}", self.prefix(), Utc::now().timestamp_micros())
    }

    /// What such names begin with.
    fn prefix(&self) -> String {
        short_within(format!("{}-leaving", self.table), 45) + "-"
    }

    /// Tables that were taken out and are still there.
    pub(crate) async fn left_behind<C: ConnectionTrait>(
        &self,
        db: &C,
    ) -> Result<Vec<String>, DbErr> {
        let (sql, beside) = match self.backend {
            DbBackend::MySql => (MYSQL_TABLES, self.schema.clone()),
            _ => (POSTGRES_TABLES, Some(self.name(&self.table))),
        };
        let values = [beside.into(), self.prefix().into()];
        let statement = Statement::from_sql_and_values(self.backend, sql, values);
        let rows = db.query_all_raw(statement).await?;
        rows.iter().map(|row| row.try_get("", "name")).collect()
    }

    /// Whether another call has taken away the table that a partition was to be exchanged with.
    pub(crate) async fn has_lost<C: ConnectionTrait>(
        &self,
        db: &C,
        table: &str,
    ) -> Result<bool, DbErr> {
        Ok(match self.backend {
            DbBackend::MySql => !self.left_behind(db).await?.iter().any(|it| it == table),
            _ => false,
        })
    }

    /// The statement that gives a table another name.
    pub(crate) fn rename(&self, from: &str, to: &str) -> String {
        match self.backend {
            DbBackend::MySql => format!("RENAME TABLE {} TO {}", self.name(from), self.name(to)),
            _ => {
                let to = self.quoted(to);
                format!("ALTER TABLE {} RENAME TO {to}", self.name(from))
            }
        }
    }

    pub(crate) fn drop(&self, table: &str) -> String {
        format!("DROP TABLE {}", self.name(table))
    }

    /// How many records a table has that was taken out.
    pub(crate) async fn records_of<C: ConnectionTrait>(
        &self,
        db: &C,
        table: &str,
    ) -> Result<u64, DbErr> {
        let table = self.name(table);
        let sql = format!("SELECT COUNT(*) AS records FROM {table}");
        self.count(db, sql).await
    }

    /// How many rows have their latest record in a table that was taken out.
    pub(crate) async fn missing<C: ConnectionTrait>(
        &self,
        db: &C,
        table: &str,
    ) -> Result<u64, DbErr> {
        let missing = self.latest_of(table);
        self.count(db, format!("SELECT COUNT(*) AS records {missing}"))
            .await
    }

    /// The statement that puts them back, with the times that they have.
    pub(crate) fn put_back(&self, table: &str) -> String {
        let columns = self.list("", &self.columns);
        let theirs = self.list("o.", &self.columns);
        let (to, missing) = (self.name(&self.table), self.latest_of(table));
        format!("INSERT INTO {to} ({columns}) SELECT {theirs} {missing}")
    }

    /// The latest record of each row in a table that was taken out, where the row has no later one:
    /// that is looked for by a seek, where MAX would have MariaDB and MySQL read all records of the row,
    /// and the order of the time alone would have MySQL sort them.
    fn latest_of(&self, table: &str) -> String {
        let (from, to) = (self.name(table), self.name(&self.table));
        let (keys, at) = (self.list("", &self.key), self.quoted(&self.recorded_at));
        let whole = self.key.iter().chain([&self.recorded_at]);
        let order = whole.map(|column| format!("x.{} DESC", self.quoted(column)));
        let order = order.collect::<Vec<_>>().join(", ");
        let same = |alias: &str| {
            let same = self.key.iter().map(|key| {
                let key = self.quoted(key);
                format!("{alias}.{key} = o.{key}")
            });
            same.collect::<Vec<_>>().join(" AND ")
        };
        format!(
            "FROM {from} o INNER JOIN (SELECT {keys}, MAX({at}) AS {at} FROM {from} GROUP BY {keys}) l \
             ON {} AND l.{at} = o.{at} \
             WHERE COALESCE((SELECT x.{at} FROM {to} x WHERE {} ORDER BY {order} LIMIT 1) < o.{at}, TRUE)",
            same("l"),
            same("x")
        )
    }

    async fn count<C: ConnectionTrait>(&self, db: &C, sql: String) -> Result<u64, DbErr> {
        let row = db
            .query_one_raw(Statement::from_string(self.backend, sql))
            .await?;
        let count: i64 = match row {
            Some(row) => row.try_get("", "records")?,
            None => 0,
        };
        Ok(count.unsigned_abs())
    }

    /// MariaDB gives up by itself; MySQL waits as long as its `lock_wait_timeout` says.
    fn alter(&self, wait: u32, how: &str) -> String {
        let table = self.name(&self.table);
        format!("ALTER TABLE {table} /*M!100301 WAIT {wait} */ {how}")
    }

    /// One text is one transaction on PostgreSQL. Within one of the caller's, what follows waits as
    /// before.
    fn at_once(&self, mut script: Vec<String>) -> Vec<String> {
        script.push("SET LOCAL lock_timeout TO DEFAULT".to_owned());
        vec![script.join("; ")]
    }

    fn within(&self, (start, end): Span) -> String {
        let at = self.quoted(&self.recorded_at);
        let (start, end) = (literal(start), literal(end));
        format!("{at} >= {start} AND {at} < {end}")
    }

    /// A partition, to select from.
    fn part(&self, part: &Part) -> String {
        match self.backend {
            DbBackend::MySql => {
                let (table, part) = (self.name(&self.table), self.quoted(&part.name));
                format!("{table} PARTITION ({part})")
            }
            _ => part.name.clone(),
        }
    }

    fn part_table(&self, part: &str) -> String {
        short(format!("{}_{part}", self.table))
    }

    /// A table beside this one.
    fn name(&self, table: &str) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", self.quoted(schema), self.quoted(table)),
            None => self.quoted(table),
        }
    }

    fn list(&self, alias: &str, columns: &[String]) -> String {
        let columns = columns.iter();
        let quoted = columns.map(|column| format!("{alias}{}", self.quoted(column)));
        quoted.collect::<Vec<_>>().join(", ")
    }

    fn quoted(&self, name: &str) -> String {
        quoted(name, self.backend)
    }
}

fn with_patience(wait: u32) -> String {
    format!("SET LOCAL lock_timeout = '{wait}s'")
}

/// All that is older than the first edge.
const PAST: &str = "p_past";
/// All that no other has.
const REST: &str = "p_rest";

/// The day on which it begins, and the time of day where that is not midnight.
fn part_name(start: DateTime<Utc>) -> String {
    let midnight = start.time() == chrono::NaiveTime::MIN;
    let format = if midnight {
        "p%Y%m%d"
    } else {
        "p%Y%m%dt%H%M%S"
    };
    start.format(format).to_string()
}

/// A time of UTC, which MySQL's `datetime` has without an offset; elsewhere it is written with one.
fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

fn literal(at: DateTime<Utc>) -> String {
    format!("'{}+00'", utc(at))
}

fn for_values((start, end): Span) -> String {
    format!("FOR VALUES FROM ({}) TO ({})", literal(start), literal(end))
}

fn from(start: DateTime<Utc>) -> String {
    format!("FOR VALUES FROM ({}) TO (MAXVALUE)", literal(start))
}

fn until(end: DateTime<Utc>) -> String {
    format!("FOR VALUES FROM (MINVALUE) TO ({})", literal(end))
}

fn less_than(name: &str, end: DateTime<Utc>) -> String {
    format!("PARTITION {name} VALUES LESS THAN ('{}')", utc(end))
}

/// Bounds are printed and read again by one session, whatever its time zone and date style.
const POSTGRES_PARTS: &str = r"
SELECT CAST(CAST(i.inhrelid AS regclass) AS text) AS name,
  CAST((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1] AS timestamptz) AS ends,
  COALESCE(pg_get_expr(c.relpartbound, c.oid), '') AS bounds
FROM pg_partitioned_table p
JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
LEFT JOIN (pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid) ON i.inhparent = p.partrelid
WHERE p.partrelid = to_regclass($1) AND p.partstrat = 'r' AND p.partnatts = 1 AND a.attname = $2";

const MYSQL_PARTS: &str = "
SELECT partition_name AS name,
  CASE partition_description WHEN 'MAXVALUE' THEN NULL
    ELSE CAST(TRIM(BOTH '''' FROM partition_description) AS datetime(6)) END AS ends, '' AS bounds
FROM information_schema.partitions
WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?
  AND partition_method = 'RANGE COLUMNS' AND partition_expression = ?";

const POSTGRES_TABLES: &str = "
SELECT CAST(t.relname AS text) AS name FROM pg_class t
JOIN pg_class r ON r.relnamespace = t.relnamespace AND r.oid = to_regclass($1)
WHERE t.relkind = 'r' AND NOT t.relispartition AND LEFT(t.relname, LENGTH($2)) = $2
ORDER BY 1";

const MYSQL_TABLES: &str = "
SELECT table_name AS name FROM information_schema.tables
WHERE table_schema = COALESCE(?, DATABASE()) AND POSITION(? IN table_name) = 1
ORDER BY 1";
