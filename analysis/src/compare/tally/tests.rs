//! What is kept depends on what was counted, not on the order.
#![allow(clippy::unwrap_used)] // a failing test may panic

use super::*;
use crate::random::SplitMix64;

const LIMITS: Limits = Limits { attributes_max: 8, values_max: 64 };

fn tally(values: &[Value<'_>]) -> Tally {
    let mut tally = Tally::new(&LIMITS);
    for (row, value) in values.iter().enumerate() {
        tally.add(*value, if row % 3 == 0 { Set::Selected } else { Set::Baseline });
    }
    tally
}

#[test]
fn values_of_every_type_are_counted() {
    let mut tally = Tally::new(&LIMITS);
    for value in [Value::Text("a"), Value::Bool(true), Value::Text("true"), Value::Text("a")] {
        tally.add(value, Set::Baseline);
    }
    for value in [Value::Int(1), Value::Float(1.0), Value::Float(-0.0), Value::Int(0)] {
        tally.add(value, Set::Selected);
    }
    tally.add(Value::Float(1.5), Set::Selected);
    tally.add(Value::Float(f64::NAN), Set::Selected);
    assert_eq!((tally.text_rows, tally.number_rows), ([0, 4], [6, 0]));
    let numbers: Vec<_> = tally.numbers.sorted().iter().map(|(n, c)| (n.text(), c[0])).collect();
    let expected = [("0", 2), ("1", 2), ("1.5", 1), ("NaN", 1)].map(|(n, c)| (n.to_string(), c));
    assert_eq!(numbers, expected);
    let texts: Vec<_> = tally.texts.into_sorted().into_iter().collect();
    assert_eq!(texts, [("a".into(), [0, 2]), ("true".into(), [0, 2])]);
}

#[test]
fn too_many_texts_keep_exact_counts_for_some_in_any_order() {
    let names: Vec<String> = (0..1_000).map(|i| format!("name {}", i % 500)).collect();
    let mut rows: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut kept = |seed| {
        SplitMix64::new(seed).shuffle(&mut rows);
        let mut tally = Tally::new(&LIMITS);
        rows.iter().for_each(|name| tally.add(Value::Text(name), Set::Selected));
        let distinct = tally.texts.distinct();
        assert!((350.0..650.0).contains(&distinct), "{distinct} of 500");
        tally.texts.into_sorted()
    };
    let first = kept(1);
    assert_eq!(first.len(), 64);
    assert!(first.values().all(|counts| *counts == [2, 0]));
    assert_eq!(kept(2), first);
}

#[test]
fn too_many_numbers_lose_bits_in_any_order() {
    let mut random = SplitMix64::new(5);
    let mut values: Vec<Value<'_>> =
        (0..5_000).map(|_| Value::Int(1_000 + random.below(1_000_000) as i64)).collect();
    let first = tally(&values);
    values.sort_unstable_by_key(|value| if let Value::Int(n) = value { -n } else { 0 });
    let mut backwards = Tally::new(&LIMITS);
    values.iter().for_each(|value| backwards.add(*value, Set::Selected));
    let numbers = |tally: &Tally| {
        let sorted = tally.numbers.sorted();
        sorted.iter().map(|(n, c)| (n.as_f64(), c[0] + c[1])).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&first), numbers(&backwards));
    assert!(numbers(&first).len() <= 64);
    assert_eq!(numbers(&first).iter().map(|(_, count)| count).sum::<u64>(), 5_000);
    let distinct = first.numbers.distinct();
    assert!((4_500.0..5_500.0).contains(&distinct), "{distinct} of about 4,990");
}

#[test]
fn long_texts_are_cut_between_characters() {
    let long = "ä".repeat(600);
    let mut tally = Tally::new(&LIMITS);
    tally.add(Value::Text(&long), Set::Selected);
    tally.add(Value::Text(&format!("{long}?")), Set::Selected);
    let kept: Vec<_> = tally.texts.into_sorted().into_iter().collect();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].0.len(), kept[0].1), (1_024, [2, 0]));
}
