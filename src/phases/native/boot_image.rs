//! Phase 8: the copy gets a boot image of its new level.

use crate::aix;
use crate::aix::argv::{self, words};
use crate::domain::{Cause, FailureClass, HostRole, Phase, Presence};
use crate::transport::{Command, Script};

use crate::phases::copy::{boot_target, lost_by_client, on_client};
use crate::phases::marks::{self, IMAGE};
use crate::phases::read::{HostAnswers, Read, judged, look};
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
    applies: |spec| spec.task.changes_client(),
    looks: |ctx| {
        // Over the master's mounts it is made.
        let client = look(HostRole::Client, [argv::boot_image_level(), argv::mounts()]);
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
    ctx.spec.options.update && !ctx.spec.task.uses_nimadm()
}

/// Whether the copy's boot volume has a boot image of the target's release, by `blvset`:
/// asked while the copy is awake. That firmware can boot from the disk (`bootinfo -B`) says
/// nothing of it, and a boot record (`ipl_varyon -i`) is there with a broken image too.
pub(crate) fn has_image(ctx: &Context<'_>, client: HostAnswers<'_>) -> Read<bool> {
    let wanted = ctx.spec.target().level.version_release();
    // `0.0` is an image that is broken.
    let fits: fn(&str) -> bool =
        |word| word.split_once('.').is_some_and(|(v, r)| is_number(v) && is_number(r));
    let output = client.output(argv::boot_image_level())?;
    // Any other failure says nothing of the image.
    if !output.ok() && (output.text().contains("0514-061") || aix::is_missing(&output.text())) {
        return Ok(false);
    }
    let level = client.read(argv::boot_image_level(), |text| aix::one_word("blvset", text, fits));
    Ok(level? == wanted)
}

pub(crate) fn no_image(ctx: &Context<'_>) -> Finding {
    let disk = boot_target(ctx).map(ToString::to_string).unwrap_or_default();
    let text = format!("the copy on {disk} has no boot image of its release");
    let cause = Cause::new(FailureClass::Permanent, text);
    Finding::blocked(cause.with_hint("run phase 8 again; do not boot from it"))
}

fn judge_image(ctx: &Context<'_>, answers: &Answers) -> Read<Finding> {
    let said = answers.client();
    // Without the copy, `/dev/alt_hd5` would become a plain file.
    if let Some(bar) = lost_by_client(ctx, &said.mounts()?) {
        return Ok(bar);
    }
    let current = has_image(ctx, said)?;
    // After an update the image of before has the same version and release: only
    // the mark tells that a new one was made.
    let mark = marks::judge(ctx, answers, NAME)?;
    let made = !is_marked(ctx) || mark.presence == Presence::Present;
    // The file that it is written from does not stay in the copy.
    let is_over = !answers.master().is_there(argv::ls_d(&image(ctx)))?;
    if current && made && is_over {
        return Ok(Finding::of(Presence::Present));
    }
    Ok(if mark.gone.is_some() { mark } else { Finding::of(Presence::Absent) })
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}
