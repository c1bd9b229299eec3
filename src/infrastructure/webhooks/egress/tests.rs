//! The table of addresses: spellings, wrappings, lists, and answers that change.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpListener;

use super::*;

/// Answers look-ups one after another; the last one stays.
struct Scripted(Mutex<VecDeque<Vec<IpAddr>>>, AtomicUsize);

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = |texts: &&[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().expect("an address")).collect()
        };
        let answers = answers.iter().map(parsed).collect();
        Arc::new(Self(Mutex::new(answers), AtomicUsize::new(0)))
    }
}

impl Lookup for Scripted {
    fn lookup(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { answer.ok_or_else(|| std::io::Error::other("no such host")) })
    }
}

fn guard(allowed: Allowed, answers: &[&[&str]]) -> Egress {
    Egress::new(allowed, Scripted::new(answers))
}

fn allowing(networks: &[&str]) -> Allowed {
    let networks = networks.iter().map(|text| text.parse().expect("a network")).collect();
    Allowed { networks, ..Allowed::default() }
}

/// Every one of these hosts is refused by a server that lists nothing.
const REFUSED: &[&str] = &[
    // Loopback in every spelling that the URL standard knows.
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0x7F.0x0.0x0.0x1",
    "127.255.255.254",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:1::1]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    // Private networks.
    "10.0.0.1",
    "10.255.255.255",
    "0xa.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.254",
    "3232235521",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[fdff::1]",
    "[fec0::1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:192.168.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[2002:a00:1::]",
    "[2002:c0a8:1::]",
    "[64:ff9b:1::1]",
    // Carriers, tests, documentation, reserved.
    "100.64.0.1",
    "100.127.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "240.0.0.1",
    "254.255.255.255",
    "[2001:db8::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[3fff::1]",
    "[100::1]",
    "[4000::1]",
    "[5f00::1]",
    // Never.
    "0.0.0.0",
    "0",
    "0.1.2.3",
    "[::]",
    "[::ffff:0.0.0.0]",
    "169.254.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[fe80::1]",
    "[febf::1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[64:ff9b:1:a9fe:a9:fe00::]",
    "[64:ff9b:1::a9fe:a9fe]",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.255",
    "[ff02::1]",
    "[ff0e::1]",
    "255.255.255.255",
    "[::ffff:255.255.255.255]",
];

#[tokio::test]
async fn every_spelling_of_an_inner_address_is_refused() {
    let guard = guard(Allowed::default(), &[]);
    for host in REFUSED {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:8443/hook");
            let told = guard.check(&url).await;
            assert!(matches!(told, Err(AddressError::Denied(_))), "{url}: {told:?}");
        }
    }
    assert!(REFUSED.len() >= 80);
}

#[tokio::test]
async fn public_addresses_need_tls() {
    let guard = guard(Allowed::default(), &[&["93.184.216.34", "2606:2800:220:1::1"]]);
    for host in ["8.8.8.8", "[2606:4700::1111]", "[64:ff9b::8.8.8.8]", "example.org", "172.32.0.1"]
    {
        assert_eq!(guard.check(&format!("https://{host}/x")).await.map(drop), Ok(()), "{host}");
        let plain = guard.check(&format!("http://{host}/x")).await;
        assert!(matches!(plain, Err(AddressError::Denied(why)) if why.contains("https")), "{host}");
    }
}

#[tokio::test]
async fn what_is_no_address_is_malformed_and_what_is_none_for_messages_denied() {
    let guard = guard(Allowed::default(), &[]);
    for url in [
        "",
        "hook",
        "//example.org",
        "https://",
        "https://exa mple.org",
        "https://[::1",
        "https://example.org:99999/",
    ] {
        let told = guard.check(url).await;
        assert!(matches!(told, Err(AddressError::Malformed(_))), "{url}: {told:?}");
    }
    for url in [
        "ftp://example.org",
        "file:///etc/passwd",
        "gopher://example.org",
        "javascript:alert(1)",
        "unix:/run/x.sock",
        "https://user@example.org",
        "https://example.org:0/",
        "https://user:word@example.org",
        "https://example.org/#part",
    ] {
        let told = guard.check(url).await;
        assert!(matches!(told, Err(AddressError::Denied(_))), "{url}: {told:?}");
    }
    let told = guard.check("https://nowhere.example").await;
    assert!(matches!(told, Err(AddressError::Unknown(_))), "{told:?}");
}

#[tokio::test]
async fn one_bad_address_refuses_a_name() {
    for bad in ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1"] {
        let guard = guard(Allowed::default(), &[&["93.184.216.34", bad]]);
        let told = guard.check("https://mixed.example").await;
        assert!(matches!(told, Err(AddressError::Denied(_))), "{bad}: {told:?}");
    }
}

