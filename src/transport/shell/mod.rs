//! A host's shell: what it is sent for a call, and what it says.
//!
//! Each call is one program of POSIX shell, sent over the input of a shell, with
//! all commands of the call in it. What it says is marked by a word that nobody
//! else knows, so that its status lines are taken for nothing else's.

mod cksum;
mod frames;
mod heard;
mod program;
mod quote;

pub(super) use heard::{Heard, JobWord, Reply, last_line};
pub(super) use program::{Ask, BLOCK, Manner, Program, guard};
pub(super) use quote::readable;
