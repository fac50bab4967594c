//! What terminals may look at (D-36): the sales of their shop, its figures, and the sales that were
//! refused. The shop is that of the credentials; another one in the query is refused, not shown.

use crate::auth::Till;
use crate::error::{ApiError, Problem};
use crate::server::Peer;
use crate::{Route, State, gate};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State as FromState};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{Days, NaiveDate};
use db::Tx;
use records::ventes::days::{self, Span};
use records::ventes::history::{self, Place, Wanted};
use records::ventes::{
    Boutique, RejectedSale, figures as shop_figures, money, rejections, scope, texts,
};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

const HISTORY: &str = "/api/v2/simple/ventes/historique/";
const FIGURES: &str = "/api/v2/simple/statistiques/";
const REJECTED: &str = "/api/v2/simple/ventes/rejetees/";
/// Sales of one page.
const MAX_SALES: u32 = 500;
/// Refused sales of one page: they are shown whole.
const MAX_REJECTED: u32 = 100;
const USUAL: u32 = 50;
/// A page of history is larger than what a store is asked elsewhere.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Vec<Route> {
    let bare = |path: &'static str| path.trim_end_matches('/');
    vec![
        Route::get(HISTORY, history),
        Route::get(bare(HISTORY), history),
        Route::get(FIGURES, figures),
        Route::get(bare(FIGURES), figures),
        Route::get(REJECTED, rejected),
        Route::get(bare(REJECTED), rejected),
    ]
}

