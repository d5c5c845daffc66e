-- Which enrollment a certificate stands in: one document for each certificate, by thumbprint.

CREATE TABLE certificate_claims (
    instance TEXT NOT NULL, id TEXT NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL,
    sealed BLOB, owner TEXT, due INTEGER, lookups TEXT,
    UNIQUE (instance, id)
);
CREATE INDEX certificate_claims_owner ON certificate_claims (instance, owner, id) WHERE owner IS NOT NULL;
CREATE INDEX certificate_claims_due ON certificate_claims (due, instance, id) WHERE due IS NOT NULL;
