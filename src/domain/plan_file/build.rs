//! From the plan file to the plan: what its keys mean together.
//!
//! Looks at all that fits, collects what is wrong, and gives a plan if nothing
//! was missing. An error in what many clients take from one table is found once
//! for each and kept once: it has one place and one text.

use std::collections::{BTreeMap, HashMap};

use super::default;
use super::file::{
    ClientTable, FailureTable, LimitsTable, MessageTable, OptionKeys, PhaseList, PlanFile,
    RetryTable,
};
use super::reader::{At, Reader};
use super::rules;
use super::words::{DurationText, PhaseKey};
use crate::base::limits::CAUSE_BYTES_MAX;
use crate::domain::aim::{Aim, Target};
use crate::domain::failure::MessageRule;
use crate::domain::name::{HostName, Level, NimName};
use crate::domain::phase::{Phase, parse_phases};
use crate::domain::plan::{Limits, Plan};
use crate::domain::spec::{
    BootFailure, Bootlist, CopyPolicy, DeadLease, FailurePolicy, MigrationSpec, Options,
    RetryPolicy, SPEC_FORMAT,
};
use crate::domain::task::Task;

impl Reader<'_, '_> {
    /// The plan, if nothing that it needs is missing or wrong.
    pub(super) fn plan(mut self, file: &PlanFile) -> Option<Plan> {
        let name = self.word(
            file.batch.as_ref().and_then(|batch| batch.name.as_ref()),
            At::Key("batch", "name"),
        );
        let master: Option<HostName> = self.word(
            file.master.as_ref().and_then(|master| master.name.as_ref()),
            At::Key("master", "name"),
        );
        let estate = self.estate(file, master.as_ref());
        let limits = self.limits(file.limits.as_ref());
        let messages = self.messages(file.message.as_deref().unwrap_or_default());
        self.shared(file);
        let clients = file.client.as_deref().unwrap_or_default();
        self.names(clients, master.as_ref());
        rules::work_apart(&mut self, clients);
        rules::outputs_apart(&mut self, clients);
        rules::verified(&mut self, file);
        let migrations: Vec<Option<MigrationSpec>> = clients
            .iter()
            .enumerate()
            .map(|(index, client)| self.migration(file, index, client, master.as_ref()))
            .collect();
        let messages = messages?;
        let mut migrations = migrations
            .into_iter()
            .map(|spec| spec.map(|spec| MigrationSpec { messages: messages.clone(), ..spec }))
            .collect::<Option<Vec<_>>>()?;
        // Stable: within a wave the order of the file stays.
        migrations.sort_by_key(|migration| migration.wave);
        Some(Plan { name: name?, estate: estate?, master: master?, limits: limits?, migrations })
    }

    fn limits(&mut self, table: Option<&LimitsTable>) -> Option<Limits> {
        let mut phases = BTreeMap::new();
        for (key, limit) in table.into_iter().flat_map(|table| &table.phases) {
            let phase = PhaseKey::phase(key)?;
            if phases.insert(phase, *limit).is_some() {
                let what =
                    format!(": phase {} has two limits, by name and by number", phase.number());
                self.wrong(At::Key("limits", "phases"), what, "remove one of the two");
            }
        }
        let migrations = table.and_then(|table| table.migrations).unwrap_or(default::MIGRATIONS);
        Some(Limits { migrations, phases })
    }

    /// The rules for messages; none of them may fit every line.
    fn messages(&mut self, tables: &[MessageTable]) -> Option<Vec<MessageRule>> {
        let rules: Vec<_> =
            tables.iter().enumerate().map(|(index, table)| self.message(index, table)).collect();
        rules.into_iter().collect()
    }

    fn message(&mut self, index: usize, table: &MessageTable) -> Option<MessageRule> {
        let mut fits = true;
        let mut wrong = |reader: &mut Self, key, what: &str, help: &str| {
            reader.wrong(At::Rule(index, key), what, help);
            fits = false;
        };
        if table.id.is_none() && table.pattern.is_none() {
            wrong(self, "class", " matches no message", "add an `id`, a `pattern`, or both");
        }
        if table.id.as_deref().is_some_and(|id| !is_message_id(id)) {
            let help = "four digits, a hyphen, three or four digits: `0516-404`";
            wrong(self, "id", " is not a message id", help);
        }
        for (key, text) in [("pattern", &table.pattern), ("hint", &table.hint)] {
            let Some(text) = text else { continue };
            let size = text.trim().len();
            if size > CAUSE_BYTES_MAX || text.contains(char::is_control) {
                wrong(self, key, " is not one line of text", "at most 400 bytes, on one line");
            } else if size < 3 && key == "pattern" {
                wrong(self, key, " matches nearly every line", "write more of the message");
            }
        }
        if !fits {
            return None;
        }
        let MessageTable { id, pattern, class, hint } = table;
        Some(MessageRule {
            id: id.clone(),
            pattern: pattern.clone(),
            class: (*class)?,
            hint: hint.clone(),
        })
    }

