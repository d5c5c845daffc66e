//! Every bound of the service, by name. A buffer, page, chain, queue or time without a row here is a defect.
//!
//! Sizes are bytes and times are seconds unless the name says otherwise. `Profile` picks the throttles and quotas
//! that differ between Azure's documented figures and a self-hosted server; the constants protect the process itself
//! and hold in every profile.

mod evaluations;
mod explaining;
mod inbox;
mod portal;
mod queries;
mod rehearsals;
mod rules;
mod watching;

pub use evaluations::*;
pub use explaining::*;
pub use inbox::*;
pub use portal::*;
pub use queries::*;
pub use rehearsals::*;
pub use rules::*;
pub use watching::*;

/// Longest registration id or enrollment group id, in characters (Azure: "DPS limits").
pub const MAX_REGISTRATION_ID: usize = 128;
/// Longest device id of a hub, in characters (IoT Hub identity registry).
pub const MAX_DEVICE_ID: usize = 128;
/// Longest host name of a hub (RFC 1035 §2.3.4).
pub const MAX_HOST_NAME: usize = 253;
/// Longest id scope that is looked up at all; real ones have 11 characters.
pub const MAX_ID_SCOPE: usize = 64;
/// Longest operation id that is looked up at all; ours have 55 characters.
pub const MAX_OPERATION_ID: usize = 128;
/// Largest request or response body of the device and service APIs (Azure: message size 96 KB).
pub const MAX_BODY: usize = 96 * 1024;
/// Deepest JSON accepted in a body; matches `serde_json`'s own recursion limit.
pub const MAX_JSON_DEPTH: usize = 127;
/// Longest SAS token text, in bytes.
pub const MAX_SAS_TOKEN: usize = 4 * 1024;
/// Most certificates of a presented chain that are read.
pub const MAX_CHAIN_CERTIFICATES: usize = 10;
/// Largest certificate that is parsed, in DER bytes.
pub const MAX_CERTIFICATE: usize = 16 * 1024;
/// Largest PEM or base64 text of one certificate field in an enrollment.
pub const MAX_CERTIFICATE_TEXT: usize = 64 * 1024;
/// Shortest RSA key that may sign a certificate of a presented chain, in bits.
pub const MIN_RSA_BITS: usize = 2048;
/// Longest RSA key that may sign a certificate of a presented chain, in bits: checking longer ones costs too much.
pub const MAX_RSA_BITS: usize = 8192;
/// Longest TPM key of an enrollment, in base64 characters; an RSA-2048 one has about 420.
pub const MAX_TPM_KEY: usize = 4 * 1024;
/// Longest `TPM2B_PUBLIC` that is read, in bytes: what `MAX_TPM_KEY` characters of base64 hold.
pub const MAX_TPM_PUBLIC: usize = MAX_TPM_KEY / 4 * 3;
/// Shortest time that a device has to answer its TPM challenge; the longest is twice that.
pub const TPM_CHALLENGE_WINDOW: i64 = 300;
/// Older windows that a late answer to a TPM challenge is looked for in, to tell that it is late.
pub const TPM_CHALLENGE_WINDOWS_EXPLAINED: i64 = 12;
/// Longest text that rides along in a TPM activation blob (the SDKs' TPM commands take 1,024 bytes).
pub const MAX_TPM_URI: usize = 1_024;
/// Most signature checks spent on one presented chain.
pub const MAX_SIGNATURE_CHECKS: usize = 16;
/// Shortest symmetric key, in decoded bytes (Azure: 16 to 64).
pub const MIN_SYMMETRIC_KEY: usize = 16;
/// Longest symmetric key, in decoded bytes.
pub const MAX_SYMMETRIC_KEY: usize = 64;
/// Clock difference forgiven when a SAS token's expiry is checked.
pub const SAS_CLOCK_SKEW: i64 = 300;
/// Bytes of a bearer token that are read; Entra's, with 200 groups, has less than 10 KiB. A longer one is refused.
pub const MAX_BEARER_TOKEN: usize = 16 * 1024;
/// Seconds by which the clock of an identity provider may differ (RFC 7519 §4.1.4; Entra's libraries take as much).
pub const BEARER_CLOCK_SKEW: i64 = 300;
/// Bytes of a key set or a discovery document that are read.
pub const MAX_KEY_DOCUMENT: usize = 256 * 1024;
/// Keys of an identity provider that are kept; what comes after them is not looked at.
pub const MAX_PROVIDER_KEYS: usize = 64;
/// Keys of one key id that a token's signature is checked with.
pub const MAX_KEYS_TRIED: usize = 4;
/// Seconds that an identity provider has to hand out its keys; then those who wait for them are refused.
pub const KEY_FETCH_TIMEOUT: u64 = 5;
/// Seconds between two questions for the keys of an identity provider, whatever key ids callers make up.
pub const KEY_FETCH_INTERVAL: i64 = 30;
/// Seconds after which the keys of an identity provider are asked for again, while the old ones are in use.
pub const KEYS_FRESH: i64 = 3_600;
/// Seconds for which keys are believed while their identity provider cannot be reached.
pub const KEYS_KEPT: i64 = 24 * 3_600;
/// Identity providers of a server.
pub const MAX_IDENTITY_PROVIDERS: usize = 16;
/// Bytes of an issuer or of a URL of an identity provider.
pub const MAX_PROVIDER_URL: usize = 2_048;
/// Role assignments of an identity provider.
pub const MAX_ROLE_ASSIGNMENTS: usize = 1_024;
/// Hubs an enrollment or an instance may name (Azure: 50 linked hubs).
pub const MAX_LINKED_HUBS: usize = 50;
/// Longest URL of a custom-allocation webhook.
pub const MAX_WEBHOOK_URL: usize = 2_048;
/// Enrollments of one bulk operation (Azure: 10).
pub const MAX_BULK_ENROLLMENTS: usize = 10;
/// Rows of a query's page when the client names no number (Azure: 100).
pub const DEFAULT_QUERY_PAGE: usize = 100;
/// Most rows of a query's page, whatever the client asks for.
pub const MAX_QUERY_PAGE: usize = 1_000;
/// Size from which a query's page takes no further row; the client goes on with the continuation.
pub const MAX_QUERY_PAGE_BYTES: usize = 1024 * 1024;
/// Rows looked at for one page of a query; a page may end before it is full, even empty, and be continued.
pub const MAX_QUERY_SCAN: usize = 4_096;
/// Rows of a query that are read from the store at once: each may have a twin of two full sections.
pub const QUERY_ROWS_AT_ONCE: usize = 50;
/// Attempts of an unconditional delete of an enrollment that meets concurrent changes.
pub const ENROLLMENT_WRITE_ATTEMPTS: u32 = 8;
/// Longest continuation token that is read; ours have at most 256 bytes.
pub const MAX_CONTINUATION: usize = 512;
/// Longest text of an enrollment query.
pub const MAX_QUERY_TEXT: usize = 8 * 1024;
/// Deepest nesting of an enrollment query: parentheses and NOT.
pub const MAX_QUERY_DEPTH: usize = 32;
/// Comparisons and functions of one enrollment query.
pub const MAX_QUERY_TERMS: usize = 128;
/// Values of one IN list.
pub const MAX_QUERY_LIST: usize = 128;
/// Parts of one path of an enrollment query.
pub const MAX_QUERY_PATH: usize = 32;
/// Highest allocation weight of a linked hub.
pub const MAX_ALLOCATION_WEIGHT: u32 = 1000;
/// IP filter rules of an instance (Azure: 100).
pub const MAX_IP_FILTER_RULES: usize = 100;
/// Longest name of an IP filter rule (Azure: 128).
pub const MAX_IP_FILTER_NAME: usize = 128;
/// Longest text of an IP filter's mask that an error repeats.
pub const MAX_IP_MASK: usize = 64;
/// CA certificates of an instance (Azure: 25).
pub const MAX_CA_CERTIFICATES: usize = 25;
/// Longest name of a CA certificate (ARM: 256).
pub const MAX_CA_CERTIFICATE_NAME: usize = 256;
/// Attempts of a change of an instance that meets changes by others.
pub const INSTANCE_WRITE_ATTEMPTS: usize = 8;
/// Longest pause before making or unmaking an instance is tried again.
pub const MAX_LIFECYCLE_PAUSE: u64 = 60;
/// Provisioning services of one server: all of them are held in memory.
pub const MAX_INSTANCES: usize = 1_000;
/// Shortest name of a provisioning service (ARM: its name is a host name's first label).
pub const MIN_INSTANCE_NAME: usize = 3;
/// Longest name of a provisioning service.
pub const MAX_INSTANCE_NAME: usize = 50;
/// Longest name of a subscription or resource group (ARM: 90).
pub const MAX_RESOURCE_GROUP: usize = 90;
/// Longest region.
pub const MAX_LOCATION: usize = 90;
/// Tags of a resource (ARM: 50).
pub const MAX_TAGS: usize = 50;
/// Longest name of a tag, in characters (ARM: 512).
pub const MAX_TAG_NAME: usize = 512;
/// Longest value of a tag, in characters (ARM: 256).
pub const MAX_TAG_VALUE: usize = 256;
/// Most units of the SKU; they mean nothing here, so it is only a bound.
pub const MAX_SKU_CAPACITY: i64 = 1_000;
/// Shared access policies of an instance.
pub const MAX_ACCESS_POLICIES: usize = 100;
/// Longest name of a shared access policy (IoT Hub: 64).
pub const MAX_ACCESS_POLICY_NAME: usize = 64;
/// Longest connection string of a linked hub that is read.
pub const MAX_CONNECTION_STRING: usize = 1_024;
/// Largest request body of the management API: 50 links, 100 policies and 100 rules fit several times.
pub const MAX_MANAGEMENT_BODY: usize = 512 * 1024;
/// Provisioning services on one page of a list.
pub const MAX_MANAGEMENT_PAGE: usize = 100;
/// Longest id of an asynchronous operation that is looked at.
pub const MAX_MANAGEMENT_OPERATION_ID: usize = 512;
/// Names of enrollments that the refusal to delete a CA certificate repeats.
pub const MAX_REFERRERS_NAMED: usize = 10;
/// `Retry-After` of an asynchronous operation: they take milliseconds here.
pub const MANAGEMENT_RETRY_AFTER: u32 = 1;
/// Bytes of the code that a CA's owner proves possession with; written as twice as many hexadecimal digits.
pub const VERIFICATION_CODE: usize = 24;

