//! Source 002's contract as a terminal meets it: HTTP against the running program, each case on
//! all three deployments.
//!
//! Cases share one running program per deployment and keep apart by shops of their own; a case
//! that needs a worker to be missing starts its own (`waiting.rs`).

mod contract;
mod limits;
mod numbers;
mod prices;
mod rejected;
mod repeats;
mod waiting;

use crate::by_deployment;
use crate::ventes::{Shop, audit};
use db::Db;
use queue::{Claim, NewJob, Outcome};
use serde_json::Value;
use std::time::{Duration, Instant};
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;
use tokio::sync::OnceCell;

/// Old enough to be released from a stuck outbox; the default is another number.
pub(crate) const RELEASE_AFTER: Duration = Duration::from_secs(3_600);
pub(crate) const PATH: &str = "/api/v2/simple/ventes/sync/";
const PATIENCE: Duration = Duration::from_secs(20);

on_every_deployment! {
    by_deployment:
    contract::the_curl_of_the_source_is_answered_as_written,
    contract::the_request_of_the_source_is_answered_in_full,
    contract::what_succeeds_is_created_beside_what_fails,
    contract::an_answer_without_success_is_still_201,
    contract::both_spellings_of_the_route_answer_without_a_redirect,
    contract::a_body_that_is_no_batch_is_refused_in_the_words_of_the_source,
    prices::a_price_of_zero_is_a_price_and_no_price_is_the_articles_own,
    prices::money_is_exact_to_the_last_hundredth,
    prices::only_amounts_that_need_no_rounding_are_taken,
    numbers::generated_numbers_count_from_zero_and_errors_from_one,
    numbers::a_number_is_one_sale_of_its_shop_only,
    numbers::the_first_of_a_batch_keeps_its_number,
    repeats::a_sale_sent_again_is_a_duplicate_to_the_letter,
    repeats::a_sale_that_was_only_accepted_is_reported_once_more,
    repeats::a_stuck_outbox_is_released_after_three_duplicates,
    repeats::an_unnumbered_batch_is_one_request_until_its_answer_was_delivered,
    rejected::a_foreign_article_looks_like_an_unknown_one,
    rejected::a_refused_sale_is_kept_whole_and_closed_by_its_success,
    rejected::equal_sales_without_numbers_are_kept_apart,
    rejected::forty_buyers_share_a_stock_of_ten,
    limits::a_batch_of_several_chunks_is_accounted_for,
    limits::a_thousand_sales_are_taken_and_one_more_is_refused,
    waiting::without_a_worker_a_sale_is_pending_and_later_booked_once,
    waiting::a_sale_whose_client_left_is_reported_once_more,
    waiting::a_job_is_shown_to_its_terminal_and_to_readers_only,
}

/// The program that the cases of one deployment share, one API and one worker.
pub(crate) async fn shared(deployment: Deployment) -> &'static TestApp {
    static APPS: [OnceCell<TestApp>; 3] = [const { OnceCell::const_new() }; 3];
    let start = || async {
        let settings = [
            ("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "1000000"),
            ("RELAIS_SALES_RELEASE_AFTER_SECONDS", "3600"),
        ];
        let mut app = TestApp::on(deployment.fresh().await, &settings);
        app.start_api().await;
        app.start_worker();
        app
    };
    APPS[deployment as usize].get_or_init(start).await
}

/// A shop of one case: what its terminals send, and what the record then shows.
pub(crate) struct Case {
    pub(crate) app: &'static TestApp,
    pub(crate) db: Db,
    pub(crate) shop: Shop,
}

impl Case {
    pub(crate) async fn open(deployment: Deployment) -> Self {
        let app = shared(deployment).await;
        let db = app.stores.db().await;
        let shop = Shop::open(&db).await;
        Self { app, db, shop }
    }

    /// The serial number of its first or second terminal.
    pub(crate) fn serial(&self, terminal: usize) -> String {
        format!("s{}-{terminal}", self.shop.id)
    }

    /// Sends a batch by its first terminal.
    pub(crate) async fn send(&self, sales: &[String]) -> Answer {
        self.send_by(1, sales, "").await
    }

    /// Sends a batch by a terminal that prefers something about waiting.
    pub(crate) async fn send_by(&self, terminal: usize, sales: &[String], prefer: &str) -> Answer {
        let body = format!("[{}]", sales.join(","));
        post(self.app, PATH, &self.serial(terminal), prefer, body).await
    }

    /// Sends a batch that is only accepted, and waits until its job is done: a job of nobody's
    /// queue stands at the head of the shop's lane until the 202 has come.
    pub(crate) async fn accepted(&self, terminal: usize, sales: &[String]) -> (Answer, Value) {
        let engine = self.app.stores.engine().await;
        let queue = format!("gate-{}", self.shop.id);
        let mut gate = NewJob::new("gate", &queue, "{}");
        gate.lane = Some(format!("boutique:{}", self.shop.id));
        engine.enqueue(&[gate]).await.unwrap();
        let answer = self.send_by(terminal, sales, "respond-async").await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let claim = Claim { queue, worker: "gate".to_owned(), limit: 1, lease: PATIENCE };
        let gate = engine.claim(&claim).await.unwrap().remove(0);
        engine
            .finish(&[(gate.ticket, Outcome::Done { result: None, progress: None })])
            .await
            .unwrap();
        let job = job_done(self.app, &self.serial(terminal), &answer).await;
        (answer, job)
    }

