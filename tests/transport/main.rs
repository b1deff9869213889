//! Real hosts: programs and jobs in the shells of this machine, and over the
//! OpenSSH of this machine with nothing listening.

mod jobs;
mod shells;
mod ssh;
mod support;
