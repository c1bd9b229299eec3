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
