//! The hosts are asked what migrations have left on them, before it is told.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::base::Millis;
use crate::domain::{Control, CopySeen, MigrationId, Presence, StepName, StepSpec};
use crate::journal::{JournalError, Reader};
use crate::machine::State;
use crate::phases::{self, LeftBy};
use crate::report::{self, MigrationView, Story, asked_after, has_begun, writes_file};
use crate::transport::Transport;

/// How long hosts are waited for, in real time: the rest is told as last seen.
const WAIT: Duration = Duration::from_secs(30);

/// Hosts, as they are asked now.
pub struct HostsNow {
    pub transport: Arc<dyn Transport>,
    /// What they are told of who asks.
    pub control: Control,
    /// The time on their clock.
    pub now_ms: Millis,
}

/// The one of `all` whose copy may stand where `view` has touched nothing.
pub fn before<'a>(all: &'a [MigrationView], view: &MigrationView) -> Option<&'a MigrationView> {
    let touched_nothing = matches!(view.state, State::Refused { .. } | State::Skipped { .. });
    let is_it = |one: &&MigrationView| {
        one.client == view.client
            && one.id < view.id
            && one.spec.task.is_migration()
            && has_begun(&one.state)
    };
    if touched_nothing { all.iter().rfind(is_it) } else { None }
}

/// Whether a copy may stand that is this one's, and is looked at.
pub fn has_copy(view: &MigrationView) -> bool {
    let spec = &*view.spec;
    match &view.state {
        _ if !spec.task.changes_client() => false,
        State::Migrated { .. } => true,
        State::RolledBack { .. } => spec.task.is_migration() && spec.keeps_failed_copy(),
        _ => false,
    }
}

/// What is to be asked of hosts, and the stories that it is about.
pub struct LeftToAsk<'a> {
    stories: Vec<&'a mut Story>,
    wants: Vec<Wanted>,
}

impl<'a> LeftToAsk<'a> {
    /// The hosts of those of `stories` that may have left something and are not at their
    /// end and, where `is_asked` says so, their copies are asked after. `all` are all
    /// views of the journal. None: nobody is to be asked.
    pub fn of(
        reader: &Reader,
        all: &[MigrationView],
        stories: &'a mut [Story],
        is_asked: impl Fn(&MigrationView) -> bool,
    ) -> Result<Option<LeftToAsk<'a>>, JournalError> {
        for story in &mut *stories {
            let before = before(all, &story.view).cloned();
            let before = before.map(|view| report::story(reader, view)).transpose()?;
            story.before = before.map(Box::new);
        }
        let stories: Vec<&mut Story> = stories
            .iter_mut()
            .map(|story| match story.before {
                Some(ref mut before) => &mut **before,
                None => story,
            })
            .collect();
        let wants: Vec<Wanted> =
            stories.iter().map(|story| Wanted::of(all, story, &is_asked)).collect();
        let is_any = wants.iter().any(Wanted::is_any);
        Ok(is_any.then_some(LeftToAsk { stories, wants }))
    }

    /// Asks, all at once, and tells the stories. `scope` is the journal's.
    pub async fn ask(self, scope: &str, hosts: &HostsNow) {
        let LeftToAsk { mut stories, wants } = self;
        for (story, wanted) in stories.iter_mut().zip(&wants) {
            story.view.is_silent = wanted.copy && has_copy(&story.view);
        }
        let mut asked = JoinSet::new();
        for (index, (story, wanted)) in stories.iter().zip(wants).enumerate() {
            if wanted.is_any() {
                asked.spawn(look(index, wanted, story, scope, hosts));
            }
        }
        let collect = async {
            while let Some(done) = asked.join_next().await {
                let Ok(Found { index, steps, copy }) = done else { continue };
                let mut files = steps.iter().filter(|(name, _)| writes_file(name));
                stories[index].view.is_gone =
                    files.any(|(_, is)| matches!(is, Presence::Absent | Presence::Partial));
                stories[index].found = steps;
                if copy.is_some() {
                    stories[index].view.is_silent = false;
                    stories[index].view.seen = copy;
                }
            }
        };
        // Those that have not answered by then are told as they were seen last.
        let _ = tokio::time::timeout(WAIT, collect).await;
    }
}

/// What is asked about a migration.
struct Wanted {
    /// Steps that may have left something.
    steps: Vec<StepSpec>,
    copy: bool,
}

impl Wanted {
    fn of(
        all: &[MigrationView],
        story: &Story,
        is_asked: &impl Fn(&MigrationView) -> bool,
    ) -> Wanted {
        let view = &story.view;
        // Where a later migration has begun, what stands is that one's.
        let is_later = |one: &MigrationView| {
            one.client == view.client && one.id > view.id && one.spec.task.is_migration()
        };
        let is_last = !all.iter().any(|one| is_later(one) && has_begun(&one.state));
        let steps = asked_after(story);
        let changes = view.spec.task.changes_client();
        let copy = !steps.is_empty() && changes || has_copy(view) && is_asked(view);
        Wanted { steps, copy: copy && is_last }
    }

    fn is_any(&self) -> bool {
        !self.steps.is_empty() || self.copy
    }
}

/// What was found of a migration.
struct Found {
    index: usize,
    steps: Vec<(StepName, Presence)>,
    copy: Option<CopySeen>,
}

fn look(
    index: usize,
    wanted: Wanted,
    story: &Story,
    scope: &str,
    hosts: &HostsNow,
) -> impl Future<Output = Found> + Send + use<> {
    let (spec, facts) = (Arc::clone(&story.view.spec), story.facts());
    let first: MigrationId = spec.part.as_ref().map_or(story.view.id, |part| part.first);
    let owner = format!("{scope}.{first}");
    let (transport, control) = (Arc::clone(&hosts.transport), hosts.control.clone());
    let now_ms = hosts.now_ms;
    async move {
        let by = LeftBy { spec: &spec, facts: &facts, owner: &owner, control: &control, now_ms };
        let copy =
            async { if wanted.copy { phases::look_at_copy(&*transport, by).await } else { None } };
        let (steps, copy) = tokio::join!(phases::left(&*transport, by, &wanted.steps), copy);
        Found { index, steps, copy }
    }
}
