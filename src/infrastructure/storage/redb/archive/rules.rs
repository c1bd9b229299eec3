//! What must hold of records that may have been written elsewhere: the rules that the API asks of
//! whoever makes them, and that nothing reaches from one tenant into another.
//!
//! Invariant: what is refused here could not have come about through the API of a server, so that no
//! backup of one is refused.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::super::entries::entries;
use super::super::keys::{self, Key};
use super::super::medium::OpenError;
use super::super::records::{self, Record};
use super::super::rows::bounds;
use super::super::tables::Table;
use super::export::called;
use super::hex;
use crate::domain::agent::Agent;
use crate::domain::attention::AttentionItem;
use crate::domain::field::FieldError;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::ApiKey;
use crate::domain::tenant::user::User;
use crate::domain::version::Versioned;
use crate::domain::webhook::Webhook;

/// Sessions that one can come after.
const MOST_AWAITED: usize = 10;

pub(super) type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// A record that cannot be where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Its table.
    pub(super) table: Table,
    /// Its key.
    pub(super) key: Key,
    /// What does not hold.
    pub(super) rule: String,
}

impl Misfit {
    pub(super) fn new(table: Table, key: &[u8], rule: impl Into<String>) -> Self {
        Self { table, key: key.to_vec(), rule: rule.into() }
    }

    /// Where there are no lines to name.
    pub(super) fn told(&self) -> String {
        format!("{} {}: {}", called(self.table), hex(&self.key), self.rule)
    }
}

/// Fields that walls are made of; of the others, an older version may have had other ideas.
const WALLS: [&str; 4] = ["/id", "/slug", "/is_system", "/is_system_admin"];

/// What a record of an import breaks by itself, as one text.
pub(super) fn broken(table: Table, key: &[u8], value: &[u8]) -> Option<String> {
    text(&errors(table, key, value))
}

