//! An estate in a directory that several processes share.
//!
//! ```text
//! clock.json                    origin and scale of time, written once
//! state.json                    generation, and that of each host; faults
//! hosts/HOST/host.json          all of a host but its jobs and files
//! hosts/HOST/jobs/ID.json       a job
//! hosts/HOST/fs/VG/LV/…         files of a file system, as files
//! hosts/HOST/whole.json         all of that in one, as of a generation: what is
//!                               read instead, for as long as it is true
//! log.jsonl                     every command that a host ran
//! redo.json                     a change that is being made
//! lock                          held while a command runs
//! ```
//!
//! A change is first written to `redo.json`, which appears whole or not at all,
//! then made, then `redo.json` is removed. Whoever finds one makes its change
//! again: it says what is to be, not what is to be done. So a process may be
//! ended at any moment. Power loss is not provided for: it is a lab.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::disk_files::{self, FileOp};
use super::fault::Fault;
use super::log::LogEntry;
use super::tree::Tree;
use super::world::{Host, Job, World};
use crate::base::{Millis, ScaledClock, SystemClock};

/// Why the directory of an estate does not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refuses.
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// A file does not hold what it should.
    #[error("{path} is damaged: {why}")]
    Damaged {
        path: PathBuf,
        /// One line.
        why: String,
    },
    /// There is an estate already.
    #[error("there is an estate in {0} already")]
    Exists(PathBuf),
    /// There is none.
    #[error("there is no estate in {0}")]
    Absent(PathBuf),
}

/// The format of the directory. Introduced as 1 in 0.1.0.
const FORMAT: u32 = 1;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredClock {
    origin_ms: Millis,
    real_origin_ms: Millis,
    scale: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    format: u32,
    generation: u64,
    master: String,
    /// The generation that each host was last changed in.
    hosts: BTreeMap<String, u64>,
    faults: Vec<Fault>,
}

/// A change, as what is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redo {
    state: State,
    /// Host records by host.
    hosts: BTreeMap<String, Host>,
    /// Jobs by host and id; none for one that is gone.
    jobs: Vec<(String, String, Option<Job>)>,
    files: Vec<FileOp>,
    /// Where the log ends without the new lines.
    log_at: u64,
    /// The new lines.
    log: String,
}

/// All of a host as of a generation. Every command of a host that is reached by
/// ssh is a process and opens the estate: one file a host is read, not hundreds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    generation: u64,
    host: Host,
    jobs: Vec<(String, Arc<Job>)>,
    trees: Vec<(String, String, Arc<Tree>)>,
}

/// The lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<File>);

impl Drop for Held {
    fn drop(&mut self) {
        // The lock goes with the file in any case.
        let _ = self.0.unlock();
    }
}

/// An estate's directory.
#[derive(Debug)]
pub(crate) struct DirStore {
    dir: PathBuf,
    lock: Arc<File>,
    log: File,
    state: State,
    log_len: u64,
    next_seq: u64,
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + '_ {
    |source| StoreError::Io { path: path.to_owned(), source }
}

/// A clock that shows the machine's time now.
pub(crate) fn new_clock(scale: u32) -> ScaledClock {
    let now = SystemClock::read_ms();
    ScaledClock { origin_ms: now, real_origin_ms: now, scale }
}

/// What a file holds.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let text = fs::read_to_string(path).map_err(io(path))?;
    serde_json::from_str(&text)
        .map_err(|error| StoreError::Damaged { path: path.to_owned(), why: error.to_string() })
}

/// Writes a file that appears whole or not at all.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let text = serde_json::to_string(value).expect("the lab's records are plain data");
    let new = path.with_extension("new");
    fs::write(&new, text).map_err(io(&new))?;
    fs::rename(&new, path).map_err(io(path))
}

fn job_file(dir: &Path, host: &str, id: &str) -> PathBuf {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let name: String = id
        .chars()
        .map(|c| if plain(c) { c.to_string() } else { format!("%{:x}", u32::from(c)) })
        .collect();
    dir.join("hosts").join(host).join("jobs").join(format!("j-{name}.json"))
}

impl DirStore {
    /// Whether there is an estate in the directory.
    pub(crate) fn exists(dir: &Path) -> bool {
        dir.join("state.json").is_file()
    }