    /// The tables for all clients, whether a client takes from them or not.
    fn shared(&mut self, file: &PlanFile) {
        if let Some(options) = &file.defaults {
            self.options(None, options);
        }
        if let Some(retry) = &file.retry {
            self.retry(None, retry);
        }
        if let Some(failure) = &file.failure {
            self.reboot_timeout(None, failure);
            self.dead_lease(None, failure);
        }
        if let Some(target) = &file.target {
            self.word(target.spot.as_ref(), At::Key("target", "spot"));
            self.word(target.lpp_source.as_ref(), At::Key("target", "lpp_source"));
            self.word(target.level.as_ref(), At::Key("target", "level"));
        }
    }

    /// No client twice, and none that is the master. Names of clients are host
    /// names, for which case does not matter.
    fn names(&mut self, clients: &[ClientTable], master: Option<&HostName>) {
        let master = master.map(|master| master.as_str().to_ascii_lowercase());
        let mut seen: HashMap<String, usize> = HashMap::with_capacity(clients.len());
        for (index, client) in clients.iter().enumerate() {
            let Some(name) = client.name.as_ref().map(|name| name.text.to_ascii_lowercase()) else {
                continue;
            };
            let at = At::Own(index, "name");
            if master.as_ref() == Some(&name) {
                let help = "a master cannot migrate itself: remove this [[client]]";
                self.wrong(at, " is the master of the plan", help);
            }
            if let Some(first) = seen.get(&name) {
                let line = self.lines.place(self.offset(At::Own(*first, "name"))).0;
                let help = format!("it is in line {line} already: remove one of the two");
                self.wrong(at, " is a client that the plan has twice", help);
            } else {
                seen.insert(name, index);
            }
        }
    }

    fn migration(
        &mut self,
        file: &PlanFile,
        index: usize,
        client: &ClientTable,
        master: Option<&HostName>,
    ) -> Option<MigrationSpec> {
        let name: Option<NimName> = self.word(client.name.as_ref(), At::Own(index, "name"));
        let target = self.target(file, index, client);
        let options = self.options(Some(index), &client.options);
        let retry = client.retry.as_ref().map(|retry| self.retry(Some(index), retry));
        let failure = client.failure.as_ref();
        let timeout = failure.map(|failure| self.reboot_timeout(Some(index), failure));
        let dead_lease = failure.map(|failure| self.dead_lease(Some(index), failure));
        let mode = rules::check(self, index, client, target.as_ref().map(|target| &target.level));
        Some(MigrationSpec {
            format: SPEC_FORMAT,
            client: name?,
            master: master?.clone(),
            task: Task::Migrate(Aim {
                mode,
                driver: client.options.driver.unwrap_or_default(),
                target: target?,
            }),
            options: Options {
                accept_licenses: client.options.accept_licenses == Some(true)
                    || self.licences_by_environment,
                ..options?
            },
            retry: retry??,
            on_failure: failure?.policy.unwrap_or(FailurePolicy::Rollback),
            failed_copy: failure?.copy.unwrap_or(CopyPolicy::Remove),
            on_boot_failure: failure?.on_boot_failure.unwrap_or(BootFailure::Hold),
            reboot_timeout_ms: timeout??,
            dead_lease_after_ms: dead_lease??,
            wave: client.wave.unwrap_or(default::WAVE),
            messages: Vec::new(),
            part: None,
        })
    }

    fn target(&mut self, file: &PlanFile, index: usize, client: &ClientTable) -> Option<Target> {
        let shared = file.target.as_ref();
        let spot = client.spot.as_ref().or(shared.and_then(|target| target.spot.as_ref()));
        let lpp = client.lpp_source.as_ref().or(shared.and_then(|t| t.lpp_source.as_ref()));
        let level = client.level.as_ref().or(shared.and_then(|target| target.level.as_ref()));
        let spot = self.word(spot, At::Target(index, "spot"));
        let lpp_source = self.word(lpp, At::Target(index, "lpp_source"));
        let level: Option<Level> = self.word(level, At::Target(index, "level"));
        Some(Target { spot: spot?, lpp_source: lpp_source?, level: level? })
    }