fn text(errors: &[FieldError]) -> Option<String> {
    let one = |FieldError { pointer, message, .. }: &FieldError| format!("{pointer} {message}");
    (!errors.is_empty()).then(|| errors.iter().map(one).collect::<Vec<_>>().join("; "))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no others are made by people")]
fn errors(table: Table, key: &[u8], value: &[u8]) -> Vec<FieldError> {
    match table {
        Table::Tenants => of::<Tenant>(key, value, Tenant::check),
        Table::Users => of::<User>(key, value, User::check),
        Table::ApiKeys => of::<ApiKey>(key, value, ApiKey::check),
        Table::Webhooks => of::<Webhook>(key, value, Webhook::check),
        Table::Sessions => of::<Session>(key, value, |session| {
            session.spec.check()?;
            let is_near = session.lineage.after.len() <= MOST_AWAITED;
            if is_near { Ok(()) } else { wrong("/after", "names too many sessions") }
        }),
        Table::Agents => of::<Agent>(key, value, Agent::check),
        _ => Vec::new(),
    }
}

fn wrong(pointer: &str, rule: &str) -> Result<(), Vec<FieldError>> {
    let (pointer, message) = (pointer.to_owned(), rule.to_owned());
    Err(vec![FieldError { pointer, code: "invalid", message }])
}

/// Asks a record that can be read.
fn of<T>(
    key: &[u8],
    value: &[u8],
    check: impl FnOnce(&T) -> Result<(), Vec<FieldError>>,
) -> Vec<FieldError>
where
    Versioned<T>: Record,
{
    let found: Option<Versioned<T>> = records::open(key, value).ok();
    found.and_then(|found| check(&found.value).err()).unwrap_or_default()
}

/// Looks for a record that reaches out of its tenant, or that is led to by what belongs to another.
/// Records of use outlive their sessions, and nothing is reached through them.
/// Records that cannot be read are passed over; where there are such, what refers to them may be left.
pub(super) fn walls(
    transaction: &ReadTransaction,
    has_gaps: bool,
) -> Result<Option<Misfit>, OpenError> {
    let walls = Walls::new(transaction, has_gaps)?;
    for table in [
        Table::Tenants,
        Table::Users,
        Table::ApiKeys,
        Table::Webhooks,
        Table::Sessions,
        Table::Attention,
        Table::Deliveries,
        Table::WebhookProgress,
    ] {
        for row in open(transaction, table)?.iter().map_err(OpenError::failed)? {
            let (key, value) = row.map_err(OpenError::failed)?;
            if let Some(rule) = walls.broken(table, key.value(), value.value())? {
                return Ok(Some(Misfit::new(table, key.value(), rule)));
            }
        }
    }
    walls.doors(transaction)
}

pub(super) fn open(transaction: &ReadTransaction, table: Table) -> Result<Rows, OpenError> {
    transaction.open_table(table.definition()).map_err(OpenError::failed)
}

/// The tables that others refer to.
struct Walls {
    tenants: Vec<TenantId>,
    users: Rows,
    keys: Rows,
    sessions: Rows,
    webhooks: Rows,
    by_slug: Rows,
    by_email: Rows,
    by_secret: Rows,
    has_gaps: bool,
}

impl Walls {
    fn new(transaction: &ReadTransaction, has_gaps: bool) -> Result<Self, OpenError> {
        let mut tenants = Vec::new();
        for row in open(transaction, Table::Tenants)?.iter().map_err(OpenError::failed)? {
            tenants.extend(keys::tenant_of(row.map_err(OpenError::failed)?.0.value()));
        }
        Ok(Self {
            tenants,
            users: open(transaction, Table::Users)?,
            keys: open(transaction, Table::ApiKeys)?,
            sessions: open(transaction, Table::Sessions)?,
            webhooks: open(transaction, Table::Webhooks)?,
            by_slug: open(transaction, Table::TenantsBySlug)?,
            by_email: open(transaction, Table::UsersByEmail)?,
            by_secret: open(transaction, Table::ApiKeysBySecret)?,
            has_gaps,
        })
    }

    /// The rule that a record breaks.
    #[expect(clippy::wildcard_enum_match_arm, reason = "no others refer to anything")]
    fn broken(&self, table: Table, key: &[u8], value: &[u8]) -> Result<Option<String>, OpenError> {
        let Some(tenant) = keys::tenant_of(key) else {
            return Ok(Some("it has no tenant".to_owned()));
        };
        if matches!(table, Table::Tenants | Table::Users | Table::ApiKeys) {
            let mut own = errors(table, key, value);
            own.retain(|error| WALLS.contains(&error.pointer.as_str()));
            if let Some(rule) = text(&own) {
                return Ok(Some(rule));
            }
        }
        match table {
            Table::Tenants | Table::Users => self.led_to(table, key, value),
            Table::ApiKeys => match records::open::<Versioned<ApiKey>>(key, value) {
                Ok(found) => match self.holder(tenant, &found.value)? {
                    Some(rule) => Ok(Some(rule)),
                    None => self.led_to(table, key, value),
                },
                Err(_) => Ok(None),
            },
            Table::Sessions => match records::open::<Versioned<Session>>(key, value) {
                Ok(found) => self.family(tenant, &found.value),
                Err(_) => Ok(None),
            },
            Table::Attention => match records::open::<Versioned<AttentionItem>>(key, value) {
                Ok(found) => self.of_session(tenant, found.value.session_id),
                Err(_) => Ok(None),
            },
            Table::Deliveries | Table::WebhookProgress => {
                let webhook = key.get(16..32).and_then(|id| id.try_into().ok()).unwrap_or_default();
                if self.own(&self.webhooks, tenant, &webhook, false)? {
                    return Ok(None);
                }
                Ok(Some("its webhook belongs to another tenant".to_owned()))
            }
            _ => Ok(None),
        }
    }

    /// Whether a key acts for people of its tenant alone.
    fn holder(&self, tenant: TenantId, found: &ApiKey) -> Result<Option<String>, OpenError> {
        let is_live = found.revoked_at.is_none() && !self.has_gaps;
        if let Some(holder) = found.user_id
            && !self.own(&self.users, tenant, holder.as_bytes(), is_live)?
        {
            return Ok(Some("/user_id names nobody of its tenant".to_owned()));
        }
        if let Some(opener) = found.opened_by
            && !self.own(&self.keys, tenant, opener.key.as_bytes(), false)?
        {
            return Ok(Some("/opened_by names a key of another tenant".to_owned()));
        }
        Ok(None)
    }

    /// Whether all that a session names is its tenant's.
    fn family(&self, tenant: TenantId, session: &Session) -> Result<Option<String>, OpenError> {
        let lineage = &session.lineage;
        let source = lineage.forked_from.map(|(source, _)| source);
        let named = [("/parent_id", lineage.parent_id), ("/forked_from", source)];
        let named = named.into_iter().filter_map(|(field, id)| Some((field, id?)));
        let awaited = lineage.after.iter().map(|id| ("/after", *id));
        let met = session.run.met.iter().map(|id| ("/met", *id));
        for (field, id) in named.chain(awaited).chain(met) {
            if !self.own(&self.sessions, tenant, id.as_bytes(), false)? {
                return Ok(Some(format!("{field} names a session of another tenant")));
            }
        }
        Ok(None)
    }

    fn of_session(&self, tenant: TenantId, id: SessionId) -> Result<Option<String>, OpenError> {
        if self.own(&self.sessions, tenant, id.as_bytes(), false)? {
            return Ok(None);
        }
        Ok(Some("/session_id names a session of another tenant".to_owned()))
    }

    /// Whether what is named is the tenant's. What is not there at all was removed since, and is
    /// nobody's, unless it has to be there.
    fn own(
        &self,
        rows: &Rows,
        tenant: TenantId,
        id: &[u8; 16],
        has_to: bool,
    ) -> Result<bool, OpenError> {
        let is_there = |tenant: &TenantId| {
            let key = [tenant.as_bytes().as_slice(), id.as_slice()].concat();
            rows.get(key.as_slice()).map(|found| found.is_some()).map_err(OpenError::failed)
        };
        if is_there(&tenant)? {
            return Ok(true);
        }
        for other in self.tenants.iter().filter(|other| **other != tenant) {
            if is_there(other)? {
                return Ok(false);
            }
        }
        Ok(!has_to)
    }

    /// Whether what is looked up leads to this record.
    #[expect(clippy::wildcard_enum_match_arm, reason = "others are not looked up without a tenant")]
    fn led_to(&self, table: Table, key: &[u8], value: &[u8]) -> Result<Option<String>, OpenError> {
        // A record that cannot be read is counted elsewhere.
        for (into, name, expected) in entries(table, key, value).unwrap_or_default() {
            let rows = match into {
                Table::TenantsBySlug => &self.by_slug,
                Table::UsersByEmail => &self.by_email,
                Table::ApiKeysBySecret => &self.by_secret,
                _ => continue,
            };
            let found = rows.get(name.as_slice()).map_err(OpenError::failed)?;
            if found.is_none_or(|found| found.value() != expected.as_slice()) {
                return Ok(Some(format!("{} leads elsewhere", called(into))));
            }
            if into == Table::ApiKeysBySecret && self.is_shared(&name)? {
                return Ok(Some("another key has the same secret".to_owned()));
            }
        }
        Ok(None)
    }

    /// Whether a secret opens more than one door.
    fn is_shared(&self, name: &[u8]) -> Result<bool, OpenError> {
        let Some(hash) = name.first_chunk::<32>() else { return Ok(false) };
        let span = keys::api_keys_by_secret(hash);
        let found = self.by_secret.range::<&[u8]>(bounds(&span)).map_err(OpenError::failed)?;
        Ok(found.take(2).count() > 1)
    }

    /// Whether there are more names than tenants and people.
    fn doors(&self, transaction: &ReadTransaction) -> Result<Option<Misfit>, OpenError> {
        if self.has_gaps {
            return Ok(None);
        }
        for (named, by, names) in [
            (Table::Tenants, Table::TenantsBySlug, &self.by_slug),
            (Table::Users, Table::UsersByEmail, &self.by_email),
        ] {
            let count = open(transaction, named)?.len().map_err(OpenError::failed)?;
            if names.len().map_err(OpenError::failed)? != count {
                let rule = format!("has more names than there are {}", called(named));
                return Ok(Some(Misfit::new(by, &[], rule)));
            }
        }
        Ok(None)
    }
}