/// Symmetric-key enrollment groups whose keys one first attempt may be tried against.
pub const MAX_GROUPS_TRIED: usize = 20_000;
/// Groups tried in one go before the lane serves another caller.
pub const GROUPS_PER_TURN: usize = 256;
/// First attempts that may wait in the group lane; more are refused with 429.
pub const MAX_GROUP_LANE_WAITING: usize = 4_096;
/// First attempts of one caller address that may wait in the group lane.
pub const MAX_GROUP_LANE_WAITING_PER_PEER: usize = 256;
/// Registration ids whose matched group is remembered in memory.
pub const MAX_REMEMBERED_GROUPS: u64 = 200_000;

/// Operations worked on at once by one node.
pub const MAX_RUNNING_OPERATIONS: usize = 512;
/// Of them, and of those that ask a webhook, at any one hub or webhook: one that stalls leaves places to the others.
pub const MAX_RUNNING_AT_ONE_PEER: usize = 128;
/// How long a sweep waits for a place at a hub or a webhook, once, before it puts off what belongs there, in milliseconds.
pub const SWEEP_PATIENCE_MS: u64 = 1_000;
/// Operations taken over by one sweep of the store.
pub const OPERATIONS_PER_SWEEP: usize = 256;
/// Time between two sweeps for operations whose lease ran out.
pub const OPERATION_SWEEP: u64 = 5;
/// How long a node may hold an operation without a sign of life before another may take it.
pub const OPERATION_LEASE: i64 = 30;
/// Time after which a node that waits for a hub or a webhook renews its lease: twice may fail.
pub const OPERATION_RENEWAL: u64 = 10;
/// Shortest pause of an operation for which it gives its place among the running ones to another, in milliseconds.
pub const OPERATION_PARKED_FROM_MS: u64 = 2_000;
/// Operations that wait in memory for their next attempt; more wait in the store for a sweep.
pub const MAX_PARKED_OPERATIONS: usize = 4_096;
/// Age of an operation up to which a device that registers again is sent to it. The slowest webhook and the slowest hub
/// that still succeed fit.
pub const MAX_OPERATION_AGE: i64 = 1_800;
/// Attempts to write to a hub before an operation fails.
pub const HUB_ATTEMPTS: u32 = 5;
/// Longest pause between two attempts of an operation, unless the hub asks for a longer one.
pub const OPERATION_BACKOFF: u64 = 10;
/// Longest pause that a hub may ask for.
pub const MAX_HUB_RETRY_AFTER: u64 = 300;
/// Longest pause that an operation is ever kept waiting, whatever was asked for.
pub const MAX_OPERATION_PAUSE: u64 =
    if MAX_HUB_RETRY_AFTER > MAX_WEBHOOK_RETRY_AFTER { MAX_HUB_RETRY_AFTER } else { MAX_WEBHOOK_RETRY_AFTER };
