-- What watching keeps: rules, settings and alerts in one table, the many rollups of metrics in another.

CREATE TABLE monitoring (
    instance TEXT NOT NULL, id TEXT NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL,
    sealed BLOB, owner TEXT, due INTEGER, lookups TEXT,
    UNIQUE (instance, id)
);
CREATE INDEX monitoring_owner ON monitoring (instance, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX monitoring_due ON monitoring (due, instance, id) WHERE due IS NOT NULL;

CREATE TABLE rollups (
    instance TEXT NOT NULL, id TEXT NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL,
    sealed BLOB, owner TEXT, due INTEGER, lookups TEXT,
    UNIQUE (instance, id)
);
CREATE INDEX rollups_owner ON rollups (instance, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX rollups_due ON rollups (due, instance, id) WHERE due IS NOT NULL;