    /// Makes the directory of a new estate.
    pub(crate) fn create(
        dir: &Path,
        world: &World,
        clock: ScaledClock,
    ) -> Result<DirStore, StoreError> {
        fs::create_dir_all(dir).map_err(io(dir))?;
        let lock = open_lock(dir)?;
        let _held = hold(dir, &lock)?;
        if DirStore::exists(dir) {
            return Err(StoreError::Exists(dir.to_owned()));
        }
        // What an earlier attempt may have left half done.
        for part in ["hosts", "redo.json", "log.jsonl"] {
            remove(&dir.join(part))?;
        }
        let ScaledClock { origin_ms, real_origin_ms, scale } = clock;
        write_json(&dir.join("clock.json"), &StoredClock { origin_ms, real_origin_ms, scale })?;
        let empty =
            World { master: world.master.clone(), hosts: BTreeMap::new(), faults: Arc::default() };
        let state = State {
            format: FORMAT,
            generation: 0,
            master: world.master.clone(),
            hosts: BTreeMap::new(),
            faults: Vec::new(),
        };
        let log = open_log(dir)?;
        let mut store = DirStore {
            dir: dir.to_owned(),
            lock: lock.clone(),
            log,
            state,
            log_len: 0,
            next_seq: 1,
        };
        store.commit(&empty, world, Vec::new())?;
        for (name, host) in &world.hosts {
            let generation = store.state.hosts.get(name).copied().unwrap_or_default();
            keep_whole(dir, host, generation);
        }
        Ok(store)
    }

    /// The faults to come, as they were stored last.
    pub(crate) fn faults(dir: &Path) -> Result<Vec<Fault>, StoreError> {
        Ok(read_json::<State>(&dir.join("state.json"))?.faults)
    }

    /// Opens the directory of an estate.
    pub(crate) fn open(dir: &Path) -> Result<(DirStore, World, ScaledClock), StoreError> {
        if !DirStore::exists(dir) && !dir.join("redo.json").is_file() {
            return Err(StoreError::Absent(dir.to_owned()));
        }
        let stored: StoredClock = read_json(&dir.join("clock.json"))?;
        let StoredClock { origin_ms, real_origin_ms, scale } = stored;
        let lock = open_lock(dir)?;
        let held = hold(dir, &lock)?;
        redo_if_any(dir)?;
        let state: State = read_json(&dir.join("state.json"))?;
        if state.format != FORMAT {
            let why = format!("its format is {}, this program knows {FORMAT}", state.format);
            return Err(StoreError::Damaged { path: dir.join("state.json"), why });
        }
        let mut world = World {
            master: state.master.clone(),
            hosts: BTreeMap::new(),
            faults: Arc::new(state.faults.clone()),
        };
        for (name, generation) in &state.hosts {
            world.hosts.insert(name.clone(), Arc::new(load_host(dir, name, *generation)?));
        }
        let log = open_log(dir)?;
        let mut store = DirStore { dir: dir.to_owned(), lock, log, state, log_len: 0, next_seq: 1 };
        store.catch_up_log()?;
        drop(held);
        Ok((store, world, ScaledClock { origin_ms, real_origin_ms, scale }))
    }

    /// Takes the lock, and takes over what other processes have changed.
    pub(crate) fn begin(&mut self, world: &mut World) -> Result<Held, StoreError> {
        let held = hold(&self.dir, &self.lock)?;
        redo_if_any(&self.dir)?;
        let state: State = read_json(&self.dir.join("state.json"))?;
        if state.generation != self.state.generation {
            for (name, generation) in &state.hosts {
                if self.state.hosts.get(name) != Some(generation) {
                    world
                        .hosts
                        .insert(name.clone(), Arc::new(load_host(&self.dir, name, *generation)?));
                }
            }
            world.faults = Arc::new(state.faults.clone());
            self.state = state;
        }
        self.catch_up_log()?;
        Ok(held)
    }

