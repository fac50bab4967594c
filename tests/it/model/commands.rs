//! What terminals do at random: few numbers and few contents, so that they meet often.

use crate::ventes::Shop;
use proptest::collection::vec;
use proptest::prelude::*;

const NUMBERS: usize = 8;
const CONTENTS: usize = 6;

/// Where the program may die.
const PLACES: &[&str] = &[
    "accept",
    "enqueue",
    "accepted",
    "claim",
    "claimed",
    "sale",
    "decide",
    "commit",
    "committed",
    "answer",
    "delivery",
];

/// A course of events over a few contents.
#[derive(Debug, Clone)]
pub(super) struct History {
    contents: Vec<Content>,
    pub(super) commands: Vec<Command>,
    /// Sales per request, and which neighbours change places, when the same is sold once more.
    pub(super) split: usize,
    pub(super) swaps: Vec<bool>,
}

/// One request: sales as indices of numbers and contents.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// 1 or 2.
    pub(super) terminal: usize,
    picks: Vec<Pick>,
    /// The terminal does not learn what became of it.
    pub(super) lost: bool,
    /// Sent under an `Idempotency-Key`.
    pub(super) keyed: bool,
    /// The program dies at this place while it is at this command.
    pub(super) death: Option<&'static str>,
    /// Send what the command so many before this one sent, from the same terminal.
    again: Option<usize>,
    /// The record fails once before it takes the request.
    pub(super) refused: bool,
    /// The first command that sent this: they share a key.
    pub(super) origin: usize,
}

#[derive(Debug, Clone)]
struct Pick {
    number: Option<usize>,
    content: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) paid: bool,
    pub(super) lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) article: Article,
    pub(super) quantity: i64,
    pub(super) price: Price,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Article {
    A,
    B,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Price {
    Absent,
    Null,
    /// In hundredths.
    Explicit(i64),
}

/// A sale as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Sale {
    pub(super) number: Option<String>,
    pub(super) content: Content,
}

pub(super) fn history() -> impl Strategy<Value = History> {
    let again = (1_usize..6, vec(any::<bool>(), 64));
    let courses = (vec(content(), CONTENTS), vec(command(), 1..16), again);
    courses.prop_map(|(contents, mut commands, (split, swaps))| {
        for index in 0..commands.len() {
            commands[index].origin = index;
            if let Some(before) = commands[index].again.and_then(|back| index.checked_sub(back)) {
                let Command { terminal, ref picks, keyed, origin, .. } = commands[before];
                let picks = picks.clone();
                commands[index] =
                    Command { terminal, picks, keyed, origin, ..commands[index].clone() };
            }
        }
        History { contents, commands, split, swaps }
    })
}

fn command() -> impl Strategy<Value = Command> {
    let terminal = prop_oneof![3 => Just(1_usize), 1 => Just(2_usize)];
    let again = prop_oneof![2 => Just(None), 1 => (1_usize..4).prop_map(Some)];
    let lost = prop::bool::weighted(0.3);
    let keyed = prop::bool::weighted(0.25);
    let refused = prop::bool::weighted(0.1);
    let death = prop_oneof![6 => Just(None), 1 => prop::sample::select(PLACES).prop_map(Some)];
    (terminal, vec(pick(), 1..5), (lost, keyed, refused), death, again).prop_map(
        |(terminal, picks, (lost, keyed, refused), death, again)| Command {
            terminal,
            picks,
            lost,
            keyed,
            death,
            again,
            refused,
            origin: 0,
        },
    )
}

fn pick() -> impl Strategy<Value = Pick> {
    let number = prop_oneof![6 => (0..NUMBERS).prop_map(Some), 1 => Just(None)];
    // Mostly the content that the number always has.
    let content = prop_oneof![4 => Just(None), 1 => (0..CONTENTS).prop_map(Some)];
    (number, content).prop_map(|(number, content)| Pick { number, content })
}

fn content() -> impl Strategy<Value = Content> {
    (prop::bool::weighted(0.9), vec(line(), 1..4)).prop_map(|(paid, lines)| Content { paid, lines })
}

fn line() -> impl Strategy<Value = Line> {
    let article = prop_oneof![
        8 => Just(Article::A),
        6 => Just(Article::B),
        1 => Just(Article::Unknown),
    ];
    let quantity = prop_oneof![15 => 1_i64..4, 1 => Just(0_i64)];
    let price = prop_oneof![
        4 => Just(Price::Absent),
        1 => Just(Price::Null),
        2 => Just(Price::Explicit(4_000_000)),
        1 => Just(Price::Explicit(0)),
        2 => (1_i64..100_000).prop_map(Price::Explicit),
    ];
    (article, quantity, price).prop_map(|(article, quantity, price)| Line {
        article,
        quantity,
        price,
    })
}

impl Command {
    pub(super) fn sales(&self, history: &History) -> Vec<Sale> {
        let sales = self.picks.iter().map(|pick| {
            let content = pick.content.or(pick.number).unwrap_or_default() % CONTENTS;
            Sale {
                number: pick.number.map(|number| format!("V-{number}")),
                content: history.contents[content].clone(),
            }
        });
        sales.collect()
    }
}

impl Sale {
    /// Whether it makes no difference which of two is sold first: neither number nor article is shared.
    pub(super) fn commutes_with(&self, other: &Self) -> bool {
        let sells = |article| other.content.lines.iter().any(|line| line.article == article);
        let shares = self.content.lines.iter().any(|line| sells(line.article));
        !shares && (self.number.is_none() || self.number != other.number)
    }

    pub(super) fn json(&self, shop: &Shop) -> String {
        let number = match &self.number {
            Some(number) => format!(r#""numero_facture":"{number}","#),
            None => String::new(),
        };
        let lines: Vec<_> = self.content.lines.iter().map(|line| line.json(shop)).collect();
        let (paid, lines) = (self.content.paid, lines.join(","));
        format!(r#"{{{number}"paye":{paid},"lignes":[{lines}]}}"#)
    }
}

impl Line {
    fn json(&self, shop: &Shop) -> String {
        let article = match self.article {
            Article::A => shop.a,
            Article::B => shop.b,
            Article::Unknown => 999_999_999_999,
        };
        let price = match self.price {
            Price::Absent => String::new(),
            Price::Null => r#","prix_unitaire":null"#.to_owned(),
            Price::Explicit(cents) => {
                format!(r#","prix_unitaire":{}.{:02}"#, cents / 100, cents % 100)
            }
        };
        format!(r#"{{"article_id":{article},"quantite":{}{price}}}"#, self.quantity)
    }
}
