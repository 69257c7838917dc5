//! Records as data frames of polars, for what SQL is not made for.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `frame/column.rs` | which type of polars a column has, and its values as rows bring them |
//!
//! Rows are streamed, and their values go straight into columns: no models are built.

mod column;

use std::future::Future;
use std::pin::Pin;

use futures_util::stream::{self, Stream, TryChunksError, TryStreamExt};
use polars::frame::DataFrame;
use sea_orm::{
    DbErr, IdenStatic, Iterable, QueryResult, QuerySelect, QueryTrait, Select, StreamTrait,
};

use self::column::Column;
use crate::{RecordEntity, RecordError};

/// Rows that a frame is put together from: what is in the making is this small.
const BATCH: usize = 1 << 16;

/// Rows that are taken apart together. With SQLite, whoever frees a row contends with the thread that
/// makes the next: row by row takes twice as long.
const TOGETHER: usize = 1 << 10;

/// Records as data frames of polars.
///
/// A frame has every column of the record entity, in its order and under its names, and the rows
/// that the query finds, in the order that it gives them. Polars' own types are used:
///
/// | column | in the frame |
/// | --- | --- |
/// | `bool`, integers and floats of each width | the same |
/// | `DateTimeUtc`, `DateTimeWithTimeZone` | `Datetime(µs, UTC)` |
/// | `DateTime` | `Datetime(µs)`, without a zone |
/// | `Date`, `Time` | `Date`, `Time` |
/// | `Decimal` | `Decimal` with the precision and scale of the column; `Decimal(38, 10)` without |
/// | text, enums, `Uuid` | `String` |
/// | JSON | `String`, the JSON as text |
/// | bytes | `Binary` |
/// | arrays of these, but for decimals, JSON and bytes | `List` |
///
/// Enums are strings, for a history may hold values that the code has no more; cast them to
/// `Categorical` where their memory matters. Times are cut to microseconds, which only SQLite can
/// hold parts of.
///
/// Queries that are finished when the database is known, such as [`AsOf`](crate::AsOf), have
/// `into_select`.
///
/// ```
/// # use sea_orm::entity::prelude::*;
/// # use sea_orm_record::prelude::*;
/// # async fn example<R>(records: Select<R>, db: &DatabaseConnection) -> Result<(), DbErr>
/// # where R: sea_orm_record::RecordEntity {
/// use sea_orm::QueryOrder;
///
/// let frame = records.created_in_days(3).order_by_asc(R::RECORDED_AT).frame(db).await?;
/// println!("{} records of {} columns", frame.height(), frame.width());
/// # Ok(())
/// # }
/// ```
pub trait RecordFrames: Sized {
    /// The record entity.
    type Record: RecordEntity;

    /// All records in one frame; without any, a frame of the same columns and no rows.
    ///
    /// It is put together from pieces of 65,536 rows, so that memory stays in proportion to the
    /// result; `rechunk_mut` of polars makes each column one piece.
    ///
    /// # Errors
    ///
    /// The database's, or [`RecordError::Frame`] within the `DbErr`: for a column of a type that
    /// polars lacks, a value that its column there cannot hold, or a column that the query does
    /// not select.
    fn frame<C: StreamTrait>(self, db: &C)
    -> impl Future<Output = Result<DataFrame, DbErr>> + Send;

