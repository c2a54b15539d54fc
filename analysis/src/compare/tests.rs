//! The example of analytics 14, planted causes, chance, and that order means nothing.
#![allow(clippy::unwrap_used)] // a failing test may panic

use super::*;
use crate::random::SplitMix64;

/// A row: its set and its attributes.
type Row = (Set, Vec<(&'static str, Value<'static>)>);

fn compare(rows: &[Row]) -> Compared {
    compare_within(rows, Limits::default(), &[])
}

fn compare_within(rows: &[Row], limits: Limits, excluded: &[&str]) -> Compared {
    let mut comparison = Comparison::new(limits);
    for (set, attributes) in rows {
        comparison.row(*set);
        for (attribute, value) in attributes {
            comparison.add(attribute, *value, *set);
        }
    }
    comparison.finish(excluded)
}

/// Rows of one attribute from `value selected baseline`; `∅` lacks it.
fn counted(attribute: &'static str, counts: &[(&'static str, usize, usize)]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (value, selected, baseline) in counts {
        let row = |set| match *value {
            "∅" => (set, vec![]),
            value => (set, vec![(attribute, Value::Text(value))]),
        };
        rows.extend(std::iter::repeat_with(|| row(Set::Selected)).take(*selected));
        rows.extend(std::iter::repeat_with(|| row(Set::Baseline)).take(*baseline));
    }
    rows
}

/// The values as `name selected/baseline`, the largest difference first, after the score.
fn check(attribute: &'static str, counts: &[(&'static str, usize, usize)], expected: &str) {
    let found = compare(&counted(attribute, counts));
    let of = &found.attributes[0];
    let mut text = format!("{:.4}:", of.score);
    for v in &of.values {
        text += &format!(" {} {}/{}", v.value, v.selected_rows, v.baseline_rows);
    }
    assert_eq!(text, expected);
}

fn close(found: f64, expected: f64, error: f64) {
    assert!((found - expected).abs() <= error, "{found} is not {expected} ± {error}");
}

#[test]
fn the_example_of_the_page() {
    let mut rows = counted("service.version", &[("1.4.1", 36, 84), ("1.4.0", 4, 276)]);
    for (set, counts) in [(Set::Selected, [13, 14, 13]), (Set::Baseline, [120, 121, 119])] {
        let regions = ["eu", "us", "asia"].into_iter().zip(counts);
        let mut regions = regions.flat_map(|(region, n)| std::iter::repeat_n(region, n));
        for row in rows.iter_mut().filter(|row| row.0 == set) {
            row.1.push(("region", Value::Text(regions.next().unwrap())));
        }
    }
    let found = compare(&rows);
    let [version, region] = &found.attributes[..] else { panic!("{found:?}") };
    assert_eq!(version.attribute, "service.version");
    close(version.divergence_bits, 0.3608, 5e-5);
    close(version.chance_bits, 0.0050, 5e-5);
    close(version.score, 0.3557, 1e-4);
    let value = version.values.iter().find(|v| v.value.to_string() == "1.4.1").unwrap();
    close(value.lift, 3.86, 0.005);
    close(value.z, 8.73, 0.005);
    assert!(value.is_significant());
    assert_eq!(region.attribute, "region");
    close(region.divergence_bits, 0.0002, 5e-5);
    close(region.chance_bits, 0.0100, 5e-5);
    assert_eq!(region.score, 0.0);
    assert!(region.values.iter().all(|v| v.q_value > 0.8), "{region:?}");
}

#[test]
fn rare_values_are_pooled_and_absence_is_a_value() {
    check("a", &[("x", 50, 50), ("y", 4, 4), ("z", 4, 0)], "0.0014: other 8/4 x 50/50");
    check("a", &[("x", 30, 10), ("∅", 10, 30)], "0.1348: x 30/10 ∅ 10/30");
    check("a", &[("x", 5, 4), ("y", 35, 36)], "0.0000: x 5/4 y 35/36");
    check("other", &[("other", 40, 40), ("q", 0, 4)], "0.0384: other 40/40 other 0/4");
}

#[test]
fn coverage_keeps_a_rare_attribute_behind_a_common_one() {
    let mut rows = counted("common", &[("x", 90, 50), ("y", 10, 50)]);
    for (n, row) in rows.iter_mut().filter(|row| row.0 == Set::Selected).enumerate() {
        if n < 20 {
            row.1.push(("rare", Value::Bool(true)));
        }
    }
    let found = compare(&rows);
    assert_eq!(found.attributes[0].attribute, "common");
    close(found.attributes[1].coverage, 0.2, 1e-12);
    assert_eq!(found.attributes[1].values[0].lift, f64::INFINITY);
}

#[test]
fn ids_and_excluded_attributes_are_left_out() {
    let rows: Vec<Row> = (0..400)
        .map(|i| {
            let set = if i < 40 { Set::Selected } else { Set::Baseline };
            let attributes = vec![
                ("order.id", Value::Int(i)),
                ("load", Value::Float(i as f64 + 0.5)),
                ("duration", Value::Int(i % 2)),
            ];
            (set, attributes)
        })
        .collect();
    let found = compare_within(&rows, Limits::default(), &["duration"]);
    let names: Vec<&str> = found.attributes.iter().map(|a| a.attribute.as_str()).collect();
    assert_eq!(names, ["load"]);
    let left: Vec<_> = found.left_out.iter().map(|l| (l.attribute.as_str(), l.reason)).collect();
    assert_eq!(left, [("duration", Reason::Excluded), ("order.id", Reason::Id)]);
}

