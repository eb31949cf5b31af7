//! What a run has done so far: the report, kept up with what its threads say.

use std::collections::HashMap;
use std::sync::mpsc::Receiver;

use crate::lane::{Lane, LaneId};
use crate::report::{Counts, PartitionReport, Progress};
use crate::sinks::SinkKind;
use crate::threads::{Notice, Reached};

/// The report of a run, which is told at every change.
pub(crate) struct Ledger<'a> {
    report: &'a mut Progress,
    tell: &'a dyn Fn(&mut Progress),
    /// Place in the report of each lane's partition.
    places: HashMap<LaneId, usize>,
}

impl<'a> Ledger<'a> {
    /// Goes on in a report; lanes are new with each shift.
    pub(crate) fn new(report: &'a mut Progress, tell: &'a dyn Fn(&mut Progress)) -> Self {
        Self { report, tell, places: HashMap::new() }
    }

    /// So many partitions are held.
    pub(crate) fn assigned(&mut self, partitions: usize) {
        if self.report.assigned != partitions {
            self.report.assigned = partitions;
            (self.tell)(self.report);
        }
    }

    /// Enters the partition of a lane.
    pub(crate) fn enter(&mut self, lane: &Lane) {
        let (topic, partition) = (&lane.source.topic, lane.source.partition);
        let partitions = &mut self.report.partitions;
        let known = partitions.iter().position(|known| known.topic == *topic && known.partition == partition);
        let place = known.unwrap_or_else(|| {
            partitions.push(PartitionReport {
                topic: topic.clone(),
                partition,
                from: lane.at,
                end: lane.range_end,
                ..PartitionReport::default()
            });
            partitions.len() - 1
        });
        (partitions[place].topics_next, partitions[place].bronze_next) = (lane.topics_from, lane.bronze_from);
        self.places.insert(lane.id, place);
    }

    /// Takes in what threads have done; gives back what is for who directs them.
    pub(crate) fn hear(&mut self, notice: Notice) -> Option<Notice> {
        match notice {
            Notice::Rebuilt(rebuilt) => self.report.rebuilt.push(rebuilt),
            Notice::Read => {
                (self.tell)(self.report);
                let now_s = self.report.elapsed_s;
                self.report.first_read_s.get_or_insert(now_s);
            }
            Notice::Committed { sink, lanes, counts } => self.committed(sink, lanes, &counts),
            Notice::Arrived(_) | Notice::Ended { .. } => return Some(notice),
        }
        None
    }

    /// Takes in what was done while a run was breaking off, once all of its threads have ended.
    pub(crate) fn close(mut self, noticed: &Receiver<Notice>) {
        for notice in noticed.try_iter() {
            self.hear(notice);
        }
    }

    fn committed(&mut self, sink: SinkKind, lanes: Vec<Reached>, counts: &Counts) {
        self.report.counts.add(counts);
        for reached in lanes {
            let Some(place) = self.places.get(&reached.lane) else { continue };
            let partition = &mut self.report.partitions[*place];
            partition.remembered = reached.remembered;
            match sink {
                SinkKind::Topics => partition.topics_next = Some(reached.next),
                SinkKind::Bronze => partition.bronze_next = Some(reached.next),
            }
        }
        match sink {
            SinkKind::Topics => self.report.topics_commits += 1,
            SinkKind::Bronze => self.report.bronze_commits += 1,
        }
        (self.tell)(self.report);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_is_committed_while_a_run_breaks_off_is_counted() {
        let (notices, noticed) = channel();
        let counts = Counts { received: 5, clean: 4, duplicates: 1, ..Counts::default() };
        notices.send(Notice::Ended { lane: 0 }).unwrap();
        notices.send(Notice::Committed { sink: SinkKind::Topics, lanes: Vec::new(), counts }).unwrap();
        let mut report = Progress::default();
        Ledger::new(&mut report, &|_| ()).close(&noticed);
        assert_eq!((report.counts.received, report.counts.clean, report.counts.duplicates), (5, 4, 1));
        assert_eq!((report.topics_commits, report.bronze_commits), (1, 0));
    }
}
