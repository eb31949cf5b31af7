//! Transactions: which state of the tables their statements read, and what they put back when they are rolled back.

use std::sync::Arc;

use datafusion_postgres::pgwire::messages::response::TransactionStatus;

use crate::{
    failure::{Failure, Outcome, code},
    snapshot::Snapshot,
    variables::Variables,
};

/// Savepoints that a transaction may have.
const MOST_SAVEPOINTS: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Each statement is its own.
    None,
    Open,
    /// A statement failed; only its end is left.
    Failed,
}

/// A session's transaction.
#[derive(Debug)]
pub(crate) struct Transaction {
    state: State,
    snapshot: Option<Arc<Snapshot>>,
    savepoints: Vec<String>,
    /// The settings when it began.
    before: Option<Variables>,
    /// The settings without those of SET LOCAL.
    kept: Option<Variables>,
}

impl Transaction {
    /// None is open.
    pub(crate) fn none() -> Self {
        Self { state: State::None, snapshot: None, savepoints: Vec::new(), before: None, kept: None }
    }

    /// As clients are told.
    pub(crate) fn status(&self) -> TransactionStatus {
        match self.state {
            State::None => TransactionStatus::Idle,
            State::Open => TransactionStatus::Transaction,
            State::Failed => TransactionStatus::Error,
        }
    }

    /// Whether one was begun.
    pub(crate) fn is_open(&self) -> bool {
        self.state != State::None
    }

    /// The tables that its statements read, once one has read them.
    pub(crate) fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.snapshot.as_ref()
    }

    /// The tables that its statements read from now on.
    pub(crate) fn read(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = Some(snapshot);
    }

    /// Refuses statements after one has failed.
    pub(crate) fn check(&self) -> Outcome {
        if self.state != State::Failed {
            return Ok(());
        }
        let what = "current transaction is aborted, commands ignored until end of transaction block";
        Err(Failure::new(code::IN_FAILED_TRANSACTION, what).hint("ROLLBACK ends it."))
    }

    /// A statement failed.
    pub(crate) fn fail(&mut self) {
        if self.state == State::Open {
            self.state = State::Failed;
        }
    }

    /// Begins one; `false`: one is open.
    pub(crate) fn begin(&mut self, variables: &Variables) -> bool {
        if self.is_open() {
            return false;
        }
        *self = Self { state: State::Open, before: Some(variables.clone()), ..Self::none() };
        true
    }

    /// Ends it; `false`: a statement had failed, so it is rolled back.
    pub(crate) fn commit(&mut self, variables: &mut Variables) -> bool {
        if self.state == State::Failed {
            self.rollback(variables);
            return false;
        }
        if let Some(kept) = self.kept.take() {
            *variables = kept;
        }
        *self = Self::none();
        true
    }

    /// Ends it and puts the settings back.
    pub(crate) fn rollback(&mut self, variables: &mut Variables) {
        if let Some(before) = self.before.take() {
            *variables = before;
        }
        *self = Self::none();
    }

    /// A statement outside a transaction is done: the next one reads the newest tables.
    pub(crate) fn statement_done(&mut self) {
        if !self.is_open() {
            self.snapshot = None;
        }
    }

    /// Changes settings, for this transaction only if `local`.
    pub(crate) fn set<T>(
        &mut self,
        variables: &mut Variables,
        local: bool,
        mut set: impl FnMut(&mut Variables) -> Outcome<T>,
    ) -> Outcome<T> {
        match (local, self.is_open(), &mut self.kept) {
            (true, true, kept) => {
                kept.get_or_insert_with(|| variables.clone());
            }
            // Outside a transaction it would end at once.
            (true, false, _) => return set(&mut variables.clone()),
            (false, _, Some(kept)) => {
                set(kept)?;
            }
            (false, _, None) => {}
        }
        set(variables)
    }

    /// Marks a point to come back to.
    pub(crate) fn savepoint(&mut self, name: String) -> Outcome {
        self.needs_transaction("SAVEPOINT")?;
        if self.savepoints.len() >= MOST_SAVEPOINTS {
            let what = format!("a transaction keeps at most {MOST_SAVEPOINTS} savepoints");
            return Err(Failure::new(code::CONFIGURATION_LIMIT, what));
        }
        self.savepoints.push(name);
        Ok(())
    }

    /// Forgets a point and those after it.
    pub(crate) fn release(&mut self, name: &str) -> Outcome {
        self.needs_transaction("RELEASE SAVEPOINT")?;
        let at = self.find(name)?;
        self.savepoints.truncate(at);
        Ok(())
    }

    /// Comes back to a point: a failed transaction goes on.
    pub(crate) fn rollback_to(&mut self, name: &str) -> Outcome {
        self.needs_transaction("ROLLBACK TO SAVEPOINT")?;
        let at = self.find(name)?;
        self.savepoints.truncate(at + 1);
        self.state = State::Open;
        Ok(())
    }

    /// Refuses what makes no sense outside a transaction.
    pub(crate) fn needs_transaction(&self, what: &str) -> Outcome {
        if self.is_open() {
            return Ok(());
        }
        Err(Failure::new(code::NO_TRANSACTION, format!("{what} can only be used in transaction blocks")))
    }

    fn find(&self, name: &str) -> Outcome<usize> {
        let missing = || Failure::new(code::NO_SAVEPOINT, format!("savepoint \"{name}\" does not exist"));
        self.savepoints.iter().rposition(|known| known == name).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(transaction: &mut Transaction, variables: &mut Variables, local: bool, value: &str) {
        transaction.set(variables, local, |variables| variables.set("jit", Some(value)).map(drop)).unwrap();
    }

    #[test]
    fn settings_go_back_when_a_transaction_does() {
        let mut variables = Variables::new("ann", None, None);
        let mut transaction = Transaction::none();
        assert!(transaction.begin(&variables) && !transaction.begin(&variables));
        set(&mut transaction, &mut variables, false, "on");
        transaction.rollback(&mut variables);
        assert_eq!(variables.get("jit"), Some("off"));

        transaction.begin(&variables);
        set(&mut transaction, &mut variables, true, "on");
        assert_eq!(variables.get("jit"), Some("on"));
        assert!(transaction.commit(&mut variables));
        assert_eq!(variables.get("jit"), Some("off"), "LOCAL ends with the transaction");

        set(&mut transaction, &mut variables, true, "on");
        assert_eq!(variables.get("jit"), Some("off"), "and outside one at once");
    }

    #[test]
    fn after_a_failure_only_the_end_or_a_savepoint_is_left() {
        let mut variables = Variables::new("ann", None, None);
        let mut transaction = Transaction::none();
        assert_eq!(transaction.savepoint("a".to_owned()).unwrap_err().code, code::NO_TRANSACTION);
        transaction.fail();
        transaction.check().unwrap();
        transaction.begin(&variables);
        transaction.savepoint("a".to_owned()).unwrap();
        transaction.fail();
        assert_eq!(transaction.check().unwrap_err().code, code::IN_FAILED_TRANSACTION);
        transaction.rollback_to("a").unwrap();
        transaction.check().unwrap();
        assert_eq!(transaction.rollback_to("b").unwrap_err().code, code::NO_SAVEPOINT);
        transaction.fail();
        assert!(!transaction.commit(&mut variables), "it is rolled back");
        assert!(!transaction.is_open());
    }
}
