//! What is done to a running platform.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::clock::SEEN_AFTER;
use crate::common::store::Harm;
use crate::dice::Dice;
use crate::load::Load;
use crate::platform::{Gear, PATIENCE, Platform, SESSION};

/// Seconds that a clock is wrong by: at least longer than copies of a record are looked for (10 min), so that it shows,
/// and at most what files of crashed writers are left alone for (1 h), as new files have the right time.
const JUMP_S: (u64, u64) = (11 * 60, 50 * 60);
/// Batches that must come after a clock has jumped, so that it shows.
const BATCHES_AFTER_JUMP: usize = 5;

/// What can be done to a running platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hurt {
    /// SIGKILL, and a new start.
    Kill,
    /// SIGKILL, then bytes at the end of the log's write-ahead file, as a torn write leaves them; and a new start.
    TornWrite,
    /// SIGSTOP for a while, and on.
    Pause,
    /// The disk of the home is full, and has room again.
    DiskFull,
    /// The clock that the platform sees jumps to be too fast or too slow, and stays so.
    ClockJump,
    /// SIGSTOP for longer than its session in the group; another processor takes over; the one that was stopped goes
    /// on, and must store nothing of what it had open.
    Zombie,
    /// SIGKILL of the broker, and a new start.
    KillBroker,
    /// The connections between the platform and the broker are cut, and nothing comes through for a while.
    CutBroker,
    /// SIGKILL of the second processor, and a new start.
    KillSecond,
    /// SIGSTOP of the second processor for longer than its session, and on.
    StopSecond,
    /// SIGSTOP for longer than its leases live; another build takes over; the one that was stopped goes on, and must
    /// publish nothing of what it had begun.
    OtherBuild,
    /// SIGKILL of the store, and a new start.
    KillStore,
    /// The connections between the platform and the store are cut, and nothing comes through for up to twice a lease's
    /// life.
    CutStore,
    /// The store answers a share of the requests with 500 or 503 for a while, and has done nothing.
    StoreRefuses,
    /// The store answers a share of the requests with 500 for a while, and has done what they asked for.
    StoreDenies,
    /// The store does what a share of the requests asks for, and its connection ends without an answer.
    AnswerLost,
    /// As before, and then SIGKILL and a new start.
    KillInDoubt,
    /// Every request to the store takes longer than a lease is renewed within.
    StoreSlow,
}

impl Hurt {
    /// What can be done in a gear; what is most common in life comes more than once.
    pub fn all(gear: Gear) -> &'static [Hurt] {
        use Hurt::*;
        match gear {
            Gear::Embedded => &[Kill, Kill, TornWrite, Pause, DiskFull, ClockJump],
            Gear::Kafka => &[Kill, Kill, Pause, Zombie, KillBroker, CutBroker, KillSecond, StopSecond],
            Gear::Store => &[
                Kill,
                Pause,
                OtherBuild,
                KillStore,
                CutStore,
                StoreRefuses,
                StoreDenies,
                AnswerLost,
                KillInDoubt,
                StoreSlow,
            ],
        }
    }
}

/// A clock that was wrong, and when: seconds since 1970 by the right one, between which events have come.
pub struct Jump {
    pub offset_s: i64,
    pub from_s: i64,
    pub to_s: i64,
}

