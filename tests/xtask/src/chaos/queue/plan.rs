//! What goes wrong, and when.

use std::{ops::Range, time::Duration};

use tokio::time::Instant;

use crate::chaos::{crm::Mood, dice::Dice, disk::MAX_LEFT};

/// How long the CRM keeps a mood, and the disk stays as it is.
const MOOD: Range<Duration> = Duration::from_millis(300)..Duration::from_millis(1500);
const DISK: Range<Duration> = Duration::from_millis(300)..Duration::from_millis(1500);
/// One start in so many is interrupted.
const INTERRUPTED: u64 = 6;
/// By then, or sooner.
const START: Duration = Duration::from_millis(80);
/// Of the cuts of a link one in so many is long.
const LONG_CUT: u64 = 4;
/// Longer than Redis takes a sidecar that is silent for alive.
const CUT: Range<Duration> = Duration::from_secs(6)..Duration::from_secs(9);
/// After one in so many kills it goes on only when much was delivered, however long it takes until the dead are known to be dead.
const UNTIL_DELIVERED: u64 = 4;
/// Half of the time the CRM is well: it has to catch up.
const MOODS: [Mood; 10] = [
    Mood::Well,
    Mood::Well,
    Mood::Well,
    Mood::Well,
    Mood::Well,
    Mood::Slow,
    Mood::Failing,
    Mood::Down,
    Mood::Silent,
    Mood::Gone,
];

/// The next of everything.
pub struct Plan {
    dice: Dice,
    uptime: Range<Duration>,
    pub mood_at: Instant,
    pub disk_at: Instant,
}

// === impl Plan ===

impl Plan {
    pub fn new(dice: Dice, uptime: Range<Duration>) -> Self {
        let now = Instant::now();
        Self { dice, uptime, mood_at: now + MOOD.end, disk_at: now + DISK.end }
    }

    /// How long it runs until it is killed.
    pub fn uptime(&mut self) -> Duration {
        let Range { start, end } = self.uptime;
        self.dice.duration(start, end)
    }

    /// After which time a start is interrupted, if it is.
    pub fn interrupted_after(&mut self) -> Option<Duration> {
        let interrupted = self.dice.once_in(INTERRUPTED);
        interrupted.then(|| self.dice.duration(Duration::ZERO, START))
    }

    /// How long a link stays cut: mostly as short as everything else.
    pub fn cut(&mut self) -> Duration {
        if self.dice.once_in(LONG_CUT) { self.dice.duration(CUT.start, CUT.end) } else { self.uptime() }
    }

    /// Whether it goes on only when much was delivered.
    pub fn until_delivered(&mut self) -> bool {
        self.dice.once_in(UNTIL_DELIVERED)
    }

    /// Which of so many is killed.
    pub fn victim(&mut self, count: usize) -> usize {
        usize::try_from(self.dice.below(count as u64)).unwrap_or_default()
    }

    /// The CRM's next mood.
    pub fn mood(&mut self) -> Mood {
        self.mood_at = Instant::now() + self.dice.duration(MOOD.start, MOOD.end);
        self.dice.pick(&MOODS).copied().unwrap_or(Mood::Well)
    }

    /// How much is left on the disk the next time that it is filled; none where it is freed.
    pub fn left_on_disk(&mut self, is_full: bool) -> Option<u64> {
        self.disk_at = Instant::now() + self.dice.duration(DISK.start, DISK.end);
        // often nothing at all
        let left = if self.dice.once_in(2) { 0 } else { self.dice.below(MAX_LEFT) };
        (!is_full).then_some(left)
    }

    pub fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }
}
