//! Conflicts of local servers as people and programs read them.

use super::json::{raw, text};
use super::{aligned, indented, shown, span, time};
use chrono::{DateTime, Utc};
use records::push::conflicts::Conflict;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// One line per conflict.
pub(crate) fn conflicts(conflicts: &[Conflict], now: DateTime<Utc>) -> String {
    let head = ["ID", "SITE", "TYPE", "ENTITY", "KIND", "STATUS", "SEEN", "AGE", "FIELDS"];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(conflicts.iter().map(|conflict| {
        [
            conflict.id.to_string(),
            conflict.site_id.to_string(),
            conflict.entity.as_str().to_owned(),
            conflict.entity_id.to_string(),
            shown(&conflict.kind),
            status(conflict),
            conflict.seen.to_string(),
            span(now - conflict.created_at),
            fields(conflict),
        ]
    }));
    aligned(&lines)
}

fn status(conflict: &Conflict) -> String {
    match &conflict.resolution {
        Some(side) => format!("{}, {}", conflict.status, shown(side)),
        None => conflict.status.clone(),
    }
}

fn fields(conflict: &Conflict) -> String {
    let names: Vec<String> = serde_json::from_str(&conflict.fields).unwrap_or_default();
    if names.is_empty() { "-".to_owned() } else { shown(&names.join(",")) }
}

/// One conflict with both its sides.
pub(crate) fn conflict(conflict: &Conflict) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<10}{value}"));
    line("conflict", conflict.id.to_string());
    line("site", conflict.site_id.to_string());
    line("entity", format!("{} {}", conflict.entity.as_str(), conflict.entity_id));
    line("kind", format!("{}, strategy {}", shown(&conflict.kind), shown(&conflict.strategy)));
    line("status", status(conflict));
    if let (Some(by), Some(at)) = (&conflict.resolved_by, conflict.resolved_at) {
        line("decided", format!("by {} at {}", shown(by), time(at)));
    }
    line("seen", format!("{} ×, last at {}", conflict.seen, time(conflict.seen_at)));
    line("differ in", fields(conflict));
    let side = |json: &Option<String>| json.as_deref().map_or_else(|| "-".to_owned(), indented);
    line("base", side(&conflict.base));
    line("server", side(&conflict.server));
    line("client", format!("({}) {}", shown(&conflict.client_op), side(&conflict.client)));
    if conflict.resolved_version.is_some() {
        line("merged", side(&conflict.resolved_version));
    }
    lines.join("\n")
}

/// A conflict for programs: the members of `GET /api/v1/sync/conflicts`.
#[derive(Serialize)]
struct Shown<'a> {
    id: Uuid,
    site_id: i64,
    entity_type: &'static str,
    entity_id: Uuid,
    kind: &'a str,
    strategy: &'a str,
    status: &'a str,
    resolution: Option<&'a str>,
    base_version: Option<i64>,
    base: Option<Box<RawValue>>,
    server: Option<Box<RawValue>>,
    server_rev: Option<i64>,
    client_op: &'a str,
    client: Option<Box<RawValue>>,
    client_updated_at: DateTime<Utc>,
    fields: Box<RawValue>,
    merged: Option<Box<RawValue>>,
    result_rev: Option<i64>,
    resolved_by: Option<&'a str>,
    resolved_at: Option<DateTime<Utc>>,
    seen: i64,
    seen_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

impl<'a> Shown<'a> {
    fn of(conflict: &'a Conflict) -> Self {
        let json = |text: &Option<String>| text.as_deref().map(raw);
        Self {
            id: conflict.id,
            site_id: conflict.site_id,
            entity_type: conflict.entity.as_str(),
            entity_id: conflict.entity_id,
            kind: &conflict.kind,
            strategy: &conflict.strategy,
            status: &conflict.status,
            resolution: conflict.resolution.as_deref(),
            base_version: conflict.base_version,
            base: json(&conflict.base),
            server: json(&conflict.server),
            server_rev: conflict.server_rev,
            client_op: &conflict.client_op,
            client: json(&conflict.client),
            client_updated_at: conflict.client_updated_at,
            fields: raw(&conflict.fields),
            merged: json(&conflict.resolved_version),
            result_rev: conflict.result_rev,
            resolved_by: conflict.resolved_by.as_deref(),
            resolved_at: conflict.resolved_at,
            seen: conflict.seen,
            seen_at: conflict.seen_at,
            created_at: conflict.created_at,
        }
    }
}

/// One JSON array of conflicts.
pub(crate) fn conflicts_json(conflicts: &[Conflict]) -> String {
    text(&conflicts.iter().map(Shown::of).collect::<Vec<_>>())
}

/// One JSON object.
pub(crate) fn conflict_json(conflict: &Conflict) -> String {
    text(&Shown::of(conflict))
}
