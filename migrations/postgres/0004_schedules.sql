-- Schedules, and the ledger of what became of their ticks.

CREATE TABLE schedules (
    name          text COLLATE "C" PRIMARY KEY,
    cron          text NOT NULL,
    timezone      text NOT NULL,            -- IANA name
    kind          text NOT NULL,
    payload       json NOT NULL,
    on_gap        text NOT NULL CHECK (on_gap IN ('run', 'skip')),
    on_fold       text NOT NULL CHECK (on_fold IN ('first', 'second', 'both')),
    missed        text NOT NULL CHECK (missed IN ('skip', 'once', 'all')),
    missed_limit  bigint NOT NULL,
    overlap       text NOT NULL CHECK (overlap IN ('skip', 'allow')),
    paused        boolean NOT NULL DEFAULT FALSE,
    paused_until  timestamptz,
    paused_reason text,
    source        text NOT NULL CHECK (source IN ('config', 'api')),
    stamp         bigint NOT NULL,          -- random, new with every write: their sum tells of a change
    since         timestamptz NOT NULL,     -- ticks up to this instant do not count
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);

-- Outlives its schedule until it is pruned, so it refers to none; nor to jobs, which go earlier.
CREATE TABLE ticks (
    schedule text COLLATE "C" NOT NULL,
    nominal  timestamptz NOT NULL,          -- when it was due
    outcome  text NOT NULL CHECK (outcome IN
             ('enqueued', 'coalesced', 'skipped_overlap', 'skipped_missed', 'skipped_paused')),
    job_id   uuid,
    missed   bigint NOT NULL DEFAULT 0,     -- earlier ticks that this row stands for
    late_ms  bigint NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (schedule, nominal)
);

CREATE INDEX ticks_nominal ON ticks (nominal);
