//! Full, waiting, refused, cancelled, resized.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{Bulkhead, BulkheadFull, Slot};

type Entering = Pin<Box<dyn Future<Output = Result<Slot, BulkheadFull>>>>;

/// Calls that have asked to enter, each polled once.
struct Crowd {
    bulkhead: Bulkhead,
    waiting: Vec<Entering>,
    inside: Vec<Slot>,
    refused: usize,
}

impl Crowd {
    fn new(size: usize) -> Crowd {
        Crowd { bulkhead: Bulkhead::new(size), waiting: Vec::new(), inside: Vec::new(), refused: 0 }
    }

    fn arrive(&mut self, calls: usize) {
        for _ in 0..calls {
            let bulkhead = self.bulkhead.clone();
            self.waiting.push(Box::pin(async move { bulkhead.enter().await }));
            self.poll();
        }
    }

    fn poll(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        for mut call in std::mem::take(&mut self.waiting) {
            match call.as_mut().poll(&mut context) {
                Poll::Ready(Ok(slot)) => self.inside.push(slot),
                Poll::Ready(Err(_)) => self.refused += 1,
                Poll::Pending => self.waiting.push(call),
            }
        }
    }

    fn check(&mut self, in_use: usize, pending: usize, refused: usize) {
        self.poll();
        let occupancy = self.bulkhead.occupancy();
        let seen = (occupancy.in_use, occupancy.pending, self.refused);
        assert_eq!(seen, (in_use, pending, refused), "in use, pending, refused");
        assert_eq!(self.inside.len(), in_use);
    }
}

#[test]
fn unit_runs_size_queues_twice_that_and_refuses_the_rest() {
    let mut crowd = Crowd::new(3);
    crowd.arrive(3);
    crowd.check(3, 0, 0);
    crowd.arrive(6);
    crowd.check(3, 6, 0);
    crowd.arrive(2);
    crowd.check(3, 6, 2);
    crowd.inside.pop();
    crowd.check(3, 5, 2);
}

#[test]
fn unit_a_caller_that_gives_up_frees_its_place_in_the_queue() {
    let mut crowd = Crowd::new(1);
    crowd.arrive(3);
    crowd.check(1, 2, 0);
    drop(crowd.waiting.remove(0));
    crowd.check(1, 1, 0);
    crowd.arrive(1);
    crowd.check(1, 2, 0);
}

#[test]
fn unit_a_slot_given_to_a_caller_that_has_just_gone_comes_back() {
    let mut crowd = Crowd::new(1);
    crowd.arrive(3);
    crowd.inside.clear();
    // The first waiting call holds its slot in the channel and is dropped before it looks.
    drop(crowd.waiting.remove(0));
    crowd.check(1, 0, 0);
    crowd.inside.clear();
    crowd.check(0, 0, 0);
}

#[test]
fn unit_shrinks_as_calls_end_and_grows_at_once() {
    let mut crowd = Crowd::new(4);
    crowd.arrive(8);
    crowd.bulkhead.resize(1);
    crowd.check(4, 4, 0);
    crowd.inside.truncate(1);
    crowd.check(1, 4, 0);
    crowd.arrive(1);
    crowd.check(1, 4, 1);
    crowd.bulkhead.resize(3);
    crowd.check(3, 2, 1);
    crowd.bulkhead.resize(0);
    crowd.inside.clear();
    crowd.check(1, 1, 1);
}
