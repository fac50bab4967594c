//! The demo: loads the demo shop, and says what to try with it.

use db::DatabaseUrl;
use records::seed;
use serde::Deserialize;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The part of the demo file that is shown.
#[derive(Debug, Default, Deserialize)]
struct Shown {
    #[serde(default)]
    cles_api: Vec<Key>,
    #[serde(default)]
    sites: Vec<Site>,
}

#[derive(Debug, Deserialize)]
struct Site {
    nom: String,
    #[serde(default)]
    cles_api: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Key {
    cle: String,
    nom: String,
    #[serde(default)]
    portees: Vec<String>,
}

/// What a new user can do next, with the address that is really served.
pub(crate) fn what_to_try(address: SocketAddr, database: &DatabaseUrl) -> String {
    let base = format!("http://{}", reachable(address));
    let shown: Shown = serde_json::from_str(seed::DEMO).unwrap_or_default();
    let mut text = format!("\nRelais is ready at {base}; the demo shop is loaded. Try:\n");
    let sale = format!(
        r#"
  curl -X POST {base}/api/v2/simple/ventes/sync/ \
    -H "Content-Type: application/json" \
    -H "X-Device-Serial: 0a1badae951f8473" \
    -d '[
      {{
        "numero_facture": "TEST-001",
        "mode_paiement": "CASH",
        "paye": true,
        "lignes": [ {{ "article_id": 6, "quantite": 1, "prix_unitaire": 40000 }} ]
      }}
    ]'
"#
    );
    text.push_str(&sale);
    text.push_str("\nAPI keys of the demo (never use them for real data):\n\n");
    for key in &shown.cles_api {
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "  X-API-Key: {}   {} ({})", key.cle, key.nom, key.portees.join(", "));
    }
    for site in &shown.sites {
        for key in &site.cles_api {
            let _ = writeln!(text, "  X-API-Key: {key}   {} (sync/push)", site.nom);
        }
    }
    let key = shown.cles_api.first().map_or("<id>.<secret>", |key| key.cle.as_str());
    let place = match database {
        DatabaseUrl::Sqlite(file) => std::path::absolute(file).unwrap_or(file.clone()),
        DatabaseUrl::Postgres(_) => database.to_string().into(),
    };
    let _ = write!(
        text,
        "
Look at jobs:

  relais jobs list
  relais jobs show <id>
  curl -H 'X-API-Key: {key}' {base}/api/v1/jobs/<id>

API description   {base}/docs and {base}/openapi.json
Health, metrics   {base}/readyz and {base}/metrics
Database          {}

Stop with Ctrl-C.
",
        place.display()
    );
    text
}

/// An address that a client on this machine can use, if every interface is served.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}
