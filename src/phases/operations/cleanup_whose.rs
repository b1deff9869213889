//! Whose the altinst_rootvg is that a cleanup finds: by the id of its volume group,
//! and by what the journal and its archive have recorded for the client.

use crate::aix::argv::{self, Argv};
use crate::domain::DiskName;

use crate::phases::copy::ALT_VG;
use crate::phases::read::{HostAnswers, Read};
use crate::phases::step::Context;
use crate::phases::whose::vg_id;

/// Whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VgIs {
    /// A copy that a migration here has made, whole or half.
    Ours,
    /// What the client ran when it was migrated here.
    Old,
    /// Nothing is known of it: it may be anybody's.
    Others,
}

/// The altinst_rootvg that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its first disk.
    pub(super) disk: DiskName,
    /// Its id.
    pub(super) id: String,
    pub(super) whose: VgIs,
    /// Whether it is varied on.
    pub(super) is_awake: bool,
}

/// What is asked for it.
pub(super) fn standing_looks() -> [Argv; 2] {
    [argv::lspv(), argv::id_of_vg(ALT_VG)]
}

/// The altinst_rootvg that stands, by [`standing_looks`].
pub(super) fn standing(ctx: &Context<'_>, said: HostAnswers<'_>) -> Read<Option<Standing>> {
    let lspv = said.lspv()?;
    let Some(row) = lspv.iter().find(|row| row.is_in(ALT_VG)) else { return Ok(None) };
    let id = said.read(argv::id_of_vg(ALT_VG), vg_id)?;
    let is_in = |ids: &Vec<String>| ids.contains(&id);
    let whose = match &ctx.spec.part {
        Some(part) if is_in(&part.ran) => VgIs::Old,
        Some(part) if is_in(&part.made) => VgIs::Ours,
        _ => VgIs::Others,
    };
    let (disk, is_awake) = (row.disk.clone(), row.is_active());
    Ok(Some(Standing { disk, id, whose, is_awake }))
}
