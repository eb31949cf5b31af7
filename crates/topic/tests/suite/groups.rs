//! What a consumer group promises: partitions are shared, handed over and written to one target.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use streamreel_topic::{Change, Error, Log, Membership, TopicPartition};

use super::{Gear, Place};

/// A member, and what it works on.
struct Member {
    membership: Box<dyn Membership>,
    has: BTreeSet<TopicPartition>,
    /// Partitions that it was asked for and has not let go of.
    asked: BTreeSet<TopicPartition>,
}

impl Member {
    fn join(place: &Place<impl Gear>, log: &dyn Log) -> Self {
        let membership = log.join(&place.group("members"), &[&place.topic], None).unwrap();
        Self { membership, has: BTreeSet::new(), asked: BTreeSet::new() }
    }

    /// Hears what the group wants.
    fn hear(&mut self) {
        for change in self.membership.changes().unwrap() {
            match change {
                Change::Given(partition) => assert!(self.has.insert(partition.clone()), "{partition:?} is given twice"),
                Change::Asked(partition) => {
                    assert!(self.has.contains(&partition), "{partition:?} is asked for and was not given");
                    assert!(self.asked.insert(partition.clone()), "{partition:?} is asked for twice");
                }
            }
        }
    }

    /// Lets go of what it was asked for.
    fn let_go(&mut self) {
        for partition in std::mem::take(&mut self.asked) {
            self.has.remove(&partition);
            self.membership.release(&partition).unwrap();
        }
    }
}

/// Lets members hear, and let go if `let_go`, until something is so; meanwhile no partition has two of them.
fn hear_until(members: &mut [&mut Member], let_go: bool, what: &str, is_so: impl Fn(&[&mut Member]) -> bool) {
    let until = Instant::now() + Duration::from_secs(40);
    while !is_so(members) {
        assert!(Instant::now() < until, "waited in vain until {what}");
        for member in members.iter_mut() {
            member.hear();
            if let_go {
                member.let_go();
            }
            assert!(member.membership.is_current());
        }
        let all: Vec<&TopicPartition> = members.iter().flat_map(|member| &member.has).collect();
        let different: BTreeSet<&&TopicPartition> = all.iter().collect();
        assert_eq!(all.len(), different.len(), "a partition has two members");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn members_share_partitions_and_hand_them_over(place: &Place<impl Gear>) {
    let (one_log, two_log) = (place.gear.open(), place.gear.open());
    let mut one = Member::join(place, &*one_log);
    hear_until(&mut [&mut one], true, "one has all", |members| members[0].has.len() == 4);

    // A newcomer gets nothing before it is let go of, and the other keeps the rest meanwhile.
    let mut two = Member::join(place, &*two_log);
    hear_until(&mut [&mut one, &mut two], false, "one is asked for two", |members| members[0].asked.len() == 2);
    std::thread::sleep(Duration::from_millis(500));
    hear_until(&mut [&mut one, &mut two], false, "they have heard", |_| true);
    one.hear();
    two.hear();
    assert_eq!((one.has.len(), one.asked.len(), two.has.len()), (4, 2, 0));
    let kept: BTreeSet<TopicPartition> = one.has.difference(&one.asked).cloned().collect();
    hear_until(&mut [&mut one, &mut two], true, "two has two", |members| members[1].has.len() == 2);
    assert_eq!(one.has, kept, "what was not asked for stays");

    // More members than partitions: some have nothing.
    let mut others: Vec<Member> = (0..3).map(|_| Member::join(place, &*one_log)).collect();
    let mut members: Vec<&mut Member> = [&mut one, &mut two].into_iter().chain(&mut others).collect();
    hear_until(&mut members, true, "each has one at most", |members| {
        let has = |n: usize| members.iter().filter(|member| member.has.len() == n).count();
        has(1) == 4 && has(0) == 1
    });
    // Those who leave, whether asked or not, leave all to who stays.
    drop((two, others));
    hear_until(&mut [&mut one], true, "one has all again", |members| members[0].has.len() == 4);
    assert!(place.log.join(&place.group("members"), &[&place.gear.name("none")], None).is_err());
}

pub fn groups_do_not_know_each_other(place: &Place<impl Gear>) {
    let other = place.log.join(&place.group("other group/with % in it"), &[&place.topic], None).unwrap();
    let mut one = Member::join(place, &*place.log);
    hear_until(&mut [&mut one], true, "one has all", |members| members[0].has.len() == 4);
    let mut other = Member { membership: other, has: BTreeSet::new(), asked: BTreeSet::new() };
    hear_until(&mut [&mut other], true, "the other one too", |members| members[0].has.len() == 4);
}

pub fn members_of_a_group_write_to_the_same_target(place: &Place<impl Gear>) {
    let join = |log: &dyn Log, target| log.join(&place.group("members"), &[&place.topic], target);
    let refused = |target| {
        let error = join(&*place.gear.open(), Some(target)).err().unwrap();
        match &error {
            Error::OtherTarget { target: own, found, .. } => (own.clone(), found.clone()),
            _ => panic!("{error}"),
        }
    };
    let membership = join(&*place.log, Some("lake-a")).unwrap();
    let mut one = Member { membership, has: BTreeSet::new(), asked: BTreeSet::new() };
    hear_until(&mut [&mut one], true, "one has all", |members| members[0].has.len() == 4);
    assert_eq!(refused("lake-b"), ("lake-b".to_owned(), "lake-a".to_owned()));
    // The one that was there has not noticed anything.
    one.hear();
    assert_eq!((one.has.len(), one.asked.len()), (4, 0));
    // Who writes to the same, or to nothing in common, is welcome.
    for target in [Some("lake-a"), None] {
        let membership = join(&*place.gear.open(), target).unwrap();
        let mut two = Member { membership, has: BTreeSet::new(), asked: BTreeSet::new() };
        hear_until(&mut [&mut one, &mut two], true, "two has two", |members| members[1].has.len() == 2);
        assert_eq!(refused("lake-b").1, "lake-a");
        drop(two);
        hear_until(&mut [&mut one], true, "one has all again", |members| members[0].has.len() == 4);
    }
    drop(one);
    // The group is free for another target.
    let membership = join(&*place.gear.open(), Some("lake-b")).unwrap();
    let mut other = Member { membership, has: BTreeSet::new(), asked: BTreeSet::new() };
    hear_until(&mut [&mut other], true, "the other has all", |members| members[0].has.len() == 4);
    assert_eq!(refused("lake-a").1, "lake-b");
}

/// Two that join at the same moment: one stays.
pub fn of_two_targets_at_once_one_stays(place: &Place<impl Gear>) {
    let start = std::sync::Barrier::new(2);
    let (group, topic) = (place.group("members"), &*place.topic);
    let outcome = |log: Box<dyn Log>, target: &str| {
        start.wait();
        let membership = log.join(&group, &[topic], Some(target))?;
        let until = Instant::now() + Duration::from_secs(6);
        while Instant::now() < until {
            for change in membership.changes()? {
                if let Change::Asked(partition) = change {
                    membership.release(&partition)?;
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok::<_, Error>(())
    };
    let outcomes = std::thread::scope(|scope| {
        let threads = ["lake-a", "lake-b"].map(|target| {
            let (log, outcome) = (place.gear.open(), &outcome);
            scope.spawn(move || outcome(log, target))
        });
        threads.map(|thread| thread.join().unwrap())
    });
    let refused: Vec<&Error> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(matches!(refused[..], [Error::OtherTarget { .. }]), "{outcomes:?}");
}
