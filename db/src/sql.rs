//! One statement for both dialects, with marks where they differ.
//!
//! | mark | PostgreSQL | SQLite |
//! |---|---|---|
//! | `{now}` | `statement_timestamp()` | the time as text |
//! | `{after $2}` | now + `$2` milliseconds | the same |
//! | `{ms run_at}` | an instant as milliseconds since 1970 | the same |
//! | `= ANY($2)` | as written | `IN (SELECT value FROM json_each($2))` |
//! | `{few $2}` | a list whose length is hidden from the planner: one plan serves for all | `$2` |
//! | `LIMIT $2` | as written | `LIMIT 0 + $2`: a bare one is planned anew for every value |
//! | `{lock}` | `FOR UPDATE` | nothing: a writing transaction is alone |
//! | `{by jobs_leased}` | nothing: it knows how many rows there are | `INDEXED BY jobs_leased` |
//! | `{skip locked}` | `FOR UPDATE SKIP LOCKED` | nothing |
//! | `{unflushed}` | true, and its commit waits for no disk | true: see [`crate::Db::write_unflushed`] |

use std::sync::OnceLock;

/// Which database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// A statement, translated once per process and kept for its whole life.
#[derive(Debug)]
pub struct Sql {
    postgres: &'static str,
    sqlite: &'static str,
    translated: [OnceLock<String>; 2],
}

impl Sql {
    /// One text for both dialects.
    pub const fn both(text: &'static str) -> Self {
        Self::each(text, text)
    }

    /// Two texts, for what one text cannot say.
    pub const fn each(postgres: &'static str, sqlite: &'static str) -> Self {
        Self { postgres, sqlite, translated: [const { OnceLock::new() }; 2] }
    }

    /// The statement as `dialect` reads it.
    pub fn text(&'static self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Postgres => self.translated[0].get_or_init(|| postgres(self.postgres)),
            Dialect::Sqlite => self.translated[1].get_or_init(|| sqlite(self.sqlite)),
        }
    }
}

/// Evaluated once per statement, and in force until the end of its transaction.
const UNFLUSHED: &str = "(SELECT set_config('synchronous_commit', 'off', true)) = 'off'";
const SQLITE_TIME: &str = "'%Y-%m-%dT%H:%M:%fZ'";

fn postgres(text: &str) -> String {
    let text = text
        .replace("{now}", "statement_timestamp()")
        .replace("{unflushed}", UNFLUSHED)
        .replace("{lock}", "FOR UPDATE")
        .replace("{skip locked}", "FOR UPDATE SKIP LOCKED");
    let text = replace_marked(&text, "{by ", "}", |_| String::new());
    let text = replace_marked(&text, "{few ", "}", |n| format!("COALESCE((SELECT {n}))"));
    let text = replace_marked(&text, "{after ", "}", |n| {
        format!("(statement_timestamp() + {n}::bigint * interval '1 millisecond')")
    });
    replace_marked(&text, "{ms ", "}", |at| format!("(extract(epoch FROM {at}) * 1000)::bigint"))
}

fn sqlite(text: &str) -> String {
    let text = text
        .replace("{now}", &format!("strftime({SQLITE_TIME}, 'now')"))
        .replace("{unflushed}", "TRUE")
        .replace("LIMIT $", "LIMIT 0 + $")
        .replace("{lock}", "")
        .replace("{skip locked}", "");
    let text = replace_marked(&text, "{by ", "}", |index| format!("INDEXED BY {index}"));
    let text = replace_marked(&text, "{few ", "}", str::to_owned);
    let text = replace_marked(&text, "{after ", "}", |n| {
        format!("strftime({SQLITE_TIME}, 'now', printf('%+.3f seconds', {n} / 1000.0))")
    });
    let text = replace_marked(&text, "{ms ", "}", |at| {
        format!("CAST(round(unixepoch({at}, 'subsec') * 1000) AS INTEGER)")
    });
    replace_marked(&text, "= ANY(", ")", |n| format!("IN (SELECT value FROM json_each({n}))"))
}

fn replace_marked(text: &str, open: &str, close: &str, with: impl Fn(&str) -> String) -> String {
    let mut parts = text.split(open);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(close) {
            Some((inside, after)) => {
                result.push_str(&with(inside));
                result.push_str(after);
            }
            None => {
                result.push_str(open);
                result.push_str(part);
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Sql};

    static MARKED: Sql = Sql::both(
        "SELECT {now}, {after $2} WHERE id = ANY($1) AND x = ANY({few $3}) LIMIT $4 {lock}",
    );

    #[test]
    fn marks_become_the_dialects_words() {
        assert_eq!(
            MARKED.text(Dialect::Postgres),
            "SELECT statement_timestamp(), (statement_timestamp() + $2::bigint * interval \
             '1 millisecond') WHERE id = ANY($1) AND x = ANY(COALESCE((SELECT $3))) LIMIT $4 FOR \
             UPDATE"
        );
        assert_eq!(
            MARKED.text(Dialect::Sqlite),
            "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now', \
             printf('%+.3f seconds', $2 / 1000.0)) WHERE id IN (SELECT value FROM json_each($1)) \
             AND x IN (SELECT value FROM json_each($3)) LIMIT 0 + $4 "
        );
    }
}
