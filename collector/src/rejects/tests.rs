//! The partial-success text.

use super::{Reason, Rejects};

#[test]
fn the_message_counts_each_reason_and_says_what_to_do() {
    let mut rejects = Rejects::default();
    assert_eq!(rejects.message(), "");
    rejects
        .add(Reason::NoTime, 2, || "metric \"m\": a data point has no time_unix_nano".to_owned());
    rejects.add(Reason::NoTime, 1, || unreachable!("only the first sentence is made"));
    rejects.add(Reason::JsonType, 0, || unreachable!("nothing is counted"));
    assert_eq!(rejects.total(), 3);
    assert_eq!(
        rejects.message(),
        "3 rejected as no_time, first: metric \"m\": a data point has no time_unix_nano; set \
         time_unix_nano of each data point"
    );
}

#[test]
fn the_message_stays_below_two_kilobytes() {
    let mut rejects = Rejects::default();
    for reason in Reason::ALL {
        rejects.add(reason, u32::MAX, || "é".repeat(10_000));
        rejects.add(reason, 1, String::new);
    }
    assert!(rejects.message().len() <= 2_000);
    assert_eq!(rejects.counts().count(), Reason::COUNT);
}