/// How long a register request waits for its operation before the 202 leaves, in milliseconds.
pub const ADMIT_WAIT_MS: u64 = 50;
/// Superseded operation ids of one registration that a late poll may still name.
pub const MAX_SUPERSEDED_OPERATIONS: usize = 8;
/// Identities that failed operations of one device may have left on hubs, kept to be removed.
pub const MAX_STRAY_IDENTITIES: usize = 16;
/// `Retry-After` of a 202 (Azure sends 3).
pub const RETRY_AFTER: u32 = 3;
/// `Retry-After` of a request that was refused because a queue is full.
pub const RETRY_AFTER_BUSY: u32 = 10;

/// Longest `Retry-After` of a throttled request. The C SDK takes 1 to 300 seconds, and one second for anything else.
pub const MAX_RETRY_AFTER: u32 = 300;
/// Longest `Retry-After` of a request refused for overload, before its sender has proven anything.
pub const MAX_RETRY_AFTER_BUSY: u32 = 60;
/// Most seconds by which chance delays a throttled device beyond its place.
pub const MAX_RETRY_JITTER: u32 = 10;
/// How long a throttled device's place waits for it: chance, rounding and a slow connection fit.
pub const PLACE_HELD: u64 = 45;
/// Throttled devices of one instance whose places are remembered.
pub const MAX_PLACES: usize = 262_144;
/// Instances whose throttles are remembered; what is forgotten begins anew.
pub const MAX_INSTANCES_METERED: usize = 1_024;
/// Devices whose last polls are remembered, in each of two generations.
pub const MAX_DEVICES_METERED: usize = 131_072;
/// Register requests handled at once, and as many polls. All who may wait in the group lane fit, and others beside them.
pub const MAX_HANDLING: usize = MAX_GROUP_LANE_WAITING + 2_048;
/// Register requests, and as many polls, that may wait to be handled; more are refused with 429.
pub const MAX_HANDLING_WAITING: usize = 2_048;
/// Slowest pace that requests refused for overload are called back at, in requests a second.
pub const MIN_HANDLING_PACE: u64 = 100;
/// How long the server calls itself overloaded after the last request that it refused for it.
pub const OVERLOAD_MEMORY: u64 = 10;

