-- Unfinished jobs of a principal, by an expression that no other index has: they were counted by walking
-- all jobs that the principal ever had.
CREATE INDEX jobs_unfinished ON jobs (principal || '')
    WHERE principal IS NOT NULL AND state IN ('scheduled', 'ready', 'running');
DROP INDEX jobs_principal;
