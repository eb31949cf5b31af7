//! Who watches: where they live, when they watch, and what their player sends.

use crate::dice::mix;
use crate::settings::Players;

/// Viewers of one place share a code, a clock and a size.
pub(crate) struct Region {
    /// ISO 3166-1 alpha-2 or 3166-2.
    pub code: &'static str,
    /// Offset of the local clock from UTC.
    pub offset_min: i32,
    weight: u32,
}

const fn region(code: &'static str, offset_min: i32, weight: u32) -> Region {
    Region { code, offset_min, weight }
}

pub(crate) const REGIONS: [Region; 22] = [
    region("US-NY", -300, 11),
    region("US-TX", -360, 9),
    region("US-CA", -480, 12),
    region("CA", -300, 4),
    region("MX", -360, 5),
    region("BR", -180, 9),
    region("GB", 0, 8),
    region("PT", 0, 2),
    region("DE", 60, 8),
    region("FR", 60, 7),
    region("ES", 60, 5),
    region("IT", 60, 5),
    region("PL", 60, 4),
    region("NG", 60, 3),
    region("ZA", 120, 3),
    region("TR", 180, 4),
    region("IN", 330, 14),
    region("ID", 420, 6),
    region("PH", 480, 3),
    region("JP", 540, 8),
    region("KR", 540, 4),
    region("AU", 600, 3),
];

/// How much is watched in each hour of the local day; the most is 100.
const RHYTHM: [u32; 24] =
    [34, 20, 11, 7, 6, 8, 15, 26, 33, 32, 31, 34, 42, 44, 40, 40, 45, 54, 66, 80, 94, 100, 88, 60];

/// How a player writes `timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// `2026-01-05T19:04:11.250Z`
    Utc,
    /// `2026-01-06T00:34:11.250+05:30`
    Local,
    /// `1767639851250`
    EpochMs,
}

/// What a player does around a seek while it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeekStyle {
    /// `seek` and nothing else.
    Plain,
    /// `pause`, then `seek` within 50 ms, then `play`.
    PausesFirst,
    /// `seek`, then a `play` that reports the new position.
    PlaysAfter,
    /// `seek`, then a `play` that still reports the old position.
    StalePlay,
    /// Reports no seek: its positions jump.
    Unreported,
    /// The viewer can't seek.
    Never,
}

/// A kind of player: which fields it sends and what quirks it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Player {
    pub weight: u32,
    pub positions: bool,
    pub session: bool,
    pub event_id: bool,
    pub sequence: bool,
    /// `rate` on every event; otherwise only where it changes.
    pub rate: bool,
    pub duration: bool,
    /// Sends `region` and `device`.
    pub place: bool,
    /// Sends a field that no one asked for.
    pub extra: bool,
    pub load: bool,
    /// Goes on sending heartbeats while paused.
    pub chatter: bool,
    /// `PLAY` instead of `play`.
    pub upper_case: bool,
    pub stamp: Stamp,
    pub seek: SeekStyle,
    /// Writes where a seek leads into `position_s` instead of `seek_to_s`.
    pub seek_in_position: bool,
    pub beat_ms: i64,
    pub devices: &'static [&'static str],
}

const FULL: Player = Player {
    weight: 26,
    positions: true,
    session: true,
    event_id: true,
    sequence: true,
    rate: true,
    duration: true,
    place: true,
    extra: false,
    load: true,
    chatter: true,
    upper_case: false,
    stamp: Stamp::Utc,
    seek: SeekStyle::PausesFirst,
    seek_in_position: false,
    beat_ms: 20_000,
    devices: &["desktop", "desktop", "laptop", "laptop", "tablet"],
};

impl Default for Player {
    fn default() -> Self {
        FULL
    }
}

const MINIMAL: Player = Player {
    weight: 6,
    positions: false,
    session: false,
    event_id: false,
    sequence: false,
    rate: false,
    duration: false,
    place: false,
    load: false,
    chatter: false,
    seek: SeekStyle::Never,
    beat_ms: 60_000,
    devices: &[],
    ..FULL
};

