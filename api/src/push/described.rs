//! The shapes of source 000 as the API's description shows them; the records have their own types.

use utoipa::ToSchema;

/// A batch of one local server.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct PushBody {
    /// One id, one batch, for ever.
    batch_id: uuid::Uuid,
    #[schema(example = 1)]
    schema_version: i64,
    /// `atomic` (default) or `per_entity`.
    mode: Option<String>,
    /// `resolve` (default: the last writer wins, both sides are kept) or `abort`.
    on_conflict: Option<String>,
    /// May only agree with the key.
    site_id: Option<i64>,
    entities: Vec<PushEntity>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct PushEntity {
    /// `reception_line` or `ticket`.
    r#type: String,
    id: uuid::Uuid,
    /// `upsert` or `delete`.
    op: String,
    updated_at: chrono::DateTime<chrono::Utc>,
    /// The version that was changed; 0 or null if none is known.
    base_version: Option<i64>,
    /// Absent in a delete.
    data: Option<PushData>,
}

/// The members of the entity's type, all of them, and no others.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) enum PushData {
    ReceptionLine(ReceptionLine),
    Ticket(PushTicket),
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct ReceptionLine {
    /// A ticket of this batch or of an earlier one.
    ticket_id: Option<uuid::Uuid>,
    #[schema(max_length = 100)]
    article_code: String,
    #[schema(max_length = 200)]
    designation: String,
    /// More than 0; a number or a text, of at most 12 digits and 6 decimals.
    #[schema(example = "12.5")]
    quantite: String,
    #[schema(max_length = 20)]
    unite: String,
    /// 0 or more.
    poids_kg: Option<String>,
    recu_le: chrono::DateTime<chrono::Utc>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct PushTicket {
    #[schema(max_length = 100)]
    numero: String,
    /// `ouvert` or `ferme`; a closed one stays as it is.
    statut: String,
    ouvert_le: chrono::DateTime<chrono::Utc>,
    /// Of a closed ticket.
    ferme_le: Option<chrono::DateTime<chrono::Utc>>,
    #[schema(max_length = 2000)]
    commentaire: Option<String>,
}

/// What became of a batch; in a 202 only `status: pending`, `batch_id`, no results and `job`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct PushAnswer {
    /// `success`, `partial`, `failed` or `pending`.
    status: String,
    batch_id: uuid::Uuid,
    mode: Option<String>,
    summary: Option<PushSummary>,
    /// One per entity, in the order of the request.
    results: Vec<PushEntityResult>,
    /// Why the batch as a whole came to nothing, if its entities are not the reason.
    error: Option<PushEntityError>,
    /// Where to follow the job.
    job: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct PushSummary {
    total: u32,
    created: u32,
    updated: u32,
    unchanged: u32,
    deleted: u32,
    conflicts: u32,
    failed: u32,
    rolled_back: u32,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct PushEntityResult {
    /// From 0.
    index: u32,
    r#type: Option<String>,
    id: Option<String>,
    /// `created`, `updated`, `unchanged`, `deleted`, `conflict`, `failed` or `rolled_back`.
    status: String,
    /// The entity's version now.
    version: Option<i64>,
    conflict: Option<PushConflict>,
    error: Option<PushEntityError>,
    /// All of them, if there is more than one.
    errors: Option<Vec<PushEntityError>>,
    /// Present if another time than `updated_at` counted.
    clock_skew: Option<bool>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct PushConflict {
    /// At `/api/v1/sync/conflicts/{id}`.
    id: uuid::Uuid,
    /// `version_mismatch`, `stale_update`, `update_vs_delete`, `delete_vs_update`, `missing_base`
    /// or `ticket-closed`.
    kind: String,
    /// `server` or `client`; null while it is open.
    resolution: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct PushEntityError {
    /// Stable, for programs: `INVALID`, `REQUIRED`, `UNKNOWN_FIELD`, `DUPLICATE_FIELD`,
    /// `DUPLICATE_ENTITY`, `UNKNOWN_TICKET`, `TICKET_IN_USE` or `INTERNAL`.
    code: String,
    message: String,
    field: Option<String>,
}
