//! What is read of answers, and what secrets look like.

use reqwest::header::HeaderValue;

use super::egress::{Allowed, SystemLookup};
use super::*;
use crate::infrastructure::clock::SystemClock;

#[test]
fn a_pause_is_asked_for_in_seconds_or_as_a_date() {
    let now = Timestamp::from_millis(1_445_412_420_000); // Wed, 21 Oct 2015 07:27:00 GMT
    for (text, expected) in [
        ("120", Some(120)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", Some(60)),
        ("Wed, 21 Oct 2015 07:00:00 GMT", Some(0)),
        ("soon", None),
        ("-1", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
        assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
    }
}

/// A message to this machine.
fn message(port: u16) -> Message {
    let secret = Secret::new("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned());
    let (id, secrets) = ("msg_1".to_owned(), vec![secret]);
    Message { url: format!("http://127.0.0.1:{port}/x"), id, body: b"{}".to_vec(), secrets }
}

#[tokio::test]
async fn a_receiver_that_drips_its_answer_is_not_waited_for() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let networks = vec!["127.0.0.0/8".parse().expect("a network")];
    let egress = Egress::new(Allowed { networks, ..Allowed::default() }, Arc::new(SystemLookup));
    let clock = Arc::new(SystemClock::new());
    let notifier = HttpNotifier::new(egress, Duration::from_mins(1), clock).expect("a client");
    let drip = async {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        assert!(socket.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0));
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n";
        socket.write_all(head).await.expect("sent");
        while socket.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let message = message(port);
    let answer = tokio::select! {
        answer = notifier.send(&message) => answer,
        () = drip => panic!("the answer was given up before it was noted"),
    };
    assert_eq!((answer.attempt.status, &answer.attempt.error), (Some(200), &None), "{answer:?}");
    assert!(answer.attempt.response.as_ref().is_some_and(|text| text.starts_with("xx")));
    assert!(answer.attempt.duration_ms < 20_000, "{answer:?}");
}

#[tokio::test]
async fn a_refusal_of_the_guard_is_told_as_one() {
    let egress = Egress::new(Allowed::default(), Arc::new(SystemLookup));
    let clock = Arc::new(SystemClock::new());
    let notifier = HttpNotifier::new(egress, Duration::from_secs(9), clock).expect("a client");
    let answer = notifier.send(&message(9)).await;
    let error = answer.attempt.error.as_deref().unwrap_or_default();
    assert!(answer.is_denied && error.starts_with("EGRESS_DENIED: 127.0.0.1"), "{answer:?}");
}

#[test]
fn a_secret_is_random_and_spelled_as_the_standard_has_it() {
    let egress = Egress::new(Allowed::default(), Arc::new(SystemLookup));
    let clock = Arc::new(SystemClock::new());
    let notifier = HttpNotifier::new(egress, Duration::from_secs(1), clock).expect("a client");
    let (one, other) = (notifier.new_secret(), notifier.new_secret());
    let (one, other) = (one.expect("random bytes"), other.expect("random bytes"));
    assert_ne!(one, other);
    let bytes = STANDARD.decode(one.expose().strip_prefix("whsec_").expect("the prefix"));
    assert_eq!(bytes.expect("base64").len(), 32);
}
