//! Work for an engine that runs: posted, and waited for until it was taken or not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{SystemClock, limits};
use crate::domain::MigrationSpec;
use crate::fleet::{Work, anew};
use crate::journal::{
    BatchId, JournalError, MigrationRow, NewRequest, OrderAnswer, Reader, RequestId, RequestKind,
    Requests, WhyRefused,
};
use crate::report::MigrationView;

use super::error::CliError;
use super::exit::Exit;
use super::interrupt;
use super::operator::operator;
use super::out::Out;
use super::state_dir::StateDir;
use super::status::engine;

/// What an engine made of work.
pub(super) enum Answer {
    /// It was taken, but for these clients, each for its reason.
    Taken(BTreeMap<String, String>),
    /// Nothing of it was, for this reason.
    Refused(String),
    /// The engine ended before it saw it, and left nothing that goes on by itself.
    Gone,
}

/// Hands `work` to the running engine.
pub(super) fn hand_over(
    place: &StateDir,
    reader: &Reader,
    work: &Work,
) -> Result<Answer, CliError> {
    let request = NewRequest {
        kind: RequestKind::Run,
        client: None,
        migration: None,
        operator: operator(),
        at_ms: SystemClock::read_ms(),
    };
    interrupt::watch();
    let text = serde_json::to_string(work).expect("work has text for keys");
    let id = Requests::post_work(place.dir(), &request, &text).map_err(|error| {
        let too_many = matches!(error, JournalError::Encode { .. });
        let told = CliError::from(error);
        if too_many { told.help("run it in parts, with `--client`") } else { told }
    })?;
    answer(place, reader, id, &work.beside)
}

fn answer(
    place: &StateDir,
    reader: &Reader,
    id: RequestId,
    beside: &BTreeSet<BatchId>,
) -> Result<Answer, CliError> {
    let (mut waited, mut is_told) = (Duration::ZERO, false);
    loop {
        // Asked first: what an engine writes last is read after that.
        let holder = engine(place)?;
        let version = reader.data_version()?;
        if let Some(answer) = reader.request(id)?.answer {
            return understood(answer);
        }
        if holder.is_none() {
            let goes = |row: &MigrationRow| beside.contains(&row.batch) && !row.state.is_at_rest();
            if !reader.migrations(None)?.iter().any(goes) {
                return Ok(Answer::Gone);
            }
            let text = "the engine ended before it accepted the new work";
            return Err(CliError::new(Exit::WorkLeft, text)
                .help("`nimshift resume` continues, with the new work"));
        }
        while reader.data_version()? == version && engine(place)?.is_some() {
            if interrupt::came() {
                let text = "interrupted before the engine answered";
                return Err(CliError::new(Exit::WorkLeft, text).help(
                    "the request is journaled and will be carried out; `nimshift status` shows it",
                ));
            }
            interrupt::pause();
            waited += limits::REQUEST_POLL;
            if waited >= limits::ANSWER_WAIT && !is_told {
                is_told = true;
                Out::note("the engine has not answered yet; the request is journaled");
            }
        }
    }
}

fn understood(answer: OrderAnswer) -> Result<Answer, CliError> {
    Ok(match answer {
        OrderAnswer::Taken(but) | OrderAnswer::Refused(WhyRefused::Clients(but)) => {
            Answer::Taken(but.into_iter().collect())
        }
        OrderAnswer::Refused(why) => Answer::Refused(why.to_string()),
        answer @ (OrderAnswer::Done(_) | OrderAnswer::Told(_)) => {
            let text = format!("the running engine answered `{answer}`");
            return Err(CliError::new(Exit::WorkLeft, text));
        }
    })
}

/// Hands the migrations `ended` over to be started again, each as `spec_of` gives it and
/// in its own batch. Gives those that were not taken, each with the reason.
pub(super) fn begin_anew(
    place: &StateDir,
    ended: &[&MigrationView],
    spec_of: impl Fn(&MigrationView) -> MigrationSpec,
) -> Result<BTreeMap<String, String>, CliError> {
    let reader = place.reader()?;
    let mut refused = BTreeMap::new();
    for work in anew(&reader, ended, spec_of, &operator())? {
        let why = match hand_over(place, &reader, &work)? {
            Answer::Taken(but) => {
                refused.extend(but);
                continue;
            }
            Answer::Refused(why) => why,
            Answer::Gone => "the engine ended meanwhile".to_owned(),
        };
        refused.extend(work.clients.iter().map(|one| (one.spec.client.to_string(), why.clone())));
    }
    Ok(refused)
}
