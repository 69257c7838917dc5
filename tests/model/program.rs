//! Programs, as proptest generates and shrinks them.
//!
//! A program has phases, with quiet between them; a phase gives each of four tasks its units of
//! work. What an operation is done to follows from numbers, taken modulo what there is when it runs,
//! so that a program stays one when parts of it are taken away.

use proptest::collection::vec;
use proptest::prelude::*;

/// How many tasks run at once.
pub const TASKS: usize = 4;

#[derive(Clone, Debug)]
pub struct Program {
    pub phases: Vec<Phase>,
}

#[derive(Clone, Debug)]
pub struct Phase {
    pub tasks: Vec<Vec<Unit>>,
}

#[derive(Clone, Debug)]
pub struct Unit {
    pub way: Way,
    pub steps: Vec<Step>,
    pub end: End,
}

/// On which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Each operation by itself on a plain pool.
    Pool,
    /// Each operation by itself on a `RecordedConnection`.
    RecordedPool,
    /// The saves among them through SeaORM's traits, on a plain pool: two commits each.
    Trait,
    /// In a plain transaction: recorded at once.
    Plain,
    /// In a `RecordedTransaction`: recorded at its end.
    Gathered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Commit,
    Rollback,
    /// The future is dropped when it has been polled so often.
    Cancel(u16),
}

#[derive(Clone, Debug)]
pub enum Step {
    Do(Operation),
    /// A nested transaction; on a pool, the steps alone.
    Savepoint(Vec<Operation>, bool),
    /// In a gathering transaction, a save whose future is dropped when it has been polled so often.
    Dropped(u16),
}

#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub kind: Kind,
    pub a: u8,
    pub b: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    // What one task alone writes.
    Insert,
    EditTitle,
    /// Several columns, by `save`.
    Save,
    /// A `save` that sets nothing.
    SaveUnchanged,
    /// An update to what is there already.
    SameAgain,
    Move,
    MoveToOwnTopic,
    See,
    /// By `update_without_returning`.
    UpdateBlindly,
    Delete,
    /// By `cascade_delete`, which clears its links first.
    DeleteWithLinks,
    Link,
    Unlink,
    NewTopic,
    /// The database cuts the articles of it loose.
    DeleteTopic,
    InsertMany,
    UpdateMany,
    DeleteMany,
    UpsertMany,
    /// Raw SQL on one row, another deleted.
    Capture,
    /// An article with a new topic and tags.
    NestedInsert,
    /// A topic with an article moved into it.
    NestedTopic,
    // What all write.
    RenameTopic,
    RenameTag,
    EditLandmark,
    MoveLandmark,
    /// A landmark saved without a change, as it was read a while ago.
    SaveStaleLandmark,
    LinkLandmark,
    UnlinkLandmark,
    UpsertLandmarks,
    RenameTopics,
    StarsOfATopic,
    Stars,
    CaptureStars,
    /// Reads one's own records, which in a gathering transaction writes them first.
    Read,
}

impl Operation {
    /// Whether, within a transaction, it goes by SeaORM's traits.
    pub fn by_trait(&self) -> bool {
        (self.a ^ self.b).is_multiple_of(3)
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    use Kind::*;
    prop_oneof![
        4 => Just(Insert),
        4 => Just(EditTitle),
        2 => Just(Save),
        2 => Just(SaveUnchanged),
        1 => Just(SameAgain),
        4 => Just(Move),
        2 => Just(MoveToOwnTopic),
        2 => Just(See),
        1 => Just(UpdateBlindly),
        2 => Just(Delete),
        1 => Just(DeleteWithLinks),
        3 => Just(Link),
        2 => Just(Unlink),
        2 => Just(NewTopic),
        1 => Just(DeleteTopic),
        2 => Just(InsertMany),
        2 => Just(UpdateMany),
        1 => Just(DeleteMany),
        2 => Just(UpsertMany),
        2 => Just(Capture),
        2 => Just(NestedInsert),
        1 => Just(NestedTopic),
        4 => Just(RenameTopic),
        2 => Just(RenameTag),
        3 => Just(EditLandmark),
        3 => Just(MoveLandmark),
        3 => Just(SaveStaleLandmark),
        2 => Just(LinkLandmark),
        2 => Just(UnlinkLandmark),
        1 => Just(UpsertLandmarks),
        1 => Just(RenameTopics),
        1 => Just(StarsOfATopic),
        2 => Just(Stars),
        1 => Just(CaptureStars),
        2 => Just(Read),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    (kind(), any::<u8>(), any::<u8>()).prop_map(|(kind, a, b)| Operation { kind, a, b })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => operation().prop_map(Step::Do),
        3 => (vec(operation(), 1..3), any::<bool>()).prop_map(|(inner, kept)| Step::Savepoint(inner, kept)),
        1 => (1_u16..12).prop_map(Step::Dropped),
    ]
}

fn unit() -> impl Strategy<Value = Unit> {
    let way = prop_oneof![
        3 => Just(Way::Pool),
        1 => Just(Way::RecordedPool),
        1 => Just(Way::Trait),
        3 => Just(Way::Plain),
        5 => Just(Way::Gathered),
    ];
    let end = prop_oneof![
        10 => Just(End::Commit),
        2 => Just(End::Rollback),
        2 => (1_u16..60).prop_map(End::Cancel),
    ];
    (way, vec(step(), 1..5), end).prop_map(|(way, steps, end)| Unit { way, steps, end })
}

fn phase() -> impl Strategy<Value = Phase> {
    vec(vec(unit(), 1..9), TASKS).prop_map(|tasks| Phase { tasks })
}

pub fn program() -> impl Strategy<Value = Program> {
    vec(phase(), 1..5).prop_map(|phases| Program { phases })
}
