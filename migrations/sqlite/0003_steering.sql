-- What people watch and steer: expiry, time limits, checkpoints, logs, cancels, pauses, workers.

ALTER TABLE jobs ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;  -- claiming order: due time in ms + 60 000 per priority
ALTER TABLE jobs ADD COLUMN expires_at TEXT;  -- not started from then on
ALTER TABLE jobs ADD COLUMN timeout_ms INTEGER;  -- of one attempt; absent: what the kind says
ALTER TABLE jobs ADD COLUMN checkpoint TEXT;  -- what the next attempt starts from
ALTER TABLE jobs ADD COLUMN cancel_at TEXT;  -- the running job was asked to stop
ALTER TABLE jobs ADD COLUMN cancel_by TEXT;  -- by whom and why

UPDATE jobs SET rank = CAST(unixepoch(run_at, 'subsec') * 1000 AS INTEGER) + priority * 60000
 WHERE state IN ('scheduled', 'ready', 'running');

-- With the kind, so that jobs of a paused one are passed by inside the index.
DROP INDEX jobs_ready;
CREATE INDEX jobs_ready ON jobs (queue, rank, id, kind) WHERE state = 'ready' AND NOT blocked;
CREATE INDEX jobs_blocked ON jobs (queue) WHERE state = 'ready' AND blocked;
CREATE INDEX jobs_later ON jobs (queue) WHERE state = 'scheduled';
CREATE INDEX jobs_expiring ON jobs (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('scheduled', 'ready');
CREATE INDEX jobs_cancelling ON jobs (id) WHERE cancel_at IS NOT NULL AND state = 'running';
-- Each index is written only where a job passes by: every one that a claim or an end must also
-- write is throughput lost.
DROP INDEX jobs_finished;
DROP INDEX jobs_state;
CREATE INDEX jobs_waiting ON jobs (state, id) WHERE state IN ('scheduled', 'ready');
CREATE INDEX jobs_ended ON jobs (state, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_ended_kind ON jobs (kind, state, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_dead ON jobs (queue, id) WHERE state = 'dead';
CREATE INDEX jobs_of_principal ON jobs (principal, id) WHERE principal IS NOT NULL;
CREATE INDEX jobs_of_lane ON jobs (lane, id) WHERE lane IS NOT NULL;

CREATE TABLE attempts_new (
    job_id     TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    token      INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    worker     TEXT,
    started_at TEXT,
    ended_at   TEXT NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('retry', 'dead', 'crash', 'cancelled')),
    error      TEXT NOT NULL,
    PRIMARY KEY (job_id, token)
);
INSERT INTO attempts_new SELECT job_id, token, attempt, worker, started_at, ended_at, outcome, error
  FROM attempts;
DROP TABLE attempts;
ALTER TABLE attempts_new RENAME TO attempts;

-- Search attributes that a job's kind declares.
CREATE TABLE job_attributes (
    name   TEXT NOT NULL,
    value  TEXT NOT NULL,
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (name, value, job_id)
);
CREATE INDEX job_attributes_job ON job_attributes (job_id);

-- What attempts logged; capped per attempt by the worker.
CREATE TABLE job_logs (
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at      TEXT NOT NULL,   -- by the worker's clock
    line    TEXT NOT NULL,
    PRIMARY KEY (job_id, seq)
);

-- Steps of a job that are not to be done again, with what they gave.
CREATE TABLE job_steps (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    step   TEXT NOT NULL,
    token  INTEGER NOT NULL,         -- the attempt that did it
    result TEXT NOT NULL,
    at     TEXT NOT NULL,
    PRIMARY KEY (job_id, step)
);

-- What people did to jobs.
CREATE TABLE job_actions (
    job_id    TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    id        TEXT NOT NULL,        -- UUIDv7: in the order they were done
    at        TEXT NOT NULL,
    act       TEXT NOT NULL,
    principal TEXT NOT NULL,
    reason    TEXT,
    PRIMARY KEY (job_id, id)
);

-- Queues and kinds whose jobs are not claimed.
CREATE TABLE pauses (
    scope     TEXT NOT NULL CHECK (scope IN ('queue', 'kind')),
    name      TEXT NOT NULL,
    until_at  TEXT,          -- ends by itself then
    principal TEXT NOT NULL,
    reason    TEXT,
    since     TEXT NOT NULL,
    PRIMARY KEY (scope, name)
);

-- Every queue that was ever used.
CREATE TABLE queues (
    name TEXT PRIMARY KEY
);
INSERT INTO queues (name) SELECT DISTINCT queue FROM jobs;

-- Ends per queue and minute, for throughput.
CREATE TABLE throughput (
    queue  TEXT NOT NULL,
    minute TEXT NOT NULL,
    done   INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    PRIMARY KEY (queue, minute)
);

-- Signs of life of worker processes.
CREATE TABLE workers (
    name          TEXT PRIMARY KEY,
    queues        TEXT NOT NULL,    -- [["records", 8], …]
    kinds         TEXT NOT NULL,    -- [["apply_sales_batch", 1], …]
    running       INTEGER NOT NULL,
    draining      INTEGER NOT NULL,
    started_at    TEXT NOT NULL,
    beat_at       TEXT NOT NULL,
    last_claim_at TEXT
);
