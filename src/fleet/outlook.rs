//! What stands against the migrations of a plan before they are begun: by the journal, and
//! by the checks that each begins with.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::base::{ClockRef, limits};
use crate::domain::{Control, FailureClass, MigrationSpec};
use crate::phases::{self, Objection};
use crate::report::Verdict;
use crate::transport::Transport;

/// What a migration's checks come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// It may begin.
    Fine,
    /// `run` does not begin it.
    LeftAlone,
    /// Nothing is to be done.
    Skipped,
    /// It cannot begin now; what stands against it may pass by itself.
    NotNow,
    /// It would be refused.
    Refused,
    /// A person has to see to something.
    NeedsOperator,
}

impl Outlook {
    /// What `objections` come to.
    pub fn of(objections: &[Objection]) -> Outlook {
        let of_one = |objection: &Objection| match objection.cause.class {
            FailureClass::AlreadyDone => Outlook::Skipped,
            FailureClass::Transient | FailureClass::Wrapper => Outlook::NotNow,
            FailureClass::Informative => Outlook::Fine,
            FailureClass::NeedsOperator if !objection.gate => Outlook::NeedsOperator,
            FailureClass::Permanent | FailureClass::NeedsOperator => Outlook::Refused,
        };
        objections.iter().map(of_one).max().unwrap_or(Outlook::Fine)
    }

    /// As it is shown.
    pub fn words(self) -> &'static str {
        match self {
            Outlook::Fine => "fine",
            Outlook::LeftAlone => "left alone",
            Outlook::Skipped => "skipped",
            Outlook::NotNow => "not now",
            Outlook::Refused => "refused",
            Outlook::NeedsOperator => "needs an operator",
        }
    }

    /// What the night would come to for it.
    pub fn verdict(self) -> Verdict {
        match self {
            Outlook::Fine | Outlook::LeftAlone | Outlook::Skipped => Verdict::AllMigrated,
            Outlook::NotNow | Outlook::Refused => Verdict::SomeFailed,
            Outlook::NeedsOperator => Verdict::NeedsOperator,
        }
    }
}

/// A client of the plan, and what stands against its migration.
#[derive(Debug)]
pub struct Looked {
    pub client: String,
    pub outlook: Outlook,
    /// What the journal knows of it.
    pub why: Option<String>,
    pub objections: Vec<Objection>,
}

impl Looked {
    /// A client of which the journal tells enough, and what that comes to.
    pub fn known(client: String, outlook: Outlook, why: String) -> Looked {
        Looked { client, outlook, why: Some(why), objections: Vec::new() }
    }

    /// A client that its checks were asked of.
    pub fn checked(client: String, objections: Vec<Objection>) -> Looked {
        Looked { client, outlook: Outlook::of(&objections), why: None, objections }
    }
}

/// What the night would come to.
pub fn worst(looked: &[Looked]) -> Verdict {
    looked.iter().map(|one| one.outlook.verdict()).max().unwrap_or(Verdict::AllMigrated)
}

/// What stands against each of `specs`, in their order.
pub async fn objections(
    transport: &Arc<dyn Transport>,
    clock: &ClockRef,
    scope: &str,
    control: &Control,
    specs: Vec<MigrationSpec>,
) -> Vec<(String, Vec<Objection>)> {
    let places = Arc::new(Semaphore::new(limits::PREFLIGHT_AT_ONCE));
    let mut asked = JoinSet::new();
    for (index, spec) in specs.into_iter().enumerate() {
        let (transport, clock) = (Arc::clone(transport), Arc::clone(clock));
        let (scope, control, places) = (scope.to_owned(), control.clone(), Arc::clone(&places));
        asked.spawn(async move {
            let _place = places.acquire().await.expect("nobody closes it");
            let found = phases::preflight(&*transport, &clock, &scope, &control, &spec).await;
            (index, spec.client.to_string(), found)
        });
    }
    let mut found = asked.join_all().await;
    found.sort_by_key(|(index, ..)| *index);
    found.into_iter().map(|(_, client, objections)| (client, objections)).collect()
}
