//! Reference data: seeds, terminals and keys.

use super::{Shop, send, stock};
use db::{Db, Sql, args};
use records::seed::{self, DEMO, SeedError};
use records::{keys, ventes};

pub(crate) async fn the_demo_data_loads_twice(db: &Db) {
    for _ in 0..2 {
        let report = seed::load(db, DEMO).await.unwrap();
        assert_eq!(
            report.to_string(),
            "1 boutiques, 1 terminaux, 2 articles, 1 sites, 3 cles_api, 0 documents"
        );
    }
    let terminal = ventes::terminal(db, "0a1badae951f8473").await.unwrap().unwrap();
    assert_eq!(terminal.nom, "Terminal messie vanza");
    let shop = terminal.boutique.unwrap();
    assert_eq!((shop.id, shop.nom.as_str()), (2, "Ma Boutique"));
    assert_eq!((stock(db, 6).await, stock(db, 7).await), (10, 20));
}

pub(crate) async fn a_wrong_seed_changes_nothing(db: &Db) {
    let (shop, other) = (Shop::open(db).await, Shop::open(db).await);
    let (id, a, foreign) = (shop.id, shop.a, other.a);
    let wrong = format!(
        r#"{{"boutiques":[{{"id":{id},"nom":"Autre nom"}}],
        "terminaux":[{{"numero_serie":"n{id}","nom":"N","boutique_id":987654321987}}],
        "articles":[{{"id":{a},"boutique_id":{id},"nom":"Autre","prix_vente":1}},
                    {{"id":{foreign},"boutique_id":{id},"nom":"A","prix_vente":"1"}},
                    {{"id":{a},"boutique_id":{id},"nom":"A","prix_vente":"1"}}]}}"#
    );
    let SeedError::Invalid(errors) = seed::load(db, &wrong).await.unwrap_err() else {
        panic!("the errors of the file")
    };
    assert_eq!(
        errors,
        [
            "articles[2].id: the same as in articles[0]".to_owned(),
            "terminaux[0].boutique_id: no shop has the id 987654321987".to_owned(),
            format!(
                "articles[1].boutique_id: article {foreign} belongs to shop {} and cannot move",
                other.id
            ),
        ]
    );
    static NAME: Sql = Sql::both("SELECT nom FROM boutiques WHERE id = $1");
    let row = db.read_one(&NAME, args![id]).await.unwrap().unwrap();
    assert_eq!(row.get::<String>("nom").unwrap(), format!("Boutique {id}"));
}

pub(crate) async fn a_moved_stock_is_kept(db: &Db) {
    let shop = Shop::open(db).await;
    let seed = |stock: i64| {
        let (id, a, b) = (shop.id, shop.a, shop.b);
        format!(
            r#"{{"articles":[{{"id":{a},"boutique_id":{id},"nom":"A","prix_vente":"1","stock":{stock}}},
                             {{"id":{b},"boutique_id":{id},"nom":"B","prix_vente":"1","stock":{stock}}}]}}"#
        )
    };
    send(db, &shop.origin(), &[shop.sale("V-1", shop.a, 4)]).await;
    seed::load(db, &seed(50)).await.unwrap();
    assert_eq!((stock(db, shop.a).await, stock(db, shop.b).await), (6, 50));
    super::audit(db, &shop).await;
}

pub(crate) async fn a_key_proves_itself(db: &Db) {
    let id = format!("k{}", rand::random::<u32>());
    let whole = format!("{id}.0123456789abcdef");
    let seed = format!(
        r#"{{"cles_api":[{{"cle":"{whole}","nom":"K","portees":["jobs:read","admin"]}}]}}"#
    );
    seed::load(db, &seed).await.unwrap();
    let key = keys::find(db, &whole).await.unwrap().unwrap();
    assert_eq!(key.id, id);
    assert!(key.may("jobs:read") && key.may("admin") && !key.may("jobs:write"));
    for wrong in [
        format!("{id}.0123456789abcdeF"),
        format!("{id}."),
        id.clone(),
        format!("{id}x.0123456789abcdef"),
        String::new(),
        ".x".to_owned(),
        format!("{id}\0.0123456789abcdef"),
        format!("{whole} "),
    ] {
        assert_eq!(keys::find(db, &wrong).await.unwrap(), None, "{wrong:?}");
    }
    static REVOKE: Sql = Sql::both("UPDATE cles_api SET revoquee_le = {now} WHERE id = $1");
    db.execute(&REVOKE, args![id.as_str()]).await.unwrap();
    seed::load(db, &seed).await.unwrap();
    assert_eq!(keys::find(db, &whole).await.unwrap(), None, "revoked stays revoked");
    static STORED: Sql = Sql::both("SELECT empreinte FROM cles_api WHERE id = $1");
    let row = db.read_one(&STORED, args![id.as_str()]).await.unwrap().unwrap();
    assert_eq!(row.get::<Vec<u8>>("empreinte").unwrap().len(), 32, "only a hash is kept");
}

pub(crate) async fn a_terminal_is_known_by_its_serial(db: &Db) {
    let id = rand::random::<u32>();
    let seed = format!(
        r#"{{"terminaux":[{{"numero_serie":"Nu{id}","nom":"Nu","boutique_id":null}},
                          {{"numero_serie":"Off{id}","nom":"Off","boutique_id":null,"actif":false}}]}}"#
    );
    seed::load(db, &seed).await.unwrap();
    let terminal = ventes::terminal(db, &format!("Nu{id}")).await.unwrap().unwrap();
    assert_eq!((terminal.nom.as_str(), terminal.boutique), ("Nu", None));
    for unknown in
        [format!("Off{id}"), format!("nu{id}"), format!("Nu{id} "), String::new(), "\0".into()]
    {
        assert_eq!(ventes::terminal(db, &unknown).await.unwrap(), None, "{unknown:?}");
    }
}
