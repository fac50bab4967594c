//! Reference data from a JSON file: shops, terminals, articles, sites, API keys and documents.
//!
//! Everything is checked first, and every error is told with its path; then all of it is written
//! in one transaction or nothing is. Loading a file twice changes nothing, and a stock that has
//! moved is never reset.

mod documents;
mod read;
mod write;

use db::{Db, Sql};
use read::File;
use std::fmt;
use std::path::Path;

/// The demo data: the shop, terminal and articles of source 002.
pub const DEMO: &str = include_str!("../demo.json");

/// How many rows of each table were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    pub boutiques: usize,
    pub terminaux: usize,
    pub articles: usize,
    pub sites: usize,
    pub cles_api: usize,
    pub documents: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boutiques, terminaux, articles, sites, cles_api, documents } = self;
        write!(
            f,
            "{boutiques} boutiques, {terminaux} terminaux, {articles} articles, {sites} sites, \
             {cles_api} cles_api, {documents} documents"
        )
    }
}

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("the seed is not JSON")]
    Syntax(#[source] serde_json::Error),
    /// One line per error, each beginning with its path.
    #[error("the seed has {} error(s):\n{}", .0.len(), .0.join("\n"))]
    Invalid(Vec<String>),
    #[error("the seed could not be written")]
    Db(#[from] db::Error),
}

/// Loads the demo data unless its terminal is there; returns whether it did. Demo data that somebody
/// has changed since stays changed.
pub async fn load_demo(db: &Db) -> Result<bool, SeedError> {
    static TERMINAL: Sql =
        Sql::both("SELECT id FROM terminaux WHERE numero_serie = '0a1badae951f8473'");
    if db.read_one(&TERMINAL, Vec::new()).await?.is_some() {
        return Ok(false);
    }
    load(db, DEMO).await.map(|_| true)
}

/// Checks `json` and writes it: rows that exist are updated, none is removed.
pub async fn load(db: &Db, json: &str) -> Result<Report, SeedError> {
    load_with(db, json, None).await
}

/// The same, and reads the files of documents below `uploads`, as far as they are there.
pub async fn load_with(db: &Db, json: &str, uploads: Option<&Path>) -> Result<Report, SeedError> {
    let mut errors = Vec::new();
    let file = File::read(json, &mut errors)?;
    let contents = documents::contents(&file.documents, uploads, &mut errors);
    let mut tx = db.begin().await?;
    write::check(&mut tx, &file, &mut errors).await?;
    let names = documents::check(&mut tx, &file, &mut errors).await?;
    if !errors.is_empty() {
        return Err(SeedError::Invalid(errors));
    }
    write::all(&mut tx, &file).await?;
    documents::write(&mut tx, &file.documents, &contents, &names).await?;
    tx.commit().await?;
    Ok(Report {
        boutiques: file.shops.len(),
        terminaux: file.terminals.len(),
        articles: file.articles.len(),
        sites: file.sites.len(),
        cles_api: file.keys.len(),
        documents: file.documents.len(),
    })
}
