-- What people watch and steer: expiry, time limits, checkpoints, logs, cancels, pauses, workers.

ALTER TABLE jobs
    ADD COLUMN rank       bigint NOT NULL DEFAULT 0,  -- claiming order: due time in ms + 60 000 per priority
    ADD COLUMN expires_at timestamptz,                -- not started from then on
    ADD COLUMN timeout_ms bigint,                     -- of one attempt; absent: what the kind says
    ADD COLUMN checkpoint json,                       -- what the next attempt starts from
    ADD COLUMN cancel_at  timestamptz,                -- the running job was asked to stop
    ADD COLUMN cancel_by  text;                       -- by whom and why

UPDATE jobs SET rank = (extract(epoch FROM run_at) * 1000)::bigint + priority * 60000
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

ALTER TABLE attempts DROP CONSTRAINT attempts_outcome_check;
ALTER TABLE attempts ADD CONSTRAINT attempts_outcome_check
    CHECK (outcome IN ('retry', 'dead', 'crash', 'cancelled'));

-- Search attributes that a job's kind declares.
CREATE TABLE job_attributes (
    name   text NOT NULL,
    value  text NOT NULL,
    job_id uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (name, value, job_id)
);
CREATE INDEX job_attributes_job ON job_attributes (job_id);

-- What attempts logged; capped per attempt by the worker.
CREATE TABLE job_logs (
    job_id  uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq     bigint NOT NULL,
    attempt bigint NOT NULL,
    at      timestamptz NOT NULL,   -- by the worker's clock
    line    text NOT NULL,
    PRIMARY KEY (job_id, seq)
);

-- Steps of a job that are not to be done again, with what they gave.
CREATE TABLE job_steps (
    job_id uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    step   text NOT NULL,
    token  bigint NOT NULL,         -- the attempt that did it
    result json NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (job_id, step)
);

-- What people did to jobs.
CREATE TABLE job_actions (
    job_id    uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    id        uuid NOT NULL,        -- UUIDv7: in the order they were done
    at        timestamptz NOT NULL,
    act       text NOT NULL,
    principal text NOT NULL,
    reason    text,
    PRIMARY KEY (job_id, id)
);

-- Queues and kinds whose jobs are not claimed.
CREATE TABLE pauses (
    scope     text NOT NULL CHECK (scope IN ('queue', 'kind')),
    name      text NOT NULL,
    until_at  timestamptz,          -- ends by itself then
    principal text NOT NULL,
    reason    text,
    since     timestamptz NOT NULL,
    PRIMARY KEY (scope, name)
);

-- Every queue that was ever used.
CREATE TABLE queues (
    name text PRIMARY KEY
);
INSERT INTO queues (name) SELECT DISTINCT queue FROM jobs;

-- Ends per queue and minute, for throughput.
CREATE TABLE throughput (
    queue  text NOT NULL,
    minute timestamptz NOT NULL,
    done   bigint NOT NULL,
    failed bigint NOT NULL,
    PRIMARY KEY (queue, minute)
);

-- Signs of life of worker processes.
CREATE TABLE workers (
    name          text PRIMARY KEY,
    queues        json NOT NULL,    -- [["records", 8], …]
    kinds         json NOT NULL,    -- [["apply_sales_batch", 1], …]
    running       bigint NOT NULL,
    draining      boolean NOT NULL,
    started_at    timestamptz NOT NULL,
    beat_at       timestamptz NOT NULL,
    last_claim_at timestamptz
);
