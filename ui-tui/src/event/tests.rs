//! Keys are read as they are written.

use super::*;

#[test]
fn names_go_there_and_back() {
    let keys =
        "x G ? / enter esc tab backtab space up pgdn f5 ctrl-c ctrl-pgdn alt-right ctrl-alt-x {";
    let back: Vec<String> =
        keys.split(' ').map(|key| Key::parse(key).expect(key).to_string()).collect();
    assert_eq!(back.join(" "), keys);
    assert_eq!(Key::parse("nonsense"), None);
}

#[test]
fn shift_is_part_of_the_character() {
    let key = Key::from(KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT));
    assert_eq!(key.to_string(), "G");
    let tab = Key::from(KeyEvent::new(KeyCode::Tab, KeyModifiers::SHIFT));
    assert_eq!(tab.to_string(), "backtab");
    let ctrl = Key::from(KeyEvent::new(KeyCode::Char('D'), KeyModifiers::CONTROL));
    assert_eq!(ctrl.to_string(), "ctrl-d");
}
