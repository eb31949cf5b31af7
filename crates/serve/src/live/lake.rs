//! What of the lake is live: how many records bronze has, and the published build.

use std::time::Duration;

use streamreel_lake::{Error, Lake, TableId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::snapshot::BuildState;
use crate::server::Names;

/// How often the lake is looked at. A table that has no new version costs a look into its folder.
const EVERY: Duration = Duration::from_millis(500);

/// What the lake has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LakeState {
    /// Records of this log that bronze has; `None`: unknown.
    pub(crate) landed: Option<u64>,
    /// The published build.
    pub(crate) build: Option<BuildState>,
}

/// Looks at a lake again and again.
pub(crate) struct Watcher {
    lake: Lake,
    /// Identity of the log whose records count.
    log: Option<String>,
    names: Names,
    state: watch::Sender<LakeState>,
    /// Version of `gold.builds` that the build in `state` is of.
    builds_version: Option<i64>,
}

impl Watcher {
    /// A watcher that has not looked yet, and where it tells what it sees.
    pub(crate) fn new(lake: Lake, log: Option<String>, names: Names) -> (Self, watch::Receiver<LakeState>) {
        let (state, seen) = watch::channel(LakeState::default());
        (Self { lake, log, names, state, builds_version: None }, seen)
    }

    /// Looks until it is cancelled. What can't be read stays as it was, and is said once.
    pub(crate) async fn run(mut self, cancelled: CancellationToken) {
        let mut is_said = false;
        loop {
            match self.look().await {
                Ok(state) => {
                    is_said = false;
                    self.state.send_if_modified(|known| {
                        let is_new = *known != state;
                        *known = state;
                        is_new
                    });
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_said, true) {
                        tracing::warn!(%error, "the live numbers can't read the lake");
                    }
                }
            }
            tokio::select! {
                () = cancelled.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<LakeState, Error> {
        Ok(LakeState { landed: self.landed().await?, build: self.build().await? })
    }

    /// Bronze is landed from the received topic, or else from both cleaned ones.
    async fn landed(&self) -> Result<Option<u64>, Error> {
        let Some(log) = &self.log else { return Ok(None) };
        let Some(mut bronze) = self.lake.open_table(&TableId::bronze("events")).await? else { return Ok(Some(0)) };
        let mut landed = [0_u64; 3];
        let topics = self.names.topics;
        for (count, topic) in landed.iter_mut().zip([topics.received, topics.clean, topics.dead_letters]) {
            let offsets = bronze.offsets(topic).await?;
            let own = offsets.iter().filter(|((of, _), _)| of == log);
            *count = own.map(|(_, next)| next.unsigned_abs()).sum();
        }
        // The way can be changed; the one that is left stands still from then on.
        Ok(Some(landed[0].max(landed[1] + landed[2])))
    }

    async fn build(&mut self) -> Result<Option<BuildState>, Error> {
        let known = self.state.borrow().build.clone();
        let version = self.lake.open_table(&TableId::gold("builds")).await?.map(|table| table.version());
        if version == self.builds_version {
            return Ok(known);
        }
        let build = self.lake.published().await?;
        self.builds_version = version;
        Ok(build.map(|build| BuildState { build_id: build.build_id, finished_at: build.finished_at }))
    }
}
