//! Section 11 of the definitions: the edges of the dependency map.

use super::picture::{run, run_with};
use crate::Options;

#[track_caller]
fn check(picture: &str, expected: &[&str]) {
    assert_eq!(run(picture).edges().lines().collect::<Vec<_>>(), expected, "{picture}");
}

#[test]
fn calls() {
    let call = "a→b Call client 9 server 6 gap 3";
    check("c - L a 0-9\nv c V b 1-7", &[call]);
    check("c - L a 0-9 inst=1\nv c V b 1-7 inst=2", &[call]);
    check("c - L a 0-9 inst=1\nv c V b 1-7 inst=1", &[call]);
    // Within one service: only between instances.
    check("c - L a 0-9 inst=1\nv c V a 1-7 inst=1", &[]);
    check("c - L a 0-9 inst=1\nv c V a 1-7 inst=2", &["a→a Call client 9 server 6 gap 3"]);
    check("c - L a 0-9\nv c V a 1-7", &["a→a Call client 9 server 6 gap 3"]);
    // Answered, though late: without a gap.
    check("c - L a 0-9\nv c V b 12-15", &["a→b Call client 9 server 3"]);
    // An instrumented database.
    check("c - L a 0-9 db=pg\nv c V b 1-7", &[call]);
    // Hedged: one edge, to the first.
    check("c - L a 0-9\nv c V b 1-7\nw c V b 2-5", &["a→b Call client 9 server 6 gap 3"]);
    check(
        "c - L a 0-9 err\nv c V b 1-7 err",
        &["a→b Call client 9 server 6 gap 3 client-error server-error"],
    );
    check("c - L a 0-9 err\nv c V b 1-7", &["a→b Call client 9 server 6 gap 3 client-error"]);
}

#[test]
fn servers_without_a_client() {
    check("v - V a 0-9", &["user→a Entry server 9"]);
    check("v gone V a 0-9", &["unknown→a Entry server 9"]);
    check("i - I a 0-9\nv i V b 1-5", &["a→b Call server 4 inferred"]);
    check("i - I a 0-9\nv i V a 1-5", &[]);
    check("p - P a 0-9\nv p V b 1-5", &["a→topic Send client 9", "a→b Call server 4 inferred"]);
    check("v - V a 0-9 err", &["user→a Entry server 9 server-error"]);
    check("i - I a 0-9", &[]);
}

#[test]
fn callees_without_spans() {
    check("c - L a 0-9 db=pg ns=x addr=h:5", &["a→pg:x@h:5 Db client 9"]);
    check("c - L a 0-9 peer=maps", &["a→maps External client 9"]);
    check("c - L a 0-9 err", &["a→external External client 9 client-error"]);
    // A known service whose half did not arrive.
    let ran = run_with("c - L a 0-9 addr=pay:80", Options::default(), |kernel| {
        let [pay, payment] = ["pay", "payment"].map(|word| kernel.symbols_mut().intern(word));
        let mut window = kernel.window().clone();
        window.set_service_at(pay, 80, payment);
        kernel.set_window(window);
    });
    assert_eq!(ran.edges(), "a→payment Call client 9 lost");
}

#[test]
fn nested_clients() {
    check("w - L a 0-90\n1 w L a 0-30 addr=h", &["a→h External client 30"]);
    check("w - L a 0-90 db=pg\n1 w L a 0-30 addr=h", &["a→pg Db client 90"]);
    check(
        "w - P a 0-90 msg=bus dest=d\n1 w L a 0-30\n2 w L a 40-80\ns 2 V b 45-75",
        &["a→bus:d Send client 90", "a→b Call client 40 server 30 gap 10"],
    );
}

const SENT: &str = "a→bus:d Send client 4";

#[test]
fn messages() {
    let q = "q - P a 0-4 msg=bus dest=d";
    let got = "bus:d→b Receive server 3 gap 6";
    check(&format!("{q}\nk q C b 10-13 msg=bus dest=d"), &[SENT, got]);
    check(&format!("{q}\nk - C b 10-13 msg=bus dest=d link=q"), &[SENT, got]);
    check(&format!("{q}\nk q C b 10-13 msg=bus dest=d link=q"), &[SENT, got]);
    // The topic of the producer, where the consumer names none.
    check(&format!("{q}\nk q C b 10-13"), &[SENT, got]);
    // Taken before it was sent: no lag, and counted.
    let early = format!("{q}\nk q C b 1-4 msg=bus dest=d");
    check(&early, &[SENT, "bus:d→b Receive server 3 gap 0"]);
    assert_eq!(run(&early).trace.gaps_floored, 1);
    // Sent by another trace, or by nobody who told.
    check("k - C b 0-3 msg=bus dest=d link=q@7", &["bus:d→b Receive server 3"]);
    check("k - C b 0-3 msg=bus dest=d link=q", &["bus:d→b Receive server 3"]);
    check("k - C b 0-3 msg=bus dest=d", &["bus:d→b Receive server 3"]);
    check("k gone C b 0-3 msg=bus dest=d", &["bus:d→b Receive server 3"]);
    check("k - C b 0-3 msg=bus dest=d op=settle", &[]);
}