    /// Reads how far other processes have written the log, and cuts off a line
    /// that was not finished.
    fn catch_up_log(&mut self) -> Result<(), StoreError> {
        let path = self.dir.join("log.jsonl");
        let len = self.log.metadata().map_err(io(&path))?.len();
        if len == self.log_len {
            return Ok(());
        }
        if len < self.log_len {
            (self.log_len, self.next_seq) = (0, 1);
        }
        let mut tail = Vec::new();
        self.log.seek(SeekFrom::Start(self.log_len)).map_err(io(&path))?;
        self.log.read_to_end(&mut tail).map_err(io(&path))?;
        let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = tail[..whole].split(|byte| *byte == b'\n').count() - 1;
        self.next_seq += lines as u64;
        self.log_len += whole as u64;
        if whole < tail.len() {
            self.log.set_len(self.log_len).map_err(io(&path))?;
        }
        Ok(())
    }

    /// Stores what differs between the two worlds, and the log's new lines. The
    /// lock is held.
    pub(crate) fn commit(
        &mut self,
        before: &World,
        after: &World,
        mut entries: Vec<LogEntry>,
    ) -> Result<(), StoreError> {
        let mut text = String::new();
        for (entry, seq) in entries.iter_mut().zip(self.next_seq..) {
            entry.seq = seq;
            text += &serde_json::to_string(entry).expect("a line of the log is plain data");
            text.push('\n');
        }
        let redo = self.difference(before, after, &text);
        match redo {
            None => self.append_log(&text)?,
            Some(redo) => {
                write_json(&self.dir.join("redo.json"), &redo)?;
                make(&self.dir, &redo)?;
                self.state = redo.state;
            }
        }
        self.log_len += text.len() as u64;
        self.next_seq += entries.len() as u64;
        Ok(())
    }

    fn append_log(&mut self, text: &str) -> Result<(), StoreError> {
        if text.is_empty() {
            return Ok(());
        }
        let path = self.dir.join("log.jsonl");
        self.log.write_all(text.as_bytes()).map_err(io(&path))
    }

    /// The change between the two worlds, if there is one.
    fn difference(&self, before: &World, after: &World, text: &str) -> Option<Redo> {
        let generation = self.state.generation + 1;
        let mut redo = Redo {
            state: State {
                format: FORMAT,
                generation,
                master: after.master.clone(),
                hosts: self.state.hosts.clone(),
                faults: after.faults.as_ref().clone(),
            },
            hosts: BTreeMap::new(),
            jobs: Vec::new(),
            files: Vec::new(),
            log_at: self.log_len,
            log: text.to_owned(),
        };
        for (name, host) in &after.hosts {
            let old = before.hosts.get(name);
            if old.is_some_and(|old| Arc::ptr_eq(old, host) || old == host) {
                continue;
            }
            redo.state.hosts.insert(name.clone(), generation);
            redo.hosts.insert(name.clone(), host.as_ref().clone());
            add_jobs(name, old.map(Arc::as_ref), host, &mut redo.jobs);
            redo.files.extend(disk_files::difference(old.map(Arc::as_ref), host));
        }
        let same_faults =
            Arc::ptr_eq(&before.faults, &after.faults) || before.faults == after.faults;
        (!redo.hosts.is_empty() || !same_faults).then_some(redo)
    }

    /// All of the log.
    pub(crate) fn read_log(&self) -> Result<Vec<LogEntry>, StoreError> {
        let path = self.dir.join("log.jsonl");
        let text = fs::read_to_string(&path).map_err(io(&path))?;
        let damaged = |error: serde_json::Error| StoreError::Damaged {
            path: path.clone(),
            why: error.to_string(),
        };
        text.split_inclusive('\n')
            // A line without its end is being written by another process.
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).map_err(damaged))
            .collect()
    }
}

fn add_jobs(
    name: &str,
    old: Option<&Host>,
    new: &Host,
    jobs: &mut Vec<(String, String, Option<Job>)>,
) {
    let none = BTreeMap::new();
    let before = old.map_or(&none, |host| &host.jobs);
    for (id, job) in &new.jobs {
        if before.get(id) != Some(job) {
            jobs.push((name.to_owned(), id.clone(), Some(job.as_ref().clone())));
        }
    }
    for id in before.keys().filter(|id| !new.jobs.contains_key(*id)) {
        jobs.push((name.to_owned(), id.clone(), None));
    }
}