/// Does it; says what there is to say of it.
pub fn hurt(platform: &mut Platform, hurt: Hurt, dice: &mut Dice, load: &Load, jumps: &mut Vec<Jump>) -> String {
    match hurt {
        Hurt::Kill => {
            platform.kill();
            platform.start();
        }
        Hurt::TornWrite => {
            platform.kill();
            let wal = platform.home.path().join("log/topics.sqlite-wal");
            let mut wal = OpenOptions::new().append(true).open(wal).expect("the write-ahead file");
            let torn: Vec<u8> = (0..1 + dice.below(5000)).map(|_| dice.below(256) as u8).collect();
            wal.write_all(&torn).expect("written");
            drop(wal);
            platform.start();
        }
        Hurt::Pause => {
            platform.signal("-STOP");
            sleep(Duration::from_millis(500 + dice.below(2500)));
            platform.signal("-CONT");
        }
        Hurt::DiskFull => {
            if !platform.has_disk() {
                return "no disk can be mounted here: none was filled".to_owned();
            }
            fill_disk(platform, dice);
        }
        Hurt::ClockJump => return jump(platform, dice, load, jumps),
        Hurt::Zombie => {
            platform.signal("-STOP");
            // Takes over what the one that is stopped has, once its session is over.
            platform.ok(&["process"]);
            platform.signal("-CONT");
            platform.wait_until_ready();
        }
        Hurt::OtherBuild => {
            platform.signal("-STOP");
            // Takes over the lease of builds, if the one that is stopped has it.
            platform.ok(&["build"]);
            platform.signal("-CONT");
            platform.wait_until_ready();
        }
        Hurt::CutBroker => {
            let proxy = platform.servers.broker.as_ref().expect("a broker").proxy();
            proxy.cut();
            sleep(Duration::from_millis(300 + dice.below(6000)));
            proxy.mend();
        }
        Hurt::KillSecond => {
            platform.kill_second();
            sleep(Duration::from_millis(dice.below(2000)));
            platform.start_second();
        }
        Hurt::StopSecond => {
            platform.signal_second("-STOP");
            sleep(SESSION + Duration::from_millis(1000 + dice.below(2000)));
            platform.signal_second("-CONT");
        }
        Hurt::KillBroker => {
            let broker = platform.servers.broker.as_ref().expect("a broker");
            broker.kill();
            sleep(Duration::from_millis(dice.below(1500)));
            broker.start_again();
        }
        Hurt::KillStore => {
            let store = platform.servers.store.as_ref().expect("a store");
            store.kill();
            sleep(Duration::from_millis(dice.below(1500)));
            store.start_again();
        }
        Hurt::CutStore => return harm_store(platform, Harm::Cut, 300 + dice.below(6000)),
        Hurt::StoreRefuses => return harm_store(platform, Harm::Refuse, 1000 + dice.below(4000)),
        Hurt::StoreDenies => return harm_store(platform, Harm::Deny, 1000 + dice.below(4000)),
        Hurt::AnswerLost => return harm_store(platform, Harm::LoseAnswer, 1000 + dice.below(4000)),
        Hurt::StoreSlow => return harm_store(platform, Harm::Slow, 2000 + dice.below(4000)),
        Hurt::KillInDoubt => {
            let harm = dice.one_of(&[Harm::Deny, Harm::LoseAnswer]);
            let store = platform.servers.store.as_ref().expect("a store");
            store.harm(harm);
            sleep(Duration::from_millis(300 + dice.below(1200)));
            platform.kill();
            let said = harmed(platform);
            platform.start();
            return said;
        }
    }
    String::new()
}

fn fill_disk(platform: &mut Platform, dice: &mut Dice) {
    let filler = platform.home.path().join("filler");
    let mut file = fs::File::create(&filler).expect("a file");
    // Until nothing more goes in.
    while file.write_all(&[7; 64 << 10]).is_ok() {}
    sleep(Duration::from_millis(500 + dice.below(2500)));
    drop(file);
    fs::remove_file(filler).expect("removed");
    // A processor that could not write ends the program, like any failure that it can't mend.
    sleep(Duration::from_secs(2));
    platform.revive();
}

fn harm_store(platform: &Platform, harm: Harm, for_ms: u64) -> String {
    let store = platform.servers.store.as_ref().expect("a store");
    store.harm(harm);
    sleep(Duration::from_millis(for_ms));
    harmed(platform)
}

/// Ends the harm; it must have fallen on something.
fn harmed(platform: &Platform) -> String {
    let requests = platform.servers.store.as_ref().expect("a store").harm(Harm::None);
    assert!(requests > 0, "the store was asked nothing while it was harmed");
    format!("{requests} requests")
}

fn jump(platform: &Platform, dice: &mut Dice, load: &Load, jumps: &mut Vec<Jump>) -> String {
    let (least, most) = JUMP_S;
    let seconds = (least + dice.below(most - least)) as i64;
    let is_behind = match jumps.last() {
        Some(last) => last.offset_s > 0,
        None => dice.below(2) == 0,
    };
    let offset_s = if is_behind { -seconds } else { seconds };
    platform.clock.as_ref().expect("a clock").set(offset_s);
    sleep(SEEN_AFTER);
    let from_s = now_s();
    // What comes now has the other time.
    let (began, after) = (Instant::now(), load.acknowledged() + BATCHES_AFTER_JUMP);
    load.allow_up_to(after);
    while load.acknowledged() < after {
        assert!(began.elapsed() < PATIENCE, "no events are taken after the clock has jumped");
        sleep(Duration::from_millis(20));
    }
    jumps.push(Jump { offset_s, from_s, to_s: now_s() + 1 });
    format!("{:+} min", offset_s / 60)
}

/// By the right clock, which this program has.
#[expect(clippy::disallowed_methods, reason = "compared with what a program with a wrong clock has recorded")]
fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    since.as_secs() as i64
}
