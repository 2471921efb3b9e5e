//! What a command has to say: an answer with its source, or a failure with its next step.

use fcp_proto_core::error::{Code, ExitCode};
use serde::Serialize;

use super::json;
use super::table::Room;
use super::value::{Object, Value};

/// How much an answer can be trusted to be the truth of the whole mesh, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TruthSource {
    /// Certified by the mesh.
    Mesh,
    /// Said by the running daemon of this host.
    Host,
    /// Read from this node's own files.
    NodeLocal,
    /// From installed manifests alone; nothing live was asked.
    Offline,
}

impl TruthSource {
    /// The word that every format shows.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Host => "host",
            Self::NodeLocal => "node-local",
            Self::Offline => "offline",
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Where the cell is in a row: keys joined by dots. Of an array on the way, each item counts.
    pub(crate) path: &'static str,
    /// What stands above it.
    pub(crate) title: &'static str,
    /// What becomes of long cells.
    pub(crate) room: Room,
}

impl Column {
    /// The column of the values at `path`, cut where the terminal is too narrow.
    pub(crate) const fn new(path: &'static str, title: &'static str) -> Self {
        Self { path, title, room: Room::Cut }
    }

    /// This column with long cells shown whole.
    #[must_use]
    pub(crate) const fn whole(mut self) -> Self {
        self.room = Room::Wrapped;
        self
    }

    /// This column below each row that has something in it, whole on a line of its own, such as a command to copy.
    #[must_use]
    pub(crate) const fn below(mut self) -> Self {
        self.room = Room::Below;
        self
    }
}

/// Which rows and columns people see; other formats give all data regardless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableSpec {
    /// The member of the data that holds the rows; `None` if the data itself is the array.
    pub(crate) rows: Option<&'static str>,
    /// The columns, left to right; none means every member that a row has.
    pub(crate) columns: Vec<Column>,
}

impl TableSpec {
    /// The rows in the member `rows` of the data.
    pub(crate) fn rows(rows: &'static str, columns: &[Column]) -> Self {
        Self { rows: Some(rows), columns: columns.to_vec() }
    }

    /// The data itself is the array of rows.
    pub(crate) fn root(columns: &[Column]) -> Self {
        Self { rows: None, columns: columns.to_vec() }
    }
}

/// What a command found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The command, as typed: `agent list`.
    pub(crate) command: String,
    /// The failure that the answer tells of, such as a chain that does not verify; `None` if all is well.
    pub(crate) failed: Option<Box<Failure>>,
    /// Where the data is from.
    pub(crate) source: TruthSource,
    /// The data itself.
    pub(crate) data: Value,
    /// What the reader should know besides.
    pub(crate) notes: Vec<String>,
    /// Commands that go on from here.
    pub(crate) next: Vec<String>,
    /// How people see it.
    pub(crate) table: Option<TableSpec>,
    /// Further members that hold rows, and which columns of them people see below all else.
    pub(crate) sections: Vec<TableSpec>,
    /// Members that people do not see, because they say again what is shown or only programs need them.
    pub(crate) hidden: Vec<&'static str>,
}

impl Answer {
    /// The answer `data` to `command`. `serde_json::Value` converts, with members in the order of their keys;
    /// [`Answer::of`] keeps the order of a type's fields.
    pub(crate) fn new(command: impl Into<String>, source: TruthSource, data: impl Into<Value>) -> Self {
        Self {
            command: command.into(),
            failed: None,
            source,
            data: data.into(),
            notes: Vec::new(),
            next: Vec::new(),
            table: None,
            sections: Vec::new(),
            hidden: Vec::new(),
        }
    }

    /// The answer `data` to `command`, members in the order of the type's fields.
    ///
    /// # Errors
    /// [`Code::Internal`] if the value has no JSON form.
    pub(crate) fn of(
        command: impl Into<String>,
        source: TruthSource,
        data: &impl Serialize,
    ) -> Result<Self, Failure> {
        let defect = |why: String| Failure::new(Code::Internal, "the answer cannot be written as JSON", why);
        let text = serde_json::to_vec(data).map_err(|error| defect(error.to_string()))?;
        let value = json::read(&text, text.len()).map_err(|error| defect(error.to_string()))?;
        Ok(Self::new(command, source, value))
    }

    /// This answer shown as `table` says.
    #[must_use]
    pub(crate) fn table(mut self, table: TableSpec) -> Self {
        self.table = Some(table);
        self
    }

    /// This answer with the member that `section` names shown as a table of its own.
    #[must_use]
    pub(crate) fn section(mut self, section: TableSpec) -> Self {
        self.sections.push(section);
        self
    }

    /// This answer with `members` left to the formats that programs read.
    #[must_use]
    pub(crate) fn hidden(mut self, members: &[&'static str]) -> Self {
        self.hidden.extend(members);
        self
    }

    /// This answer with one more note.
    #[must_use]
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// This answer with one more command to go on with.
    #[must_use]
    pub(crate) fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }

    /// How the process ends.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.failed.as_ref().map_or(ExitCode::Ok, |failure| failure.exit_code())
    }

    /// The documented envelope.
    pub(crate) fn envelope(&self) -> Value {
        let head = match &self.failed {
            None => Object::default().with("status", "ok"),
            Some(failure) => Object::default().with("status", "failed").with("error", failure.error()),
        };
        head.with("command", self.command.as_str())
            .with("source", self.source.as_str())
            .with("data", self.data.clone())
            .with("notes", strings(&self.notes))
            .with("next", strings(&self.next))
            .into()
    }
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The registered code, which decides the exit code too.
    pub(crate) code: Code,
    /// What failed.
    pub(crate) what: String,
    /// Why, as far as it is known.
    pub(crate) why: String,
    /// What to do now; the registry's next step if none is set.
    pub(crate) next: Vec<String>,
    /// Whether the same may succeed later unchanged.
    pub(crate) retryable: bool,
    /// More for machines.
    pub(crate) detail: Option<Value>,
}

impl Failure {
    /// The failure `what` because of `why`.
    pub(crate) fn new(code: Code, what: impl Into<String>, why: impl Into<String>) -> Self {
        let retryable = code.retryable();
        Self { code, what: what.into(), why: why.into(), next: Vec::new(), retryable, detail: None }
    }

    /// This failure with one more next step.
    #[must_use]
    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next.push(step.into());
        self
    }

    /// This failure with `detail` for machines.
    #[must_use]
    pub(crate) fn detail(mut self, detail: impl Into<Value>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// How the process ends.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.code.exit_code()
    }

    /// The steps to show: those that were set, or the registry's.
    pub(crate) fn steps(&self) -> Vec<String> {
        if self.next.is_empty() { vec![self.code.next_step().to_owned()] } else { self.next.clone() }
    }

    /// The documented envelope.
    pub(crate) fn envelope(&self) -> Value {
        Object::default().with("status", "error").with("error", self.error()).into()
    }

    fn error(&self) -> Object {
        Object::default()
            .with("code", self.code.to_string())
            .with("name", self.code.name())
            .with("message", self.what.as_str())
            .with("why", if self.why.is_empty() { NOTHING_MORE } else { self.why.as_str() })
            .with("retryable", self.retryable)
            .with("next", strings(&self.steps()))
            .with("detail", self.detail.clone().unwrap_or_default())
    }
}

/// The reason where there is none beyond what failed.
const NOTHING_MORE: &str = "nothing more is known";

fn strings(texts: &[String]) -> Value {
    Value::Array(texts.iter().map(|text| Value::from(text.as_str())).collect())
}
