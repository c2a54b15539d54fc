//! The byte budget: who gets in, who may grow, who waits.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::time::Duration;

use super::{Budget, NoRoom};

const WAIT: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn newcomers_leave_a_quarter_free() {
    let budget = Budget::new(1000, WAIT);
    let mut first = budget.admit(750, WAIT).await.unwrap();
    assert_eq!(budget.admit(1, WAIT).await.unwrap_err(), NoRoom);
    first.grow(250).await.unwrap();
    assert_eq!(budget.in_flight_bytes(), 1000);
    assert_eq!(first.try_grow(1), Err(NoRoom));
    assert_eq!(first.grow(1).await, Err(NoRoom));
    // What was taken last, from the reserve, goes back first: still no room for newcomers.
    first.shrink(250);
    assert_eq!(first.bytes(), 750);
    assert_eq!(budget.admit(1, WAIT).await.unwrap_err(), NoRoom);
    first.shrink(1);
    budget.admit(1, WAIT).await.unwrap();
    drop(first);
    assert_eq!(budget.in_flight_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_what_comes_free() {
    let budget = Budget::new(1000, WAIT);
    let first = budget.admit(700, WAIT).await.unwrap();
    let (second, ()) = tokio::join!(budget.admit(600, WAIT), async {
        tokio::time::advance(Duration::from_millis(900)).await;
        drop(first);
    });
    assert_eq!(second.unwrap().bytes(), 600);
}

#[tokio::test(start_paused = true)]
async fn growing_waits_for_open_room_or_the_reserve() {
    for from_reserve in [true, false] {
        let budget = Budget::new(1000, WAIT);
        let mut grower = budget.admit(100, WAIT).await.unwrap();
        let mut open = budget.admit(650, WAIT).await.unwrap();
        let mut holder = budget.admit(0, WAIT).await.unwrap();
        holder.grow(250).await.unwrap();
        let (grown, ()) = tokio::join!(grower.grow(50), async {
            if from_reserve { holder.shrink(50) } else { open.shrink(50) }
        });
        assert_eq!(grown, Ok(()));
        assert_eq!((grower.bytes(), budget.in_flight_bytes()), (150, 1000));
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_waits_no_longer_than_it_said() {
    let budget = Budget::new(1000, WAIT);
    let _first = budget.admit(750, WAIT).await.unwrap();
    let start = tokio::time::Instant::now();
    budget.admit(1, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_millis(100));
}