/// Open connections of one server, all protocols together.
pub const MAX_CONNECTIONS: usize = 65_536;
/// Open connections of the plain loopback port: scrapers and a person's browser.
pub const MAX_PLAIN_CONNECTIONS: usize = 64;
/// How long one of them lives: who says nothing, or does not read, gives its place back. A scraper comes again.
pub const PLAIN_CONNECTION_LIFE: u64 = 60;
/// HTTP requests handled at once that are not the device API's: each is carried to its end, its client gone or not.
pub const MAX_NEIGHBOUR_REQUESTS: usize = 4_096;
/// TLS handshakes in progress at once.
pub const MAX_HANDSHAKES: usize = 2_048;
/// Age at which a TLS handshake gives way to a newer one when all places are taken, in milliseconds.
pub const HANDSHAKE_GRACE_MS: u64 = 1_000;
/// Longest pause of a listener that cannot accept (no file descriptors, no memory), in milliseconds.
pub const MAX_ACCEPT_PAUSE_MS: u64 = 1_000;
/// Largest chain a client may present in the handshake, all certificates together: it rides in the session ticket,
/// whose length has two bytes.
pub const MAX_PRESENTED_CHAIN: usize = 32 * 1024;
/// Host names that have a server certificate of their own.
pub const MAX_SERVER_NAMES: usize = 4_096;
/// Time a TLS handshake may take.
pub const HANDSHAKE_TIMEOUT: u64 = 15;
/// Time an MQTT client may take to send CONNECT.
pub const CONNECT_TIMEOUT: u64 = 15;
/// Time an HTTP client may take to send a request's header.
pub const HEADER_TIMEOUT: u64 = 15;
/// Time an HTTP client may take to send a request's body.
pub const BODY_TIMEOUT: u64 = 15;
/// Time a peer may take to read what we wrote.
pub const WRITE_TIMEOUT: u64 = 30;
/// Idle time after which a connection without keep-alive is closed.
pub const IDLE_TIMEOUT: u64 = 300;
/// Silence after which TCP asks whether the peer is still there.
pub const TCP_KEEPALIVE: u64 = 60;
/// Time between two such questions while no answer comes.
pub const TCP_KEEPALIVE_INTERVAL: u64 = 15;
/// Time that connections get to finish at shutdown.
pub const DRAIN_TIMEOUT: u64 = 5;
/// Bytes of an oversized body that are read and thrown away, so that its sender is still there to read the refusal.
pub const MAX_BODY_DISCARDED: usize = 1024 * 1024;
/// Largest header section of an HTTP request.
pub const MAX_HTTP_HEADER: usize = 32 * 1024;
/// Concurrent HTTP/2 streams of one connection.
pub const MAX_HTTP2_STREAMS: u32 = 64;
/// Largest WebSocket message from a client, and largest frame to one. They are a byte stream: what is in them has the
/// bounds of its own protocol.
pub const MAX_WEBSOCKET_MESSAGE: usize = 1024 * 1024;
/// Time that the other end of a WebSocket gets to answer a close.
pub const WEBSOCKET_CLOSE_TIMEOUT: u64 = 2;
/// Largest MQTT packet from a device: a body and its topic.
pub const MAX_MQTT_PACKET: usize = MAX_BODY + 4 * 1024;
/// Largest MQTT CONNECT, which a stranger may send: user name, SAS token and client id fit.
pub const MAX_MQTT_CONNECT: usize = 8 * 1024;
/// Largest AMQP message of a device, both ways: a body and its properties.
pub const MAX_AMQP_MESSAGE: usize = MAX_BODY + 4 * 1024;
/// Largest telemetry or twin packet that the development hub takes (IoT Hub: 256 KB).
pub const MAX_HUB_PACKET: usize = 256 * 1024 + 4 * 1024;
/// What the development hub wants to tell one device and has not yet.
pub const MAX_HUB_COMMANDS: usize = 64;
/// Direct methods that one device has not answered.
pub const MAX_METHODS_WAITING: usize = 64;
/// Tokens on `$cbs` that one connection to the development hub may show in vain.
pub const MAX_TOKENS_REFUSED: usize = 8;
/// Subscriptions of one MQTT connection.
pub const MAX_SUBSCRIPTIONS: usize = 16;
/// Messages on their way to one MQTT client.
pub const MAX_MQTT_IN_FLIGHT: usize = 64;

