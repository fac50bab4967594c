-- Which answers left whole (D-12): one row for each, instead of a mark on every sale that it listed.
-- `ventes.remise_le` is read as before and written no more; it and `ventes_a_remettre` go later, since
-- processes of the version before need them during a rolling update.

CREATE TABLE remises (
    job_id uuid PRIMARY KEY,                -- outlives the job: its sales say `rapportee_par`
    le     timestamptz NOT NULL
);

-- Payloads and results of batches are long texts, written once and read two or three times: where the
-- server has lz4 they are packed with it, which takes a fraction of the time. What is stored stays.
DO $$
BEGIN
    ALTER TABLE jobs ALTER COLUMN payload SET COMPRESSION lz4;
    ALTER TABLE jobs ALTER COLUMN result SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