    /// The records in frames of `n` rows, the last of what is left, for what does not fit in
    /// memory: no more than `n` rows are held at once.
    ///
    /// Where there are no records there is one frame without rows, so that who writes the frames
    /// down knows the columns. The connection is taken until the stream ends, as by SeaORM's
    /// `stream`: in a pool of one, no other statement has its turn before.
    ///
    /// # Errors
    ///
    /// Those of [`frame`](Self::frame), and [`RecordError::Frame`] for frames of no rows.
    ///
    /// ```
    /// # use sea_orm::entity::prelude::*;
    /// # use sea_orm_record::prelude::*;
    /// # async fn example<R>(records: Select<R>, db: &DatabaseConnection) -> Result<(), DbErr>
    /// # where R: sea_orm_record::RecordEntity {
    /// use futures_util::TryStreamExt;
    /// use std::pin::pin;
    ///
    /// let mut frames = pin!(records.frames(db, 100_000));
    /// while let Some(frame) = frames.try_next().await? {
    ///     println!("{} more", frame.height());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn frames<C: StreamTrait>(
        self,
        db: &C,
        n: usize,
    ) -> impl Stream<Item = Result<DataFrame, DbErr>> + Send;

    /// These columns alone, in this order: the others are not fetched.
    ///
    /// ```
    /// # use sea_orm::entity::prelude::*;
    /// # use sea_orm_record::prelude::*;
    /// # async fn example<R>(records: Select<R>, db: &DatabaseConnection) -> Result<(), DbErr>
    /// # where R: sea_orm_record::RecordEntity {
    /// let frame = records.frame_columns([R::RECORDED_AT, R::EVENT]).frame(db).await?;
    /// assert_eq!(frame.width(), 2);
    /// # Ok(())
    /// # }
    /// ```
    fn frame_columns(
        self,
        columns: impl IntoIterator<Item = <Self::Record as sea_orm::EntityTrait>::Column>,
    ) -> FrameColumns<Self::Record>;
}

impl<R: RecordEntity> RecordFrames for Select<R> {
    type Record = R;

    async fn frame<C: StreamTrait>(self, db: &C) -> Result<DataFrame, DbErr> {
        whole(all_columns(self), db).await
    }

    fn frames<C: StreamTrait>(
        self,
        db: &C,
        n: usize,
    ) -> impl Stream<Item = Result<DataFrame, DbErr>> + Send {
        pieces(all_columns(self), db, n)
    }

    fn frame_columns(self, columns: impl IntoIterator<Item = R::Column>) -> FrameColumns<R> {
        let columns: Vec<_> = columns.into_iter().collect();
        let select = self.select_only().columns(columns.iter().copied());
        FrameColumns { select, columns }
    }
}

/// Some columns of records; see [`RecordFrames::frame_columns`].
#[derive(Clone, Debug)]
#[must_use]
pub struct FrameColumns<R: RecordEntity> {
    select: Select<R>,
    columns: Vec<R::Column>,
}

impl<R: RecordEntity> FrameColumns<R> {
    /// As [`RecordFrames::frame`].
    ///
    /// # Errors
    ///
    /// Those of [`RecordFrames::frame`].
    pub async fn frame<C: StreamTrait>(self, db: &C) -> Result<DataFrame, DbErr> {
        whole(self, db).await
    }

    /// As [`RecordFrames::frames`].
    ///
    /// # Errors
    ///
    /// Those of [`RecordFrames::frames`].
    pub fn frames<C: StreamTrait>(
        self,
        db: &C,
        n: usize,
    ) -> impl Stream<Item = Result<DataFrame, DbErr>> + Send {
        pieces(self, db, n)
    }
}

fn all_columns<R: RecordEntity>(select: Select<R>) -> FrameColumns<R> {
    let columns = R::Column::iter().collect();
    FrameColumns { select, columns }
}

async fn whole<R: RecordEntity, C: StreamTrait>(
    query: FrameColumns<R>,
    db: &C,
) -> Result<DataFrame, DbErr> {
    let table = super::query::source_table_of::<R>();
    let stacked =
        pieces(query, db, BATCH).try_fold(DataFrame::empty(), |mut whole, piece| async move {
            let stacked = whole.vstack_mut_owned(piece).map(|_| ());
            stacked.map_err(|error| of_polars(table, &error))?;
            Ok(whole)
        });
    stacked.await
}

fn pieces<R: RecordEntity, C: StreamTrait>(
    query: FrameColumns<R>,
    db: &C,
    n: usize,
) -> impl Stream<Item = Result<DataFrame, DbErr>> + Send {
    let pieces = async move {
        let table = Table::of::<R>(&query.columns, n)?;
        let rows = StreamTrait::stream(db, &query.select.into_query()).await?;
        let pieces = Pieces {
            rows: Box::pin(rows.try_chunks(TOGETHER)),
            come: Vec::new().into_iter(),
            table,
            state: State::Begun,
        };
        Ok::<_, DbErr>(stream::try_unfold(pieces, Pieces::next))
    };
    stream::once(pieces).try_flatten()
}

