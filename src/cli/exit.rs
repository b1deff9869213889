//! Exit codes of the program: a documented contract.

use crate::report::Verdict;

/// How the program ends. The discriminant is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything was migrated, or had nothing to do; the command succeeded.
    Ok = 0,
    /// An error within nimshift or of this machine: the journal cannot be
    /// written, a file cannot be read. `lab check` found something left behind.
    Internal = 1,
    /// The command line or the plan is wrong, or an order does not apply.
    Usage = 2,
    /// Some migrations failed and were rolled back, were refused or abandoned.
    SomeFailed = 3,
    /// Some migrations need an operator.
    NeedsOperator = 4,
    /// The run was stopped, or ended, with work left.
    WorkLeft = 5,
    /// Another engine holds the state directory.
    Held = 6,
    /// The journal is damaged, or does not replay.
    Damaged = 7,
}

impl Exit {
    /// All exit codes, in order.
    pub const ALL: [Exit; 8] = [
        Exit::Ok,
        Exit::Internal,
        Exit::Usage,
        Exit::SomeFailed,
        Exit::NeedsOperator,
        Exit::WorkLeft,
        Exit::Held,
        Exit::Damaged,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, as `nimshift --help` tells it.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "all migrated, or nothing to do",
            Exit::Internal => "internal error; the journal cannot be written",
            Exit::Usage => "wrong command line, plan or order",
            Exit::SomeFailed => "some failed and were rolled back, or were refused",
            Exit::NeedsOperator => "some need an operator",
            Exit::WorkLeft => "stopped with work left",
            Exit::Held => "another engine holds the state directory",
            Exit::Damaged => "the journal is damaged",
        }
    }
}

impl From<Verdict> for Exit {
    /// Work left goes before an operator's need, and that before failures.
    fn from(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::AllMigrated => Exit::Ok,
            Verdict::SomeFailed => Exit::SomeFailed,
            Verdict::NeedsOperator => Exit::NeedsOperator,
            Verdict::WorkLeft => Exit::WorkLeft,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit.code())
    }
}

/// How a command ends: with an exit of ours, or with the status of
/// the command that a host of the lab ran.
pub(super) enum Ending {
    Ours(Exit),
    Status(i32),
}

impl From<Exit> for Ending {
    fn from(exit: Exit) -> Ending {
        Ending::Ours(exit)
    }
}