/// Largest file of settings, of a secret or of a certificate chain that is read.
pub const MAX_CONFIG_FILE: u64 = 1024 * 1024;
/// Longest unknown key of a file of settings that an error repeats, in characters.
pub const MAX_CONFIG_NAME_SHOWN: usize = 64;
/// Shortest token that may do everything: 32 hexadecimal digits cannot be guessed.
pub const MIN_BEARER_TOKEN: usize = 32;
/// Time before the end of a server certificate from which it is warned about: two weeks.
pub const CERTIFICATE_WARNING: i64 = 14 * 86_400;
/// Time between two warnings of the same certificate.
pub const CERTIFICATE_WARNING_REPEAT: i64 = 86_400;
/// Time that the files of certificates must rest before they are read, in milliseconds: a pair is two files.
pub const CERTIFICATE_SETTLE_MS: u64 = 300;
/// Time between two looks at the files of certificates where no change was told.
pub const CERTIFICATE_LOOK: u64 = 60;
/// Age from which the answer whether the store can be written is asked anew, in milliseconds.
pub const STORE_PROBE_AGE_MS: u64 = 1_000;
/// Time that a server may take to say how it is.
pub const HEALTH_TIMEOUT: u64 = 10;
/// Time that a store may take to be written before it counts as not ready.
pub const STORE_PROBE_TIMEOUT: u64 = 5;

