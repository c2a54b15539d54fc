//! Routes and what stands in front of them.

use super::middleware::target;
use super::*;
use crate::topology::ROUTES;

#[test]
fn unit_every_route_leads_to_the_service_of_its_path() {
    for route in ROUTES {
        let expected = match route.path.split('/').nth(2) {
            Some("users") => Role::User,
            Some("orders") => Role::Order,
            _ => Role::Inventory,
        };
        assert_eq!(target(route.path), expected, "{}", route.path);
    }
}

#[test]
fn unit_an_answer_is_passed_on_as_it_is() {
    let answer = Answer { status: 201, body: Bytes::from_static(b"{}") };
    let response = pass(answer);
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["content-type"], "application/json");
}
