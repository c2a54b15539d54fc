//! Stories of calls as text: what a breaker does at each step.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use super::{Breaker, BreakerPolicy, Permit};

/// Plays a story and returns the state after each step. Steps, with an optional repetition:
/// `ok`, `err` (a whole call), `begin` (a call that stays open), `end+`, `end-`, `drop` (the oldest
/// open call ends well, badly, or is abandoned), `+5s` (time passes).
fn play(story: &str) -> String {
    let mut now = Instant::now();
    let mut breaker = Breaker::new(BreakerPolicy::default(), now);
    let mut open: Vec<Permit> = Vec::new();
    let mut said = Vec::new();
    for step in story.split_whitespace() {
        let (what, times) = step.split_once('*').unwrap_or((step, "1"));
        let mut refused = false;
        for _ in 0..times.parse::<u32>().unwrap() {
            refused |= play_one(&mut breaker, &mut open, &mut now, what);
        }
        let state = breaker.state().name();
        said.push(if refused { format!("{state}(refused)") } else { state.to_owned() });
    }
    said.join(" ")
}

fn play_one(breaker: &mut Breaker, open: &mut Vec<Permit>, now: &mut Instant, what: &str) -> bool {
    match what {
        "ok" | "err" => match breaker.admit(*now) {
            Ok(admission) => drop(breaker.record(admission.permit, what == "ok", *now)),
            Err(_) => return true,
        },
        "begin" => match breaker.admit(*now) {
            Ok(admission) => open.push(admission.permit),
            Err(_) => return true,
        },
        "end+" | "end-" => drop(breaker.record(open.remove(0), what == "end+", *now)),
        "drop" => breaker.abandon(open.remove(0)),
        time => {
            let ms = time.trim_start_matches('+').trim_end_matches("ms").parse().unwrap();
            *now += Duration::from_millis(ms);
        }
    }
    false
}

fn check(story: &str, expected: &str) {
    assert_eq!(play(story), expected, "{story}");
}

#[test]
fn unit_opens_at_half_the_calls_of_twenty() {
    check("err*19 err", "closed open");
    check("ok*10 err*9 err", "closed closed open");
    check("ok*11 err*10 err", "closed closed open");
    check("ok*20 err*19 ok err*2", "closed closed closed open");
}

#[test]
fn unit_forgets_what_is_older_than_ten_seconds() {
    check("err*19 +9000ms err", "closed closed open");
    check("err*19 +10000ms err err*18 err", "closed closed closed closed open");
}

#[test]
fn unit_one_call_tries_after_five_seconds() {
    check(
        "err*20 ok +4999ms ok +1ms begin begin",
        "open open(refused) open open(refused) open half_open half_open(refused)",
    );
    check("err*20 +5000ms begin end+ ok", "open open half_open closed closed");
    check(
        "err*20 +5000ms begin end- ok +5000ms ok",
        "open open half_open open open(refused) open closed",
    );
}

#[test]
fn unit_starts_afresh_when_it_closes() {
    check("err*20 +5000ms ok err*19 err", "open open closed closed open");
}

#[test]
fn unit_an_abandoned_probe_lets_another_try() {
    check("err*20 +5000ms begin drop begin end+", "open open half_open half_open half_open closed");
}

#[test]
fn unit_results_from_before_a_change_do_not_count() {
    check("begin err*20 +5000ms begin end+", "closed open open half_open half_open");
    check("begin err*20 +5000ms ok end-", "closed open open closed closed");
}