#[test]
fn batches() {
    let two = "p - P a 0-3 msg=bus dest=d\nq - P a 0-4 msg=bus dest=d";
    let sent = ["a→bus:d Send client 3", SENT];
    let of = |got: &'static str| [sent[0], sent[1], got];
    for (consumer, got) in [
        ("k - C b 9-13 msg=bus link=p link=q", "bus:d→b Receive server 4 gap 5 calls 2"),
        ("k p C b 9-13 msg=bus link=q", "bus:d→b Receive server 4 gap 6 calls 2"),
        ("k p C b 9-13 msg=bus link=p link=q", "bus:d→b Receive server 4 gap 6 calls 2"),
        ("k - C b 9-13 msg=bus link=q link=q", "bus:d→b Receive server 4 gap 5 calls 2"),
        ("k - C b 9-13 msg=bus link=q link=z@7", "bus:d→b Receive server 4 gap 5 calls 2"),
    ] {
        check(&format!("{two}\n{consumer}"), &of(got));
    }
    // A link to a span that sends nothing is no message.
    check(
        "i - I a 0-9\nk - C b 9-13 msg=bus dest=d link=i link=z@7",
        &["bus:d→b Receive server 4"],
    );
}

#[test]
fn receive_and_process_count_once() {
    let q = "q - P a 0-4 msg=bus dest=d";
    let process = "m q C b 10-13 msg=bus dest=d op=process";
    let got = "bus:d→b Receive server 3 gap 6";
    // Both name the message.
    check(&format!("{q}\nk - C b 8-9 msg=bus dest=d op=receive link=q\n{process}"), &[SENT, got]);
    check(&format!("{q}\nk q C b 8-9 msg=bus dest=d op=receive\n{process}"), &[SENT, got]);
    // Only by their place in the tree.
    check(
        "k - C b 8-19 msg=bus dest=d op=receive\nm k C b 10-13 msg=bus dest=d op=process",
        &["bus:d→b Receive server 3"],
    );
    // Of another service, or another message.
    check(
        &format!("{q}\nk - C c 8-9 msg=bus dest=d op=receive link=q\n{process}"),
        &[SENT, "bus:d→c Receive server 1 gap 4", got],
    );
    check(
        &format!("{q}\nk - C b 8-9 msg=bus dest=d op=receive link=q link=z@7\n{process}"),
        &[SENT, "bus:d→b Receive server 1 gap 4", got],
    );
    // A client that fetches or settles calls nobody.
    check("k - L b 8-9 msg=bus dest=d op=receive", &[]);
    check("k - L b 8-9 msg=bus dest=d op=settle", &[]);
}

#[test]
fn messages_made_by_one_span_and_sent_by_another_count_once() {
    let create = "m - P a 0-4 msg=bus dest=d op=create";
    let send = "s - L a 5-9 msg=bus dest=d op=send";
    check(send, &[SENT]);
    check(&format!("{create}\n{send} link=m"), &[SENT]);
    check(&format!("{create}\n{send} link=m@7"), &[SENT]);
    check(&format!("{create}\n{send}"), &[SENT, SENT]);
    check("m - P a 0-4 msg=bus dest=d op=create\ns m L a 1-3 msg=bus dest=d op=send", &[SENT]);
    check("s - L a 0-9 msg=bus dest=d op=send\nm s P a 0-4 msg=bus dest=d op=create", &[SENT]);
}

#[test]
fn hops() {
    for (asked, sits, via) in [
        ("addr=lb:80", "addr=pay:80", " via lb"),
        ("addr=pay:80", "addr=pay:8080", ""),
        ("addr=known:80", "addr=pay:80", ""),
        ("", "addr=pay:80", ""),
        ("addr=lb:80", "", ""),
    ] {
        let picture = format!("c - L a 0-9 {asked}\nv c V b 1-7 {sits}");
        let ran = run_with(&picture, Options::default(), |kernel| {
            let [known, b] = ["known", "b"].map(|word| kernel.symbols_mut().intern(word));
            let mut window = kernel.window().clone();
            window.set_own_address(b, known);
            kernel.set_window(window);
        });
        assert_eq!(ran.edges(), format!("a→b Call client 9 server 6 gap 3{via}"));
    }
}
