//! Takes mail and says nothing about itself.

use tokio::net::TcpListener;

use crate::wire::lines;

pub(super) async fn serve(listener: TcpListener) {
    lines::serve(listener, |_| async { "250 OK".to_owned() }).await;
}