/// Time between two probes of a linked hub where nobody says otherwise.
pub const LINK_PROBE_INTERVAL: u64 = 60;
/// Shortest time between two probes of a linked hub.
pub const MIN_LINK_PROBE_INTERVAL: u64 = 1;
/// Time between two looks for links that were made or changed, and are asked at once.
pub const LINK_CHANGE_LOOK: u64 = 1;
/// Most of that time, in percent, by which chance moves a probe, so that links are not probed all at once.
pub const LINK_PROBE_JITTER: u64 = 20;
/// Linked hubs that are probed at once.
pub const MAX_LINK_PROBES: usize = 16;
/// Probes in a row without an answer after which a hub counts as down: one may be lost.
pub const LINK_UNREACHABLE_PROBES: u32 = 2;
/// Time that hubs have to say whether a link that is made works; who has not said is linked.
pub const LINK_CHECK_PATIENCE: u64 = 5;
/// Time from which a link that is still down is reported again.
pub const LINK_REPORT_REPEAT: i64 = 3_600;

/// Writes that one commit of the store may carry.
pub const MAX_WRITES_PER_COMMIT: usize = 1_024;
/// Writes that may wait for the store's writer.
pub const MAX_WRITES_WAITING: usize = 16_384;
/// Pages of the embedded store's log from which it is copied into the database: 16 MiB.
pub const STORE_CHECKPOINT_PAGES: usize = 4_096;
/// Pages of that log from which the writer waits for readers, so that the log can begin anew.
pub const MAX_STORE_LOG_PAGES: usize = 4 * STORE_CHECKPOINT_PAGES;
/// How long another process may hold the embedded store's file before a call fails.
pub const STORE_LOCK_TIMEOUT: u64 = 5;
/// Rows of one page read from the store.
pub const MAX_PAGE: usize = 1_000;
/// Lookup keys stored with one document.
pub const MAX_LOOKUPS: usize = 16;
/// Keys of one lookup read.
pub const MAX_LOOKUP_KEYS: usize = 4 * MAX_CHAIN_CERTIFICATES + MAX_CA_CERTIFICATES;

/// Largest tags, desired or reported section of a twin (IoT Hub: 32 KB).
pub const MAX_TWIN_SECTION: usize = 32 * 1024;
/// Time one request to a linked hub may take.
pub const HUB_REQUEST_TIMEOUT: u64 = 30;
/// Time that connecting to a linked hub may take, TLS included.
pub const HUB_CONNECT_TIMEOUT: u64 = 10;
/// Largest answer of a linked hub that is read: a twin with full sections, whose `$metadata` outweighs them by far.
pub const MAX_HUB_ANSWER: usize = 2 * 1024 * 1024;
/// Largest twin that is carried from one hub to another, as JSON: three sections, of which IoT Hub allows 72 KB.
pub const MAX_CARRIED_TWIN: usize = 256 * 1024;
/// Largest text of a linked hub's error that is kept and shown.
pub const MAX_HUB_ERROR: usize = 2 * 1024;
/// Lifetime of the SAS tokens that this service shows to a linked hub.
pub const HUB_TOKEN_LIFETIME: i64 = 3_600;
/// Remaining lifetime at which such a token is made anew.
pub const HUB_TOKEN_RENEWAL: i64 = 600;
/// SAS tokens for linked hubs that are remembered.
pub const MAX_HUB_TOKENS: usize = 1_024;

