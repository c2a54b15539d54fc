//! A slot never shows an answer to another question than its own.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use api::ask::Call;
use api::views::{Basis, Options, Services};

use super::*;

fn at(mono_ms: u64) -> Now {
    Now { mono_ms, unix_ns: 0 }
}

fn services(from: &str) -> Request {
    Request::view(&Services { from: Some(from.into()), ..Services::default() }, &Options::default())
}

fn told(text: &str) -> Outcome {
    Ok(Told::new(text.to_owned(), Basis::default(), text.len()))
}

#[test]
fn an_old_ticket_is_not_taken() {
    let (mut slot, mut out) = (Slot::default(), Outbox::default());
    slot.ask(services("a"), at(0), &mut out);
    let first = slot.ticket().unwrap();
    slot.ask(services("b"), at(1), &mut out);
    let second = slot.ticket().unwrap();
    assert!(out.take().contains(&Effect::Cancel(first)));
    assert!(!slot.answer(first, &told("old"), at(2)));
    assert!(slot.answer(second, &told("new"), at(3)));
    assert!(!slot.answer(second, &told("twice"), at(4)));
    assert_eq!(slot.get::<String>().map(String::as_str), Some("new"));
    assert!(matches!(slot.state(at(5)), State::Ready));
    assert_eq!(slot.took_ms(), Some(2));
}

#[test]
fn data_stays_while_the_next_is_asked_and_when_that_fails() {
    let (mut slot, mut out) = (Slot::default(), Outbox::default());
    slot.ask(services("a"), at(0), &mut out);
    let ticket = slot.ticket().unwrap();
    slot.answer(ticket, &told("data"), at(1));
    slot.ask(services("b"), at(10), &mut out);
    assert!(matches!(slot.state(at(400)), State::Loading { for_ms: 390 }));
    assert!(slot.get::<String>().is_some() && !slot.is_current());
    let ticket = slot.ticket().unwrap();
    slot.answer(ticket, &Err(ClientError::Garbled("no".into())), at(500));
    assert!(matches!(slot.state(at(501)), State::Failed(_)));
    assert!(slot.get::<String>().is_some());
}

#[test]
fn the_same_question_is_asked_once() {
    let (mut slot, mut out) = (Slot::default(), Outbox::default());
    slot.want(services("a"), at(0), &mut out);
    slot.want(services("a"), at(1), &mut out);
    assert_eq!(out.take().len(), 1);
    slot.want_after(services("b"), 150, at(10));
    slot.want_after(services("c"), 150, at(20));
    assert_eq!(slot.wake_at_ms(at(20)), Some(170));
    slot.tick(at(169), &mut out);
    assert!(out.take().is_empty());
    slot.tick(at(170), &mut out);
    let asked = out.take();
    let paths: Vec<&Call> = asked
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask { request, .. } => Some(&request.call),
            _ => None,
        })
        .collect();
    assert_eq!(paths, [&services("c").call]);
}

#[test]
fn a_deadline_ends_the_wait() {
    let (mut slot, mut out) = (Slot::default(), Outbox::default());
    slot.ask(services("a"), at(0), &mut out);
    slot.tick(at(DEADLINE_S * 1_000), &mut out);
    assert!(matches!(slot.state(at(0)), State::Failed(_)));
    assert!(matches!(out.take().last(), Some(Effect::Cancel(_))));
}
