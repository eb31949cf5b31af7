//! What one client has on this side: its settings, transaction, prepared statements, results under way, temporary tables.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use datafusion::{common::ScalarValue, error::DataFusionError, execution::SessionState};
use datafusion_postgres::pgwire::api::{Type, portal::Format, results::FieldInfo};

use crate::{
    catalog::{Names, Own},
    engine::Engine,
    failure::{Failure, Outcome, code},
    functions,
    listing::System,
    prepare::{self, Plan},
    rows::{self, Rows},
    settings::Settings,
    snapshot::{Snapshot, Snapshots},
    statement::{Command, Reader, Select},
    temporary::Temporary,
    transaction::Transaction,
    variables::Variables,
};

/// Prepared statements of a session.
const MOST_STATEMENTS: usize = 1_000;
/// Bytes of the texts of all of them.
const MOST_STATEMENT_BYTES: usize = 16 << 20;
/// Results that a session may have under way.
const MOST_PORTALS: usize = 64;

/// What all sessions of a server share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) engine: Engine,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) system: Arc<System>,
    pub(crate) reader: Reader,
}

/// Which state of the tables, settings and temporary tables a plan was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Basis {
    snapshot: u64,
    temporary: u64,
    settings: u64,
}

/// A statement that a client has prepared.
#[derive(Clone)]
pub(crate) struct Prepared {
    /// `None`: an empty text.
    pub(crate) command: Option<Command>,
    /// Types that the client gave for its parameters.
    pub(crate) given: Vec<Option<Type>>,
    /// Of the query in it.
    pub(crate) plan: Option<Plan>,
    basis: Option<Basis>,
    bytes: usize,
}

/// A statement with its parameters, or a cursor: a result that is taken in parts.
pub(crate) struct Portal {
    pub(crate) statement: Arc<Prepared>,
    pub(crate) values: Vec<ScalarValue>,
    pub(crate) format: Format,
    /// The result, once it is under way.
    pub(crate) rows: Option<Rows>,
    /// Names of its columns.
    pub(crate) names: Vec<Option<String>>,
    /// Whether it has been executed.
    pub(crate) started: bool,
    /// Whether it was made by DECLARE.
    pub(crate) cursor: bool,
    /// Whether it outlives its transaction.
    pub(crate) hold: bool,
}

/// One client's state.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) variables: Variables,
    pub(crate) transaction: Transaction,
    pub(crate) temporary: Temporary,
    pub(crate) portals: HashMap<String, Portal>,
    statements: HashMap<String, Arc<Prepared>>,
    state: SessionState,
    /// Changes whenever a setting does.
    settings: u64,
    pid: i32,
}

impl Session {
    /// For a client that has logged in.
    pub(crate) fn new(shared: Arc<Shared>, variables: Variables, pid: i32) -> Outcome<Self> {
        let state = shared.engine.base();
        let mut session = Self {
            shared,
            variables,
            transaction: Transaction::none(),
            temporary: Temporary::default(),
            portals: HashMap::new(),
            statements: HashMap::new(),
            state,
            settings: 0,
            pid,
        };
        session.settings_changed()?;
        Ok(session)
    }

    /// Settings were changed: functions that speak of them say what they are now.
    pub(crate) fn settings_changed(&mut self) -> Outcome {
        self.settings += 1;
        Ok(functions::register(&mut self.state, functions::of_session(&self.variables, self.pid))?)
    }

    /// The statements of a text.
    pub(crate) async fn read(&self, text: String) -> Outcome<Vec<Command>> {
        let shared = Arc::clone(&self.shared);
        self.shared.engine.run(async move { shared.reader.read(&text) }).await
    }

