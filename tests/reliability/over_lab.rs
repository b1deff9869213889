//! A transport over the lab that does something before and after its calls: the
//! calls themselves are handed on in one place.

use std::time::Duration;

use nimshift::lab::Lab;
use nimshift::transport::{
    Bar, HostId, JobId, JobState, Output, OutputMark, OutputPiece, Script, Transport,
    TransportFuture,
};

/// A call to a host.
pub(crate) enum Call<'a> {
    Exec,
    Start(&'a HostId, &'a JobId, &'a Script),
    Poll,
    Kill,
    Forget,
    Output,
    Unfinished,
    Bar,
}

/// What is done around calls.
pub(crate) trait Around: Send + Sync {
    /// Before the call is made.
    fn before(&self, call: &Call<'_>) -> impl Future<Output = ()> + Send;

    /// What a look gave, before it is seen.
    fn said(&self, output: &mut Output) {
        let _ = output;
    }

    /// After it was made, and before its answer is seen.
    fn after(&self, call: &Call<'_>) -> impl Future<Output = ()> + Send {
        let _ = call;
        std::future::ready(())
    }
}

/// The lab, with something around its calls.
pub(crate) struct OverLab<A> {
    pub(crate) lab: Lab,
    pub(crate) around: A,
}

impl<A: Around> OverLab<A> {
    async fn made<T>(&self, call: Call<'_>, answer: impl Future<Output = T> + Send) -> T {
        self.around.before(&call).await;
        let given = answer.await;
        self.around.after(&call).await;
        given
    }
}

impl<A: Around> Transport for OverLab<A> {
    fn exec<'a>(
        &'a self,
        host: &'a HostId,
        script: &'a Script,
        timeout: Duration,
    ) -> TransportFuture<'a, Output> {
        Box::pin(async move {
            let mut given = self.made(Call::Exec, self.lab.exec(host, script, timeout)).await?;
            self.around.said(&mut given);
            Ok(given)
        })
    }

    fn start<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        script: &'a Script,
    ) -> TransportFuture<'a, JobState> {
        Box::pin(self.made(Call::Start(host, id, script), self.lab.start(host, id, script)))
    }

    fn poll<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        seen_bytes: u64,
        wait: Duration,
    ) -> TransportFuture<'a, JobState> {
        Box::pin(self.made(Call::Poll, self.lab.poll(host, id, seen_bytes, wait)))
    }

    fn kill<'a>(&'a self, host: &'a HostId, id: &'a JobId) -> TransportFuture<'a, JobState> {
        Box::pin(self.made(Call::Kill, self.lab.kill(host, id)))
    }

    fn forget<'a>(&'a self, host: &'a HostId, prefix: &'a str) -> TransportFuture<'a, ()> {
        Box::pin(self.made(Call::Forget, self.lab.forget(host, prefix)))
    }

    fn output<'a>(
        &'a self,
        host: &'a HostId,
        id: &'a JobId,
        mark: OutputMark,
    ) -> TransportFuture<'a, OutputPiece> {
        Box::pin(self.made(Call::Output, self.lab.output(host, id, mark)))
    }

    fn bars<'a>(&'a self, host: &'a HostId) -> TransportFuture<'a, Vec<Bar>> {
        Box::pin(self.made(Call::Bar, self.lab.bars(host)))
    }

    fn unfinished<'a>(
        &'a self,
        host: &'a HostId,
        prefix: &'a str,
    ) -> TransportFuture<'a, Vec<JobId>> {
        Box::pin(self.made(Call::Unfinished, self.lab.unfinished(host, prefix)))
    }

    fn bar<'a>(
        &'a self,
        host: &'a HostId,
        prefix: &'a str,
        by: &'a str,
        bars: bool,
    ) -> TransportFuture<'a, ()> {
        Box::pin(self.made(Call::Bar, self.lab.bar(host, prefix, by, bars)))
    }
}
