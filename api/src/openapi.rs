//! The API's description: OpenAPI 3.1 at `/openapi.json`, rendered at `/docs/` from assets that
//! are part of the binary. It lists every route that is served; a test compares the two.

use crate::{Route, State};
use axum::Json;
use axum::Router;
use axum::http::{HeaderValue, header};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

#[derive(OpenApi)]
#[openapi(
    info(title = "Relais", description = "Sales in, answers out; everything between is a job."),
    paths(
        crate::ventes::push, crate::push::push, crate::push::conflicts::list,
        crate::push::conflicts::show, crate::push::resolve::resolve,
        crate::push::history::versions,
        crate::ventes::look::history, crate::ventes::look::figures,
        crate::ventes::look::rejected,
        crate::nas::status::status, crate::nas::status::config, crate::nas::test::test,
        crate::nas::run::run, crate::nas::single::single,
        crate::documents::upload::upload, crate::documents::read::list,
        crate::documents::read::show, crate::documents::remove::remove,
        crate::jobs::list::list, crate::jobs::put::envelope, crate::jobs::put::by_kind,
        crate::jobs::show::show, crate::jobs::show::logs, crate::jobs::why::why,
        crate::jobs::act::cancel, crate::jobs::act::retry, crate::jobs::act::delete,
        crate::jobs::bulk::bulk,
        crate::queues::list, crate::queues::show, crate::pauses::list, crate::pauses::pause_queue,
        crate::pauses::resume_queue, crate::pauses::pause_kind, crate::pauses::resume_kind,
        crate::workers::list, crate::dead::list, crate::dead::requeue,
        crate::dead::requeue_by_suffix, crate::dead::requeue_many, crate::events::follow,
        crate::feed::listen, crate::schedules::list, crate::schedules::create,
        crate::schedules::show, crate::schedules::replace, crate::schedules::remove,
        crate::schedules::pause, crate::schedules::resume, crate::schedules::trigger,
        crate::schedules::preview, crate::schedules::try_out, crate::schedules::ticks,
        crate::health::live, crate::health::ready,
        crate::health::metrics, describe,
    ),
    modifiers(&Credentials, &WithoutSlash),
    tags(
        (name = "ventes", description = "Sales of the shops' terminals"),
        (name = "sync", description = "What local servers push, and its conflicts"),
        (name = "nas", description = "Documents, and their way to the file server"),
        (name = "jobs", description = "What was accepted, and what became of it"),
        (name = "queues", description = "For operators: queues, pauses, workers, dead jobs"),
        (name = "schedules", description = "What is put in at set times"),
        (name = "health", description = "For those who watch over the process"),
    )
)]
struct Description;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for (name, header) in [("terminal", "X-Device-Serial"), ("key", "X-API-Key")] {
            let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(header)));
            components.add_security_scheme(name, scheme);
        }
    }
}

/// The routes of the sales contract are served with and without their last slash (C-14).
struct WithoutSlash;

impl Modify for WithoutSlash {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let paths = &mut openapi.paths.paths;
        let twins: Vec<_> = paths.iter().filter(|(path, _)| path.ends_with('/')).collect();
        let twins: Vec<_> = twins
            .into_iter()
            .map(|(path, item)| {
                let mut item = item.clone();
                for operation in [&mut item.post, &mut item.get].into_iter().flatten() {
                    operation.operation_id =
                        operation.operation_id.as_ref().map(|id| format!("{id}_without_slash"));
                }
                (path.trim_end_matches('/').to_owned(), item)
            })
            .collect();
        paths.extend(twins);
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get("/openapi.json", describe)]
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "health", responses((status = 200, description = "OpenAPI 3.1")))]
pub(crate) async fn describe() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}

/// The rendered page. Its policy allows what its own assets need and nothing from elsewhere.
pub(crate) fn page() -> Router<State> {
    let page: Router<State> = SwaggerUi::new("/docs").config(Config::from("/openapi.json")).into();
    page.layer(axum::middleware::map_response(|mut response: axum::response::Response| async {
        let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      object-src 'none'; frame-ancestors 'none'; base-uri 'none'";
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        response
    }))
}

/// A sale as a terminal sends it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct Vente {
    /// Unique in the shop; made up if absent.
    #[schema(example = "VENTE-001", max_length = 100)]
    numero_facture: Option<String>,
    /// `CASH` (default), `MOBILE_MONEY` or `CARTE`.
    #[schema(example = "CASH")]
    mode_paiement: Option<String>,
    /// Default `true`.
    paye: Option<bool>,
    /// When it was made; else when it arrived.
    date_vente: Option<chrono::DateTime<chrono::Utc>>,
    lignes: Vec<LigneVente>,
}

/// One line of a sale.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct LigneVente {
    #[schema(example = 6)]
    article_id: i64,
    /// Default 1.
    #[schema(example = 1, minimum = 1)]
    quantite: Option<i64>,
    /// At most two decimals; default is the article's price.
    #[schema(value_type = Option<f64>, example = 40000)]
    prix_unitaire: Option<String>,
}

/// The answer of the sales contract.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct SyncAnswer {
    success: bool,
    message: String,
    boutique_id: i64,
    boutique_nom: String,
    terminal: String,
    statistiques: Statistiques,
    ventes_creees: Vec<VenteCreee>,
    ventes_erreurs: Option<Vec<VenteErreur>>,
    /// Only in a 202: `EN_COURS`.
    statut: Option<String>,
    /// Only in a 202: where to follow the job.
    job: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct Statistiques {
    total_envoyees: u32,
    reussies: u32,
    erreurs: u32,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct VenteCreee {
    numero_facture: String,
    /// Two decimals.
    #[schema(example = "40000.00")]
    montant_total: String,
    lignes: Vec<LigneCreee>,
    /// Present if the sale was made by an earlier request whose answer never arrived.
    rejouee: Option<bool>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct LigneCreee {
    article_nom: String,
    quantite: i64,
    prix_unitaire: String,
    sous_total: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the record has its own type")]
pub(crate) struct VenteErreur {
    /// From 1.
    index: u32,
    numero_facture: Option<String>,
    erreur: String,
    /// Stable, for programs.
    code: String,
}
