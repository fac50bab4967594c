-- The queue's record: one row per job, one row per failed attempt, one counter per lane.
-- The database is the truth; whatever Redis holds can be rebuilt from these tables.

CREATE TABLE jobs (
    id           TEXT PRIMARY KEY,          -- UUIDv7, made before the insert
    kind         TEXT NOT NULL,
    version      INTEGER NOT NULL,
    queue        TEXT NOT NULL,
    payload      TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN
                 ('scheduled', 'ready', 'running', 'done', 'dead', 'cancelled', 'expired')),
    priority     INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),   -- 0 first
    run_at       TEXT NOT NULL,
    lane         TEXT,
    lane_seq     INTEGER,
    blocked      INTEGER NOT NULL DEFAULT 0,    -- another job of the lane goes first
    unique_scope TEXT CHECK (unique_scope IN ('while_alive', 'ever', 'until_delivered')),
    unique_key   TEXT,
    principal    TEXT,                      -- who asked, e.g. 'terminal:0a1b'
    attempt      INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    crashes      INTEGER NOT NULL DEFAULT 0,
    token        INTEGER NOT NULL DEFAULT 0, -- fencing: grows with every claim
    lease_holder TEXT,
    lease_until  TEXT,
    progress_done  INTEGER,
    progress_total INTEGER,
    result       TEXT,
    error        TEXT,                      -- of the last failed attempt
    trace        TEXT,                      -- W3C traceparent of the request that asked
    created_at   TEXT NOT NULL,
    started_at   TEXT,
    finished_at  TEXT,
    delivered_at TEXT                -- the answer with this job's result left whole
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
    job_id     TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    token      INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    worker     TEXT,
    started_at TEXT,
    ended_at   TEXT NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('retry', 'dead', 'crash')),
    error      TEXT NOT NULL,
    PRIMARY KEY (job_id, token)
);

CREATE TABLE lanes (
    lane     TEXT PRIMARY KEY,
    last_seq INTEGER NOT NULL
);
