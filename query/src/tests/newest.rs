//! The first N rows by a column read the files that hold them, and are the right ones.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::explain::metric;
use super::fixture::{Attributes, Row, Settings, World};

// A filter hands rows on when it has a batch of them.
const ONE: Settings = Settings { pushdown: true, partitions: 1, batch_rows: 16 };

fn rows(numbers: &[i64]) -> Vec<Row> {
    let row = |number: &i64| Row {
        number: *number,
        service: format!("service-{}", number % 3),
        attributes: Attributes::new(),
    };
    numbers.iter().map(row).collect()
}

fn world(files: &[Vec<i64>], live: &[i64]) -> World {
    let mut world = World::new();
    files.iter().for_each(|numbers| world.file(&rows(numbers), &BTreeSet::new(), 50, 50));
    world.describe(files);
    if !live.is_empty() {
        world.live(&rows(live), &BTreeSet::new());
    }
    world
}

/// Eight files of a hundred rows each, one behind the other.
fn in_order() -> Vec<Vec<i64>> {
    (0..8).map(|file| (file * 100..(file + 1) * 100).collect()).collect()
}

async fn check(world: &World, order: &str, skipped: usize, expected: &[&str]) {
    let sql = format!("SELECT duration_ns FROM spans {order}");
    let (plan, _) = world.run(&sql, ONE).await;
    assert_eq!(metric(&plan, "files_ranges_pruned_statistics"), skipped, "{order}");
    assert_eq!(world.rows(&sql, ONE).await, expected, "{order}");
}

#[tokio::test]
async fn files_that_hold_none_of_the_first_rows_are_left_out() {
    let world = world(&in_order(), &[]);
    check(&world, "ORDER BY start_time DESC LIMIT 3", 7, &["797", "798", "799"]).await;
    check(&world, "ORDER BY start_time LIMIT 3", 7, &["0", "1", "2"]).await;
    check(&world, "ORDER BY duration_ns DESC, start_time LIMIT 2", 7, &["798", "799"]).await;
    check(&world, "WHERE duration_ns < 250 ORDER BY start_time DESC LIMIT 2", 2, &["248", "249"])
        .await;
    // Two files are needed; without a limit, all.
    check(&world, "ORDER BY start_time DESC LIMIT 1 OFFSET 150", 6, &["649"]).await;
    let all = world.rows("SELECT duration_ns FROM spans ORDER BY start_time", ONE).await;
    assert_eq!(all.len(), 800);
}

#[tokio::test]
async fn newer_live_rows_leave_out_every_file() {
    let world = world(&in_order(), &[900, 901, 902]);
    check(&world, "ORDER BY start_time DESC LIMIT 2", 8, &["901", "902"]).await;
    check(&world, "ORDER BY start_time LIMIT 2", 7, &["0", "1"]).await;
}

#[tokio::test]
async fn overlapping_files_give_the_right_rows() {
    let seed: u64 = rand::rng().random();
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..20 {
        // Equal numbers in a file and in several, files of a single number, empty intervals.
        let range = rng.random_range(1..200);
        let numbers = |rng: &mut StdRng| -> Vec<i64> {
            let (low, width) = (rng.random_range(0..range), rng.random_range(1..60));
            (0..rng.random_range(1..80)).map(|_| low + rng.random_range(0..width)).collect()
        };
        let files: Vec<Vec<i64>> = (0..rng.random_range(1..9)).map(|_| numbers(&mut rng)).collect();
        let live = if rng.random() { numbers(&mut rng) } else { Vec::new() };
        let world = world(&files, &live);
        let mut all: Vec<i64> = files.iter().flatten().chain(&live).copied().collect();
        let limit = rng.random_range(1..40);
        for (direction, column) in [("ASC", "start_time"), ("DESC", "duration_ns")] {
            all.sort_unstable();
            if direction == "DESC" {
                all.reverse();
            }
            let mut expected: Vec<String> =
                all.iter().take(limit).map(ToString::to_string).collect();
            expected.sort();
            let sql = format!(
                "SELECT duration_ns FROM spans ORDER BY {column} {direction} LIMIT {limit}"
            );
            for partitions in [1, 3] {
                let found = world.rows(&sql, Settings { partitions, ..ONE }).await;
                assert_eq!(found, expected, "{sql}, {partitions} partitions, seed {seed}");
            }
        }
    }
}