    /// The tables that the next statement reads: those of its transaction, else the newest.
    async fn snapshot(&mut self) -> Outcome<Arc<Snapshot>> {
        if let Some(snapshot) = self.transaction.snapshot() {
            return Ok(Arc::clone(snapshot));
        }
        let shared = Arc::clone(&self.shared);
        let newest = async move {
            let newest = shared.snapshots.newest().await;
            newest.map_err(|error| Failure::new(code::IO, format!("the lake can't be read: {error}")))
        };
        let snapshot = self.shared.engine.run(newest).await?;
        self.transaction.read(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// The engine's state for a statement over a snapshot.
    fn state_over(&self, snapshot: Arc<Snapshot>) -> Outcome<SessionState> {
        let own = Own {
            temporary: self.temporary.providers()?,
            search_path: self.variables.search_path(),
            settings: Some(self.settings_table()?),
        };
        let mut state = self.state.clone();
        state.register_catalog_list(Names::new(snapshot, Arc::clone(&self.shared.system), Arc::new(own)));
        Ok(state)
    }

    /// `pg_settings`.
    fn settings_table(&self) -> Outcome<RecordBatch> {
        let all = self.variables.all();
        let text = |value: fn(&(String, String)) -> Option<&str>| -> arrow_array::ArrayRef {
            Arc::new(all.iter().map(value).collect::<StringArray>())
        };
        let columns = [
            ("name", text(|(name, _)| Some(name))),
            ("setting", text(|(_, value)| Some(value))),
            ("unit", text(|_| None)),
            ("category", text(|_| Some("Settings"))),
            ("short_desc", text(|_| None)),
            ("extra_desc", text(|_| None)),
            ("context", text(|_| Some("user"))),
            ("vartype", text(|_| Some("string"))),
            ("source", text(|_| Some("session"))),
            ("min_val", text(|_| None)),
            ("max_val", text(|_| None)),
            ("enumvals", text(|_| None)),
            ("boot_val", text(|_| None)),
            ("reset_val", text(|_| None)),
        ];
        let columns = columns.map(|(name, column)| (name, column, true));
        Ok(RecordBatch::try_from_iter_with_nullable(columns).map_err(DataFusionError::from)?)
    }

    /// The engine's state for the next statement.
    pub(crate) async fn state(&mut self) -> Outcome<SessionState> {
        let snapshot = self.snapshot().await?;
        self.state_over(snapshot)
    }

    /// Plans a query, and says what the plan holds for.
    async fn plan(&mut self, select: Select, given: Vec<Option<Type>>) -> Outcome<(Plan, Basis)> {
        let snapshot = self.snapshot().await?;
        let basis = self.basis(&snapshot);
        let state = self.state_over(snapshot)?;
        let plan = self.shared.engine.run(prepare::plan(state, select, given)).await?;
        Ok((plan, basis))
    }

    fn basis(&self, snapshot: &Snapshot) -> Basis {
        Basis { snapshot: snapshot.number, temporary: self.temporary.changes(), settings: self.settings }
    }

    /// Prepares one statement; what reads tables is planned.
    pub(crate) async fn prepare(
        &mut self,
        command: Option<Command>,
        given: Vec<Option<Type>>,
        bytes: usize,
    ) -> Outcome<Prepared> {
        let query = command.as_ref().and_then(query_of).cloned();
        let (plan, basis) = match query {
            Some(query) => {
                let (plan, basis) = self.plan(query, given.clone()).await?;
                (Some(plan), Some(basis))
            }
            None => (None, None),
        };
        Ok(Prepared { command, given, plan, basis, bytes })
    }

    /// Starts a statement's query with values for its parameters.
    pub(crate) async fn start(&mut self, statement: &Prepared, values: &[ScalarValue]) -> Outcome<Rows> {
        let (Some(query), Some(planned)) = (statement.command.as_ref().and_then(query_of), &statement.plan) else {
            return Err(Failure::new(code::INTERNAL, "a statement without a query was started as one"));
        };
        let snapshot = self.snapshot().await?;
        let plan = if statement.basis == Some(self.basis(&snapshot)) {
            planned.with(values)?
        } else {
            // The tables are others than when it was prepared.
            let (plan, _) = self.plan(query.clone(), statement.given.clone()).await?;
            let same = |(one, other): (&Arc<arrow_schema::Field>, &Arc<arrow_schema::Field>)| {
                one.data_type() == other.data_type() && one.name() == other.name()
            };
            let (old, new) = (planned.schema.fields(), plan.schema.fields());
            if old.len() != new.len() || !old.iter().zip(new).all(same) {
                let what = "cached plan must not change result type";
                return Err(Failure::new(code::FEATURE_NOT_SUPPORTED, what).hint("Prepare the statement again."));
            }
            plan.with(values)?
        };
        let state = self.state_over(snapshot)?;
        Ok(Rows::of(self.shared.engine.start(state, plan), Arc::clone(&planned.schema)))
    }

    /// How the columns of a result go to the client.
    pub(crate) fn fields(
        &self,
        schema: &SchemaRef,
        names: &[Option<String>],
        format: &Format,
    ) -> Outcome<Arc<Vec<FieldInfo>>> {
        rows::fields(schema, names, format, self.variables.format())
    }

    /// A prepared statement.
    pub(crate) fn statement(&self, name: &str) -> Outcome<Arc<Prepared>> {
        let missing = || Failure::new(code::NO_STATEMENT, format!("prepared statement \"{name}\" does not exist"));
        self.statements.get(name).cloned().ok_or_else(missing)
    }

    /// Keeps a prepared statement. One without a name takes the place of the last.
    pub(crate) fn keep(&mut self, name: String, statement: Prepared) -> Outcome {
        if !name.is_empty() && self.statements.contains_key(&name) {
            let what = format!("prepared statement \"{name}\" already exists");
            return Err(Failure::new(code::DUPLICATE_STATEMENT, what));
        }
        let bytes: usize = self.statements.values().map(|statement| statement.bytes).sum();
        if self.statements.len() >= MOST_STATEMENTS || bytes + statement.bytes > MOST_STATEMENT_BYTES {
            let what = format!(
                "a session keeps at most {MOST_STATEMENTS} prepared statements of {} MiB",
                MOST_STATEMENT_BYTES >> 20
            );
            return Err(Failure::new(code::CONFIGURATION_LIMIT, what).hint("DEALLOCATE ALL forgets them."));
        }
        self.statements.insert(name, Arc::new(statement));
        Ok(())
    }

    /// Forgets a prepared statement, or all.
    pub(crate) fn forget(&mut self, name: Option<&str>) -> bool {
        match name {
            Some(name) => self.statements.remove(name).is_some(),
            None => {
                self.statements.clear();
                true
            }
        }
    }

    /// Keeps a result that is to be taken in parts.
    pub(crate) fn open(&mut self, name: String, portal: Portal) -> Outcome {
        if !name.is_empty() && self.portals.contains_key(&name) {
            return Err(Failure::new(code::DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")));
        }
        if self.portals.len() >= MOST_PORTALS {
            let what = format!("a session may have {MOST_PORTALS} cursors or portals open");
            return Err(Failure::new(code::CONFIGURATION_LIMIT, what).hint("CLOSE ALL closes them."));
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    /// A transaction, or a statement outside one, is over: results under way end with it.
    pub(crate) fn transaction_over(&mut self) {
        self.portals.retain(|_, portal| portal.hold);
        self.transaction.statement_done();
    }

    /// Forgets everything that the client made.
    pub(crate) fn discard(&mut self) -> Outcome {
        self.variables.reset();
        self.portals.clear();
        self.statements.clear();
        self.temporary.clear();
        self.settings_changed()
    }
}

/// The query in a statement.
fn query_of(command: &Command) -> Option<&Select> {
    match command {
        Command::Select(query) | Command::Declare { query, .. } | Command::InsertTemporary { query, .. } => Some(query),
        Command::CreateTemporary { query, .. } => query.as_ref(),
        _ => None,
    }
}

impl Prepared {
    /// Names of its columns.
    pub(crate) fn names(&self) -> &[Option<String>] {
        self.command.as_ref().and_then(query_of).map_or(&[], |query| &query.names)
    }
}
