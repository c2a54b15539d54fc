//! Drawings of a small map with everything that is drawn otherwise.

use api::views::EdgeRow;

use super::drawing::{dot, mermaid};

fn edges() -> Vec<EdgeRow> {
    let edge = |src: (&str, &str), dst: (&str, &str), calls, errors| EdgeRow {
        src: src.1.into(),
        src_kind: src.0.into(),
        dst: dst.1.into(),
        dst_kind: dst.0.into(),
        calls,
        client_errors: errors,
        client_p99_ms: Some(12.345),
        ..EdgeRow::default()
    };
    let mut guessed = edge(("service", "order"), ("external", "api \"x\" <#1>\u{1b}"), 3, 0);
    guessed.inferred = true;
    guessed.client_p99_ms = None;
    vec![
        edge(("user", "user"), ("service", "order"), 200, 1),
        edge(("service", "order"), ("db", "sqlite:order"), 400, 0),
        edge(("service", "order"), ("topic", "orders\\new"), 100, 50),
        guessed,
    ]
}

#[test]
fn graphviz() {
    let expected = r#"digraph services {
  rankdir=LR;
  n0 [label="sqlite:order", shape=cylinder];
  n1 [label="api \"x\" <#1>␛", shape=diamond];
  n2 [label="order", shape=box];
  n3 [label="orders\\new", shape=cds];
  n4 [label="user", shape=oval];
  n4 -> n2 [label="200 calls, p99 12.3 ms, 0.5 % errors"];
  n2 -> n0 [label="400 calls, p99 12.3 ms"];
  n2 -> n3 [label="100 calls, p99 12.3 ms, 50.0 % errors", color=red];
  n2 -> n1 [label="3 calls", style=dashed];
}
"#;
    assert_eq!(dot(&edges()), expected);
    assert_eq!(dot(&[]), "digraph services {\n  rankdir=LR;\n}\n");
}

#[test]
fn flowchart() {
    let expected = r#"flowchart LR
  n0[("sqlite:order")]
  n1{{"api #quot;x#quot; #lt;#35;1#gt;␛"}}
  n2["order"]
  n3[["orders\new"]]
  n4(["user"])
  n4 -->|"200 calls, p99 12.3 ms, 0.5 % errors"| n2
  n2 -->|"400 calls, p99 12.3 ms"| n0
  n2 -->|"100 calls, p99 12.3 ms, 50.0 % errors"| n3
  n2 -.->|"3 calls"| n1
  linkStyle 2 stroke:red
"#;
    assert_eq!(mermaid(&edges()), expected);
    assert_eq!(mermaid(&[]), "flowchart LR\n");
}
