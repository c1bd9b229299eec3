//! A socket as a client has it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use orchestrator::presentation::api::state::{ApiOptions, WsOptions};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::app::{ADMIN, bearer};

pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What came.
#[derive(Debug)]
pub(crate) enum News {
    Frame(Value),
    Closed(u16, String),
    Gone,
}

impl Socket {
    /// As administrator of the tenant `default`.
    pub(crate) async fn open(address: &str, path: &str) -> Self {
        let headers = [("authorization", bearer(ADMIN)), ("x-tenant-id", "default".to_owned())];
        Self::with(address, path, &headers).await.expect("an upgrade")
    }

    /// With these headers; the status of a refusal otherwise.
    pub(crate) async fn with(
        address: &str,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Self, u16> {
        let mut request = format!("ws://{address}{path}").into_client_request().expect("valid");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("valid"));
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("sent");
    }

    /// The next frame or the end; control frames are passed over.
    pub(crate) async fn news(&mut self) -> News {
        loop {
            match timeout(SOON, self.0.next()).await.expect("something in time") {
                Some(Ok(Message::Text(text))) => {
                    return News::Frame(serde_json::from_str(&text).expect("JSON"));
                }
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return News::Closed(code.into(), reason.to_string());
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return News::Gone,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Value {
        let news = self.news().await;
        let News::Frame(frame) = news else { panic!("a frame, not {news:?}") };
        frame
    }

    /// Code and reason of the end; frames are passed over.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.news().await {
                News::Frame(_) => {}
                News::Closed(code, reason) => return (code, reason),
                News::Gone => panic!("closed without a word"),
            }
        }
    }

    /// The next frame of this type; others are passed over.
    pub(crate) async fn frame_of(&mut self, name: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == name {
                return frame;
            }
        }
    }

    /// The next stored event.
    pub(crate) async fn event(&mut self) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["seq"].is_u64() {
                return frame;
            }
        }
    }
}

/// Limits that let a test see a whole life of a socket.
pub(crate) fn quick(ws: WsOptions) -> impl FnOnce(u16) -> ApiOptions {
    move |_| ApiOptions { rate: None, ws, ..ApiOptions::default() }
}
