//! `relais keys`: making, listing and revoking API keys.

use super::{Ended, usage};
use crate::cli::keys::{Keys, KeysArgs};
use crate::{listing, terminal};
use chrono::{DateTime, TimeDelta, Utc};
use queue::Engine;
use records::keys::{self, KeyError, Listed, NewKey, PUSH};
use serde::Serialize;

/// A key that was just made.
#[derive(Serialize)]
struct Made<'a> {
    id: &'a str,
    /// The whole key: it is not shown again.
    key: &'a str,
    name: &'a str,
    scopes: &'a [String],
    site_id: Option<i64>,
    expires_at: Option<DateTime<Utc>>,
}

/// A key in a list.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    name: &'a str,
    scopes: &'a [String],
    site_id: Option<i64>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

pub(super) async fn run(args: &KeysArgs, engine: &dyn Engine) -> anyhow::Result<Ended> {
    let (db, json) = (engine.db(), args.json);
    match &args.what {
        Keys::Create { site, name, scope, expires } => {
            let expires = expires.map(|days| queue::clock::now() + TimeDelta::days(days.into()));
            let scopes = if site.is_some() { vec![PUSH.to_owned()] } else { scope.clone() };
            let usual = site.map_or_else(|| scopes.join(" "), |site| format!("site {site}"));
            let new = NewKey {
                nom: name.clone().unwrap_or(usual),
                portees: scopes,
                site_id: *site,
                expire_le: expires,
            };
            create(db, &new, json).await
        }
        Keys::List => {
            let listed = keys::list(db).await?;
            terminal::print(&match json {
                true => listing::text(&listed.iter().map(Shown::of).collect::<Vec<_>>()),
                false => listing::keys(&listed, queue::clock::now()),
            })?;
            Ok(Ended::Well)
        }
        Keys::Revoke { id } if id.contains('.') => {
            usage("name the key by the part before its dot: what stands behind it is secret")
        }
        Keys::Revoke { id } => {
            if !keys::revoke(db, id).await? {
                terminal::complain(&format!("there is no key `{}`", listing::shown(id)));
                return Ok(Ended::Badly);
            }
            terminal::print(&match json {
                true => listing::text(&serde_json::json!({ "id": id, "revoked": true })),
                false => format!("key {id} is revoked"),
            })?;
            Ok(Ended::Well)
        }
    }
}

async fn create(db: &db::Db, new: &NewKey, json: bool) -> anyhow::Result<Ended> {
    let whole = match keys::create(db, new).await {
        Ok(whole) => whole,
        Err(refused @ (KeyError::NoSite(_) | KeyError::TooMany(_))) => {
            terminal::complain(&refused.to_string());
            let is_absent = matches!(refused, KeyError::NoSite(_));
            return Ok(if is_absent { Ended::Badly } else { Ended::Refused });
        }
        Err(KeyError::Db(error)) => return Err(error.into()),
    };
    let id = whole.split('.').next().unwrap_or_default();
    if json {
        terminal::print(&listing::text(&Made {
            id,
            key: &whole,
            name: &new.nom,
            scopes: &new.portees,
            site_id: new.site_id,
            expires_at: new.expire_le,
        }))?;
    } else {
        // The key alone on standard output, so that it can be piped to where it is kept.
        terminal::note(&format!("{}: this is shown once, keep it now", listing::shown(&new.nom)));
        terminal::print(&whole)?;
    }
    Ok(Ended::Well)
}

impl<'a> Shown<'a> {
    fn of(key: &'a Listed) -> Self {
        Self {
            id: &key.id,
            name: &key.nom,
            scopes: &key.portees,
            site_id: key.site_id,
            created_at: key.cree_le,
            expires_at: key.expire_le,
            revoked_at: key.revoquee_le,
        }
    }
}