#[test]
fn numbers_are_compared_by_their_distribution() {
    let rows: Vec<Row> = (0..1_000)
        .map(|i| {
            let set = if i % 10 == 0 { Set::Selected } else { Set::Baseline };
            // The selection's sizes are 100 above.
            let size = i % 100 + if set == Set::Selected { 100 } else { 0 };
            (set, vec![("size", Value::Int(size)), ("even", Value::Int(i / 10 % 50))])
        })
        .collect();
    let found = compare(&rows);
    let [size, even] = &found.attributes[..] else { panic!("{found:?}") };
    let numeric = size.numeric.unwrap();
    assert_eq!(numeric.kolmogorov_smirnov, Some(1.0));
    assert_eq!(numeric.selected, Some(Quantiles { p50: 140.0, p90: 180.0 }));
    assert_eq!(numeric.baseline, Some(Quantiles { p50: 49.0, p90: 89.0 }));
    close(size.divergence_bits, 1.0, 1e-12);
    close(size.chance_bits, 9.0 / (8.0 * std::f64::consts::LN_2) * (0.01 + 1.0 / 900.0), 1e-12);
    assert_eq!(even.score, 0.0);
    assert_eq!(even.numeric.unwrap().kolmogorov_smirnov, Some(0.0));
}

#[test]
fn an_empty_set_has_no_differences() {
    let found = compare(&counted("a", &[("x", 0, 10)]));
    assert_eq!((found.selected_rows, found.baseline_rows), (0, 10));
    assert!(found.attributes.is_empty());
    assert_eq!(compare(&[]), Compared::default());
}

/// Rows as a shop sends them: versions, routes, regions, customers, sizes, and rare values.
fn shop_rows(seed: u64, is_selected: impl Fn(&str, &str, &mut SplitMix64) -> bool) -> Vec<Row> {
    const VERSIONS: [&str; 3] = ["1.4.0", "1.4.1", "1.3.9"];
    const ROUTES: [&str; 4] = ["/orders", "/users", "/items", "/health"];
    const REGIONS: [&str; 3] = ["eu", "us", "asia"];
    let mut random = SplitMix64::new(seed);
    let rows = (0..800).map(|_| {
        let version = VERSIONS[random.below(3)];
        let route = ROUTES[random.below(4)];
        let set =
            if is_selected(version, route, &mut random) { Set::Selected } else { Set::Baseline };
        let mut attributes = vec![
            ("service.version", Value::Text(version)),
            ("http.route", Value::Text(route)),
            ("region", Value::Text(REGIONS[random.below(3)])),
            ("customer", Value::Int((random.below(40) * random.below(40)) as i64)),
            ("size", Value::Float(random.below(1_000_000) as f64 / 7.0)),
            ("attempt", Value::Int(i64::from(random.below(100) == 0))),
        ];
        if random.below(50) == 0 {
            attributes.push(("flag", Value::Bool(random.below(2) == 0)));
        }
        (set, attributes)
    });
    rows.collect()
}

#[test]
fn a_random_split_finds_nothing() {
    let quiet = (0..200).filter(|&seed| {
        let rows = shop_rows(seed, |_, _, random| random.below(10) == 0);
        let found = compare(&rows);
        found.attributes.iter().flat_map(|a| &a.values).all(|v| !v.is_significant())
    });
    let quiet = quiet.count();
    assert!(quiet >= 190, "{quiet} of 200 seeds");
}

#[test]
fn a_planted_pair_comes_first() {
    for seed in 0..20 {
        let rows = shop_rows(seed, |version, route, random| {
            let is_slow = version == "1.4.1" && route == "/orders";
            random.below(100) < if is_slow { 80 } else { 2 }
        });
        let found = compare(&rows);
        let mut first: Vec<(&str, String)> = found.attributes[..2]
            .iter()
            .map(|a| {
                let most = a.values.iter().max_by(|x, y| x.lift.total_cmp(&y.lift)).unwrap();
                assert!(most.is_significant());
                (a.attribute.as_str(), most.value.to_string())
            })
            .collect();
        first.sort_unstable();
        let expected = [("http.route", "/orders".into()), ("service.version", "1.4.1".into())];
        assert_eq!(first, expected, "seed {seed}");
    }
}

#[test]
fn the_order_of_rows_means_nothing() {
    let small = Limits { attributes_max: 4, values_max: 16 };
    for seed in 0..5 {
        let mut rows = shop_rows(seed, |version, _, random| {
            random.below(10) < if version == "1.4.1" { 3 } else { 1 }
        });
        let (first, first_small) = (compare(&rows), compare_within(&rows, small, &[]));
        SplitMix64::new(seed).shuffle(&mut rows);
        assert_eq!(compare(&rows), first, "seed {seed}");
        assert_eq!(compare_within(&rows, small, &[]), first_small, "seed {seed}");
        assert!(first_small.attributes_dropped > 0);
        assert!(first.attributes_dropped == 0);
    }
}
