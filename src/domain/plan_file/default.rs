//! What stands for a key that no one has set.

pub(super) const MIGRATIONS: u32 = 4;
pub(super) const ATTEMPTS: u32 = 5;
pub(super) const DELAY: &str = "30s";
pub(super) const DELAY_MAX: &str = "5m";
pub(super) const JITTER_PERCENT: u32 = 20;
pub(super) const REBOOT_TIMEOUT: &str = "45m";
pub(super) const DEAD_LEASE_AFTER: &str = "12h";
pub(super) const WAVE: u8 = 1;
pub(super) const CONNECT_TIMEOUT: &str = "15s";
pub(super) const SESSIONS: u32 = 8;
pub(super) const JOB_DIR: &str = crate::domain::lease::JOB_DIR;
pub(super) const SHELL: &str = "/bin/sh";
pub(super) const REMOTE_SHELL: &str = "/usr/lpp/bos.sysmgt/nim/methods/c_rsh";