/// Rows that came, and the error that came after them.
type Come = Result<Vec<QueryResult>, TryChunksError<QueryResult, DbErr>>;

/// Rows on their way into frames.
struct Pieces<'c> {
    rows: Pin<Box<dyn Stream<Item = Come> + Send + 'c>>,
    come: std::vec::IntoIter<QueryResult>,
    table: Table,
    state: State,
}

#[derive(PartialEq)]
enum State {
    /// No frame has been given.
    Begun,
    Given,
    Ended,
}

impl Pieces<'_> {
    async fn next(mut self) -> Result<Option<(DataFrame, Self)>, DbErr> {
        if self.state == State::Ended {
            return Ok(None);
        }
        while self.table.height < self.table.size {
            let Some(row) = self.row().await? else {
                let nothing_more = self.table.height == 0 && self.state == State::Given;
                self.state = State::Ended;
                if nothing_more {
                    return Ok(None);
                }
                return Ok(Some((self.table.take()?, self)));
            };
            self.table.push(&row)?;
        }
        self.state = State::Given;
        Ok(Some((self.table.take()?, self)))
    }

    async fn row(&mut self) -> Result<Option<QueryResult>, DbErr> {
        if self.come.as_slice().is_empty() {
            let come = self.rows.try_next().await;
            self.come = come
                .map_err(|error| error.1)?
                .unwrap_or_default()
                .into_iter();
        }
        Ok(self.come.next())
    }
}

/// A frame in the making.
struct Table {
    /// Table of the recorded entity, for messages.
    entity: &'static str,
    columns: Vec<Column>,
    /// Where in a row the value of each column stands; known with the first row.
    places: Vec<usize>,
    height: usize,
    /// How many rows it takes.
    size: usize,
}

impl Table {
    fn of<R: RecordEntity>(columns: &[R::Column], size: usize) -> Result<Self, RecordError> {
        let entity = super::query::source_table_of::<R>();
        if size == 0 {
            let problem = "frames of no rows are without end; ask for one row or more";
            return Err(failed(entity, "*", problem));
        }
        let columns = columns.iter().map(|column| {
            let ty = sea_orm::ColumnTrait::def(column).get_column_type().clone();
            let name = column.as_str();
            Column::new(name, &ty).map_err(|problem| failed(entity, name, problem))
        });
        Ok(Self {
            entity,
            columns: columns.collect::<Result<_, _>>()?,
            places: Vec::new(),
            height: 0,
            size,
        })
    }

    fn push(&mut self, row: &QueryResult) -> Result<(), RecordError> {
        if self.places.is_empty() {
            self.places = self.find(row)?;
        }
        for (column, &place) in self.columns.iter_mut().zip(&self.places) {
            let pushed = column.push(row, place);
            pushed.map_err(|problem| failed(self.entity, column.name, problem))?;
        }
        self.height += 1;
        Ok(())
    }

    fn find(&self, row: &QueryResult) -> Result<Vec<usize>, RecordError> {
        let selected = row.column_names();
        let places = self.columns.iter().map(|column| {
            let place = selected.iter().position(|name| name == column.name);
            place.ok_or_else(|| {
                let problem = "the query does not select it; name the columns by `frame_columns`";
                failed(self.entity, column.name, problem)
            })
        });
        places.collect()
    }

    fn take(&mut self) -> Result<DataFrame, RecordError> {
        let entity = self.entity;
        let columns = self.columns.iter_mut().map(|column| {
            let taken = column.take();
            taken.map_err(|error| failed(entity, column.name, error.to_string()))
        });
        let columns = columns.collect::<Result<_, _>>()?;
        let height = std::mem::take(&mut self.height);
        DataFrame::new(height, columns).map_err(|error| of_polars(entity, &error))
    }
}

fn failed(entity: &str, column: &str, problem: impl Into<String>) -> RecordError {
    RecordError::Frame {
        entity: entity.to_owned(),
        column: column.to_owned(),
        problem: problem.into(),
    }
}

/// What polars says of a whole frame, such as of two columns of one name.
fn of_polars(entity: &str, error: &polars::error::PolarsError) -> RecordError {
    failed(entity, "*", error.to_string())
}
