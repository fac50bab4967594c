-- The queue's record: one row per job, one row per failed attempt, one counter per lane.
-- The database is the truth; whatever Redis holds can be rebuilt from these tables.

CREATE TABLE jobs (
    id           uuid PRIMARY KEY,          -- UUIDv7, made before the insert
    kind         text NOT NULL,
    version      bigint NOT NULL,
    queue        text NOT NULL,
    payload      json NOT NULL,
    state        text NOT NULL CHECK (state IN
                 ('scheduled', 'ready', 'running', 'done', 'dead', 'cancelled', 'expired')),
    priority     bigint NOT NULL CHECK (priority BETWEEN 0 AND 9),   -- 0 first
    run_at       timestamptz NOT NULL,
    lane         text,
    lane_seq     bigint,
    blocked      boolean NOT NULL DEFAULT FALSE,    -- another job of the lane goes first
    unique_scope text CHECK (unique_scope IN ('while_alive', 'ever', 'until_delivered')),
    unique_key   text,
    principal    text,                      -- who asked, e.g. 'terminal:0a1b'
    attempt      bigint NOT NULL DEFAULT 0,
    max_attempts bigint NOT NULL,
    crashes      bigint NOT NULL DEFAULT 0,
    token        bigint NOT NULL DEFAULT 0, -- fencing: grows with every claim
    lease_holder text,
    lease_until  timestamptz,
    progress_done  bigint,
    progress_total bigint,
    result       json,
    error        text,                      -- of the last failed attempt
    trace        text,                      -- W3C traceparent of the request that asked
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,
    finished_at  timestamptz,
    delivered_at timestamptz                -- the answer with this job's result left whole
);

CREATE INDEX jobs_ready ON jobs (queue, priority, run_at, id) WHERE state = 'ready' AND NOT blocked;
CREATE INDEX jobs_scheduled ON jobs (run_at) WHERE state = 'scheduled';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_lane ON jobs (lane, lane_seq)
    WHERE lane IS NOT NULL AND state IN ('scheduled', 'ready', 'running');
CREATE INDEX jobs_principal ON jobs (principal)
    WHERE principal IS NOT NULL AND state IN ('scheduled', 'ready', 'running');
CREATE INDEX jobs_state ON jobs (state, id);
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE UNIQUE INDEX jobs_unique_while_alive ON jobs (kind, unique_key)
    WHERE unique_scope = 'while_alive' AND state IN ('scheduled', 'ready', 'running');
CREATE UNIQUE INDEX jobs_unique_ever ON jobs (kind, unique_key) WHERE unique_scope = 'ever';
CREATE UNIQUE INDEX jobs_unique_until_delivered ON jobs (kind, unique_key)
    WHERE unique_scope = 'until_delivered' AND delivered_at IS NULL
      AND state IN ('scheduled', 'ready', 'running', 'done');

CREATE TABLE attempts (
    job_id     uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    token      bigint NOT NULL,
    attempt    bigint NOT NULL,
    worker     text,
    started_at timestamptz,
    ended_at   timestamptz NOT NULL,
    outcome    text NOT NULL CHECK (outcome IN ('retry', 'dead', 'crash')),
    error      text NOT NULL,
    PRIMARY KEY (job_id, token)
);

CREATE TABLE lanes (
    lane     text PRIMARY KEY,
    last_seq bigint NOT NULL
);
