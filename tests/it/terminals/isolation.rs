//! Shops know nothing of each other (D-50, I-20): by the scope of every statement, by the schema,
//! and on PostgreSQL by row-level security.

use super::{get, send};
use crate::sales::{Case, outcomes, sale};
use crate::ventes::{Shop, stock};
use db::{Db, Sql, args};
use records::ventes::scope;
use serde_json::{Value, json};
use tests::app::TestApp;
use tests::stores::{Deployment, Stores};

/// D-50: a line, a movement or an alert of one shop cannot belong to a sale or an article of
/// another one, whoever writes it.
pub(super) async fn a_line_across_shops_is_impossible(deployment: Deployment) {
    static SALE: Sql = Sql::both("SELECT id FROM ventes WHERE boutique_id = $1");
    static LINE: Sql = Sql::both(
        "INSERT INTO lignes_vente (vente_id, boutique_id, rang, article_id, article_nom, quantite, \
         prix_unitaire) VALUES ($1, $2, 7, $3, 'x', 1, 1)",
    );
    static MOVEMENT: Sql = Sql::both(
        "INSERT INTO mouvements_stock (vente_id, boutique_id, rang, article_id, type, quantite, \
         stock_avant, stock_apres, reference, terminal_id, date_mouvement) \
         VALUES ($1, $2, 7, $3, 'VENTE', -1, 1, 0, 'x', $4, {now})",
    );
    static ALERT: Sql = Sql::both(
        "INSERT INTO alertes_stock (vente_id, boutique_id, article_id, terminal_id, \
         numero_facture, stock_demande, stock_disponible, creee_le) \
         VALUES ($1, $2, $3, $4, 'x', 1, 0, {now})",
    );
    static UNDO: [Sql; 3] = [
        Sql::both("DELETE FROM lignes_vente WHERE rang = 7 AND boutique_id = $1"),
        Sql::both("DELETE FROM mouvements_stock WHERE rang = 7 AND boutique_id = $1"),
        Sql::both("DELETE FROM alertes_stock WHERE boutique_id = $1"),
    ];
    let (case, other) = (Case::open(deployment).await, Case::open(deployment).await);
    for case in [&case, &other] {
        let one = sale("V-1", &format!(r#""article_id":{}"#, case.shop.a));
        assert_eq!(case.words(&[one]).await, ["+"]);
    }
    let db = &case.db;
    let row = db.read_one(&SALE, args![case.shop.id]).await.unwrap().unwrap();
    let id: i64 = row.get("id").unwrap();
    let (own, foreign, terminal) = (&case.shop, &other.shop, case.shop.terminal);
    // (shop, article): only the sale's own are possible.
    let table = [(own.id, own.a, true), (own.id, foreign.a, false), (foreign.id, foreign.a, false)];
    for (shop, article, possible) in table {
        let with_terminal = || args![id, shop, article, terminal];
        let line = db.execute(&LINE, args![id, shop, article]).await;
        let movement = db.execute(&MOVEMENT, with_terminal()).await;
        let alert = db.execute(&ALERT, with_terminal()).await;
        let done = [line.is_ok(), movement.is_ok(), alert.is_ok()];
        assert_eq!(done, [possible; 3], "{shop} {article}: {line:?} {movement:?} {alert:?}");
    }
    for undo in &UNDO {
        db.execute(undo, args![own.id]).await.unwrap();
    }
    case.close().await;
    other.close().await;
}

/// What a shop hears of one course of events, without what names it.
async fn transcript(case: &Case, other: &Shop) -> Vec<String> {
    let (serial, shop) = (case.serial(1), &case.shop);
    let line = |article: i64| format!(r#""article_id":{article}"#);
    let mut heard = Vec::new();
    for (first, second) in [(shop.a, other.a), (shop.b, 999_999_999_999), (shop.a, 1)] {
        let foreign = format!(r#""numero_facture":"V-3","boutique_id":{}"#, other.id);
        let sent = [
            sale("V-1", &line(first)),
            sale("V-2", &line(second)),
            format!(r#"{{{foreign},"lignes":[{{{}}}]}}"#, line(shop.a)),
        ];
        let answer = send(case.app, &serial, &[], &sent).await;
        assert_eq!(outcomes(&answer.json(), 3).len(), 3);
        heard.push(answer.text.replace(&format!("Article {second} "), "Article # "));
    }
    for path in ["ventes/historique/", "ventes/rejetees/", "statistiques/"] {
        let answer = get(case.app, &serial, &format!("/api/v2/simple/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        heard.push(answer.text);
    }
    let own = |text: String| {
        let text = text.replace(&shop.a.to_string(), "71").replace(&shop.b.to_string(), "72");
        without(&text.replace(&shop.id.to_string(), "7").replace(&other.a.to_string(), "0"))
    };
    heard.into_iter().map(own).collect()
}

/// Without times and ids of rows.
fn without(text: &str) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                let is_own = |name: &String| {
                    name == "id"
                        || name == "donnees"
                        || name.starts_with("date_")
                        || name.ends_with("_tentative")
                };
                members.retain(|name, _| !is_own(name));
                members.values_mut().for_each(strip);
            }
            Value::Array(all) => all.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    strip(&mut value);
    value.to_string()
}

/// I-20: two shops at once hear, byte for byte, what either hears alone; foreign and missing ids
/// are answered alike.
pub(super) async fn shops_hear_nothing_of_each_other(deployment: Deployment) {
    let (alone, one, two) =
        (Case::open(deployment).await, Case::open(deployment).await, Case::open(deployment).await);
    let expected = transcript(&alone, &one.shop).await;
    let (first, second) = tokio::join!(transcript(&one, &two.shop), transcript(&two, &one.shop));
    assert_eq!((&first, &second), (&expected, &expected));
    // A job of another shop is a job that does not exist.
    let sent = [sale("V-9", &format!(r#""article_id":{}"#, one.shop.b))];
    let (pending, _) = one.accepted(1, &sent).await;
    let theirs = pending.headers["location"].to_str().unwrap().to_owned();
    let missing = "/api/v1/jobs/0198c1d2-0000-7000-8000-000000000000".to_owned();
    for suffix in ["", "/why", "/logs"] {
        let mut answers = Vec::new();
        for path in [&theirs, &missing] {
            let answer = get(two.app, &two.serial(1), &format!("{path}{suffix}")).await;
            let mut body = answer.json();
            body["instance"] = json!(null);
            answers.push((answer.status, body));
        }
        assert_eq!(answers[0], answers[1], "{suffix}");
    }
    assert_eq!(stock(&two.db, two.shop.a).await, 9);
    for case in [alone, one, two] {
        case.close().await;
    }
}

/// The database of a program that is no superuser, as it should be in earnest: that of a role which
/// owns every table.
pub(crate) async fn as_plain_owner(deployment: Deployment) -> Stores {
    let mut stores = deployment.fresh().await;
    let db = stores.db().await;
    let role = format!("plain_{:08x}", rand::random::<u32>());
    let give = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'plain'; GRANT CREATE, USAGE ON SCHEMA public TO {role};
         DO $$ DECLARE t record; BEGIN
         FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
         EXECUTE format('ALTER TABLE public.%I OWNER TO {role}', t.tablename); END LOOP; END $$"
    );
    let pool = db.postgres().expect("PostgreSQL");
    sqlx::raw_sql(sqlx::AssertSqlSafe(give)).execute(pool).await.unwrap();
    db.close().await;
    let (_, place) = stores.database_url.rsplit_once('@').expect("user and place");
    stores.database_url = format!("postgres://{role}:plain@{place}");
    stores
}

/// D-50, S-10: with the scope set, a statement without its WHERE finds and writes nothing of another
/// shop; and the program does all its work as a role that is bound by that.
pub(super) async fn a_statement_that_forgets_its_shop_finds_nothing(deployment: Deployment) {
    static TABLES: [Sql; 7] = [
        Sql::both("SELECT COUNT(*) AS n FROM articles WHERE boutique_id <> $1"),
        Sql::both("SELECT COUNT(*) AS n FROM ventes WHERE boutique_id <> $1"),
        Sql::both("SELECT COUNT(*) AS n FROM lignes_vente WHERE boutique_id <> $1"),
        Sql::both("SELECT COUNT(*) AS n FROM mouvements_stock WHERE boutique_id <> $1"),
        Sql::both("SELECT COUNT(*) AS n FROM ventes_rejetees WHERE boutique_id <> $1"),
        Sql::both("SELECT COUNT(*) AS n FROM ventes_jours WHERE boutique_id <> $1"),
        Sql::both("SELECT COUNT(*) AS n FROM alertes_stock WHERE boutique_id <> $1"),
    ];
    static EVERYTHING: Sql = Sql::both("UPDATE articles SET nom = 'x'");
    static INTRUDE: Sql = Sql::both(
        "INSERT INTO ventes_jours (boutique_id, jour, nombre, chiffre_affaires) \
         VALUES ($1, '2020-01-01', 1, 1)",
    );
    if deployment == Deployment::Embedded {
        return;
    }
    let env = [("STOCK_POLICY", "accept_with_alert")];
    let mut app = TestApp::on(as_plain_owner(deployment).await, &env);
    app.start_api().await;
    app.start_worker();
    let db: Db = app.stores.db().await;
    let (one, two) = (Shop::open(&db).await, Shop::open(&db).await);
    for shop in [&one, &two] {
        let line =
            |article: i64, quantity| format!(r#""article_id":{article},"quantite":{quantity}"#);
        let (first, unknown) = (sale("V-1", &line(shop.a, 11)), sale("V-2", &line(1, 1)));
        let serial = format!("s{}-1", shop.id);
        let answer = send(&app, &serial, &[], &[first.clone(), unknown, first]).await;
        let words = outcomes(&answer.json(), 3).into_iter().map(|(_, word)| word);
        let words: Vec<_> = words.collect();
        assert_eq!(words, ["+", "ARTICLE_NON_TROUVE", "DUPLICATE"], "{}", answer.text);
        for path in ["historique", "rejetees"] {
            let path = format!("/api/v2/simple/ventes/{path}/");
            let page = get(&app, &serial, &path).await.json();
            assert_eq!(page["count"], 1, "{path}: {page}");
        }
    }
    let count = async |tx: &mut db::Tx, sql: &'static Sql| -> i64 {
        tx.row(sql, args![one.id]).await.unwrap().unwrap().get("n").unwrap()
    };
    let mut tx = db.begin().await.unwrap();
    for sql in &TABLES {
        assert!(count(&mut tx, sql).await > 0, "without a scope all is there: {sql:?}");
    }
    scope(&mut tx, one.id).await.unwrap();
    for sql in &TABLES {
        assert_eq!(count(&mut tx, sql).await, 0, "{sql:?}");
    }
    assert_eq!(tx.execute(&EVERYTHING, args![]).await.unwrap(), 2, "its own two articles");
    assert!(tx.execute(&INTRUDE, args![two.id]).await.is_err(), "written into another shop");
    drop(tx);
    // The next transactions of the same connection are not bound by the last one's scope.
    for _ in 0..20 {
        let mut tx = db.begin().await.unwrap();
        assert!(count(&mut tx, &TABLES[1]).await > 0);
    }
    db.close().await;
}