/// Custom-allocation webhooks asked at once by one node.
pub const MAX_RUNNING_WEBHOOKS: usize = 256;
/// Retries of a webhook that answers 429 or more (Azure: 10).
pub const WEBHOOK_RETRIES: u32 = 10;
/// Retries of a webhook that does not answer at all.
pub const WEBHOOK_UNREACHABLE_RETRIES: u32 = 2;
/// Pause before the first retry (Azure: 1 s).
pub const WEBHOOK_FIRST_DELAY: u64 = 1;
/// By which each further pause is longer (Azure: 9 s).
pub const WEBHOOK_DELAY_STEP: u64 = 9;
/// Longest pause that a webhook may ask for: as long as the last one it gets by itself.
pub const MAX_WEBHOOK_RETRY_AFTER: u64 =
    WEBHOOK_FIRST_DELAY + WEBHOOK_DELAY_STEP * (WEBHOOK_RETRIES as u64 - 1);
/// Time one call of a webhook may take.
pub const WEBHOOK_TIMEOUT: u64 = 30;
/// Time that connecting to a webhook may take, TLS included.
pub const WEBHOOK_CONNECT_TIMEOUT: u64 = 10;
/// Largest answer of a webhook that is read.
pub const MAX_WEBHOOK_ANSWER: usize = MAX_BODY;
/// Largest `payload` of a webhook's answer: it goes to the device, with the registration around it.
pub const MAX_WEBHOOK_PAYLOAD: usize = 64 * 1024;

/// Largest file of client networks or of measured latencies.
pub const MAX_REGION_FILE: usize = 64 * 1024 * 1024;
/// Client networks of which the region is known.
pub const MAX_REGION_NETWORKS: usize = 500_000;
/// Regions that are told apart.
pub const MAX_REGIONS: usize = 4_096;
/// Longest name of a region.
pub const MAX_REGION_NAME: usize = 64;
/// Measured latencies: regions by hubs.
pub const MAX_LATENCIES: usize = 100_000;
/// Highest measured latency that is believed, in milliseconds.
pub const MAX_LATENCY_MS: u32 = 60_000;
/// Hubs whose latency an attempt record shows.
pub const MAX_SCORES: usize = 16;

