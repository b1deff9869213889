//! `nimadm` on the master, in its eight forms.
//!
//! Made after IBM's description of what its phases do, out of commands of the
//! lab, most of which nimadm is known to run. It knows nothing of nimshift: it
//! leaves no marks, takes no lease, and cleans up after a failure by itself.

mod args;
mod at;
mod cleanup;
mod lock;
mod log;
mod mksysb;
mod phases;
mod run;
mod start;
#[cfg(test)]
mod tests;
mod update;

pub(crate) use run::{Next, Run, advance};

use crate::lab::process;
use crate::lab::shell::{Call, Reply};
use crate::lab::world::World;

/// Its synopses in short.
pub(crate) const USAGE: &str = "nimadm -l lpp_source -c client -s spot -d disks [options]
       nimadm -C | -S -c client -s spot [-F] [-D] [-E]
       nimadm -W -c client -s spot -d disks [-m mntopts] [-z post] [-F] [-D] [-E]
       nimadm -M -s spot -l lpp_source [-d device] [-P] [-F]
       nimadm -T mksysb -c client -s spot -l lpp_source -d disks -j vg -Y [options]
       nimadm -T mksysb -O file -s spot -l lpp_source -j vg -Y [-N new] [options]
       nimadm -c client -O file -s spot -l lpp_source -j vg -Y [-N new] [options]
Options: [-a pre] [-b bundle] [-z post] [-e exclude] [-i image_data] [-j vg] [-m mntopts]
       [-o bosinst_data] [-P phase] [-Y] [-U] [-F] [-A] [-D] [-E] [-V] [-B | -r]";

/// All of it at once, for a call that no job carries.
pub(crate) fn nimadm(world: &mut World, call: &Call) -> Reply {
    process::run_through(world, call, false, None)
}
