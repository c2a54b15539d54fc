//! The three lines, as a person reads them.

use super::*;

#[test]
fn lines_say_what_why_and_what_to_do() {
    let problem = Problem {
        code: "unknown_column".into(),
        status: 400,
        message: "no column \u{1b}[2Jduration".into(),
        hint: Some("did you mean duration_ns?".into()),
        line: Some(1),
        column: Some(8),
        ..Problem::default()
    };
    let expected = "error: no column ␛[2Jduration\n\
                    cause: unknown_column at line 1, column 8\n\
                    try: did you mean duration_ns?\n";
    assert_eq!(Failure::from(problem).lines(), expected);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
    assert!(closed.is_quiet());
    assert!(!Failure::from(io::Error::from(io::ErrorKind::NotFound)).is_quiet());
}
