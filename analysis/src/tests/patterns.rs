//! Section 13 of the definitions, as far as it is about one trace: loops of calls, calls in series,
//! calls sent again.

use super::picture::{ms, run};

/// Patterns as `rule parent peer first calls saving`.
#[track_caller]
fn check(picture: &str, expected: &[&str]) {
    let mut ran = run(picture);
    let found = ran.kernel.patterns(&ran.picture.spans);
    let shown: Vec<String> = found
        .iter()
        .map(|p| {
            let peer = if p.peer.is_none() { "-" } else { ran.text(p.peer) };
            let (parent, first) = (ran.id_at(Some(p.parent)), ran.id_at(Some(p.first)));
            format!("{:?} {parent} {peer} {first} {} {}", p.rule, p.calls, ms(p.saving_ns))
        })
        .collect();
    assert_eq!(shown, expected, "{picture}");
}

/// Calls of 4, 5, 4, 6 and 5 ms with two apart.
fn five(keys: [&str; 5]) -> String {
    let times = ["2-6", "8-13", "15-19", "21-27", "29-34"];
    let calls = (1..).zip(times).zip(keys);
    let lines = calls.map(|((n, times), keys)| format!("\n{n} p L s {times} {keys}"));
    format!("p - V s 0-40{}", lines.collect::<String>())
}

#[test]
fn loops() {
    let same = "db=pg name=q";
    let expected = &["NPlusOne p pg 1 5 18"];
    check(&five([same; 5]), expected);
    check(&five(["db=pg stmt=x"; 5]), expected);
    check(&five(["db=pg stmt=x", "db=pg stmt=x", "db=pg stmt=x", "db=pg stmt=x", same]), &[]);
    check(&five([same, same, same, same, "db=pg ns=o name=q"]), &[]);
    let wrapped: String = five(["name=w"; 5])
        + &[("1", "2-6"), ("2", "8-13"), ("3", "15-19"), ("4", "21-27"), ("5", "29-34")]
            .map(|(n, times)| format!("\n{n}a {n} L s {times} addr=h"))
            .concat();
    check(&wrapped, &["NPlusOne p h 1 5 18"]);
    // Side by side: hedging, no loop.
    let beside: String = (1..=9).map(|n| format!("\n{n} p L s 2-6 {same}")).collect();
    check(&format!("p - V s 0-40{beside}"), &[]);
    // Five that do not overlap among others that do.
    check(&format!("{}\n9 p L s 5-9 {same}", five([same; 5])), expected);
    // Fetching messages is no call.
    check(&five(["msg=bus dest=d op=receive name=q"; 5]), &[]);
}

#[test]
fn series() {
    let three = "1 p L s 2-22 addr=a\n2 p L s 22-52 addr=b\n3 p L s 53-63 addr=c";
    let expected = &["SerialFanout p - 1 3 30"];
    check(&format!("p - V s 0-100\n{three}"), expected);
    // A pause as long as a twentieth of the parent parts them, and a millisecond always.
    check(
        "p - V s 0-100\n1 p L s 2-22 addr=a\n2 p L s 27-57 addr=b\n3 p L s 61-71 addr=c",
        &["SerialFanout p - 2 2 10"],
    );
    check("p - V s 0-9\n1 p L s 1-3 addr=a\n2 p L s 4-6 addr=b", &[]);
    check("p - V s 0-9\n1 p L s 1-3 addr=a\n2 p L s 3-6 addr=b", &["SerialFanout p - 1 2 2"]);
    // One peer is no fan-out; what overlaps is parallel already.
    check("p - V s 0-100\n1 p L s 2-22 addr=a\n2 p L s 22-52 addr=a", &[]);
    check("p - V s 0-100\n1 p L s 2-30 addr=a\n2 p L s 22-52 addr=b", &[]);
    check(
        "p - V s 0-100\n1 p L s 2-22 addr=a\n2 p L s 22-52 addr=b\n3 p L s 30-53 addr=c\n4 p L s 53-60 addr=d",
        &[],
    );
    // A message counts as a call.
    check("p - V s 0-100\n1 p L s 2-22 addr=a\n2 p P s 22-52 dest=d", &["SerialFanout p - 1 2 20"]);
}

#[test]
fn retries() {
    let same = "addr=h name=q";
    for (case, picture, expected) in [
        ("after a failure", format!("1 p L s 1-3 err {same}\n2 p L s 4-6 {same}"), "2"),
        (
            "twice",
            format!("1 p L s 1-3 err {same}\n2 p L s 4-6 err {same}\n3 p L s 7-8 {same}"),
            "2 3",
        ),
        ("after a success", format!("1 p L s 1-3 {same}\n2 p L s 4-6 {same}"), ""),
        ("hedged", format!("1 p L s 1-5 err {same}\n2 p L s 4-6 {same}"), ""),
        ("touching", format!("1 p L s 1-4 err {same}\n2 p L s 4-6 {same}"), "2"),
        ("another name", format!("1 p L s 1-3 err {same}\n2 p L s 4-6 addr=h name=r"), ""),
        ("another peer", format!("1 p L s 1-3 err {same}\n2 p L s 4-6 addr=g name=q"), ""),
        ("said so", "1 p L s 1-3 addr=h resend=1".to_owned(), "1"),
        ("not a call", "1 p I s 1-3 err name=q\n2 p I s 4-6 name=q".to_owned(), ""),
        ("no length", format!("1 p L s 3-3 err {same}\n2 p L s 4-4 {same}"), "2"),
    ] {
        let ran = run(&format!("p - V s 0-10\n{picture}"));
        assert_eq!(ran.ids_with(|f| f.is_retry), expected, "{case}");
    }
}
