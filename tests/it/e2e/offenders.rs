//! Clients that hold a server up: heads and bodies that drip, and a thousand that only sit there.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::server::{ADMIN_KEY, Server, Site};

/// What the strict server allows for a head, a body and idleness.
const LIMIT: Duration = Duration::from_secs(8);
/// What a busy machine may take beyond that.
const GRACE: Duration = Duration::from_secs(7);
/// The promise about everybody else.
const PROMPT: Duration = Duration::from_millis(100);
const IDLE: u16 = 1000;
const SLOW: u16 = 10;

fn site(seconds: &str) -> Site {
    Site::simulated()
        .with("SERVER__HEADER_TIMEOUT_SECONDS", seconds)
        .with("SERVER__REQUEST_TIMEOUT_SECONDS", seconds)
        .with("SERVER__IDLE_TIMEOUT_SECONDS", seconds)
}

fn address(server: &Server) -> SocketAddr {
    server.url.trim_start_matches("http://").parse().expect("an address")
}

/// Connects from the address of this machine with this number, at most 60 times from each.
async fn connect(to: SocketAddr, number: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let last = u8::try_from(2 + number / 60).expect("few addresses");
    socket.bind(([127, 0, 0, last], 0).into()).expect("bound");
    socket.connect(to).await.expect("a connection")
}

/// What an offender does.
#[derive(Debug, Clone, Copy)]
enum Offence {
    Silent,
    Idle,
    SlowHead,
    SlowBody,
}

/// How it ended: what it did, how long it was let be, what it was told.
type Outcome = (Offence, Duration, String);

async fn offend(to: SocketAddr, number: u16, offence: Offence) -> Outcome {
    let mut stream = connect(to, number).await;
    let host = format!("Host: {to}\r\n");
    let opening = match offence {
        Offence::Silent => String::new(),
        Offence::Idle => format!("GET /health/live HTTP/1.1\r\n{host}\r\n"),
        Offence::SlowHead => format!("GET /health/live HTTP/1.1\r\n{host}X-Slow: "),
        Offence::SlowBody => format!(
            "POST /api/v1/sessions HTTP/1.1\r\n{host}Authorization: Bearer {ADMIN_KEY}\r\n\
             X-Tenant-ID: default\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{{"
        ),
    };
    let began = Instant::now();
    stream.write_all(opening.as_bytes()).await.expect("written");
    let drips = matches!(offence, Offence::SlowHead | Offence::SlowBody);
    let mut told = Vec::new();
    let mut part = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut part) => match read {
                Ok(0) | Err(_) => break,
                Ok(count) => told.extend_from_slice(&part[..count]),
            },
            () = tokio::time::sleep(Duration::from_millis(200)), if drips => {
                if stream.write_all(b" ").await.is_err() {
                    break;
                }
            }
        }
    }
    (offence, began.elapsed(), String::from_utf8_lossy(&told).into_owned())
}

fn crowd(to: SocketAddr, idle: u16, slow: u16) -> JoinSet<Outcome> {
    let mut crowd = JoinSet::new();
    for number in 0..idle {
        let offence = if number % 2 == 0 { Offence::Silent } else { Offence::Idle };
        crowd.spawn(offend(to, number, offence));
    }
    for number in idle..idle + slow {
        crowd.spawn(offend(to, number, Offence::SlowHead));
        crowd.spawn(offend(to, number + slow, Offence::SlowBody));
    }
    crowd
}

/// The 99th percentile of 200 requests.
async fn prompt(server: &Server) -> Duration {
    let mut took = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        let answer = server.http.get(format!("{}/health", server.url)).send().await;
        assert!(answer.expect("an answer").status().is_success());
        took.push(began.elapsed());
    }
    took.sort_unstable();
    took[197]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_hold_up_are_cut_in_time_and_others_do_not_notice() {
    let (strict, lax) = (site("8"), site("600"));
    let (strict, lax) = (strict.serve().await, lax.serve().await);
    let mut tolerated = crowd(address(&lax), 4, 2);
    let alone = prompt(&strict).await;
    let mut offenders = crowd(address(&strict), IDLE, SLOW);
    let among = prompt(&strict).await;
    // A machine that is too busy to be prompt to anybody is no fault of the offenders.
    let bound = PROMPT.max(alone * 3);
    assert!(among < bound, "p99 of /health is {among:?}, and {alone:?} alone");

    let (mut counts, deadline) = ([0_u16; 4], Instant::now() + LIMIT + GRACE);
    while let Some(ended) = tokio::time::timeout_at(deadline, offenders.join_next())
        .await
        .unwrap_or_else(|_| panic!("{counts:?} were cut in time, the others not"))
    {
        let (offence, lasted, told) = ended.expect("no panic");
        counts[offence as usize] += 1;
        assert!(lasted + Duration::from_secs(2) > LIMIT, "{offence:?} {lasted:?}: {told}");
        assert!(lasted < LIMIT + GRACE, "{offence:?} was let be for {lasted:?}");
        let expected = match offence {
            Offence::Silent | Offence::SlowHead => told.is_empty(),
            Offence::Idle => told.matches("HTTP/1.1 200").count() == 1,
            Offence::SlowBody => told.starts_with("HTTP/1.1 408"),
        };
        assert!(expected, "{offence:?}: {told}");
    }
    assert_eq!(counts, [IDLE / 2, IDLE / 2, SLOW, SLOW]);
    // Without the limits they would all still be there: the other server's are.
    let early = tolerated.try_join_next();
    assert!(early.is_none(), "{early:?}");
    assert_eq!(tolerated.len(), 8);
    tolerated.abort_all();
    for server in [strict, lax] {
        server.stop().await;
    }
}