type Asked = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// The sales of the terminal's shop, newest first.
#[utoipa::path(
    get, path = "/api/v2/simple/ventes/historique/", tag = "ventes",
    params(
        ("X-Device-Serial" = String, Header, description = "the terminal's serial number"),
        ("date_debut" = Option<String>, Query, description = "first day, `AAAA-MM-JJ` in the shop's time zone"),
        ("date_fin" = Option<String>, Query, description = "last day"),
        ("limit" = Option<u32>, Query, description = "1 to 500, usually 50"),
        ("before" = Option<String>, Query, description = "`suivant` of the page before"),
        ("boutique_id" = Option<i64>, Query, description = "nothing but the terminal's own shop is allowed"),
    ),
    responses(
        (status = 200, description = "`statistiques` are of all the days asked for, `ventes` one page of them; `suivant` leads to the next", body = Object),
        (status = 400, description = "no serial, or no shop", body = Problem),
        (status = 403, description = "another shop", body = Problem),
        (status = 404, description = "unknown or inactive terminal", body = Problem),
        (status = 422, description = "a parameter is wrong", body = Problem),
        (status = 429, description = "too many requests", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn history(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    asked: Asked,
    headers: HeaderMap,
) -> Response {
    show(&state, peer, &headers, asked, HISTORY, async |shop, query, tx| {
        let zone = days::zone(&shop.fuseau);
        let (first, last) = (query.day("date_debut")?, query.day("date_fin")?);
        let wanted = Wanted {
            from: first.map(|day| days::begins(zone, day)),
            until: last
                .and_then(|day| Some(days::begins(zone, day.checked_add_days(Days::new(1))?))),
            before: query.parsed("before", texts::WRONG_PLACE, Place::parse)?,
            limit: query.limit(MAX_SALES)?,
        };
        let all = Span::ALL;
        let span = Span { first: first.unwrap_or(all.first), last: last.unwrap_or(all.last) };
        let sold = days::turnover(tx, shop.id, span).await?;
        let page = history::page(tx, shop.id, &wanted).await?;
        Ok(json!({
            "success": true,
            "boutique_id": shop.id,
            "boutique_nom": shop.nom,
            "statistiques": {
                "total_ventes": sold.nombre,
                "chiffre_affaires": money::print(sold.chiffre_affaires),
            },
            "count": page.ventes.len(),
            "ventes": page.ventes,
            "suivant": page.next,
        }))
    })
    .await
}

/// The figures of the terminal's shop.
#[utoipa::path(
    get, path = "/api/v2/simple/statistiques/", tag = "ventes",
    params(
        ("X-Device-Serial" = String, Header, description = "the terminal's serial number"),
        ("boutique_id" = Option<i64>, Query, description = "nothing but the terminal's own shop is allowed"),
    ),
    responses(
        (status = 200, description = "articles, sales of the day and of the month in the shop's time zone, what waits for a person", body = Object),
        (status = 400, description = "no serial, or no shop", body = Problem),
        (status = 403, description = "another shop", body = Problem),
        (status = 404, description = "unknown or inactive terminal", body = Problem),
        (status = 422, description = "a parameter is wrong", body = Problem),
        (status = 429, description = "too many requests", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn figures(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    asked: Asked,
    headers: HeaderMap,
) -> Response {
    show(&state, peer, &headers, asked, FIGURES, async |shop, _, tx| {
        let low = state.settings.low_stock;
        let figures = shop_figures(tx, shop, low, queue::clock::now()).await?;
        Ok(json!({
            "success": true,
            "boutique": {"id": shop.id, "nom": shop.nom, "fuseau": shop.fuseau},
            "statistiques": figures,
        }))
    })
    .await
}

/// Sales of the terminal's shop that were refused and that nobody has dealt with, newest first.
#[utoipa::path(
    get, path = "/api/v2/simple/ventes/rejetees/", tag = "ventes",
    params(
        ("X-Device-Serial" = String, Header, description = "the terminal's serial number"),
        ("toutes" = Option<bool>, Query, description = "`true`: also those that were dealt with, or succeeded since"),
        ("limit" = Option<u32>, Query, description = "1 to 100, usually 50"),
        ("before" = Option<i64>, Query, description = "`suivant` of the page before"),
        ("boutique_id" = Option<i64>, Query, description = "nothing but the terminal's own shop is allowed"),
    ),
    responses(
        (status = 200, description = "each with its reason and as it was sent", body = Object),
        (status = 400, description = "no serial, or no shop", body = Problem),
        (status = 403, description = "another shop", body = Problem),
        (status = 404, description = "unknown or inactive terminal", body = Problem),
        (status = 422, description = "a parameter is wrong", body = Problem),
        (status = 429, description = "too many requests", body = Problem),
        (status = 503, description = "the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn rejected(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    asked: Asked,
    headers: HeaderMap,
) -> Response {
    show(&state, peer, &headers, asked, REJECTED, async |shop, query, tx| {
        let all = query.parsed("toutes", texts::WRONG_FLAG, |text| text.parse().ok())?;
        let before = query.parsed("before", texts::WRONG_PLACE, |text| text.parse().ok())?;
        let limit = query.limit(MAX_REJECTED)?;
        let (sales, next) = rejections(tx, shop.id, all.unwrap_or_default(), before, limit).await?;
        let (boutique_id, boutique_nom, count) = (shop.id, shop.nom.clone(), sales.len());
        let (success, ventes, suivant) = (true, sales, next);
        Ok(Refusals { success, boutique_id, boutique_nom, count, ventes, suivant })
    })
    .await
}

/// Written as it is: what a terminal sent may hold numbers and texts that no value here can.
#[derive(Serialize)]
struct Refusals {
    success: bool,
    boutique_id: i64,
    boutique_nom: String,
    count: usize,
    ventes: Vec<RejectedSale>,
    suivant: Option<i64>,
}

/// Credentials, limits and the shop, then what `look` finds.
async fn show<L, T: Serialize>(
    state: &State,
    peer: Peer,
    headers: &HeaderMap,
    asked: Asked,
    route: &'static str,
    look: L,
) -> Response
where
    L: AsyncFnOnce(&Boutique, &Parameters, &mut Tx) -> Result<T, ApiError>,
{
    let (pass, till) = gate::enter_till(state, peer, headers, route).await;
    let answer = async {
        let Till { boutique, .. } = till?;
        let Query(query) = asked.map_err(|wrong| ApiError::Invalid(wrong.body_text()))?;
        let query = Parameters(query);
        if gate::names_other(&query.0, "boutique_id", boutique.id) {
            return Err(ApiError::ForeignShop);
        }
        let found = async {
            let mut tx = state.engine.db().begin_reading().await?;
            scope(&mut tx, boutique.id).await?;
            look(&boutique, &query, &mut tx).await
        };
        let found = timeout(PATIENCE, found).await??;
        Ok(Json(found).into_response())
    };
    pass.leave(answer.await)
}

/// The query; members that are not known are ignored, an empty one counts as absent.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(each, value)| each == name && !value.trim().is_empty());
        found.map(|(_, value)| value.trim())
    }

    fn parsed<T>(
        &self,
        name: &str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let wrong = || ApiError::Invalid(format!("{name}: {allowed}"));
        self.get(name).map(|text| parse(text).ok_or_else(wrong)).transpose()
    }

    fn day(&self, name: &str) -> Result<Option<NaiveDate>, ApiError> {
        self.parsed(name, texts::WRONG_DAY, |text| {
            (text.len() == 10).then(|| text.parse().ok()).flatten()
        })
    }

    fn limit(&self, max: u32) -> Result<u32, ApiError> {
        let within = |text: &str| text.parse().ok().filter(|limit| (1..=max).contains(limit));
        Ok(self.parsed("limit", &texts::wrong_limit(max), within)?.unwrap_or(USUAL))
    }
}
