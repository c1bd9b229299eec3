//! Where a server listens when nothing is said: on this machine, by all of its names, and nowhere else.

use std::collections::{BTreeSet, HashSet};
use std::net::{Ipv6Addr, TcpListener};

use crate::support::server::Site;

/// Addresses that a process listens on, as the kernel writes them.
fn listened_on(pid: i32) -> BTreeSet<String> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    let sockets: HashSet<String> = open
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter_map(|link| {
            let name = link.to_str()?.strip_prefix("socket:[")?;
            Some(name.strip_suffix(']')?.to_owned())
        })
        .collect();
    let tables = ["tcp", "tcp6"]
        .map(|name| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.filter_map(|row| {
        let words: Vec<&str> = row.split_whitespace().collect();
        let is_its = words[3] == "0A" && sockets.contains(words[9]);
        is_its.then(|| words[1].to_owned())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_listens_on_the_loopback_of_both_families_and_nowhere_else() {
    let site = Site::simulated();
    let server = site.serve().await;
    let port: u16 = server.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("one");
    let mut wanted = BTreeSet::from([format!("0100007F:{port:04X}")]);
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        wanted.insert(format!("00000000000000000000000001000000:{port:04X}"));
        for host in ["[::1]", "localhost"] {
            let answer = server.http.get(format!("http://{host}:{port}/health")).send().await;
            assert_eq!(answer.expect("an answer").status().as_u16(), 200, "{host}");
        }
    }
    assert_eq!(listened_on(server.pid().as_raw_nonzero().get()), wanted);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_under_localhost_is_told_of() {
    let Ok(other) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else { return };
    let port = other.local_addr().expect("an address").port();
    let site = Site::simulated().with("LISTEN", &format!("127.0.0.1:{port}"));
    let server = site.serve().await;
    let health = server.http.get(format!("http://127.0.0.1:{port}/health")).send().await;
    assert_eq!(health.expect("an answer").status().as_u16(), 200);
    assert!(site.log().contains(&format!("[::1]:{port} is taken")), "{}", site.log());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_the_named_address_alone_is_listened_on() {
    let site = Site::simulated().with("SERVER__BEHIND_PROXY", "127.0.0.1");
    let server = site.serve().await;
    assert_eq!(listened_on(server.pid().as_raw_nonzero().get()).len(), 1);
    server.stop().await;
}
