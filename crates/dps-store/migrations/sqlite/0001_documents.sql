-- One table per collection, all alike, and what finds their documents.

CREATE TABLE instances (
    instance TEXT NOT NULL,
    id TEXT NOT NULL,
    etag TEXT NOT NULL,
    -- JSON; holds nothing secret.
    body TEXT NOT NULL,
    -- A format byte, a nonce, AES-256-GCM of the secret part.
    sealed BLOB,
    owner TEXT,
    -- Unix milliseconds.
    due INTEGER,
    -- JSON array of texts, as in the table of that name; NULL for none.
    lookups TEXT,
    UNIQUE (instance, id)
);
CREATE INDEX instances_owner ON instances (instance, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX instances_due ON instances (due, instance, id) WHERE due IS NOT NULL;

CREATE TABLE enrollments (
    instance TEXT NOT NULL, id TEXT NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL,
    sealed BLOB, owner TEXT, due INTEGER, lookups TEXT,
    UNIQUE (instance, id)
);
CREATE INDEX enrollments_owner ON enrollments (instance, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX enrollments_due ON enrollments (due, instance, id) WHERE due IS NOT NULL;

CREATE TABLE enrollment_groups (
    instance TEXT NOT NULL, id TEXT NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL,
    sealed BLOB, owner TEXT, due INTEGER, lookups TEXT,
    UNIQUE (instance, id)
);
CREATE INDEX enrollment_groups_owner ON enrollment_groups (instance, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX enrollment_groups_due ON enrollment_groups (due, instance, id) WHERE due IS NOT NULL;

CREATE TABLE registrations (
    instance TEXT NOT NULL, id TEXT NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL,
    sealed BLOB, owner TEXT, due INTEGER, lookups TEXT,
    UNIQUE (instance, id)
);
CREATE INDEX registrations_owner ON registrations (instance, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX registrations_due ON registrations (due, instance, id) WHERE due IS NOT NULL;

CREATE TABLE hub_devices (
    instance TEXT NOT NULL, id TEXT NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL,
    sealed BLOB, owner TEXT, due INTEGER, lookups TEXT,
    UNIQUE (instance, id)
);
CREATE INDEX hub_devices_owner ON hub_devices (instance, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX hub_devices_due ON hub_devices (due, instance, id) WHERE due IS NOT NULL;

CREATE TABLE settings (
    instance TEXT NOT NULL, id TEXT NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL,
    sealed BLOB, owner TEXT, due INTEGER, lookups TEXT,
    UNIQUE (instance, id)
);
CREATE INDEX settings_owner ON settings (instance, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX settings_due ON settings (due, instance, id) WHERE due IS NOT NULL;

-- Further texts under which a document is found.
CREATE TABLE lookups (
    collection TEXT NOT NULL,
    instance TEXT NOT NULL,
    text TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (collection, instance, text, id)
) WITHOUT ROWID;

-- How many documents an instance has; kept by the writer, so that counting does not scan.
CREATE TABLE counts (
    collection TEXT NOT NULL,
    instance TEXT NOT NULL,
    documents INTEGER NOT NULL,
    PRIMARY KEY (collection, instance)
) WITHOUT ROWID;

-- Facts about the store itself.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
