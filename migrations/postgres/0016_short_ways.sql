-- Unfinished jobs of a principal, by an expression that no other index has: some sessions counted
-- them by walking all jobs that the principal ever had.
CREATE INDEX jobs_unfinished ON jobs ((principal || ''))
    WHERE principal IS NOT NULL AND state IN ('scheduled', 'ready', 'running');
DROP INDEX jobs_principal;

-- Whether a sale has been refused before, for each sale of a batch: of what a terminal ever had refused,
-- only that sale's row is looked at.
CREATE INDEX ventes_rejetees_empreinte ON ventes_rejetees (empreinte) WHERE NOT traitee;

-- A job's place in its lane, and whether another one goes first. The counter is locked before the
-- lane is looked at, by a statement that sees what was committed while it waited for the lock: so
-- one call can put a job in.
CREATE FUNCTION enter_lane(entered text, OUT seq bigint, OUT behind boolean) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO lanes (lane, last_seq) VALUES (entered, 1)
        ON CONFLICT (lane) DO UPDATE SET last_seq = lanes.last_seq + 1 RETURNING last_seq INTO seq;
    behind := COALESCE((SELECT TRUE FROM jobs WHERE jobs.lane = entered
        AND jobs.state IN ('scheduled', 'ready', 'running') ORDER BY jobs.lane_seq LIMIT 1), FALSE);
END $$;

-- Lets the first living job of a lane go next, and returns its id if it had to wait until now; in
-- the same order: first the lock.
CREATE FUNCTION leave_lane(emptied text, OUT head uuid) LANGUAGE plpgsql STRICT AS $$
BEGIN
    PERFORM 1 FROM lanes WHERE lane = emptied FOR UPDATE;
    UPDATE jobs SET blocked = FALSE WHERE blocked AND id = (SELECT next.id FROM jobs AS next
        WHERE next.lane = emptied AND next.state IN ('scheduled', 'ready', 'running')
        ORDER BY next.lane_seq LIMIT 1) RETURNING id INTO head;
END $$;
