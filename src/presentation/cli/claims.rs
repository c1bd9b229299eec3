//! What can be claimed of a chain of the audit that somebody verifies elsewhere.
//!
//! Invariant: nothing is claimed of entries that are not there, and with a signer named, nothing that
//! this signer does not vouch for. What it does not vouch for yet is named.

use serde_json::{Value, json};

use super::format::plain;
use crate::domain::audit::tail::Tail;

/// What was found of a file, with what may not be claimed of it.
pub(super) fn claimed(mut verdict: Value, tail: &Tail, names_signer: bool) -> Value {
    let first = verdict["first"].as_u64().unwrap_or(1);
    let unsigned = tail.first();
    verdict["complete"] = json!(first == 1);
    verdict["unsigned_from"] = json!(unsigned.map(|(seq, _)| seq));
    verdict["unsigned_since"] = json!(unsigned.map(|(_, at)| at));
    let problem = if names_signer && verdict["signed_by"].is_null() {
        Some("no entry is signed with that key: all of them may have been written anew".to_owned())
    } else if !names_signer && first != 1 {
        let text =
            "it begins with entry {first}, and no signer is named who vouches for those before";
        Some(text.replace("{first}", &first.to_string()))
    } else {
        None
    };
    let is_intact = verdict["intact"].as_bool() == Some(true);
    let problem = problem.filter(|_| is_intact);
    verdict["intact"] = json!(is_intact && problem.is_none());
    if let Some(problem) = problem {
        verdict["problem"] = json!(problem);
    }
    verdict
}

/// The same in lines: what is not there, and what is not signed yet.
pub(super) fn lines(verdict: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let first = verdict["first"].as_u64().unwrap_or(1);
    if verdict["complete"].as_bool() == Some(false) {
        let before = first.saturating_sub(1);
        lines.push(format!("it begins with entry {first}: entries 1 to {before} are not here"));
    }
    if let Some(from) = verdict["unsigned_from"].as_u64() {
        let last = (first + verdict["entries"].as_u64().unwrap_or(0)).saturating_sub(1);
        let since = plain(&verdict["unsigned_since"]);
        lines.push(format!(
            "entries {from} to {last} are not signed yet, the oldest of them is of {since}"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn tail(from: u64, to: u64, vouched: Option<u64>) -> Tail {
        let mut tail = Tail::default();
        for seq in from..=to {
            let vouched = vouched.filter(|vouched| seq > *vouched);
            tail.follow(seq, Timestamp::from_millis(i64::try_from(seq).expect("small")), vouched);
        }
        tail
    }

    fn found(first: u64, entries: u64, signed: Option<u64>) -> Value {
        let key = signed.map(|_| "ab".repeat(32));
        json!({
            "intact": true, "entries": entries, "first": first, "head": "00", "first_bad": null,
            "signed_up_to": signed, "signed_by": key,
        })
    }

    #[test]
    fn a_named_signer_has_to_vouch_and_what_it_does_not_sign_is_named() {
        let unsigned = claimed(found(1, 5, None), &tail(1, 5, None), true);
        assert_eq!((&unsigned["intact"], &unsigned["complete"]), (&json!(false), &json!(true)));
        assert!(unsigned["problem"].as_str().is_some_and(|text| text.contains("that key")));
        let anybody = claimed(found(1, 5, None), &tail(1, 5, None), false);
        assert_eq!((&anybody["intact"], &anybody["unsigned_from"]), (&json!(true), &json!(1)));
        let signed = claimed(found(1, 9, Some(4)), &tail(1, 9, Some(4)), true);
        assert_eq!((&signed["intact"], &signed["unsigned_from"]), (&json!(true), &json!(6)));
        assert_eq!(
            lines(&signed),
            [
                "entries 6 to 9 are not signed yet, the oldest of them is of 1970-01-01T00:00:00.006Z"
            ]
        );
    }

    #[test]
    fn a_beginning_that_is_not_there_is_told_and_needs_a_signer() {
        let cut = claimed(found(90, 31, Some(119)), &tail(90, 120, Some(119)), true);
        assert_eq!((&cut["intact"], &cut["complete"]), (&json!(true), &json!(false)));
        assert_eq!(lines(&cut), ["it begins with entry 90: entries 1 to 89 are not here"]);
        let cut = claimed(found(90, 31, Some(119)), &tail(90, 120, Some(119)), false);
        assert_eq!(cut["intact"], json!(false));
        assert!(cut["problem"].as_str().is_some_and(|text| text.contains("entry 90")));
    }
}
