//! What the record promises about documents: counters that are right, marks that are true, and
//! one sender at a time.

use super::Case;
use db::{Db, Sql, args};
use records::documents::{
    Counts, NewDocument, Sent, Viewer, claim_in, counts, delete_in, insert_in, mark_synced_in,
    octets, pending_ids, release_in, request_in,
};
use std::time::Duration;
use tests::stores::Deployment;
use tests::wait::until;
use uuid::Uuid;

async fn insert(db: &Db, name: &str, sha256: &str, owner: Option<&str>) -> i64 {
    let new = NewDocument {
        nom_stocke: name.to_owned(),
        nom_original: name.to_owned(),
        taille: 1,
        sha256: sha256.to_owned(),
        proprietaire: owner.map(str::to_owned),
    };
    let mut tx = db.begin().await.unwrap();
    let document = insert_in(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    document.id
}

async fn mark(db: &Db, id: i64, sha256: &str) -> bool {
    let mut tx = db.begin().await.unwrap();
    let sent = Sent { id, sha256: sha256.to_owned(), taille: 5 };
    let marked = mark_synced_in(&mut tx, &[sent]).await.unwrap();
    tx.commit().await.unwrap();
    marked == [id]
}

/// The same counted the slow way.
async fn counted(db: &Db, viewer: &Viewer) -> (i64, i64, i64) {
    static COUNT: Sql = Sql::both(
        "SELECT COUNT(*) AS total, COUNT(*) FILTER (WHERE synced_to_nas) AS synced, \
         CAST(COALESCE(SUM(taille) FILTER (WHERE proprietaire = $1), 0) AS bigint) AS octets \
         FROM documents WHERE CAST($1 AS text) IS NULL OR proprietaire IS NULL OR proprietaire = $1",
    );
    let row = db.read_one(&COUNT, args![viewer.key()]).await.unwrap().unwrap();
    (row.get("total").unwrap(), row.get("synced").unwrap(), row.get("octets").unwrap())
}

/// R-001-7 to R-001-9, S-30: documents and bytes, through inserts, marks, repeats, changes of owner and removals, by several
/// at once.
pub(crate) async fn counts_are_those_of_the_table_whatever_happens(deployment: Deployment) {
    static GIVE: Sql = Sql::both("UPDATE documents SET proprietaire = $2 WHERE id = $1");
    let case = Case::open(deployment, &[]).await;
    let work = (0..4).map(|worker| {
        let db = case.db().clone();
        tokio::spawn(async move {
            for round in 0..24 {
                let owner = [None, Some("anne"), Some("boris")][(worker + round) % 3];
                let id = insert(&db, &format!("{worker}-{round}"), "a", owner).await;
                if round % 2 == 0 {
                    assert!(mark(&db, id, "a").await);
                    assert!(mark(&db, id, "a").await);
                }
                if round % 3 == 0 {
                    db.execute(&GIVE, args![id, Some("boris")]).await.unwrap();
                }
                if round % 5 == 0 {
                    let mut tx = db.begin().await.unwrap();
                    delete_in(&mut tx, id, &Viewer::Everybody).await.unwrap();
                    tx.commit().await.unwrap();
                }
            }
        })
    });
    for done in futures::future::join_all(work).await {
        done.unwrap();
    }
    for viewer in [None, Some("anne"), Some("boris"), Some("nobody")] {
        let viewer = Viewer::of(viewer.map(str::to_owned));
        let Counts { total, synced, last_sync } = counts(case.db(), &viewer).await.unwrap();
        let octets = octets(case.db(), viewer.key().unwrap_or("nobody")).await.unwrap();
        assert_eq!((total, synced, octets), counted(case.db(), &viewer).await, "{viewer:?}");
        assert!(total > synced && last_sync.is_some(), "{viewer:?}");
        let pending = pending_ids(case.db(), &viewer, 0, 1_000).await.unwrap();
        assert_eq!(pending.len() as i64, total - synced, "{viewer:?}");
        let mut paged = Vec::new();
        while let Some(page) = Some(
            pending_ids(case.db(), &viewer, paged.last().copied().unwrap_or(0), 7).await.unwrap(),
        )
        .filter(|page| !page.is_empty())
        {
            paged.extend(page);
        }
        assert_eq!(paged, pending, "{viewer:?}");
    }
}

/// I-25, R-001-34, C-27.
pub(crate) async fn a_mark_counts_only_for_the_file_that_was_sent(deployment: Deployment) {
    static SHOWN: Sql = Sql::both(
        "SELECT synced_to_nas, {ms synced_at} AS at, demande_le IS NULL AS settled, sha256 \
         FROM documents WHERE id = $1",
    );
    let case = Case::open(deployment, &[]).await;
    let db = case.db();
    let shown = async |id: i64| {
        let row = db.read_one(&SHOWN, args![id]).await.unwrap().unwrap();
        let synced: bool = row.get("synced_to_nas").unwrap();
        let settled: bool = row.get("settled").unwrap();
        (synced, row.get::<Option<i64>>("at").unwrap(), settled)
    };
    let id = insert(db, "a.jpg", "new", None).await;
    let mut tx = db.begin().await.unwrap();
    assert!(request_in(&mut tx, id, &Viewer::Key("anne".to_owned())).await.unwrap());
    tx.commit().await.unwrap();
    assert!(!mark(db, id, "old").await);
    assert_eq!(shown(id).await, (false, None, false));
    assert!(mark(db, id, "new").await);
    let (synced, first, settled) = shown(id).await;
    assert!(synced && settled && first.is_some());
    // Sent again, the time moves.
    until("its time moves", async || {
        assert!(mark(db, id, "new").await);
        shown(id).await.1 > first
    })
    .await;
    assert!(!mark(db, id + 1, "new").await);
    // Of a file that was never seen the first that is sent is the one.
    case.seed(serde_json::json!([{"id": 900, "fichier": "later.jpg"}])).await;
    assert!(mark(db, 900, "first").await);
    assert!(!mark(db, 900, "second").await);
}

/// At most one transfer per document (1.10), and none that is stuck with a job that died.
pub(crate) async fn a_document_is_claimed_by_one_job_at_a_time(deployment: Deployment) {
    let case = Case::open(deployment, &[]).await;
    let db = case.db();
    let mut ids = Vec::new();
    for n in 0..40 {
        ids.push(insert(db, &format!("{n}.jpg"), "a", None).await);
    }
    let claim = async |job: Uuid, ids: &[i64], hold: Duration| {
        let mut tx = db.begin().await.unwrap();
        let claimed = claim_in(&mut tx, ids, job, hold).await.unwrap();
        tx.commit().await.unwrap();
        claimed
    };
    let long = Duration::from_secs(600);
    let jobs: Vec<Uuid> = (0..6).map(|_| Uuid::now_v7()).collect();
    let mut turned = ids.clone();
    turned.reverse();
    let orders = [&ids, &turned];
    let all = jobs.iter().enumerate().map(|(n, job)| claim(*job, orders[n % 2], long));
    let won = futures::future::join_all(all).await;
    let mut together: Vec<i64> = won.iter().flatten().copied().collect();
    together.sort_unstable();
    assert_eq!(together, ids, "each has one winner");
    let holder = won.iter().position(|claimed| !claimed.is_empty()).unwrap();
    let (job, mut other) = (jobs[holder], jobs.clone());
    other.remove(holder);
    let theirs = &won[holder];
    assert_eq!(claim(job, theirs, long).await, *theirs, "it may keep them for longer");
    assert!(claim(other[0], theirs, long).await.is_empty());
    let mut tx = db.begin().await.unwrap();
    release_in(&mut tx, job).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(claim(other[0], theirs, Duration::ZERO).await, *theirs);
    // Held no longer, though never given back.
    assert_eq!(claim(other[1], theirs, long).await, *theirs);
}
