//! Every bound of the program, in one place, each with its reason.

use std::time::Duration;

/// Bytes of one command's output that are kept, for each of stdout and stderr.
/// What is cut is said in the output itself.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a stream of a job's output that are read at once. A multiple of 512.
pub const OUTPUT_PIECE_BYTES_MAX: usize = 32 * 1024;

/// Jobs that a host names at once.
pub const JOBS_NAMED_MAX: usize = 1_000;

/// Bytes of output in one row of the journal, before compression.
pub const OUTPUT_CHUNK_BYTES: usize = 64 * 1024;

/// Bytes of a plan file. A plan of 10,000 clients has less than 2 MiB.
pub const PLAN_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Errors of one plan file that are shown; the rest are counted. A plan made by
/// a script can be wrong in every line.
pub const PLAN_ERRORS_MAX: usize = 100;

/// The longest time that a plan can ask to wait, in ms: a week.
pub const PLAN_DURATION_MAX_MS: u64 = 7 * 24 * 3600 * 1000;

/// Bytes of captured output that `nimshift parse` reads at most.
pub const PARSE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rules for messages in one plan: each of its clients carries them.
pub const MESSAGE_RULES_MAX: usize = 100;

/// Clients in one plan.
pub const CLIENTS_MAX: usize = 20_000;

/// Bytes of a file to be imported. An inventory of 20,000 hosts has less.
pub const IMPORT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Groups of one inventory.
pub const IMPORT_GROUPS_MAX: usize = 2_000;

/// Values of one YAML inventory, those that an alias repeats included: a few
/// lines of aliases can stand for more than memory holds.
pub const IMPORT_VALUES_MAX: usize = 1_000_000;

/// How deep an inventory may be nested.
pub const IMPORT_DEPTH_MAX: usize = 64;

/// The highest wave of a plan.
pub const WAVE_MAX: u8 = 99;

/// Target disks of one client.
pub const DISKS_MAX: usize = 16;

/// What a command on a host is given to read.
pub const INPUT_BYTES_MAX: usize = 256 * 1024;

/// Commands in one script that travels to a host.
pub const SCRIPT_COMMANDS_MAX: usize = 256;

/// Bytes of one argument of a remote command.
pub const ARGUMENT_BYTES_MAX: usize = 8 * 1024;

/// Bytes of the text of a cause or a hint, after sanitizing.
pub const CAUSE_BYTES_MAX: usize = 400;

/// Attempts at one step in one round, whatever the plan says.
pub const ATTEMPTS_MAX: u32 = 1_000;

/// How often a migration may go back to a fresh clone before it fails.
pub const ROUNDS_MAX: u32 = 2;

/// How often a compensation ends what it finds running, before it says that it does
/// not end.
pub const SILENCE_ROUNDS: u32 = 5;

/// Migrations at once, whatever the plan says.
pub const MIGRATIONS_AT_ONCE_MAX: u32 = 20_000;

/// Appends that wait for the writer thread; beyond it the engine waits.
pub const WRITER_QUEUE_MAX: usize = 16 * 1024;

/// Appends that one transaction of the journal takes at most.
pub const GROUP_COMMIT_MAX: usize = 4 * 1024;

/// Appends that the engine hands over in one go: enough to share a commit, few
/// enough to be made while others are written.
pub const APPENDS_AT_ONCE: usize = 256;

/// How often an engine looks for requests of operators, in real time.
pub const REQUEST_POLL: Duration = Duration::from_millis(50);

/// How long an operator's command waits for the engine's answer, in real time.
pub const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// How often `status --watch` looks for changes, in real time.
pub const WATCH_POLL: Duration = Duration::from_millis(200);

/// How long a second process waits for SQLite's own lock.
pub const SQLITE_BUSY: Duration = Duration::from_secs(10);

/// How many times that long an engine waits while another program keeps a write
/// transaction: ten minutes. Longer than any tool that somebody has open by
/// mistake, and the hosts go on meanwhile.
pub const SQLITE_BUSY_WAITS: u32 = 60;

/// Bytes of the work that one request hands to an engine that runs. Ten thousand
/// clients have less.
pub const WORK_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Clients that a preflight asks at once.
pub const PREFLIGHT_AT_ONCE: usize = 64;

/// How long a probe may take.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest pause between two looks at a running job.
pub const JOB_POLL_MAX: Duration = Duration::from_secs(30);

/// How long a host that does not answer is waited for at least, where a job may run
/// on it, however short: a network comes back in the end.
pub const SILENCE_MIN: Duration = Duration::from_secs(3 * 3600);

/// What two looks at hosts, one after the other, may take with the pause between
/// them. What is beyond it was not watched: the machine was suspended.
pub const LOOKED_AT_MAX: Duration = Duration::from_secs(300);

/// How long one question after a job may take, connecting included, in real
/// time.
pub const REMOTE_CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// Bytes of one file that is written over an NFS mount of the lab: the emulation
/// keeps files whole, in memory and in its records.
pub const NFS_FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Bytes of all files of a file system that can be written over NFS mounts of
/// the lab, whatever its size.
pub const NFS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Files of a file system that can be made over NFS mounts of the lab.
pub const NFS_FILES_MAX: usize = 20_000;

/// Bytes that one request over an NFS mount of the lab reads or writes.
pub const NFS_PIECE_BYTES_MAX: u32 = 1024 * 1024;

/// Bytes of a message between an NFS mount of the lab and its server. A list of
/// [`NFS_FILES_MAX`] names of a usual length takes less.
pub const NFS_MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Connections that an NFS server of the lab has at once.
pub const NFS_CONNECTIONS_MAX: usize = 512;

/// Inodes that an NFS mount of the lab remembers beside those in use.
pub const NFS_INODES_MAX: usize = 100_000;
