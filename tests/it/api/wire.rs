//! The listener itself, spoken to in bytes.

use std::time::Duration;

use orchestrator::presentation::api::server::ServerOptions;
use orchestrator::presentation::api::state::ApiOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::app::TestApp;

const SOON: Duration = Duration::from_secs(20);

fn plain(_: u16) -> ApiOptions {
    ApiOptions { rate: None, ..ApiOptions::default() }
}

/// Sends bytes and reads until the other side closes.
async fn answered(address: &str, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes.as_bytes()).await.expect("written");
    let mut text = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut text)).await.expect("an end in time");
    drop(read);
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_body_whose_length_is_stated_twice_is_refused() {
    let (_app, address) = TestApp::listen(plain).await;
    for lengths in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 2",
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2\r\nContent-Length: 2",
    ] {
        let request = format!(
            "POST /api/v1/sessions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n{lengths}\r\n\r\n{{}}"
        );
        let answer = answered(&address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{lengths}: {answer}");
    }
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let (_app, address) = TestApp::listen(plain).await;
    let one = format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let last = format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = answered(&address, &format!("{one}{one}{last}")).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off_and_an_idle_connection_too() {
    let server = ServerOptions {
        header_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(400),
        ..ServerOptions::default()
    };
    let (_app, address) = TestApp::listen_with(plain, server).await;
    let dripping = answered(&address, "GET /health/live HTTP/1.1\r\nHos").await;
    assert!(!dripping.contains("200 OK"), "{dripping}");
    let idle =
        answered(&address, &format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
    let silent = answered(&address, "").await;
    assert!(!silent.contains("200 OK"), "{silent}");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_to_come_back() {
    let server = ServerOptions { per_peer: 2, ..ServerOptions::default() };
    let (_app, address) = TestApp::listen_with(plain, server).await;
    let one = TcpStream::connect(&address).await.expect("a connection");
    let two = TcpStream::connect(&address).await.expect("a connection");
    let refused = answered(&address, "").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("Retry-After"), "{refused}");
    drop((one, two));
    let request =
        format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let deadline = tokio::time::Instant::now() + SOON;
    while !answered(&address, &request).await.starts_with("HTTP/1.1 200") {
        assert!(tokio::time::Instant::now() < deadline, "a place is free again");
    }
}

fn unwanted(address: &str, headers: &str, body: &str) -> String {
    format!(
        "POST /api/v1/sessions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{headers}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_body_that_was_not_read_does_not_cost_the_next_request() {
    let (_app, address) = TestApp::listen(plain).await;
    let next = format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    for (size, status) in [(2, "401"), (900_000, "401"), (3_000_000, "413")] {
        let headers = format!("Content-Length: {size}");
        let one = unwanted(&address, &headers, &" ".repeat(size));
        let answer = answered(&address, &format!("{one}{next}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{size}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{size}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_whose_body_is_too_much_to_be_read_is_said_to_end() {
    let (_app, address) = TestApp::listen(plain).await;
    let endless = ("Content-Length: 20000000", 16 << 20);
    let on_demand = ("Content-Length: 2000000\r\nExpect: 100-continue", 0);
    for (headers, sent) in [endless, on_demand] {
        let answer = answered(&address, &unwanted(&address, headers, &" ".repeat(sent))).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{headers}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{headers}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{headers}: {answer}");
    }
}

#[tokio::test]
async fn heads_are_bounded() {
    let (_app, address) = TestApp::listen(plain).await;
    let many = "X-More: 1\r\n".repeat(120);
    let long = format!("X-Long: {}\r\n", "a".repeat(80_000));
    for headers in [many, long] {
        let request = format!(
            "GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n"
        );
        let answer = answered(&address, &request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_goes_down_finishes_and_closes() {
    let (app, address) = TestApp::listen(plain).await;
    let request =
        format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    assert!(answered(&address, &request).await.starts_with("HTTP/1.1 200"));
    let idle = TcpStream::connect(&address).await.expect("a connection");
    app.shutdown.cancel();
    app.tracker.close();
    timeout(SOON, app.tracker.wait()).await.expect("every task ends");
    drop(idle);
    assert!(TcpStream::connect(&address).await.is_err());
}
