//! A terminal that runs one of the guide's classes: its folder, its sales, and what its outbox says.

use super::build::Client;
use chrono::{FixedOffset, SubsecRound as _, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use tests::app::Process;
use tests::guardian::scratch_dir;

/// A line of a sale: article, quantity, unit price in hundredths.
pub(super) type Line = (i64, i64, i64);

pub(super) struct Till {
    client: &'static Client,
    url: String,
    dir: PathBuf,
    process: Process,
    /// What people were told by processes that have ended.
    told: String,
    pub(super) made: usize,
}

/// The outbox, read from its journal.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// How often each sale was cleared.
    pub(super) done: BTreeMap<String, u32>,
    /// How often each was refused for now, with its code.
    pub(super) later: BTreeMap<(String, String), u32>,
    pub(super) aside: BTreeSet<(String, String)>,
    pub(super) keys: Vec<String>,
    pub(super) is_open: bool,
}

impl Till {
    /// Starts it; its serial number is its client's name.
    pub(super) fn start(client: &'static Client, url: String) -> Self {
        let dir = scratch_dir(client.name);
        std::fs::write(dir.join("sales"), "").unwrap();
        std::fs::write(dir.join("journal"), "").unwrap();
        let process = spawn(client, &url, &dir);
        Self { client, url, dir, process, told: String::new(), made: 0 }
    }

    /// The app dies at whatever it does, and is opened again.
    pub(super) fn restart(&mut self) {
        self.process.kill9();
        self.told.push_str(&self.process.log());
        self.process = spawn(self.client, &self.url, &self.dir);
    }

    pub(super) fn name(&self) -> &'static str {
        self.client.name
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Everything that people were told.
    pub(super) fn told(&self) -> String {
        format!("{}{}", self.told, self.process.log())
    }

    /// Makes a sale; returns its number.
    pub(super) fn sell(&mut self, lines: &[Line]) -> String {
        self.sell_many(1, lines).remove(0)
    }

    /// Makes some at once, so that one batch has them all; returns their numbers.
    pub(super) fn sell_many(&mut self, count: usize, lines: &[Line]) -> Vec<String> {
        let numbers: Vec<_> = (self.made..self.made + count)
            .map(|number| format!("{}-{number:05}", self.client.name))
            .collect();
        self.made += count;
        let text: String = numbers.iter().map(|number| self.sale(number, lines)).collect();
        let mut sales = std::fs::File::options().append(true).open(self.dir.join("sales")).unwrap();
        sales.write_all(text.as_bytes()).unwrap();
        numbers
    }

    /// A line of the file: prices are text in TypeScript, as its class has them.
    fn sale(&self, number: &str, lines: &[Line]) -> String {
        let quote = if self.client.name == "typescript" { "\"" } else { "" };
        let lines = lines.iter().map(|(article, quantity, price)| {
            let price = format!("{quote}{}.{:02}{quote}", price / 100, price % 100);
            format!(r#"{{"article_id":{article},"quantite":{quantity},"prix_unitaire":{price}}}"#)
        });
        let lines = lines.collect::<Vec<_>>().join(",");
        let zone = FixedOffset::east_opt(3600).unwrap();
        let date = (Utc::now() - TimeDelta::hours(5)).with_timezone(&zone).trunc_subsecs(0);
        format!(
            "{{\"numero_facture\":\"{number}\",\"date_vente\":\"{}\",\"mode_paiement\":\"CASH\",\
             \"paye\":true,\"lignes\":[{lines}]}}\n",
            date.to_rfc3339()
        )
    }

    /// Reads the journal; checks that at most one batch is open at any time.
    pub(super) fn outbox(&self) -> Outbox {
        let text = std::fs::read_to_string(self.dir.join("journal")).unwrap();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut outbox = Outbox::default();
        for line in whole.lines() {
            let fields: Vec<_> = line.split('\t').collect();
            let list = |index: usize| fields[index].split(',').filter(|name| !name.is_empty());
            let refused = |name: &str| {
                let (number, code) = name.split_once(':').unwrap();
                (number.to_owned(), code.to_owned())
            };
            assert_eq!(outbox.is_open, fields[0] == "end", "{}: {text}", self.client.name);
            outbox.is_open = fields[0] == "begin";
            if outbox.is_open {
                outbox.keys.push(fields[1].to_owned());
                continue;
            }
            list(1).for_each(|name| *outbox.done.entry(name.to_owned()).or_default() += 1);
            list(2).for_each(|name| *outbox.later.entry(refused(name)).or_default() += 1);
            outbox.aside.extend(list(3).map(refused));
        }
        outbox
    }
}

impl Outbox {
    /// How often a sale was refused for now.
    pub(super) fn refusals(&self, number: &str) -> u32 {
        self.later.iter().filter(|((name, _), _)| name == number).map(|(_, times)| times).sum()
    }
}

fn spawn(client: &Client, url: &str, dir: &std::path::Path) -> Process {
    let folder = dir.to_str().expect("a plain path");
    let words = client.words.iter().map(String::as_str);
    let words: Vec<_> = words.chain([url, client.name, folder]).collect();
    Process::spawn_words(client.name, &words, &[], dir)
}
