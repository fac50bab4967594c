-- Source 000: conflicts that other strategies than the last writer decided.

-- What a repeat of a decided conflict has in common with it; null of all others. It replaces
-- sync_conflicts_repeat, which knows one strategy and stays as long as older workers name it.
ALTER TABLE sync_conflicts ADD COLUMN repeat_key TEXT;
CREATE UNIQUE INDEX sync_conflicts_repeats
    ON sync_conflicts (site_id, entity_type, entity_id, repeat_key);