/// Attempts of a conditional write to a hub's device that meets concurrent changes.
pub const HUB_WRITE_ATTEMPTS: usize = 8;
/// Largest body of a request to the development hub's service REST.
pub const MAX_HUB_BODY: usize = 512 * 1024;
/// Devices of one bulk request (IoT Hub: 100).
pub const MAX_BULK_DEVICES: usize = 100;
/// Longest `statusReason` of a device, in characters (IoT Hub: 128).
pub const MAX_STATUS_REASON: usize = 128;
/// Longest `deviceScope` of a device.
pub const MAX_DEVICE_SCOPE: usize = 1_024;
/// Longest name of a direct method (IoT Hub: 100).
pub const MAX_METHOD_NAME: usize = 100;
/// Devices of one development hub whose last activity is remembered.
pub const MAX_DEVICES_SEEN: usize = 65_536;
/// Longest query text of the development hub.
pub const MAX_HUB_QUERY: usize = 4 * 1024;
/// Conditions of one query of the development hub.
pub const MAX_HUB_QUERY_CONDITIONS: usize = 16;
/// Devices listed by one request, and rows of a query's page when the client names no number.
pub const DEFAULT_HUB_PAGE: usize = 100;
/// Devices that the development hub reads from its store at once.
pub const HUB_DEVICES_AT_ONCE: usize = 32;
/// Size after which a page of a development hub's query ends early.
pub const MAX_HUB_QUERY_PAGE: usize = 4 * 1024 * 1024;
/// Deepest object in a twin section (IoT Hub: 10).
pub const MAX_TWIN_DEPTH: usize = 10;
/// Longest key in a twin section (IoT Hub: 1 KB).
pub const MAX_TWIN_KEY: usize = 1_024;
/// Longest text value in a twin section (IoT Hub: 4 KB).
pub const MAX_TWIN_STRING: usize = 4_096;
/// Bytes of a twin's key that a sentence about it repeats.
pub const MAX_TWIN_NAME_SHOWN: usize = 64;
/// Telemetry messages of one development hub that are kept in memory.
pub const MAX_TELEMETRY_KEPT: usize = 1_000;
/// Bytes of telemetry of one development hub that are kept in memory.
pub const MAX_TELEMETRY_BYTES: usize = 8 * 1024 * 1024;
/// Largest cloud-to-device message (IoT Hub: 64 KB).
pub const MAX_DEVICEBOUND: usize = 64 * 1024;
/// Time that a cloud-to-device message waits for its device's connection to take it.
pub const DEVICEBOUND_TIMEOUT: u64 = 10;
/// Largest payload of a direct method (IoT Hub: 128 KB).
pub const MAX_METHOD_PAYLOAD: usize = 128 * 1024;
/// Time a direct method waits for its answer when the caller names none.
pub const DEFAULT_METHOD_TIMEOUT: u64 = 30;
/// Shortest such time.
pub const MIN_METHOD_TIMEOUT: u64 = 5;
/// Longest such time.
pub const MAX_METHOD_TIMEOUT: u64 = 300;
/// Longest keep alive of a hub's MQTT client, and the one of clients that name none (IoT Hub: 29.45 minutes).
pub const MAX_KEEP_ALIVE: u64 = 1_767;

/// Throttles and quotas that an operator chooses between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Profile {
    /// Azure's documented throttles and quotas.
    Azure,
    /// Only what protects the server.
    #[default]
    SelfHosted,
    /// No throttle at all.
    None,
}

/// So many requests in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests; never 0.
    pub requests: u32,
    /// Seconds; never 0.
    pub seconds: u32,
}

/// The throttles of a profile; none is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttles {
    /// Registrations of an instance.
    pub registrations: Option<Rate>,
    /// Service operations of an instance.
    pub service_operations: Option<Rate>,
    /// Operation polls and registration lookups of a device, together.
    pub polls: Option<Rate>,
}

/// The quotas of a profile: documents that an instance may have; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Individual enrollments.
    pub individual_enrollments: Option<u64>,
    /// Enrollment groups with certificates.
    pub x509_groups: Option<u64>,
    /// Enrollment groups with symmetric keys.
    pub symmetric_key_groups: Option<u64>,
}

impl Profile {
    /// Its quotas (Azure: "DPS limits").
    pub const fn quotas(self) -> Quotas {
        match self {
            Self::Azure => Quotas {
                individual_enrollments: Some(1_000_000),
                x509_groups: Some(100),
                symmetric_key_groups: Some(100),
            },
            Self::SelfHosted | Self::None => {
                Quotas { individual_enrollments: None, x509_groups: None, symmetric_key_groups: None }
            }
        }
    }

    /// Its throttles (Azure: "DPS limits").
    pub const fn throttles(self) -> Throttles {
        let per_minute = Some(Rate { requests: 1_000, seconds: 60 });
        let polls = Some(Rate { requests: 5, seconds: 10 });
        match self {
            Self::Azure => Throttles { registrations: per_minute, service_operations: per_minute, polls },
            Self::SelfHosted => Throttles { registrations: None, service_operations: None, polls },
            Self::None => Throttles { registrations: None, service_operations: None, polls: None },
        }
    }

    /// The profile of that name: `azure`, `self-hosted` or `none`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "azure" => Some(Self::Azure),
            "self-hosted" => Some(Self::SelfHosted),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}
