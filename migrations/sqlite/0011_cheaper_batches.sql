-- Which answers left whole (D-12): one row for each, instead of a mark on every sale that it listed.
-- `ventes.remise_le` is read as before and written no more; it and `ventes_a_remettre` go later, since
-- processes of the version before need them during a rolling update.

CREATE TABLE remises (
    job_id TEXT PRIMARY KEY,                -- outlives the job: its sales say `rapportee_par`
    le     TEXT NOT NULL
) WITHOUT ROWID;
