//! Answers remembered for repeated requests.

use serde::{Deserialize, Serialize};

use super::{Blob, Payload, Record, Unreadable, Unstorable};
use crate::application::ports::changes::Remembered;
use crate::domain::time::Timestamp;
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct RememberedV1 {
    key: [u8; 32],
    fingerprint: [u8; 32],
    status: u16,
    headers: Vec<(String, String)>,
    body: Blob,
    expires_at: i64,
}

impl Record for Remembered {
    const KIND: u8 = 10;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self { key, fingerprint, status, headers, body, expires_at } = self.clone();
        let (body, expires_at) = (Blob(body), expires_at.millis());
        Ok(codec::encode(&RememberedV1 { key, fingerprint, status, headers, body, expires_at })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let RememberedV1 { key, fingerprint, status, headers, body: Blob(body), expires_at } =
            payload.parse(1)?;
        let expires_at = Timestamp::from_millis(expires_at);
        Ok(Self { key, fingerprint, status, headers, body, expires_at })
    }
}
