//! The listener itself, spoken to in bytes.

use std::time::Duration;

use orchestrator::presentation::api::server::ServerOptions;
use orchestrator::presentation::api::state::ApiOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::app::{ADMIN, TestApp};

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

/// A command of the administrator, up to its framing.
fn command(address: &str, framing: &str) -> String {
    format!(
        "POST /api/v1/sessions HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {ADMIN}\r\nX-Tenant-ID: default\r\nContent-Type: application/json\r\n{framing}"
    )
}

#[tokio::test]
async fn malformed_requests_are_refused_and_cost_nobody_else_anything() {
    let (_app, address) = TestApp::listen(plain).await;
    let get = |rest: &str| format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\n{rest}");
    let with = |framing: &str| command(&address, framing);
    let prompt = r#"{"initial_prompt":"x"}"#;
    let length = prompt.len();
    let cases = [
        (format!("GET /health/live HTTP/1.1\nHost: {address}\n\n"), "400"),
        (get("X-One: 1\nX-Two: 2\r\n\r\n"), "400"),
        (get("Transfer-Encoding : chunked\r\n\r\n"), "400"),
        (get("X-One: 1\r\n folded\r\n\r\n"), "400"),
        (get("X-One: a\0b\r\n\r\n"), "400"),
        (get("X-O\0ne: a\r\n\r\n"), "400"),
        (get("no colon\r\n\r\n"), "400"),
        (get("Host: other.example\r\n\r\n"), "400"),
        (with("Transfer-Encoding: gzip\r\n\r\n"), "400"),
        (with("Transfer-Encoding: chunked, gzip\r\n\r\n"), "400"),
        (with(&format!("Transfer-Encoding: chunked\r\n\r\nzz\r\n{prompt}\r\n0\r\n\r\n")), "400"),
        (with(&format!("Transfer-Encoding: chunked\r\n\r\n-1\r\n{prompt}\r\n0\r\n\r\n")), "400"),
        (with(&format!("Content-Length: -{length}\r\n\r\n{prompt}")), "400"),
        (with(&format!("Content-Length: +{length}\r\n\r\n{prompt}")), "400"),
        (with(&format!("Content-Length: {length}, {length}\r\n\r\n{prompt}")), "400"),
        (with(&format!("Content-Length: 0x16\r\n\r\n{prompt}")), "400"),
        (with("Content-Length: 99999999999999999999999\r\n\r\n"), "400"),
        ("GET /health/live HTTP/1.0\r\n\r\n".to_owned(), "400"),
        (
            format!("\r\n\r\n{}", with("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n")),
            "400",
        ),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), ""),
        ("G@T\0 / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        (format!("GET  / HTTP/1.1\r\nHost: {address}\r\n\r\n"), "400"),
        (format!("GET /a b HTTP/1.1\r\nHost: {address}\r\n\r\n"), "400"),
        (format!("GET / HTTP/1.1 \r\nHost: {address}\r\n\r\n"), "400"),
        ("\u{16}\u{3}\u{1}\0\u{5}hello".to_owned(), "400"),
        (format!("CONNECT example.com:443 HTTP/1.1\r\nHost: {address}\r\n\r\n"), "403"),
        (format!("GET http://evil.example/health/live HTTP/1.1\r\nHost: {address}\r\n\r\n"), "403"),
        (format!("OPTIONS * HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"), "404"),
    ];
    for (bytes, status) in cases {
        let answer = sent(&address, &bytes).await;
        let shown = bytes.escape_debug();
        assert!(!answer.contains("HTTP/1.1 2"), "{shown}: {answer}");
        let told = answer.split(' ').nth(1).unwrap_or_default();
        let is_closed = status.is_empty() && answer.is_empty();
        let is_refused = if status.is_empty() { told.starts_with('4') } else { told == status };
        assert!(is_closed || is_refused, "{shown}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), usize::from(!answer.is_empty()), "{shown}");
    }
    let fine = answered(&address, &get("Connection: close\r\n\r\n")).await;
    assert!(fine.starts_with("HTTP/1.1 200"), "{fine}");
    let whole = format!(
        "GET http://{address}/health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    assert!(answered(&address, &whole).await.starts_with("HTTP/1.1 200"));
    let old = format!("GET /health/live HTTP/1.0\r\nHost: {address}\r\n\r\n");
    assert!(answered(&address, &old).await.starts_with("HTTP/1.0 200"));
}

/// Sends bytes, says that there are no more, and reads to the end.
async fn sent(address: &str, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes.as_bytes()).await.expect("written");
    stream.shutdown().await.expect("said");
    let mut text = Vec::new();
    drop(timeout(SOON, stream.read_to_end(&mut text)).await.expect("an end in time"));
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn what_follows_a_request_is_judged_on_its_own() {
    let (_app, address) = TestApp::listen(plain).await;
    let one = format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let twice =
        command(&address, "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    for next in ["\u{16}\u{3}\u{1}garbage\r\n\r\n", &twice] {
        let answer = sent(&address, &format!("{one}{next}{one}")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 400").count(), 1, "{answer}");
    }
    // A body in pieces is taken, and so is what comes after it.
    let body = "Transfer-Encoding: chunked\r\n\r\n16\r\n{\"initial_prompt\":\"x\"}\r\n0\r\n\r\n";
    let answer = sent(&address, &format!("{}{one}", command(&address, body))).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let hurried = |_| ApiOptions {
        rate: None,
        request_timeout: Duration::from_millis(300),
        ..ApiOptions::default()
    };
    let (_app, address) = TestApp::listen(hurried).await;
    for framing in
        ["Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n16\r\n{\"initial_"]
    {
        let answer = answered(&address, &command(&address, framing)).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{framing}: {answer}");
        assert!(answer.contains("REQUEST_TIMEOUT"), "{framing}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{framing}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_takes_no_answer_loses_its_place() {
    let server = ServerOptions {
        per_peer: 1,
        write_timeout: Duration::from_millis(300),
        ..ServerOptions::default()
    };
    let (_app, address) = TestApp::listen_with(plain, server).await;
    let mut greedy = TcpStream::connect(&address).await.expect("a connection");
    let wish = format!("GET /openapi.json HTTP/1.1\r\nHost: {address}\r\n\r\n");
    // Far more than the buffers between the two hold.
    let wishes = wish.repeat(400);
    drop(timeout(Duration::from_secs(2), greedy.write_all(wishes.as_bytes())).await);
    let request =
        format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let deadline = tokio::time::Instant::now() + SOON;
    while !answered(&address, &request).await.starts_with("HTTP/1.1 200") {
        assert!(tokio::time::Instant::now() < deadline, "its place is free again");
    }
    drop(greedy);
}