fn open_lock(dir: &Path) -> Result<Arc<File>, StoreError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io(&path))?;
    Ok(Arc::new(file))
}

fn hold(dir: &Path, lock: &Arc<File>) -> Result<Held, StoreError> {
    lock.lock().map_err(io(&dir.join("lock")))?;
    Ok(Held(lock.clone()))
}

fn open_log(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("log.jsonl");
    OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(io(&path))
}

/// The host as of `generation`. The lock is held.
fn load_host(dir: &Path, name: &str, generation: u64) -> Result<Host, StoreError> {
    let home = dir.join("hosts").join(name);
    let path = home.join("whole.json");
    let whole = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Whole>(&text).ok());
    if let Some(whole) = whole.filter(|whole| whole.generation == generation) {
        return Ok(whole.into_host());
    }
    let host = load_files(&home)?;
    keep_whole(dir, &host, generation);
    Ok(host)
}

/// Writes all of a host into one file. Where that fails, the next process reads
/// the files as well.
fn keep_whole(dir: &Path, host: &Host, generation: u64) {
    let path = dir.join("hosts").join(&host.name).join("whole.json");
    let _ = write_json(&path, &Whole::of(host, generation));
}

impl Whole {
    fn of(host: &Host, generation: u64) -> Whole {
        let trees = host.vgs.iter().flat_map(|(vg, group)| {
            let with_files = group
                .lvs
                .iter()
                .filter_map(|(lv, volume)| Some((vg.clone(), lv.clone(), volume.tree.clone()?)));
            with_files.collect::<Vec<_>>()
        });
        Whole {
            generation,
            host: host.clone(),
            jobs: host.jobs.iter().map(|(id, job)| (id.clone(), job.clone())).collect(),
            trees: trees.collect(),
        }
    }

    fn into_host(self) -> Host {
        let mut host = self.host;
        host.jobs = self.jobs.into_iter().collect();
        for (vg, lv, tree) in self.trees {
            let volume = host.vgs.get_mut(&vg).and_then(|group| group.lvs.get_mut(&lv));
            if let Some(volume) = volume {
                volume.tree = Some(tree);
            }
        }
        host
    }
}

fn load_files(home: &Path) -> Result<Host, StoreError> {
    let mut host: Host = read_json(&home.join("host.json"))?;
    let jobs = home.join("jobs");
    if jobs.is_dir() {
        for entry in fs::read_dir(&jobs).map_err(io(&jobs))? {
            let path = entry.map_err(io(&jobs))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let (id, job): (String, Job) = read_json(&path)?;
                host.jobs.insert(id, Arc::new(job));
            }
        }
    }
    disk_files::load(&home.join("fs"), &mut host).map_err(io(home))?;
    Ok(host)
}

fn remove(path: &Path) -> Result<(), StoreError> {
    let gone = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io(path)(error)),
        _ => Ok(()),
    }
}

/// Makes the change of a redo record, if there is one.
fn redo_if_any(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join("redo.json");
    if !path.is_file() {
        return Ok(());
    }
    make(dir, &read_json(&path)?)
}

/// Makes the change of a redo record, which is written, and removes it.
fn make(dir: &Path, redo: &Redo) -> Result<(), StoreError> {
    for op in &redo.files {
        op.apply(dir).map_err(io(dir))?;
    }
    for (host, id, job) in &redo.jobs {
        let file = job_file(dir, host, id);
        match job {
            Some(job) => {
                let jobs = dir.join("hosts").join(host).join("jobs");
                fs::create_dir_all(&jobs).map_err(io(&jobs))?;
                write_json(&file, &(id, job))?;
            }
            None => remove(&file)?,
        }
    }
    for (name, host) in &redo.hosts {
        let home = dir.join("hosts").join(name);
        fs::create_dir_all(&home).map_err(io(&home))?;
        write_json(&home.join("host.json"), host)?;
    }
    if !redo.log.is_empty() {
        let log = open_log(dir)?;
        let path = dir.join("log.jsonl");
        log.set_len(redo.log_at).map_err(io(&path))?;
        (&log).write_all(redo.log.as_bytes()).map_err(io(&path))?;
    }
    write_json(&dir.join("state.json"), &redo.state)?;
    remove(&dir.join("redo.json"))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
