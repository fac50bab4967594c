-- Schedules, and the ledger of what became of their ticks.

CREATE TABLE schedules (
    name          TEXT PRIMARY KEY,
    cron          TEXT NOT NULL,
    timezone      TEXT NOT NULL,            -- IANA name
    kind          TEXT NOT NULL,
    payload       TEXT NOT NULL,
    on_gap        TEXT NOT NULL CHECK (on_gap IN ('run', 'skip')),
    on_fold       TEXT NOT NULL CHECK (on_fold IN ('first', 'second', 'both')),
    missed        TEXT NOT NULL CHECK (missed IN ('skip', 'once', 'all')),
    missed_limit  INTEGER NOT NULL,
    overlap       TEXT NOT NULL CHECK (overlap IN ('skip', 'allow')),
    paused        INTEGER NOT NULL DEFAULT 0,
    paused_until  TEXT,
    paused_reason TEXT,
    source        TEXT NOT NULL CHECK (source IN ('config', 'api')),
    stamp         INTEGER NOT NULL,         -- random, new with every write: their sum tells of a change
    since         TEXT NOT NULL,            -- ticks up to this instant do not count
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
);

-- Outlives its schedule until it is pruned, so it refers to none; nor to jobs, which go earlier.
CREATE TABLE ticks (
    schedule TEXT NOT NULL,
    nominal  TEXT NOT NULL,                 -- when it was due
    outcome  TEXT NOT NULL CHECK (outcome IN
             ('enqueued', 'coalesced', 'skipped_overlap', 'skipped_missed', 'skipped_paused')),
    job_id   TEXT,
    missed   INTEGER NOT NULL DEFAULT 0,    -- earlier ticks that this row stands for
    late_ms  INTEGER NOT NULL,
    at       TEXT NOT NULL,
    PRIMARY KEY (schedule, nominal)
);

CREATE INDEX ticks_nominal ON ticks (nominal);
