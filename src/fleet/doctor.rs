//! The hosts of a plan are asked whether a night could begin.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::base::{SystemClock, limits};
use crate::domain::RealHosts;
use crate::transport::{HostId, Hosts, JobId, JobState, Transport as _};

use super::examine::{Finding, Questions, peer_findings, self_findings};

/// Asks all hosts, many at once.
pub async fn examine(
    hosts: &Arc<Hosts>,
    real: &RealHosts,
    master: &str,
    clients: &[String],
) -> BTreeMap<String, Vec<Finding>> {
    let mut asked = JoinSet::new();
    for host in std::iter::once(master).chain(clients.iter().map(String::as_str)) {
        let peer = (host != master).then(|| master.to_owned());
        asked.spawn(ask(Arc::clone(hosts), host.to_owned(), real.clone(), peer));
    }
    // The master is asked of each client, as the client's finding.
    for client in clients {
        let (hosts, master, real) = (Arc::clone(hosts), master.to_owned(), real.clone());
        let client = client.clone();
        asked.spawn(async move {
            let asked = Questions::of_client_on_master(&client, &real.remote_shell);
            let (id, script) = (HostId::new(&master), asked.script());
            let findings = match hosts.exec(&id, &script, limits::PROBE_TIMEOUT).await {
                Ok(output) => peer_findings(&client, &master, &asked.told(output)),
                // The master's own findings say why.
                Err(_) => Vec::new(),
            };
            (client, findings)
        });
    }
    let mut found: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    while let Some(told) = asked.join_next().await {
        if let Ok((host, findings)) = told {
            found.entry(host).or_default().extend(findings);
        }
    }
    for findings in found.values_mut() {
        findings.sort_by_key(Finding::order);
    }
    found
}

/// What a host says of itself, and of the master.
async fn ask(
    hosts: Arc<Hosts>,
    host: String,
    real: RealHosts,
    master: Option<String>,
) -> (String, Vec<Finding>) {
    let id = HostId::new(&host);
    let asked = Questions::of_itself(&real.job_dir, master.as_deref());
    let before_ms = SystemClock::read_ms();
    let output = match hosts.exec(&id, &asked.script(), limits::PROBE_TIMEOUT).await {
        Ok(output) => output,
        Err(error) => return (host, vec![Finding::unreached(&error)]),
    };
    let between_ms = u64::midpoint(before_ms, SystemClock::read_ms());
    let mut findings = self_findings(&host, master.as_deref(), &asked.told(output), between_ms);
    findings.push(try_job(&hosts, &id, before_ms).await);
    (host, findings)
}

/// A job that does nothing, from its start to its removal.
async fn try_job(hosts: &Hosts, host: &HostId, now_ms: u64) -> Finding {
    let prefix = format!("doctor.{}.{now_ms}.", std::process::id());
    let id = JobId::new(format!("{prefix}1"));
    let mut state = hosts.start(host, &id, &Questions::job()).await;
    for _ in 0..10 {
        let Ok(JobState::Running { output_bytes, .. }) = state else { break };
        state = hosts.poll(host, &id, output_bytes, std::time::Duration::from_secs(1)).await;
    }
    let finding = Finding::of_job(&state);
    match hosts.forget(host, &prefix).await {
        Ok(()) => finding,
        Err(error) => Finding::unreached(&error),
    }
}
