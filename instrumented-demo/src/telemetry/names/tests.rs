//! The table against OpenTelemetry's own.

use opentelemetry_semantic_conventions::attribute as conventions;

use super::*;

#[test]
fn contract_names_are_those_of_the_conventions() {
    let pairs = [
        (HTTP_METHOD, conventions::HTTP_REQUEST_METHOD),
        (HTTP_STATUS, conventions::HTTP_RESPONSE_STATUS_CODE),
        (HTTP_ROUTE, conventions::HTTP_ROUTE),
        (HTTP_RESEND_COUNT, conventions::HTTP_REQUEST_RESEND_COUNT),
        (URL_PATH, conventions::URL_PATH),
        (URL_FULL, conventions::URL_FULL),
        (URL_SCHEME, conventions::URL_SCHEME),
        (SERVER_ADDRESS, conventions::SERVER_ADDRESS),
        (SERVER_PORT, conventions::SERVER_PORT),
        (PEER_ADDRESS, conventions::NETWORK_PEER_ADDRESS),
        (PEER_PORT, conventions::NETWORK_PEER_PORT),
        (PROTOCOL_VERSION, conventions::NETWORK_PROTOCOL_VERSION),
        (ERROR_TYPE, conventions::ERROR_TYPE),
        (RPC_METHOD, conventions::RPC_METHOD),
        (DB_SYSTEM, conventions::DB_SYSTEM_NAME),
        (DB_NAMESPACE, conventions::DB_NAMESPACE),
        (DB_SUMMARY, conventions::DB_QUERY_SUMMARY),
        (POOL_NAME, conventions::DB_CLIENT_CONNECTION_POOL_NAME),
        (POOL_STATE, conventions::DB_CLIENT_CONNECTION_STATE),
        (MESSAGING_SYSTEM, conventions::MESSAGING_SYSTEM),
        (MESSAGING_DESTINATION, conventions::MESSAGING_DESTINATION_NAME),
        (MESSAGING_OPERATION_TYPE, conventions::MESSAGING_OPERATION_TYPE),
        (MESSAGING_OPERATION_NAME, conventions::MESSAGING_OPERATION_NAME),
        (MESSAGING_GROUP, conventions::MESSAGING_CONSUMER_GROUP_NAME),
        (MESSAGING_ID, conventions::MESSAGING_MESSAGE_ID),
        (MESSAGING_BATCH, conventions::MESSAGING_BATCH_MESSAGE_COUNT),
        (MESSAGING_PARTITION, conventions::MESSAGING_DESTINATION_PARTITION_ID),
    ];
    for (name, expected) in pairs {
        assert_eq!(name.new, expected);
    }
}

#[test]
fn unit_no_two_names_are_the_same() {
    for form in [Semconv::New, Semconv::Old] {
        let mut texts: Vec<_> = ALL.iter().map(|name| name.text(form)).collect();
        let count = texts.len();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), count, "{form:?}");
    }
}
