//! Tables of what a sale may and may not look like.

use super::{Line, Malformed, Sale, parse};
use crate::ventes::{Code, money, texts};
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

fn read(text: &str) -> Result<Sale, Box<Malformed>> {
    let raw: &RawValue = serde_json::from_str(text).expect("valid JSON");
    parse(raw, 2)
}

/// A sale with `members` besides one good line.
fn with(members: &str) -> Result<Sale, Box<Malformed>> {
    read(&format!(r#"{{{members},"lignes":[{{"article_id":6}}]}}"#))
}

fn with_line(line: &str) -> Result<Sale, Box<Malformed>> {
    read(&format!(r#"{{"lignes":[{{"article_id":6}},{line}]}}"#))
}

fn message(result: Result<Sale, Box<Malformed>>) -> String {
    result.map_or_else(|malformed| malformed.refusal.message, |sale| format!("accepted: {sale:?}"))
}

#[test]
fn what_is_absent_has_a_default() {
    let expected = Sale {
        number: None,
        mode: "CASH",
        paid: true,
        date: None,
        lines: vec![Line { article_id: 6, quantity: 1, price: None }],
    };
    let nulls = r#"{"numero_facture":null,"mode_paiement":null,"paye":null,"date_vente":null,
        "boutique_id":null,"lignes":[{"article_id":6,"quantite":null,"prix_unitaire":null}]}"#;
    let plain = r#"{"lignes":[{"article_id":6}]}"#;
    let unknown = r#"{"lignes":[{"article_id":6,"x":[1]}],"client":{"nom":"A"},"Paye":3}"#;
    let empty = r#"{"numero_facture":"  ","lignes":[{"article_id":6.0}]}"#;
    for text in [nulls, plain, unknown, empty] {
        assert_eq!(read(text), Ok(expected.clone()), "{text}");
    }
}

#[test]
fn what_is_there_is_taken_exactly() {
    let sale = read(
        r#"{"numero_facture":" VENTE-001 ","mode_paiement":"MOBILE_MONEY","paye":false,"boutique_id":2,
            "date_vente":"2025-10-29T02:45:00.5+01:00",
            "lignes":[{"article_id":6,"quantite":2,"prix_unitaire":90071992547409.93},
                      {"article_id":7,"prix_unitaire":"0"}]}"#,
    )
    .expect("a sale");
    assert_eq!(sale.number.as_deref(), Some("VENTE-001"));
    assert_eq!((sale.mode, sale.paid), ("MOBILE_MONEY", false));
    let date = sale.date.expect("a date");
    assert_eq!(date.raw, "2025-10-29T02:45:00.5+01:00");
    assert_eq!(date.at.to_rfc3339(), "2025-10-29T01:45:00.500+00:00");
    let prices: Vec<_> = sale.lines.iter().map(|line| line.price.map(money::print)).collect();
    assert_eq!(prices, [Some("90071992547409.93".to_owned()), Some("0.00".to_owned())]);
}

#[test]
fn a_number_is_trimmed_composed_and_bounded() {
    let long = "é".repeat(100);
    let number =
        |text: &str| with(&format!(r#""numero_facture":"{text}""#)).map(|sale| sale.number);
    assert_eq!(number(&long), Ok(Some(long.clone())));
    assert_eq!(number("e\u{301}"), Ok(Some("é".to_owned())), "NFC");
    assert_eq!(number(r"\u00a0A\u2003"), Ok(Some("A".to_owned())));
    let refusal = texts::expected("numero_facture", texts::NUMBER);
    for wrong in [
        format!("{long}x"),
        r"a\u0000b".into(),
        r"a\nb".into(),
        r"a\u0085b".into(),
        r"\ud800".into(),
    ] {
        assert_eq!(number(&wrong).map_err(|m| m.refusal.message), Err(refusal.clone()), "{wrong}");
    }
    for wrong in ["12", "true", "[]", "{}"] {
        assert_eq!(message(with(&format!(r#""numero_facture":{wrong}"#))), refusal, "{wrong}");
    }
}

#[test]
fn a_malformed_sale_is_still_recognisable() {
    let numbered = with(r#""numero_facture":" A ","paye":1"#).expect_err("paye is wrong");
    assert_eq!(
        (numbered.number.as_deref(), numbered.sent_number.as_deref()),
        (Some("A"), Some("A"))
    );
    let invalid = with(r#""numero_facture":"A\u0000""#).expect_err("the number is wrong");
    assert_eq!((invalid.number, invalid.sent_number.as_deref()), (None, Some("A\0")));
}

#[test]
fn wrong_members_are_named_with_what_is_allowed() {
    for (members, place, allowed) in [
        (r#""mode_paiement":"cash""#, "mode_paiement", texts::MODE),
        (r#""mode_paiement":"""#, "mode_paiement", texts::MODE),
        (r#""mode_paiement":1"#, "mode_paiement", texts::MODE),
        (r#""paye":"true""#, "paye", texts::PAID),
        (r#""paye":1"#, "paye", texts::PAID),
        (r#""date_vente":"29/10/2025""#, "date_vente", texts::DATE),
        (r#""date_vente":"2025-10-29T02:45:00""#, "date_vente", texts::DATE),
        (r#""date_vente":1730170000"#, "date_vente", texts::DATE),
        (r#""date_vente":"2025-13-29T02:45:00Z""#, "date_vente", texts::DATE),
        (r#""boutique_id":"2""#, "boutique_id", texts::SHOP),
        (r#""boutique_id":2.5"#, "boutique_id", texts::SHOP),
        (r#""paye":true,"paye":false"#, "paye", texts::ONCE),
        (r#""lignes":[]"#, "lignes", texts::ONCE),
        (r#""client":1,"client":1"#, "client", texts::ONCE),
        (r#""a\u0000b\n":1,"a\u0000b\n":1"#, "ab", texts::ONCE),
    ] {
        assert_eq!(message(with(members)), texts::expected(place, allowed), "{members}");
    }
}

#[test]
fn a_sale_needs_lines() {
    for text in
        ["{}", r#"{"lignes":null}"#, r#"{"lignes":[]}"#, r#"{"lignes":{}}"#, r#"{"lignes":"x"}"#]
    {
        assert_eq!(message(read(text)), texts::expected("lignes", texts::LINES), "{text}");
    }
    for text in ["1", "null", "\"x\"", "[]", "true"] {
        assert_eq!(message(read(text)), texts::NOT_A_SALE, "{text}");
    }
}

#[test]
fn wrong_lines_are_named_by_their_place() {
    for (line, place, allowed) in [
        ("1", "lignes[1]", texts::LINE),
        ("null", "lignes[1]", texts::LINE),
        ("{}", "lignes[1].article_id", texts::ARTICLE),
        (r#"{"article_id":null}"#, "lignes[1].article_id", texts::ARTICLE),
        (r#"{"article_id":"6"}"#, "lignes[1].article_id", texts::ARTICLE),
        (r#"{"article_id":6.5}"#, "lignes[1].article_id", texts::ARTICLE),
        (r#"{"article_id":1e400}"#, "lignes[1].article_id", texts::ARTICLE),
        (r#"{"article_id":6,"article_id":6}"#, "lignes[1].article_id", texts::ONCE),
        (r#"{"article_id":6,"x":1,"y":2,"x":1}"#, "lignes[1].x", texts::ONCE),
        (r#"{"article_id":6,"quantite":0}"#, "lignes[1].quantite", texts::QUANTITY),
        (r#"{"article_id":6,"quantite":-1}"#, "lignes[1].quantite", texts::QUANTITY),
        (r#"{"article_id":6,"quantite":1.5}"#, "lignes[1].quantite", texts::QUANTITY),
        (r#"{"article_id":6,"quantite":"1"}"#, "lignes[1].quantite", texts::QUANTITY),
        (r#"{"article_id":6,"quantite":1e400}"#, "lignes[1].quantite", texts::QUANTITY),
        (r#"{"article_id":6,"quantite":1000000001}"#, "lignes[1].quantite", texts::QUANTITY),
        (r#"{"article_id":6,"prix_unitaire":1.005}"#, "lignes[1].prix_unitaire", texts::PRICE),
        (r#"{"article_id":6,"prix_unitaire":-1}"#, "lignes[1].prix_unitaire", texts::PRICE),
        (r#"{"article_id":6,"prix_unitaire":1e400}"#, "lignes[1].prix_unitaire", texts::PRICE),
        (r#"{"article_id":6,"prix_unitaire":"dix"}"#, "lignes[1].prix_unitaire", texts::PRICE),
        (r#"{"article_id":6,"prix_unitaire":""}"#, "lignes[1].prix_unitaire", texts::PRICE),
        (r#"{"article_id":6,"prix_unitaire":true}"#, "lignes[1].prix_unitaire", texts::PRICE),
    ] {
        assert_eq!(message(with_line(line)), texts::expected(place, allowed), "{line}");
    }
}

#[test]
fn another_shop_is_refused_whatever_else_is_wrong() {
    let malformed = with(r#""boutique_id":3,"paye":"x""#).expect_err("another shop");
    assert_eq!(malformed.refusal.code, Code::ForeignShop);
    assert_eq!(malformed.refusal.message, "Accès refusé: boutique non autorisée");
}

#[test]
fn dates_that_are_not_credible_become_the_time_of_receipt() {
    let received: DateTime<Utc> = "2026-01-01T12:00:00Z".parse().expect("a date");
    for (sent, booked, corrected) in [
        ("2026-01-01T12:30:00Z", "2026-01-01T12:30:00Z", false),
        ("2026-01-01T12:30:00.001Z", "2026-01-01T12:00:00Z", true),
        ("2025-06-01T00:00:00+02:00", "2025-05-31T22:00:00Z", false),
        ("2024-11-27T12:00:00Z", "2024-11-27T12:00:00Z", false),
        ("2024-11-27T11:59:59Z", "2026-01-01T12:00:00Z", true),
        ("9999-12-31T23:59:59Z", "2026-01-01T12:00:00Z", true),
        ("0001-01-01T00:00:00Z", "2026-01-01T12:00:00Z", true),
    ] {
        let sale = with(&format!(r#""date_vente":"{sent}""#)).expect("a sale");
        let date = sale.date.expect("a date");
        let expected: DateTime<Utc> = booked.parse().expect("a date");
        assert_eq!(date.booked(received), (expected, corrected), "{sent}");
        assert_eq!(date.raw, sent);
    }
}
