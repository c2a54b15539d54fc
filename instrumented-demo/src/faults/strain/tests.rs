//! Beats of a rhythm, and leaks.

use std::time::{Duration, Instant};

use super::{Beat, Fate, Leaking, Rhythm, burn};
use crate::faults::{Leak, Pause, Settings};

fn beats(settings: &Settings, count: usize) -> Vec<Beat> {
    let mut rhythm = Rhythm::default();
    rhythm.next(&Settings::default());
    (0..count).map(|_| rhythm.next(settings)).collect()
}

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn unit_rests_when_nothing_is_wrong() {
    assert_eq!(beats(&Settings::default(), 3), [Beat::Rest(MS(200)); 3]);
}

#[test]
fn unit_spins_its_share_of_each_slice() {
    for (percent, busy_ms) in [(70, 140), (100, 200), (255, 200), (0, 0)] {
        let settings = Settings { cpu_spin_percent: Some(percent), ..Settings::default() };
        assert_eq!(beats(&settings, 2), [Beat::Spin(MS(busy_ms)); 2]);
    }
}

#[test]
fn unit_pauses_at_once_and_then_every_so_often() {
    let pause = Some(Pause { pause_ms: 800, every_ms: 5_000 });
    let seen = beats(&Settings { pause, ..Settings::default() }, 45);
    let stops: Vec<usize> = (0..45).filter(|n| seen[*n] == Beat::Stop(MS(800))).collect();
    // 4.2 s of slices lie between the end of one pause and the next.
    assert_eq!(stops, [0, 22, 44]);
}

#[test]
fn unit_spins_between_pauses() {
    let pause = Some(Pause { pause_ms: 800, every_ms: 1_000 });
    let settings = Settings { pause, cpu_spin_percent: Some(50), ..Settings::default() };
    let (stop, spin) = (Beat::Stop(MS(800)), Beat::Spin(MS(100)));
    assert_eq!(beats(&settings, 4), [stop, spin, stop, spin]);
}

#[test]
fn unit_burning_takes_its_time() {
    let start = Instant::now();
    burn(MS(3));
    assert!(start.elapsed() >= MS(3));
}

#[test]
fn unit_leaks_until_the_limit_and_gives_back_when_cured() {
    let leak = Some(Leak { bytes_per_message: 100, limit_bytes: 300 });
    let mut leaking = Leaking::default();
    let fates: Vec<Fate> = (0..3).map(|_| leaking.message(leak)).collect();
    assert_eq!(fates, [Fate::Lives, Fate::Lives, Fate::Dies]);
    assert_eq!(leaking.bytes(), 300);
    assert_eq!(leaking.message(None), Fate::Lives);
    assert_eq!(leaking.bytes(), 0);
}
