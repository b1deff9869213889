//! Layer 4: the lab, an emulated AIX estate behind the `Transport` trait.
//!
//! A NIM master and its clients as one value (`world`); commands are
//! functions of it (`commands`), found as a shell finds them (`shell`); long
//! ones take effect in two stages, by jobs that go on by themselves (`job`).
//! [`Lab`] hands the world out under a lock, from memory or from a directory
//! that several processes share (`store`).
//!
//! It knows nothing of how nimshift builds commands and reads their output: it
//! is written against the same descriptions of AIX, by its own means.

mod build;
mod call;
mod check;
mod commands;
mod disk_files;
mod estate;
mod fault;
mod files;
mod flags;
mod handle;
mod image;
mod image_data;
mod job;
mod log;
mod mksysb;
#[cfg(all(target_os = "linux", feature = "lab-net"))]
pub mod net;
mod place;
mod power;
mod program;
mod quoting;
mod run;
mod shell;
mod show;
mod software;
mod store;
mod tree;
mod trouble;
mod world;

pub use check::{BootsFrom, CopyExpected, Expectation, Violation};
pub use estate::{
    CacheVgSpec, ClientSpec, DiskSpec, EstateError, EstateFile, FileResourceSpec, FileSystemSpec,
    LppSourceSpec, MasterSpec, MksysbSpec, PlainClient, PlainMaster, ScriptSpec, SpotSpec,
};
pub use fault::{Fault, FaultKind, FaultSpec};
pub use handle::{Lab, LabError};
pub use log::{LogEntry, Stage};
pub use program::{Ended, Program, Session, Streams, Unmounts};
pub use show::{HostShow, VgShow};
pub use store::StoreError;
pub use trouble::{Extent, Trouble};
