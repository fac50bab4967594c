//! What a seed file may hold, and what is said about one that holds something else.

use super::File;
use crate::seed::DEMO;

fn errors(json: &str) -> Vec<String> {
    let mut errors = Vec::new();
    File::read(json, &mut errors).expect("valid JSON");
    errors
}

#[test]
fn the_demo_file_is_right() {
    let mut errors = Vec::new();
    let file = File::read(DEMO, &mut errors).expect("valid JSON");
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(file.shops[0].row.name, "Ma Boutique");
    assert_eq!(file.terminals[0].row.serial, "0a1badae951f8473");
    assert_eq!(file.articles.len(), 2);
}

#[test]
fn what_is_absent_has_a_default() {
    let json = r#"{"boutiques":[{"id":2,"nom":"A"}],
        "terminaux":[{"numero_serie":"x","nom":"T","boutique_id":null}],
        "articles":[{"id":6,"boutique_id":2,"nom":"A","prix_vente":40000}]}"#;
    let mut told = Vec::new();
    let file = File::read(json, &mut told).expect("valid JSON");
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(file.shops[0].row.zone, "UTC");
    assert_eq!(file.terminals[0].row.shop_id, None);
    assert!(file.terminals[0].row.active && file.articles[0].row.active);
    assert_eq!(file.articles[0].row.stock, 0);
    assert_eq!(errors("{}"), Vec::<String>::new());
}

#[test]
fn every_error_is_told_with_its_path() {
    let told = errors(
        r#"{"boutiques":[{"id":0,"nom":"","fuseau":"Kinshasa","x":1},{"id":2,"nom":"A"},{"id":2,"nom":"B"}],
            "terminaux":[{"numero_serie":"a b","nom":"T","boutique_id":"2","actif":1}, 5],
            "articles":[{"id":6,"boutique_id":2,"nom":"A","prix_vente":1.005,"stock":-1},{}],
            "cles_api":[{"cle":"secret-without-id","nom":"K","portees":["root","admin"]}],
            "clients":[]}"#,
    );
    let paths: Vec<_> = told.iter().map(|line| line.split(": ").next().unwrap_or("")).collect();
    assert_eq!(
        paths,
        [
            "clients",
            "boutiques[0].id",
            "boutiques[0].nom",
            "boutiques[0].fuseau",
            "boutiques[0].x",
            "terminaux[0].numero_serie",
            "terminaux[0].boutique_id",
            "terminaux[0].actif",
            "terminaux[1]",
            "articles[0].prix_vente",
            "articles[0].stock",
            "articles[1].id",
            "articles[1].boutique_id",
            "articles[1].nom",
            "articles[1].prix_vente",
            "cles_api[0].portees[0]",
            "cles_api[0].cle",
            "boutiques[2].id",
        ],
        "{told:#?}"
    );
    assert!(!told.join("").contains("secret-without-id"), "no secret is printed");
}

#[test]
fn a_seed_is_an_object_of_arrays() {
    assert_eq!(errors("[]"), ["the seed: an object is expected"]);
    assert_eq!(errors(r#"{"articles":{}}"#), ["articles: an array is expected"]);
    assert_eq!(errors(r#"{"boutiques":[],"boutiques":[]}"#), ["boutiques: present more than once"]);
}