    /// Sends one batch whose answer must be complete; returns what became of each sale.
    pub(crate) async fn outcomes(&self, sales: &[String]) -> Vec<(String, String)> {
        let answer = self.send(sales).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        outcomes(&answer.json(), sales.len())
    }

    /// The same without the numbers.
    pub(crate) async fn words(&self, sales: &[String]) -> Vec<String> {
        self.outcomes(sales).await.into_iter().map(|(_, word)| word).collect()
    }

    /// The record is consistent; ends the case.
    pub(crate) async fn close(self) {
        audit(&self.db, &self.shop).await;
        self.db.close().await;
    }
}

pub(crate) async fn post(
    app: &TestApp,
    path: &str,
    serial: &str,
    prefer: &str,
    body: String,
) -> Answer {
    let request = app.http().post(app.url(0, path)).header("X-Device-Serial", serial);
    let request = request.header("Content-Type", "application/json").timeout(PATIENCE);
    let request = if prefer.is_empty() { request } else { request.header("Prefer", prefer) };
    read(request.body(body).send().await.unwrap()).await
}

pub(crate) async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

/// What became of each sale, in the order of the request: `+` created, `+again` reported again,
/// otherwise the code. Checks I-7, accounting, and I-8, money, on the way.
pub(crate) fn outcomes(answer: &Value, sent: usize) -> Vec<(String, String)> {
    let created = answer["ventes_creees"].as_array().expect("always a list");
    let errors = answer["ventes_erreurs"].as_array().map_or(&[][..], Vec::as_slice);
    let figures = &answer["statistiques"];
    let (total, good, bad) =
        (&figures["total_envoyees"], &figures["reussies"], &figures["erreurs"]);
    assert_eq!((total, good, bad), (&sent.into(), &created.len().into(), &errors.len().into()));
    assert_eq!(created.len() + errors.len(), sent, "{answer}");
    assert_eq!(answer["ventes_erreurs"].is_null(), errors.is_empty(), "{answer}");
    assert_eq!(answer["success"], !created.is_empty(), "{answer}");
    let message = format!("{} vente(s) synchronisée(s) avec succès", created.len());
    assert_eq!(answer["message"], message);
    let number = |sale: &Value| sale["numero_facture"].as_str().expect("text").to_owned();
    let mut all: Vec<Option<(String, String)>> = vec![None; sent];
    for error in errors {
        let index = usize::try_from(error["index"].as_u64().expect("a number")).unwrap();
        let word = error["code"].as_str().expect("text").to_owned();
        let before = all[index - 1].replace((number(error), word));
        assert_eq!(before, None, "index {index} twice: {answer}");
    }
    let mut left = created.iter();
    for place in all.iter_mut().filter(|place| place.is_none()) {
        let sale = left.next().expect("as many as there are places");
        money(sale);
        let word = if sale["rejouee"] == true { "+again" } else { "+" };
        *place = Some((number(sale), word.to_owned()));
    }
    all.into_iter().flatten().collect()
}

fn money(sale: &Value) {
    let mut total = 0;
    for line in sale["lignes"].as_array().expect("a list") {
        let quantity = i128::from(line["quantite"].as_i64().expect("an integer"));
        let product = hundredths(&line["sous_total"]);
        assert_eq!(product, hundredths(&line["prix_unitaire"]) * quantity, "{sale}");
        total += product;
    }
    assert_eq!(hundredths(&sale["montant_total"]), total, "{sale}");
}

fn hundredths(money: &Value) -> i128 {
    let money = money.as_str().expect("money is text");
    let (whole, cents) = money.split_once('.').unwrap_or_else(|| panic!("`{money}`"));
    assert_eq!(cents.len(), 2, "`{money}`");
    format!("{whole}{cents}").parse().unwrap_or_else(|_| panic!("`{money}`"))
}

/// Asks for the job that an answer names until it is done.
pub(crate) async fn job_done(app: &TestApp, serial: &str, pending: &Answer) -> Value {
    let path = pending.json()["job"]
        .as_str()
        .unwrap_or_else(|| panic!("not a 202: {pending:?}"))
        .to_owned();
    let start = Instant::now();
    loop {
        let request = app.http().get(app.url(0, &path)).header("X-Device-Serial", serial);
        let job = read(request.send().await.unwrap()).await;
        assert_eq!(job.status, 200, "{}", job.text);
        let job = job.json();
        if job["done"] == true {
            return job;
        }
        assert!(start.elapsed() < PATIENCE, "not done: {job}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A sale of one line with the members given as JSON.
pub(crate) fn sale(number: &str, line: &str) -> String {
    format!(r#"{{"numero_facture":"{number}","lignes":[{{{line}}}]}}"#)
}