    fn options(&mut self, client: Option<usize>, keys: &OptionKeys) -> Option<Options> {
        let at = |key| At::Option(client, key);
        let mut disks = Vec::new();
        for (item, disk) in keys.disks.iter().flatten().enumerate() {
            disks.push(self.word(Some(disk), At::Item(client, "disks", item)));
        }
        let cache_vg = self.maybe(keys.cache_vg.as_ref(), at("cache_vg"));
        let pre_script = self.maybe(keys.pre_script.as_ref(), at("pre_script"));
        let post_script = self.maybe(keys.post_script.as_ref(), at("post_script"));
        let bundle = self.maybe(keys.bundle.as_ref(), at("bundle"));
        let exclude_files = self.maybe(keys.exclude_files.as_ref(), at("exclude_files"));
        let image_data = self.maybe(keys.image_data.as_ref(), at("image_data"));
        let bosinst_data = self.maybe(keys.bosinst_data.as_ref(), at("bosinst_data"));
        let mount_options = self.maybe(keys.mount_options.as_ref(), at("mount_options"));
        let phases = self.phases(keys.phases.as_ref(), at("phases"));
        let mksysb = self.maybe(keys.mksysb.as_ref(), at("mksysb"));
        let output = self.maybe(keys.output.as_ref(), at("output"));
        let new_mksysb = self.maybe(keys.new_mksysb.as_ref(), at("new_mksysb"));
        Some(Options {
            disks: disks.into_iter().collect::<Option<_>>()?,
            cache_vg: cache_vg?,
            pre_script: pre_script?,
            post_script: post_script?,
            scripts_repeatable: keys.scripts_repeatable.unwrap_or(false),
            bundle: bundle?,
            exclude_files: exclude_files?,
            image_data: image_data?,
            bosinst_data: bosinst_data?,
            mount_options: mount_options?.map(|options| options.0),
            accept_licenses: keys.accept_licenses.unwrap_or(false),
            update: keys.update.unwrap_or(false),
            force: keys.force.unwrap_or(false),
            bootlist: keys.bootlist.unwrap_or(Bootlist::Set),
            reboot: keys.reboot.unwrap_or(false),
            phases: phases?,
            mksysb: mksysb?,
            output: output?.map(|path| path.0),
            new_mksysb: new_mksysb?,
        })
    }

    #[expect(clippy::option_option, reason = "the outer one is the error")]
    fn phases(&mut self, list: Option<&PhaseList>, at: At) -> Option<Option<Vec<Phase>>> {
        match list {
            None => Some(None),
            Some(PhaseList::Numbers(numbers)) => {
                let mut phases: Vec<Phase> = numbers
                    .iter()
                    .map(|number| Phase::from_number(*number))
                    .collect::<Option<_>>()?;
                phases.sort_unstable();
                Some(Some(phases))
            }
            Some(PhaseList::Text(text)) => match parse_phases(text) {
                Ok(phases) => Some(Some(phases)),
                Err(error) => {
                    let help =
                        "write numbers from 1 to 12, separated by commas, or ranges such as `4-8`";
                    self.wrong(at, format_args!(": {error}"), help);
                    None
                }
            },
        }
    }

    fn retry(&mut self, client: Option<usize>, table: &RetryTable) -> Option<RetryPolicy> {
        let at = |key| At::Setting(client, "retry", key);
        let delay = self.maybe(table.delay.as_ref(), at("delay"));
        let delay_max = self.maybe(table.delay_max.as_ref(), at("delay_max"));
        let (delay, delay_max) = (delay?.map(|time| time.ms), delay_max?.map(|time| time.ms));
        if let (Some(delay), Some(max)) = (delay, delay_max)
            && delay > max
        {
            let help = "make `delay` shorter or `delay_max` longer";
            self.wrong(at("delay"), " is longer than `delay_max`", help);
        }
        // One that is set moves the other's default with it.
        let delay_ms = delay.unwrap_or(ms(default::DELAY).min(delay_max.unwrap_or(u64::MAX)));
        Some(RetryPolicy {
            attempts: table.attempts.unwrap_or(default::ATTEMPTS),
            delay_ms,
            delay_max_ms: delay_max.unwrap_or(ms(default::DELAY_MAX).max(delay_ms)),
            jitter_percent: table.jitter_percent.unwrap_or(default::JITTER_PERCENT),
        })
    }

    fn reboot_timeout(&mut self, client: Option<usize>, table: &FailureTable) -> Option<u64> {
        let at = At::Setting(client, "failure", "reboot_timeout");
        match self.maybe(table.reboot_timeout.as_ref(), at)? {
            None => Some(ms(default::REBOOT_TIMEOUT)),
            Some(time) if time.ms > 0 => Some(time.ms),
            Some(_) => {
                self.wrong(
                    at,
                    " leaves a client no time at all",
                    "an LPAR takes about 10m to boot",
                );
                None
            }
        }
    }
}

impl Reader<'_, '_> {
    /// After how long another's lease is taken over, if it ever is.
    #[expect(clippy::option_option, reason = "what is wrong, and what is not asked for")]
    fn dead_lease(&mut self, client: Option<usize>, table: &FailureTable) -> Option<Option<u64>> {
        let at = At::Setting(client, "failure", "dead_lease_after");
        let after = self.maybe(table.dead_lease_after.as_ref(), at)?;
        match (table.dead_lease, after) {
            (Some(DeadLease::Take), None) => Some(Some(ms(default::DEAD_LEASE_AFTER))),
            (Some(DeadLease::Take), Some(after)) if after.ms > 0 => Some(Some(after.ms)),
            (Some(DeadLease::Take), Some(_)) => {
                let help = "say how old: `dead_lease_after = \"12h\"`";
                self.wrong(at, " takes the lease of a migration that may go on", help);
                None
            }
            (_, _) => Some(None),
        }
    }
}

fn is_message_id(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    text.split_once('-').is_some_and(|(first, second)| {
        first.len() == 4 && (3..=4).contains(&second.len()) && digits(first) && digits(second)
    })
}

/// A time of [`default`].
fn ms(text: &str) -> u64 {
    text.parse::<DurationText>().expect("a default is a length of time").ms
}