#[tokio::test]
async fn lists_open_what_is_inside_and_never_what_is_forbidden() {
    let open = guard(allowing(&["127.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "::/0"]), &[]);
    for host in ["127.0.0.1", "10.1.2.3", "[::1]", "[::ffff:10.1.2.3]"] {
        assert_eq!(open.check(&format!("http://{host}:9000/x")).await.map(drop), Ok(()), "{host}");
    }
    for host in [
        "169.254.169.254",
        "0.0.0.0",
        "[fe80::1]",
        "224.0.0.1",
        "255.255.255.255",
        "[fd20:ce::254]",
        "[fd00:ec2::254]",
        "[64:ff9b:1::7f00:1]",
    ] {
        let told = open.check(&format!("http://{host}/x")).await;
        assert!(matches!(told, Err(AddressError::Denied(_))), "{host}: {told:?}");
    }
    let narrow = guard(allowing(&["10.1.0.0/16"]), &[&["10.2.0.1"]]);
    assert!(narrow.check("http://10.2.0.1/x").await.is_err());
    assert!(narrow.check("http://inner.example/x").await.is_err());
    let named = |host: &str| Allowed { hosts: vec![host.to_owned()], ..Allowed::default() };
    let listed = guard(named("Inner.example"), &[&["10.2.0.1"]]);
    assert_eq!(listed.check("http://inner.example:9/x").await.map(drop), Ok(()));
    let port = guard(named("inner.example:9"), &[&["10.2.0.1"]]);
    assert_eq!(port.check("http://inner.example:9/x").await.map(drop), Ok(()));
    assert!(port.check("http://inner.example:10/x").await.is_err());
    let metadata = guard(named("inner.example"), &[&["169.254.169.254"]]);
    assert!(metadata.check("http://inner.example/x").await.is_err());
}

#[tokio::test]
async fn this_server_is_never_told() {
    for own in ["127.0.0.1:8000", "[::ffff:127.0.0.1]:8000"] {
        let own = Some(own.parse().expect("an address"));
        let allowed = Allowed { own, ..allowing(&["127.0.0.0/8"]) };
        let guard = guard(allowed, &[&["127.0.0.1"]]);
        for host in ["127.0.0.1:8000", "127.0.0.2:8000", "name.example:8000"] {
            let told = guard.check(&format!("http://{host}/x")).await;
            assert!(matches!(told, Err(AddressError::Denied(_))), "{host}: {told:?}");
        }
        assert_eq!(guard.check("http://127.0.0.1:8001/x").await.map(drop), Ok(()));
    }
}

#[tokio::test]
async fn a_server_that_listens_everywhere_is_not_told_at_any_address_of_the_machine() {
    let own = Some("0.0.0.0:8000".parse().expect("an address"));
    let allowed = Allowed { own, ..allowing(&["127.0.0.0/8", "10.0.0.0/8", "::1/128"]) };
    let guard = guard(allowed, &[&["127.0.0.1"]]);
    for host in ["127.0.0.1:8000", "127.0.0.2:8000", "[::1]:8000", "name.example:8000"] {
        let told = guard.check(&format!("http://{host}/x")).await;
        let is_own = matches!(&told, Err(AddressError::Denied(why)) if why.contains("itself"));
        assert!(is_own, "{host}: {told:?}");
    }
    assert_eq!(guard.check("http://127.0.0.1:8001/x").await.map(drop), Ok(()));
    // Nobody else's address, as far as this machine knows.
    assert!(!is_of_this_machine("192.0.2.1".parse().expect("an address")));
}

#[tokio::test]
async fn a_message_goes_to_what_was_judged_and_nothing_is_looked_up_again() {
    let judged = TcpListener::bind("127.0.0.2:0").await.expect("a port");
    let port = judged.local_addr().expect("an address").port();
    let other = TcpListener::bind(("127.0.0.1", port)).await.expect("the same port");
    let lookup = Scripted::new(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let guard = Egress::new(allowing(&["127.0.0.0/8"]), Arc::clone(&lookup) as _);
    let client = reqwest::Client::builder().no_proxy().dns_resolver(Arc::new(HandedOver));
    let client = client.build().expect("a client");
    let checked = guard.check(&format!("http://flip.example:{port}/x")).await.expect("allowed");
    let request = client.post(checked.url().clone()).send();
    tokio::select! {
        reached = judged.accept() => assert!(reached.is_ok()),
        _ = other.accept() => panic!("it went to an address that was not judged"),
        _ = checked.lend(request) => panic!("nobody answers"),
    }
    assert_eq!(lookup.1.load(Ordering::Relaxed), 1);
    // A request that was judged for another name, or not at all, connects to nothing.
    let checked = guard.check(&format!("http://127.0.0.1:{port}/x")).await.expect("allowed");
    for lent in [true, false] {
        let request = client.post(format!("http://flip.example:{port}/x")).send();
        let sent = if lent { checked.clone().lend(request).await } else { request.await };
        let error = sent.expect_err("it is refused");
        let mut source = std::error::Error::source(&error);
        let mut is_denied = false;
        while let Some(cause) = source {
            is_denied |= cause.downcast_ref::<Denied>().is_some();
            source = cause.source();
        }
        assert!(is_denied, "{error:?}");
    }
    assert_eq!(lookup.1.load(Ordering::Relaxed), 1);
}
