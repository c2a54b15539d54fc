//! One unary gRPC call: an HTTP/2 POST with a 5-byte frame header, its status in the trailers.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use tokio::net::TcpStream;

/// Sends a message; an error says what the server answered instead of OK.
pub(super) async fn call(address: SocketAddr, path: &str, message: &[u8]) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let uri: Uri =
        format!("http://{address}{path}").parse().map_err(|_| format!("{path} is no path"))?;
    let (client, connection) =
        h2::client::handshake(stream).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let status = exchange(client, uri, message).await.map_err(|error| error.to_string());
    connection.abort();
    let headers = status?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("none");
    match text("grpc-status") {
        "0" => Ok(()),
        code => Err(format!("grpc-status {code}: {}", text("grpc-message"))),
    }
}

/// The headers that carry the status: the trailers, or the head where there is no body.
async fn exchange(
    client: h2::client::SendRequest<Bytes>,
    uri: Uri,
    message: &[u8],
) -> Result<HeaderMap, h2::Error> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    let (response, mut body) = client.ready().await?.send_request(request, false)?;
    body.send_data(framed(message), true)?;
    let (head, mut answer) = response.await?.into_parts();
    while let Some(chunk) = answer.data().await {
        answer.flow_control().release_capacity(chunk?.len())?;
    }
    Ok(answer.trailers().await?.unwrap_or(head.headers))
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}
