//! Sales and stock as people read them.

use super::{aligned, first_line, shown, span, time};
use chrono::{DateTime, Utc};
use records::ventes::desk::{BookedSale, Fate, RefusedSale};
use records::ventes::money;
use records::ventes::shelf::{Alert, Article};

/// One line per refused sale.
pub(crate) fn refused_sales(sales: &[RefusedSale], now: DateTime<Utc>) -> String {
    let head = ["ID", "SHOP", "TERMINAL", "NUMBER", "TRIES", "LAST", "SETTLED", "WHY"];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(sales.iter().map(|sale| {
        [
            sale.id.to_string(),
            sale.shop_id.to_string(),
            shown(&sale.terminal),
            shown(sale.number.as_deref().unwrap_or("-")),
            sale.tries.to_string(),
            format!("{} ago", span(now - sale.last_at)),
            if sale.settled { settled(sale) } else { "-".to_owned() },
            first_line(&sale.message),
        ]
    }));
    aligned(&lines)
}

fn settled(sale: &RefusedSale) -> String {
    shown(sale.settled_by.as_deref().unwrap_or("yes"))
}

/// What became of a number, in sentences.
pub(crate) fn fate(fate: &Fate) -> String {
    let booked = fate.booked.iter().map(booked);
    booked.chain(fate.refused.iter().map(refused)).collect::<Vec<_>>().join("\n")
}

fn booked(sale: &BookedSale) -> String {
    let told = match (sale.reported, sale.duplicates) {
        (false, _) => "no answer has told the terminal yet".to_owned(),
        (true, 0) => "the terminal was told".to_owned(),
        (true, n) => format!("the terminal was told, and sent it again since ({n} ×)"),
    };
    format!(
        "{} is booked in shop {} ({}): {} on {}, received {} from {}; {told}; job {}",
        shown(&sale.number),
        sale.shop_id,
        shown(&sale.shop),
        money::print(sale.total),
        time(sale.sold_at),
        time(sale.received_at),
        shown(&sale.terminal),
        sale.job_id,
    )
}

fn refused(sale: &RefusedSale) -> String {
    let end = match (&sale.settled_by, sale.settled_at) {
        (Some(by), Some(at)) if by == "auto" => format!("it has succeeded since, {}", time(at)),
        (Some(by), Some(at)) => {
            let why = sale.settled_why.as_deref().unwrap_or("no reason given");
            format!("settled by {} {}: {}", shown(by), time(at), shown(why))
        }
        _ => "nobody has settled it".to_owned(),
    };
    let sent = sale.sent.as_ref().map_or("-", |sent| sent.get());
    format!(
        "{} was refused in shop {} ({}), {} ×, last {} from {}: {} ({}); {end}; refusal {}\n  {}",
        shown(sale.number.as_deref().unwrap_or("-")),
        sale.shop_id,
        shown(&sale.shop),
        sale.tries,
        time(sale.last_at),
        shown(&sale.terminal),
        shown(&sale.message),
        shown(&sale.code),
        sale.id,
        shown(sent),
    )
}

/// One line per article.
pub(crate) fn articles(articles: &[Article]) -> String {
    let mut lines = vec![["ARTICLE", "SHOP", "STOCK", "STATE", "CODE", "NAME"].map(str::to_owned)];
    lines.extend(articles.iter().map(|article| {
        [
            article.id.to_string(),
            article.shop_id.to_string(),
            article.stock.to_string(),
            if article.active { "active" } else { "inactive" }.to_owned(),
            shown(article.code.as_deref().unwrap_or("-")),
            shown(&article.name),
        ]
    }));
    aligned(&lines)
}

/// One line per alert.
pub(crate) fn alerts(alerts: &[Alert], now: DateTime<Utc>) -> String {
    let head = ["ID", "SHOP", "ARTICLE", "NUMBER", "ASKED", "AVAILABLE", "AGE", "NAME"];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(alerts.iter().map(|alert| {
        [
            alert.id.to_string(),
            alert.shop_id.to_string(),
            alert.article_id.to_string(),
            shown(&alert.number),
            alert.asked.to_string(),
            alert.available.to_string(),
            span(now - alert.at),
            shown(&alert.article),
        ]
    }));
    aligned(&lines)
}
