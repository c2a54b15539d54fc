//! Section 6 of the definitions: gaps, categories, peers, nested clients.

use super::picture::{Ran, ms, run, run_with};
use crate::Options;

/// `id Category peer`, with the gap where there is one.
fn show(ran: &Ran) -> String {
    ran.each(|f| {
        let gap = f.gap_ns.map_or(String::new(), |gap| format!(" gap={}", ms(gap)));
        let peer = if f.peer.is_none() { "-" } else { ran.text(f.peer) };
        format!("{:?} {peer}{gap}", f.category)
    })
}

#[track_caller]
fn check(picture: &str, expected: &str) {
    assert_eq!(show(&run(picture)), expected, "{picture}");
}

#[test]
fn gaps() {
    for (case, picture, gap, floored) in [
        ("one server", "c - L a 0-50\nx c V b 5-20", "35", 0),
        ("durations only", "c - L a 0-50\nx c V b 45-60", "35", 0),
        ("negative", "c - L a 0-50\nx c V b 5-70", "0", 1),
        ("several", "c - L a 0-50\nx c V b 5-20\ny c V b 25-45", "15", 0),
        ("side by side", "c - L a 0-50\nx c V b 5-30\ny c V b 25-45", "10", 0),
        ("out of sight", "c - L a 0-50\nx c V b 5-20\ny c V b 45-90", "30", 0),
        ("others do not count", "c - L a 0-50\nx c V b 5-20\ny c V b 25-45\nz c I a 0-50", "15", 0),
        ("nothing at the end", "c - L a 0-9\nx c V b 9-12\ny c V b 9-9", "9", 0),
        ("a producer", "c - P a 0-50\nx c V b 5-20", "35", 0),
        ("too late", "c - L a 0-50\nx c V b 50-70", "-", 0),
        ("no client", "c - I a 0-50\nx c V b 5-20", "-", 0),
    ] {
        let ran = run(picture);
        let gap_ns = ran.kernel.facts()[0].gap_ns;
        assert_eq!(gap_ns.map_or("-".into(), ms), gap, "{case}");
        assert_eq!(ran.trace.gaps_floored, floored, "{case}");
    }
}

#[test]
fn categories() {
    for (span, expected) in [
        ("L a 0-9", "External external"),
        ("L a 0-9 peer=maps addr=h:1 peeraddr=p host=u", "External maps"),
        ("L a 0-9 addr=h:1 peeraddr=p host=u", "External h:1"),
        ("L a 0-9 addr=h peeraddr=p host=u", "External h"),
        ("L a 0-9 peeraddr=p host=u", "External p"),
        ("L a 0-9 host=u", "External u"),
        ("L a 0-9 db=pg", "Db pg"),
        ("L a 0-9 db=pg ns=shop", "Db pg:shop"),
        ("L a 0-9 db=pg addr=h:1", "Db pg@h:1"),
        ("L a 0-9 db=pg ns=shop addr=h:1", "Db pg:shop@h:1"),
        ("L a 0-9 db=pg ns=shop addr=h", "Db pg:shop@h"),
        ("L a 0-9 msg=bus dest=d", "Queue bus:d"),
        ("L a 0-9 msg=bus db=pg", "Queue bus"),
        ("L a 0-9 msg=bus dest=d op=receive", "Queue bus:d"),
        ("P a 0-9 msg=bus dest=d", "Queue bus:d"),
        ("P a 0-9 dest=d", "Queue d"),
        ("P a 0-9", "Queue topic"),
        ("C a 0-9 msg=bus dest=d", "Own bus:d"),
        ("V a 0-9 db=pg", "Own -"),
        ("I a 0-9 db=pg", "Own -"),
        ("U a 0-9", "Own -"),
    ] {
        check(&format!("x - {span}"), &format!("x {expected}"));
    }
}

#[test]
fn calls_that_were_answered() {
    check("c - L a 0-9 db=pg\nx c V b 1-8", "c Gap b gap=2, x Own -");
    check("c - L a 0-9 msg=bus dest=d\nx c V b 1-8", "c Gap b gap=2, x Own -");
    check("c - P a 0-9 msg=bus dest=d\nx c V b 1-8", "c Gap bus:d gap=2, x Own -");
    // The server began after the caller had gone: known, but not waited for.
    check("c - L a 0-9 addr=h\nx c V b 10-12", "c External b, x Own -");
}

#[test]
fn lost_halves() {
    for (keys, expected) in [
        ("addr=pay:80", "Lost payment"),
        ("addr=pay:81", "External pay:81"),
        ("peer=maps addr=pay:80", "Lost payment"),
        ("db=pg addr=pay:80", "Db pg@pay:80"),
        ("addr=both:80", "External both:80"),
    ] {
        let picture = format!("c - L a 0-9 {keys}");
        let ran = run_with(&picture, Options::default(), |kernel| {
            let [pay, both, payment, other] =
                ["pay", "both", "payment", "other"].map(|word| kernel.symbols_mut().intern(word));
            let mut window = kernel.window().clone();
            window.set_service_at(pay, 80, payment);
            window.set_service_at(both, 80, payment);
            window.set_service_at(both, 80, other);
            kernel.set_window(window);
        });
        assert_eq!(show(&ran), format!("c {expected}"), "{keys}");
        let lost = ran.kernel.facts()[0].edge.unwrap().is_lost;
        assert_eq!(lost, expected.starts_with("Lost"), "{keys}");
    }
}

#[test]
fn nested_clients() {
    // A wrapper over attempts: the attempts are the calls.
    check(
        "w - L a 0-90\n1 w L a 0-30 addr=h\n2 w L a 40-80\ns 2 V b 45-75",
        "w Own -, 1 External h, 2 Gap b gap=10, s Own -",
    );
    // A call that was answered, with a look-up on the way: it keeps its edge and its gap.
    check(
        "w - L a 0-90\n1 w L a 0-5 addr=dns\ns w V b 20-80",
        "w Gap b gap=30, 1 External dns, s Own -",
    );
    // A database client over its connection: the inner one is transport.
    check("w - L a 0-90 db=pg\n1 w L a 0-30 addr=h", "w Db pg, 1 Db pg");
    // Transport of transport, with a call inside that was answered.
    check(
        "w - P a 0-90 msg=bus dest=d\n1 w L a 0-30\n2 1 L a 1-20\n3 w L a 40-80\ns 3 V b 45-75",
        "w Queue bus:d, 1 Queue bus:d, 2 Queue bus:d, 3 Gap b gap=10, s Own -",
    );
    // Of another service, not waited for, or with a span between: no nesting.
    check("w - L a 0-90 db=pg\n1 w L b 0-30 addr=h", "w Db pg, 1 External h");
    check("w - L a 0-90 db=pg\n1 w L a 95-99 addr=h", "w Db pg, 1 External h");
    check(
        "w - L a 0-90 db=pg\ni w I a 0-30\n1 i L a 0-30 addr=h",
        "w Db pg, i Own -, 1 External h",
    );
}

#[test]
fn who_is_charged() {
    let ran = run("w - L a 0-90\n1 w L a 0-30 addr=h\n2 w L a 40-80\ns 2 V b 45-75\ni s I b 50-60");
    assert_eq!(ran.each(|f| ran.text(f.charged_to).to_owned()), "w a, 1 h, 2 b, s b, i b");
}
