//! Which way a copy takes, and what the terminal gets.

use super::*;

#[test]
fn the_way_reaches_the_person_at_the_keyboard() {
    let way = |set: &[&str]| {
        let mut of = Surroundings::of(|name| set.contains(&name).then(|| "1".to_owned()));
        of.is_mac = false;
        of.way()
    };
    assert_eq!(way(&[]), Way::Terminal);
    assert_eq!(way(&["DISPLAY"]), Way::Host(&["xclip", "-selection", "clipboard"]));
    assert_eq!(way(&["DISPLAY", "WAYLAND_DISPLAY"]), Way::Host(&["wl-copy"]));
    assert_eq!(way(&["SSH_TTY", "DISPLAY"]), Way::Terminal);
    assert_eq!(way(&["SSH_CONNECTION"]), Way::Terminal);
}

#[test]
fn the_text_is_wrapped_whole_or_refused() {
    assert_eq!(sequence("trace 4bf9").as_deref(), Ok("\x1b]52;c;dHJhY2UgNGJmOQ==\x1b\\"));
    let long = "x".repeat(BYTES_MAX + 1);
    assert_eq!(sequence(&long), Err(TooLong { bytes: BYTES_MAX + 1 }));
    // Nothing in the text ends the sequence: it is encoded.
    assert_eq!(sequence("\x1b\\").as_deref(), Ok("\x1b]52;c;G1w=\x1b\\"));
}