pub(crate) const PLAYERS: [Player; 8] = [
    FULL,
    // phones: epoch milliseconds, no sequence
    Player {
        weight: 24,
        sequence: false,
        rate: false,
        stamp: Stamp::EpochMs,
        seek: SeekStyle::Plain,
        beat_ms: 30_000,
        devices: &["phone", "phone", "phone", "phone", "tablet"],
        ..FULL
    },
    // televisions: no session, no ids, no seek events
    Player {
        weight: 14,
        session: false,
        event_id: false,
        sequence: false,
        rate: false,
        chatter: false,
        seek: SeekStyle::Unreported,
        beat_ms: 30_000,
        devices: &["tv", "tv", "console"],
        ..FULL
    },
    // an old web player: stale positions after a seek, upper case, no ids
    Player {
        weight: 8,
        event_id: false,
        sequence: false,
        rate: false,
        duration: false,
        upper_case: true,
        load: false,
        seek: SeekStyle::StalePlay,
        beat_ms: 30_000,
        devices: &["desktop"],
        ..FULL
    },
    // an embedded player that writes the viewer's own clock and a field of its own
    Player {
        weight: 8,
        extra: true,
        stamp: Stamp::Local,
        seek: SeekStyle::PlaysAfter,
        beat_ms: 15_000,
        devices: &["laptop", "phone"],
        ..FULL
    },
    // no session, but positions, ids and reported seeks
    Player {
        weight: 8,
        session: false,
        rate: false,
        duration: false,
        chatter: false,
        seek: SeekStyle::Plain,
        seek_in_position: true,
        beat_ms: 30_000,
        devices: &["phone", "tv"],
        ..FULL
    },
    // positions and the required fields
    Player {
        weight: 6,
        session: false,
        event_id: false,
        sequence: false,
        rate: false,
        duration: false,
        place: false,
        load: false,
        chatter: false,
        seek: SeekStyle::PlaysAfter,
        beat_ms: 30_000,
        devices: &[],
        ..FULL
    },
    MINIMAL,
];

/// One viewer. Everything about them follows from the seed and their number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer {
    pub number: u32,
    /// Index into [`REGIONS`].
    pub region: usize,
    pub player: Player,
    pub device: Option<&'static str>,
}

/// The viewers of one simulation.
pub(crate) struct Audience {
    seed: u64,
    pub users: u64,
    players: Players,
    region_total: u32,
    player_total: u32,
}

impl Audience {
    pub fn new(seed: u64, users: u64, players: Players) -> Self {
        Self {
            seed: mix(seed ^ 0xa0d1_e9ce),
            users,
            players,
            region_total: REGIONS.iter().map(|region| region.weight).sum(),
            player_total: PLAYERS.iter().map(|player| player.weight).sum(),
        }
    }

    pub fn viewer(&self, number: u32) -> Viewer {
        let lot = mix(self.seed ^ u64::from(number));
        let region = pick((lot & 0xffff_ffff) as u32 % self.region_total, REGIONS.iter().map(|r| r.weight));
        let player = match self.players {
            Players::Minimal => MINIMAL,
            Players::All => PLAYERS[pick((lot >> 32) as u32 % self.player_total, PLAYERS.iter().map(|p| p.weight))],
        };
        let device = (mix(lot) as usize).checked_rem(player.devices.len()).map(|index| player.devices[index]);
        Viewer { number, region, player, device }
    }
}

fn pick(mut left: u32, weights: impl Iterator<Item = u32>) -> usize {
    let mut last = 0;
    for (index, weight) in weights.enumerate() {
        last = index;
        if left < weight {
            break;
        }
        left -= weight;
    }
    last
}

/// How likely a viewer of that region is to begin a view at that moment, 0 to 100.
pub(crate) fn rhythm(region: usize, at_ms: i64) -> u32 {
    let minute = at_ms.div_euclid(60_000) + i64::from(REGIONS[region].offset_min);
    RHYTHM[minute.div_euclid(60).rem_euclid(24) as usize]
}

/// What all regions together watch in the half hour that holds that moment.
pub(crate) fn rhythm_of_all(at_ms: i64) -> u64 {
    (0..REGIONS.len()).map(|region| u64::from(REGIONS[region].weight) * u64::from(rhythm(region, at_ms))).sum()
}

/// A full player, for a view that has to have an exact number of events whatever else happens.
pub(crate) fn full_player() -> Player {
    Player { load: false, ..FULL }
}

/// True of the players that send only what is required.
pub(crate) fn is_minimal(players: Players) -> bool {
    players == Players::Minimal
}
