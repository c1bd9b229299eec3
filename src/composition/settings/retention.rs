//! `[retention]`: how long things are kept.

use std::time::Duration;

use super::reader::Reader;
use crate::application::daily::{Kept, LEAP};

/// `[retention]`
#[derive(Debug, Clone, Copy)]
pub struct RetentionSettings(pub Kept);

impl RetentionSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut days = |key| {
            let days = reader.number(key, 0..=36_500);
            (days > 0).then(|| Duration::from_hours(24 * u64::from(days)))
        };
        Self(Kept {
            sessions: days("retention.sessions_days"),
            deleted_sessions: days("retention.deleted_sessions_days"),
            events: days("retention.events_days"),
            audit: days("retention.audit_days"),
            set_aside: days("retention.damaged_days"),
            leap: LEAP,
        })
    }
}
