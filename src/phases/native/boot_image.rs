//! Phase 8: the copy gets a boot image of its new level.

use crate::aix::argv::{self, words};
use crate::aix::{self, Bootable};
use crate::domain::{Driver, HostRole, Phase, Presence};
use crate::transport::{Command, Script};

use crate::phases::copy::{boot_target, lost_by_client, on_client};
use crate::phases::marks::{self, IMAGE};
use crate::phases::read::{Read, judged, look};
use crate::phases::step::{Answers, Context, Finding, Is, STEP, StepDef, hours};

pub(crate) const STEPS: &[StepDef] = &[MAKE_BOOT_IMAGE];

const NAME: &str = "make-boot-image";

/// Made on the master, written to the copy's boot volume on the client.
pub(crate) const MAKE_BOOT_IMAGE: StepDef = StepDef {
    phase: Phase::BootImage,
    name: NAME,
    about: "make the copy's boot image",
    host: HostRole::Master,
    is: &[Is::ByRemoteShell],
    timeout: hours(1),
    applies: |spec| spec.mode.changes_client(),
    looks: |ctx| {
        let disks = ctx.spec.options.disks.iter().take(1).map(argv::bootable);
        let client = disks.chain([argv::boot_image_level(), argv::mounts()]);
        // Over the master's mounts it is made.
        let client = look(HostRole::Client, client);
        let file = look(HostRole::Master, [argv::ls_d(&image(ctx))]);
        std::iter::once(client).chain(marks::looks(ctx)).chain([file]).collect()
    },
    judge: |ctx, answers| judged(judge_image(ctx, answers)),
    run: Some(|ctx, _| {
        let Ok(disk) = boot_target(ctx) else { return Script::default() };
        let (root, image) = (ctx.spec.master_root(), image(ctx));
        let make = ["/usr/sbin/bosboot", "-a", "-d", disk.as_str(), "-b", IMAGE];
        let write = on_client(ctx, words(&["dd", "of=/dev/alt_hd5", "bs=4k"]));
        let commands = [
            Command::new(argv::chroot(&root, &make)),
            Command::new(["dd", &format!("if={image}"), "bs=4k"]).piped_to(write),
            Command::new(["rm", "-f", &image]),
        ];
        if ctx.spec.options.update {
            return marks::between(ctx, NAME, commands);
        }
        Script::new(commands)
    }),
    ..STEP
};

/// The image, as the master sees it.
fn image(ctx: &Context<'_>) -> String {
    format!("{}{IMAGE}", ctx.spec.master_root())
}

/// Whether a mark in the copy tells that the image was made: in an update, where
/// nothing else does. nimadm leaves none there.
fn is_marked(ctx: &Context<'_>) -> bool {
    ctx.spec.options.update && ctx.spec.driver == Driver::Native
}

fn judge_image(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.client();
    // Without the copy, `/dev/alt_hd5` would become a plain file.
    if let Some(bar) = lost_by_client(ctx, &said.mounts()?) {
        return Ok(bar);
    }
    let bootable = said.read(argv::bootable(boot_target(ctx)?), aix::is_bootable)? == Bootable::Yes;
    let wanted = ctx.spec.target.level.version_release();
    // `0.0` is an image that is broken.
    let fits: fn(&str) -> bool =
        |word| word.split_once('.').is_some_and(|(v, r)| is_number(v) && is_number(r));
    let output = said.output(argv::boot_image_level())?;
    let level = said.read(argv::boot_image_level(), |text| aix::one_word("blvset", text, fits));
    let current = match level {
        Ok(level) => level == wanted,
        Err(_) if !bootable && !output.ok() => false,
        Err(why) => return Err(why),
    };
    // After an update the image of before has the same version and release: only
    // the mark tells that a new one was made.
    let mark = marks::judge(ctx, answers, NAME)?;
    let made = !is_marked(ctx) || mark.presence == Presence::Present;
    // The file that it is written from does not stay in the copy.
    let is_over = !answers.master().is_there(argv::ls_d(&image(ctx)))?;
    if bootable && current && made && is_over {
        return Ok(Finding::of(Presence::Present));
    }
    Ok(if mark.gone.is_some() { mark } else { Finding::of(Presence::Absent) })
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}
