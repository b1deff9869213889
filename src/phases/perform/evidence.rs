//! What is taken from the hosts after a permanent failure, before anything is
//! undone. It changes nothing there, and its own failure changes nothing here.

use crate::aix::argv::{self, words};
use crate::base::limits::{OUTPUT_BYTES_MAX, PROBE_TIMEOUT};
use crate::base::{redact, sanitize_end};
use crate::domain::{Cause, Direction, FailureClass, HostRole};
use crate::transport::{HostId, Output, Script, Transport};

use crate::phases::copy::ALT_VG;
use crate::phases::nimadm;
use crate::phases::order::{EvidenceSink, Order};
use crate::phases::read::look;
use crate::phases::step::{HostNames, StepDef};

/// Whether evidence is taken: not at the gate, where nothing was touched.
pub(crate) fn is_wanted(def: &StepDef, order: &Order, cause: &Cause) -> bool {
    let given_up = order.interrupt.as_ref().is_some_and(|interrupt| *interrupt.borrow());
    cause.class == FailureClass::Permanent
        && !given_up
        && order.ticket.direction == Direction::Forward
        && !def.gate
}

/// Takes it. Returns the digests of what could be kept.
pub(crate) async fn take(
    transport: &dyn Transport,
    sink: &dyn EvidenceSink,
    hosts: &HostNames,
    order: &Order,
) -> Vec<String> {
    let mut digests = Vec::new();
    let has_client = order.spec.task.has_client();
    let looks = looks(order).into_iter();
    for (role, script) in looks.filter(|(role, _)| has_client || *role == HostRole::Master) {
        let Ok(output) = transport.exec(hosts.of(role), &script, PROBE_TIMEOUT).await else {
            continue;
        };
        let text = protocol(hosts.of(role), &script, &output);
        let name = format!(
            "{}-{:02}-{}-{}.txt",
            order.migration,
            order.ticket.phase.number(),
            order.ticket.step,
            hosts.of(role)
        );
        digests.extend(sink.put(&name, text.as_bytes()));
    }
    digests
}

fn looks(order: &Order) -> [(HostRole, Script); 2] {
    let mut master =
        vec![words(&["alog", "-o", "-t", "nim"]), argv::lsnim(&order.spec.client), argv::mounts()];
    if order.spec.task.uses_nimadm() {
        master.push(argv::processes());
        master.push(argv::cat(&nimadm::log(&order.spec)));
    }
    let client = [
        argv::lspv(),
        argv::lsvg_l(ALT_VG),
        argv::mounts(),
        argv::exports(),
        argv::show_bootlist(),
        argv::cat("/var/adm/ras/alt_disk_inst.log"),
    ];
    [look(HostRole::Master, master), look(HostRole::Client, client)]
}

fn protocol(host: &HostId, script: &Script, output: &Output) -> String {
    let mut text = String::new();
    for (command, said) in script.commands.iter().zip(&output.commands) {
        let body = sanitize_end(&redact(&said.text()), OUTPUT_BYTES_MAX);
        let line = command.shell_text();
        let entry = format!("{host}# {line}\n[{}]\n{}\n", said.status, body.trim_end());
        text.push_str(&entry);
    }
    text
}
